//! One object's loop: a turn at each tick, a sample in each second between, and at once when its spec or a rival changes
//! or a schedule begins or ends. Each object has a loop of its own, so that a slow pod of one delays no other.

use crate::clock;
use crate::conflict::Verdict;
use crate::context::Context;
use crate::turn::Turns;
use autoscaler_api::PodAutoscaler;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use rand::RngExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// What a worker is told.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) object: Arc<PodAutoscaler>,
    /// Whether it may scale its target.
    pub(crate) verdict: Verdict,
    /// An HPA, not ours, that scales the same target.
    pub(crate) rival: Option<String>,
    /// Our own HPA, as the server has it.
    pub(crate) hpa: Option<Arc<HorizontalPodAutoscaler>>,
}

impl Assignment {
    /// Whether there is anything new to act upon; a status that we wrote ourselves is not.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.object.metadata, &other.object.metadata);
        mine.generation != theirs.generation
            || mine.annotations != theirs.annotations
            || mine.labels != theirs.labels
            || mine.uid != theirs.uid
            || self.object.spec != other.object.spec
            || self.verdict != other.verdict
            || self.rival != other.rival
            || self.hpa.as_ref().map(|hpa| hpa.resource_version())
                != other.hpa.as_ref().map(|hpa| hpa.resource_version())
    }
}

/// Between two samples: Knative's windows have buckets of a second.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Works until the object is gone or it is told to stop.
pub(crate) async fn run(
    context: Arc<Context>,
    mut assignment: watch::Receiver<Arc<Assignment>>,
    stop: CancellationToken,
) {
    let first = Arc::clone(&assignment.borrow_and_update());
    let mut turns = Turns::new(Arc::clone(&context), first);
    let interval = context.options.interval;
    // Objects that were listed together do not tick together.
    let phase = interval.mul_f64(rand::rng().random::<f64>().min(1.0));
    let mut tick = tokio::time::interval_at(Instant::now() + phase.min(SAMPLE_EVERY), interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sample = tokio::time::interval(SAMPLE_EVERY);
    sample.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let edge = turns.next_edge().map(|edge| Duration::from_secs_f64(edge.since(clock::now()).as_secs().max(0.0)));
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = assignment.changed() => {
                if changed.is_err() {
                    turns.gone();
                    return;
                }
                let next = Arc::clone(&assignment.borrow_and_update());
                turns.assign(next);
                turns.turn(clock::now()).await;
                tick.reset();
            }
            () = tokio::time::sleep(edge.unwrap_or_default()), if edge.is_some() => {
                turns.turn(clock::now()).await;
                tick.reset();
            }
            due = tick.tick() => {
                context.metrics.late(due.elapsed());
                turns.turn(clock::now()).await;
            }
            _ = sample.tick() => turns.sample(clock::now()),
        }
    }
}
