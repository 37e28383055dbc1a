//! An object's side of planning: what is known of its engine, what its pods show, and the plan. Must not decide.

use super::feed::Feed;
use super::model::Report;
use super::models::Handle;
use super::profile::Profile;
use super::standing::Standing;
use super::task::Message;
use crate::clock;
use crate::context::Context;
use crate::pods::Measured;
use autoscaler_api::PodAutoscaler;
use autoscaler_api::resolved::ResolvedAutoscaler;
use autoscaler_core::Timestamp;
use autoscaler_core::fleet::Plan;
use autoscaler_core::spec::Spec;
use autoscaler_runtime::planning::{Known, settings};
use kube::ResourceExt;
use std::sync::Arc;
use std::time::Duration;

/// The label, or annotation, that names the model (AIBrix `pkg/constants`).
const MODEL: &str = "model.aibrix.ai/name";
/// A lone object waits so long for the plan of what it has just reported; else it takes it at the next tick.
const PATIENCE: Duration = Duration::from_millis(250);
/// So long for what an earlier process has saved: without the last plan's floor, a first tick would go by the metrics alone.
const LOADING: Duration = Duration::from_secs(2);

/// An object's replicas, as a planning sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replicated<'a> {
    /// Replicas that are wanted.
    pub(crate) wanted: u32,
    /// Replicas that serve.
    pub(crate) ready: u32,
    /// How long they took to start.
    pub(crate) startup: &'a Measured,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    profile: Profile,
    feed: Feed,
    /// Start-ups that were reported.
    started: u64,
    handle: Option<Handle>,
}

impl Planner {
    /// Gets ready for a look: reads the profile where that is due, and joins the model.
    pub(crate) async fn prepare(
        &mut self,
        context: &Arc<Context>,
        object: &PodAutoscaler,
        resolved: &ResolvedAutoscaler,
    ) {
        let namespace = object.namespace().unwrap_or_default();
        self.profile.refresh(&context.client, &namespace, &resolved.profiles).await;
        let (key, _) = model(object);
        if self.handle.as_ref().is_none_or(|handle| handle.key != key || handle.sender.is_closed()) {
            self.let_go(&object.name_any());
            let handle = self.handle.insert(context.models.join(context, &key));
            let _ = tokio::time::timeout(LOADING, handle.published.wait_for(|now| now.loaded)).await;
        }
    }

    /// Where pages go.
    pub(crate) fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Reports what was seen. `resolved` has the bounds that hold now.
    pub(crate) async fn report(
        &mut self,
        now: Timestamp,
        object: &PodAutoscaler,
        resolved: ResolvedAutoscaler,
        replicas: Replicated<'_>,
        every: f64,
        is_there: impl Fn(&str) -> bool,
    ) {
        let Some(handle) = &mut self.handle else { return };
        let published = handle.published.borrow_and_update().objective;
        let known = self.profile.known();
        let own = || settings(known.map(|known| (&resolved, known.clone())).as_slice(), 0.0).objective;
        // Looked at in any case, so that what is gone is forgotten.
        let mut look = self.feed.look(clock::seconds(now), is_there, &published.unwrap_or_else(own));
        let Some(known) = known else { return };
        look.started = replicas.startup.since(self.started);
        (look.wanted, look.ready) = (replicas.wanted, replicas.ready);
        let report = Report { object: Arc::new(resolved), known: Known::clone(known), look, every };
        if handle.sender.try_send(Message::Report(Box::new(report))).is_ok() {
            self.started = replicas.startup.count();
        }
        let (_, alone) = model(object);
        if alone {
            // What is late is had at the next tick.
            let _ = tokio::time::timeout(PATIENCE, handle.published.changed()).await;
        }
    }

    /// The latest plan, fresh or not; none where the manifest names no profile: who takes it out wants no floor left behind.
    pub(crate) fn plan(&self) -> Option<Plan> {
        if !self.profile.named() {
            return None;
        }
        let plan = self.handle.as_ref()?.published.borrow().plan.clone()?;
        Some(Plan::clone(&plan))
    }

    /// What a status says of it.
    pub(crate) fn standing(&self, spec: &Spec, plan: Option<&Plan>, now: Timestamp) -> Option<Standing> {
        let refused = self.handle.as_ref().and_then(|handle| handle.published.borrow().refused.clone());
        Standing::of(spec, plan, now, self.profile.problem(), refused.as_deref())
    }

    /// Leaves the model: the object is gone, or plans no longer.
    pub(crate) fn let_go(&mut self, name: &str) {
        if let Some(handle) = self.handle.take() {
            // A model that computes forgets it by its silence.
            let _ = handle.sender.try_send(Message::Gone(name.to_owned()));
        }
    }
}

/// The model that an object serves, and whether it is planned for alone.
fn model(object: &PodAutoscaler) -> (String, bool) {
    let namespace = object.namespace().unwrap_or_default();
    match object.labels().get(MODEL).or_else(|| object.annotations().get(MODEL)).filter(|name| !name.is_empty()) {
        Some(name) => (format!("{namespace}/model/{name}"), false),
        None => (format!("{namespace}/object/{}", object.name_any()), true),
    }
}
