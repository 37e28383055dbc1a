//! The service against a real Redis, with traces and profiles as AIBrix's gateway and tools write them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Redis, START, World, config, profile, trace};
use serde_json::{Value, json};

async fn profiles(redis: &Redis) {
    redis.set("aibrix:profile_llama_a100", &profile("a100", 1.0, 10.0, 1.0)).await;
    redis.set("aibrix:profile_llama_a40", &profile("a40", 0.3, 2.0, 1.0)).await;
}

/// The model's load, as the API shows it.
async fn rate(world: &World) -> f64 {
    world.json("/api/v1/models/llama").await["load"]["rate"].as_f64().unwrap()
}

macro_rules! redis {
    () => {{
        let Some(redis) = Redis::start().await else { return };
        redis
    }};
}

#[tokio::test]
async fn the_first_look_reads_all_living_traces_and_plans_whole_replicas_for_the_true_rate() {
    let redis = redis!();
    profiles(&redis).await;
    for tick in (START - 300..=START).step_by(10) {
        redis.trace("llama", tick, 105).await;
    }
    let world = World::new(&config(Some(&redis)));
    assert_eq!(world.hundredths("ml/a100").await, Some(200), "before the first turn what there is is held");
    world.turn("llama", START).await;
    // Not 100 requests/s at the first look, which AIBrix reads.
    assert!((rate(&world).await - 10.5).abs() < 0.2, "{}", rate(&world).await);
    assert_eq!((world.hundredths("ml/a100").await, world.hundredths("ml/a40").await), (Some(100), Some(100)));
    let model = world.json("/api/v1/models/llama").await;
    assert_eq!((&model["state"], &model["plan"]["status"]), (&json!("planned"), &json!("optimal")));
    assert!(model["plan"]["sizes"][0]["why"].as_str().unwrap().contains("shared"), "{model}");
}

#[tokio::test]
async fn one_tick_alone_is_read_as_its_own_rate() {
    let redis = redis!();
    profiles(&redis).await;
    redis.trace("llama", START, 100).await;
    let world = World::new(&config(Some(&redis)));
    world.turn("llama", START).await;
    assert!((rate(&world).await - 10.0).abs() < 0.5, "{}", rate(&world).await);
}

#[tokio::test]
async fn all_four_versions_are_read() {
    let redis = redis!();
    profiles(&redis).await;
    let meta = json!({"meta_v": 3, "meta_interval_sec": 10, "meta_precision": 10, "meta_total_reqs": 60,
        "meta_pending_reqs": 3, "80:70": 55});
    let mut second = meta.clone();
    second["meta_v"] = json!(2);
    second["80:70"] = json!(60);
    for key in ["meta_total_reqs", "meta_pending_reqs"] {
        second.as_object_mut().unwrap().remove(key);
    }
    for (back, text) in [(30, json!({"8:7": 60})), (20, second), (10, meta)] {
        redis.set(&format!("aibrix:llama_request_trace_{}", START - back), &text.to_string()).await;
    }
    redis.trace("llama", START, 60).await;
    let world = World::new(&config(Some(&redis)));
    world.turn("llama", START).await;
    let model = world.json("/api/v1/models/llama").await;
    assert!((rate(&world).await - 6.0).abs() < 0.3, "{model}");
    assert_eq!(model["troubles"], json!({}));
    assert_eq!(model["load"]["sizes"].as_array().unwrap().len(), 1, "256 and 128 tokens in all of them: {model}");
}

#[tokio::test]
async fn an_outage_holds_and_missed_ticks_are_read_afterwards() {
    let mut redis = redis!();
    profiles(&redis).await;
    redis.trace("llama", START, 105).await;
    let world = World::new(&config(Some(&redis)));
    world.turn("llama", START).await;
    let planned = (world.hundredths("ml/a100").await, world.hundredths("ml/a40").await);
    let port = redis.port;
    redis.stop();
    for tick in (START + 10..=START + 120).step_by(10) {
        world.turn("llama", tick).await;
        assert_eq!((world.hundredths("ml/a100").await, world.hundredths("ml/a40").await), planned, "never zero");
    }
    let model = world.json("/api/v1/models/llama").await;
    assert!(model["troubles"]["redis"]["message"].is_string(), "{model}");
    assert!(model["reason"].as_str().unwrap().contains("122 s old"), "{model}");
    // Told with its age, and in the metrics.
    assert!(world.get("/metrics").await.contains("gpu_optimizer_held{model_name=\"llama\"} 1"));
    let redis = Redis::start_at(port).await.unwrap();
    profiles(&redis).await;
    for tick in (START + 10..=START + 130).step_by(10) {
        redis.trace("llama", tick, 300).await;
    }
    world.turn("llama", START + 130).await;
    let model = world.json("/api/v1/models/llama").await;
    assert_eq!((&model["state"], &model["troubles"]), (&json!("planned"), &json!({})), "{model}");
    assert_eq!(world.hundredths("ml/a100").await, Some(300), "thirteen ticks of 30 requests/s: {model}");
}

#[tokio::test]
async fn a_gateway_that_writes_nothing_for_a_while_is_not_a_load_of_zero_and_for_long_is() {
    let redis = redis!();
    profiles(&redis).await;
    for tick in (START - 100..=START).step_by(10) {
        redis.trace("llama", tick, 100).await;
    }
    let world = World::new(&config(Some(&redis)));
    let mut seen = Vec::new();
    for tick in (START..=START + 320).step_by(10) {
        world.turn("llama", tick).await;
        seen.push((tick - START, world.hundredths("ml/a100").await.unwrap()));
    }
    assert!(seen.iter().all(|(at, value)| if *at < 300 { *value == 100 } else { *value == 0 }), "{seen:?}");
    // And back with the first requests.
    redis.trace("llama", START + 330, 200).await;
    world.turn("llama", START + 330).await;
    assert!(world.hundredths("ml/a100").await >= Some(100), "{}", world.json("/api/v1/models/llama").await);
}

#[tokio::test]
async fn names_that_begin_alike_or_have_a_patterns_characters_are_kept_apart() {
    let redis = redis!();
    let mut config = config(Some(&redis));
    let mut models = Vec::new();
    for (name, deployment) in [("llama", "a"), ("llama_2", "b"), ("ll*[a]?", "c")] {
        models.push(json!({"name": name, "deployments": [{"namespace": "ml", "name": deployment}]}));
        redis.set(&format!("aibrix:profile_{name}_{deployment}"), &profile(deployment, 1.0, 10.0, 1.0)).await;
    }
    // Of the model llama_2, whatever else its name says.
    redis.set("aibrix:profile_llama_2_b", &profile("b", 1.0, 5.0, 2.0)).await;
    redis.trace("llama_2", START, 400).await;
    redis.trace("ll*[a]?", START, 100).await;
    config["models"] = Value::Array(models);
    let world = World::new(&config);
    for name in ["llama", "llama_2", "ll*[a]?"] {
        world.turn(name, START).await;
    }
    assert_eq!(world.hundredths("ml/a").await, None, "no load is known of it");
    assert_eq!((world.hundredths("ml/b").await, world.hundredths("ml/c").await), (Some(800), Some(100)));
}

#[tokio::test]
async fn newer_profiles_win_and_shapes_may_differ() {
    let redis = redis!();
    redis.set("aibrix:profile_llama_a100", &profile("a100", 1.0, 10.0, 5.0)).await;
    let other = json!({"gpu": "a40", "cost": 0.9, "tputs": [[4.0]], "indexes": [[128], [256]], "created": 1});
    redis.set("aibrix:profile_llama_a40", &other.to_string()).await;
    redis.trace("llama", START, 200).await;
    let world = World::new(&config(Some(&redis)));
    world.turn("llama", START).await;
    assert_eq!((world.hundredths("ml/a100").await, world.hundredths("ml/a40").await), (Some(200), Some(0)));
    // An older one is not taken, a newer one is, at once where it is asked for.
    redis.set("aibrix:profile_llama_a100", &profile("a100", 1.0, 1.0, 4.0)).await;
    redis.set("aibrix:profile_llama_a40", &profile("a40", 0.1, 20.0, 6.0)).await;
    let (_, text) = world.call("GET", "/update_profile/llama", "").await;
    assert_eq!(text, "{\"message\":\"workload profile of llama updated\"}");
    redis.trace("llama", START + 10, 200).await;
    world.turn("llama", START + 10).await;
    assert_eq!((world.hundredths("ml/a100").await, world.hundredths("ml/a40").await), (Some(0), Some(200)));
    redis.set("aibrix:profile_llama_a40", "{\"gpu\": \"a40\"}").await;
    let (status, text) = world.call("GET", "/update_profile/llama", "").await;
    assert_eq!((status.as_u16(), text.as_str()), (500, "{\"error\":\"failed to update workload profile of llama\"}"));
    let model = world.json("/api/v1/models/llama").await;
    assert!(model["troubles"]["aibrix:profile_llama_a40"]["message"].as_str().unwrap().contains("cost"), "{model}");
}

#[tokio::test]
async fn a_stationary_load_gives_a_steady_recommendation() {
    let redis = redis!();
    profiles(&redis).await;
    let world = World::new(&config(Some(&redis)));
    let mut seen = Vec::new();
    // 10 requests/s on average, which fill one replica exactly, with the noise of a Poisson process (a standard deviation of 10).
    let noise = [3_i64, -8, 12, -4, 9, -13, 1, 6, -11, 15, -2, 4, -7, 10, -16, 8, 0, -5, 13, -9];
    for turn in 0..120 {
        let tick = START + turn * 10;
        let arrived = 100 + noise[usize::try_from(turn).unwrap() % noise.len()];
        redis.trace("llama", tick, u64::try_from(arrived).unwrap()).await;
        world.turn("llama", tick).await;
        seen.push((world.hundredths("ml/a100").await.unwrap(), world.hundredths("ml/a40").await.unwrap()));
    }
    seen.dedup();
    assert!(seen.len() <= 2, "at most one change in twenty minutes: {seen:?}");
}

#[tokio::test]
async fn a_step_is_followed_within_three_ticks() {
    let redis = redis!();
    profiles(&redis).await;
    let world = World::new(&config(Some(&redis)));
    for turn in 0..30 {
        redis.trace("llama", START + turn * 10, 95).await;
        world.turn("llama", START + turn * 10).await;
    }
    assert_eq!(world.hundredths("ml/a100").await, Some(100));
    for turn in 30..33 {
        redis.trace("llama", START + turn * 10, 380).await;
        world.turn("llama", START + turn * 10).await;
    }
    assert!(world.hundredths("ml/a100").await >= Some(300), "38 requests/s need four: {}", rate(&world).await);
}

#[tokio::test]
async fn several_gateways_that_write_one_key_are_added_up_as_far_as_they_are_seen() {
    let redis = redis!();
    profiles(&redis).await;
    let world = World::new(&config(Some(&redis)));
    for requests in [30, 50, 70] {
        redis.trace("llama", START, requests).await;
        world.optimizer.glance("llama", START as f64 + 0.5).await;
    }
    world.turn("llama", START).await;
    assert!((rate(&world).await - 15.0).abs() < 0.5, "{}", rate(&world).await);
}

#[tokio::test]
async fn gateways_with_keys_of_their_own_are_added_up() {
    let redis = redis!();
    profiles(&redis).await;
    let mut config = config(Some(&redis));
    config["redis"]["writers"] = json!(["gateway-0", "gateway-1"]);
    redis.trace("llama", START, 50).await;
    for writer in ["gateway-0", "gateway-1", "gateway-2"] {
        redis.set(&format!("aibrix:llama_request_trace_{START}.{writer}"), &trace(100)).await;
    }
    let world = World::new(&config);
    world.turn("llama", START).await;
    assert!((rate(&world).await - 25.0).abs() < 0.5, "{}", rate(&world).await);
}

#[tokio::test]
async fn odd_values_are_told_and_the_others_count() {
    let redis = redis!();
    profiles(&redis).await;
    redis.set(&format!("aibrix:llama_request_trace_{}", START - 10), "{\"80:70\": -1}").await;
    redis.trace("llama", START, 105).await;
    let world = World::new(&config(Some(&redis)));
    world.turn("llama", START).await;
    let model = world.json("/api/v1/models/llama").await;
    assert_eq!(model["state"], "planned");
    assert!(model["troubles"]["traces"]["message"].as_str().unwrap().contains("80:70"), "{model}");
    // A value that is too large is cut off, and no JSON then.
    redis
        .set(&format!("aibrix:llama_request_trace_{}", START + 10), &format!("{}{}", trace(5), " ".repeat(2 << 20)))
        .await;
    world.turn("llama", START + 10).await;
    assert_eq!(world.hundredths("ml/a100").await, Some(100));
}
