//! Reading a page selectively, against `prometheus-parse` on the same bytes in the same run.
//!
//! `prometheus-parse` drops names with a colon without a word, so on engine pages it does only part of the work. Each
//! page is therefore also measured with its colons replaced by underscores, where both see every series.
//!
//! Pages are generated. `PROMTEXT_PAGES=folder` adds every file of a folder, pages of real engines for instance.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot read its pages has nothing to measure")]

use std::{fmt::Write, fs, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use promtext::{Page, Selection};

/// What an autoscaler asks of a vLLM page.
const WANTED: [&str; 9] = [
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
    "vllm:time_to_first_token_seconds",
    "vllm:inter_token_latency_seconds",
    "vllm:e2e_request_latency_seconds",
];

/// A page in vLLM's shape with the given number of other histograms beside the wanted families.
fn generated(others: usize) -> String {
    let mut text = String::new();
    for name in &WANTED[..6] {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(
            text,
            "# HELP {name} Text of help.\n# TYPE {name} {kind}\n{name}{{engine=\"0\",model_name=\"m\"}} 3.0"
        );
    }
    let others = (0..others).map(|at| format!("vllm:other_number_{at}_seconds"));
    for name in WANTED[6..].iter().map(|name| (*name).to_owned()).chain(others) {
        let _ = writeln!(text, "# HELP {name} Histogram of something in seconds.\n# TYPE {name} histogram");
        for bucket in 0..22 {
            let le = 0.001 * f64::from(1 << bucket);
            let _ = writeln!(text, "{name}_bucket{{engine=\"0\",le=\"{le}\",model_name=\"m\"}} {}.0", bucket * 3);
        }
        let _ = writeln!(text, "{name}_bucket{{engine=\"0\",le=\"+Inf\",model_name=\"m\"}} 66.0");
        let _ = writeln!(
            text,
            "{name}_count{{engine=\"0\",model_name=\"m\"}} 66.0\n{name}_sum{{engine=\"0\",model_name=\"m\"}} 9.25"
        );
    }
    text
}

fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("vllm-like-25k".to_owned(), generated(10)), ("vllm-like-500k".to_owned(), generated(280))];
    if let Some(folder) = std::env::var_os("PROMTEXT_PAGES") {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "txt")) {
            pages.push((path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap()));
        }
    }
    pages
}

fn compare(criterion: &mut Criterion) {
    let wanted = Selection::new(WANTED);
    let wanted_without_colons = Selection::new(WANTED.map(|name| name.replace(':', "_")));
    for (name, text) in pages() {
        let without_colons = text.replace(':', "_");
        for (variant, text, wanted) in
            [("as-is", &text, &wanted), ("colons-replaced", &without_colons, &wanted_without_colons)]
        {
            let mut group = criterion.benchmark_group(format!("{name}/{variant}"));
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function("promtext-selective", |bench| {
                bench.iter(|| Page::read(black_box(text.as_bytes()), wanted).unwrap());
            });
            group.bench_function("promtext-everything", |bench| {
                bench.iter(|| Page::read(black_box(text.as_bytes()), &Selection::everything()).unwrap());
            });
            group.bench_function("prometheus-parse", |bench| {
                bench.iter(|| {
                    let lines = black_box(text).lines().map(|line| Ok(line.to_owned()));
                    prometheus_parse::Scrape::parse(lines).unwrap()
                });
            });
            group.finish();
        }
    }
}

criterion_group!(benches, compare);
criterion_main!(benches);
