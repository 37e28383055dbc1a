//! Which series of a family count: selected by labels, each once, and none that repeats what another says. Knows no
//! statistic.

use crate::plan::Alternative;
use crate::query::MetricQuery;
use promtext::Labels;
use std::collections::{BTreeMap, BTreeSet};

/// One series that counts.
pub(crate) struct Series<V> {
    /// Its labels.
    pub(crate) key: String,
    /// The same for series that show one thing from several sides, of which the highest counts.
    pub(crate) group: String,
    pub(crate) value: V,
}

/// Ranks of one SGLang scheduler that all report the same requests, each from its own process.
const SAME_REQUESTS: [&str; 3] = ["tp_rank", "pp_rank", "moe_ep_rank"];
/// SGLang's label for priority scheduling: empty on the total, a number on its parts.
const PRIORITY: &str = "priority";

/// Whether a series carries the labels that are asked for. An empty value also stands for a label that is not there, as
/// in Prometheus.
pub(crate) fn matches(labels: Labels<'_>, query: &MetricQuery, alternative: &Alternative) -> bool {
    let has = |name: &str, value: &str| labels.get(name).map_or(value.is_empty(), |found| found == value);
    alternative.label.is_none_or(|(name, value)| has(name, value))
        && query.labels.iter().all(|(name, value)| has(name, value))
}

/// The series that count among those that match.
pub(crate) fn that_count<'a, V>(family: &str, matching: impl Iterator<Item = (Labels<'a>, V)>) -> Vec<Series<V>> {
    // A page that prints a series twice means one: the last, as a scraper that stores them would keep.
    let mut once: BTreeMap<String, (Labels<'a>, V)> = BTreeMap::new();
    for (labels, value) in matching {
        once.insert(labels.key_without(&[]), (labels, value));
    }
    if !family.starts_with("sglang:") {
        let series = |(key, (_, value)): (String, (_, V))| Series { group: key.clone(), key, value };
        return once.into_iter().map(series).collect();
    }
    let is_total = |labels: Labels<'_>| labels.get(PRIORITY).is_none_or(|priority| priority.is_empty());
    let whole = |labels: Labels<'_>| labels.key_without(&[PRIORITY]);
    let totals: BTreeSet<String> =
        once.values().filter(|(labels, _)| is_total(*labels)).map(|(labels, _)| whole(*labels)).collect();
    let counts = |labels: Labels<'_>| is_total(labels) || !totals.contains(&whole(labels));
    let counting = once.into_iter().filter(|(_, (labels, _))| counts(*labels));
    counting.map(|(key, (labels, value))| Series { key, group: labels.key_without(&SAME_REQUESTS), value }).collect()
}

/// One value of each group: the highest by `size`.
pub(crate) fn highest<V>(series: impl Iterator<Item = (String, V)>, size: impl Fn(&V) -> f64) -> Vec<V> {
    let mut groups: BTreeMap<String, V> = BTreeMap::new();
    for (group, value) in series {
        if groups.get(&group).is_none_or(|known| size(&value) > size(known)) {
            groups.insert(group, value);
        }
    }
    groups.into_values().collect()
}
