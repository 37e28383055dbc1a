//! The loads that a run sends at its own gateway.

use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;
use workload::Arrival;
use workload::client::{self, Config};
use workload::score::Slo;

/// One load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The model that is asked for.
    pub model: String,
    /// What is sent, in order.
    pub arrivals: Vec<Arrival>,
}

/// Sends all loads at once, and ends when the last of them has ended.
pub(crate) async fn send_all(
    loads: Vec<Load>,
    gateway: SocketAddr,
    speed: f64,
    slo: Slo,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for load in loads {
        let mut config = Config::new(format!("http://{gateway}"), load.model);
        (config.speed, config.slo) = (speed, slo);
        let arrivals = load.arrivals.into_iter().map(Ok::<_, std::convert::Infallible>);
        let stop = stop.clone();
        tasks.spawn(async move { client::run(config, arrivals, stop, |_| {}).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
