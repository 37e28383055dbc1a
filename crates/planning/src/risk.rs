//! The risk: which share of requests misses the SLO at a load per replica.
//!
//! From an engine model the curve is found in virtual time, on the sizes that were seen, for fleets of several counts (more replicas
//! smooth each other's bursts). A profile has one point of it, the rate at which its percentile just holds; beyond and below, misses
//! grow with the fourth power of the load, as the simulated engines' do around their knees.

use crate::fleet::misses;
use crate::settings::{Knowledge, Objective};
use crate::sizes::{Size, Sizes};
use engine_model::{Engine, EngineSpec, Mix};

/// What requests cost on one target, and what load per replica does to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk {
    /// Replica-seconds of one prompt token.
    pub per_input: f64,
    /// Replica-seconds of one request beside its prompt: its answer.
    pub per_request: f64,
    curve: Curve,
}

#[derive(Debug, Clone, PartialEq)]
enum Curve {
    /// By count of replicas, the share that misses at each of [`LOADS`].
    Measured(Vec<[f64; LOADS.len()]>),
    /// The share at a load of 1.
    Power(f64),
}

/// Loads per replica that are tried, in replica-seconds a second.
const LOADS: [f64; 12] = [0.05, 0.08, 0.12, 0.17, 0.23, 0.3, 0.38, 0.48, 0.6, 0.75, 0.95, 1.2];
/// Counts of replicas that are tried: powers of two from one.
const COUNTS: u32 = 4;
/// Requests for one point, times the replicas up to the second number: a hundredth is told to a quarter of itself.
const REQUESTS: (usize, usize) = (1500, 4);
/// From here on all are taken to miss, which saves trying.
const ALL: f64 = 0.9;
/// No fewer may be planned to miss than so many times what misses on idle engines.
const UNAVOIDABLE: f64 = 2.0;
/// How misses grow with the load where only a profile is known.
const POWER: i32 = 4;
/// Times by which a limit is loosened for a unit of work where an engine cannot keep it even alone, and how often.
const LOOSER: (f64, u32) = (1.25, 24);

impl Risk {
    /// The risk of a target on the sizes of late; none where it can serve none of them.
    pub(crate) fn of(knowledge: &Knowledge, objective: &Objective, sizes: &Sizes) -> Option<Self> {
        let sample = sizes.sample();
        match knowledge {
            Knowledge::Engine(engine) => Self::simulated(engine, objective, &sample),
            Knowledge::Profile(profile) => {
                let mean = |of: &dyn Fn(&Size) -> f64| sample.iter().map(of).sum::<f64>() / sample.len() as f64;
                let capacity = |size: &Size| profile.capacity(f64::from(size.0), f64::from(size.1));
                let served = mean(&|size| f64::from(u8::from(capacity(size) > 0.0)));
                let seconds = mean(&|size| if capacity(size) > 0.0 { 1.0 / capacity(size) } else { 0.0 });
                let free = profile.slos.as_ref().map_or(DEFAULT_FREE, |slos| free_share(slos.percentile));
                (served > 0.0).then(|| Self {
                    per_input: 0.0,
                    per_request: seconds / served,
                    curve: Curve::Power(free),
                })
            }
        }
    }

    fn simulated(spec: &EngineSpec, objective: &Objective, sample: &[Size]) -> Option<Self> {
        let sizes: Vec<Size> = sample.iter().filter(|size| spec.fits(size.0, size.1)).copied().collect();
        if sizes.is_empty() {
            return None;
        }
        let mean =
            |of: fn(&Size) -> u32| sizes.iter().map(|size| f64::from(of(size))).sum::<f64>() / sizes.len() as f64;
        let (input, output) = (mean(|size| size.0), mean(|size| size.1));
        let mix = Mix { computed: input, input, output };
        let mut limit =
            objective.tpot.or_else(|| objective.e2e.map(|e2e| e2e / output)).unwrap_or(f64::INFINITY).min(1.0);
        let mut capacity = spec.capacity(mix, limit);
        for _ in 0..LOOSER.1 {
            if capacity.is_some() {
                break;
            }
            limit *= LOOSER.0;
            capacity = spec.capacity(mix, limit);
        }
        let capacity = capacity?;
        let mould = Engine::new(spec).ok()?;
        let row = |power: u32| {
            let replicas = 1 << power;
            let count = REQUESTS.0 * (replicas as usize).min(REQUESTS.1);
            let mut highest = 0.0_f64;
            LOADS.map(|load| {
                highest = if highest < ALL {
                    highest.max(misses(
                        &mould,
                        objective,
                        replicas,
                        load * capacity.rate * f64::from(replicas),
                        &sizes,
                        count,
                    ))
                } else {
                    1.0
                };
                highest
            })
        };
        let curve = Curve::Measured((0..COUNTS).map(row).collect());
        Some(Self { per_input: capacity.per_input, per_request: output * capacity.per_output, curve })
    }

    /// The share that misses on engines that are nearly idle: no capacity changes that.
    #[must_use]
    pub fn idle(&self) -> f64 {
        match &self.curve {
            Curve::Power(_) => 0.0,
            Curve::Measured(rows) => rows.last().map_or(0.0, |row| row[0]),
        }
    }

    /// The share that may be planned to miss where the SLO allows so much: what misses on idle engines cannot be bought off.
    #[must_use]
    pub fn allowing(&self, allowed: f64) -> f64 {
        allowed.max(self.idle() * UNAVOIDABLE)
    }

    /// Replica-seconds of one request of a size, from the means that the risk was made for; only an engine's tell prompts apart.
    #[must_use]
    pub fn seconds(&self, input: f64, output_share: f64) -> f64 {
        input * self.per_input + output_share * self.per_request
    }

    /// Replica-seconds a second that tokens and requests a second ask for.
    #[must_use]
    pub fn work(&self, input_rate: f64, request_rate: f64) -> f64 {
        input_rate * self.per_input + request_rate * self.per_request
    }

    /// The share of requests that misses where each of so many replicas has this load.
    #[must_use]
    pub fn at(&self, load: f64, replicas: f64) -> f64 {
        if !(load.is_finite() && load >= 0.0) {
            return 1.0;
        }
        match &self.curve {
            Curve::Power(free) => (free * load.powi(POWER)).min(1.0),
            Curve::Measured(rows) => {
                let last = rows.len() - 1;
                let place = replicas.max(1.0).log2().min(last as f64);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the rows")]
                let below = (place as usize).min(last.saturating_sub(1));
                let share = place - below as f64;
                along(&rows[below], load) * (1.0 - share) + along(&rows[(below + 1).min(last)], load) * share
            }
        }
    }
}

/// The share at a load, between tried loads by the logarithm.
fn along(row: &[f64; LOADS.len()], load: f64) -> f64 {
    let above = LOADS.partition_point(|tried| *tried < load);
    match (above.checked_sub(1), row.get(above)) {
        // An engine that is nearly idle misses what it would miss alone: no capacity changes that.
        (None, Some(first)) => *first,
        (Some(below), Some(next)) => {
            let share = (load / LOADS[below]).ln() / (LOADS[above] / LOADS[below]).ln();
            row[below] * (1.0 - share) + next * share
        }
        (_, None) => 1.0,
    }
}

/// What a profile without a percentile leaves free: AIBrix's tools have means then, which half of the requests exceed.
const DEFAULT_FREE: f64 = 0.1;

/// The share that a percentile leaves free; 0 is a mean.
fn free_share(percentile: u32) -> f64 {
    if (1..100).contains(&percentile) { 1.0 - f64::from(percentile) / 100.0 } else { DEFAULT_FREE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Sized;
    use planner::Profile;

    const CHAT: Objective = Objective { ttft: Some(2.0), tpot: Some(0.1), e2e: None };

    fn engine() -> Knowledge {
        Knowledge::Engine(Box::new(EngineSpec::builtin("a100-8b").unwrap()))
    }

    fn profile(percentile: u32) -> Knowledge {
        let text = format!(
            r#"{{"gpu": "any", "cost": 1, "indexes": [[20, 2000], [100, 10000]], "tputs": [[4, 2], [2, 1]],
                "slos": {{"percentile": {percentile}, "e2e": 5}}}}"#
        );
        Knowledge::Profile(Box::new(Profile::from_json(&text).unwrap()))
    }

    fn sizes(input: f64, output: f64) -> Sizes {
        let mut sizes = Sizes::new(None);
        let seen: Vec<Sized> = (0..400).map(|_| Sized { arrived: 0.0, input, output, count: 1.0 }).collect();
        sizes.add(100.0, &seen);
        assert!(sizes.enough());
        sizes
    }

    #[test]
    fn risk_rises_with_load_and_falls_where_replicas_pool() {
        for knowledge in [engine(), profile(99)] {
            let risk = Risk::of(&knowledge, &CHAT, &Sizes::new(None)).unwrap();
            for replicas in [1.0, 2.0, 5.0, 8.0, 300.0] {
                let shares: Vec<f64> = (0..200).map(|step| risk.at(f64::from(step) * 0.01, replicas)).collect();
                assert!(shares.is_sorted() && shares[0] < 0.01, "{replicas}: {shares:?}");
                assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{replicas}: {shares:?}");
            }
        }
        let risk = Risk::of(&engine(), &CHAT, &Sizes::new(None)).unwrap();
        let mean = |replicas| (1..100).map(|step| risk.at(f64::from(step) * 0.01, replicas)).sum::<f64>();
        assert!(mean(1.0) > mean(2.0) && mean(2.0) > mean(8.0), "{} {} {}", mean(1.0), mean(2.0), mean(8.0));
    }

    #[test]
    fn no_number_is_a_certain_miss() {
        let risk = Risk::of(&profile(99), &CHAT, &Sizes::new(None)).unwrap();
        for load in [f64::NAN, f64::INFINITY, -1.0] {
            assert!((risk.at(load, 1.0) - 1.0).abs() < 1e-9);
        }
        assert!(risk.at(0.5, f64::NAN).is_finite());
    }

    #[test]
    fn a_profiles_rate_is_where_its_percentile_just_holds() {
        for (percentile, free) in [(99, 0.01), (90, 0.1), (50, 0.5)] {
            let risk = Risk::of(&profile(percentile), &CHAT, &sizes(100.0, 20.0)).unwrap();
            // 4 a second of this size.
            let load = risk.work(400.0, 4.0);
            assert!((load - 1.0).abs() < 1e-9 && (risk.at(load, 1.0) - free).abs() < 1e-9, "{percentile}: {load}");
        }
    }

    #[test]
    fn longer_requests_ask_for_more() {
        for knowledge in [engine(), profile(99)] {
            let work =
                |input: f64, output: f64| Risk::of(&knowledge, &CHAT, &sizes(input, output)).unwrap().work(input, 1.0);
            let short = work(200.0, 50.0);
            assert!(work(4000.0, 50.0) > short && work(200.0, 500.0) > short);
        }
    }

    #[test]
    fn what_serves_none_of_the_sizes_has_no_risk() {
        assert_eq!(Risk::of(&engine(), &CHAT, &sizes(1e6, 100.0)), None);
        let text = r#"{"gpu": "any", "cost": 1, "indexes": [[20], [100]], "tputs": [[0]]}"#;
        let none = Knowledge::Profile(Box::new(Profile::from_json(text).unwrap()));
        assert_eq!(Risk::of(&none, &CHAT, &sizes(100.0, 20.0)), None);
    }
}
