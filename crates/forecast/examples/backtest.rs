//! Back-tests the forecasters on recorded arrivals: `cargo run --release -p forecast --example backtest -- FILE…`, each a CSV
//! (`t,…`, seconds from the start, one arrival a line, plain or `.gz`). Arrivals are counted in steps of 10 s; every forecast is made
//! from what was known then, and judged when its step is over.

use forecast::{Forecaster, Settings};
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::io::{Read, Write};

const STEP: f64 = 10.0;
const QUANTILE: f64 = 0.9;
const HORIZONS: [f64; 3] = [30.0, 120.0, 300.0];
/// Steps until the candidates are compared; the same for all.
const WARM_UP: usize = 180;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for path in std::env::args().skip(1) {
        let rates = rates(&path)?;
        for horizon in HORIZONS {
            writeln!(out, "{path}, {} steps, {horizon} s", rates.len())?;
            report(&mut out, &rates, horizon)?;
        }
    }
    Ok(())
}

/// Arrivals a second in each step.
fn rates(path: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let file = std::fs::File::open(path).map_err(|error| format!("{path}: {error}"))?;
    let text: Box<dyn Read> = if std::path::Path::new(path).extension().is_some_and(|extension| extension == "gz") {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut rates: Vec<f64> = Vec::new();
    for (line, record) in csv::Reader::from_reader(text).records().enumerate() {
        let at: f64 =
            record?.get(0).unwrap_or_default().parse().map_err(|_| format!("{path}: line {}: no time", line + 2))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is checked")]
        let step = (at / STEP) as usize;
        if step > 1_000_000 {
            return Err(format!("{path}: line {}: {at} s is more than a million steps", line + 2).into());
        }
        if rates.len() <= step {
            rates.resize(step + 1, 0.0);
        }
        rates[step] += 1.0 / STEP;
    }
    Ok(rates)
}

#[derive(Default, Clone, Copy)]
struct Score {
    pinball: f64,
    absolute: f64,
    held: f64,
    count: f64,
    bound: f64,
}

impl Score {
    fn take(&mut self, mean: f64, bound: f64, outcome: f64) {
        let miss = outcome - bound;
        self.pinball += (QUANTILE * miss).max((QUANTILE - 1.0) * miss);
        self.absolute += (outcome - mean).abs();
        self.held += f64::from(u8::from(miss <= 1e-6));
        self.bound += bound;
        self.count += 1.0;
    }
}

/// What the candidates, the choice (its bound at the horizon) and the choice's peak said of one step.
type Said = (usize, Vec<(&'static str, f64, f64)>);

fn report(out: &mut impl Write, rates: &[f64], horizon: f64) -> Result<(), Box<dyn Error>> {
    let settings = Settings { step: STEP, horizon, quantile: QUANTILE, ..Settings::default() };
    let mut forecaster = Forecaster::new(settings)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few steps")]
    let ahead = (horizon / STEP) as usize;
    let mut waiting: VecDeque<Said> = VecDeque::new();
    let mut scores: BTreeMap<&'static str, Score> = BTreeMap::new();
    let (mut switches, mut chosen, mut share) = (0, "", BTreeMap::new());
    for (index, rate) in rates.iter().enumerate() {
        if waiting.front().is_some_and(|(issued, _)| issued + ahead == index)
            && let Some((issued, said)) = waiting.pop_front()
        {
            let peak = rates[issued + 1..=index].iter().copied().fold(0.0, f64::max);
            for (name, mean, bound) in said {
                scores.entry(name).or_default().take(mean, bound, if name == "= peak" { peak } else { *rate });
            }
        }
        let now = (index as f64 + 0.5) * STEP;
        forecaster.observe(now, *rate)?;
        let forecast = forecaster.forecast(now);
        if index < WARM_UP || !forecast.enough {
            continue;
        }
        let candidates = forecast.candidates.iter().filter_map(|one| Some((one.name, one.mean, one.bound?)));
        let mut said: Vec<_> = candidates.collect();
        said.push(("= chosen", forecast.mean, forecast.at_horizon));
        said.push(("= peak", forecast.mean, forecast.peak_until_horizon));
        waiting.push_back((index, said));
        switches += u32::from(!chosen.is_empty() && chosen != forecast.chosen);
        chosen = forecast.chosen;
        *share.entry(chosen).or_insert(0_u32) += 1;
    }
    let base = scores.get("persistence").copied().unwrap_or_default();
    writeln!(out, "  {:<16} {:>8} {:>8} {:>8} {:>9} {:>7}", "", "pinball", "relative", "coverage", "mean q", "steps")?;
    for (name, score) in &scores {
        let mean = score.pinball / score.count;
        let relative = mean / (base.pinball / base.count);
        let (coverage, bound) = (score.held / score.count, score.bound / score.count);
        writeln!(out, "  {name:<16} {mean:>8.4} {relative:>8.3} {coverage:>8.3} {bound:>9.3} {:>7}", score.count)?;
    }
    writeln!(out, "  switches {switches}, chosen {share:?}")?;
    Ok(())
}
