//! What a comparison comes to, by policy.

use super::cell::Cell;
use serde::Serialize;

/// One policy over all scored cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The policy.
    pub policy: String,
    /// Its knob; none of references, which have one for each cell.
    pub knob: Option<f64>,
    /// Whether it was made in hindsight.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reference: bool,
    /// Geometric mean of the scores; 1 is the oracle. None where no cell is scored.
    pub score: Option<f64>,
    /// The worst score.
    pub worst: Option<f64>,
    /// Scored cells in which the attainment reached its target.
    pub cells_at_target: usize,
    /// Scored cells.
    pub cells: usize,
    /// Mean reversals an hour.
    pub reversals_per_hour: f64,
}

/// One summary for each policy and knob, policies from the best to the worst and references behind them.
#[must_use]
pub fn summaries(cells: &[Cell]) -> Vec<Summary> {
    let mut found: Vec<Summary> = Vec::new();
    for first in cells {
        let knob = (!first.reference).then_some(first.knob);
        if found.iter().any(|known| known.policy == first.policy && known.knob == knob) {
            continue;
        }
        let own = cells.iter().filter(|cell| {
            cell.policy == first.policy && (cell.reference || cell.knob == first.knob) && cell.score.is_some()
        });
        let own: Vec<&Cell> = own.collect();
        let scores: Vec<f64> = own.iter().filter_map(|cell| cell.score).collect();
        let count = scores.len() as f64;
        let mean = (scores.iter().map(|score| score.max(1e-9).ln()).sum::<f64>() / count).exp();
        found.push(Summary {
            policy: first.policy.clone(),
            knob,
            reference: first.reference,
            score: (!scores.is_empty()).then_some(mean),
            worst: scores.iter().copied().max_by(f64::total_cmp),
            cells_at_target: own.iter().filter(|cell| cell.at_target()).count(),
            cells: scores.len(),
            reversals_per_hour: if own.is_empty() {
                0.0
            } else {
                own.iter().map(|cell| cell.reversals_per_hour).sum::<f64>() / own.len() as f64
            },
        });
    }
    found.sort_by(|a, b| {
        let worst = f64::INFINITY;
        a.reference.cmp(&b.reference).then(a.score.unwrap_or(worst).total_cmp(&b.score.unwrap_or(worst)))
    });
    found
}
