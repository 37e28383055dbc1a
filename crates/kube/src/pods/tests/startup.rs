//! Measured start-up times.

use super::{pod, starting, text, views, with};
use crate::pods::StartUps;
use autoscaler_core::time::Span;
use serde_json::{Value, json};

fn ready_after(name: &str, seconds: i64) -> Value {
    with(
        pod(name),
        json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": text(seconds)}]}}),
    )
}

#[test]
fn each_pod_is_counted_once() {
    let mut starts = StartUps::default();
    assert_eq!(starts.summary(), None);
    for _ in 0..3 {
        starts.observe(&views([pod("a"), starting("b")]));
    }
    assert_eq!(starts.summary().map(|all| all.count), Some(1));
    starts.observe(&views([pod("a"), ready_after("b", 120)]));
    // It is not ready for a while, and ready again.
    starts.observe(&views([pod("a"), starting("b")]));
    starts.observe(&views([pod("a"), ready_after("b", 7_000)]));
    let all = starts.summary().expect("starts");
    assert_eq!((all.count, all.p50, all.p90, all.max), (2, Span::secs(90), Span::secs(120), Span::secs(120)));
}

#[test]
fn a_pod_that_may_have_been_ready_before_is_not_measured() {
    let restarted = json!({"status": {"containerStatuses": [{"name": "vllm", "restartCount": 1}]}});
    let mut starts = StartUps::default();
    starts.observe(&views([
        with(pod("a"), restarted),
        ready_after("b", 7_000),
        with(pod("c"), json!({"metadata": {"uid": null}})),
    ]));
    assert_eq!(starts.summary(), None);
    // One that was seen starting is, however long it took.
    starts.observe(&views([starting("d")]));
    starts.observe(&views([ready_after("d", 7_000)]));
    assert_eq!(starts.summary().map(|all| all.max), Some(Span::secs(7_000)));
}

#[test]
fn the_latest_starts_are_kept_and_their_percentiles_are_times_that_were_measured() {
    let mut starts = StartUps::default();
    for n in 1..=1_000 {
        starts.observe(&views([ready_after(&format!("p{n}"), n)]));
    }
    let all = starts.summary().expect("starts");
    assert_eq!((all.count, all.max), (1_000, Span::secs(1_000)));
    assert_eq!((all.p50, all.p90), (Span::secs(872), Span::secs(975)));
}

#[test]
fn who_goes_on_counts_no_pod_again() {
    let mut starts = StartUps::default();
    starts.observe(&views([ready_after("a", 60)]));
    let until = views([ready_after("a", 60)])[0].ready_at.expect("ready");
    let saved = serde_json::to_string(starts.measured()).unwrap();
    let mut next = StartUps::resume(serde_json::from_str(&saved).unwrap(), until);
    // One was counted, one became ready while nobody looked.
    next.observe(&views([ready_after("a", 60), ready_after("b", 90)]));
    let all = next.summary().expect("starts");
    assert_eq!((all.count, all.max), (2, Span::secs(90)));
}
