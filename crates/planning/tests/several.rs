//! Several targets of one model: what is planned for each.

#![allow(clippy::unwrap_used, reason = "all of it is test code")]

mod common;

use autoscaler_planning::Settings;
use common::{World, objective, profile, settings, short_profile, target, total};

const HOUR: f64 = 3600.0;
const CHATS: [(f64, f64); 2] = [(900.0, 150.0), (300.0, 60.0)];
const MIXED: [(f64, f64); 3] = [(900.0, 150.0), (300.0, 60.0), (8000.0, 100.0)];

/// A cheap type for prompts up to 2000 tokens, and a dear one for all.
fn two(small_cost: f64, large_cost: f64) -> Settings {
    let mut targets =
        vec![target("small", small_cost, short_profile(2.0, 2000.0)), target("large", large_cost, profile(4.0))];
    (targets[0].min, targets[1].min) = (0, 0);
    let mut settings = Settings::new(objective(), targets);
    settings.horizon = Some(60.0);
    settings
}

#[test]
fn the_cheaper_type_is_used_where_it_serves() {
    for (small, large, cheap, dear) in [(1.0, 20.0, "small", "large"), (20.0, 1.0, "large", "small")] {
        let mut world = World::new(two(small, large)).of_sizes(&CHATS);
        let plan = world.steady(Some(8.0), HOUR).unwrap();
        assert!(plan.replicas[cheap] > 1 && plan.replicas[dear] == 0, "{plan:?}");
    }
}

#[test]
fn sizes_that_one_type_cannot_serve_get_the_other() {
    let settings = Settings { routes_by_size: true, ..two(1.0, 20.0) };
    let mut world = World::new(settings).of_sizes(&MIXED);
    let plan = world.steady(Some(8.0), HOUR).unwrap();
    assert!(plan.replicas["large"] >= 1 && plan.replicas["small"] >= 1, "{plan:?}");
    let mut large = two(1.0, 20.0);
    large.targets.remove(0);
    let alone = World::new(large).of_sizes(&MIXED).steady(Some(8.0), HOUR).unwrap();
    assert!(plan.replicas["large"] < alone.replicas["large"], "chats are two thirds: {plan:?}, and alone {alone:?}");
}

#[test]
fn a_size_that_nobody_serves_does_not_stop_the_rest() {
    let mut settings = two(1.0, 3.0);
    settings.targets[1].knowledge = short_profile(4.0, 4000.0);
    let mut world = World::new(settings).of_sizes(&[(900.0, 150.0), (300.0, 60.0), (100_000.0, 100.0)]);
    let few = total(&world.steady(Some(1.0), HOUR).unwrap());
    let many = total(&world.steady(Some(12.0), HOUR).unwrap());
    assert!(many > few, "{few} then {many}");
}

#[test]
fn caps_hold_and_what_lies_beyond_goes_to_the_dearer_type() {
    let mut settings = two(1.0, 20.0);
    settings.targets[0].max = 3;
    let mut world = World::new(settings).of_sizes(&CHATS);
    let plan = world.steady(Some(12.0), HOUR).unwrap();
    assert!((1..=3).contains(&plan.replicas["small"]), "{plan:?}");
    assert!(plan.replicas["large"] >= 1, "{plan:?}");
}

#[test]
fn floors_hold_where_nothing_is_needed() {
    let mut settings = two(1.0, 20.0);
    (settings.targets[0].min, settings.targets[1].min) = (1, 2);
    let mut world = World::new(settings).of_sizes(&CHATS);
    let plan = world.steady(Some(0.1), HOUR).unwrap();
    assert_eq!((plan.replicas["small"], plan.replicas["large"]), (1, 2), "{plan:?}");
}

#[test]
fn a_type_of_which_nothing_is_known_is_held_and_not_let_go() {
    let mut settings = two(1.0, 20.0);
    settings.targets[1].knowledge = profile(0.0);
    let mut world = World::new(settings).of_sizes(&CHATS);
    world.counts = vec![0, 4];
    let plan = world.steady(Some(4.0), 600.0).unwrap();
    assert_eq!(plan.replicas["large"], 4, "{plan:?}");
    assert!(plan.replicas["small"] >= 2, "{plan:?}");
}

#[test]
fn a_lull_of_seconds_lets_several_types_go_no_more_than_one() {
    let mut alone = two(1.0, 20.0);
    alone.targets.truncate(1);
    let counts = [alone, two(1.0, 20.0)].map(|settings| {
        let mut world = World::new(settings).of_sizes(&CHATS);
        world.steady(Some(10.0), 4.0 * HOUR);
        // Longer than a start-up, so that what was asked for before is not what is seen.
        total(&world.steady(Some(1.0), 90.0).unwrap())
    });
    assert!(counts[1] >= counts[0], "{counts:?}");
}

#[test]
fn several_types_that_are_alike_come_to_what_one_comes_to() {
    let one = World::new(settings()).steady(Some(10.0), HOUR).unwrap();
    let mut both = settings();
    both.targets.push(target("two", 1.0, profile(2.0)));
    (both.targets[0].min, both.targets[1].min) = (0, 0);
    let plan = World::new(both).steady(Some(10.0), HOUR).unwrap();
    assert!(total(&plan).abs_diff(total(&one)) <= 1, "{plan:?} and {one:?}");
}
