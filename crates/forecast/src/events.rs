//! Known events: what they multiply the load by, at a time and over a window.

use crate::settings::Event;

/// What the events multiply the load by at `at`.
pub(crate) fn factor_at(events: &[Event], at: f64) -> f64 {
    let active = events.iter().filter(|event| event.start <= at && at < event.end);
    active.map(|event| event.factor).product::<f64>().clamp(1e-6, 1e6)
}

/// The highest factor within `from..=to`: it changes only where an event begins or ends.
pub(crate) fn highest_factor(events: &[Event], from: f64, to: f64) -> f64 {
    let changes = events.iter().flat_map(|event| [event.start, event.end]).filter(|at| (from..=to).contains(at));
    changes.map(|at| factor_at(events, at)).fold(factor_at(events, from), f64::max)
}

/// The names of the events that touch `from..=to`.
pub(crate) fn names(events: &[Event], from: f64, to: f64) -> Option<String> {
    let touching = events.iter().filter(|event| event.start <= to && event.end > from);
    let names: Vec<&str> = touching.map(|event| event.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
