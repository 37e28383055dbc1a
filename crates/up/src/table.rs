//! The live table on a terminal. Draws the shared picture; must not decide anything.

use crate::view::View;
use console::{Style, Term, style};

/// Redraws in place.
pub struct Table {
    term: Term,
    drawn: usize,
}

/// Decisions shown under the table.
const RECENT: usize = 6;
/// Width of the bar that shows replicas.
const BAR: usize = 24;

impl Table {
    /// A table on standard error, where it does not mix with what is piped. None where that is no terminal.
    #[must_use]
    pub fn on_terminal() -> Option<Self> {
        let term = Term::stderr();
        term.is_term().then_some(Self { term, drawn: 0 })
    }

    /// Draws the picture over the last one.
    pub fn draw(&mut self, view: &View) {
        let width = usize::from(self.term.size().1).max(40);
        let lines: Vec<String> =
            render(view).into_iter().map(|line| console::truncate_str(&line, width - 1, "…").into_owned()).collect();
        // A terminal that went away is no reason to stop.
        let _ = self.term.clear_last_lines(self.drawn);
        let _ = self.term.write_line(&lines.join("\n"));
        self.drawn = lines.len();
    }
}

/// The lines of one picture.
#[must_use]
pub fn render(view: &View) -> Vec<String> {
    let speed = if (view.speed - 1.0).abs() > f64::EPSILON { format!(" at {}×", view.speed) } else { String::new() };
    let requests = &view.requests;
    let aborted = if requests.aborted > 0 { Style::new().red() } else { Style::new().dim() };
    let mut lines = vec![
        format!(
            "{} {:>5.0} s{speed}   {} requests, {} failed, {}   TTFT p50 {} p99 {}",
            style("aibrix-autoscaler").bold(),
            view.at,
            requests.requests,
            requests.failed,
            aborted.apply_to(format!("{} aborted by scaling", requests.aborted)),
            seconds(requests.ttft_p50),
            seconds(requests.ttft_p99),
        ),
        style(format!(
            "{:<16} {:<9} {:>7} {:>7} {:>7} {:>8} {:>8}  {:<BAR$}",
            "AUTOSCALER", "STRATEGY", "READY", "PENDING", "WANTED", "RUNNING", "WAITING", "REPLICAS"
        ))
        .dim()
        .to_string(),
    ];
    for entry in &view.autoscalers {
        let panic = if entry.panic { style(" panic").red().to_string() } else { String::new() };
        lines.push(format!(
            "{:<16} {:<9} {:>7} {:>7} {:>7} {:>8} {:>8}  {}{panic}",
            entry.name,
            entry.strategy,
            entry.ready,
            entry.pending,
            entry.desired,
            count(entry.running),
            count(entry.waiting.map(|waiting| waiting + entry.held as f64)),
            bar(entry.ready, entry.pending, entry.max),
        ));
    }
    for decision in view.decisions.iter().rev().take(RECENT).rev() {
        lines.push(format!(
            "{:>6.0} s  {} {} → {}  {}",
            decision.at,
            decision.autoscaler,
            decision.replicas,
            decision.desired,
            style(&decision.reason).dim()
        ));
    }
    lines.extend(view.problems.iter().map(|problem| style(format!("! {problem}")).yellow().to_string()));
    lines
}

fn bar(ready: u32, pending: u32, max: u32) -> String {
    let cells = |count: u32| {
        let max = usize::try_from(max.max(1)).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // Few replicas are drawn one by one, many in proportion.
        if max <= BAR { count.min(BAR) } else { (count.saturating_mul(BAR)).div_ceil(max).min(BAR) }
    };
    let (ready, pending) = (cells(ready), cells(pending));
    let open = cells(max).saturating_sub(ready + pending);
    format!(
        "{}{}{}",
        style("█".repeat(ready)).green(),
        style("▒".repeat(pending)).yellow(),
        style("·".repeat(open)).dim()
    )
}

fn count(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"))
}

/// Seconds for people.
#[must_use]
pub fn seconds(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value < 1.0 => format!("{:.0} ms", value * 1000.0),
        Some(value) => format!("{value:.2} s"),
    }
}
