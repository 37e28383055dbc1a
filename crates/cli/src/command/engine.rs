//! `engine`: a stand-in engine.

use crate::output;
use standin::ConfigError;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  aibrix-autoscaler engine --port 8000 --model chat --engine a100-8b
  aibrix-autoscaler engine --engine l4-8b --startup-delay 20s --speed 5
  aibrix-autoscaler engine --fail slow-metrics=2s

  curl -N 127.0.0.1:8000/v1/completions -H 'content-type: application/json' \\
    -d '{\"prompt\": \"a few words\", \"max_tokens\": 20, \"stream\": true}'")]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    standin: standin::Args,
}

pub(crate) fn run(args: EngineArgs) -> anyhow::Result<ExitCode> {
    let config = standin::Config::try_from(args.standin).map_err(|error| match error {
        // The file is named rightly, and is wrong itself.
        ConfigError::File { .. } => anyhow::Error::from(error),
        ConfigError::Spec { .. } | ConfigError::UnknownEngine { .. } | ConfigError::Speed(_) => {
            output::Usage(error.to_string()).into()
        }
    })?;
    let model = config.model.clone();
    let ready = move |address| output::note(&format!("{model} is served at http://{address}"));
    // One engine needs no more threads than its one model: dozens of them run beside each other.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = super::stop_on_signal();
        standin::run(config, ready, stop.cancelled()).await
    })?;
    Ok(ExitCode::SUCCESS)
}
