//! The engine model on a real clock, and who waits for which tokens.
//!
//! One task lets the model's time follow the wall's: it sleeps to the model's next event, advances, and tells each
//! request how many tokens it has by now. A request is told through a `watch`, which holds the latest count only, so
//! a slow reader costs no memory and simply gets several tokens at once.

use crate::metrics::Metrics;
use engine_model::{
    Counters, Engine, EngineSpec, Event, EventKind, Gauges, Iteration, Rejected, Request, Sink, Ticket, Time,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How far a request has come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// Tokens generated.
    pub(crate) tokens: u32,
    /// Set with the last change.
    pub(crate) end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All tokens asked for.
    Length,
    /// Cut short because the engine stops.
    Aborted,
}

/// The engine, shared by the pacing task and the handlers.
#[derive(Debug)]
pub(crate) struct Core {
    state: Mutex<State>,
    /// Work for an engine that had none.
    work: Notify,
    /// The last request has left.
    empty: Notify,
    began: Instant,
    speed: f64,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    metrics: Metrics,
    live: HashMap<u64, Live>,
    next_id: u64,
}

#[derive(Debug)]
struct Live {
    ticket: Option<Ticket>,
    progress: watch::Sender<Progress>,
    /// Whether every token is news, or only the end.
    streams: bool,
    arrival: Time,
    last_token: Time,
    tokens: u32,
}

/// What a scrape sees.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) gauges: Gauges,
    pub(crate) counters: Counters,
    pub(crate) metrics: Metrics,
}

/// A request in the engine. Dropping it before its end cancels it, which is how a client's disconnection gets there.
#[derive(Debug)]
pub(crate) struct Running {
    core: Arc<Core>,
    id: u64,
    pub(crate) progress: watch::Receiver<Progress>,
}

impl Core {
    pub(crate) fn new(spec: &EngineSpec, speed: f64) -> Result<Self, engine_model::SpecError> {
        Ok(Self {
            state: Mutex::new(State {
                engine: Engine::new(spec)?,
                metrics: Metrics::new(spec.max_model_len),
                live: HashMap::new(),
                next_id: 0,
            }),
            work: Notify::new(),
            empty: Notify::new(),
            began: Instant::now(),
            speed,
        })
    }

    /// Follows the wall clock; never returns.
    pub(crate) async fn pace(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                state.advance(self.now());
                if state.live.is_empty() {
                    self.empty.notify_waiters();
                }
                state.engine.next_event()
            };
            match next {
                None => self.work.notified().await,
                Some(at) => tokio::time::sleep_until(self.wall(at)).await,
            }
        }
    }

    /// Hands a request to the engine, now.
    pub(crate) fn submit(self: &Arc<Self>, request: Request, streams: bool) -> Result<Running, Rejected> {
        let mut state = self.lock();
        state.advance(self.now());
        let idle = state.engine.is_idle();
        let id = state.next_id;
        let arrival = state.engine.now();
        let submitted = state.engine.submit(arrival, Request { id, ..request });
        if matches!(submitted, Err(Rejected::QueueFull { .. })) {
            state.metrics.rejected_queue_full += 1;
        }
        let ticket = Some(submitted?);
        state.next_id += 1;
        let (sender, progress) = watch::channel(Progress::default());
        let live = Live { ticket, progress: sender, streams, arrival, last_token: arrival, tokens: 0 };
        state.live.insert(id, live);
        drop(state);
        if idle {
            self.work.notify_one();
        }
        Ok(Running { core: Arc::clone(self), id, progress })
    }

    /// The page's contents as of now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut state = self.lock();
        state.advance(self.now());
        Snapshot { gauges: state.engine.gauges(), counters: state.engine.counters(), metrics: state.metrics.clone() }
    }

    /// Returns once no request is in the engine.
    pub(crate) async fn until_empty(&self) {
        loop {
            let emptied = self.empty.notified();
            tokio::pin!(emptied);
            // Listen before looking, so that an end in between is not missed.
            emptied.as_mut().enable();
            if self.lock().live.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Cuts every request short.
    pub(crate) fn abort_all(&self) {
        let mut state = self.lock();
        state.advance(self.now());
        let State { engine, metrics, live, .. } = &mut *state;
        for (_, live) in live.drain() {
            live.ticket.map(|ticket| engine.cancel(ticket));
            metrics.finished_abort += 1;
            live.progress.send_modify(|progress| progress.end = Some(End::Aborted));
        }
        self.empty.notify_waiters();
    }

    fn cancel(&self, id: u64) {
        let mut state = self.lock();
        state.advance(self.now());
        if let Some(live) = state.live.remove(&id) {
            live.ticket.map(|ticket| state.engine.cancel(ticket));
            state.metrics.finished_abort += 1;
        }
        if state.live.is_empty() {
            self.empty.notify_waiters();
        }
    }

    fn now(&self) -> Time {
        Time::from_secs_f64(self.began.elapsed().as_secs_f64() * self.speed)
    }

    fn wall(&self, at: Time) -> Instant {
        self.began + std::time::Duration::from_secs_f64(at.as_secs_f64() / self.speed)
    }

    /// A panic elsewhere leaves counters half a request behind at worst, so a poisoned lock is taken.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.progress.borrow().end.is_none() {
            self.core.cancel(self.id);
        }
    }
}

impl State {
    fn advance(&mut self, to: Time) {
        self.engine.advance(to, &mut Told { live: &mut self.live, metrics: &mut self.metrics });
    }
}

/// Turns the model's events into news and metrics.
struct Told<'a> {
    live: &'a mut HashMap<u64, Live>,
    metrics: &'a mut Metrics,
}

impl Sink for Told<'_> {
    const EACH_ITERATION: bool = true;

    fn event(&mut self, event: Event) {
        match event.kind {
            EventKind::FirstToken => {
                if let Some(live) = self.live.get_mut(&event.id) {
                    self.metrics.ttft.observe(event.at.since(live.arrival).as_secs_f64());
                    live.gained(1, event.at);
                }
            }
            EventKind::Tokens(count) => {
                if let Some(live) = self.live.get_mut(&event.id) {
                    self.metrics.inter_token.observe(event.at.since(live.last_token).as_secs_f64());
                    live.gained(count, event.at);
                }
            }
            EventKind::Finished(done) => {
                self.metrics.finished(&done);
                if let Some(live) = self.live.remove(&event.id) {
                    live.progress.send_replace(Progress { tokens: live.tokens, end: Some(End::Length) });
                }
            }
            EventKind::Admitted | EventKind::Preempted => {}
        }
    }

    fn iteration(&mut self, iteration: Iteration) {
        self.metrics.iteration(&iteration);
    }
}

impl Live {
    fn gained(&mut self, count: u32, at: Time) {
        self.tokens += count;
        self.last_token = at;
        let tokens = self.tokens;
        self.progress.send_if_modified(|progress| {
            progress.tokens = tokens;
            self.streams
        });
    }
}
