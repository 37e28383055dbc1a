//! A report as one HTML file that needs nothing else: the scores, and every run as a plot.

use crate::compare::{Cell, Summary};
use crate::world::{Point, Timeline};
use serde::Serialize;

/// A run to plot.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The trace's name.
    pub trace: String,
    /// The engine's name.
    pub engine: String,
    /// Median start-up, seconds.
    pub cold_start: f64,
    /// The seed.
    pub seed: u64,
    /// The policy's name.
    pub policy: String,
    /// Its knob.
    pub knob: f64,
    /// What happened.
    #[serde(flatten)]
    pub timeline: Timeline,
}

#[derive(Serialize)]
struct Data<'a> {
    summary: &'a [Summary],
    cells: &'a [Cell],
    runs: &'a [Run],
}

const PAGE: &str = include_str!("page.html");
/// Points of a plot: more than a screen has columns would only make the file large.
const MAX_POINTS: usize = 800;
/// Changes of a run that are listed.
const MAX_CHANGES: usize = 2000;

/// The page.
pub fn html(summary: &[Summary], cells: &[Cell], runs: &[Run]) -> Result<String, serde_json::Error> {
    let data = serde_json::to_string(&Data { summary, cells, runs })?;
    // Names of traces may say anything; in a script element only this would end it.
    Ok(PAGE.replacen("/*DATA*/", &data.replace("</", "<\\/").replace("<!--", "<\\u0021--"), 1))
}

/// A timeline of a bounded size: of several points in a row, the means of what flows and the extremes of what counts.
#[must_use]
pub fn thinned(timeline: Timeline) -> Timeline {
    let every = timeline.points.len().div_ceil(MAX_POINTS).max(1);
    let points = timeline.points.chunks(every).filter_map(merged).collect();
    let mut changes = timeline.changes;
    changes.truncate(MAX_CHANGES);
    Timeline { points, changes }
}

fn merged(points: &[Point]) -> Option<Point> {
    let last = *points.last()?;
    let count = points.len() as f64;
    let most = |of: fn(&Point) -> u32| points.iter().map(of).max().unwrap_or(0);
    let attained: Vec<f64> = points.iter().filter_map(|point| point.attainment).collect();
    Some(Point {
        running: most(|point| point.running),
        waiting: most(|point| point.waiting),
        held: most(|point| point.held),
        wanted: most(|point| point.wanted),
        starting: most(|point| point.starting),
        kv: points.iter().map(|point| point.kv).fold(0.0, f64::max),
        rate: points.iter().map(|point| point.rate).sum::<f64>() / count,
        attainment: (!attained.is_empty()).then(|| attained.iter().sum::<f64>() / attained.len() as f64),
        ..last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_data() {
        let run = Run {
            trace: "</script><script>alert(1)<!--".into(),
            engine: "l4-8b".into(),
            cold_start: 30.0,
            seed: 1,
            policy: "kpa".into(),
            knob: 1.0,
            timeline: Timeline::default(),
        };
        let page = html(&[], &[], &[run]).unwrap();
        assert!(!page.contains("</script><script>alert") && !page.contains("alert(1)<!--"));
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_peaks() {
        let point = |at: u32| Point {
            at: f64::from(at),
            wanted: 1,
            ready: 1,
            starting: 0,
            running: u32::from(at == 777) * 50,
            waiting: 0,
            held: 0,
            kv: 0.1,
            rate: 1.0,
            attainment: None,
        };
        let timeline = Timeline { points: (0..20_000).map(point).collect(), changes: Vec::new() };
        let thin = thinned(timeline);
        assert!(thin.points.len() <= MAX_POINTS);
        assert_eq!(thin.points.iter().map(|point| point.running).max(), Some(50));
    }
}
