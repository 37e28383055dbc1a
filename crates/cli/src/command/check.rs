//! `check`: every error of every manifest, and what becomes of old annotations.

use crate::output;
use autoscaler_api::manifest::Finding;
use autoscaler_api::{Diagnostic, Manifest, Severity};
use autoscaler_up::knowledge::{self, Basis};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints each finding as FILE: path: message (allowed: …), and exits with 1 where there is an error.

Examples:
  aibrix-autoscaler check autoscaler.yaml
  aibrix-autoscaler check manifests/*.yaml --json"
)]
pub(crate) struct CheckArgs {
    /// Manifests in YAML or JSON; - reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    let mut manifests = Vec::new();
    for path in &args.files {
        match super::read_text(path) {
            Ok(text) => manifests.push(autoscaler_api::read(&path.display().to_string(), &text)),
            Err(error) => {
                failed = true;
                output::error(&error);
            }
        }
    }
    // Names and targets are looked at across all files, so nothing can be printed before all are read.
    autoscaler_api::manifest::between(&mut manifests);
    for manifest in &manifests {
        failed |= !manifest.is_valid();
        let mut lines: String = manifest.findings.iter().map(|finding| line(finding, args.json) + "\n").collect();
        for finding in plans(manifest) {
            failed |= finding.diagnostic.is_error();
            lines += &(line(&finding, args.json) + "\n");
        }
        output::print(&lines)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the local world's plans will rest on: the files that a manifest names are looked at from where it is.
fn plans(manifest: &Manifest) -> Vec<Finding> {
    if !manifest.is_valid() {
        return Vec::new();
    }
    let file = manifest.file();
    let said = knowledge::findings(manifest, knowledge::folder(file)).into_iter().map(|(name, basis)| match basis {
        Ok(Basis { known: Some(_), said }) => Diagnostic::note("spec.profiles", format!("{name} {said}")),
        Ok(Basis { known: None, said }) => Diagnostic::warning("spec.profiles", format!("{name}: {said}")),
        Err(problem) => {
            let (path, message) = problem.split_once(": ").unwrap_or(("spec.profiles", &problem));
            Diagnostic::error(path, message)
        }
    });
    let place = |diagnostic| Finding { file: file.to_owned(), document: (0, 0), line: 0, diagnostic };
    said.map(place).collect()
}

fn line(finding: &Finding, json: bool) -> String {
    if !json {
        return finding.to_string();
    }
    let said = &finding.diagnostic;
    let severity = match said.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    // A finding about a file as a whole has no document.
    let document = Some(finding.document.0).filter(|number| *number > 0);
    serde_json::json!({ "file": finding.file, "severity": severity, "path": said.path, "message": said.message,
        "allowed": said.allowed, "document": document, "line": finding.line })
    .to_string()
}
