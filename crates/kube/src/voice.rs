//! What is said of an object: its status and its events, when they say something new.

use crate::clock;
use crate::context::Context;
use crate::pods::Stuck;
use crate::said::said;
use crate::status::{self, Facts, Wrote};
use crate::target::FIELD_MANAGER as MANAGER;
use autoscaler_api::PodAutoscaler;
use autoscaler_api::v1alpha1::PodAutoscalerStatus;
use autoscaler_core::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What was said last.
pub(crate) struct Voice {
    about: ObjectReference,
    status: PodAutoscalerStatus,
    /// When it was written; none where it has to be.
    written: Option<Instant>,
    /// The state that events told of last.
    told: Told,
    stuck: BTreeSet<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    invalid: Option<String>,
    conflict: Option<String>,
    unable: Option<String>,
    profile: Option<String>,
    panics: bool,
    blind: bool,
}

/// A request takes no longer.
const DEADLINE: Duration = Duration::from_secs(5);

impl Voice {
    pub(crate) fn new(context: &Context, object: &PodAutoscaler) -> Self {
        let voice = Self {
            about: object.object_ref(&()),
            status: object.status.clone().unwrap_or_default(),
            written: None,
            told: Told::default(),
            stuck: BTreeSet::new(),
        };
        for finding in autoscaler_api::resolve(object).iter().flat_map(|resolved| &resolved.findings) {
            if finding.path.starts_with("metadata.annotations") {
                context.events.warn(&voice.about, "LegacyAnnotation", finding.to_string());
            }
        }
        voice
    }

    /// Writes the status and tells what is new.
    pub(crate) async fn say(&mut self, context: &Context, object: &PodAutoscaler, facts: &Facts, now: Timestamp) {
        self.tell(context, facts);
        let next = status::next(&self.status, facts, &clock::time(now));
        let news = status::differs(&self.status, &next);
        let due = self.written.is_none_or(|at| at.elapsed() >= context.options.status_interval);
        if next == self.status && self.written.is_some() || !(news || due) || !context.may_write() {
            return;
        }
        let api: Api<PodAutoscaler> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
        let body = serde_json::json!({
            "apiVersion": PodAutoscaler::api_version(&()), "kind": PodAutoscaler::kind(&()), "status": next,
        });
        let params = PatchParams::apply(MANAGER).force();
        match timeout(DEADLINE, api.patch_status(&object.name_any(), &params, &Patch::Apply(&body))).await {
            Ok(Ok(_)) => {
                self.status = next;
                self.written = Some(Instant::now());
            }
            // It is tried again at the next tick.
            Ok(Err(error)) => {
                tracing::warn!(autoscaler = object.name_any(), "the status was not written: {}", said(&error));
            }
            Err(_) => tracing::warn!(autoscaler = object.name_any(), "the status was not written in time"),
        }
    }

    /// Tells of pods that do not get ready, each once.
    pub(crate) fn stuck(&mut self, context: &Context, stuck: &[Stuck]) {
        for one in stuck {
            if !self.stuck.contains(&one.pod) {
                let note = format!("pod {} no longer counts as on its way: {}", one.pod, one.why.text());
                context.events.warn(&self.about, one.why.reason(), note);
            }
        }
        self.stuck = stuck.iter().map(|one| one.pod.clone()).collect();
    }

    fn tell(&mut self, context: &Context, facts: &Facts) {
        let events = &context.events;
        match &facts.wrote {
            Wrote::Nothing => {}
            Wrote::Scaled(_, to) => {
                let reason = facts.decision.as_ref().map_or("", |decision| &decision.reason);
                events.tell(&self.about, "SuccessfulRescale", format!("New size: {to}; reason: {reason}"));
            }
            Wrote::Failed(_, to, why) => {
                events.warn(&self.about, "FailedRescale", format!("New size: {to}; error: {why}"));
            }
        }
        let panics = facts.decision.as_ref().is_some_and(|decision| decision.panic);
        let blind = facts.decision.as_ref().is_some_and(|decision| decision.recommendation.is_none());
        let unable = facts.unable.as_ref().map(|(_, why)| why.clone());
        let profile = facts.standing.as_ref().filter(|standing| standing.reason == "ProfileUnusable");
        let profile = profile.map(|standing| standing.cause.clone());
        let now =
            Told { profile, invalid: facts.invalid.clone(), conflict: facts.conflict.clone(), unable, panics, blind };
        if now == self.told {
            return;
        }
        if let Some(why) = now.invalid.as_ref().filter(|_| now.invalid != self.told.invalid) {
            events.warn(&self.about, "InvalidSpec", why.clone());
        }
        if let Some(who) = now.conflict.as_ref().filter(|_| now.conflict != self.told.conflict) {
            events.warn(&self.about, "Conflict", who.clone());
        }
        if let (Some(why), Some((reason, _))) =
            (now.unable.as_ref().filter(|_| now.unable != self.told.unable), &facts.unable)
        {
            events.warn(&self.about, reason, why.clone());
        }
        if let Some(why) = now.profile.as_ref().filter(|_| now.profile != self.told.profile) {
            events.warn(&self.about, "ProfileUnusable", why.clone());
        }
        if now.panics != self.told.panics {
            let note = if now.panics { "panic begins" } else { "panic is over" };
            events.tell(&self.about, "AlgorithmRun", note);
        }
        if now.blind != self.told.blind {
            match facts.decision.as_ref().filter(|_| now.blind) {
                Some(decision) => events.warn(&self.about, "FailedComputeScale", decision.reason.clone()),
                None => events.tell(&self.about, "MetricsRecovered", "metrics can be read again"),
            }
        }
        self.told = now;
    }
}
