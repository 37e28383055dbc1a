//! The watch that fills the index, from its list to its changes and a failure.

use super::{pod, starting};
use crate::pods::{Index, Scope, Selector, feed};
use crate::target::tests::script::{on, script};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LIST: &str = "GET /api/v1/namespaces/ml/pods?&labelSelector=app%3Dllama&limit=500";
const WATCH: &str = "GET /api/v1/namespaces/ml/pods?&watch=true&timeoutSeconds=290&labelSelector=app%3Dllama&\
                     allowWatchBookmarks=true&resourceVersion=10";

fn list(pods: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "10"}, "items": pods})
}

#[tokio::test(start_paused = true)]
async fn the_index_follows_the_server_through_a_failure() {
    let change = json!({"type": "MODIFIED", "object": pod("b")}).to_string() + "\n";
    let deletion = json!({"type": "DELETED", "object": pod("a")}).to_string() + "\n";
    let (client, server) = script(vec![
        on(LIST, 500, &json!({"status": "Failure", "code": 500, "message": "etcd", "reason": "InternalError"})),
        on(LIST, 200, &list(&[pod("a"), starting("b")])),
        on(WATCH, 200, &Value::Null).text(&(change + &deletion)),
    ]);
    let (index, failures) = (Index::default(), AtomicUsize::new(0));
    let scope = Scope { namespace: Some("ml".into()), selector: Some("app=llama".into()), streaming: false };
    let count = |_: &_| {
        failures.fetch_add(1, Ordering::Relaxed);
    };
    // The script runs out, and with it the server: the watch goes on trying, the index stays as it is.
    let ended = tokio::time::timeout(Duration::from_secs(20), feed(&index, client, scope, count)).await;
    assert!(ended.is_err(), "the watch does not end");
    assert!(server.is_finished() && failures.load(Ordering::Relaxed) >= 1);
    let pods = index.select("ml", &Selector::parse("app=llama").expect("a selector"));
    let seen: Vec<(&str, bool)> = pods.iter().map(|pod| (&*pod.name, pod.serves())).collect();
    assert_eq!(seen, [("b", true)]);
    assert!(index.is_synced());
}
