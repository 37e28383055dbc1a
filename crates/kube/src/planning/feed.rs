//! From the metrics pages of an object's pods to what a planning is shown. Knows no network and no plan.

use super::fared::Fared;
use autoscaler_metrics::Engine;
use autoscaler_planning::{Objective, Outcome, Sized};
use request_monitor::engine::{PageError, Replicas};
use request_monitor::{Batch, Size};

/// What an object's pods showed since the look before. A rate and not a count, so that a gap or a second object does not stretch it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Look {
    /// When, in Unix seconds.
    pub(crate) at: f64,
    /// Requests a second that arrived; none where no page told, which is not zero.
    pub(crate) rate: Option<f64>,
    /// Prompt tokens that wait.
    pub(crate) backlog_tokens: f64,
    pub(crate) sizes: Vec<Sized>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Replicas that are wanted.
    pub(crate) wanted: u32,
    /// Replicas that serve.
    pub(crate) ready: u32,
    /// Seconds of start-ups that ended.
    pub(crate) started: Vec<f64>,
}

/// What is remembered between looks.
#[derive(Debug)]
pub(crate) struct Feed {
    replicas: Replicas,
    fared: Fared,
    /// Mean prompt of late, tokens.
    prompt: f64,
    /// Sizes that were drawn so far, and the part of one that is still owed.
    drawn: u64,
    owed: f64,
}

/// Before any request ended: a chat's prompt (Azure's conversation trace of 2023 has 1,155 tokens in the mean).
const PROMPT: f64 = 1000.0;
/// Weight of the latest look in the mean prompt.
const LATEST: f64 = 0.1;
/// Most sizes of one look; each stands for more requests beyond it.
const MOST: u64 = 256;
/// Steps of the golden ratio spread over an interval more evenly than any other.
const GOLDEN: f64 = 0.618_033_988_749_895;

impl Default for Feed {
    fn default() -> Self {
        Self { replicas: Replicas::default(), fared: Fared::default(), prompt: PROMPT, drawn: 0, owed: 0.0 }
    }
}

impl Feed {
    /// Takes a pod's page. A page that cannot be read is a gap.
    pub(crate) fn page(&mut self, pod: &str, engine: Option<Engine>, page: &[u8], at: f64) -> Result<(), PageError> {
        self.replicas.page(pod, engine, page, at)?;
        // Of an engine without latencies nothing is learnt of how requests fare.
        Ok(self.fared.page(pod, page, at)?)
    }

    /// What the pods that exist showed since the look before.
    pub(crate) fn look(&mut self, at: f64, is_there: impl Fn(&str) -> bool, objective: &Objective) -> Look {
        self.replicas.keep(&is_there);
        self.fared.keep(&is_there);
        let mut look =
            Look { at, outcomes: self.fared.outcome(at, objective).into_iter().collect(), ..Look::default() };
        if let Some(batch) = self.replicas.batch(at) {
            look.rate = batch.arrivals.filter(|_| batch.seconds() > 0.0).map(|arrivals| arrivals / batch.seconds());
            look.sizes = self.draw(&batch);
            look.backlog_tokens = batch.queued.unwrap_or(0.0) * self.prompt;
        }
        look
    }

    /// Whole requests of a batch's sizes, whose counts are parts of requests: one is drawn for each that ended, at places that
    /// spread evenly over all sizes, tick after tick.
    fn draw(&mut self, batch: &Batch) -> Vec<Sized> {
        let total = batch.completions();
        if !(total > 0.0 && total.is_finite()) {
            return Vec::new();
        }
        let mean = batch.sizes.iter().map(|(size, count)| size.input * count).sum::<f64>() / total;
        self.prompt += (mean - self.prompt) * LATEST;
        let due = total + self.owed;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast saturates, and then it is cut"
        )]
        let whole = due.floor() as u64;
        self.owed = due - due.floor();
        if whole == 0 {
            return Vec::new();
        }
        let draws = whole.min(MOST);
        let count = whole as f64 / draws as f64;
        let arrived = batch.from.midpoint(batch.to) - self.fared.duration();
        let mut places: Vec<f64> = (0..draws).map(|at| ((self.drawn + at) as f64 * GOLDEN).fract() * total).collect();
        self.drawn = (self.drawn + draws) % (1 << 32);
        places.sort_by(f64::total_cmp);
        let mut sizes = batch.sizes.iter();
        let (mut size, mut until) = (Size { input: PROMPT, output: 1.0 }, 0.0);
        let at = |place: f64| {
            while until <= place {
                let Some((next, count)) = sizes.next() else { break };
                (size, until) = (*next, until + count);
            }
            Sized { arrived, input: size.input, output: size.output, count }
        };
        places.into_iter().map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::testing::page;

    const OBJECTIVE: Objective = Objective { ttft: Some(2.0), tpot: None, e2e: None };

    fn fed(pages: &[(f64, &str)]) -> (Feed, Vec<Look>) {
        let mut feed = Feed::default();
        let mut looks = Vec::new();
        for (at, page) in pages {
            // A page that failed is none.
            if !page.is_empty() {
                feed.page("pod", None, page.as_bytes(), *at).unwrap();
            }
            looks.push(feed.look(*at, |_| true, &OBJECTIVE));
        }
        (feed, looks)
    }

    #[test]
    fn growth_becomes_a_rate_whole_sizes_and_a_backlog() {
        let (_, looks) = fed(&[(100.0, &page(10, 0, 0)), (110.0, &page(60, 5, 4))]);
        assert_eq!(looks[0].rate, None, "a first page says nothing of before");
        assert_eq!(looks[1].rate, Some(5.9), "50 ended, and 9 more are inside");
        let requests: f64 = looks[1].sizes.iter().map(|one| one.count).sum();
        assert_eq!((looks[1].sizes.len(), requests), (50, 50.0));
        let mean = looks[1].sizes.iter().map(|one| one.input).sum::<f64>() / 50.0;
        assert!((mean - 400.0).abs() < 40.0, "{mean}");
        assert!((looks[1].backlog_tokens - 4.0 * 940.0).abs() < 1.0, "{looks:?}");
        assert_eq!(looks[1].outcomes.len(), 1);
    }

    #[test]
    fn a_page_that_fails_is_a_gap_and_does_not_stretch_the_rate() {
        let (_, looks) = fed(&[(0.0, &page(0, 0, 0)), (5.0, &page(25, 0, 0)), (10.0, ""), (15.0, &page(75, 0, 0))]);
        let rates: Vec<_> = looks.iter().map(|look| look.rate).collect();
        assert_eq!(rates, [None, Some(5.0), None, Some(5.0)]);
    }

    #[test]
    fn sizes_keep_their_shares_over_many_ticks() {
        let mut feed = Feed::default();
        let sizes = vec![(Size { input: 1.0, output: 1.0 }, 0.03), (Size { input: 2.0, output: 2.0 }, 0.27)];
        let batch = Batch { sizes, ..Batch::new(0.0, 1.0) };
        let drawn: Vec<Sized> = (0..10_000).flat_map(|_| feed.draw(&batch)).collect();
        let short = drawn.iter().filter(|one| one.input < 1.5).count();
        assert!((2990..=3001).contains(&drawn.len()) && (280..=320).contains(&short), "{} {short}", drawn.len());
    }
}
