//! `top`: the live table of an autoscaler that runs elsewhere.

use crate::output;
use crate::values::endpoint;
use anyhow::Context;
use autoscaler_up::table::{Table, render};
use autoscaler_up::view::View;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  aibrix-autoscaler top
  aibrix-autoscaler top http://127.0.0.1:9000 --once")]
pub(crate) struct TopArgs {
    /// Where the autoscaler's page is
    #[arg(default_value = "http://127.0.0.1:8090", value_parser = endpoint)]
    url: String,
    /// Print one picture and exit
    #[arg(long)]
    once: bool,
}

/// Between two pictures.
const EVERY: Duration = Duration::from_secs(1);
/// An answer of a local page that takes longer will not come.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    super::install_tls();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(args))
}

async fn watch(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let url = format!("{}/api/v1/state", args.url.trim_end_matches('/'));
    let mut table = if args.once { None } else { Table::on_terminal() };
    let stop = super::stop_on_signal();
    loop {
        let view = picture(&client, &url).await?;
        let Some(table) = &mut table else {
            output::print(&format!("{}\n", render(&view).join("\n")))?;
            return Ok(ExitCode::SUCCESS);
        };
        table.draw(&view);
        tokio::select! {
            () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn picture(client: &reqwest::Client, url: &str) -> anyhow::Result<View> {
    let response = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let body = response.with_context(|| format!("{url} does not answer"))?.bytes().await?;
    serde_json::from_slice(&body).with_context(|| format!("{url} is no autoscaler's page"))
}
