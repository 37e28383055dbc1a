//! GPU profiles as AIBrix writes them (`aibrix_gen_profile`): what one replica of a type sustains, over a grid of sizes, and what it
//! costs. Rows are answer tokens, columns prompt tokens.

mod folder;
mod latency;
mod validate;

pub use folder::read_profiles;
pub use latency::{Unattainable, unattainable};

use crate::problem::ProblemError;
use serde::{Deserialize, Serialize};

/// A profile.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// The type's name; AIBrix has the Deployment's here.
    pub gpu: String,
    /// Cost of one replica per unit of time.
    pub cost: f64,
    /// Most requests a second within the SLO, by answer and then prompt tokens; 0 where none is. As measured.
    pub tputs: Vec<Vec<f64>>,
    /// The grid: answer tokens, then prompt tokens, ascending.
    pub indexes: [Vec<f64>; 2],
    /// When it was made, Unix seconds; newer ones replace older ones.
    #[serde(default)]
    pub created: f64,
    /// Mean seconds from request to last token at the rates of `tputs`; where these are 0, at the lowest rate that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e: Option<Vec<Vec<f64>>>,
    /// Mean seconds to the first token, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<Vec<Vec<f64>>>,
    /// Mean seconds for each further token, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot: Option<Vec<Vec<f64>>>,
    /// The SLO that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slos: Option<Slos>,
}

/// An SLO as `aibrix_gen_profile` takes it: seconds, but for the two throughputs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Slos {
    /// The percentile that the times are of: 50, 90 or 99; 0 for the mean.
    #[serde(default)]
    pub percentile: u32,
    /// Least requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tput: Option<f64>,
    /// Least tokens a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tt: Option<f64>,
    /// Most seconds of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e: Option<f64>,
    /// Most seconds to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// Most seconds of a request for each of its tokens, prompt and answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpat: Option<f64>,
    /// Most seconds for each further token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot: Option<f64>,
}

impl Profile {
    /// Reads a profile; the error names the field.
    pub fn from_json(text: &str) -> Result<Self, ProblemError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let profile: Self = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| ProblemError { path: error.path().to_string(), message: error.inner().to_string() })?;
        profile.validate()?;
        Ok(profile)
    }

    /// The profile as AIBrix writes it, which its gateway and optimizer read: rows are answer tokens, columns prompt tokens.
    pub fn to_json(&self) -> Result<String, ProblemError> {
        let unsaid = |error: serde_json::Error| ProblemError { path: self.gpu.clone(), message: error.to_string() };
        serde_json::to_string(self).map_err(unsaid)
    }

    /// Longer prompts are never carried more often, nor longer answers where the SLO has no objective per token: what noise measured
    /// otherwise counts as the smaller sizes' rate. Lowered, since a capacity that is too high costs the SLO and one that is too low a
    /// little money. With a limit per token a short answer is the harder one: what its few tokens wait for weighs on each of them.
    fn lowered(&self) -> Vec<Vec<f64>> {
        let shorter_is_easier = !self.slos.is_some_and(|slos| slos.tpot.is_some() || slos.tpat.is_some());
        let mut rates = self.tputs.clone();
        for row in 0..rates.len() {
            for column in 0..rates[row].len() {
                let above = if row > 0 && shorter_is_easier { rates[row - 1][column] } else { f64::INFINITY };
                let left = if column > 0 { rates[row][column - 1] } else { f64::INFINITY };
                let own = &mut rates[row][column];
                *own = own.min(above).min(left);
            }
        }
        rates
    }

    /// Requests a second of this size that one replica sustains. Between measured points the time that a request takes of a
    /// replica is interpolated, by the logarithms of the sizes; a point that sustains nothing makes its neighbourhood so. Below
    /// the grid the smallest size stands, beyond it a request takes time in proportion to its tokens.
    #[must_use]
    pub fn capacity(&self, input: f64, output: f64) -> f64 {
        let (corners, beyond) = self.corners(input, output);
        if corners.iter().any(|(_, rate)| *rate <= 0.0) {
            return 0.0;
        }
        let takes: f64 = corners.iter().map(|(weight, rate)| weight / rate).sum();
        if takes > 0.0 { 1.0 / (takes * beyond) } else { 0.0 }
    }

    /// The share of requests about this size that one replica sustains within the SLO, and how many a second of them. A size between
    /// points is reckoned as a mixture of requests at these points: so does the time that a request takes, above. The rate is the
    /// least of the points that sustain any, so that the share is not carried by the easiest of them.
    #[must_use]
    pub fn partly(&self, input: f64, output: f64) -> (f64, f64) {
        let (corners, beyond) = self.corners(input, output);
        let able = || corners.iter().filter(|(_, rate)| *rate > 0.0);
        let least = able().map(|(_, rate)| *rate).reduce(f64::min).unwrap_or(0.0);
        (able().map(|(weight, _)| weight).sum(), least / beyond)
    }

    /// The points about a size, each with its weight and rate, and how many times larger than the grid the size is.
    fn corners(&self, input: f64, output: f64) -> (Vec<(f64, f64)>, f64) {
        let rates = self.lowered();
        let (row, down, longer) = place(&self.indexes[0], output);
        let (column, right, wider) = place(&self.indexes[1], input);
        let at = |row: usize, column: usize| rates.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0.0);
        let rows = [(row, 1.0 - down), (row + 1, down)];
        let columns = [(column, 1.0 - right), (column + 1, right)];
        let all = rows
            .iter()
            .flat_map(|(row, share)| columns.iter().map(move |(column, part)| (*row, *column, share * part)));
        let corners = all.filter(|(.., weight)| *weight > 0.0).map(|(row, column, weight)| (weight, at(row, column)));
        (corners.collect(), longer * wider)
    }
}

/// The point below a size, the share of the way to the next, and how many times larger than the grid it is.
fn place(axis: &[f64], size: f64) -> (usize, f64, f64) {
    let (first, last) = (axis.first().copied().unwrap_or(1.0), axis.last().copied().unwrap_or(1.0));
    // What is no number is the smallest size.
    let inside = if size.is_finite() { size.clamp(first, last) } else { first };
    let below = axis.partition_point(|point| *point <= inside).saturating_sub(1);
    let beyond = if size.is_finite() { (size / last).max(1.0) } else { 1.0 };
    match (axis.get(below), axis.get(below + 1)) {
        (Some(low), Some(high)) => (below, (inside / low).ln() / (high / low).ln(), beyond),
        _ => (below, 0.0, beyond),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn profile(tputs: &serde_json::Value) -> Profile {
        let text = json!({"gpu": "a", "cost": 1.0, "tputs": tputs, "indexes": [[4, 16], [128, 512]], "created": 1});
        Profile::from_json(&text.to_string()).unwrap()
    }

    #[test]
    fn measured_points_are_met_and_what_lies_between_is_between() {
        let profile = profile(&json!([[8.0, 4.0], [4.0, 2.0]]));
        for (input, output, rate) in [(128.0, 4.0, 8.0), (512.0, 4.0, 4.0), (128.0, 16.0, 4.0), (512.0, 16.0, 2.0)] {
            assert!((profile.capacity(input, output) - rate).abs() < 1e-9);
        }
        // Half-way by logarithm, the time is the mean: 1 / ((1/8 + 1/4) / 2).
        assert!((profile.capacity(256.0, 4.0) - 16.0 / 3.0).abs() < 1e-9);
        assert!((profile.capacity(10.0, 1.0) - 8.0).abs() < 1e-9, "below the grid");
        assert!((profile.capacity(1024.0, 16.0) - 1.0).abs() < 1e-9, "twice as long takes twice the time");
    }

    #[test]
    fn noise_is_lowered_and_a_size_that_cannot_be_served_stays_so() {
        let profile = profile(&json!([[8.0, 9.0], [4.0, 0.0]]));
        assert_eq!(profile.lowered(), [[8.0, 8.0], [4.0, 0.0]]);
        assert!((profile.capacity(512.0, 4.0) - 8.0).abs() < 1e-9);
        assert_eq!((profile.capacity(512.0, 16.0), profile.capacity(500.0, 8.0)), (0.0, 0.0));
        assert!(profile.capacity(128.0, 8.0) > 0.0);
        // Half-way to the point that fails both ways: three quarters are as at the others, at the least of their rates.
        let (share, rate) = profile.partly(256.0, 8.0);
        assert!((share - 0.75).abs() < 1e-9 && (rate - 4.0).abs() < 1e-9, "{share} {rate}");
        assert_eq!((profile.partly(512.0, 16.0), profile.partly(1024.0, 16.0)), ((0.0, 0.0), (0.0, 0.0)));
    }

    #[test]
    fn with_a_limit_per_token_a_longer_answer_may_be_carried_more_often() {
        let capacities = |slos: serde_json::Value| {
            let text = json!({"gpu": "a", "cost": 1.0, "tputs": [[3.0, 1.9], [5.0, 5.5]], "indexes": [[4, 256], [512, 2048]],
                "slos": slos});
            let profile = Profile::from_json(&text.to_string()).unwrap();
            [4.0, 256.0].map(|output| (profile.capacity(2048.0, output) * 1e6).round() / 1e6)
        };
        assert_eq!(capacities(json!({"percentile": 90, "tpot": 0.1})), [1.9, 5.0], "but not a longer prompt");
        assert_eq!(capacities(json!({"percentile": 90, "ttft": 2.0, "tpat": 0.1})), [1.9, 5.0]);
        assert_eq!(capacities(json!({"percentile": 90, "e2e": 5.0})), [1.9, 1.9], "noise");
        assert_eq!(capacities(json!(null)), [1.9, 1.9]);
    }

    #[test]
    fn what_is_no_profile_is_said_with_its_path() {
        let refused = |text: serde_json::Value, part: &str| {
            let error = Profile::from_json(&text.to_string()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(json!({"gpu": "a", "cost": 1, "tputs": [[1]], "indexes": [[4, 2], [1]]}), "indexes[0]");
        refused(json!({"gpu": "a", "cost": 1, "tputs": [[1], [1]], "indexes": [[4], [1]]}), "tputs: 2 rows");
        refused(json!({"gpu": "a", "cost": 1, "tputs": [[-1]], "indexes": [[4], [1]]}), "tputs[0][0]: is -1");
        refused(
            json!({"gpu": "a", "cost": 1, "tputs": [[1]], "e2e": [[1, 2]], "indexes": [[4], [1]]}),
            "e2e[0]: 2 columns",
        );
        refused(
            json!({"gpu": "a", "cost": 1, "tputs": [[1]], "ttft": [[-1]], "indexes": [[4], [1]]}),
            "ttft[0][0]: is -1",
        );
        let slos = json!({"percentile": 99, "e2e": -5});
        refused(json!({"gpu": "a", "cost": 1, "tputs": [[1]], "slos": slos, "indexes": [[4], [1]]}), "slos.e2e: is -5");
        let slos = json!({"percentile": 101});
        refused(json!({"gpu": "a", "cost": 1, "tputs": [[1]], "slos": slos, "indexes": [[4], [1]]}), "slos.percentile");
        refused(json!({"gpu": "a", "cost": 1, "tputs": [["x"]], "indexes": [[4], [1]]}), "tputs[0][0]");
    }

    #[test]
    fn a_profile_is_written_back_as_aibrix_has_it() {
        let text = json!({
            "gpu": "simulator-a100", "cost": 1.0, "tputs": [[62.5, 32.25], [60.0, 0.0]], "indexes": [[4.0, 8.0], [128.0, 256.0]],
            "created": 1_748_888_478.258_241, "e2e": [[0.1, 0.125], [0.25, 0.5]], "slos": {"percentile": 99, "e2e": 5.0},
        });
        let written = Profile::from_json(&text.to_string()).unwrap().to_json().unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), text);
    }

    proptest! {
        #[test]
        fn larger_requests_are_never_carried_more_often(
            rates in proptest::collection::vec(0.0_f64..100.0, 9), input in 1.0_f64..10_000.0, output in 1.0_f64..10_000.0,
            more in 1.0_f64..3.0, per_token in proptest::bool::ANY,
        ) {
            let rows: Vec<&[f64]> = rates.chunks(3).collect();
            let text = json!({"gpu": "a", "cost": 1.0, "tputs": rows, "indexes": [[4, 64, 900], [10, 100, 2000]],
                "slos": per_token.then(|| json!({"tpot": 0.1}))});
            let profile = Profile::from_json(&text.to_string()).unwrap();
            let rate = profile.capacity(input, output);
            prop_assert!(rate.is_finite() && rate >= 0.0);
            prop_assert!(profile.capacity(input * more, output) <= rate * (1.0 + 1e-9));
            prop_assert!(per_token || profile.capacity(input, output * more) <= rate * (1.0 + 1e-9));
        }
    }
}
