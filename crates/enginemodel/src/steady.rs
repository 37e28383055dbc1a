//! The engine in a steady state: what a constant load of equal requests makes of it, and the most that an SLO allows.
//!
//! A fluid view of the same iterations that [`crate::Engine`] runs: at λ requests a second of `I` computed prompt tokens and
//! `O` answer tokens, an iteration of `T` seconds has `b = λ·O·T` decoding sequences and `p = λ·I·T` prompt tokens, and `T`
//! is what an iteration of `b + p` tokens takes (Little's law on the batch). Queueing is left out: it is what head-room is for.

use crate::spec::EngineSpec;

/// The mean request of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Prompt tokens that are computed, those of the prefix cache taken off.
    pub computed: f64,
    /// All prompt tokens, which are what the KV cache holds.
    pub input: f64,
    /// Answer tokens, at least 1.
    pub output: f64,
}

/// A steady state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steady {
    /// Seconds of an iteration, which is the time per output token.
    pub iteration: f64,
    /// Sequences that decode.
    pub batch: f64,
    /// Tokens in the KV cache.
    pub kv_tokens: f64,
}

/// What one replica can carry within an SLO, and what each token of it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Requests a second.
    pub rate: f64,
    /// The state at that rate.
    pub at: Steady,
    /// Seconds of a replica that one computed prompt token costs.
    pub per_input: f64,
    /// Seconds of a replica that one answer token costs. Both together are one second a second at `rate`.
    pub per_output: f64,
}

/// Bisection steps: 2^-60 of the first interval.
const STEPS: u32 = 60;
/// The KV cache is planned to be no fuller, so that admission seldom waits for blocks.
const KV_SHARE: f64 = 0.9;

impl EngineSpec {
    /// Seconds that an iteration takes with `batch` decoding sequences of `context` tokens each and `prefill` prompt tokens of
    /// requests with `input` tokens.
    fn iteration(&self, batch: f64, context: f64, prefill: f64, input: f64) -> f64 {
        let compute = self.compute_ms_per_token * (batch + prefill);
        let linear = self.overhead_ms + self.weights_ms.hypot(compute);
        let kv = self.kv_ns_per_token * batch * context / 1e6;
        let attention = self.attention_ns_per_token2 * prefill * input / 2.0 / 1e6;
        (linear + kv + attention) / 1e3
    }

    /// The state at `rate` requests a second; none where the engine cannot keep up.
    #[must_use]
    pub fn steady(&self, mix: Mix, rate: f64) -> Option<Steady> {
        let context = mix.input + mix.output / 2.0;
        // The iteration that a candidate needs, given what gathers during it, less the candidate: falls through zero at the state.
        let excess = |time: f64| {
            let (batch, prefill) = (rate * mix.output * time, rate * mix.computed * time);
            self.iteration(batch, context, prefill, mix.input) - time
        };
        let batch = |time: f64| rate * mix.output * time;
        let budget = f64::from(self.max_num_batched_tokens);
        let most =
            (f64::from(self.max_num_seqs) / (rate * mix.output)).min(budget / (rate * (mix.output + mix.computed)));
        if !(most.is_finite() && most > 0.0) || excess(most) > 0.0 {
            return None;
        }
        let (mut low, mut high) = (0.0, most);
        for _ in 0..STEPS {
            let middle = f64::midpoint(low, high);
            if excess(middle) > 0.0 { low = middle } else { high = middle }
        }
        let state = Steady { iteration: high, batch: batch(high), kv_tokens: batch(high) * context };
        (state.kv_tokens <= KV_SHARE * self.kv_capacity_tokens as f64).then_some(state)
    }

    /// The most requests a second at which an output token takes at most `tpot` seconds; none where even one request at a time
    /// takes longer.
    #[must_use]
    pub fn capacity(&self, mix: Mix, tpot: f64) -> Option<Capacity> {
        let keeps = |rate: f64| self.steady(mix, rate).filter(|state| state.iteration <= tpot);
        let (mut low, mut high) = (1e-6, 1e6);
        keeps(low)?;
        for _ in 0..STEPS {
            let middle = (low * high).sqrt();
            if keeps(middle).is_some() { low = middle } else { high = middle }
        }
        let at = keeps(low)?;
        // Prompt tokens cost what they compute; the rest of the time is the answers'.
        let attention = self.attention_ns_per_token2 * mix.input / 2.0 / 1e9;
        let compute = (self.compute_ms_per_token / 1e3 + attention).min(1.0 / (low * mix.computed.max(1.0)));
        let per_output = (1.0 / low - mix.computed * compute).max(0.0) / mix.output;
        Some(Capacity { rate: low, at, per_input: compute, per_output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_point_is_met() {
        // llm-d workload-variant-autoscaler: H100, Llama 3.1 8B, 128/128, batch 64: 8.7 ms a token, 56.7 requests a second.
        let engine = EngineSpec::builtin("h100-8b").unwrap();
        let state = engine.steady(Mix { computed: 128.0, input: 128.0, output: 128.0 }, 56.7).unwrap();
        assert!((state.iteration / 8.7e-3 - 1.0).abs() < 0.1, "{state:?}");
        assert!((state.batch / 64.0 - 1.0).abs() < 0.1, "{state:?}");
    }

    #[test]
    fn capacity_is_the_rate_at_which_costs_fill_a_second() {
        let mix = Mix { computed: 700.0, input: 720.0, output: 110.0 };
        for name in EngineSpec::builtin_names() {
            let engine = EngineSpec::builtin(name).unwrap();
            let capacity = engine.capacity(mix, 0.1).unwrap();
            let cost = mix.computed * capacity.per_input + mix.output * capacity.per_output;
            assert!((cost * capacity.rate - 1.0).abs() < 1e-6, "{name}: {capacity:?}");
            assert!(
                capacity.at.iteration <= 0.1
                    && engine
                        .steady(mix, capacity.rate * 1.01)
                        .is_none_or(|state| state.iteration > 0.1 || state.kv_tokens > 0.0),
                "{name}"
            );
        }
        assert_eq!(EngineSpec::builtin("l4-8b").unwrap().capacity(mix, 0.05), None, "weights alone take longer");
    }
}
