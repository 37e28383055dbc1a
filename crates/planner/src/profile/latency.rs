//! Sizes that no type can serve within the SLO, even idle, and the best that types come to.

use super::{Profile, place};
use serde::Serialize;

/// A size that no profile has a capacity for, with the least latencies among the profiles that measured any.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unattainable {
    /// Least mean seconds of a request, and the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e: Option<(f64, String)>,
    /// Least mean seconds to the first token, and the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<(f64, String)>,
    /// Least mean seconds for each further token, and the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpot: Option<(f64, String)>,
}

/// None where some profile sustains requests of this size; otherwise the best attainable latencies that profiles know: at the
/// measured point that is at least as large, at the lowest rate measured there. A size beyond every grid has none.
#[must_use]
pub fn unattainable(profiles: &[Profile], input: f64, output: f64) -> Option<Unattainable> {
    if profiles.iter().any(|profile| profile.capacity(input, output) > 0.0) {
        return None;
    }
    let least = |table: fn(&Profile) -> Option<&Vec<Vec<f64>>>| {
        let known = profiles.iter().filter_map(|profile| {
            let seconds = profile.above(table(profile)?, input, output).filter(|seconds| *seconds > 0.0)?;
            Some((seconds, profile.gpu.clone()))
        });
        known.min_by(|a, b| a.0.total_cmp(&b.0))
    };
    Some(Unattainable {
        e2e: least(|profile| profile.e2e.as_ref()),
        ttft: least(|profile| profile.ttft.as_ref()),
        tpot: least(|profile| profile.tpot.as_ref()),
    })
}

impl Profile {
    /// A table's entry at the smallest measured point that is no smaller than a size either way.
    fn above(&self, table: &[Vec<f64>], input: f64, output: f64) -> Option<f64> {
        let at = |axis: &[f64], size: f64| {
            let (below, share, beyond) = place(axis, size);
            (beyond <= 1.0).then_some(below + usize::from(share > 0.0))
        };
        table.get(at(&self.indexes[0], output)?)?.get(at(&self.indexes[1], input)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_size_that_misses_the_slo_even_idle_has_the_best_latency_said() {
        let profile = |name: &str, rate: f64, seconds: f64| {
            let text = json!({
                "gpu": name, "cost": 1.0, "tputs": [[4.0, 2.0], [1.0, rate]], "indexes": [[8, 64], [128, 1024]],
                "e2e": [[0.1, 0.2], [1.0, seconds]], "slos": {"percentile": 99, "e2e": 5.0},
            });
            Profile::from_json(&text.to_string()).unwrap()
        };
        let (slow, fast) = (profile("slow", 0.0, 11.0), profile("fast", 0.0, 6.5));
        let found = unattainable(&[slow.clone(), fast.clone()], 900.0, 64.0).unwrap();
        assert_eq!((found.e2e, found.ttft), (Some((6.5, "fast".to_owned())), None));
        assert_eq!(unattainable(&[slow.clone(), fast], 128.0, 8.0), None, "within the SLO");
        assert_eq!(unattainable(&[slow.clone(), profile("able", 0.5, 4.0)], 900.0, 64.0), None);
        assert_eq!(unattainable(&[slow], 5000.0, 64.0), Some(Unattainable::default()), "nobody measured it");
    }
}
