//! The rules of the local kinds, above their schema.

use super::{LocalDeployment, LocalWorld, MAIN_PORT, Piece, pieces};
use crate::diagnostics::{Diagnostic, nearest, quote};
use std::collections::BTreeSet;

/// Longest time that a manifest may state, in seconds: a day.
const MAX_SECONDS: f64 = 86_400.0;
/// Shortest interval in seconds: below it the machine measures itself.
const MIN_INTERVAL_SECONDS: f64 = 0.05;
/// Engines whose metrics are known.
const ENGINES: [&str; 5] = ["vllm", "sglang", "trtllm", "tgi", "llamacpp"];

/// Every finding about a `LocalDeployment`.
pub fn validate_deployment(deployment: &LocalDeployment) -> Vec<Diagnostic> {
    let spec = &deployment.spec;
    let mut found = Vec::new();
    let ports = ports(deployment, &mut found);
    command(deployment, &ports, &mut found);
    if spec.models.as_ref().is_some_and(|models| models.iter().any(String::is_empty)) {
        found.push(Diagnostic::error("spec.models", "a model needs a name"));
    }
    if let Some(engine) = spec.engine.as_deref().filter(|engine| !ENGINES.contains(engine)) {
        let hint = nearest(engine, ENGINES).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        let message = format!("{} is not a known engine{hint}; the metrics page decides", quote(engine));
        found.push(Diagnostic::warning("spec.engine", message).allowed(ENGINES.join(", ")));
    }
    rooted("spec.metricsPath", spec.metrics_path.as_deref(), &mut found);
    if let Some(readiness) = &spec.readiness {
        rooted("spec.readiness.path", readiness.path.as_deref(), &mut found);
        if let Some(port) = readiness.port.as_deref().filter(|port| !ports.contains(port)) {
            unknown_port("spec.readiness.port", port, &ports, &mut found);
        }
        interval("spec.readiness.intervalSeconds", readiness.interval_seconds, &mut found);
        interval("spec.readiness.timeoutSeconds", readiness.timeout_seconds, &mut found);
    }
    for (field, seconds) in [
        ("startTimeoutSeconds", spec.start_timeout_seconds),
        ("drainTimeoutSeconds", spec.drain_timeout_seconds),
        ("requestTimeoutSeconds", spec.request_timeout_seconds),
        ("holdTimeoutSeconds", spec.hold_timeout_seconds),
    ] {
        time(&format!("spec.{field}"), seconds, 0.0, &mut found);
    }
    if let Some(backoff) = &spec.restart_backoff {
        interval("spec.restartBackoff.initialSeconds", backoff.initial_seconds, &mut found);
        interval("spec.restartBackoff.maxSeconds", backoff.max_seconds, &mut found);
        if let (Some(initial), Some(max)) = (backoff.initial_seconds, backoff.max_seconds)
            && initial > max
        {
            let message = format!("{initial} is above maxSeconds {max}");
            found.push(Diagnostic::error("spec.restartBackoff.initialSeconds", message));
        }
    }
    found
}

/// Every finding about a `LocalWorld`.
pub fn validate_world(world: &LocalWorld) -> Vec<Diagnostic> {
    let spec = &world.spec;
    let mut found = Vec::new();
    for (field, address) in [("gatewayAddress", &spec.gateway_address), ("dashboardAddress", &spec.dashboard_address)] {
        let Some(address) = address else { continue };
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            let message = format!("{} is not an address", quote(address));
            let allowed = "host:port, such as 127.0.0.1:8080";
            found.push(Diagnostic::error(format!("spec.{field}"), message).allowed(allowed));
        }
    }
    interval("spec.scrapeIntervalSeconds", spec.scrape_interval_seconds, &mut found);
    interval("spec.tickIntervalSeconds", spec.tick_interval_seconds, &mut found);
    found
}

/// The names of all ports, the main one first.
fn ports<'d>(deployment: &'d LocalDeployment, found: &mut Vec<Diagnostic>) -> Vec<&'d str> {
    let (mut names, mut numbers) = (vec![MAIN_PORT], BTreeSet::new());
    for (index, port) in deployment.spec.ports.iter().flatten().enumerate() {
        let path = format!("spec.ports[{index}]");
        let word = port.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !word || port.name.is_empty() || port.name.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("{} is not a name", quote(&port.name));
            let allowed = "letters, digits, hyphens and underscores, not digits alone";
            found.push(Diagnostic::error(format!("{path}.name"), message).allowed(allowed));
        } else if port.name == MAIN_PORT {
            let message = "http is the main port, which is always there";
            found.push(Diagnostic::error(format!("{path}.name"), message).allowed("leave it out, or another name"));
        } else if names.contains(&port.name.as_str()) {
            found.push(Diagnostic::error(format!("{path}.name"), format!("{} is used twice", quote(&port.name))));
        } else {
            names.push(&port.name);
        }
        if let Some(number) = port.number.filter(|number| !numbers.insert(*number)) {
            found.push(Diagnostic::error(format!("{path}.number"), format!("{number} is used twice")));
        }
    }
    names
}

fn command(deployment: &LocalDeployment, ports: &[&str], found: &mut Vec<Diagnostic>) {
    let spec = &deployment.spec;
    if spec.command.first().is_none_or(|program| program.trim().is_empty()) {
        found.push(Diagnostic::error("spec.command", "needs a program to run"));
    }
    let arguments = spec.command.iter().enumerate().map(|(i, text)| (format!("spec.command[{i}]"), text));
    let environment = spec.env.iter().flatten().map(|(name, text)| (format!("spec.env[{name}]"), text));
    let mut main = false;
    for (path, text) in arguments.chain(environment) {
        for piece in pieces(text) {
            match piece {
                Piece::MainPort | Piece::Port(MAIN_PORT) => main = true,
                Piece::Port(name) if !ports.contains(&name) => unknown_port(&path, name, ports, found),
                Piece::Unknown(word) => {
                    let known = ["port", "index", "name"];
                    if let Some(name) = nearest(word, known) {
                        let message = format!("{{{word}}} stays as it is; did you mean {{{name}}}?");
                        found.push(Diagnostic::warning(&path, message));
                    }
                }
                _ => {}
            }
        }
    }
    if !main && found.is_empty() {
        let message = "nothing tells the process its port; each replica listens on one of its own";
        found.push(Diagnostic::warning("spec.command", message).allowed("{port} in the command or in env"));
    }
    for name in spec.env.iter().flatten().map(|(name, _)| name) {
        if name.is_empty() || name.contains(['=', '\0']) {
            found.push(Diagnostic::error("spec.env", format!("{} cannot name a variable", quote(name))));
        }
    }
}

fn unknown_port(path: &str, name: &str, ports: &[&str], found: &mut Vec<Diagnostic>) {
    found.push(Diagnostic::error(path, format!("no port is called {}", quote(name))).allowed(ports.join(", ")));
}

fn rooted(path: &str, value: Option<&str>, found: &mut Vec<Diagnostic>) {
    if let Some(value) = value.filter(|value| !value.starts_with('/')) {
        found.push(Diagnostic::error(path, format!("{} does not begin with a slash", quote(value))));
    }
}

fn interval(path: &str, seconds: Option<f64>, found: &mut Vec<Diagnostic>) {
    time(path, seconds, MIN_INTERVAL_SECONDS, found);
}

fn time(path: &str, seconds: Option<f64>, least: f64, found: &mut Vec<Diagnostic>) {
    if let Some(seconds) = seconds.filter(|seconds| !(*seconds >= least && *seconds <= MAX_SECONDS)) {
        let message = format!("{seconds} is out of range");
        found.push(Diagnostic::error(path, message).allowed(format!("{least} to {MAX_SECONDS} seconds")));
    }
}
