//! The one table of names: normalised name → families per engine, in order of preference across versions.
//!
//! Sources: vLLM `vllm/v1/metrics/loggers.py` of 0.8 to 0.32, SGLang `metrics_collector.py` 0.5, TensorRT-LLM
//! `trtllm-serve`, Triton's TensorRT-LLM back end, TGI's and llama.cpp's documentation, Dynamo's frontend 1.6, and
//! AIBrix `pkg/metrics/metrics.go` for its registry.

use super::Engine;
use crate::query::Statistic;
use Engine::{Dynamo, LlamaCpp, Sglang, TensorRtLlm, Tgi, Triton, Vllm, Xllm};

/// How several series of one replica become one value. Of series that show one thing several times (SGLang's ranks)
/// one counts beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Combine {
    /// They add up: requests, tokens.
    Sum,
    /// Each is a share of its own whole: cache usage of data-parallel ranks.
    Mean,
    /// The newest or largest: times of last update.
    Max,
}

impl Combine {
    /// The one value. `values` is not empty.
    pub(crate) fn of(self, values: &[f64]) -> f64 {
        let sum: f64 = values.iter().sum();
        match self {
            Self::Sum => sum,
            Self::Mean => sum / values.len() as f64,
            Self::Max => values.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// One summand: alternatives, of which the first that is on the page counts. An alternative may select a label, name the
/// counter that counts what it sums up, and divide to come to our unit: `family{label=value} per other / 100`.
pub(crate) type Term = &'static [&'static str];

/// What a name stands for, engine by engine.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    terms: &'static [(Engine, &'static [Term])],
    combine: Combine,
    scale: f64,
    statistic: Option<Statistic>,
    usage: bool,
}

/// What a name stands for on one engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) terms: &'static [Term],
    pub(crate) combine: Combine,
    /// From the engine's unit to ours.
    pub(crate) scale: f64,
    /// The statistic where none is asked for.
    pub(crate) statistic: Option<Statistic>,
    /// A share from 0 to 1, which some print in percent.
    pub(crate) usage: bool,
}

/// The definitions of a name on an engine: none where there is no such name, an empty list where this engine has it not.
/// On an engine that is not known, every engine's terms are candidates; terms of [`Engine::Generic`] come from an
/// exporter beside the engine, whichever it is.
pub(crate) fn definition(name: &str, engine: Engine) -> Option<Vec<Definition>> {
    let row = rows().find(|row| row.name == name)?;
    let fits = |of: Engine| of == engine || of == Engine::Generic || engine == Engine::Generic;
    let wanted = row.terms.iter().filter(|&&(of, _)| fits(of));
    Some(
        wanted
            .map(|&(_, terms)| Definition {
                terms,
                combine: row.combine,
                scale: row.scale,
                statistic: row.statistic,
                usage: row.usage,
            })
            .collect(),
    )
}

pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    NORMALISED.iter().chain(AIBRIX)
}

const fn row(name: &'static str, combine: Combine, terms: &'static [(Engine, &'static [Term])]) -> Row {
    Row { name, terms, combine, scale: 1.0, statistic: None, usage: false }
}

const fn sum(name: &'static str, terms: &'static [(Engine, &'static [Term])]) -> Row {
    row(name, Combine::Sum, terms)
}

/// A counter, also where the page does not say so.
const fn rate(name: &'static str, terms: &'static [(Engine, &'static [Term])]) -> Row {
    Row { statistic: Some(Statistic::Rate), ..sum(name, terms) }
}

/// A share from 0 to 1.
const fn usage(name: &'static str, terms: &'static [(Engine, &'static [Term])]) -> Row {
    Row { usage: true, ..row(name, Combine::Mean, terms) }
}

const RUNNING: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:num_requests_running"]]),
    (Sglang, &[&["sglang:num_running_reqs"]]),
    (TensorRtLlm, &[&["trtllm_num_requests_running", "trtllm:num_requests_running"]]),
    (Triton, &[&["nv_trt_llm_request_metrics{request_type=scheduled}"]]),
    (Tgi, &[&["tgi_batch_current_size"]]),
    (LlamaCpp, &[&["llamacpp:requests_processing"]]),
    (Dynamo, &[&["dynamo_frontend_inflight_requests", "dynamo_frontend_active_requests"]]),
];

const WAITING: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:num_requests_waiting"]]),
    (Sglang, &[&["sglang:num_queue_reqs"]]),
    (TensorRtLlm, &[&["trtllm_num_requests_waiting", "trtllm:num_requests_waiting"]]),
    (Triton, &[&["nv_trt_llm_request_metrics{request_type=waiting}"]]),
    (Tgi, &[&["tgi_queue_size"]]),
    (LlamaCpp, &[&["llamacpp:requests_deferred"]]),
    (Dynamo, &[&["dynamo_frontend_queued_requests"]]),
];

const REQUESTS: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:num_requests_running"], &["vllm:num_requests_waiting"]]),
    (Sglang, &[&["sglang:num_running_reqs"], &["sglang:num_queue_reqs"]]),
    (
        TensorRtLlm,
        &[
            &["trtllm_num_requests_running", "trtllm:num_requests_running"],
            &["trtllm_num_requests_waiting", "trtllm:num_requests_waiting"],
        ],
    ),
    (
        Triton,
        &[
            &["nv_trt_llm_request_metrics{request_type=scheduled}"],
            &["nv_trt_llm_request_metrics{request_type=waiting}"],
        ],
    ),
    (Tgi, &[&["tgi_batch_current_size"], &["tgi_queue_size"]]),
    (LlamaCpp, &[&["llamacpp:requests_processing"], &["llamacpp:requests_deferred"]]),
    // What is in flight at the frontend includes what queues there.
    (Dynamo, &[&["dynamo_frontend_inflight_requests", "dynamo_frontend_active_requests"]]),
];

/// Pages of vLLM 0.9 and 0.10 carry both names; the first one counts, never both.
const KV_USAGE: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"]]),
    (Sglang, &[&["sglang:token_usage"]]),
    (TensorRtLlm, &[&["trtllm_kv_cache_utilization", "trtllm:kv_cache_usage_perc", "trtllm:gpu_cache_usage_perc"]]),
    (Triton, &[&["nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}"]]),
    (Xllm, &[&["kv_cache_utilization"]]),
];

const TTFT: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:time_to_first_token_seconds"]]),
    (Sglang, &[&["sglang:time_to_first_token_seconds"]]),
    (TensorRtLlm, &[&["trtllm_time_to_first_token_seconds", "trtllm:time_to_first_token_seconds"]]),
    (Dynamo, &[&["dynamo_frontend_time_to_first_token_seconds"]]),
];

const TPOT: &[(Engine, &[Term])] = &[
    (
        Vllm,
        &[&[
            "vllm:request_time_per_output_token_seconds",
            "vllm:time_per_output_token_seconds",
            "vllm:inter_token_latency_seconds",
        ]],
    ),
    (
        Sglang,
        &[&[
            "sglang:request_time_per_output_token_seconds",
            "sglang:time_per_output_token_seconds",
            "sglang:inter_token_latency_seconds",
        ]],
    ),
    (TensorRtLlm, &[&["trtllm_time_per_output_token_seconds", "trtllm:inter_token_latency_seconds"]]),
    (Tgi, &[&["tgi_request_mean_time_per_token_duration"]]),
    (Dynamo, &[&["dynamo_frontend_inter_token_latency_seconds"]]),
];

/// Seconds between two tokens: each interval counts, while the other gives each request one mean.
const ITL: &[(Engine, &[Term])] = &[
    (
        Vllm,
        &[&[
            "vllm:inter_token_latency_seconds",
            "vllm:time_per_output_token_seconds",
            "vllm:request_time_per_output_token_seconds",
        ]],
    ),
    (
        Sglang,
        &[&[
            "sglang:inter_token_latency_seconds",
            "sglang:time_per_output_token_seconds",
            "sglang:request_time_per_output_token_seconds",
        ]],
    ),
    (
        TensorRtLlm,
        &[&[
            "trtllm:inter_token_latency_seconds",
            "trtllm_time_per_output_token_seconds",
            "trtllm:time_per_output_token_seconds",
        ]],
    ),
    (Tgi, &[&["tgi_request_mean_time_per_token_duration"]]),
    (Dynamo, &[&["dynamo_frontend_inter_token_latency_seconds"]]),
];

const E2E: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:e2e_request_latency_seconds"]]),
    (Sglang, &[&["sglang:e2e_request_latency_seconds"]]),
    (TensorRtLlm, &[&["trtllm_e2e_request_latency_seconds", "trtllm:e2e_request_latency_seconds"]]),
    (Triton, &[&["nv_inference_request_duration_us per nv_inference_request_success / 1e6"]]),
    (Tgi, &[&["tgi_request_duration"]]),
    (Dynamo, &[&["dynamo_frontend_request_duration_seconds"]]),
];

const QUEUE_TIME: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:request_queue_time_seconds", "vllm:time_in_queue_requests"]]),
    (Sglang, &[&["sglang:queue_time_seconds"]]),
    (TensorRtLlm, &[&["trtllm_request_queue_time_seconds", "trtllm:request_queue_time_seconds"]]),
    (Triton, &[&["nv_inference_queue_duration_us per nv_inference_request_success / 1e6"]]),
    (Tgi, &[&["tgi_request_queue_duration"]]),
];

const TOKENS_IN: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:prompt_tokens_total"]]),
    (Sglang, &[&["sglang:prompt_tokens_total"]]),
    (TensorRtLlm, &[&["trtllm_prompt_tokens_total", "trtllm:prompt_tokens_total"]]),
    (Tgi, &[&["tgi_request_input_length_sum"]]),
    // llama.cpp leaves cached tokens out.
    (LlamaCpp, &[&["llamacpp:prompt_tokens_total"]]),
    (Dynamo, &[&["dynamo_frontend_input_sequence_tokens_sum"]]),
];

const TOKENS_OUT: &[(Engine, &[Term])] = &[
    (Vllm, &[&["vllm:generation_tokens_total"]]),
    (Sglang, &[&["sglang:generation_tokens_total"]]),
    (TensorRtLlm, &[&["trtllm_generation_tokens_total", "trtllm:generation_tokens_total"]]),
    (Tgi, &[&["tgi_request_generated_tokens_sum"]]),
    (LlamaCpp, &[&["llamacpp:tokens_predicted_total"]]),
    (Dynamo, &[&["dynamo_frontend_output_tokens_total"]]),
];

/// DCGM's exporter prints percent per GPU, always: 1 is a hundredth there.
const GPU: &[(Engine, &[Term])] =
    &[(Engine::Generic, &[&["DCGM_FI_DEV_GPU_UTIL / 100", "nvidia_smi_utilization_gpu_ratio", "engine_utilization"]])];

static NORMALISED: &[Row] = &[
    sum("num_requests_running", RUNNING),
    sum("num_requests_waiting", WAITING),
    usage("kv_cache_usage_perc", KV_USAGE),
    sum("ttft", TTFT),
    sum("tpot", TPOT),
    sum("e2e_latency", E2E),
    sum("queue_time", QUEUE_TIME),
    sum("request_count", REQUESTS),
    rate("token_in_count", TOKENS_IN),
    rate("token_out_count", TOKENS_OUT),
    Row { scale: 1000.0, ..sum("engine_latency_ms", E2E) },
    usage("kv_cache_size", KV_USAGE),
    usage("engine_gpu_utilization", GPU),
];

/// Names of AIBrix's registry that are not normalised names already.
static AIBRIX: &[Row] = &[
    usage("gpu_cache_usage_perc", KV_USAGE),
    usage("cpu_cache_usage_perc", &[(Vllm, &[&["vllm:cpu_cache_usage_perc"]])]),
    usage(
        "kv_cache_hit_rate",
        &[(TensorRtLlm, &[&["trtllm_kv_cache_hit_rate"]]), (Sglang, &[&["sglang:cache_hit_rate"]])],
    ),
    usage("engine_utilization", &[(Xllm, &[&["engine_utilization"]])]),
    sum(
        "num_requests_swapped",
        &[(Vllm, &[&["vllm:num_requests_swapped"]]), (Sglang, &[&["sglang:num_retracted_reqs"]])],
    ),
    // As AIBrix reads it: vLLM prints `awake` first, 1 while it is awake. Of several engines one that is awake is enough.
    row("engine_sleep_state", Combine::Max, &[(Vllm, &[&["vllm:engine_sleep_state{sleep_state=awake}"]])]),
    sum("http_requests_total", &[(Vllm, &[&["vllm:http_requests_total", "http_requests_total"]])]),
    rate(
        "num_preemptions_total",
        &[(Vllm, &[&["vllm:num_preemptions_total"]]), (Sglang, &[&["sglang:num_retracted_requests_total"]])],
    ),
    rate(
        "request_success_total",
        &[
            (Vllm, &[&["vllm:request_success_total", "vllm:num_requests_success_total"]]),
            (Sglang, &[&["sglang:num_requests_total"]]),
            (TensorRtLlm, &[&["trtllm_request_success_total", "trtllm:request_success_total"]]),
            (Triton, &[&["nv_inference_request_success"]]),
            (Tgi, &[&["tgi_request_success"]]),
            (Dynamo, &[&["dynamo_frontend_requests_total{status=success}"]]),
        ],
    ),
    sum("num_prefill_prealloc_queue_reqs", &[(Sglang, &[&["sglang:num_prefill_prealloc_queue_reqs"]])]),
    sum("num_decode_prealloc_queue_reqs", &[(Sglang, &[&["sglang:num_decode_prealloc_queue_reqs"]])]),
    rate("prompt_tokens_total", TOKENS_IN),
    rate("generation_tokens_total", TOKENS_OUT),
    sum("prefix_cache_hits_total", &[(Vllm, &[&["vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"]])]),
    sum(
        "prefix_cache_queries_total",
        &[(Vllm, &[&["vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"]])],
    ),
    sum("external_prefix_cache_hits_total", &[(Vllm, &[&["vllm:external_prefix_cache_hits_total"]])]),
    sum("external_prefix_cache_queries_total", &[(Vllm, &[&["vllm:external_prefix_cache_queries_total"]])]),
    sum("nixl_num_failed_transfers_total", &[(Vllm, &[&["vllm:nixl_num_failed_transfers"]])]),
    sum("nixl_num_failed_notifications_total", &[(Vllm, &[&["vllm:nixl_num_failed_notifications"]])]),
    sum("avg_prompt_throughput_toks_per_s", &[(Vllm, &[&["vllm:avg_prompt_throughput_toks_per_s"]])]),
    sum(
        "avg_generation_throughput_toks_per_s",
        &[(Vllm, &[&["vllm:avg_generation_throughput_toks_per_s"]]), (Sglang, &[&["sglang:gen_throughput"]])],
    ),
    sum("e2e_request_latency_seconds", E2E),
    sum("time_to_first_token_seconds", TTFT),
    sum("time_per_output_token_seconds", TPOT),
    sum("inter_token_latency_seconds", ITL),
    sum("request_queue_time_seconds", QUEUE_TIME),
];
