//! The rules of the local kinds, above their schema. What `up` and its supervisor refuse is refused here first, so that
//! `check` says it without running anything.

use super::{LocalDeployment, LocalWorld, MAIN_PORT};
use crate::diagnostics::{Diagnostic, nearest, quote};
use placeholder::{Piece, pieces};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Longest time that a manifest may state, in seconds: a day.
const MAX_SECONDS: f64 = 86_400.0;
/// Shortest interval in seconds: below it the machine measures itself.
const MIN_INTERVAL_SECONDS: f64 = 0.05;
/// Shortest time that a replica may be given to start, in seconds.
const MIN_START_SECONDS: f64 = 0.001;
/// Characters of a group's name, which names log files and rows of a table.
const MAX_GROUP_NAME: usize = 40;
/// Ports that one replica is lent.
const MAX_PORTS: usize = 16;
/// The kernel refuses a longer argument or variable (Linux `MAX_ARG_STRLEN`).
const MAX_ARGUMENT: usize = 128 << 10;
/// Engines whose metrics are known, by the names that are usual.
const ENGINES: [&str; 9] = ["vllm", "sglang", "trtllm", "tgi", "llamacpp", "triton", "dynamo", "xllm", "generic"];
/// Other names of the same engines.
const ENGINE_ALIASES: [&str; 7] = [
    "trtllm-serve",
    "tensorrt-llm",
    "tensorrtllm",
    "text-generation-inference",
    "llama.cpp",
    "llama-cpp",
    "triton-tensorrt-llm",
];

/// Every finding about a `LocalDeployment`.
pub fn validate_deployment(deployment: &LocalDeployment) -> Vec<Diagnostic> {
    let spec = &deployment.spec;
    let mut found = Vec::new();
    group_name(deployment, &mut found);
    let ports = ports(deployment, &mut found);
    let used = command(deployment, &ports, &mut found);
    environment(deployment, &mut found);
    if spec.models.as_ref().is_some_and(|models| models.iter().any(String::is_empty)) {
        found.push(Diagnostic::error("spec.models", "a model needs a name"));
    }
    let known = |engine: &str| ENGINES.iter().chain(&ENGINE_ALIASES).any(|name| name.eq_ignore_ascii_case(engine));
    if let Some(engine) = spec.engine.as_deref().filter(|engine| !known(engine)) {
        let hint = nearest(engine, ENGINES).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        let message = format!("{} is not a known engine{hint}", quote(engine));
        let allowed = format!("{}, or leave it out: the metrics page tells", ENGINES.join(", "));
        found.push(Diagnostic::error("spec.engine", message).allowed(allowed));
    }
    if spec.working_dir.as_deref() == Some("") {
        found.push(Diagnostic::error("spec.workingDir", "must not be empty").allowed("a folder, or leave it out"));
    }
    rooted("spec.metricsPath", spec.metrics_path.as_deref(), &mut found);
    readiness(deployment, &ports, &used, &mut found);
    for (field, seconds, least) in [
        ("startTimeoutSeconds", spec.start_timeout_seconds, MIN_START_SECONDS),
        ("drainTimeoutSeconds", spec.drain_timeout_seconds, 0.0),
        ("requestTimeoutSeconds", spec.request_timeout_seconds, 0.0),
        ("holdTimeoutSeconds", spec.hold_timeout_seconds, 0.0),
    ] {
        time(&format!("spec.{field}"), seconds, least, &mut found);
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

/// A name that is one of a group too. What is no name at all has been refused already.
fn group_name(deployment: &LocalDeployment, found: &mut Vec<Diagnostic>) {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    if name.contains('.') || name.len() > MAX_GROUP_NAME {
        let message = format!("{} cannot name a group of processes", quote(name));
        let allowed = format!("lower-case letters, digits and inner hyphens, at most {MAX_GROUP_NAME}");
        found.push(Diagnostic::error("metadata.name", message).allowed(allowed));
    }
}

fn readiness(deployment: &LocalDeployment, ports: &[&str], used: &BTreeSet<&str>, found: &mut Vec<Diagnostic>) {
    let Some(readiness) = &deployment.spec.readiness else { return };
    let path = "spec.readiness.path";
    let asked = readiness.path.as_deref();
    rooted(path, asked, found);
    let odd = |c: char| c == ' ' || c.is_ascii_control() || !c.is_ascii();
    if asked.is_some_and(|asked| asked.starts_with('/') && asked.contains(odd)) {
        found.push(Diagnostic::error(path, "holds blanks or characters beyond ASCII").allowed("write them as %20"));
    }
    if let Some(port) = readiness.port.as_deref() {
        if !ports.contains(&port) {
            unknown_port("spec.readiness.port", port, ports, found);
        } else if port != MAIN_PORT && !used.contains(port) {
            let message = format!("nothing tells the process its port {}", quote(port));
            let allowed = format!("{{port:{port}}} in the command or in env");
            found.push(Diagnostic::error("spec.readiness.port", message).allowed(allowed));
        }
    }
    interval("spec.readiness.intervalSeconds", readiness.interval_seconds, found);
    interval("spec.readiness.timeoutSeconds", readiness.timeout_seconds, found);
}

/// Every finding about a `LocalWorld`.
pub fn validate_world(world: &LocalWorld) -> Vec<Diagnostic> {
    let spec = &world.spec;
    let mut found = Vec::new();
    for (field, address) in [("gatewayAddress", &spec.gateway_address), ("dashboardAddress", &spec.dashboard_address)] {
        let Some(address) = address else { continue };
        if address.parse::<SocketAddr>().is_err() {
            let message = format!("{} is not an address", quote(address));
            let allowed = "IP:port, such as 127.0.0.1:8080 or [::1]:8080; no host name";
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
        let part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let word = port.name.bytes().all(part);
        if !word || port.name.is_empty() || port.name.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("{} is not a name", quote(&port.name));
            let allowed = "lower-case letters, digits, hyphens and underscores, not digits alone";
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

/// The command and its placeholders, those in the environment too. Gives the names of the ports that are used.
fn command<'d>(deployment: &'d LocalDeployment, ports: &[&str], found: &mut Vec<Diagnostic>) -> BTreeSet<&'d str> {
    let spec = &deployment.spec;
    let before = found.len();
    if spec.command.first().is_none_or(|program| program.trim().is_empty()) {
        found.push(Diagnostic::error("spec.command", "needs a program to run"));
    }
    let arguments = spec.command.iter().enumerate().map(|(i, text)| (format!("spec.command[{i}]"), text));
    let environment = spec.env.iter().flatten().map(|(name, text)| (format!("spec.env[{name}]"), text));
    let mut used = BTreeSet::new();
    for (path, text) in arguments.chain(environment) {
        if text.contains('\0') || text.len() >= MAX_ARGUMENT {
            let allowed = format!("at most {} bytes, none of them NUL", MAX_ARGUMENT - 1);
            found.push(Diagnostic::error(&path, "no program can be given this").allowed(allowed));
        }
        for piece in pieces(text) {
            match piece {
                Piece::MainPort => {
                    used.insert(MAIN_PORT);
                }
                Piece::Port(name) if ports.contains(&name) => {
                    used.insert(name);
                }
                Piece::Port(name) => unknown_port(&path, name, ports, found),
                Piece::Unknown(word) => {
                    let hint = nearest(word, ["port", "index", "name"]);
                    let hint = hint.map(|name| format!("; did you mean {{{name}}}?")).unwrap_or_default();
                    let message = format!("unknown placeholder {{{word}}}{hint}");
                    found.push(Diagnostic::error(&path, message).allowed("{port}, {port:NAME}, {index}, {name}"));
                }
                _ => {}
            }
        }
    }
    // A misspelt placeholder may be the one that is missing.
    if !used.contains(MAIN_PORT) && found.len() == before {
        let message = "nothing tells the process its port; each replica listens on one of its own";
        found.push(Diagnostic::error("spec.command", message).allowed("{port} in the command or in env"));
    }
    if used.len() > MAX_PORTS {
        let message = format!("asks for {} ports, more than the {MAX_PORTS} that a replica is lent", used.len());
        found.push(Diagnostic::error("spec.command", message));
    }
    for name in ports.iter().filter(|name| **name != MAIN_PORT && !used.contains(*name)) {
        if let Some(index) = spec.ports.iter().flatten().position(|port| port.name == *name) {
            let message = format!("nothing tells the process its port {}, so nobody listens there", quote(name));
            let allowed = format!("{{port:{name}}} in the command or in env");
            found.push(Diagnostic::warning(format!("spec.ports[{index}].name"), message).allowed(allowed));
        }
    }
    used
}

fn environment(deployment: &LocalDeployment, found: &mut Vec<Diagnostic>) {
    let spec = &deployment.spec;
    for name in spec.env.iter().flatten().map(|(name, _)| name) {
        if name.is_empty() || name.contains(['=', '\0']) {
            found.push(Diagnostic::error("spec.env", format!("{} cannot name a variable", quote(name))));
        }
        if name == "CUDA_VISIBLE_DEVICES" && spec.gpus_per_replica.is_some_and(|gpus| gpus > 0) {
            let message = "is set from gpusPerReplica; leave out one of the two";
            found.push(Diagnostic::error(format!("spec.env[{name}]"), message));
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
