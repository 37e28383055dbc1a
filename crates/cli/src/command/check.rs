//! `check`: every error of every manifest, and what becomes of old annotations.

use crate::output;
use autoscaler_api::Severity;
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
    for path in &args.files {
        let name = path.display().to_string();
        let text = match super::read_text(path) {
            Ok(text) => text,
            Err(error) => {
                failed = true;
                output::error(&error);
                continue;
            }
        };
        let manifest = autoscaler_api::read(&name, &text);
        failed |= !manifest.is_valid();
        let mut lines = String::new();
        for finding in &manifest.findings {
            if args.json {
                let said = &finding.diagnostic;
                let severity = match said.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                    Severity::Note => "note",
                };
                let line = serde_json::json!({ "file": name, "severity": severity, "path": said.path,
                    "message": said.message, "allowed": said.allowed, "line": finding.line });
                lines.push_str(&line.to_string());
                lines.push('\n');
            } else {
                lines.push_str(&finding.to_string());
                lines.push('\n');
            }
        }
        output::print(&lines)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
