//! What the controller is told on its command line, with every default filled in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the controller runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Between two decisions of an object.
    pub interval: Duration,
    /// A status in which only measured values differ is written this often: each write is an event for everybody who watches.
    pub status_interval: Duration,
    /// A metrics page's deadline. Engines answer late exactly when they are busy.
    pub scrape_timeout: Duration,
    /// The only namespace that is looked at; all where absent.
    pub namespace: Option<String>,
    /// The only `PodAutoscalers` that are looked at, by their labels; all where absent. Several controllers, each with a
    /// selector of its own, share a cluster's objects.
    pub selector: Option<String>,
    /// The pods that are looked at, by their labels; all where absent. Fewer pods cost less memory.
    pub pod_selector: Option<String>,
    /// Whether to wait for the lease before anything is written.
    pub leader_election: bool,
    /// Where the lease and the memory are; the pod's own namespace where absent.
    pub home: Option<String>,
    /// The lease's name; it also names the memory, so that shards have their own.
    pub lease: String,
    /// How long others wait after the leader's last renewal before they take the lease.
    pub lease_duration: Duration,
    /// Health and readiness.
    pub health: SocketAddr,
    /// The controller's own metrics.
    pub metrics: SocketAddr,
    /// Whether the least busy pods are marked to go first.
    pub deletion_cost: bool,
    /// Lists are streamed where the server can.
    pub streaming_lists: bool,
    /// A file to write down what is observed and decided.
    pub record: Option<PathBuf>,
    /// Reviews objects before they are stored; not where absent.
    pub webhook: Option<Webhook>,
}

/// How the validating webhook is served.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its certificate chain, in PEM; read again when it changes.
    pub certificate: PathBuf,
    /// The certificate's key, in PEM.
    pub key: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            status_interval: Duration::from_secs(15),
            scrape_timeout: Duration::from_secs(1),
            namespace: None,
            selector: None,
            pod_selector: None,
            leader_election: true,
            home: None,
            lease: "aibrix-autoscaler".to_owned(),
            lease_duration: Duration::from_secs(15),
            health: SocketAddr::from(([0, 0, 0, 0], 8081)),
            metrics: SocketAddr::from(([0, 0, 0, 0], 8080)),
            deletion_cost: true,
            streaming_lists: false,
            record: None,
            webhook: None,
        }
    }
}
