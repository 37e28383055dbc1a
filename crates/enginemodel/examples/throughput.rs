//! How many requests a second the model works through on one core: `cargo run --release --example throughput`.

use engine_model::{Engine, EngineSpec, Event, EventKind, Request, Time};
use std::io::Write as _;
use std::time::Instant;

const REQUESTS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, rate) in [("l4-8b", 0.6), ("a100-8b", 6.0), ("h100-8b", 20.0)] {
        let spec = EngineSpec::builtin(name).ok_or("no such engine")?;
        let mut engine = Engine::new(&spec)?;
        let (mut finished, mut worst, mut batch) = (0_u64, 0.0_f64, 0_u64);
        let began = Instant::now();
        // A multiplicative walk stands in for a trace: it spreads sizes and is the same every time.
        let mut state = 1_u64;
        for id in 0..REQUESTS {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = u32::try_from(state >> 40)?;
            let now = Time::from_secs_f64(id as f64 / rate);
            engine.submit(
                now,
                Request { id, input_tokens: 100 + draw % 1400, output_tokens: 1 + draw % 420, prefix_hit_tokens: 0 },
            )?;
            engine.advance(now, &mut |event: Event| {
                if let EventKind::Finished(done) = event.kind {
                    finished += 1;
                    worst = worst.max(done.ttft().as_secs_f64());
                }
            });
            batch += u64::from(engine.gauges().running);
        }
        let seconds = began.elapsed().as_secs_f64();
        writeln!(
            std::io::stdout(),
            "{name}: {:.0} requests/s, mean batch {}, iterations {}, finished {finished}, worst TTFT {worst:.2} s",
            REQUESTS as f64 / seconds,
            batch / REQUESTS,
            engine.counters().iterations,
        )?;
    }
    Ok(())
}
