//! `optimizer`: the GPU optimizer as a service.

use anyhow::Context;
use gpu_optimizer::{Config, Options, RedisConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads what requests arrive and how large they are, and answers how many replicas each deployment of a model should have, so that
all of them together cost least and hold the SLO of their profiles. It scales nothing: AIBrix's controller, this program's own or
anything else that reads Prometheus' text format asks GET /metrics/{namespace}/{deployment}, which answers hundredths of a replica.
GET / is a page, GET /api/v1/models the same as JSON, GET /metrics the optimizer's own metrics.

A configuration:
  redis: {url: \"redis://localhost:6379/0\"}
  models:
    - name: llama2-7b
      profiles: [profiles/]
      deployments:
        - {namespace: default, name: llama-a100, gpu: a100, cost: 3.67, max: 8, current: 1}
        - {namespace: default, name: llama-a40, gpu: a40, cost: 1.01, max: 8, current: 2}

Examples:
  aibrix-autoscaler optimizer --config optimizer.yaml
  aibrix-autoscaler optimizer --kubernetes --redis redis://aibrix-redis-master.aibrix-system:6379/0
  aibrix-autoscaler optimizer --config optimizer.yaml --listen 127.0.0.1:8080 --state optimizer.json
  curl localhost:8080/metrics/default/llama-a100"
)]
pub(crate) struct OptimizerArgs {
    /// Models, deployments, profiles and sources, in YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Where AIBrix's gateway writes its traces; goes before the configuration's. A password is taken from REDIS_PASSWORD
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// The same as AIBrix has it, with REDIS_PORT; counts where nothing else says where Redis is
    #[arg(long, value_name = "HOST", env = "REDIS_HOST", hide_env_values = true)]
    redis_host: Option<String>,
    /// The port that goes with it
    #[arg(long, value_name = "PORT", env = "REDIS_PORT", default_value = "6379", hide_env_values = true)]
    redis_port: u16,
    /// Watch Deployments with AIBrix's label, and ConfigMaps of profiles with it
    #[arg(long)]
    kubernetes: bool,
    /// Plan for so many times the load; goes before the configuration's
    #[arg(long, value_name = "FACTOR")]
    headroom: Option<f64>,
    /// Keep what was learnt and planned in this file, for the next start
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

pub(crate) fn run(args: OptimizerArgs) -> anyhow::Result<ExitCode> {
    super::install_tls();
    let config = config(&args)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let stop = super::stop_on_signal();
        let kubernetes = if args.kubernetes {
            let cluster = autoscaler_kube::Config::infer().await;
            Some(cluster.context("no cluster: neither a kubeconfig nor a service account")?)
        } else {
            None
        };
        gpu_optimizer::run(config, Options { listen: args.listen, state: args.state, kubernetes }, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The file's configuration, with what the command line says in its place.
fn config(args: &OptimizerArgs) -> anyhow::Result<Config> {
    let mut config = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let env = || args.redis_host.as_ref().map(|host| format!("redis://{host}:{}/0", args.redis_port));
    let url = args.redis.clone().or_else(|| if config.redis.is_none() { env() } else { None });
    if let Some(url) = url {
        let configured = config.redis.take().unwrap_or_else(|| RedisConfig::at(String::new()));
        config.redis = Some(RedisConfig { url, ..configured });
    }
    if let Some(headroom) = args.headroom {
        config.settings.headroom = headroom;
    }
    config.validate()?;
    if config.models.is_empty() && !args.kubernetes {
        let message = "nothing to plan for: give models with --config, or --kubernetes to find them";
        return Err(crate::output::Usage(message.to_owned()).into());
    }
    Ok(config)
}
