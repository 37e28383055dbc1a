//! What the watch of targets makes of its events, and when it is not to be relied on.

use super::kind;
use super::script::{on, script};
use crate::target::Watch;
use crate::target::watch::{Meta, Seen};
use kube::runtime::watcher::{Error, Event};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

fn meta(name: &str, version: &str) -> Meta {
    let value = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                       "metadata": {"name": name, "namespace": "ml", "resourceVersion": version}});
    serde_json::from_value(value).expect("metadata")
}

fn versions(seen: &Seen) -> Vec<(String, String)> {
    let mut all: Vec<_> = seen.live.values().flatten().map(|(name, version)| (name.clone(), version.clone())).collect();
    all.sort();
    all
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_old_view_stays_until_a_new_list_is_whole() {
    let mut seen = Seen::default();
    let now = Instant::now();
    assert!(!seen.reliable(now), "nothing has been listed");
    for event in [Event::Init, Event::InitApply(meta("a", "1")), Event::InitApply(meta("b", "2")), Event::InitDone] {
        seen.apply(Ok(event), now);
    }
    assert_eq!(versions(&seen), pairs(&[("a", "1"), ("b", "2")]));
    seen.apply(Ok(Event::Apply(meta("a", "3"))), now);
    seen.apply(Ok(Event::Delete(meta("b", "4"))), now);
    assert_eq!(versions(&seen), pairs(&[("a", "3")]));
    seen.apply(Ok(Event::Init), now);
    seen.apply(Ok(Event::InitApply(meta("c", "5"))), now);
    assert_eq!(versions(&seen), pairs(&[("a", "3")]), "the list is still coming");
    // The list breaks off and begins again.
    seen.apply(Ok(Event::Init), now);
    seen.apply(Ok(Event::InitDone), now);
    assert_eq!(versions(&seen), pairs(&[]));
    assert!(seen.reliable(now));
}

#[tokio::test(start_paused = true)]
async fn a_failed_watch_is_doubted_until_it_speaks_or_a_minute_is_over() {
    let mut seen = Seen::default();
    let now = Instant::now();
    seen.apply(Ok(Event::Init), now);
    seen.apply(Ok(Event::InitDone), now);
    seen.apply(Err(Error::NoResourceVersion), now);
    assert!(!seen.reliable(now));
    assert!(!seen.reliable(now + Duration::from_secs(60)));
    assert!(seen.reliable(now + Duration::from_secs(61)));
    seen.apply(Err(Error::NoResourceVersion), now);
    seen.apply(Ok(Event::Apply(meta("a", "1"))), now);
    assert!(seen.reliable(now));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_watched_is_polled_and_counted() {
    let deployments = kind("apps/v1", "Deployment", "deployments", true);
    let forbidden = super::failure(403, "Forbidden", "may not list deployments");
    let (client, server) = script(vec![on("GET /apis/apps/v1/deployments?&limit=500", 403, &forbidden)]);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let failed = move |kind: &str, error: &Error| {
        assert!(kind == "apps/v1/deployments" && error.to_string().contains("list"), "{kind}: {error}");
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let watch = Watch::new(client, None, false, Arc::new(failed));
    assert_eq!(watch.revision(&deployments, "ml", "a"), None, "nothing was listed yet");
    server.await.expect("the script");
    tokio::task::yield_now().await;
    assert_eq!(watch.revision(&deployments, "ml", "a"), None);
    assert!(count.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(start_paused = true)]
async fn kinds_beyond_the_most_are_polled() {
    let (client, _server) = super::script::silence();
    let watch = Watch::new(client, Some("ml".into()), false, Arc::new(|_: &str, _: &Error| {}));
    let watched = (10..90).filter(|n| watch.seen(&kind(&format!("g{n}.io/v1"), "Engine", "engines", true)).is_some());
    assert_eq!(watched.count(), 64);
}
