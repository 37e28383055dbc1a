//! A comparison as text: a table for each trace, engine and start-up time, and the summary.

use simulator::compare::{Cell, Summary};
use std::fmt::Write as _;

/// One policy over all seeds: means, but the worst of what has to be kept.
fn row(seeds: &[&Cell], knob: f64) -> String {
    let mean = |of: fn(&Cell) -> f64| seeds.iter().map(|cell| of(cell)).sum::<f64>() / seeds.len() as f64;
    let most = |of: fn(&Cell) -> f64| seeds.iter().map(|cell| of(cell)).fold(0.0, f64::max);
    let name = seeds.first().map(|cell| cell.policy.clone()).unwrap_or_default();
    let name = if (knob - 1.0).abs() < 1e-9 { name } else { format!("{name} ×{knob}") };
    let scored = seeds.iter().all(|cell| cell.score.is_some());
    let score = mean(|cell| cell.score.unwrap_or(1.0).max(1e-9).ln()).exp();
    format!(
        "  {:<16} {:>7} {:>8.2}% {:>10.3} {:>8.2}s {:>7.0}ms {:>7.2}/h {:>5}",
        name,
        if scored { format!("{score:.3}") } else { "-".to_owned() },
        100.0 * seeds.iter().map(|cell| cell.attainment).fold(1.0, f64::min),
        mean(|cell| cell.gpu_hours),
        most(|cell| cell.ttft_p99),
        1e3 * most(|cell| cell.tpot_p99),
        mean(|cell| cell.reversals_per_hour),
        most(|cell| f64::from(cell.peak_replicas))
    )
}

/// All of it.
pub(super) fn table(cells: &[Cell], summary: &[Summary]) -> String {
    let mut text = String::new();
    let mut places: Vec<(&str, &str, f64)> = Vec::new();
    for cell in cells {
        let place = (cell.trace.as_str(), cell.engine.as_str(), cell.cold_start);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let score = |score: Option<f64>| score.map_or_else(|| "-".to_owned(), |score| format!("{score:.3}"));
    for (trace, engine, cold) in places {
        let own: Vec<&Cell> = cells
            .iter()
            .filter(|cell| (cell.trace.as_str(), cell.engine.as_str(), cell.cold_start) == (trace, engine, cold))
            .collect();
        let Some(first) = own.first() else { continue };
        let _ = writeln!(
            text,
            "{trace} on {engine}, start-up {cold} s: {} requests, target {:.2} %{}",
            first.requests,
            100.0 * first.target,
            if first.score.is_none() { ", beyond reach of any capacity: not scored" } else { "" }
        );
        let _ = writeln!(
            text,
            "  {:<16} {:>7} {:>9} {:>10} {:>9} {:>9} {:>9} {:>5}",
            "POLICY", "SCORE", "ATTAINED", "GPU-HOURS", "TTFT P99", "TPOT P99", "REVERSALS", "PEAK"
        );
        let mut shown: Vec<(&str, f64)> = Vec::new();
        for cell in &own {
            let knob = if cell.reference { 1.0 } else { cell.knob };
            if shown.contains(&(cell.policy.as_str(), knob)) {
                continue;
            }
            shown.push((cell.policy.as_str(), knob));
            let alike = |one: &&&Cell| one.policy == cell.policy && (one.reference || one.knob == cell.knob);
            let seeds: Vec<&Cell> = own.iter().filter(alike).copied().collect();
            let _ = writeln!(text, "{}", row(&seeds, knob));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{:<20} {:>8} {:>8} {:>10} {:>11}", "SUMMARY", "SCORE", "WORST", "AT TARGET", "REVERSALS");
    for line in summary {
        let name = match (line.reference, line.knob) {
            (true, _) => format!("{} *", line.policy),
            (false, Some(knob)) if (knob - 1.0).abs() > 1e-9 => format!("{} ×{knob}", line.policy),
            _ => line.policy.clone(),
        };
        let _ = writeln!(
            text,
            "{:<20} {:>8} {:>8} {:>6}/{:<3} {:>9.2}/h",
            name,
            score(line.score),
            score(line.worst),
            line.cells_at_target,
            line.cells,
            line.reversals_per_hour
        );
    }
    text.push_str("* made in hindsight: not policies\n");
    text
}
