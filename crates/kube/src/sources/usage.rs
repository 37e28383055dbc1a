//! What pods use of cpu and memory, from metrics.k8s.io. Must not know what it is compared with.

use super::error::{Needs, SourceError};
use super::get::{Get, get, within};
use super::list::{Items, Quantity};
use super::path::{query, segment};
use autoscaler_api::gosyntax::parse_duration;
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

const GROUP: &str = "metrics.k8s.io";

/// What one pod uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodUsage {
    /// By resource (`cpu`, `memory`), in thousandths of the unit (millicores; bytes × 1000), over all containers; not
    /// negative. A resource that one of the containers does not report is left out: the rest of them would be too little.
    pub(crate) usage: BTreeMap<String, i64>,
    /// When it was measured.
    pub(crate) at: jiff::Timestamp,
    /// The span that it was averaged over.
    pub(crate) window: Duration,
}

/// The usage of the pods that fit the label selector, by name. A pod whose entry cannot be read is left out, as one without
/// an entry is (metrics-server needs some seconds for a new pod); where that leaves nothing, it is an error.
pub(crate) async fn pod_usage(
    client: &Client,
    namespace: &str,
    selector: &str,
    deadline: Duration,
) -> Result<BTreeMap<String, PodUsage>, SourceError> {
    let of = segment("namespace", namespace)?;
    let path = format!("/apis/{GROUP}/v1beta1/namespaces/{of}/pods{}", query(&[("labelSelector", selector)]));
    let resource = "pods".to_owned();
    let needs = Needs::Resource { verb: "list", group: GROUP, resource, namespace: namespace.to_owned() };
    let list: PodList = within(deadline, get(client, Get { path, group: GROUP, needs })).await?;
    let count = list.items.0.len();
    let pods: BTreeMap<_, _> = list.items.0.into_iter().flatten().filter_map(usage).collect();
    match (pods.is_empty(), count) {
        (false, _) => Ok(pods),
        (true, 0) => Err(SourceError::Empty(format!(
            "{GROUP} has no entry for any of the pods; metrics-server needs some seconds for a new one"
        ))),
        (true, _) => Err(SourceError::Malformed("none of the pods' entries has a name, a time and usage".to_owned())),
    }
}

#[derive(Deserialize)]
struct PodList {
    items: Items<PodMetrics>,
}

#[derive(Deserialize)]
struct PodMetrics {
    metadata: Metadata,
    timestamp: String,
    window: String,
    containers: Items<Container>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct Container {
    usage: Usage,
}

/// The two resources that are scaled by; the others a node reports (ephemeral storage) are not.
#[derive(Deserialize)]
struct Usage {
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
}

fn usage(pod: PodMetrics) -> Option<(String, PodUsage)> {
    let at = pod.timestamp.parse().ok()?;
    let window = parse_duration(&pod.window).ok()??;
    let containers: Vec<Usage> = pod
        .containers
        .0
        .into_iter()
        .map(|one| Some(one?.usage))
        .collect::<Option<_>>()
        .filter(|all: &Vec<_>| !all.is_empty())?;
    let cpu = sum(containers.iter().map(|one| one.cpu.as_ref()));
    let memory = sum(containers.iter().map(|one| one.memory.as_ref()));
    let usage: BTreeMap<_, _> = [("cpu", cpu), ("memory", memory)]
        .into_iter()
        .filter_map(|(name, sum)| Some((name.to_owned(), sum?)))
        .collect();
    (!usage.is_empty()).then_some((pod.metadata.name, PodUsage { usage, at, window }))
}

/// The sum in thousandths; none where one is missing, unreadable or negative.
fn sum<'a>(mut quantities: impl Iterator<Item = Option<&'a Quantity>>) -> Option<i64> {
    quantities.try_fold(0_i64, |sum, one| {
        let milli = one?.milli().filter(|&milli| milli >= 0)?;
        Some(sum.saturating_add(milli))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{answering, silent};
    use serde_json::{Value, json};

    const PATH: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/models/pods?labelSelector=app%3Dchat";
    const LIMIT: Duration = Duration::from_secs(1);

    fn pod(name: &str, containers: &Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "models"}, "timestamp": "2026-03-01T10:00:00Z",
               "window": "1m0.5s", "containers": containers})
    }

    async fn read(status: u16, body: String) -> Result<BTreeMap<String, PodUsage>, SourceError> {
        let (client, served) = answering([(PATH, status, body)]);
        let usage = pod_usage(&client, "models", "app=chat", LIMIT).await;
        served.await.unwrap();
        usage
    }

    async fn items(items: Value) -> Result<BTreeMap<String, PodUsage>, SourceError> {
        read(200, json!({"kind": "PodMetricsList", "items": items}).to_string()).await
    }

    #[tokio::test]
    async fn containers_are_summed_in_thousandths() {
        let two = json!([
            {"name": "engine", "usage": {"cpu": "1500m", "memory": "2Ki"}},
            {"name": "sidecar", "usage": {"cpu": "250100000n", "memory": "1", "ephemeral-storage": "1Gi"}}]);
        let found = items(json!([pod("a", &two)])).await.unwrap();
        let expected = PodUsage {
            usage: [("cpu".to_owned(), 1751), ("memory".to_owned(), 2_049_000)].into(),
            at: "2026-03-01T10:00:00Z".parse().unwrap(),
            window: Duration::from_millis(60_500),
        };
        assert_eq!(found, [("a".to_owned(), expected)].into());
    }

    #[tokio::test]
    async fn a_pod_that_cannot_be_read_is_left_out_and_is_not_zero() {
        let good = json!([{"usage": {"cpu": "1"}}]);
        let mut undated = pod("undated", &good);
        undated["timestamp"] = Value::Null;
        let mut windowless = pod("windowless", &good);
        windowless["window"] = json!("-5s");
        let found = items(json!([
            pod("a", &good),
            pod("half", &json!([{"usage": {"cpu": "1", "memory": "5"}}, {"usage": {"cpu": "1", "memory": "five"}}])),
            pod("empty", &json!([])),
            pod("null", &Value::Null),
            pod("silent", &json!([{"usage": {}}])),
            pod("partly", &json!([{"usage": {"cpu": "1"}}, {}])),
            pod("wrong", &json!([{"usage": {"cpu": "1 core"}}])),
            pod("negative", &json!([{"usage": {"cpu": "-1"}}])),
            pod("huge", &json!([{"usage": {"cpu": "9E"}}, {"usage": {"cpu": "9E"}}])),
            undated,
            windowless,
            7
        ]))
        .await
        .unwrap();
        let cpu: Vec<_> = found.iter().map(|(name, pod)| (name.as_str(), pod.usage["cpu"])).collect();
        assert_eq!(cpu, [("a", 1000), ("half", 2000), ("huge", i64::MAX)]);
        assert!(!found["half"].usage.contains_key("memory"));
    }

    #[tokio::test]
    async fn no_entry_at_all_is_an_error() {
        assert!(matches!(items(json!([])).await, Err(SourceError::Empty(_))));
        assert!(matches!(items(Value::Null).await, Err(SourceError::Empty(_))));
        assert!(matches!(items(json!([7])).await, Err(SourceError::Malformed(_))));
        assert!(matches!(read(200, "{}".to_owned()).await, Err(SourceError::Malformed(_))));
    }

    #[tokio::test]
    async fn an_absent_or_forbidden_api_says_what_to_do() {
        let absent = read(404, "404 page not found\n".to_owned()).await.unwrap_err();
        assert_eq!(absent.to_string(), "metrics.k8s.io is not served; install metrics-server");
        let forbidden =
            read(403, json!({"kind": "Status", "message": "no"}).to_string()).await.unwrap_err().to_string();
        assert!(
            forbidden.contains("verb \"list\" on resource \"pods\" of API group \"metrics.k8s.io\""),
            "{forbidden}"
        );
    }

    #[tokio::test]
    async fn a_list_of_a_whole_cluster_is_refused() {
        let one = pod("a", &json!([{"usage": {"cpu": "1"}}]));
        let refused = items(vec![one; crate::sources::list::MAX_ITEMS + 1].into()).await;
        assert_eq!(refused, Err(SourceError::Malformed("a list of more than 10000 items".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_api_ends_at_the_deadline() {
        let (client, _held) = silent();
        assert_eq!(pod_usage(&client, "models", "app=chat", LIMIT).await, Err(SourceError::TimedOut));
    }
}
