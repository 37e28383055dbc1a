//! A metric of one object, from custom.metrics.k8s.io: Kubernetes' Object metric.

use super::custom::ValueList;
use super::discovery::{CustomApi, GROUP};
use super::error::{Needs, SourceError, words};
use super::get::{Get, get, within};
use super::path::{query, segment, selector};
use autoscaler_api::v1alpha1::DescribedObject;
use kube::Client;
use std::collections::BTreeMap;
use std::time::Duration;

/// The metric's value for the object, in the metric's unit. The object is one of the namespace, or that `Namespace` itself;
/// no other object without a namespace can be described, lest an autoscaler reads what its owner may not.
pub(crate) async fn object_metric(
    client: &Client,
    api: &CustomApi,
    namespace: &str,
    described: &DescribedObject,
    metric: &str,
    labels: &BTreeMap<String, String>,
    deadline: Duration,
) -> Result<f64, SourceError> {
    let of = segment("namespace", namespace)?;
    let name = segment("metric", metric)?;
    let labels = selector(labels)?;
    let query = query(&[("metricLabelSelector", &labels)]);
    let list = within(deadline, async {
        let (resource, object) = object(client, api, namespace, described).await?;
        let version = api.version(client).await?;
        let path = format!("/apis/{GROUP}/{version}/namespaces/{of}/{object}/{name}{query}");
        // A namespace's own metrics are, for a role, objects called `metrics`.
        let resource = resource.map_or_else(|| "metrics".to_owned(), |resource| format!("{resource}/{metric}"));
        let needs = Needs::Resource { verb: "get", group: GROUP, resource, namespace: namespace.to_owned() };
        api.checked(get::<ValueList>(client, Get { path, group: GROUP, needs }).await)
    })
    .await?;
    let mut items = list.items.0;
    match (items.len(), items.pop()) {
        (0, _) => Err(SourceError::Empty(format!("{GROUP} has no {metric:?} for that object"))),
        (1, Some(Some(item))) => item.value.value().ok_or_else(unreadable),
        (1, _) => Err(unreadable()),
        (count, _) => Err(SourceError::Several { count, hint: "select one series by `labels`" }),
    }
}

fn unreadable() -> SourceError {
    SourceError::Malformed("the entry has no object or no quantity".to_owned())
}

/// The object's resource, which the namespace itself has none of, and its path within the namespace.
async fn object(
    client: &Client,
    api: &CustomApi,
    namespace: &str,
    described: &DescribedObject,
) -> Result<(Option<String>, String), SourceError> {
    let DescribedObject { api_version, kind, name } = described;
    let api_version = api_version.as_deref().filter(|version| !version.is_empty()).unwrap_or("v1");
    if api_version == "v1" && kind == "Namespace" {
        return if name == namespace { Ok((None, "metrics".to_owned())) } else { Err(outside(kind, name, namespace)) };
    }
    let object = segment("described object", name)?;
    let resource = api.resource(client, api_version, kind).await?;
    if !resource.namespaced {
        return Err(outside(kind, name, namespace));
    }
    let path = format!("{}/{object}", segment("resource", &resource.name)?);
    Ok((Some(resource.name), path))
}

fn outside(kind: &str, name: &str, namespace: &str) -> SourceError {
    SourceError::Unaskable(format!(
        "the described object, {} {:?}, is not in the autoscaler's namespace {namespace:?}",
        words(kind),
        words(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{answering, versions};
    use serde_json::{Value, json};

    const DISCOVERY: &str = "/apis/custom.metrics.k8s.io";
    const APPS: &str = "/apis/apps/v1";
    const QUEUE: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/models/deployments.apps/chat/queue";

    fn described(api_version: Option<&str>, kind: &str, name: &str) -> DescribedObject {
        DescribedObject { api_version: api_version.map(str::to_owned), kind: kind.to_owned(), name: name.to_owned() }
    }

    async fn ask(
        client: &Client,
        api: &CustomApi,
        object: &DescribedObject,
        labels: &[&str],
    ) -> Result<f64, SourceError> {
        let labels = labels.iter().map(|&one| (one.to_owned(), "x".to_owned())).collect();
        object_metric(client, api, "models", object, "queue", &labels, Duration::from_secs(1)).await
    }

    fn resources(name: &str, kind: &str, namespaced: bool) -> String {
        json!({"resources": [{"name": name, "kind": kind, "namespaced": namespaced}]}).to_string()
    }

    fn list(values: &[&str]) -> String {
        let items: Vec<Value> =
            values.iter().map(|value| json!({"describedObject": {"name": "chat"}, "value": value})).collect();
        json!({"kind": "MetricValueList", "items": items}).to_string()
    }

    #[tokio::test]
    async fn an_object_is_asked_for_by_its_plural_and_group() {
        let (client, done) = answering([
            (APPS, 200, resources("deployments", "Deployment", true)),
            (DISCOVERY, 200, versions(&["v1beta2"])),
            (QUEUE, 200, list(&["2500m"])),
            ("/api/v1", 200, resources("services", "Service", true)),
            (
                "/apis/custom.metrics.k8s.io/v1beta2/namespaces/models/services/a%3Fb/queue?metricLabelSelector=model%3Dx",
                200,
                list(&["-1"]),
            ),
        ]);
        let api = CustomApi::default();
        assert_eq!(ask(&client, &api, &described(Some("apps/v1"), "Deployment", "chat"), &[]).await, Ok(2.5));
        assert_eq!(ask(&client, &api, &described(None, "Service", "a?b"), &["model"]).await, Ok(-1.0));
        done.await.unwrap();
    }

    #[tokio::test]
    async fn a_namespace_describes_itself_and_no_other() {
        let path = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/models/metrics/queue";
        let forbidden = json!({"kind": "Status", "message": "no"}).to_string();
        let (client, done) = answering([
            (DISCOVERY, 200, versions(&["v1beta1"])),
            (path, 200, list(&["7"])),
            (path, 403, forbidden),
            ("/api/v1", 200, resources("nodes", "Node", false)),
        ]);
        let api = CustomApi::default();
        let own = described(Some("v1"), "Namespace", "models");
        assert_eq!(ask(&client, &api, &own, &[]).await, Ok(7.0));
        let refused = ask(&client, &api, &own, &[]).await.unwrap_err().to_string();
        assert!(refused.contains("verb \"get\" on resource \"metrics\""), "{refused}");
        for other in [described(None, "Namespace", "kube-system"), described(Some("v1"), "Node", "n1")] {
            let refused = ask(&client, &api, &other, &[]).await.unwrap_err().to_string();
            assert!(refused.ends_with("is not in the autoscaler's namespace \"models\""), "{refused}");
        }
        done.await.unwrap();
    }

    #[tokio::test]
    async fn one_value_is_meant() {
        let api = CustomApi::default();
        let object = described(Some("apps/v1"), "Deployment", "chat");
        let (client, done) = answering([
            (APPS, 200, resources("deployments", "Deployment", true)),
            (DISCOVERY, 200, versions(&["v1beta2"])),
            (QUEUE, 200, list(&[])),
            (QUEUE, 200, list(&["1", "2"])),
            (QUEUE, 200, list(&["two"])),
            (QUEUE, 200, json!({"items": [7]}).to_string()),
        ]);
        assert!(matches!(ask(&client, &api, &object, &[]).await, Err(SourceError::Empty(_))));
        assert!(matches!(ask(&client, &api, &object, &[]).await, Err(SourceError::Several { count: 2, .. })));
        for _ in 0..2 {
            assert!(matches!(ask(&client, &api, &object, &[]).await, Err(SourceError::Malformed(_))));
        }
        done.await.unwrap();
    }
}
