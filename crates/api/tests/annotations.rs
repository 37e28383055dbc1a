//! Every annotation of the reference by name: AIBrix's live keys, its dead ones, misplaced and unknown ones, and ours.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::resolved::RulesFrom;
use autoscaler_api::v1alpha1::{PolicyType, SelectPolicy};
use common::{annotation_path, check, resolved, said, with_annotations, with_spec};
use serde_json::{Value, json};
use std::time::Duration;

const P: &str = "autoscaling.aibrix.ai";

fn one(strategy: &str, key: &str, value: &str) -> Value {
    with_annotations(strategy, json!({key: value}))
}

/// The setting with a usable value, then with each unusable one: a warning that says so, and the default.
fn number_key(strategy: &str, key: &str, read: impl Fn(&Value) -> Option<f64>, unusable: &[&str]) {
    assert_eq!(read(&one(strategy, key, "3.5")), Some(3.5));
    assert_eq!(read(&one(strategy, key, "0x1p2")), Some(4.0), "Go's float syntax");
    for text in unusable.iter().chain(&["", "abc", "NaN", "Inf"]) {
        let manifest = one(strategy, key, text);
        assert_eq!(read(&manifest), None, "{key}={text}");
        let said = said(&manifest, &annotation_path(key));
        assert!(said.len() == 1 && said[0].contains("the default is used"), "{key}={text}: {said:?}");
    }
}

fn duration_key(strategy: &str, key: &str, read: impl Fn(&Value) -> Option<Duration>) {
    assert_eq!(read(&one(strategy, key, "1h30m")), Some(Duration::from_secs(5400)));
    assert_eq!(read(&one(strategy, key, "1.5s")), Some(Duration::from_millis(1500)));
    assert_eq!(read(&one(strategy, key, "0")), Some(Duration::ZERO));
    for text in ["-5s", "300", "", "soon", "1d"] {
        let manifest = one(strategy, key, text);
        assert_eq!(read(&manifest), None, "{key}={text}");
        assert!(said(&manifest, &annotation_path(key))[0].contains("the default is used"), "{key}={text}");
    }
    let long = one(strategy, key, "1000h");
    assert_eq!(read(&long), Some(Duration::from_secs(86_400)), "what it keeps in memory is bounded");
    assert!(said(&long, &annotation_path(key))[0].contains("held to 24h"));
}

#[test]
fn max_scale_up_rate() {
    number_key("KPA", &format!("{P}/max-scale-up-rate"), |m| resolved(m).max_scale_up_rate, &["0", "0.5", "-1"]);
    let never = one("APA", &format!("{P}/max-scale-up-rate"), "1");
    assert_eq!(resolved(&never).max_scale_up_rate, Some(1.0));
    assert!(said(&never, &annotation_path(&format!("{P}/max-scale-up-rate")))[0].contains("never scales up"));
}

#[test]
fn max_scale_down_rate() {
    number_key("APA", &format!("{P}/max-scale-down-rate"), |m| resolved(m).max_scale_down_rate, &["0", "0.5", "-1"]);
}

#[test]
fn scale_up_tolerance() {
    number_key("KPA", &format!("{P}/scale-up-tolerance"), |m| resolved(m).tolerance_up, &["-0.1"]);
}

#[test]
fn scale_down_tolerance() {
    number_key("APA", &format!("{P}/scale-down-tolerance"), |m| resolved(m).tolerance_down, &["-0.1"]);
}

#[test]
fn tolerances_do_not_reach_hpa_and_that_is_said() {
    let key = format!("{P}/scale-up-tolerance");
    let manifest = one("HPA", &key, "0.5");
    assert_eq!(resolved(&manifest).tolerance_up, None);
    assert_eq!(said(&manifest, &annotation_path(&key)), ["has no effect with scalingStrategy HPA"]);
}

#[test]
fn tolerances_and_rates_do_not_reach_the_optimizer_and_that_is_said() {
    for suffix in ["scale-up-tolerance", "scale-down-tolerance", "max-scale-up-rate", "max-scale-down-rate"] {
        let key = format!("{P}/{suffix}");
        let said_under = |strategy: &str| said(&one(strategy, &key, "3"), &annotation_path(&key));
        assert_eq!(said_under("Optimizer"), ["has no effect with scalingStrategy Optimizer"], "{key}");
        assert!(said_under("Hybrid").is_empty(), "its guards are APA's");
    }
    let key = format!("{P}/scale-down-cooldown-window");
    assert!(
        said(&one("Optimizer", &key, "30s"), &annotation_path(&key)).is_empty(),
        "stabilization is every strategy's"
    );
}

#[test]
fn panic_threshold() {
    let key = format!("{P}/panic-threshold");
    number_key("KPA", &key, |m| resolved(m).panic_threshold, &["0", "-2"]);
    assert!(said(&one("KPA", &key, "1"), &annotation_path(&key))[0].contains("panics at the target"));
    assert_eq!(said(&one("APA", &key, "2"), &annotation_path(&key)), ["has no effect with scalingStrategy APA"]);
}

#[test]
fn scale_up_cooldown_window() {
    duration_key("KPA", &format!("{P}/scale-up-cooldown-window"), |m| resolved(m).cooldown_up);
    let resolved = resolved(&one("APA", &format!("{P}/scale-up-cooldown-window"), "20s"));
    assert_eq!(resolved.rules_up.stabilization, Some(Duration::from_secs(20)));
}

#[test]
fn scale_down_cooldown_window() {
    duration_key("APA", &format!("{P}/scale-down-cooldown-window"), |m| resolved(m).cooldown_down);
    let default = resolved(&common::manifest("KPA"));
    assert_eq!(default.rules_up.stabilization, Some(Duration::ZERO), "AIBrix's defaults");
    assert_eq!(default.rules_down.stabilization, Some(Duration::from_secs(300)));
    assert!(default.rules_down.policies.is_empty(), "rates are the strategy's own");
}

#[test]
fn scale_to_zero_has_no_effect_and_that_is_said() {
    let key = format!("{P}/scale-to-zero");
    for text in ["true", "0", "T"] {
        let manifest = one("KPA", &key, text);
        assert_eq!(resolved(&manifest).bounds.min, 1);
        assert!(said(&manifest, &annotation_path(&key))[0].contains("minReplicas 0"));
    }
    assert!(said(&one("KPA", &key, "yes"), &annotation_path(&key))[0].contains("is not a boolean"));
}

#[test]
fn storm_service_mode() {
    let key = format!("{P}/storm-service-mode");
    let role = |value: &str| {
        let mut manifest = with_spec(
            "KPA",
            json!({
                "scaleTargetRef": {"apiVersion": "orchestration.aibrix.ai/v1alpha1", "kind": "StormService", "name": "pd"},
                "subTargetSelector": {"roleName": "decode"}
            }),
        );
        manifest["metadata"]["annotations"] = json!({key.clone(): value});
        manifest
    };
    assert!(resolved(&role("replica")).target.whole_storm_service);
    assert!(!resolved(&role("pool")).target.whole_storm_service);
    assert!(!resolved(&role("Replica")).target.whole_storm_service, "anything else is pool, as in AIBrix");
    assert_eq!(said(&role("Replica"), &annotation_path(&key)), ["\"Replica\" is read as \"pool\""]);
    assert!(said(&one("KPA", &key, "replica"), &annotation_path(&key))[0].contains("without subTargetSelector"));
}

#[test]
fn one_bad_value_does_not_spoil_the_others() {
    let manifest = with_annotations(
        "KPA",
        json!({
            format!("{P}/max-scale-up-rate"): "fast",
            format!("{P}/max-scale-down-rate"): "4",
            format!("{P}/scale-down-cooldown-window"): "60s",
        }),
    );
    let resolved = resolved(&manifest);
    assert_eq!(resolved.max_scale_up_rate, None);
    assert_eq!(resolved.max_scale_down_rate, Some(4.0));
    assert_eq!(resolved.cooldown_down, Some(Duration::from_secs(60)));
}

#[test]
fn rates_and_cooldowns_become_the_hpa_behaviour_that_aibrix_writes() {
    let plain = resolved(&common::manifest("HPA"));
    assert_eq!(plain.rules_from, RulesFrom::Kubernetes);
    assert_eq!(plain.rules_up.policies.len(), 2, "Kubernetes' v2 defaults");
    assert_eq!(plain.rules_down.stabilization, None, "the controller's own");
    let annotated = resolved(&one("HPA", &format!("{P}/max-scale-up-rate"), "3"));
    assert_eq!(annotated.rules_from, RulesFrom::Annotations);
    let up = annotated.rules_up.policies[0];
    assert_eq!((up.kind, up.value, up.period), (PolicyType::Percent, 200, Duration::from_secs(60)));
    assert_eq!(annotated.rules_up.select, SelectPolicy::Max);
    assert_eq!(annotated.rules_down.policies[0].value, 50);
    assert_eq!(annotated.rules_down.select, SelectPolicy::Min);
    assert_eq!(annotated.rules_down.stabilization, Some(Duration::from_secs(300)));
    let never = resolved(&one("HPA", &format!("{P}/max-scale-down-rate"), "1"));
    assert_eq!(never.rules_down.select, SelectPolicy::Disabled, "0 % cannot be a policy");
}

#[test]
fn cooldowns_become_the_windows_of_an_hpa() {
    let (up, down) = (format!("{P}/scale-up-cooldown-window"), format!("{P}/scale-down-cooldown-window"));
    let both = resolved(&with_annotations("HPA", json!({up.clone(): "30s", down.clone(): "1m30.9s"})));
    assert_eq!(both.rules_from, RulesFrom::Annotations);
    assert_eq!(both.rules_up.stabilization, Some(Duration::from_secs(30)));
    assert_eq!(both.rules_down.stabilization, Some(Duration::from_secs(90)), "whole seconds, as an HPA has them");
    assert_eq!((both.rules_up.policies[0].value, both.rules_down.policies[0].value), (100, 50), "rates of 2");
    let up_only = resolved(&one("HPA", &up, "30s"));
    assert_eq!(up_only.rules_down.stabilization, Some(Duration::from_secs(300)));
    let down_only = resolved(&one("HPA", &down, "30s"));
    assert_eq!(down_only.rules_up.stabilization, Some(Duration::ZERO));
}

#[test]
fn a_direction_that_behavior_leaves_out_comes_from_its_annotations_under_hpa() {
    let (window, rate) = (format!("{P}/scale-down-cooldown-window"), format!("{P}/max-scale-down-rate"));
    let with = |annotations: Value| {
        let mut object = with_spec("HPA", json!({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 10}}}));
        object["metadata"]["annotations"] = annotations;
        object
    };
    let object = with(json!({window.clone(): "900s", rate.clone(): "4"}));
    let got = resolved(&object);
    assert_eq!(got.rules_from, RulesFrom::Behavior);
    assert_eq!(got.rules_up.stabilization, Some(Duration::from_secs(10)));
    assert_eq!(got.rules_up.policies.len(), 2, "what a stated direction leaves out is Kubernetes'");
    assert_eq!(got.rules_down.stabilization, Some(Duration::from_secs(900)));
    assert_eq!((got.rules_down.policies[0].value, got.rules_down.select), (75, SelectPolicy::Min));
    assert!(check(&object).is_empty(), "nothing is ignored, and nothing is said to be");
    let plain = resolved(&with(json!({})));
    assert_eq!(plain.rules_down.stabilization, None, "Kubernetes' own without either");
    assert_eq!(plain.rules_down.policies[0].value, 100);
}

#[test]
fn a_direction_that_behavior_states_is_taken_whole_under_hpa_and_that_is_said() {
    for (direction, suffixes) in [
        ("scaleUp", ["scale-up-cooldown-window", "max-scale-up-rate"]),
        ("scaleDown", ["scale-down-cooldown-window", "max-scale-down-rate"]),
    ] {
        for suffix in suffixes {
            let key = format!("{P}/{suffix}");
            let mut object = with_spec("HPA", json!({"behavior": {direction: {"selectPolicy": "Max"}}}));
            object["metadata"]["annotations"] =
                json!({key.clone(): if suffix.starts_with("max") { "4" } else { "77s" }});
            let message = format!("ignored: under HPA spec.behavior.{direction} stands for its whole direction");
            assert_eq!(said(&object, &annotation_path(&key)), [message]);
            let got = resolved(&object);
            let rules = if direction == "scaleUp" { got.rules_up } else { got.rules_down };
            assert_ne!(rules.stabilization, Some(Duration::from_secs(77)));
            assert!(rules.policies.iter().all(|policy| policy.period == Duration::from_secs(15)), "Kubernetes'");
        }
    }
}

#[test]
fn behavior_wins_field_by_field_under_the_other_strategies() {
    let (window, tolerance) = (format!("{P}/scale-down-cooldown-window"), format!("{P}/scale-down-tolerance"));
    let with = |rules: Value| {
        let mut object = with_spec("APA", json!({"behavior": {"scaleDown": rules}}));
        object["metadata"]["annotations"] = json!({window.clone(): "77s", tolerance.clone(): "0.3"});
        object
    };
    let stated = with(json!({"stabilizationWindowSeconds": 10, "tolerance": "0.05"}));
    let got = resolved(&stated);
    assert_eq!((got.rules_down.stabilization, got.tolerance_down), (Some(Duration::from_secs(10)), Some(0.05)));
    let message = |field: &str| format!("ignored: spec.behavior.scaleDown.{field} says this too, and wins");
    assert_eq!(said(&stated, &annotation_path(&window)), [message("stabilizationWindowSeconds")]);
    assert_eq!(said(&stated, &annotation_path(&tolerance)), [message("tolerance")]);
    let silent = with(json!({"selectPolicy": "Min"}));
    let got = resolved(&silent);
    assert_eq!((got.rules_down.stabilization, got.tolerance_down), (Some(Duration::from_secs(77)), Some(0.3)));
    assert!(check(&silent).is_empty());
}

// Keys that AIBrix no longer reads.

fn honoured(manifest: &Value, key: &str, what: &str) {
    let said = said(manifest, &annotation_path(key));
    assert!(said.iter().any(|said| said.contains(&format!("honoured as {what}"))), "{key}: {said:?}");
}

fn ignored(manifest: &Value, key: &str) {
    let said = said(manifest, &annotation_path(key));
    assert!(said.iter().any(|said| said.contains("no longer reads this; ignored")), "{key}: {said:?}");
}

#[test]
fn dead_kpa_scale_down_delay() {
    let key = "kpa.autoscaling.aibrix.ai/scale-down-delay";
    let manifest = one("KPA", key, "30s");
    assert_eq!(resolved(&manifest).rules_down.stabilization, Some(Duration::from_secs(30)));
    honoured(&manifest, key, "autoscaling.aibrix.ai/scale-down-cooldown-window");
    ignored(&one("APA", key, "30s"), key);
}

#[test]
fn dead_kpa_scale_up_cooldown() {
    let key = "kpa.autoscaling.aibrix.ai/scale-up-cooldown";
    let manifest = one("KPA", key, "30s");
    assert_eq!(resolved(&manifest).rules_up.stabilization, Some(Duration::from_secs(30)));
    honoured(&manifest, key, "autoscaling.aibrix.ai/scale-up-cooldown-window");
}

#[test]
fn dead_kpa_panic_threshold() {
    let key = "kpa.autoscaling.aibrix.ai/panic-threshold";
    let manifest = one("KPA", key, "3");
    assert_eq!(resolved(&manifest).panic_threshold, Some(3.0));
    honoured(&manifest, key, "autoscaling.aibrix.ai/panic-threshold");
}

#[test]
fn dead_kpa_panic_window() {
    let key = "kpa.autoscaling.aibrix.ai/panic-window";
    let manifest = one("KPA", key, "20s");
    assert_eq!(resolved(&manifest).panic_window, Duration::from_secs(20));
    honoured(&manifest, key, "spec.panicWindowSeconds");
    let mut own = one("KPA", key, "20s");
    own["spec"]["panicWindowSeconds"] = json!(30);
    assert_eq!(resolved(&own).panic_window, Duration::from_secs(30), "the field wins");
    ignored(&own, key);
    let long = one("KPA", key, "200s");
    assert_eq!(resolved(&long).panic_window, Duration::from_secs(60), "longer than the stable window");
    ignored(&long, key);
}

#[test]
fn dead_kpa_stable_window() {
    let key = "kpa.autoscaling.aibrix.ai/stable-window";
    let manifest = one("KPA", key, "2m");
    assert_eq!(resolved(&manifest).observe_window, Duration::from_secs(120));
    honoured(&manifest, key, "spec.observeWindowSeconds");
    ignored(&one("KPA", key, "2h"), key);
    ignored(&one("KPA", key, "30s"), key);
}

#[test]
fn dead_kpa_windows_are_judged_together() {
    let (stable, panic) = ("kpa.autoscaling.aibrix.ai/stable-window", "kpa.autoscaling.aibrix.ai/panic-window");
    for (stable_value, panic_value) in [("30s", "10s"), ("600s", "300s")] {
        let manifest = with_annotations("KPA", json!({stable: stable_value, panic: panic_value}));
        honoured(&manifest, stable, "spec.observeWindowSeconds");
        honoured(&manifest, panic, "spec.panicWindowSeconds");
    }
    let resolved = resolved(&with_annotations("KPA", json!({stable: "10s", panic: "30s"})));
    assert_eq!((resolved.observe_window.as_secs(), resolved.panic_window.as_secs()), (180, 60));
}

#[test]
fn dead_kpa_tolerance() {
    let key = "kpa.autoscaling.aibrix.ai/tolerance";
    let manifest = one("KPA", key, "0.2");
    let resolved = resolved(&manifest);
    assert_eq!((resolved.tolerance_up, resolved.tolerance_down), (Some(0.2), Some(0.2)));
    honoured(&manifest, key, "autoscaling.aibrix.ai/scale-up-tolerance");
    honoured(&manifest, key, "autoscaling.aibrix.ai/scale-down-tolerance");
}

#[test]
fn dead_apa_window() {
    let key = "apa.autoscaling.aibrix.ai/window";
    let manifest = one("APA", key, "30s");
    assert_eq!(resolved(&manifest).observe_window, Duration::from_secs(30), "APA has no panic window to fit");
    honoured(&manifest, key, "spec.observeWindowSeconds");
    ignored(&one("KPA", key, "30s"), key);
}

#[test]
fn dead_up_fluctuation_tolerance() {
    for key in ["autoscaling.aibrix.ai/up-fluctuation-tolerance", "apa.autoscaling.aibrix.ai/up-fluctuation-tolerance"]
    {
        let manifest = one("APA", key, "0.3");
        assert_eq!(resolved(&manifest).tolerance_up, Some(0.3));
        honoured(&manifest, key, "autoscaling.aibrix.ai/scale-up-tolerance");
    }
}

#[test]
fn dead_down_fluctuation_tolerance() {
    for key in
        ["autoscaling.aibrix.ai/down-fluctuation-tolerance", "apa.autoscaling.aibrix.ai/down-fluctuation-tolerance"]
    {
        let manifest = one("APA", key, "0.3");
        assert_eq!(resolved(&manifest).tolerance_down, Some(0.3));
        honoured(&manifest, key, "autoscaling.aibrix.ai/scale-down-tolerance");
    }
}

#[test]
fn a_live_key_wins_over_a_dead_one_of_the_same_meaning() {
    let dead = "kpa.autoscaling.aibrix.ai/scale-down-delay";
    let manifest = with_annotations("KPA", json!({dead: "30s", format!("{P}/scale-down-cooldown-window"): "90s"}));
    assert_eq!(resolved(&manifest).rules_down.stabilization, Some(Duration::from_secs(90)));
    ignored(&manifest, dead);
}

#[test]
fn a_live_key_that_cannot_be_meant_still_wins_over_a_dead_one() {
    let (dead, live) = ("kpa.autoscaling.aibrix.ai/scale-down-delay", format!("{P}/scale-down-cooldown-window"));
    let manifest = with_annotations("KPA", json!({dead: "30s", live.clone(): "300"}));
    assert_eq!(resolved(&manifest).rules_down.stabilization, Some(Duration::from_secs(300)), "the default");
    assert_eq!(said(&manifest, &annotation_path(&live)), ["\"300\" is not a duration; the default is used"]);
    assert_eq!(said(&manifest, &annotation_path(dead)), [format!("AIBrix no longer reads this; ignored, {live} wins")]);
}

#[test]
fn of_two_dead_keys_the_one_that_wins_is_the_one_that_is_named() {
    let (both, up) = ("kpa.autoscaling.aibrix.ai/tolerance", "autoscaling.aibrix.ai/up-fluctuation-tolerance");
    let manifest = with_annotations("KPA", json!({both: "0.3", up: "0.2"}));
    let got = resolved(&manifest);
    assert_eq!((got.tolerance_up, got.tolerance_down), (Some(0.2), Some(0.3)));
    honoured(&manifest, up, "autoscaling.aibrix.ai/scale-up-tolerance");
    let said = said(&manifest, &annotation_path(both));
    assert!(said.contains(&format!("AIBrix no longer reads this; ignored, {up} wins")), "{said:?}");
    assert!(said.contains(&format!("AIBrix no longer reads this; honoured as {P}/scale-down-tolerance")), "{said:?}");
}

#[test]
fn dead_fluctuation_tolerances_are_honoured_under_kpa_and_ignored_under_hpa() {
    for (direction, live) in [("up", "scale-up-tolerance"), ("down", "scale-down-tolerance")] {
        let key = format!("{P}/{direction}-fluctuation-tolerance");
        let kpa = one("KPA", &key, "0.3");
        let got = resolved(&kpa);
        assert_eq!(if direction == "up" { got.tolerance_up } else { got.tolerance_down }, Some(0.3));
        honoured(&kpa, &key, &format!("{P}/{live}"));
        let hpa = one("HPA", &key, "0.3");
        let got = resolved(&hpa);
        assert_eq!((got.tolerance_up, got.tolerance_down), (None, None));
        ignored(&hpa, &key);
        let apa_only = format!("apa.{P}/{direction}-fluctuation-tolerance");
        ignored(&one("KPA", &apa_only, "0.3"), &apa_only);
    }
}

#[test]
fn dead_kpa_keys_are_ignored_outside_kpa() {
    let keys =
        ["scale-down-delay", "scale-up-cooldown", "panic-threshold", "panic-window", "stable-window", "tolerance"];
    for strategy in ["APA", "HPA", "Optimizer", "Hybrid"] {
        for suffix in keys {
            let key = format!("kpa.{P}/{suffix}");
            let manifest =
                one(strategy, &key, if suffix.ends_with('e') || suffix.ends_with('d') { "3" } else { "20s" });
            assert_eq!(
                said(&manifest, &annotation_path(&key)),
                [format!("AIBrix no longer reads this; ignored with scalingStrategy {strategy}")]
            );
            let (got, plain) = (resolved(&manifest), resolved(&common::manifest(strategy)));
            assert_eq!((got.rules_up, got.rules_down), (plain.rules_up, plain.rules_down), "{key}");
            assert_eq!((got.observe_window, got.panic_window), (plain.observe_window, plain.panic_window), "{key}");
        }
    }
}

#[test]
fn an_unknown_key_of_the_group_is_named_with_the_nearest() {
    for (key, hint) in [
        ("autoscaling.aibrix.ai/max-scale-up-rates", "autoscaling.aibrix.ai/max-scale-up-rate?"),
        ("kpa.autoscaling.aibrix.ai/scale-up-tolerance", "autoscaling.aibrix.ai/scale-up-tolerance?"),
    ] {
        let said = said(&one("KPA", key, "2"), &annotation_path(key));
        assert!(said[0].contains("ignored; did you mean") && said[0].contains(hint), "{said:?}");
    }
    assert_eq!(
        said(&one("KPA", "autoscaling.aibrix.ai/x", "2"), &annotation_path("autoscaling.aibrix.ai/x")),
        ["unknown annotation, ignored"]
    );
    assert!(check(&one("KPA", "example.com/paused", "2")).is_empty(), "other groups are nobody's business");
}

#[test]
fn a_key_among_the_labels_is_reported() {
    let mut manifest = common::manifest("KPA");
    manifest["metadata"]["labels"] = json!({"kpa.autoscaling.aibrix.ai/scale-down-delay": "0"});
    let said = said(&manifest, "metadata.labels[kpa.autoscaling.aibrix.ai/scale-down-delay]");
    assert!(said[0].contains("metadata.annotations"), "{said:?}");
}

#[test]
fn a_value_that_is_no_string_is_refused_with_what_to_write() {
    let manifest = with_annotations("KPA", json!({format!("{P}/max-scale-up-rate"): 2}));
    assert_eq!(
        common::only_error(&manifest),
        "metadata.annotations[autoscaling.aibrix.ai/max-scale-up-rate]: must be a string: write \"2\""
    );
}

// Our own.

#[test]
fn paused_and_its_directions() {
    let paused = |key: &str, value: &str| resolved(&one("KPA", &format!("{P}/{key}"), value)).pause;
    assert!(paused("paused", "true").all);
    assert!(!paused("paused", "false").all);
    assert!(paused("paused-scale-in", "1").scale_in);
    assert!(paused("paused-scale-out", "true").scale_out);
    assert!(paused("paused", "please").all, "anything else pauses, as in KEDA");
    let manifest = one("KPA", &format!("{P}/paused"), "please");
    assert!(said(&manifest, &annotation_path(&format!("{P}/paused")))[0].contains("read as true"));
}

#[test]
fn scale_to_zero_grace() {
    let key = format!("{P}/scale-to-zero-grace");
    assert_eq!(resolved(&common::manifest("KPA")).zero_grace, Duration::ZERO);
    assert_eq!(resolved(&one("KPA", &key, "30s")).zero_grace, Duration::from_secs(30));
}

#[test]
fn pending_deadline() {
    let key = format!("{P}/pending-deadline");
    assert_eq!(resolved(&common::manifest("APA")).pending_deadline, Duration::from_secs(1800));
    assert_eq!(resolved(&one("APA", &key, "10m")).pending_deadline, Duration::from_secs(600));
}
