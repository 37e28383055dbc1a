//! The candidates: what each expects of the load some steps ahead, without any idea of how often it is wrong.

use crate::history::History;
use crate::number::{sound_index, sound_load};
use serde::{Deserialize, Serialize};

/// The names, in the order in which everything about candidates is kept.
pub(crate) const NAMES: [&str; 14] = [
    "persistence",
    "level-0.4",
    "level-0.2",
    "level-0.05",
    "level-0.02",
    "level-0.01",
    "trend-fast",
    "trend-slow",
    "recent-max",
    "seasonal-hour",
    "seasonal-day",
    "seasonal-week",
    "seasonal-own",
    "blend",
];
/// The last of them is made of the others.
pub(crate) const BLEND: usize = NAMES.len() - 1;
/// Those before the blend.
pub(crate) const SINGLE: usize = BLEND;
pub(crate) const PERSISTENCE: usize = 0;
/// The quickest of those that smooth, for a load that has just jumped.
pub(crate) const QUICK: usize = LEVEL;
const LEVEL: usize = 1;
const TREND: usize = LEVEL + ALPHAS.len();
const MAXIMUM: usize = TREND + TRENDS.len();
const SEASONAL: usize = MAXIMUM + 1;

/// How much of each new step the levels take over: they remember about 2, 5, 20, 50 and 100 steps.
const ALPHAS: [f64; 5] = [0.4, 0.2, 0.05, 0.02, 0.01];
/// The level that the seasons build on before any level has shown to be better.
const DEFAULT_LEVEL: usize = LEVEL + 1;
/// Holt's damped trend (Gardner and `McKenzie` 1985): alpha, beta, phi. The first sees a surge within a minute and believes in it for
/// some fifty steps; the second follows the slope of a quarter of an hour.
const TRENDS: [(f64, f64, f64); 2] = [(0.3, 0.1, 0.98), (0.08, 0.02, 0.995)];
/// What the scale takes over of each step: it remembers about 360 steps.
const SCALE_ALPHA: f64 = 1.0 / 360.0;
/// The recent maximum looks back one horizon, but at least so many steps.
const MAXIMUM_STEPS: u32 = 6;
/// At most so many earlier seasons are averaged.
const SEASONS: u8 = 4;
/// A season changes the level by at most this factor, either way.
const SEASON_RATIO: f64 = 10.0;

/// Hour, day and week.
const COMMON_SEASONS: [f64; 3] = [3600.0, 86_400.0, 604_800.0];

/// What a candidate expects: the step at the horizon, and the highest until then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: f64,
    pub(crate) peak: f64,
}

/// The running averages that the candidates need beside the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Models {
    last: Option<(i64, f64)>,
    levels: [f64; ALPHAS.len()],
    trends: [(f64, f64); TRENDS.len()],
    scale: f64,
}

impl Models {
    pub(crate) fn new() -> Self {
        Self { last: None, levels: [0.0; ALPHAS.len()], trends: [(0.0, 0.0); TRENDS.len()], scale: 0.0 }
    }

    /// The latest step and its load.
    pub(crate) fn last(&self) -> Option<(i64, f64)> {
        self.last
    }

    /// What a small load is for this object: a quarter of its mean of the last hours. Errors are relative to the forecast plus this,
    /// so that a load that comes and goes has errors of a bounded size.
    pub(crate) fn floor(&self) -> f64 {
        self.scale / 4.0
    }

    /// Takes a step that is over. After a gap the averages give the new value the weight that all missed steps would have had.
    pub(crate) fn absorb(&mut self, index: i64, value: f64) {
        let Some((last, _)) = self.last.replace((index, value)) else {
            self.levels = [value; ALPHAS.len()];
            self.trends = [(value, 0.0); TRENDS.len()];
            self.scale = value;
            return;
        };
        let steps = i32::try_from(index - last).unwrap_or(i32::MAX).max(1);
        let share = |alpha: f64| 1.0 - (1.0 - alpha).powi(steps);
        for (level, alpha) in self.levels.iter_mut().zip(ALPHAS) {
            *level += share(alpha) * (value - *level);
        }
        self.scale += share(SCALE_ALPHA) * (value - self.scale);
        for ((level, slope), (alpha, beta, phi)) in self.trends.iter_mut().zip(TRENDS) {
            let expected = *level + *slope * damped(phi, steps.unsigned_abs());
            let rest = *slope * phi.powi(steps);
            let next = (expected + share(alpha) * (value - expected)).max(0.0);
            *slope = rest + alpha * beta * (value - expected) / f64::from(steps);
            *level = next;
        }
    }

    /// What each candidate but the blend expects `ahead` steps after the latest. `better` names the level with the least loss.
    pub(crate) fn points(
        &self,
        history: &History,
        season: Option<f64>,
        ahead: u32,
        better: Option<usize>,
    ) -> [Option<Point>; SINGLE] {
        let mut points = [None; SINGLE];
        let Some((index, value)) = self.last else { return points };
        let flat = |value: f64| Some(Point { at: value, peak: value });
        points[PERSISTENCE] = flat(value);
        for (point, level) in points[LEVEL..].iter_mut().zip(self.levels) {
            *point = flat(level);
        }
        for (point, ((level, slope), (_, _, phi))) in points[TREND..].iter_mut().zip(self.trends.iter().zip(TRENDS)) {
            let [next, at] = [1, ahead].map(|steps| (level + slope * damped(phi, steps)).max(0.0));
            *point = Some(Point { at, peak: at.max(next) });
        }
        let back = i64::from(ahead.max(MAXIMUM_STEPS));
        points[MAXIMUM] = flat(history.highest(index - back + 1, index - 1).unwrap_or(0.0).max(value));
        let level = better.and_then(|better| points[better]).or(points[DEFAULT_LEVEL]).map_or(value, |point| point.at);
        for (number, season) in seasons(season).into_iter().enumerate() {
            points[SEASONAL + number] = season.and_then(|season| self.seasonal(history, season, level, ahead));
        }
        points
    }

    /// The level, times what the season did at this time of it to this horizon.
    fn seasonal(&self, history: &History, season: f64, level: f64, ahead: u32) -> Option<Point> {
        let (index, _) = self.last?;
        let (now, horizon) = ((index as f64 + 0.5) * history.step, f64::from(ahead) * history.step);
        if horizon > season / 2.0 {
            return None;
        }
        let (floor, base) = (self.scale / 20.0, profile(history, now, season)?);
        let factor = |at: f64| {
            let ratio = (profile(history, at, season)? + floor) / (base + floor);
            ratio.is_finite().then(|| ratio.clamp(1.0 / SEASON_RATIO, SEASON_RATIO))
        };
        let at = level * if base + floor > 0.0 { factor(now + horizon)? } else { 1.0 };
        let between = if base + floor > 0.0 { level * factor(now + horizon / 2.0).unwrap_or(0.0) } else { 0.0 };
        Some(Point { at, peak: at.max(between) })
    }

    /// Whether saved averages are numbers.
    pub(crate) fn sound(&self) -> bool {
        let levels = self.levels.iter().chain([&self.scale]).chain(self.trends.iter().map(|(level, _)| level));
        self.last.is_none_or(|(index, value)| sound_index(index) && sound_load(value))
            && levels.copied().all(sound_load)
            && self.trends.iter().all(|(_, slope)| sound_load(slope.abs()))
    }
}

/// The levels, to find the best of them.
pub(crate) fn levels() -> std::ops::Range<usize> {
    LEVEL..TREND
}

/// The season of a candidate that has one.
pub(crate) fn season_of(candidate: usize, own: Option<f64>) -> Option<f64> {
    *seasons(own).get(candidate.checked_sub(SEASONAL)?)?
}

fn seasons(own: Option<f64>) -> [Option<f64>; COMMON_SEASONS.len() + 1] {
    let [hour, day, week] = COMMON_SEASONS.map(Some);
    [hour, day, week, own.filter(|own| !COMMON_SEASONS.contains(own))]
}

/// The mean load at this time of the last four seasons, those that are known.
fn profile(history: &History, at: f64, season: f64) -> Option<f64> {
    // a hundred-and-twentieth: half a minute of an hour, and the aggregates of five minutes from ten hours on
    let width = (season / 120.0).max(3.0 * history.step);
    let known = (1..=SEASONS).filter_map(|back| history.around(at - f64::from(back) * season, width));
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// phi + phi² + … + phiⁿ, by which a damped slope grows in n steps.
fn damped(phi: f64, steps: u32) -> f64 {
    phi * (1.0 - phi.powi(i32::try_from(steps).unwrap_or(i32::MAX))) / (1.0 - phi)
}
