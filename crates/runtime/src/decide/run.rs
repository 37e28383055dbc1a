//! Runs an input through the core.

use super::input::{Input, PlanInput, PoolInput, Target, Tick};
use super::observe::{self, Clock};
use super::output::Line;
use crate::spec::{SpecError, hold_gaps, to_spec};
use autoscaler_api::{Diagnostic, PodAutoscaler};
use autoscaler_core::fleet::{Member, Pool};
use autoscaler_core::state::{FleetState, History};
use autoscaler_core::{Fleet, Observation, Plan, Span, Spec, Timestamp};

/// What `decide` is told besides its input.
#[derive(Debug, Default)]
pub struct Options {
    /// A saved memory.
    pub state: Option<FleetState>,
}

/// What `decide` answers.
#[derive(Debug)]
pub struct Outcome {
    /// One line per deciding tick and autoscaler.
    pub lines: Vec<Line>,
    /// The memory at the end.
    pub state: FleetState,
    /// What a person should know: dead annotations and the like.
    pub warnings: Vec<String>,
}

/// Why an input cannot be run. Each names the field.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// Not in the form that `decide` reads.
    #[error("{path}: {message}")]
    Form {
        /// The field.
        path: String,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// The autoscaler itself is not valid: every error, one a line.
    #[error("{0}")]
    Autoscaler(String),
}

/// Microseconds of the farthest time that a clock may show: a few thousand years. Beyond it sums would saturate.
const FARTHEST_SECONDS: f64 = 1e11;

/// Runs an input.
pub fn run(input: &Input, options: Options) -> Result<Outcome, DecideError> {
    let clock = Clock { epoch: epoch(input)? };
    super::limits::check(input)?;
    let mut warnings = Vec::new();
    let autoscalers = autoscalers(input, &mut warnings)?;
    let lone = input.autoscaler.is_some();
    let mut specs = Vec::new();
    for (path, autoscaler) in &autoscalers {
        let mut spec = to_spec(autoscaler, &input.settings).map_err(|SpecError(messages)| {
            DecideError::Autoscaler(
                messages.iter().map(|message| format!("{path}.{message}")).collect::<Vec<_>>().join("\n"),
            )
        })?;
        if input.recorded {
            hold_gaps(&mut spec);
        }
        specs.push(spec);
    }
    check_schedules(input, &specs)?;
    let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
    if let Some(name) = names.iter().enumerate().find_map(|(index, name)| names[..index].contains(name).then_some(name))
    {
        return Err(form("autoscalers", format!("the name {name:?} stands for two autoscalers")));
    }
    let mut fleet = Fleet::new(specs, pools(&input.pools, &names)?);
    if let Some(first) = input.ticks.first() {
        remember(&mut fleet, input, &names, clock.at(first.at), options)?;
    }
    let lines = ticks(input, clock, &mut fleet, names.first().filter(|_| lone), &names)?;
    Ok(Outcome { lines, state: fleet.state(), warnings })
}

fn ticks(
    input: &Input,
    clock: Clock,
    fleet: &mut Fleet,
    lone: Option<&String>,
    names: &[String],
) -> Result<Vec<Line>, DecideError> {
    let mut lines = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (index, tick) in input.ticks.iter().enumerate() {
        let path = format!("ticks[{index}]");
        if !tick.at.is_finite() || tick.at.abs() > FARTHEST_SECONDS {
            return Err(form(
                format!("{path}.at"),
                format!("{:e} is out of range; allowed: ±{FARTHEST_SECONDS:e} s", tick.at),
            ));
        }
        if tick.at < last {
            return Err(form(
                format!("{path}.at"),
                format!("{} goes back behind {last}; allowed: the same or later", tick.at),
            ));
        }
        last = tick.at;
        let now = clock.at(tick.at);
        let seen = observation(clock, now, tick, lone, names, &path)?;
        if !tick.pools.is_empty() {
            fleet.set_pools(pools(&tick.pools, names)?);
        }
        if !tick.decide {
            fleet.record(now, &seen);
            continue;
        }
        for (name, decision) in fleet.step(now, &seen).targets {
            lines.push(Line::new(tick.at, lone.is_none().then_some(name), decision));
        }
    }
    Ok(lines)
}

fn observation(
    clock: Clock,
    now: Timestamp,
    tick: &Tick,
    lone: Option<&String>,
    names: &[String],
    path: &str,
) -> Result<Observation, DecideError> {
    let mut seen =
        Observation { plan: tick.plan.as_ref().map(|plan| self::plan(clock, now, plan)), ..Observation::default() };
    let mut take = |name: &str, path: String, target: &Target| -> Result<(), DecideError> {
        let observed = observe::target(clock, now, target).map_err(|message| form(path, message))?;
        seen.targets.insert(name.to_owned(), observed);
        Ok(())
    };
    if let Some(target) = tick.lone_target() {
        let name = lone.ok_or_else(|| {
            form(format!("{path}.replicas"), "with `autoscalers`, targets go under `targets: {name: {…}}`")
        })?;
        take(name, path.to_owned(), &target)?;
    }
    for (name, target) in &tick.targets {
        if !names.contains(name) {
            return Err(form(
                format!("{path}.targets.{name}"),
                format!("no such autoscaler; allowed: {}", names.join(", ")),
            ));
        }
        take(name, format!("{path}.targets.{name}"), target)?;
    }
    if seen.targets.is_empty() && lone.is_some() {
        return Err(form(format!("{path}.replicas"), "required: the target's spec.replicas"));
    }
    Ok(seen)
}

fn plan(clock: Clock, now: Timestamp, plan: &PlanInput) -> Plan {
    let made_at = plan.made_at.map_or(now, |at| clock.at(at));
    Plan { made_at, replicas: plan.replicas.clone(), why: plan.why.clone() }
}

fn autoscalers(input: &Input, warnings: &mut Vec<String>) -> Result<Vec<(String, PodAutoscaler)>, DecideError> {
    let given: Vec<(String, &serde_json::Value)> = match (&input.autoscaler, &input.autoscalers) {
        (Some(_), Some(_)) => return Err(form("autoscalers", "give either `autoscaler` or `autoscalers`")),
        (Some(one), None) => vec![("autoscaler".to_owned(), one)],
        (None, Some(several)) => {
            several.iter().enumerate().map(|(i, value)| (format!("autoscalers[{i}]"), value)).collect()
        }
        (None, None) => return Err(form("autoscaler", "required: a PodAutoscaler")),
    };
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for (path, value) in given {
        match crate::spec::read(value) {
            Ok((autoscaler, notes)) => {
                warnings.extend(notes.into_iter().map(|note| below(&path, note).to_string()));
                found.push((path, autoscaler));
            }
            Err(found) => errors.extend(found.into_iter().map(|one| below(&path, one).to_string())),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(DecideError::Autoscaler(errors.join("\n"))) }
}

/// A finding about an object, placed in the document that it is a part of.
fn below(path: &str, found: Diagnostic) -> Diagnostic {
    let path = if found.path.is_empty() { path.to_owned() } else { format!("{path}.{}", found.path) };
    Diagnostic { path, ..found }
}

fn epoch(input: &Input) -> Result<Timestamp, DecideError> {
    let Some(text) = &input.epoch else { return Ok(Timestamp(0)) };
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Timestamp(at.as_microsecond()))
        .map_err(|error| form("epoch", format!("{error}; allowed: RFC 3339, such as 2026-01-05T00:00:00Z")))
}

/// A schedule is a matter of the calendar, so the clock needs to be placed in it.
fn check_schedules(input: &Input, specs: &[Spec]) -> Result<(), DecideError> {
    if input.epoch.is_none() && specs.iter().any(|spec| !spec.schedules.is_empty()) {
        return Err(form("epoch", "required with schedules: the time that `at: 0` stands for"));
    }
    Ok(())
}

fn pools(given: &[PoolInput], names: &[String]) -> Result<Vec<Pool>, DecideError> {
    let mut pools = Vec::new();
    for (index, pool) in given.iter().enumerate() {
        let mut members = std::collections::BTreeMap::new();
        for (name, &units_per_replica) in &pool.members {
            if !names.contains(name) {
                let message = format!("no such autoscaler; allowed: {}", names.join(", "));
                return Err(form(format!("pools[{index}].members.{name}"), message));
            }
            let priority = pool.priorities.get(name).copied().unwrap_or(0);
            members.insert(name.clone(), Member { units_per_replica, priority });
        }
        pools.push(Pool { units: pool.units, members });
    }
    Ok(pools)
}

/// A saved memory goes before a told history; with neither, the start is fresh.
fn remember(
    fleet: &mut Fleet,
    input: &Input,
    names: &[String],
    first_tick: Timestamp,
    options: Options,
) -> Result<(), DecideError> {
    if let Some(state) = options.state {
        let version = state.version;
        if !fleet.restore(state) {
            let ours = autoscaler_core::state::VERSION;
            return Err(form("--state", format!("saved by version {version}; this one reads version {ours}")));
        }
        return Ok(());
    }
    let Some(history) = &input.history else { return Ok(()) };
    let told = History {
        recommendations: history
            .recommendations
            .iter()
            .map(|past| (Span::from_secs(past.age), past.replicas))
            .collect(),
        changes: history.changes.iter().map(|past| (Span::from_secs(past.age), past.delta)).collect(),
    };
    for name in names {
        fleet.tell_history(name, &told, first_tick);
    }
    Ok(())
}

fn form(path: impl Into<String>, message: impl Into<String>) -> DecideError {
    DecideError::Form { path: path.into(), message: message.into() }
}
