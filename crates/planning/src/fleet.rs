//! A few replicas of an engine model in virtual time, under Poisson arrivals of given sizes: what share of requests misses the SLO.

use crate::settings::Objective;
use crate::sizes::Size;
use engine_model::{Engine, Event, EventKind, Request, Time};

/// A generator of shares between 0 and 1 that is the same everywhere (Knuth's MMIX constants, upper bits).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Above 0, below 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64 + 0.5) / (1_u64 << 31) as f64
    }
}

/// Requests at the beginning that only fill the engines, as a share.
const WARMUP: usize = 10;

/// The share of `count` requests of `sizes`, at `rate` a second on `replicas` replicas, that misses.
pub(crate) fn misses(
    mould: &Engine,
    objective: &Objective,
    replicas: u32,
    rate: f64,
    sizes: &[Size],
    count: usize,
) -> f64 {
    let mut random = Random::new(7);
    let mut engines: Vec<(Engine, u64)> = (0..replicas.max(1)).map(|_| (mould.replica(), 0)).collect();
    let (mut at, mut turn) = (0.0, 0);
    let mut arrived = Vec::with_capacity(count);
    let (mut ended, mut missed) = (0_u64, 0_u64);
    let from = count / WARMUP;
    let mut end = |event: Event, arrived: &[f64], open: &mut u64| {
        let EventKind::Finished(done) = event.kind else { return };
        *open = open.saturating_sub(1);
        let Some(index) = usize::try_from(event.id).ok().filter(|index| *index >= from) else { return };
        let Some(came) = arrived.get(index) else { return };
        let tpot = (sizes[pick(index, sizes.len())].1 > 1).then(|| done.tpot().as_secs_f64());
        let kept = objective.kept(done.first_token.as_secs_f64() - came, tpot, event.at.as_secs_f64() - came);
        ended += 1;
        missed += u64::from(!kept);
    };
    for index in 0..count {
        at -= random.share().ln() / rate.max(1e-9);
        let now = Time::from_secs_f64(at);
        arrived.push(at);
        for (engine, open) in &mut engines {
            if engine.next_event().is_some_and(|next| next <= now) {
                engine.advance(now, &mut |event| end(event, &arrived, open));
            }
        }
        turn = (turn + 1) % engines.len();
        let order = (0..engines.len()).map(|step| (turn + step) % engines.len());
        let Some(least) = order.min_by_key(|at| engines[*at].1) else { continue };
        let (input_tokens, output_tokens) = sizes[pick(index, sizes.len())];
        let request = Request { id: index as u64, input_tokens, output_tokens, prefix_hit_tokens: 0 };
        if engines[least].0.submit(now, request).is_ok() {
            engines[least].1 += 1;
        }
    }
    // What is still inside would have ended as the others did, so it is not waited for.
    if ended == 0 { 1.0 } else { missed as f64 / ended as f64 }
}

/// Which size a request has: a stride that is prime to any sample's length below it visits all of them in a mixed order.
fn pick(index: usize, sizes: usize) -> usize {
    index.wrapping_mul(1_000_003) % sizes.max(1)
}
