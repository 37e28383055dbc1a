//! The target of one object: read where it may have changed, written at most once a tick, and left alone while the server asks
//! for that.

use crate::context::Context;
use crate::pods::{self, Cost, Selector};
use crate::status::Wrote;
use crate::target::{ScaleTarget, ScaleView, TargetError, Written};
use autoscaler_api::resolved::Target;
use tokio::time::Instant;

/// What is known of a target between turns.
#[derive(Debug, Default)]
pub(crate) struct Scaling {
    known: Option<Known>,
    /// The server asked to be left alone until then.
    quiet_until: Option<Instant>,
}

/// A target as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) target: ScaleTarget,
    pub(crate) view: ScaleView,
    /// Its pods; none where it does not say which they are.
    pub(crate) selector: Option<Selector>,
}

impl Scaling {
    /// It has to be read again.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }

    /// The target; asked for only where it may have changed.
    pub(crate) async fn read(
        &mut self,
        context: &Context,
        namespace: &str,
        given: &Target,
    ) -> Result<Known, TargetError> {
        if let Some(left) = self.quiet_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            return Err(TargetError::Throttled(left));
        }
        let kind = context.kinds.resolve(&context.client, &given.api_version, &given.kind).await?;
        let revision = context.watch.revision(&kind, namespace, &given.name);
        if let (Some(known), Some(revision)) = (&self.known, revision)
            && known.view.resource_version == revision
        {
            return Ok(known.clone());
        }
        self.known = None;
        let target = ScaleTarget::new(given, kind, namespace)?;
        let view = match target.get(&context.client).await {
            Ok(view) => view,
            Err(error) => {
                self.heed(&error);
                if matches!(error, TargetError::NoScale(_)) {
                    context.kinds.forget(&given.api_version, &given.kind);
                }
                return Err(error);
            }
        };
        let selector = match view.selector.as_str() {
            "" => None,
            text => Some(Selector::parse(text).map_err(|error| TargetError::Refused(error.to_string()))?),
        };
        let known = Known { target, view, selector };
        self.known = Some(known.clone());
        Ok(known)
    }

    /// Writes another count, after it has said which pods should go first.
    pub(crate) async fn write(&mut self, context: &Context, known: &Known, to: u32, first: &[Cost]) -> Wrote {
        let from = known.view.replicas;
        let not_ours = || Wrote::Failed(from, to, "this controller does not hold the lease".to_owned());
        if !context.may_write() {
            return not_ours();
        }
        if let Err(why) = pods::mark(&context.client, first).await {
            tracing::debug!(target = known.target.object().title(), "pods were not marked to go first: {why}");
        }
        // Marking takes time.
        if !context.may_write() {
            return not_ours();
        }
        // Whatever becomes of it, the count has to be read again.
        self.forget();
        let Some(written) = context.leadership.while_leading(known.target.set(&context.client, &known.view, to)).await
        else {
            return not_ours();
        };
        match written {
            Ok(Written::Done(_)) => {
                context.metrics.wrote("ok");
                Wrote::Scaled(from, to)
            }
            Ok(Written::Unchanged) => Wrote::Nothing,
            Err(error) => {
                self.heed(&error);
                context.metrics.wrote(error.reason());
                Wrote::Failed(from, to, error.to_string())
            }
        }
    }

    fn heed(&mut self, error: &TargetError) {
        if let TargetError::Throttled(wait) = error {
            self.quiet_until = Some(Instant::now() + *wait);
        }
    }
}
