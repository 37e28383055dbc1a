//! Iteration times in integer picoseconds, and their sums in closed form.
//!
//! All floating point happens once, when the table is made (IEEE operations only, so every platform agrees). From
//! then on times are integers, and the sum over a run of iterations equals the iterations added one by one.

use crate::spec::EngineSpec;

const PICOS_PER_MS: f64 = 1e9;
const PICOS_PER_NS: f64 = 1e3;

/// What an iteration costs.
#[derive(Debug)]
pub(crate) struct Costs {
    /// Overhead, weights and compute for a batch of `n` tokens, by `n`, ps.
    linear: Box<[u64]>,
    /// Per token of decode context, ps.
    kv: u64,
    /// Per token of a chunk and token of its context, ps.
    attention: u64,
}

impl Costs {
    /// The table for a valid `spec`.
    pub(crate) fn new(spec: &EngineSpec) -> Self {
        let linear = (0..=spec.max_num_batched_tokens)
            .map(|n| {
                let compute = spec.compute_ms_per_token * f64::from(n);
                let weights = spec.weights_ms;
                picos((spec.overhead_ms + (weights * weights + compute * compute).sqrt()) * PICOS_PER_MS)
            })
            .collect();
        Self {
            linear,
            kv: picos(spec.kv_ns_per_token * PICOS_PER_NS),
            attention: picos(spec.attention_ns_per_token2 * PICOS_PER_NS),
        }
    }

    /// One iteration: `tokens` in the batch (at most the budget), `context` tokens read by decoding sequences.
    pub(crate) fn iteration(&self, tokens: u32, context: u64) -> u64 {
        self.linear(tokens).saturating_add(self.kv.saturating_mul(context))
    }

    /// What a prefill chunk of `chunk` tokens behind `before` tokens adds for attention.
    pub(crate) fn chunk(&self, before: u32, chunk: u32) -> u64 {
        let (before, chunk) = (u64::from(before), u64::from(chunk));
        // chunk · (before + chunk / 2), doubled to stay whole
        let twice = chunk * (2 * before + chunk);
        self.attention.saturating_mul(twice) / 2
    }

    /// `count` pure decode iterations of `decodes` sequences, whose contexts sum to `context` before the first: each
    /// reads one token more per sequence than the one before.
    pub(crate) fn decode_run(&self, count: u64, decodes: u32, context: u64) -> u64 {
        let (count, each) = (u128::from(count), u128::from(decodes));
        let read = count * u128::from(context) + each * (count * (count + 1) / 2);
        let total = count * u128::from(self.linear(decodes)) + u128::from(self.kv) * read;
        u64::try_from(total).unwrap_or(u64::MAX)
    }

    /// The most iterations of [`Costs::decode_run`], up to `limit`, that take no longer than `budget` picoseconds.
    pub(crate) fn decode_fit(&self, limit: u64, decodes: u32, context: u64, budget: u64) -> u64 {
        if self.decode_run(limit, decodes, context) <= budget {
            return limit;
        }
        let mut count = self.decode_guess(decodes, context, budget).min(limit);
        // The guess solves the same quadratic in floating point: off by one at most in practice, so walk.
        while count > 0 && self.decode_run(count, decodes, context) > budget {
            count -= 1;
        }
        while count < limit && self.decode_run(count + 1, decodes, context) <= budget {
            count += 1;
        }
        count
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and a guess is checked"
    )]
    fn decode_guess(&self, decodes: u32, context: u64, budget: u64) -> u64 {
        let kv = self.kv as f64;
        let square = kv * f64::from(decodes) / 2.0;
        let slope = self.linear(decodes) as f64 + kv * context as f64 + square;
        // the root in the form that does not cancel when the quadratic term is small
        (2.0 * budget as f64 / (slope + (slope * slope + 4.0 * square * budget as f64).sqrt())) as u64
    }

    fn linear(&self, tokens: u32) -> u64 {
        let last = self.linear.len() - 1;
        self.linear[(tokens as usize).min(last)]
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "validated to be small and not negative")]
fn picos(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn costs(name: &str) -> Costs {
        Costs::new(&EngineSpec::builtin(name).unwrap())
    }

    fn millis(picos: u64) -> f64 {
        picos as f64 / PICOS_PER_MS
    }

    #[test]
    fn h100_8b_at_batch_64_and_context_192_takes_8_4_ms() {
        let time = millis(costs("h100-8b").iteration(64, 64 * 192));
        assert!((8.3..8.6).contains(&time), "{time}");
    }

    #[test]
    fn a_prompt_of_8192_tokens_adds_0_14_s_of_attention_on_an_a100() {
        let costs = costs("a100-8b");
        let chunked: u64 = (0..4).map(|i| costs.chunk(i * 2048, 2048)).sum();
        assert!((0.13..0.15).contains(&(millis(chunked) / 1e3)));
        assert_eq!(chunked, costs.chunk(0, 8192), "chunking does not change the attention work");
    }

    proptest! {
        #[test]
        fn a_run_costs_what_its_iterations_cost(count in 0_u64..300, decodes in 1_u32..256, context in 0_u64..400_000) {
            let costs = costs("a100-8b");
            let stepped: u64 = (1..=count).map(|i| costs.iteration(decodes, context + i * u64::from(decodes))).sum();
            prop_assert_eq!(stepped, costs.decode_run(count, decodes, context));
        }

        #[test]
        fn the_fit_is_the_largest_that_fits(limit in 0_u64..5000, decodes in 1_u32..256, context in 0_u64..400_000, budget in 0_u64..100_000_000_000_000) {
            let costs = costs("l4-8b");
            let fit = costs.decode_fit(limit, decodes, context, budget);
            prop_assert!(fit <= limit);
            prop_assert!(fit == 0 || costs.decode_run(fit, decodes, context) <= budget);
            prop_assert!(fit == limit || costs.decode_run(fit + 1, decodes, context) > budget);
        }
    }
}
