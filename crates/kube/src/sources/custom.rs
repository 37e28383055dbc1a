//! A metric of each pod, from custom.metrics.k8s.io.

use super::discovery::{CustomApi, GROUP};
use super::error::{Needs, SourceError};
use super::get::{Get, get, within};
use super::list::{Items, Quantity};
use super::path::{query, segment, selector};
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The values of the pods that fit the label selector, by name, in the metric's unit. `metric_labels` select series of the
/// metric. A pod whose entry cannot be read is left out, as one without an entry is; where that leaves nothing, it is an
/// error. Of two entries for a pod, which the API does not promise to avoid, the larger counts, in whatever order they come.
pub(crate) async fn pod_metric(
    client: &Client,
    api: &CustomApi,
    namespace: &str,
    pod_selector: &str,
    metric: &str,
    metric_labels: &BTreeMap<String, String>,
    deadline: Duration,
) -> Result<BTreeMap<String, f64>, SourceError> {
    let of = segment("namespace", namespace)?;
    let name = segment("metric", metric)?;
    let labels = selector(metric_labels)?;
    let query = query(&[("labelSelector", pod_selector), ("metricLabelSelector", &labels)]);
    let list = within(deadline, async {
        let version = api.version(client).await?;
        let path = format!("/apis/{GROUP}/{version}/namespaces/{of}/pods/*/{name}{query}");
        let resource = format!("pods/{metric}");
        let needs = Needs::Resource { verb: "get", group: GROUP, resource, namespace: namespace.to_owned() };
        api.checked(get::<ValueList>(client, Get { path, group: GROUP, needs }).await)
    })
    .await?;
    let count = list.items.0.len();
    let mut values = BTreeMap::new();
    for (pod, value) in list.items.0.into_iter().flatten().filter_map(MetricValue::of_object) {
        let known = values.entry(pod).or_insert(value);
        *known = known.max(value);
    }
    match (values.is_empty(), count) {
        (false, _) => Ok(values),
        (true, 0) => Err(SourceError::Empty(format!("{GROUP} has no {metric:?} for any of the pods"))),
        (true, _) => Err(SourceError::Malformed("none of the entries has a pod and a quantity".to_owned())),
    }
}

/// Both versions' list: they differ in where the metric's name is, which we know already.
#[derive(Deserialize)]
pub(super) struct ValueList {
    pub(super) items: Items<MetricValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetricValue {
    described_object: Object,
    pub(super) value: Quantity,
}

#[derive(Deserialize)]
struct Object {
    name: String,
}

impl MetricValue {
    fn of_object(self) -> Option<(String, f64)> {
        let value = self.value.value()?;
        Some((self.described_object.name, value)).filter(|(name, _)| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{answering, silent, versions};
    use serde_json::{Value, json};

    const LIMIT: Duration = Duration::from_secs(1);
    const DISCOVERY: &str = "/apis/custom.metrics.k8s.io";
    const NEWER: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/models/pods/*/vllm:queue\
                         ?labelSelector=app%3Dchat&metricLabelSelector=model%3Dm";
    const OLDER: &str = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/models/pods/*/vllm:queue\
                         ?labelSelector=app%3Dchat&metricLabelSelector=model%3Dm";

    async fn ask(client: &Client, api: &CustomApi) -> Result<BTreeMap<String, f64>, SourceError> {
        let labels = [("model".to_owned(), "m".to_owned())].into();
        pod_metric(client, api, "models", "app=chat", "vllm:queue", &labels, LIMIT).await
    }

    fn entry(pod: &str, value: &str) -> Value {
        json!({"describedObject": {"kind": "Pod", "name": pod, "apiVersion": "/v1"}, "metric": {"name": "vllm:queue"},
               "timestamp": "2026-03-01T10:00:00Z", "value": value, "selector": null})
    }

    async fn items(items: Value) -> Result<BTreeMap<String, f64>, SourceError> {
        let body = json!({"kind": "MetricValueList", "items": items}).to_string();
        let (client, done) = answering([(DISCOVERY, 200, versions(&["v1beta2"])), (NEWER, 200, body)]);
        let found = ask(&client, &CustomApi::default()).await;
        done.await.unwrap();
        found
    }

    #[tokio::test]
    async fn values_come_by_pod_and_a_negative_one_as_it_is() {
        let found = items(json!([entry("a", "1500m"), entry("b", "-2"), entry("c", "3k")])).await.unwrap();
        assert_eq!(found, [("a".to_owned(), 1.5), ("b".to_owned(), -2.0), ("c".to_owned(), 3000.0)].into());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_left_out_and_nothing_at_all_is_an_error() {
        let found = items(json!([entry("a", "7"), entry("b", "x"), entry("", "1"), {"value": "1"}, 7])).await.unwrap();
        assert_eq!(found, [("a".to_owned(), 7.0)].into());
        assert!(matches!(items(json!([entry("b", "x")])).await, Err(SourceError::Malformed(_))));
        assert!(matches!(items(json!([])).await, Err(SourceError::Empty(_))));
        assert!(matches!(items(Value::Null).await, Err(SourceError::Empty(_))));
    }

    #[tokio::test]
    async fn the_order_of_two_entries_for_a_pod_does_not_matter() {
        for (first, second) in [("1", "2"), ("2", "1")] {
            assert_eq!(items(json!([entry("a", first), entry("a", second)])).await.unwrap()["a"], 2.0);
        }
    }

    #[tokio::test]
    async fn the_version_is_looked_for_again_where_it_is_served_no_longer() {
        let body = json!({"items": [entry("a", "1")]}).to_string();
        let (client, done) = answering([
            (DISCOVERY, 200, versions(&["v1beta2", "v1beta1"])),
            (NEWER, 200, body.clone()),
            (NEWER, 404, "404 page not found\n".to_owned()),
            (DISCOVERY, 200, versions(&["v1beta1"])),
            (OLDER, 200, body),
        ]);
        let api = CustomApi::default();
        assert!(ask(&client, &api).await.is_ok());
        assert_eq!(ask(&client, &api).await, Err(SourceError::NotInstalled { group: GROUP.to_owned() }));
        assert!(ask(&client, &api).await.is_ok());
        done.await.unwrap();
    }

    #[tokio::test]
    async fn an_unknown_metric_and_a_missing_right_are_named() {
        let said = |message: &str| json!({"kind": "Status", "message": message}).to_string();
        let (client, done) = answering([
            (DISCOVERY, 200, versions(&["v1beta2"])),
            (NEWER, 404, said("the server could not find the metric vllm:queue for pods")),
            (NEWER, 403, said("no")),
        ]);
        let api = CustomApi::default();
        let unknown = ask(&client, &api).await.unwrap_err().to_string();
        assert_eq!(unknown, "not found: the server could not find the metric vllm:queue for pods");
        let forbidden = ask(&client, &api).await.unwrap_err().to_string();
        assert!(forbidden.contains("verb \"get\" on resource \"pods/vllm:queue\""), "{forbidden}");
        done.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn discovery_is_within_the_deadline() {
        let (client, _held) = silent();
        assert_eq!(ask(&client, &CustomApi::default()).await, Err(SourceError::TimedOut));
    }
}
