//! One file a command.

pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod controller;
pub(crate) mod decide;
pub(crate) mod engine;
pub(crate) mod load;
pub(crate) mod optimizer;
pub(crate) mod plan;
pub(crate) mod profile;
mod scenario;
pub(crate) mod simulate;
pub(crate) mod top;
pub(crate) mod up;

use crate::args::{Args, Command};
use crate::output;
use anyhow::Context;
use clap::CommandFactory;
use std::path::Path;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Runs a command.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Controller(args) => controller::run(args),
        Command::Decide(args) => decide::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Optimizer(args) => optimizer::run(*args),
        Command::Engine(args) => engine::run(args),
        Command::Load(args) => load::run(args),
        Command::Profile(args) => profile::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Crd => {
            output::print(&autoscaler_api::crd::crd_yaml())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "aibrix-autoscaler", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads a text file, or standard input for `-`; larger ones are refused.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    use std::io::Read;
    let unreadable = || format!("{}: cannot be read", name_of(path));
    let mut text = String::new();
    let mut reader: Box<dyn Read> = if path == Path::new(STDIN) {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(unreadable)?)
    };
    let size = reader.by_ref().take(MAX_INPUT + 1).read_to_string(&mut text).with_context(unreadable)?;
    if size as u64 > MAX_INPUT {
        anyhow::bail!("{}: larger than {} MiB", name_of(path), MAX_INPUT >> 20);
    }
    Ok(text)
}

/// The argument that stands for standard input.
const STDIN: &str = "-";

/// What errors call an input.
pub(crate) fn name_of(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_owned() } else { path.display().to_string() }
}

/// A day of recorded ticks with dozens of pods fits; an endless pipe does not.
const MAX_INPUT: u64 = 1 << 30;

/// Makes ring the provider of TLS, before any client is made.
pub(crate) fn install_tls() {
    // Fails only where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A token that is cancelled by the first SIGINT or SIGTERM; the second one ends the program at once.
pub(crate) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let seen = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        seen.cancel();
        wait_for_signal().await;
        std::process::exit(SECOND_SIGNAL);
    });
    stop
}

/// The exit code after a second signal: 128 and SIGINT.
const SECOND_SIGNAL: i32 = 130;

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
