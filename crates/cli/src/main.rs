//! `aibrix-autoscaler`: the one binary. Only wiring: arguments in, exit codes out.

#![allow(clippy::doc_markdown, reason = "these comments are the help texts of a terminal")]

mod args;
mod command;
mod output;
mod values;

use clap::Parser;
use std::process::ExitCode;

/// Wrong usage, as clap says it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // A replica's guard is this binary in a hidden mode; it has to take over before anything else starts.
    if let Some(code) = local_world::guard::intercept() {
        return code;
    }
    let args = args::Args::parse();
    output::start_logging(args.verbose, args.quiet);
    match command::run(args.command) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            if error.is::<output::Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}
