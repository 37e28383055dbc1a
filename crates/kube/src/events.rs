//! Kubernetes events: on change only, and never waited for. What was told is not told again for a while.

use crate::admin::Metrics;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Where events go.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: mpsc::Sender<Told>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Told {
    about: ObjectReference,
    warns: bool,
    reason: &'static str,
    note: String,
}

/// Events that wait for the server; more are dropped, and counted.
const WAITING: usize = 1024;
/// The same event of the same object is not told again within this time.
const QUIET: Duration = Duration::from_secs(300);
/// Events that are remembered for that.
const REMEMBERED: usize = 4096;
/// The longest note; the server refuses ones of more than 1 KiB.
const MAX_NOTE: usize = 1000;
/// A request takes no longer.
const DEADLINE: Duration = Duration::from_secs(5);

impl Events {
    /// Begins to send; ends with the last clone of what is given back.
    pub(crate) fn start(client: Client, metrics: Metrics) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let reporter = Reporter { controller: "aibrix-autoscaler".into(), instance: std::env::var("HOSTNAME").ok() };
        tokio::spawn(send(Recorder::new(client, reporter), receiver, metrics.clone()));
        Self { sender, metrics }
    }

    /// Tells of something that is as it should be.
    pub(crate) fn tell(&self, about: &ObjectReference, reason: &'static str, note: impl Into<String>) {
        self.put(about, false, reason, note.into());
    }

    /// Tells of something that somebody should look at.
    pub(crate) fn warn(&self, about: &ObjectReference, reason: &'static str, note: impl Into<String>) {
        self.put(about, true, reason, note.into());
    }

    fn put(&self, about: &ObjectReference, warns: bool, reason: &'static str, note: String) {
        if self.sender.try_send(Told { about: about.clone(), warns, reason, note }).is_err() {
            self.metrics.event("dropped");
        }
    }
}

async fn send(recorder: Recorder, mut waiting: mpsc::Receiver<Told>, metrics: Metrics) {
    let mut told: BTreeMap<(String, &'static str, String), Instant> = BTreeMap::new();
    while let Some(one) = waiting.recv().await {
        let key = (one.about.uid.clone().unwrap_or_default(), one.reason, one.note.clone());
        if told.get(&key).is_some_and(|at| at.elapsed() < QUIET) {
            continue;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, at| at.elapsed() < QUIET);
            if told.len() >= REMEMBERED {
                told.clear();
            }
        }
        told.insert(key, Instant::now());
        let cut = one.note.floor_char_boundary(MAX_NOTE);
        let event = Event {
            type_: if one.warns { EventType::Warning } else { EventType::Normal },
            reason: one.reason.to_owned(),
            note: Some(one.note[..cut].to_owned()),
            action: "Scale".to_owned(),
            secondary: None,
        };
        match tokio::time::timeout(DEADLINE, recorder.publish(&event, &one.about)).await {
            Ok(Ok(())) => metrics.event("sent"),
            Ok(Err(error)) => {
                metrics.event("refused");
                tracing::debug!(%error, reason = one.reason, "an event was not taken");
            }
            Err(_) => metrics.event("timeout"),
        }
    }
}
