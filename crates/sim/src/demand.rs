//! What a trace asks for, in replicas: work in replica-seconds a second, window by window. Known in hindsight only.

use engine_model::{Capacity, EngineSpec, Mix};
use workload::Arrival;
use workload::score::Slo;

/// The work of a trace on an engine.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Seconds of a window.
    pub step: f64,
    /// Replica-seconds a second, by window, at full use of a replica.
    pub work: Vec<f64>,
    /// What a replica carries of the mean request.
    pub capacity: Capacity,
    /// The mean request.
    pub mix: Mix,
}

/// Steps by which a time per output token is loosened where the engine cannot keep it even alone.
const LOOSER: f64 = 1.25;
/// After so many the engine is as slow as no engine is.
const LOOSENED: u32 = 24;

/// The mean request of a trace; prefixes count as hits of a perfect cache where `hits`.
#[must_use]
pub fn mix(arrivals: &[Arrival], hits: bool) -> Mix {
    let count = arrivals.len().max(1) as f64;
    let sum = |of: fn(&Arrival) -> u32| arrivals.iter().map(|arrival| f64::from(of(arrival))).sum::<f64>() / count;
    let input = sum(|arrival| arrival.input_tokens).max(1.0);
    let saved = if hits { sum(|arrival| arrival.prefix_hit_tokens) } else { 0.0 };
    Mix { computed: (input - saved).max(1.0), input, output: sum(|arrival| arrival.output_tokens).max(1.0) }
}

/// What a replica carries of a mix; within the SLO's time per token, or the least looser one that the engine can keep.
#[must_use]
pub fn capacity(engine: &EngineSpec, slo: Slo, mix: Mix) -> Option<Capacity> {
    let mut tpot = slo.tpot;
    for _ in 0..LOOSENED {
        if let Some(capacity) = engine.capacity(mix, tpot) {
            return Some(capacity);
        }
        tpot *= LOOSER;
    }
    None
}

impl Demand {
    /// The work of arrivals over `length` seconds; none where the engine can serve none of it. Prompts are computed in their
    /// window, answers over the time that they take at the capacity's pace.
    #[must_use]
    pub fn of(engine: &EngineSpec, slo: Slo, arrivals: &[Arrival], length: f64, step: f64, hits: bool) -> Option<Self> {
        let fits = |arrival: &&Arrival| engine.fits(arrival.input_tokens, arrival.output_tokens);
        let served: Vec<Arrival> = arrivals.iter().filter(fits).copied().collect();
        let mix = mix(&served, hits);
        let capacity = capacity(engine, slo, mix)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let windows = (length / step).ceil().clamp(1.0, 1e7) as usize;
        let mut work = vec![0.0; windows];
        for arrival in &served {
            let saved = if hits { arrival.prefix_hit_tokens } else { 0 };
            let prompt = f64::from(arrival.input_tokens.saturating_sub(saved)) * capacity.per_input;
            let answer = f64::from(arrival.output_tokens) * capacity.per_output;
            let lasts = f64::from(arrival.output_tokens) * capacity.at.iteration;
            spread(&mut work, step, arrival.at, capacity.at.iteration, prompt);
            spread(&mut work, step, arrival.at, lasts, answer);
        }
        for window in &mut work {
            *window /= step;
        }
        Some(Self { step, work, capacity, mix })
    }

    /// The most of any window.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.work.iter().copied().fold(0.0, f64::max)
    }

    /// The mean of the first `seconds`.
    #[must_use]
    pub fn begins_with(&self, seconds: f64) -> f64 {
        let windows = self.work.iter().enumerate().filter(|(at, _)| *at as f64 * self.step < seconds);
        let (count, sum) = windows.fold((0.0, 0.0), |(count, sum), (_, work)| (count + 1.0, sum + work));
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

/// Adds `work` over the time from `from` on for `lasts` seconds; what lies behind the last window is left out.
fn spread(windows: &mut [f64], step: f64, from: f64, lasts: f64, work: f64) {
    let lasts = lasts.max(1e-9);
    let to = from + lasts;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let mut at = (from / step) as usize;
    while let Some(window) = windows.get_mut(at) {
        let begin = at as f64 * step;
        if begin >= to {
            return;
        }
        *window += work * ((begin + step).min(to) - begin.max(from)).max(0.0) / lasts;
        at += 1;
    }
}
