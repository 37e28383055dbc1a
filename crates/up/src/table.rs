//! The live table on a terminal. Draws the shared picture; must not decide anything.

use crate::view::{PlanView, View};
use console::{Style, Term, style};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Redraws in place. A thread of its own draws, so that a terminal that stalls (Ctrl-S) stops nothing else.
pub struct Table {
    pictures: SyncSender<Vec<String>>,
    drawn: Receiver<()>,
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
        if !term.is_term() {
            return None;
        }
        // One picture may wait while one is drawn; what does not fit is old at once anyway.
        let (pictures, inbox) = sync_channel(1);
        let (ended, drawn) = sync_channel(1);
        let draw = move || {
            draw_all(&term, &inbox);
            let _ = ended.send(());
        };
        std::thread::Builder::new().name("table".to_owned()).spawn(draw).ok()?;
        Some(Self { pictures, drawn })
    }

    /// Draws the picture over the last one, unless the terminal is busy with that still.
    pub fn draw(&self, view: &View) {
        let _ = self.pictures.try_send(render(view));
    }

    /// Ends the drawing, so that what follows is not drawn over; waits for the terminal at most so long.
    pub fn finish(self, patience: Duration) {
        drop(self.pictures);
        let _ = self.drawn.recv_timeout(patience);
    }
}

fn draw_all(term: &Term, pictures: &Receiver<Vec<String>>) {
    let mut drawn = 0;
    for picture in pictures {
        let width = usize::from(term.size().1).max(40);
        let cut = |line: String| console::truncate_str(&line, width - 1, "…").into_owned();
        let lines: Vec<String> = picture.into_iter().map(cut).collect();
        // A terminal that went away is no reason to stop.
        let _ = term.clear_last_lines(drawn);
        let _ = term.write_line(&lines.join("\n"));
        drawn = lines.len();
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
            count(entry.waiting_in_all()),
            bar(entry.ready, entry.pending, entry.max),
        ));
        lines.extend(entry.plan.as_ref().map(|plan| style(planned(plan, view.at)).dim().to_string()));
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
    // One line each: what is drawn is cleared by counting lines.
    let problem = |problem: &String| style(format!("! {}", problem.replace('\n', "; "))).yellow().to_string();
    lines.extend(view.problems.iter().map(problem));
    lines
}

fn planned(plan: &PlanView, at: f64) -> String {
    let kept = plan.attainment.map_or_else(String::new, |share| format!(", {:.1} % kept the SLO", share * 100.0));
    let age = (at - plan.made_at).max(0.0);
    format!("  plan: {} replicas, {:.2} an hour, {age:.0} s old{kept}", plan.replicas, plan.cost_per_hour)
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
