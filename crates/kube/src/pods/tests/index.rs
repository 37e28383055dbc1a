//! What the index makes of the watch's events.

use super::{labelled, pod, raw, starting};
use crate::pods::{Index, Selector};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

fn names(index: &Index, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).expect("a selector");
    index.select("ml", &selector).iter().map(|pod| pod.name.to_string()).collect()
}

fn listed(pods: impl IntoIterator<Item = Value>) -> Index {
    let index = Index::default();
    relist(&index, pods);
    index
}

fn relist(index: &Index, pods: impl IntoIterator<Item = Value>) {
    index.apply(Event::Init);
    for pod in pods {
        index.apply(Event::InitApply(raw(pod)));
    }
    index.apply(Event::InitDone);
}

#[test]
fn pods_are_selected_by_name_within_their_namespace() {
    let elsewhere = super::with(pod("z"), json!({"metadata": {"namespace": "other"}}));
    let index = listed([pod("b"), labelled(pod("c"), json!({"app": "qwen"})), elsewhere, pod("a")]);
    assert_eq!(names(&index, "app=llama"), ["a", "b"]);
    assert_eq!(names(&index, "app"), ["a", "b", "c"]);
    assert_eq!(names(&index, "app=none"), [""; 0]);
    assert!(index.select("none", &Selector::parse("app").expect("a selector")).is_empty());
    assert_eq!(index.len(), 4);
}

#[test]
fn a_pod_that_changes_is_replaced_also_under_its_old_labels() {
    let index = listed([pod("a"), pod("b")]);
    index.apply(Event::Apply(raw(labelled(starting("a"), json!({"app": "qwen"})))));
    assert_eq!((names(&index, "app=llama"), names(&index, "app=qwen")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    index.apply(Event::Apply(raw(pod("a"))));
    assert_eq!(names(&index, "app=llama"), ["a", "b"]);
    index.apply(Event::Delete(raw(pod("a"))));
    index.apply(Event::Delete(raw(pod("never-seen"))));
    assert_eq!(names(&index, "app"), ["b"]);
    index.apply(Event::Delete(raw(pod("b"))));
    assert_eq!(index.len(), 0);
}

#[test]
fn while_a_list_is_coming_the_old_view_stays() {
    let index = Index::default();
    index.apply(Event::Init);
    index.apply(Event::InitApply(raw(pod("a"))));
    assert!(!index.is_synced() && index.len() == 0, "half of the first list is no list");
    index.apply(Event::InitDone);
    assert!(index.is_synced());
    index.apply(Event::Init);
    index.apply(Event::InitApply(raw(pod("b"))));
    assert_eq!(names(&index, "app"), ["a"]);
    // The list breaks off and begins again: what had come of it is not kept.
    index.apply(Event::Init);
    index.apply(Event::InitApply(raw(pod("c"))));
    assert_eq!(names(&index, "app"), ["a"]);
    index.apply(Event::InitDone);
    assert_eq!(names(&index, "app"), ["c"], "what was not listed has gone");
}

#[test]
fn events_outside_of_a_list_do_not_end_one() {
    let index = listed([pod("a")]);
    index.apply(Event::InitApply(raw(pod("stray"))));
    assert_eq!(names(&index, "app"), ["a"]);
}
