//! `decide`: what would be decided, and why.

use crate::output;
use anyhow::{Context, bail};
use autoscaler_core::state::FleetState;
use autoscaler_runtime::decide::output::Line;
use autoscaler_runtime::decide::{self, Options};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The input is JSON or YAML: an autoscaler, and ticks with what was observed. Each deciding tick gives one
JSON line with the desired replicas and the trail that explains them.

Examples:
  aibrix-autoscaler decide recording.json
  aibrix-autoscaler decide first-hour.yaml --state-out memory.json
  aibrix-autoscaler decide second-hour.yaml --state memory.json
  aibrix-autoscaler decide changed.yaml --against recording.jsonl     where a changed manifest decides otherwise"
)]
pub(crate) struct DecideArgs {
    /// Observations, or with --against a manifest; - reads standard input
    file: PathBuf,
    /// A recording (`up --record`, `controller --record`): print only where the manifest decides otherwise than was
    /// decided then, and a summary. The replicas are those of the recording throughout
    #[arg(long, value_name = "RECORDING", conflicts_with_all = ["state", "state_out"])]
    against: Option<PathBuf>,
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
    if let Some(recording) = &args.against {
        return against(&args.file, recording);
    }
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

/// Where the manifest's autoscalers decide otherwise than those of a recording.
fn against(file: &Path, recording: &Path) -> anyhow::Result<ExitCode> {
    let name = super::name_of(recording);
    let mut input = decide::parse(&super::read_text(recording)?).with_context(|| name.clone())?;
    let objects = manifest(file)?;
    let recorded = input.autoscalers.take().unwrap_or_default();
    let named = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let known: Vec<String> = recorded.iter().map(named).collect();
    // On Kubernetes a name has its namespace before it.
    let place = |object: &Value| {
        let own = named(object);
        let full = object["metadata"]["namespace"].as_str().map(|namespace| format!("{namespace}.{own}"));
        known.iter().position(|name| *name == own || Some(name) == full.as_ref() || *name == format!("default.{own}"))
    };
    let mut changed = recorded;
    let mut ours = Vec::new();
    for mut object in objects {
        let Some(at) = place(&object) else {
            bail!("{}: {} is not in {name} (allowed: {})", super::name_of(file), named(&object), known.join(", "));
        };
        object["metadata"]["name"] = known[at].clone().into();
        changed[at] = object;
        ours.push(known[at].clone());
    }
    input.autoscalers = Some(changed);
    let outcome = decide::run(&input, Options::default()).with_context(|| super::name_of(file))?;
    output::print(&differences(&input, &outcome.lines, &ours)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The objects of a manifest that are valid.
fn manifest(file: &Path) -> anyhow::Result<Vec<Value>> {
    let name = super::name_of(file);
    let manifest = autoscaler_api::read(&name, &super::read_text(file)?);
    // The LocalDeployment that it names may be in another file; nothing is scaled here.
    let ours = |path: &str| path != "spec.scaleTargetRef.name";
    let errors = manifest.findings.iter().filter(|one| one.diagnostic.is_error() && ours(&one.diagnostic.path));
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    if !errors.is_empty() {
        bail!("{}", errors.join("\nerror: "));
    }
    anyhow::ensure!(!manifest.autoscalers.is_empty(), "{name}: no PodAutoscaler");
    manifest.autoscalers.iter().map(|object| Ok(serde_json::to_value(object)?)).collect()
}

fn differences(input: &decide::input::Input, lines: &[Line], ours: &[String]) -> anyhow::Result<String> {
    let mut decided = input
        .ticks
        .iter()
        .filter(|tick| tick.decide)
        .flat_map(|tick| tick.targets.keys().map(|name| (tick.at, name.clone(), tick.decided.get(name).copied())));
    let (mut text, mut ticks, mut differ) = (String::new(), 0_u64, 0_u64);
    let (mut before, mut seconds) = (BTreeMap::new(), (0.0, 0.0));
    for line in lines {
        let name = line.autoscaler.clone().unwrap_or_default();
        // Both come in the order of the ticks.
        let Some((_, _, Some(then))) = decided.by_ref().find(|(at, of, _)| *at == line.at && *of == name) else {
            continue;
        };
        if !ours.contains(&name) {
            continue;
        }
        ticks += 1;
        if let Some((at, recorded, desired)) = before.insert(name.clone(), (line.at, then, line.desired)) {
            let lasted = line.at - at;
            seconds.0 += f64::from(recorded) * lasted;
            seconds.1 += f64::from(desired) * lasted;
        }
        if line.desired != then {
            differ += 1;
            let mut object = serde_json::to_value(line)?;
            object["recorded"] = then.into();
            text.push_str(&object.to_string());
            text.push('\n');
        }
    }
    let summary = serde_json::json!({ "summary": { "decisions": ticks, "different": differ,
        "recordedReplicaHours": seconds.0 / 3600.0, "replicaHours": seconds.1 / 3600.0 } });
    text.push_str(&summary.to_string());
    text.push('\n');
    Ok(text)
}
