//! What each kind of level asks for, and how their answers become one count.
//!
//! A kind's answer is the fewest replicas at which no more than allowed is expected to miss: by the formula (the outlook's ratios and
//! the risk), and more and more by the replay, the more it has counted. Kinds that have been cheaper weigh more; of many estimates
//! that are all true to what happened, a mean is steadier than the best one (Bates and Granger 1969, *The combination of forecasts*).

use crate::choose::{Expectation, MOST, fewest};
use crate::outlook::{FORECAST, Flow, KINDS};
use crate::planning::Planning;
use crate::replay::Curve;
use crate::risk::Risk;

/// What one kind of level asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) flow: Flow,
    /// What the flow may become, with weights.
    pub(crate) ratios: Vec<(f64, f64)>,
    /// The flow in replicas at full use.
    pub(crate) level: f64,
    /// What the formula alone asks for.
    pub(crate) formula: u32,
    pub(crate) count: u32,
    /// What was replayed; none where nothing was, and where there is no load.
    curve: Option<Curve>,
}

/// By kind; none where there is no such level.
pub(crate) type Answers = [Option<Answer>; KINDS];

/// Requests that the formula's word weighs as much as: at some requests a second ten minutes. A short quiet time must not be taken for
/// all that can come.
const FORMULA: f64 = 2500.0;
/// From so many on, what has been replayed says what a kind costs.
const REPLAYED: f64 = 300.0;
/// A kind that is dearer by this part weighs e times less.
const DEARER: f64 = 0.1;
/// Another kind is named as the one that is gone by where it is this much cheaper.
const CHEAPER: f64 = 0.98;
/// What each kind asks for is averaged over so many seconds, where nothing is replayed.
const JUDGED: f64 = 7200.0;

impl Planning {
    /// What each kind of level asks for. `forecast` is in requests a second; levels are taken `rising` times as high.
    pub(crate) fn answers(&self, risk: &Risk, scale: f64, allowed: f64, forecast: Option<f64>, rising: f64) -> Answers {
        std::array::from_fn(|kind| {
            if kind > 0 && !self.settings.parts.forecast {
                return None;
            }
            let flow = self.outlook.level(kind, forecast)?;
            let flow = Flow { input: flow.input * rising, requests: flow.requests * rising };
            let ratios = if self.settings.parts.quantile { self.outlook.ratios(kind) } else { vec![(1.0, 1.0)] };
            let level = risk.work(flow.input, flow.requests);
            let expected = Expectation { level, ratios: &ratios, scale };
            let formula = expected.fewest(risk, allowed, MOST);
            let curve = self.replay.as_ref().filter(|_| level > 0.0).and_then(|replay| replay.curve(kind));
            let blended = |count: u32| blended(curve.as_ref(), level, count, expected.misses(risk, count));
            let count = fewest(&blended, allowed, MOST);
            Some(Answer { flow, ratios, level, formula, count, curve })
        })
    }
}

impl Answer {
    /// The share that is expected to miss with so many replicas.
    pub(crate) fn expected(&self, risk: &Risk, scale: f64, count: u32) -> f64 {
        let expected = Expectation { level: self.level, ratios: &self.ratios, scale };
        blended(self.curve.as_ref(), self.level, count, expected.misses(risk, count))
    }

    /// What holding to this kind has cost, in mean replicas; none where that has not been replayed.
    fn replayed(&self) -> Option<f64> {
        let curve = self.curve.as_ref().filter(|curve| curve.ended >= REPLAYED)?;
        Some(curve.level? * f64::from(self.count) / self.level)
    }
}

/// The share that is expected to miss, where the formula says so much.
fn blended(curve: Option<&Curve>, level: f64, count: u32, formula: f64) -> f64 {
    curve.map_or(formula, |curve| {
        let (ended, share) = (curve.ended, curve.share(f64::from(count) / level));
        (share * ended + formula * FORMULA) / (ended + FORMULA)
    })
}

/// What each kind has cost, in mean replicas.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Costs {
    of: [Option<f64>; KINDS],
    /// The kind that was cheapest.
    cheapest: Option<usize>,
}

impl Costs {
    /// Learns from answers; `passed` are the seconds since those before, `known` since the first.
    pub(crate) fn learn(&mut self, answers: &Answers, passed: f64, known: f64) {
        for (cost, answer) in self.of.iter_mut().zip(answers) {
            let Some(answer) = answer else { continue };
            let asked = f64::from(answer.count);
            let share = (passed / JUDGED).max(passed / known).min(1.0);
            let before = cost.unwrap_or(asked);
            *cost = Some(answer.replayed().unwrap_or(before + (asked - before) * share));
        }
    }

    /// The cheapest kind, until another is clearly cheaper, and the mean count. While an event is near, only the forecast knows of it.
    pub(crate) fn mixed(&mut self, answers: &Answers, event: bool) -> Option<(usize, u32)> {
        if let Some(answer) = answers[FORECAST].as_ref().filter(|_| event) {
            return Some((FORECAST, answer.count));
        }
        let known = self.of.iter().zip(answers).enumerate();
        let known: Vec<(usize, f64, u32)> =
            known.filter_map(|(kind, (cost, answer))| Some((kind, (*cost)?, answer.as_ref()?.count))).collect();
        let (cheapest, least, _) = *known.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let weighed = known.iter().map(|(_, cost, count)| {
            let weight = (-(cost / least.max(1e-9) - 1.0) / DEARER).exp();
            (weight * f64::from(*count), weight)
        });
        let (sum, all) = weighed.fold((0.0, 0.0), |(sum, all), (count, weight)| (sum + count, all + weight));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of counts")]
        let mean = (sum / all.max(1e-9)).round() as u32;
        let before = self.cheapest.and_then(|before| known.iter().find(|(kind, ..)| *kind == before));
        let stays = before.filter(|(_, cost, _)| least >= cost * CHEAPER).map(|(kind, ..)| *kind);
        let cheapest = *self.cheapest.insert(stays.unwrap_or(cheapest));
        Some((cheapest, mean.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(count: u32, replayed: impl Into<Option<f64>>) -> Answer {
        let flow = Flow { input: 1000.0, requests: 1.0 };
        let curve = replayed.into().map(|cost| Curve::of(1000.0, cost / f64::from(count)));
        Answer { flow, ratios: Vec::new(), level: 1.0, formula: count, count, curve }
    }

    #[test]
    fn kinds_that_cost_about_the_same_are_averaged_and_dear_ones_hardly_count() {
        let mut answers: Answers = std::array::from_fn(|_| None);
        (answers[0], answers[1], answers[2]) = (Some(answer(10, 10.0)), Some(answer(14, 10.0)), Some(answer(90, 30.0)));
        let mut costs = Costs::default();
        costs.learn(&answers, 5.0, 100.0);
        assert_eq!(costs.mixed(&answers, false), Some((0, 12)));
    }

    #[test]
    fn the_forecast_alone_counts_while_an_event_is_near() {
        let mut answers: Answers = std::array::from_fn(|_| Some(answer(3, 3.0)));
        answers[FORECAST] = Some(answer(12, 12.0));
        let mut costs = Costs::default();
        costs.learn(&answers, 5.0, 100.0);
        assert_eq!(costs.mixed(&answers, true), Some((FORECAST, 12)));
        assert_eq!(costs.mixed(&answers, false).map(|(_, count)| count), Some(3));
    }

    #[test]
    fn where_nothing_is_replayed_a_kind_costs_what_it_asked_for() {
        let mut costs = Costs::default();
        let mut answers: Answers = std::array::from_fn(|_| None);
        for (step, count) in (1..=600).zip([20, 20, 20].into_iter().cycle()) {
            (answers[0], answers[1]) = (Some(answer(count, None)), Some(answer(10, None)));
            costs.learn(&answers, 5.0, f64::from(step) * 5.0);
        }
        assert_eq!(costs.mixed(&answers, false), Some((1, 10)));
    }
}
