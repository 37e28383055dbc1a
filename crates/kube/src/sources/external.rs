//! A metric of something outside the cluster, from external.metrics.k8s.io.

use super::error::{Needs, SourceError};
use super::get::{Get, get, within};
use super::list::{Items, Quantity};
use super::path::{query, segment, selector};
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

const GROUP: &str = "external.metrics.k8s.io";

/// The values of all series of the metric that carry the labels, in the metric's unit; at least one. Without labels these are
/// all series of it, as for AIBrix, whose selector is everything. Whoever sums them counts on each: one that cannot be read
/// is an error for all.
pub(crate) async fn external_metric(
    client: &Client,
    namespace: &str,
    metric: &str,
    labels: &BTreeMap<String, String>,
    deadline: Duration,
) -> Result<Vec<f64>, SourceError> {
    let (of, name) = (segment("namespace", namespace)?, segment("metric", metric)?);
    let labels = selector(labels)?;
    let path = format!("/apis/{GROUP}/v1beta1/namespaces/{of}/{name}{}", query(&[("labelSelector", &labels)]));
    // For a role, the metric's name is the resource.
    let resource = metric.to_owned();
    let needs = Needs::Resource { verb: "list", group: GROUP, resource, namespace: namespace.to_owned() };
    let list: ValueList = within(deadline, get(client, Get { path, group: GROUP, needs })).await?;
    if list.items.0.is_empty() {
        let text = format!("{GROUP} has no series of {metric:?} with these labels; check the name and the labels");
        return Err(SourceError::Empty(text));
    }
    let values = list.items.0.into_iter().map(|item| item?.value.value());
    let unreadable = || SourceError::Malformed("one of the series has no quantity".to_owned());
    values.collect::<Option<_>>().ok_or_else(unreadable)
}

#[derive(Deserialize)]
struct ValueList {
    items: Items<Value>,
}

#[derive(Deserialize)]
struct Value {
    value: Quantity,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{answering, silent};
    use serde_json::{Value as Json, json};

    const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/models/queue%20depth";
    const SELECTED: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/models/queue%20depth\
                            ?labelSelector=scaledobject.keda.sh%2Fname%3Dchat%2Ctopic%3Dt";
    const LIMIT: Duration = Duration::from_secs(1);

    async fn read(status: u16, body: String) -> Result<Vec<f64>, SourceError> {
        let (client, served) = answering([(PATH, status, body)]);
        let found = external_metric(&client, "models", "queue depth", &BTreeMap::new(), LIMIT).await;
        served.await.unwrap();
        found
    }

    async fn items(items: Json) -> Result<Vec<f64>, SourceError> {
        read(200, json!({"kind": "ExternalMetricValueList", "items": items}).to_string()).await
    }

    #[tokio::test]
    async fn every_series_is_given_and_labels_select() {
        let body = json!({"items": [
            {"metricName": "queue depth", "metricLabels": {}, "timestamp": "2026-03-01T10:00:00Z", "value": "1500m"},
            {"value": "-2"}, {"value": 3}]});
        assert_eq!(items(body["items"].clone()).await, Ok(vec![1.5, -2.0, 3.0]));
        let (client, served) = answering([(SELECTED, 200, body.to_string())]);
        let labels = [("topic", "t"), ("scaledobject.keda.sh/name", "chat")];
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        assert_eq!(external_metric(&client, "models", "queue depth", &labels, LIMIT).await, Ok(vec![1.5, -2.0, 3.0]));
        served.await.unwrap();
    }

    #[tokio::test]
    async fn an_empty_list_is_an_error_and_not_zero() {
        for empty in [json!([]), Json::Null] {
            assert!(matches!(items(empty).await, Err(SourceError::Empty(_))));
        }
    }

    #[tokio::test]
    async fn one_unreadable_series_spoils_the_sum() {
        for odd in [json!({"value": "much"}), json!({}), json!(7)] {
            let found = items(json!([{"value": "1"}, odd])).await;
            assert!(matches!(found, Err(SourceError::Malformed(_))), "{found:?}");
        }
    }

    #[tokio::test]
    async fn an_adapters_own_words_are_shown() {
        let said = |message: &str| json!({"kind": "Status", "message": message}).to_string();
        let failed = read(500, said("scaler with id 0 is not found")).await.unwrap_err().to_string();
        assert_eq!(failed, "the server answered with status 500: scaler with id 0 is not found");
        let forbidden = read(403, said("no")).await.unwrap_err().to_string();
        assert!(forbidden.contains("verb \"list\" on resource \"queue depth\" of API group"), "{forbidden}");
        let busy = read(429, String::new()).await;
        assert_eq!(busy, Err(SourceError::Busy { after: Some(Duration::from_secs(7)) }));
        let absent = read(404, "404 page not found\n".to_owned()).await.unwrap_err().to_string();
        assert!(absent.starts_with("external.metrics.k8s.io is not served; install"), "{absent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_api_ends_at_the_deadline() {
        let (client, _held) = silent();
        let found = external_metric(&client, "models", "queue depth", &BTreeMap::new(), LIMIT).await;
        assert_eq!(found, Err(SourceError::TimedOut));
    }
}
