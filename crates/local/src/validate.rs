//! What a [`GroupSpec`] must satisfy, and every way in which one does not.
//!
//! Pure: nothing of the machine is looked at, so a spec may be checked anywhere.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::spec::{GroupSpec, LogLimits, Readiness, ReadinessCheck, RestartPolicy};
use crate::template;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, in the manifest's spelling where it is one of its fields: `command[2]`, `startTimeoutSeconds`.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Long enough for a file name with the index, as in `NAME-4294967295.log.1`, and for a table on a terminal.
const MAX_NAME: usize = 40;
/// Each named port is a lent port per replica; no engine needs more.
const MAX_PORTS: usize = 16;
/// A day: anything longer is a mistake of units.
const MAX_WAIT: Duration = Duration::from_hours(24);
/// Faster probing only costs the engine.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// The kernel refuses a longer single argument or variable (Linux `MAX_ARG_STRLEN`).
const MAX_ARGUMENT: usize = 128 << 10;

impl GroupSpec {
    /// Everything that is wrong with this spec; empty if it can be run.
    pub fn validate(&self) -> Vec<FieldError> {
        let mut errors = Errors(Vec::new());
        check_name(&self.name, &mut errors);
        let ports = self.port_names();
        self.check_command(&ports, &mut errors);
        self.check_env(&mut errors);
        if self.working_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            errors.add("workingDir", "is empty; leave it out to run in the current directory");
        }
        check_readiness(&self.readiness, &ports, &mut errors);
        errors.wait("startTimeoutSeconds", self.start_timeout, Duration::from_millis(1));
        errors.wait("drainTimeoutSeconds", self.drain_timeout, Duration::ZERO);
        check_restart(&self.restart, &mut errors);
        check_log(&self.log, &mut errors);
        errors.0
    }

    /// The names of all ports that the command and the environment ask for.
    pub fn port_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for text in self.command.iter().chain(self.env.values()) {
            template::port_names(text, &mut names);
        }
        names
    }

    fn check_command(&self, ports: &BTreeSet<String>, errors: &mut Errors) {
        if self.command.first().is_none_or(String::is_empty) {
            errors.add("command", "is empty; give the program and its arguments");
        } else if ports.is_empty() {
            errors.add(
                "command",
                "asks for no port, so replicas could not share this machine; use {port} in an argument or in env",
            );
        }
        if ports.len() > MAX_PORTS {
            errors.add("command", format!("asks for {} ports; at most {MAX_PORTS} are allowed", ports.len()));
        }
        for (i, argument) in self.command.iter().enumerate() {
            check_text(&format!("command[{i}]"), argument, errors);
        }
    }

    fn check_env(&self, errors: &mut Errors) {
        for (key, value) in &self.env {
            let path = format!("env.{key}");
            if key.is_empty() || key.contains(['=', '\0']) {
                errors.add(&path, "is no name of a variable; it must be non-empty, without `=` and NUL");
            }
            if key == "CUDA_VISIBLE_DEVICES" && self.gpus_per_replica > 0 {
                errors.add(&path, "is set from gpusPerReplica; leave out one of the two");
            }
            check_text(&path, value, errors);
        }
    }
}

fn check_name(name: &str, errors: &mut Errors) {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edges = !name.starts_with('-') && !name.ends_with('-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(inner) || !edges {
        let allowed = format!("1 to {MAX_NAME} lower-case letters, digits and `-`, not at the ends");
        errors.add("name", format!("`{}` is not a group name; allowed are {allowed}", name.escape_debug()));
    }
}

fn check_text(path: &str, text: &str, errors: &mut Errors) {
    for inner in template::unknown(text) {
        errors.add(path, format!("unknown placeholder {{{inner}}}; allowed are {}", template::KNOWN));
    }
    if text.contains('\0') {
        errors.add(path, "contains a NUL character, which no program can be given");
    }
    if text.len() >= MAX_ARGUMENT {
        errors.add(path, format!("is {} bytes long; at most {} are allowed", text.len(), MAX_ARGUMENT - 1));
    }
}

fn check_readiness(readiness: &Readiness, ports: &BTreeSet<String>, errors: &mut Errors) {
    if let ReadinessCheck::Http { path } = &readiness.check
        && (!path.starts_with('/') || path.chars().any(|c| c.is_ascii_control() || c == ' ' || !c.is_ascii()))
    {
        let shown = path.escape_debug();
        errors.add("readiness.path", format!("`{shown}` is not a path; it must begin with `/` and hold no blanks"));
    }
    if !ports.is_empty() && !ports.contains(&readiness.port) {
        let known = ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        errors
            .add("readiness.port", format!("`{}` is not a port of this group; its ports are {known}", readiness.port));
    }
    errors.wait("readiness.intervalSeconds", readiness.interval, MIN_INTERVAL);
    errors.wait("readiness.timeoutSeconds", readiness.timeout, Duration::from_millis(1));
    if readiness.failure_threshold == 0 {
        errors.add("readiness.failureThreshold", "is 0; it must be at least 1");
    }
}

fn check_restart(restart: &RestartPolicy, errors: &mut Errors) {
    errors.wait("restartBackoff.initialSeconds", restart.initial, Duration::from_millis(1));
    errors.wait("restartBackoff.maxSeconds", restart.max, Duration::from_millis(1));
    errors.wait("restart.stableAfter", restart.stable_after, Duration::ZERO);
    if restart.max < restart.initial {
        let (max, initial) = (restart.max.as_secs_f64(), restart.initial.as_secs_f64());
        let message = format!("{max} is less than restartBackoff.initialSeconds, {initial}; it must be at least that");
        errors.add("restartBackoff.maxSeconds", message);
    }
}

fn check_log(log: &LogLimits, errors: &mut Errors) {
    errors.number("log.lines", log.lines as u64, 1, 1_000_000);
    errors.number("log.bytes", log.bytes as u64, 1 << 10, 1 << 30);
    errors.number("log.lineBytes", log.line_bytes as u64, 80, 1 << 20);
    errors.number("log.fileBytes", log.file_bytes, 1 << 10, 1 << 40);
    errors.number("log.files", u64::from(log.files), 1, 100);
}

struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(FieldError { path: path.to_owned(), message: message.into() });
    }

    fn wait(&mut self, path: &str, value: Duration, least: Duration) {
        if value < least || value > MAX_WAIT {
            let [value, least, most] = [value, least, MAX_WAIT].map(|wait| wait.as_secs_f64());
            self.add(path, format!("{value} is out of range; allowed are {least} to {most} seconds"));
        }
    }

    fn number(&mut self, path: &str, value: u64, least: u64, most: u64) {
        if value < least || value > most {
            self.add(path, format!("{value} is out of range; allowed are {least} to {most}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(GroupSpec::new("chat", ["engine", "--port", "{port}"]).validate(), []);
    }

    #[test]
    fn every_error_is_reported_with_its_field_and_what_is_allowed() {
        let mut spec = GroupSpec::new("Chat_", ["engine", "{prot}", "{port:grpc}"]);
        spec.env.insert("CUDA_VISIBLE_DEVICES".into(), "0".into());
        spec.env.insert("A=B".into(), "x\0".into());
        spec.gpus_per_replica = 1;
        spec.working_dir = Some("".into());
        spec.readiness = Readiness {
            check: ReadinessCheck::Http { path: "health".into() },
            interval: Duration::ZERO,
            failure_threshold: 0,
            ..Readiness::default()
        };
        spec.start_timeout = Duration::ZERO;
        spec.restart.max = Duration::from_millis(500);
        spec.log.files = 0;
        let errors = spec.validate();
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        let expected = [
            "name",
            "command[1]",
            "env.A=B",
            "env.A=B",
            "env.CUDA_VISIBLE_DEVICES",
            "workingDir",
            "readiness.path",
            "readiness.port",
            "readiness.intervalSeconds",
            "readiness.failureThreshold",
            "startTimeoutSeconds",
            "restartBackoff.maxSeconds",
            "log.files",
        ];
        assert_eq!(paths, expected);
        let said = |path: &str| errors.iter().find(|error| error.path == path).unwrap().to_string();
        assert_eq!(
            said("command[1]"),
            "command[1]: unknown placeholder {prot}; allowed are {port}, {port:NAME}, {index}, {name}"
        );
        assert_eq!(said("readiness.port"), "readiness.port: `http` is not a port of this group; its ports are grpc");
        let range = "startTimeoutSeconds: 0 is out of range; allowed are 0.001 to 86400 seconds";
        assert_eq!(said("startTimeoutSeconds"), range);
        assert_eq!(said("log.files"), "log.files: 0 is out of range; allowed are 1 to 100");
    }

    #[test]
    fn a_command_without_program_or_port_is_refused() {
        let paths = |command: &[&str]| {
            GroupSpec::new("a", command.iter().copied()).validate().into_iter().map(|e| e.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(&[]), ["command"]);
        assert_eq!(paths(&["", "{port}"]), ["command"]);
        assert_eq!(paths(&["engine", "--port", "80"]), ["command"]);
    }

    #[test]
    fn a_port_may_come_by_environment() {
        let mut spec = GroupSpec::new("a", ["engine"]);
        spec.env.insert("PORT".into(), "{port}".into());
        assert_eq!(spec.validate(), []);
    }
}
