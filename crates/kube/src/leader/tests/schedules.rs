//! Any schedule of failures: never two leaders, and one again once the failures have ended.

use super::server::{Fate, PROMPT, Server};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Fates of the requests of one contender, in their order; after them all is well.
fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let millis = |most: u64| (0..most).prop_map(Duration::from_millis);
    let fate = prop_oneof![
        3 => Just(PROMPT),
        2 => (millis(8_000), millis(8_000)).prop_map(|(there, back)| Fate::Slow(there, back)),
        2 => Just(Fate::Lost),
        // Some arrive long after their caller has given up.
        2 => millis(40_000).prop_map(Fate::Unanswered),
        1 => proptest::sample::select(vec![403, 409, 410, 429, 500, 503]).prop_map(Fate::Refused),
    ];
    vec(fate, 0..40)
}

/// One contender: its fates, when it starts, its wall clock, and when it releases, if it does.
fn contenders() -> impl Strategy<Value = Vec<(Vec<Fate>, u64, usize, Option<u64>)>> {
    vec((fates(), 0_u64..20_000, 0..WALLS.len(), proptest::option::weighted(0.2, 0_u64..90_000)), 2..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_of_failures_makes_two_leaders(plan in contenders(), tight in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(plan, tight));
    }
}

async fn play(plan: Vec<(Vec<Fate>, u64, usize, Option<u64>)>, tight: bool) {
    let server = Server::default();
    let mut contenders = Vec::new();
    let mut releases = tokio::task::JoinSet::new();
    let enduring = plan.iter().filter(|(.., release)| release.is_none()).count();
    for (number, (fates, starts, wall, release)) in plan.into_iter().enumerate() {
        let wire = server.wire();
        let mut fates = fates.into_iter();
        wire.script(move || fates.next().unwrap_or(PROMPT));
        watch_over(&contenders.iter().collect::<Vec<_>>(), Duration::from_millis(starts)).await;
        let mut options = options(&format!("c{number}"));
        if tight {
            options.renew_deadline = options.duration.saturating_sub(Duration::from_millis(100));
        }
        let contender = Leadership::contend_at(wire.client(), options, WALLS[wall]).unwrap();
        contenders.push(contender.clone());
        if let Some(release) = release {
            releases.spawn(async move {
                sleep(Duration::from_millis(release)).await;
                contender.release().await;
            });
        }
    }
    let all: Vec<&Leadership> = contenders.iter().collect();
    watch_over(&all, secs(400)).await;
    // 40 requests of at most 14.9 s / 2 each, and two durations: by now all is well.
    let settled = watch_over(&all, secs(60)).await;
    assert!(enduring == 0 || settled.is_some(), "nobody leads although all is well");
}
