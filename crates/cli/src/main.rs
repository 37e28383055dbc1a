//! `aibrix-autoscaler`: the one binary. Only wiring: arguments in, exit codes out.

#![allow(clippy::doc_markdown, reason = "these comments are the help texts of a terminal")]

mod args;
mod command;
mod output;

use clap::Parser;
use std::process::ExitCode;

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
            ExitCode::FAILURE
        }
    }
}
