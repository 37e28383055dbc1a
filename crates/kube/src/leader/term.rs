//! The term of office, as its holder sees it: led until a point of the monotonic clock. Knows no Kubernetes.

use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Longer than any process lives, and far from the end of the clock.
pub(super) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// One term: renewals prolong it, and one that begins after its end is another.
#[derive(Debug, Clone, Copy, Default)]
struct Term {
    number: u64,
    until: Option<Instant>,
}

impl Term {
    fn runs(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// Who holds the office writes here.
#[derive(Debug)]
pub(super) struct Office {
    term: watch::Sender<Term>,
    deadline: Duration,
}

/// Who wants to know whether the office is held looks here.
#[derive(Debug, Clone)]
pub(super) struct View(watch::Receiver<Term>);

impl Office {
    /// An office that nobody holds, where a renewal is good for `deadline`.
    pub(super) fn vacant(deadline: Duration) -> (Self, View) {
        let (term, view) = watch::channel(Term::default());
        (Self { term, deadline }, View(view))
    }

    /// A renewal that started at `start` has succeeded.
    pub(super) fn renewed(&mut self, start: Instant) {
        let now = Instant::now();
        let until = start + self.deadline;
        self.term.send_modify(|term| {
            if !term.runs(now) && now < until {
                term.number += 1;
            }
            // A renewal never shortens a term.
            term.until = term.until.max(Some(until));
        });
    }

    /// The office is held no longer.
    pub(super) fn end(&mut self) {
        self.term.send_if_modified(|term| term.until.take().is_some());
    }

    /// Whether it is held.
    pub(super) fn held(&self) -> bool {
        self.term.borrow().runs(Instant::now())
    }
}

impl View {
    pub(super) fn leads(&self) -> bool {
        self.0.borrow().runs(Instant::now())
    }

    pub(super) async fn wait_until_leading(mut self) {
        loop {
            if self.0.borrow_and_update().runs(Instant::now()) {
                return;
            }
            if self.0.changed().await.is_err() {
                // Nobody is left who could take the office.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) async fn lost(mut self) {
        let mut term = *self.0.borrow_and_update();
        let number = term.number;
        while let Some(until) = term.until.filter(|_| term.number == number && term.runs(Instant::now())) {
            tokio::select! {
                () = sleep_until(until) => {}
                changed = self.0.changed() => if changed.is_err() {
                    // No renewal can come any more: the rest of the term is all there is.
                    sleep_until(until).await;
                },
            }
            term = *self.0.borrow_and_update();
        }
    }
}
