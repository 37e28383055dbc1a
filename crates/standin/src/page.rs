//! The metrics page, as vLLM 0.32 writes it: names, labels, order of labels, zeros from the start, and the
//! `_created` families that are typed gauge.

use crate::core::Snapshot;
use crate::histogram::Histogram;
use engine_model::EngineSpec;
use std::fmt::Write as _;

/// What vLLM sends as content type.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=1.0.0; charset=utf-8";

/// What does not change between scrapes.
#[derive(Debug)]
pub(crate) struct PageInfo {
    /// Value of the label `model_name`, escaped.
    model: String,
    /// Unix time of the start.
    created: f64,
    cache_config: String,
}

impl PageInfo {
    pub(crate) fn new(model: &str, spec: &EngineSpec, created: f64) -> Self {
        let blocks = spec.kv_capacity_tokens / u64::from(spec.block_size);
        let tokens = blocks * u64::from(spec.block_size);
        let cache_config = format!(
            "block_size=\"{}\",cache_dtype=\"auto\",enable_prefix_caching=\"True\",engine=\"0\",\
             gpu_memory_utilization=\"0.9\",kv_cache_size_tokens=\"{tokens}\",num_gpu_blocks=\"{blocks}\"",
            spec.block_size
        );
        let model = model.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
        Self { model, created, cache_config }
    }

    /// The whole page.
    pub(crate) fn render(&self, snapshot: &Snapshot) -> String {
        // Sized after vLLM's page, to grow once at most.
        let mut page = Page { out: String::with_capacity(48 << 10), info: self };
        page.gauges(snapshot);
        page.counters(snapshot);
        page.lengths(snapshot);
        page.latencies(snapshot);
        page.head("vllm:cache_config_info", "gauge", "Information of the LLMEngine CacheConfig");
        let _ = writeln!(page.out, "vllm:cache_config_info{{{}}} 1.0", self.cache_config);
        page.head("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.");
        let _ = writeln!(page.out, "process_start_time_seconds {:?}", self.created);
        page.out
    }
}

struct Page<'a> {
    out: String,
    info: &'a PageInfo,
}

/// A label beside `engine` and `model_name`, and its value.
type Extra<'a> = Option<(&'a str, &'a str)>;

impl Page<'_> {
    fn gauges(&mut self, snapshot: &Snapshot) {
        let gauges = &snapshot.gauges;
        let waiting = f64::from(gauges.waiting);
        self.gauge("num_requests_running", "Number of requests in model execution batches.", f64::from(gauges.running));
        self.gauge("num_requests_waiting", "Number of requests waiting to be processed.", waiting);
        let reasons = [("capacity", waiting), ("deferred", 0.0)];
        self.gauges_by("num_requests_waiting_by_reason", "Number of waiting requests by reason.", "reason", &reasons);
        let sleep = [("awake", 1.0), ("weights_offloaded", 0.0), ("discard_all", 0.0)];
        self.gauges_by("engine_sleep_state", "Engine sleep state.", "sleep_state", &sleep);
        self.gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", gauges.kv_usage);
    }

    fn counters(&mut self, snapshot: &Snapshot) {
        let (counters, metrics) = (&snapshot.counters, &snapshot.metrics);
        let only = |value| [("", value)];
        self.counter("prefix_cache_queries", "Prefix cache queries, in tokens.", "", &only(counters.prefix_queries));
        self.counter("prefix_cache_hits", "Prefix cache hits, in tokens.", "", &only(counters.prefix_hits));
        self.counter("num_preemptions", "Cumulative number of preemptions.", "", &only(counters.preemptions));
        self.counter("prompt_tokens", "Number of prefill tokens processed.", "", &only(counters.prompt_tokens));
        self.counter("prompt_tokens_cached", "Number of cached prompt tokens.", "", &only(counters.prefix_hits));
        let generated = only(counters.generation_tokens);
        self.counter("generation_tokens", "Number of generation tokens processed.", "", &generated);
        let finished = [
            ("stop", 0),
            ("length", metrics.finished_length),
            ("abort", metrics.finished_abort),
            ("error", 0),
            ("repetition", 0),
        ];
        self.counter("request_success", "Count of successfully processed requests.", "finished_reason", &finished);
        let rejected = [("max_num_queued_reqs", metrics.rejected_queue_full), ("max_num_queued_tokens", 0)];
        self.counter("admission_rejections", "Admission attempts rejected by a queue limit.", "reason", &rejected);
    }

    fn lengths(&mut self, snapshot: &Snapshot) {
        let metrics = &snapshot.metrics;
        self.histogram("request_prompt_tokens", "Number of prefill tokens processed.", &metrics.prompt_tokens);
        self.histogram(
            "request_generation_tokens",
            "Number of generation tokens processed.",
            &metrics.generation_tokens,
        );
        self.histogram("iteration_tokens_total", "Number of tokens per engine step.", &metrics.iteration_tokens);
        let most = "Maximum number of requested generation tokens.";
        self.histogram("request_max_num_generation_tokens", most, &metrics.max_tokens);
        self.histogram("request_params_max_tokens", "The max_tokens request parameter.", &metrics.max_tokens);
        self.histogram("request_num_preemptions", "Times that a request was preempted.", &metrics.preemptions);
        let computed = "New KV tokens computed during prefill (excluding cached tokens).";
        self.histogram("request_prefill_kv_computed_tokens", computed, &metrics.prefill_computed);
    }

    fn latencies(&mut self, snapshot: &Snapshot) {
        let metrics = &snapshot.metrics;
        self.histogram("time_to_first_token_seconds", "Time to first token in seconds.", &metrics.ttft);
        self.histogram("inter_token_latency_seconds", "Inter-token latency in seconds.", &metrics.inter_token);
        let per_token = "Mean time per output token of a request, in seconds.";
        self.histogram("request_time_per_output_token_seconds", per_token, &metrics.time_per_output_token);
        self.histogram("e2e_request_latency_seconds", "End-to-end latency in seconds.", &metrics.e2e);
        self.histogram("request_queue_time_seconds", "Time spent in WAITING phase.", &metrics.queue);
        self.histogram("request_inference_time_seconds", "Time spent in RUNNING phase.", &metrics.inference);
        self.histogram("request_prefill_time_seconds", "Time spent in PREFILL phase.", &metrics.prefill);
        self.histogram("request_decode_time_seconds", "Time spent in DECODE phase.", &metrics.decode);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges_by(name, help, "", &[("", value)]);
    }

    fn gauges_by(&mut self, name: &str, help: &str, label: &str, values: &[(&str, f64)]) {
        let name = format!("vllm:{name}");
        self.head(&name, "gauge", help);
        for &(key, value) in values {
            self.sample(&name, "", (!label.is_empty()).then_some((label, key)), value);
        }
    }

    fn counter(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        let total = format!("vllm:{name}_total");
        self.head(&total, "counter", help);
        let extra = |key| (!label.is_empty()).then_some((label, key));
        for &(key, value) in values {
            self.sample(&total, "", extra(key), value as f64);
        }
        let created = format!("vllm:{name}_created");
        self.head(&created, "gauge", help);
        for &(key, _) in values {
            self.sample(&created, "", extra(key), self.info.created);
        }
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let name = format!("vllm:{name}");
        self.head(&name, "histogram", help);
        for (bound, count) in histogram.cumulative() {
            self.sample(&name, "_bucket", Some(("le", &format!("{bound:?}"))), count as f64);
        }
        let count = histogram.count() as f64;
        self.sample(&name, "_bucket", Some(("le", "+Inf")), count);
        self.sample(&name, "_count", None, count);
        self.sample(&name, "_sum", None, histogram.sum());
        let created = format!("{name}_created");
        self.head(&created, "gauge", help);
        self.sample(&created, "", None, self.info.created);
    }

    /// Labels go in alphabetical order, as Python's client writes them.
    fn sample(&mut self, name: &str, suffix: &str, extra: Extra<'_>, value: f64) {
        let _ = write!(self.out, "{name}{suffix}{{");
        // vLLM's admission_rejections has no label `engine`.
        if name.starts_with("vllm:admission_rejections") {
            let _ = write!(self.out, "model_name=\"{}\"", self.info.model);
        } else if let Some((label, key)) = extra.filter(|&(label, _)| label < "model_name") {
            let _ = write!(self.out, "engine=\"0\",{label}=\"{key}\",model_name=\"{}\"", self.info.model);
        } else {
            let _ = write!(self.out, "engine=\"0\",model_name=\"{}\"", self.info.model);
        }
        if let Some((label, key)) = extra.filter(|&(label, _)| label > "model_name") {
            let _ = write!(self.out, ",{label}=\"{key}\"");
        }
        let _ = writeln!(self.out, "}} {value:?}");
    }
}
