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
