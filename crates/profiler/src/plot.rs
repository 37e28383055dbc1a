//! A picture of a profile that needs nothing else: capacity by size as a heat map, and latency against rate for each size.

use crate::run::Run;
use crate::slo::Slo;
use crate::stats::Stat;
use crate::sweep::{Found, Sweep};
use std::fmt::Write;

/// Pixels of a cell of the heat map, of a panel, and of the margins.
const CELL: (f64, f64) = (96.0, 40.0);
const PANEL: (f64, f64) = (190.0, 130.0);
const LEFT: f64 = 70.0;
const TOP: f64 = 64.0;
/// Colours of TTFT, TPOT and E2E.
const COLOURS: [(&str, &str); 3] = [("TTFT", "#b3541e"), ("TPOT", "#1f6f5c"), ("E2E", "#5b3f9a")];

/// The picture as SVG.
#[must_use]
pub fn svg(sweep: &Sweep, title: &str) -> String {
    let (columns, rows) = (sweep.plan().inputs.len() as f64, sweep.plan().outputs.len() as f64);
    let second = TOP + rows * CELL.1 + 90.0;
    let width = (LEFT + columns * PANEL.0 + 20.0).max(LEFT + columns * CELL.0 + 20.0).max(640.0);
    let height = second + rows * PANEL.1 + 20.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    );
    text(&mut out, 10.0, 20.0, &format!("{title}: requests/s within {}", sweep.plan().slo), "font-weight=\"bold\"");
    heat_map(&mut out, sweep);
    let legend =
        "share of each limit against requests/s (dashed: the limit; dotted: the capacity; hollow: ended early)";
    text(&mut out, 10.0, second - 36.0, legend, "font-weight=\"bold\"");
    for (at, (name, colour)) in COLOURS.iter().enumerate() {
        text(&mut out, 10.0 + 60.0 * at as f64, second - 18.0, name, &format!("fill=\"{colour}\""));
    }
    for (at, found) in sweep.found().iter().enumerate() {
        let (column, row) = place(sweep, at);
        panel(&mut out, LEFT + column * PANEL.0, second + row * PANEL.1, found, &sweep.plan().slo);
    }
    out.push_str("</svg>");
    out
}

/// The picture as a page.
#[must_use]
pub fn html(sweep: &Sweep, title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><body>{}</body></html>\n",
        svg(sweep, title),
        title = escape(title)
    )
}

fn place(sweep: &Sweep, at: usize) -> (f64, f64) {
    let columns = sweep.plan().inputs.len().max(1);
    ((at % columns) as f64, (at / columns) as f64)
}

fn heat_map(out: &mut String, sweep: &Sweep) {
    for (at, input) in sweep.plan().inputs.iter().enumerate() {
        let x = LEFT + (at as f64 + 0.5) * CELL.0;
        text(out, x, TOP - 8.0, &format!("{input} in"), "text-anchor=\"middle\"");
    }
    for (at, output) in sweep.plan().outputs.iter().enumerate() {
        let y = TOP + (at as f64 + 0.6) * CELL.1;
        text(out, LEFT - 8.0, y, &format!("{output} out"), "text-anchor=\"end\"");
    }
    let logs: Vec<f64> = sweep.found().iter().map(|found| found.capacity).filter(|c| *c > 0.0).map(f64::ln).collect();
    let (low, high) = range(&logs);
    for (at, found) in sweep.found().iter().enumerate() {
        let (column, row) = place(sweep, at);
        let (x, y) = (LEFT + column * CELL.0, TOP + row * CELL.1);
        let share = if found.capacity > 0.0 { (found.capacity.ln() - low) / (high - low) } else { 0.0 };
        let fill =
            if found.capacity > 0.0 { format!("hsl(210,70%,{:.0}%)", 92.0 - 50.0 * share) } else { "#eee".to_owned() };
        let why =
            found.impossible.as_ref().map_or_else(|| found.cell.to_string(), |why| format!("{}: {why}", found.cell));
        let _ = write!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{fill}\" stroke=\"#fff\"><title>{}</title></rect>",
            CELL.0,
            CELL.1,
            escape(&why)
        );
        let colour = if share > 0.6 { "fill=\"#fff\" " } else { "" };
        let number = if found.capacity > 0.0 { format!("{:.3}", found.capacity) } else { "–".to_owned() };
        text(out, x + CELL.0 / 2.0, y + CELL.1 * 0.6, &number, &format!("{colour}text-anchor=\"middle\""));
    }
}

/// Latency against rate for one size, each latency as a share of its limit, or of its largest value where it has none.
fn panel(out: &mut String, left: f64, top: f64, found: &Found, slo: &Slo) {
    let (width, height) = (PANEL.0 - 40.0, PANEL.1 - 46.0);
    let _ = write!(
        out,
        "<g transform=\"translate({left},{})\"><rect width=\"{width}\" height=\"{height}\" fill=\"#fafafa\" stroke=\"#ccc\"/>",
        top + 16.0
    );
    text(out, 0.0, -4.0, &found.cell.to_string(), "font-size=\"11\"");
    let mut runs: Vec<&Run> = found.runs.iter().filter(|run| run.rate > 0.0 && run.e2e.is_some()).collect();
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let logs: Vec<f64> = runs.iter().map(|run| run.rate.ln()).collect();
    if let (Some(slowest), Some(fastest)) = (runs.first(), runs.last()) {
        let (low, high) = range(&logs);
        let x = |rate: f64| width * (0.05 + 0.9 * (rate.ln() - low) / (high - low));
        text(
            out,
            x(slowest.rate),
            height + 12.0,
            &format!("{:.2}", slowest.rate),
            "font-size=\"10\" text-anchor=\"middle\"",
        );
        if fastest.rate > slowest.rate {
            text(
                out,
                x(fastest.rate),
                height + 12.0,
                &format!("{:.2}", fastest.rate),
                "font-size=\"10\" text-anchor=\"middle\"",
            );
        }
        let _ = write!(out, "<path d=\"M0 {h}H{width}\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>", h = height / 2.0);
        if found.capacity > 0.0 {
            let at = x(found.at.as_ref().map_or(found.capacity, |run| run.rate));
            let _ = write!(out, "<path d=\"M{at:.1} 0V{height}\" stroke=\"#36c\" stroke-dasharray=\"1 3\"/>");
        }
        series(out, &runs, slo, &x, height);
    }
    out.push_str("</g>");
}

fn series(out: &mut String, runs: &[&Run], slo: &Slo, x: &dyn Fn(f64) -> f64, height: f64) {
    type Of = fn(&Run) -> Option<Stat>;
    let of: [(Of, Option<f64>); 3] = [(|run| run.ttft, slo.ttft), (|run| run.tpot, slo.tpot), (|run| run.e2e, slo.e2e)];
    for ((stat, limit), (name, colour)) in of.into_iter().zip(COLOURS) {
        let value = |run: &Run| stat(run).map(|stat| stat.get(slo.percentile));
        // Without any limit the end-to-end time is what there is to see.
        let unlimited = slo.ttft.or(slo.tpot).or(slo.e2e).is_none() && name == "E2E";
        let most = runs.iter().filter_map(|run| value(run)).fold(0.0, f64::max);
        let Some(limit) = limit.or_else(|| unlimited.then_some(most)).filter(|limit| *limit > 0.0) else { continue };
        let mut path = String::new();
        for run in runs {
            let Some(value) = value(run) else { continue };
            // The limit is half-way up, a tenth of it at the bottom and ten times at the top.
            let y = height * (0.5 - 0.5 * (value / limit).log10().clamp(-1.0, 1.0));
            let _ = write!(path, "{}{:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' }, x(run.rate));
            let fill = if run.stopped.is_some() { "#fff" } else { colour };
            let _ = write!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{fill}\" stroke=\"{colour}\"><title>{name} {} {value:.4} s at \
                 {:.3}/s</title></circle>",
                x(run.rate),
                slo.percentile,
                run.rate
            );
        }
        let _ = write!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\"/>");
    }
}

/// From the least to the most, never empty.
fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match (low.is_finite(), high > low) {
        (true, true) => (low, high),
        (true, false) => (low - 0.5, low + 0.5),
        (false, _) => (0.0, 1.0),
    }
}

fn text(out: &mut String, x: f64, y: f64, said: &str, attributes: &str) {
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>", escape(said));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
