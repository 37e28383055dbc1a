//! A prefill and a decode group in the local world: where one may not have what it wants, the other does not grow past it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

mod common;

use common::http::Crowd;
use common::manifest::Group;
use common::world::{World, is};
use serde_json::Value;

/// A group's manifest with its role; a world is in the first one's alone.
fn role(group: &Group, role: &str, first: bool) -> String {
    let strategy = format!("  scalingStrategy: {}\n", group.strategy);
    let with_role = format!("{strategy}  coordination: {{ group: chat, role: {role} }}\n");
    let manifest = group.manifest().replace(&strategy, &with_role);
    if first { manifest } else { manifest.split_once("---\n").unwrap().1.to_owned() }
}

fn limited<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    let trail = line["trail"].as_array().filter(|_| is(line, "decision", name))?;
    trail.iter().find(|step| step["rule"] == "partner-limited")?["detail"].as_str()
}

#[test]
fn decode_does_not_grow_past_a_prefill_that_may_not_and_grows_once_that_wants_no_more() {
    let (prefill, decode) = (Group::new("APA", 1, 1), Group::new("APA", 1, 3));
    let manifest = format!("{}---\n{}", role(&prefill, "prefill", true), role(&decode, "decode", false));
    let mut world = World::start(&manifest, &[]);
    world.wait_for_ready(&prefill.name, 1);
    world.wait_for_ready(&decode.name, 1);
    let reading = Crowd::start(&world.gateway, &prefill.name, 10, 100);
    // It has its say before the other one asks.
    world.wait_for("a prefill that wants more", |line| {
        is(line, "decision", &prefill.name) && line["recommendation"].as_u64() > Some(1)
    });
    let writing = Crowd::start(&world.gateway, &decode.name, 10, 100);
    let held = world.wait_for("a decode that is held", |line| limited(line, &decode.name).is_some());
    assert!(limited(&held, &decode.name).unwrap().contains("prefill of chat has 1 of the"), "{held}");
    assert_eq!(held["desired"], 1, "{held}");
    let read = reading.end();
    world.wait_for_ready(&decode.name, 3);
    let written = writing.end();
    world.terminate().answered(read + written);
}
