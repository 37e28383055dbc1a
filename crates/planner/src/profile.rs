//! GPU profiles as AIBrix writes them (`aibrix_gen_profile`): what one replica of a type sustains, over a grid of sizes, and what it
//! costs. Rows are answer tokens, columns prompt tokens.

use crate::problem::ProblemError;
use serde::Deserialize;

/// A profile.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Profile {
    /// The type's name; AIBrix has the Deployment's here.
    pub gpu: String,
    /// Cost of one replica per unit of time.
    pub cost: f64,
    /// Most requests a second within the SLO, by answer and then prompt tokens; 0 where none is.
    pub tputs: Vec<Vec<f64>>,
    /// The grid: answer tokens, then prompt tokens, ascending.
    pub indexes: [Vec<f64>; 2],
    /// When it was made, Unix seconds; newer ones replace older ones.
    #[serde(default)]
    pub created: f64,
}

/// Points of a grid, each way: far more than anybody measures.
const MAX_POINTS: usize = 1000;

impl Profile {
    /// Reads a profile; the error names the field.
    pub fn from_json(text: &str) -> Result<Self, ProblemError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let mut profile: Self = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| ProblemError { path: error.path().to_string(), message: error.inner().to_string() })?;
        profile.validate()?;
        profile.make_monotone();
        Ok(profile)
    }

    fn validate(&self) -> Result<(), ProblemError> {
        let wrong = |path: String, message: String| Err(ProblemError { path, message });
        if !(self.cost.is_finite() && self.cost >= 0.0) {
            return wrong("cost".to_owned(), format!("is {}; allowed: a number from 0", self.cost));
        }
        for (at, axis) in self.indexes.iter().enumerate() {
            let ascending = axis.windows(2).all(|pair| pair[0] < pair[1]);
            let sound = axis.iter().all(|tokens| tokens.is_finite() && *tokens >= 1.0);
            if axis.is_empty() || axis.len() > MAX_POINTS || !ascending || !sound {
                let allowed = format!("allowed: 1 to {MAX_POINTS} token counts from 1, ascending");
                return wrong(format!("indexes[{at}]"), format!("{} entries; {allowed}", axis.len()));
            }
        }
        let (rows, columns) = (self.indexes[0].len(), self.indexes[1].len());
        if self.tputs.len() != rows {
            let message = format!("{} rows; indexes[0] has {rows} answer sizes", self.tputs.len());
            return wrong("tputs".to_owned(), message);
        }
        for (at, row) in self.tputs.iter().enumerate() {
            if row.len() != columns {
                let message = format!("{} columns; indexes[1] has {columns} prompt sizes", row.len());
                return wrong(format!("tputs[{at}]"), message);
            }
            if let Some(bad) = row.iter().position(|rate| !(rate.is_finite() && *rate >= 0.0)) {
                let message = format!("is {}; allowed: requests a second from 0", row[bad]);
                return wrong(format!("tputs[{at}][{bad}]"), message);
            }
        }
        Ok(())
    }

    /// More tokens are never carried more often: what noise measured otherwise is lowered to the smaller sizes' rate. Lowered,
    /// since a capacity that is too high costs the SLO and one that is too low a little money.
    fn make_monotone(&mut self) {
        for row in 0..self.tputs.len() {
            for column in 0..self.tputs[row].len() {
                let above = if row > 0 { self.tputs[row - 1][column] } else { f64::INFINITY };
                let left = if column > 0 { self.tputs[row][column - 1] } else { f64::INFINITY };
                let own = &mut self.tputs[row][column];
                *own = own.min(above).min(left);
            }
        }
    }

    /// Requests a second of this size that one replica sustains. Between measured points the time that a request takes of a
    /// replica is interpolated, by the logarithms of the sizes; a point that sustains nothing makes its neighbourhood so. Below
    /// the grid the smallest size stands, beyond it a request takes time in proportion to its tokens.
    #[must_use]
    pub fn capacity(&self, input: f64, output: f64) -> f64 {
        let (row, down, longer) = place(&self.indexes[0], output);
        let (column, right, wider) = place(&self.indexes[1], input);
        let mut takes = 0.0;
        for (at, share) in [(row, 1.0 - down), (row + 1, down)] {
            for (beside, part) in [(column, 1.0 - right), (column + 1, right)] {
                if share * part <= 0.0 {
                    continue;
                }
                let rate = self.tputs.get(at).and_then(|row| row.get(beside)).copied().unwrap_or(0.0);
                if rate <= 0.0 {
                    return 0.0;
                }
                takes += share * part / rate;
            }
        }
        if takes > 0.0 { 1.0 / (takes * longer * wider) } else { 0.0 }
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
        let text = json!({"gpu": "a", "cost": 1.0, "tputs": tputs, "indexes": [[4, 16], [128, 512]], "created": 1, "e2e": [[1]]});
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
        assert_eq!(profile.tputs, [[8.0, 8.0], [4.0, 0.0]]);
        assert_eq!((profile.capacity(512.0, 16.0), profile.capacity(500.0, 8.0)), (0.0, 0.0));
        assert!(profile.capacity(128.0, 8.0) > 0.0);
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
        refused(json!({"gpu": "a", "cost": 1, "tputs": [["x"]], "indexes": [[4], [1]]}), "tputs[0][0]");
    }

    proptest! {
        #[test]
        fn larger_requests_are_never_carried_more_often(
            rates in proptest::collection::vec(0.0_f64..100.0, 9), input in 1.0_f64..10_000.0, output in 1.0_f64..10_000.0,
            more in 1.0_f64..3.0,
        ) {
            let rows: Vec<&[f64]> = rates.chunks(3).collect();
            let text = json!({"gpu": "a", "cost": 1.0, "tputs": rows, "indexes": [[4, 64, 900], [10, 100, 2000]]});
            let profile = Profile::from_json(&text.to_string()).unwrap();
            let rate = profile.capacity(input, output);
            prop_assert!(rate.is_finite() && rate >= 0.0);
            prop_assert!(profile.capacity(input * more, output) <= rate * (1.0 + 1e-9));
            prop_assert!(profile.capacity(input, output * more) <= rate * (1.0 + 1e-9));
        }
    }
}
