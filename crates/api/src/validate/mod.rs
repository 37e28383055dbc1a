//! The rules that a typed `PodAutoscaler` must obey: AIBrix's, from its webhook and its controller alike, and those of
//! our additions. Every rule is checked, so one run names every mistake. A manifest that AIBrix accepts is accepted
//! (NaN and infinity aside); what it accepts but cannot mean is a warning. Must not read files.

mod additions;
mod behavior;
mod bounds;
pub(crate) mod schedules;
mod sources;

use crate::diagnostics::Diagnostic;
use crate::v1alpha1::PodAutoscaler;

pub(crate) use behavior::tolerance;
pub(crate) use bounds::effective_min;
pub(crate) use sources::{key as shared_key, scheme, target_value};

/// Every finding about one object, errors first in the order of the spec, then those about annotations.
pub fn validate(object: &PodAutoscaler) -> Vec<Diagnostic> {
    let spec = &object.spec;
    let mut found = Vec::new();
    bounds::target(spec, &mut found);
    bounds::bounds(spec, &mut found);
    bounds::windows(spec, &mut found);
    schedules::schedules(spec, &mut found);
    sources::sources(spec, &mut found);
    behavior::behavior(spec, &mut found);
    additions::additions(spec, &mut found);
    let annotations = crate::annotations::read(object);
    found.extend(annotations.found);
    found
}
