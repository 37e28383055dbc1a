//! Zero: requests wake a group that has no replica, and it goes back to sleep when nobody asks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::http::Batch;
use common::manifest::Group;
use common::world::{World, is};

/// Requests come twice to a group at zero; in between nobody asks.
fn wakes_and_sleeps(strategy: &'static str) {
    let group = Group::new(strategy, 0, 2);
    let mut world = World::start(&group.manifest(), &[]);
    world.wait_for_ready(&group.name, 0);
    for _ in 0..2 {
        Batch::start(&world.gateway, &group.name, 4, 20).end(20);
        world.wait_for("a ready replica", |line| is(line, "state", &group.name) && line["ready"] != 0);
        world.wait_for_ready(&group.name, 0);
    }
    world.terminate().answered(8);
}

#[test]
fn apa_holds_requests_at_zero_answers_them_and_goes_back_to_zero() {
    wakes_and_sleeps("APA");
}

#[test]
fn kpa_holds_requests_at_zero_answers_them_and_goes_back_to_zero() {
    wakes_and_sleeps("KPA");
}
