//! What a plan may be.

use crate::sweep::Plan;

/// Sizes each way.
const MAX_SIZES: usize = 64;
/// Longest prompt or answer, tokens.
const MAX_TOKENS: u32 = 1 << 24;

impl Plan {
    /// Checks every setting; says the first that is wrong, and what is allowed.
    pub fn validate(&self) -> Result<(), String> {
        for (name, sizes) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            let sound = sizes.iter().all(|size| (1..=MAX_TOKENS).contains(size));
            let ascending = sizes.windows(2).all(|pair| pair[0] < pair[1]);
            if sizes.is_empty() || sizes.len() > MAX_SIZES || !sound || !ascending {
                let allowed = format!("allowed: 1 to {MAX_SIZES} token counts from 1 to {MAX_TOKENS}, ascending");
                return Err(format!("{name} {sizes:?}: {allowed}"));
            }
        }
        for (name, limit) in [("ttft", self.slo.ttft), ("tpot", self.slo.tpot), ("e2e", self.slo.e2e)] {
            if limit.is_some_and(|limit| !(limit.is_finite() && limit > 0.0)) {
                return Err(format!("slo {name}: allowed: a time above 0"));
            }
        }
        if !(0.001..=1.0).contains(&self.tolerance) {
            return Err(format!("tolerance {}: allowed: 0.001 to 1", self.tolerance));
        }
        if !(1..=99).contains(&self.repeats) {
            return Err(format!("repeats {}: allowed: 1 to 99", self.repeats));
        }
        if !(self.max_rate.is_finite() && self.max_rate > 0.0) {
            return Err(format!("maximum rate {}: allowed: a number above 0", self.max_rate));
        }
        if let Some(rates) = &self.rates {
            let sound = rates.iter().all(|rate| rate.is_finite() && *rate > 0.0);
            if rates.is_empty() || rates.len() > MAX_SIZES || !sound || !rates.is_sorted_by(|low, high| low < high) {
                return Err(format!("rates {rates:?}: allowed: 1 to {MAX_SIZES} numbers above 0, ascending"));
            }
        }
        Ok(())
    }
}
