//! What a pod costs in memory.

use super::{pod, raw, text, with};
use crate::pods::Index;
use kube::runtime::watcher::Event;
use serde_json::json;

const PODS: usize = 5_000;

/// Resident memory of this process: to be read with this test alone (`cargo test memory -- --nocapture`).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// As the pods of fifty Deployments.
fn fill(index: &Index, generation: usize) {
    for n in 0..PODS {
        let app = format!("model-{}", n % 50);
        let name = format!("{app}-7d9f8c6b5d-{generation}x{n:04}");
        let status = json!({"podIP": format!("10.{}.{}.{}", n / 65_536, n / 256 % 256, n % 256), "startTime": text(2)});
        let meta = json!({"uid": format!("6f0a3c1e-0000-4000-8000-{generation:04}{n:08}"), "labels": {
            "app": app, "app.kubernetes.io/name": "vllm", "model.aibrix.ai/name": app, "pod-template-hash": format!("h{}", n % 50)}});
        let patch = json!({"metadata": meta, "status": status, "spec": {"nodeName": format!("gpu-node-{}", n % 625)}});
        index.apply(Event::InitApply(raw(with(pod(&name), patch))));
    }
}

#[test]
fn five_thousand_pods_take_little_and_a_relist_gives_it_back() {
    let index = Index::default();
    let before = resident();
    index.apply(Event::Init);
    fill(&index, 0);
    index.apply(Event::InitDone);
    let after = resident();
    println!("{} bytes resident per pod, of {PODS}", after.saturating_sub(before) / PODS);
    println!("{} bytes of it the struct itself", size_of::<crate::pods::PodView>());
    assert_eq!(index.len(), PODS);
    let shared = index.shared();
    assert!(shared < 1_000, "{shared} copies shared");
    // Other names and uids, again and again: nothing of the old ones stays.
    for generation in 1..4 {
        index.apply(Event::Init);
        fill(&index, generation);
        index.apply(Event::InitDone);
    }
    assert_eq!((index.len(), index.shared()), (PODS, shared));
}
