//! `controller`: the Kubernetes world.

use crate::values::span;
use anyhow::Context;
use autoscaler_kube::{Config, Options, Webhook};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Connects as kubectl does: with KUBECONFIG, else ~/.kube/config, else the pod's service account. The manifests in config/ run it
in a cluster, with the rights that it needs and no more.

Examples:
  aibrix-autoscaler controller
  aibrix-autoscaler controller --namespace models --no-leader-election
  aibrix-autoscaler controller --selector shard=a --lease aibrix-autoscaler-a
  aibrix-autoscaler controller --webhook 0.0.0.0:9443 --webhook-certificate tls.crt --webhook-key tls.key"
)]
pub(crate) struct ControllerArgs {
    /// Between two decisions of an object
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "5s")]
    interval: Duration,
    /// A status in which only measured values have changed is written this often; anything else is written at once
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "15s")]
    status_interval: Duration,
    /// A metrics page's deadline
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "1s")]
    scrape_timeout: Duration,
    /// Look at this namespace only
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Look at PodAutoscalers with these labels only; controllers with different selectors and leases share a cluster
    #[arg(long, value_name = "LABELS")]
    selector: Option<String>,
    /// Look at pods with these labels only, which costs less memory
    #[arg(long, value_name = "LABELS")]
    pod_selector: Option<String>,
    /// Write without a lease; there must be no other controller then
    #[arg(long)]
    no_leader_election: bool,
    /// The name of the lease, and of what is remembered
    #[arg(long, value_name = "NAME", default_value = "aibrix-autoscaler")]
    lease: String,
    /// How long others wait after the leader's last renewal; the leader stops after two thirds of it
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "15s")]
    lease_duration: Duration,
    /// Where the lease and the memory are; the controller's own namespace where absent
    #[arg(long, value_name = "NAME")]
    lease_namespace: Option<String>,
    /// Where /healthz and /readyz are
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8081")]
    health: SocketAddr,
    /// Where the controller's own /metrics are
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    metrics: SocketAddr,
    /// Do not mark the least busy pods to be deleted first
    #[arg(long)]
    no_deletion_cost: bool,
    /// Ask for streamed lists, which servers have since Kubernetes 1.32
    #[arg(long)]
    streaming_lists: bool,
    /// Write down what is observed and decided, for `decide --against`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Serve the validating webhook here, at /validate
    #[arg(long, value_name = "ADDR", requires_all = ["webhook_certificate", "webhook_key"])]
    webhook: Option<SocketAddr>,
    /// The webhook's certificate chain in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_certificate: Option<PathBuf>,
    /// The key of it in PEM
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_key: Option<PathBuf>,
}

pub(crate) fn run(args: ControllerArgs) -> anyhow::Result<ExitCode> {
    super::install_tls();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let stop = super::stop_on_signal();
        let config = Config::infer().await.context("no cluster: neither a kubeconfig nor a service account")?;
        let options = Options {
            interval: args.interval,
            status_interval: args.status_interval,
            scrape_timeout: args.scrape_timeout,
            namespace: args.namespace,
            selector: args.selector,
            pod_selector: args.pod_selector,
            leader_election: !args.no_leader_election,
            home: args.lease_namespace,
            lease: args.lease,
            lease_duration: args.lease_duration,
            health: args.health,
            metrics: args.metrics,
            deletion_cost: !args.no_deletion_cost,
            streaming_lists: args.streaming_lists,
            record: args.record,
            webhook: args
                .webhook
                .zip(args.webhook_certificate.zip(args.webhook_key))
                .map(|(address, (certificate, key))| Webhook { address, certificate, key }),
        };
        autoscaler_kube::run(options, config, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}
