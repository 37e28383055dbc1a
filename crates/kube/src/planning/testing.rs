//! What the tests of planning share.

use autoscaler_api::resolved::ResolvedAutoscaler;
use kube::Client;
use serde_json::json;

/// An engine like an 8B model's on an A100.
pub(crate) const ENGINE: &str = r#"{"name": "8b", "gpus": 1, "overheadMs": 3.0, "weightsMs": 9.0, "computeMsPerToken": 0.055,
    "kvNsPerToken": 65.0, "attentionNsPerToken2": 0.9, "kvCapacityTokens": 400000}"#;

/// A hybrid of one to forty replicas.
pub(crate) fn object(name: &str) -> ResolvedAutoscaler {
    let object = serde_json::from_value(json!({
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler",
        "metadata": {"name": name, "namespace": "ml"},
        "spec": {"scalingStrategy": "Hybrid", "minReplicas": 1, "maxReplicas": 40,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "metricsSources": [{"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
                "targetMetric": "num_requests_running", "targetValue": "20"}]},
    }));
    autoscaler_api::resolve(&object.unwrap()).unwrap()
}

/// A client without a server.
pub(crate) fn nobody() -> Client {
    let (service, _) =
        tower_test::mock::pair::<http::Request<kube::client::Body>, http::Response<kube::client::Body>>();
    Client::new(service, "ml")
}

/// An engine's page: requests that have ended, each of about 400 prompt and 100 answer tokens, that run and that wait.
pub(crate) fn page(ended: u32, running: u32, waiting: u32) -> String {
    let histogram = |name: &str, bounds: [u32; 2], mean: f64| {
        let [low, high] = bounds;
        let sum = f64::from(ended) * mean;
        format!(
            "# TYPE {name} histogram\n{name}_bucket{{le=\"{low}\"}} 0\n{name}_bucket{{le=\"{high}\"}} {ended}\n\
             {name}_bucket{{le=\"+Inf\"}} {ended}\n{name}_sum {sum}\n{name}_count {ended}\n"
        )
    };
    let lengths = [("prompt", [200, 500], 400.0), ("generation", [50, 200], 100.0)];
    let lengths = lengths.map(|(side, bounds, mean)| histogram(&format!("vllm:request_{side}_tokens"), bounds, mean));
    format!(
        "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running {running}\n\
         # TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting {waiting}\n\
         # TYPE vllm:request_success_total counter\nvllm:request_success_total{{finished_reason=\"stop\"}} {ended}\n{}{}{}",
        lengths.concat(),
        histogram("vllm:time_to_first_token_seconds", [0, 1], 0.2),
        histogram("vllm:e2e_request_latency_seconds", [1, 5], 3.0),
    )
}
