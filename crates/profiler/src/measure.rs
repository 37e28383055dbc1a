//! Runs at a real endpoint, over sockets. Knows no search: it does what it is asked.

use crate::arrivals::{Spread, times};
use crate::run::{Ask, Cell, Run, Stopped};
use crate::slo::Slo;
use crate::watch::{State, Watch};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use workload::Arrival;
use workload::client::{ClientError, Config, Done, Failure, Sender};

/// How a run is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Requests after the warm-up, at least.
    pub requests: usize,
    /// Trace seconds after the warm-up, at least.
    pub seconds: f64,
    /// How arrivals are spread.
    pub spread: Spread,
    /// What the arrivals' randomness begins with.
    pub seed: u64,
    /// Whether a run ends as soon as its verdict is clear.
    pub early: bool,
}

impl Default for Settings {
    /// AIBrix's 100 requests, and long enough that a backlog shows at high rates, where 100 requests are over in a moment.
    fn default() -> Self {
        Self { requests: 100, seconds: 30.0, spread: Spread::Poisson, seed: 1, early: true }
    }
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The measurement was told to stop.
    #[error("interrupted")]
    Interrupted,
    /// The endpoint's address or the HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The engine does not answer even one request at a time.
    #[error("{cell}, one request at a time: {failed} of {requests} requests failed ({how})")]
    Unusable {
        /// Of which size.
        cell: Cell,
        /// Requests that failed.
        failed: usize,
        /// Requests that were sent.
        requests: usize,
        /// How they failed.
        how: String,
    },
}

/// An engine behind a socket.
#[derive(Debug)]
pub struct Endpoint {
    sender: Arc<Sender>,
    speed: f64,
    timeout: f64,
    settings: Settings,
    slo: Slo,
}

/// Requests one at a time, of which the first is the warm-up.
const ALONE: usize = 6;
/// Requests of one run: more would not be a measurement but a siege.
const MOST_REQUESTS: usize = 50_000;
/// Longest warm-up, requests.
const MOST_WARMUP: usize = 10_000;
/// Machine time between looks at a run's verdict.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After a run that was broken off, an engine is idle again once a request takes at most this many times its time alone.
const SETTLED: f64 = 1.5;
/// Requests sent one after the other until then; an engine that is slow for longer is taken as it is.
const SETTLING: usize = 20;
/// Failures among them that show that the engine is gone.
const GONE: usize = 3;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Measured requests that have ended.
    pub ended: usize,
    /// Measured requests.
    pub requests: usize,
}

impl Endpoint {
    /// The endpoint of a load's configuration; its speed and deadline hold, its SLO does not.
    pub fn new(config: &Config, settings: Settings, slo: Slo) -> Result<Self, MeasureError> {
        let sender = Arc::new(Sender::new(config)?);
        Ok(Self { sender, speed: config.speed, timeout: config.timeout, settings, slo })
    }

    /// Does one run. Cancelling `stop` breaks it off; `progress` is told about 20 times a second how far it is.
    pub async fn run(
        &self,
        ask: &Ask,
        stop: &CancellationToken,
        mut progress: impl FnMut(Position),
    ) -> Result<Run, MeasureError> {
        let run = async {
            if ask.rate == 0.0 {
                return self.alone(ask, &mut progress).await;
            }
            let run = self.loaded(ask, &mut progress).await;
            if run.stopped == Some(Stopped::Failed) || run.failed > 0 {
                self.settle(ask).await?;
            }
            Ok(run)
        };
        tokio::select! {
            run = run => run,
            () = stop.cancelled() => Err(MeasureError::Interrupted),
        }
    }

    /// One request after the other.
    async fn alone(&self, ask: &Ask, progress: &mut impl FnMut(Position)) -> Result<Run, MeasureError> {
        let begin = Instant::now();
        let mut watch = Watch::new(self.slo, *ask, ALONE - 1);
        let (mut tokens, mut failures) = (Tokens::default(), Vec::new());
        for at in 0..ALONE {
            let done = self.sender.send(arrival(ask.cell), Instant::now()).await;
            if let Some(Failure::Status(status @ (400 | 413 | 422))) = done.failure {
                return Ok(Run { refused: Some(format!("status {status}")), ..Run::empty(ask) });
            }
            failures.extend(done.failure);
            // A deadline is long: an engine that hangs need not prove it again.
            let hopeless = done.failure == Some(Failure::Timeout) || failures.len() * 2 > ALONE;
            if hopeless {
                return Err(unusable(ask.cell, &failures, at + 1));
            }
            tokens.take(&done);
            watch.set(at.checked_sub(1), self.state(&done, self.since(begin)));
            progress(Position { ended: watch.ended(), requests: ALONE - 1 });
        }
        Ok(tokens.into_run(watch.run(self.since(begin))))
    }

    /// Requests at a rate, open loop.
    async fn loaded(&self, ask: &Ask, progress: &mut impl FnMut(Position)) -> Run {
        let (warmup, count) = self.size(ask);
        let due = times(self.settings.spread, ask.rate, warmup + count, self.settings.seed + u64::from(ask.attempt));
        let firsts: Arc<[AtomicBool]> = due.iter().map(|_| AtomicBool::new(false)).collect();
        let mut watch = Watch::new(self.slo, *ask, count);
        let mut tokens = Tokens::default();
        let begin = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        // Dropping the set closes the connections of all requests that are under way.
        let mut under_way = JoinSet::new();
        let mut next = 0;
        loop {
            let at = due.get(next).map(|at| begin + Duration::from_secs_f64(at / self.speed));
            tokio::select! {
                biased;
                () = until(at) => {
                    under_way.spawn(self.send(next, ask.cell, at.unwrap_or(begin), Arc::clone(&firsts)));
                    watch.set(next.checked_sub(warmup), State::Under { due: due[next], first: false });
                    next += 1;
                }
                _ = looks.tick() => {
                    note_firsts(&mut watch, &due, &firsts, warmup, next);
                    let stopped = self.settings.early.then(|| watch.verdict(self.since(begin))).flatten();
                    progress(Position { ended: watch.ended(), requests: count });
                    if stopped.is_some() {
                        return tokens.into_run(Run { stopped, ..watch.run(self.since(begin)) });
                    }
                }
                Some(Ok((request, done))) = under_way.join_next() => {
                    tokens.take(&done);
                    watch.set(request.checked_sub(warmup), self.state(&done, due[request] + done.total * self.speed));
                }
            }
            if next == due.len() && under_way.is_empty() {
                return tokens.into_run(watch.run(self.since(begin)));
            }
        }
    }

    /// Requests of the warm-up and of the measurement. The warm-up lasts a tenth, and until the engine is as full as it will be.
    fn size(&self, ask: &Ask) -> (usize, usize) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float to integer cast saturates")]
        let whole = |requests: f64| requests.ceil() as usize;
        let count = whole(ask.rate * self.settings.seconds).max(self.settings.requests).clamp(1, MOST_REQUESTS);
        let filling = whole(1.5 * ask.rate * ask.alone.unwrap_or(0.0));
        (filling.max(count / 10).min(MOST_WARMUP), count)
    }

    fn send(
        &self,
        request: usize,
        cell: Cell,
        due: Instant,
        firsts: Arc<[AtomicBool]>,
    ) -> impl Future<Output = (usize, Done)> + Send + use<> {
        let sender = Arc::clone(&self.sender);
        async move {
            let first = || firsts[request].store(true, Ordering::Relaxed);
            (request, sender.send_watched(arrival(cell), due, first).await)
        }
    }

    /// Waits until the engine has dropped what a broken-off run left in it.
    async fn settle(&self, ask: &Ask) -> Result<(), MeasureError> {
        let alone = ask.alone.unwrap_or(self.timeout);
        let mut failures = Vec::new();
        for at in 0..SETTLING {
            let done = self.sender.send(arrival(ask.cell), Instant::now()).await;
            failures.extend(done.failure);
            if failures.len() >= GONE || done.failure == Some(Failure::Timeout) {
                return Err(unusable(ask.cell, &failures, at + 1));
            }
            if done.failure.is_none() && done.total * self.speed <= SETTLED * alone {
                return Ok(());
            }
        }
        Ok(())
    }

    fn state(&self, done: &Done, end: f64) -> State {
        let (None, Some(ttft)) = (done.failure, done.ttft) else { return State::Failed };
        let tpot = done.tpot.map(|tpot| tpot * self.speed);
        State::Done { end, ttft: ttft * self.speed, tpot, e2e: done.total * self.speed }
    }

    fn since(&self, begin: Instant) -> f64 {
        begin.elapsed().as_secs_f64() * self.speed
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn arrival(cell: Cell) -> Arrival {
    Arrival { at: 0.0, input_tokens: cell.input, output_tokens: cell.output, prefix_hit_tokens: 0 }
}

/// Tells the watch of the requests under way whose first token has come.
fn note_firsts(watch: &mut Watch, due: &[f64], firsts: &[AtomicBool], warmup: usize, sent: usize) {
    for request in warmup..sent {
        if firsts[request].load(Ordering::Relaxed) {
            watch.first(request - warmup, due[request]);
        }
    }
}

fn unusable(cell: Cell, failures: &[Failure], requests: usize) -> MeasureError {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for failure in failures {
        *kinds.entry(failure.to_string()).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    MeasureError::Unusable { cell, failed: failures.len(), requests, how: kinds.join(", ") }
}

/// Token counts of answered requests, and how late all were sent.
#[derive(Debug, Default)]
struct Tokens {
    answered: u64,
    prompts: Option<u64>,
    answers: u64,
    late: Vec<f64>,
}

impl Tokens {
    fn take(&mut self, done: &Done) {
        self.late.push(done.late);
        if done.failure.is_none() {
            self.answered += 1;
            self.prompts = done.prompt_tokens.map(|tokens| self.prompts.unwrap_or(0) + tokens);
            self.answers += done.output_tokens;
        }
    }

    fn into_run(self, run: Run) -> Run {
        let mean = |tokens: u64| (self.answered > 0).then(|| tokens as f64 / self.answered as f64);
        let late = crate::stats::Stat::of(&self.late).map_or(0.0, |stat| stat.p99);
        Run { input_tokens: self.prompts.and_then(mean), output_tokens: mean(self.answers), late, ..run }
    }
}
