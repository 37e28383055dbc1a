//! `decide`: what would be decided, and why.

use crate::output;
use anyhow::{Context, bail};
use autoscaler_core::state::FleetState;
use autoscaler_runtime::decide::{self, Options};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The input is JSON or YAML: an autoscaler, and ticks with what was observed. Each deciding tick gives one
JSON line with the desired replicas and the trail that explains them.

Examples:
  aibrix-autoscaler decide recording.json
  aibrix-autoscaler decide first-hour.yaml --state-out memory.json
  aibrix-autoscaler decide second-hour.yaml --state memory.json"
)]
pub(crate) struct DecideArgs {
    /// Observations; - reads standard input
    file: PathBuf,
    /// What the autoscaler remembers, as --state-out wrote it
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where to write what it remembers at the end
    #[arg(long, value_name = "FILE")]
    state_out: Option<PathBuf>,
    /// Output is JSON lines in any case; accepted for symmetry with the other commands
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &DecideArgs) -> anyhow::Result<ExitCode> {
    let name = super::name_of(&args.file);
    let text = super::read_text(&args.file)?;
    let input = decide::parse(&text).with_context(|| name.clone())?;
    let state = args.state.as_deref().map(read_state).transpose()?;
    let outcome = match decide::run(&input, Options { state }) {
        Ok(outcome) => outcome,
        Err(error) => {
            let lines: Vec<String> = error.to_string().lines().map(|line| format!("{name}: {line}")).collect();
            bail!("{}", lines.join("\nerror: "));
        }
    };
    for warning in &outcome.warnings {
        output::note(&format!("{name}: {warning}"));
    }
    let mut lines = String::new();
    for line in &outcome.lines {
        lines.push_str(&serde_json::to_string(line)?);
        lines.push('\n');
    }
    output::print(&lines)?;
    if let Some(path) = &args.state_out {
        write_state(path, &outcome.state)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_state(path: &Path) -> anyhow::Result<FleetState> {
    serde_json::from_str(&super::read_text(path)?).with_context(|| format!("{}: not a saved state", path.display()))
}

/// Written beside its place and moved there: a full disk must not leave half a memory.
fn write_state(path: &Path, state: &FleetState) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let write = || -> anyhow::Result<()> {
        std::fs::write(&beside, serde_json::to_vec(state)?)?;
        Ok(std::fs::rename(&beside, path)?)
    };
    write().with_context(|| format!("{}: the state cannot be written", path.display()))
}
