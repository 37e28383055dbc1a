//! Ten simulated minutes of 1,000 requests a second, record by record: time per batch, and what is remembered.
//!
//! `cargo run --release -p request-monitor --example soak [REQUESTS_PER_SECOND] [SECONDS] [SECONDS_PER_BATCH]`

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use request_monitor::records::Records;
use request_monitor::{Monitor, Settings, Size};
use std::io::Write;
use std::time::{Duration, Instant};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<f64>().ok());
    let mut or = |default: f64| arguments.next().flatten().filter(|number| *number > 0.0).unwrap_or(default);
    let (rate, seconds, step) = (or(1000.0), or(600.0), or(1.0));
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut records, mut monitor) = (Records::default(), Monitor::new(Settings::default()));
    let (mut times, mut reads) = (Vec::new(), Vec::new());
    let (mut now, mut next) = (0.0, 0.0);
    let mut open = std::collections::BinaryHeap::new();
    while now < seconds {
        now += step;
        while next <= now {
            records.arrived(next);
            // Lognormal lengths over four decades; 20 ms a token.
            let size = Size { input: lognormal(&mut random, 6.0, 1.5), output: lognormal(&mut random, 4.5, 1.2) };
            open.push(std::cmp::Reverse(End { at: next + 0.02 * size.output, size }));
            next -= (1.0 - random.random::<f64>()).ln() / rate;
        }
        while let Some(end) = open.peek().map(|end| end.0).filter(|end| end.at <= now) {
            open.pop();
            records.ended(end.at, Some(end.size));
        }
        let begun = Instant::now();
        if let Some(batch) = records.batch(0.0, now) {
            monitor.add(&batch);
        }
        times.push(begun.elapsed());
        let begun = Instant::now();
        std::hint::black_box(monitor.load(now));
        reads.push(begun.elapsed());
    }
    let load = monitor.load(now);
    let bytes = serde_json::to_string(&monitor.state())?.len();
    let out = &mut std::io::stdout();
    writeln!(out, "{} batches of {step} s at {rate} requests/s", times.len())?;
    writeln!(out, "a batch:   {}", quantiles(&mut times))?;
    writeln!(out, "a reading: {}", quantiles(&mut reads))?;
    writeln!(
        out,
        "rate {:.1} ± {:.1} %, {} cells, state of {bytes} bytes",
        load.rate,
        100.0 * load.rate_error,
        load.sizes.len()
    )
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| {
        times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    format!("median {:?}, 99 % {:?}, most {:?}", at(50), at(99), at(100))
}

fn lognormal(random: &mut ChaCha8Rng, mean: f64, deviation: f64) -> f64 {
    // Box and Muller.
    let (a, b): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
    (mean + deviation * normal).exp().round().clamp(1.0, 131_072.0)
}

/// A request that is under way, by its end.
#[derive(Clone, Copy, PartialEq)]
struct End {
    at: f64,
    size: Size,
}

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.total_cmp(&other.at)
    }
}
