//! What vLLM counts about its requests, in model seconds.

use crate::histogram::Histogram;
use engine_model::{Completion, Iteration};

// Bounds as vLLM 0.32 prints them (vllm/v1/metrics/loggers.py).
const TTFT: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
const TOKEN_LATENCY: [f64; 19] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const REQUEST_LATENCY: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
const ITERATION_TOKENS: [f64; 13] =
    [1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const PREEMPTIONS: [f64; 7] = [1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0];

/// Histograms and counters that the engine model does not keep itself.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) finished_length: u64,
    pub(crate) finished_abort: u64,
    pub(crate) rejected_queue_full: u64,
    pub(crate) ttft: Histogram,
    pub(crate) inter_token: Histogram,
    pub(crate) time_per_output_token: Histogram,
    pub(crate) e2e: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) inference: Histogram,
    pub(crate) prefill: Histogram,
    pub(crate) decode: Histogram,
    pub(crate) prompt_tokens: Histogram,
    pub(crate) generation_tokens: Histogram,
    pub(crate) max_tokens: Histogram,
    pub(crate) prefill_computed: Histogram,
    pub(crate) preemptions: Histogram,
    pub(crate) iteration_tokens: Histogram,
}

impl Metrics {
    /// All zero; token bounds follow the context length, as vLLM's do.
    pub(crate) fn new(max_model_len: u32) -> Self {
        let lengths = one_two_five(max_model_len);
        Self {
            finished_length: 0,
            finished_abort: 0,
            rejected_queue_full: 0,
            ttft: Histogram::new(&TTFT),
            inter_token: Histogram::new(&TOKEN_LATENCY),
            time_per_output_token: Histogram::new(&TOKEN_LATENCY),
            e2e: Histogram::new(&REQUEST_LATENCY),
            queue: Histogram::new(&REQUEST_LATENCY),
            inference: Histogram::new(&REQUEST_LATENCY),
            prefill: Histogram::new(&REQUEST_LATENCY),
            decode: Histogram::new(&REQUEST_LATENCY),
            prompt_tokens: Histogram::new(&lengths),
            generation_tokens: Histogram::new(&lengths),
            max_tokens: Histogram::new(&lengths),
            prefill_computed: Histogram::new(&lengths),
            preemptions: Histogram::new(&PREEMPTIONS),
            iteration_tokens: Histogram::new(&ITERATION_TOKENS),
        }
    }

    pub(crate) fn finished(&mut self, done: &Completion) {
        self.finished_length += 1;
        let output = f64::from(done.output_tokens);
        self.e2e.observe(done.e2e().as_secs_f64());
        self.queue.observe(done.queued().as_secs_f64());
        self.inference.observe(done.finished.since(done.admitted).as_secs_f64());
        self.prefill.observe(done.first_token.since(done.admitted).as_secs_f64());
        self.decode.observe(done.finished.since(done.first_token).as_secs_f64());
        self.time_per_output_token.observe(done.tpot().as_secs_f64());
        self.prompt_tokens.observe(f64::from(done.input_tokens));
        self.generation_tokens.observe(output);
        self.max_tokens.observe(output);
        self.prefill_computed.observe(f64::from(done.input_tokens - done.prefix_hit_tokens));
        self.preemptions.observe(f64::from(done.preemptions));
    }

    pub(crate) fn iteration(&mut self, iteration: &Iteration) {
        self.iteration_tokens.observe(f64::from(iteration.prefill_tokens) + f64::from(iteration.decodes));
    }
}

/// 1, 2, 5, 10, … up to `most`.
fn one_two_five(most: u32) -> Vec<f64> {
    let most = f64::from(most);
    let decades = std::iter::successors(Some(1.0), |power| Some(power * 10.0)).take_while(|&power| power <= most);
    decades.flat_map(|power| [power, 2.0 * power, 5.0 * power]).filter(|&bound| bound <= most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_bounds_stop_at_the_context_length_as_vllm_has_them() {
        assert_eq!(one_two_five(2048), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]);
    }
}
