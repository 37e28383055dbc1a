//! The engines that come with the program, and where each number is from.
//!
//! Sources, by column of the table below:
//! - `weights`, `compute`: A100 and 70B on H100 fitted to Vidur's profiles of linear operators
//!   (microsoft/vidur @ 7d47513, `data/profiling/compute/*/*/mlp.csv`; 70B without all-reduce; the H100 70B rows are
//!   Llama-2-70b). The others derived: weights = bytes ÷ (0.72…0.81 · bandwidth), compute = 2 · parameters ÷
//!   (0.65 · peak), with the efficiencies that the fits showed. H100 8B gives 8.4 ms at batch 64 and context 192,
//!   where llm-d's workload-variant-autoscaler measured 8.7; L40S gives 23.8 ms where it has 22.6.
//! - `kv`: bytes per token (8B 131 072; 70B 327 680 over the tensor-parallel GPUs) ÷ (0.78 · bandwidth); bandwidths
//!   in GB/s: L4 300, A10G 600, L20 and L40S 864, A100-80 2039, H100 3350.
//! - `attention`: 4 · layers · hidden ÷ (0.4 · peak dense FP16); peaks in TF: L4 121, A10G 70, L20 119.5, L40S 362,
//!   A100 312, H100 3.2 times the A100; divided by the tensor-parallel GPUs.
//! - `overhead`: 1 to 1.5 ms for scheduling and sampling with CUDA graphs; tensor parallelism adds 2 to 2.5 ms of
//!   all-reduce on 4 GPUs and the same on 8 (derived).
//! - `kv tokens`: (0.9 · memory − weights − 2 GiB per GPU) ÷ bytes per token.
//! - batch limits: vLLM `vllm/engine/arg_utils.py`: 8192 tokens and 1024 sequences on GPUs of 70 GiB and more other
//!   than the A100, else 2048 and 256.
//! - context: Llama 3.1's 131 072, or what the KV cache holds.
//! - start-up: median 120 s (8B) and 180 s (70B), from published start-up times of 60 to 300 s.

use crate::spec::EngineSpec;

struct Row {
    name: &'static str,
    gpus: u32,
    overhead_ms: f64,
    weights_ms: f64,
    compute_ms: f64,
    kv_ns: f64,
    attention_ns: f64,
    kv_tokens: u64,
    large_batch: bool,
    context: u32,
    startup: f64,
}

#[rustfmt::skip]
const ROWS: [Row; 10] = [
    Row { name: "l4-8b", gpus: 1, overhead_ms: 1.5, weights_ms: 69.0, compute_ms: 0.177, kv_ns: 560.0, attention_ns: 10.8, kv_tokens: 30_000, large_batch: false, context: 24_576, startup: 120.0 },
    Row { name: "a10g-8b", gpus: 1, overhead_ms: 1.5, weights_ms: 34.0, compute_ms: 0.31, kv_ns: 280.0, attention_ns: 18.7, kv_tokens: 30_000, large_batch: false, context: 24_576, startup: 120.0 },
    Row { name: "l20-8b", gpus: 1, overhead_ms: 1.5, weights_ms: 23.8, compute_ms: 0.18, kv_ns: 194.0, attention_ns: 11.0, kv_tokens: 189_000, large_batch: false, context: 131_072, startup: 120.0 },
    Row { name: "l40s-8b", gpus: 1, overhead_ms: 1.5, weights_ms: 23.8, compute_ms: 0.059, kv_ns: 194.0, attention_ns: 3.6, kv_tokens: 189_000, large_batch: false, context: 131_072, startup: 120.0 },
    Row { name: "a100-8b", gpus: 1, overhead_ms: 1.5, weights_ms: 10.5, compute_ms: 0.0708, kv_ns: 80.0, attention_ns: 4.2, kv_tokens: 445_000, large_batch: false, context: 131_072, startup: 120.0 },
    Row { name: "h100-8b", gpus: 1, overhead_ms: 1.0, weights_ms: 6.7, compute_ms: 0.0221, kv_ns: 50.0, attention_ns: 1.31, kv_tokens: 445_000, large_batch: true, context: 131_072, startup: 120.0 },
    Row { name: "a100-70b-tp4", gpus: 4, overhead_ms: 4.0, weights_ms: 26.3, compute_ms: 0.172, kv_ns: 51.0, attention_ns: 5.25, kv_tokens: 480_000, large_batch: false, context: 131_072, startup: 180.0 },
    Row { name: "a100-70b-tp8", gpus: 8, overhead_ms: 4.0, weights_ms: 16.0, compute_ms: 0.0917, kv_ns: 26.0, attention_ns: 2.63, kv_tokens: 1_350_000, large_batch: false, context: 131_072, startup: 180.0 },
    Row { name: "h100-70b-tp4", gpus: 4, overhead_ms: 3.0, weights_ms: 15.5, compute_ms: 0.058, kv_ns: 31.0, attention_ns: 1.64, kv_tokens: 480_000, large_batch: true, context: 131_072, startup: 180.0 },
    Row { name: "h100-70b-tp8", gpus: 8, overhead_ms: 3.0, weights_ms: 10.0, compute_ms: 0.033, kv_ns: 16.0, attention_ns: 0.82, kv_tokens: 1_350_000, large_batch: true, context: 131_072, startup: 180.0 },
];

impl EngineSpec {
    /// The built-in engine called `name`; [`EngineSpec::builtin_names`] lists them.
    pub fn builtin(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(Row::spec)
    }

    /// The names that [`EngineSpec::builtin`] knows, smallest GPU first.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.name)
    }
}

impl Row {
    fn spec(&self) -> EngineSpec {
        let (budget, seqs) = if self.large_batch { (8192, 1024) } else { (2048, 256) };
        EngineSpec {
            name: self.name.to_owned(),
            source: "Vidur's operator profiles where measured, else roofline; see engine-model src/builtin.rs"
                .to_owned(),
            gpus: self.gpus,
            overhead_ms: self.overhead_ms,
            weights_ms: self.weights_ms,
            compute_ms_per_token: self.compute_ms,
            kv_ns_per_token: self.kv_ns,
            attention_ns_per_token2: self.attention_ns,
            kv_capacity_tokens: self.kv_tokens,
            block_size: 16,
            watermark: 0.01,
            max_num_seqs: seqs,
            max_num_batched_tokens: budget,
            max_model_len: self.context,
            max_waiting: 1_000_000,
            startup_seconds: self.startup,
        }
    }
}
