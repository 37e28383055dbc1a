//! `decide` as its users meet it: inputs as text, answers as lines.

#![allow(clippy::unwrap_used, reason = "a fixture that fails is a failed test")]

use autoscaler_runtime::decide::{self, Options, Outcome};
use serde_json::{Value, json};

const SOURCE: &str = r#"{"metricSourceType": "external", "targetMetric": "queue", "targetValue": "10"}"#;

fn input(strategy: &str, more: &Value, ticks: &Value) -> Value {
    let source: Value = serde_json::from_str(SOURCE).unwrap();
    let mut input = json!({
        "autoscaler": {"spec": {"scalingStrategy": strategy, "maxReplicas": 100, "minReplicas": 1, "metricsSources": [source]}},
        "history": {},
        "ticks": ticks,
    });
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    input
}

fn run(input: &Value) -> Result<Outcome, String> {
    let parsed = decide::parse(&input.to_string()).map_err(|error| error.to_string())?;
    decide::run(&parsed, Options::default()).map_err(|error| error.to_string())
}

fn desired(input: &Value) -> Vec<u32> {
    run(input).unwrap().lines.iter().map(|line| line.desired).collect()
}

#[test]
fn numbers_that_nobody_can_mean_are_refused_with_their_path_and_what_is_allowed() {
    let tick = json!([{"at": 0, "replicas": 3, "external": {"queue": 30}}]);
    for (more, path) in [
        (json!({"settings": {"hpa": {"tolerance": -1}}}), "settings.hpa.tolerance"),
        (json!({"settings": {"hpa": {"cpuInitializationSeconds": -1}}}), "settings.hpa.cpuInitializationSeconds"),
        (
            json!({"settings": {"hpa": {"downscaleStabilizationSeconds": 1e300}}}),
            "settings.hpa.downscaleStabilizationSeconds",
        ),
        (json!({"settings": {"hpa": {"scaleUpLimitFactor": 0}}}), "settings.hpa.scaleUpLimitFactor"),
        (json!({"settings": {"hpa": {"scaleUpLimitMinimum": -3}}}), "settings.hpa.scaleUpLimitMinimum"),
        (json!({"settings": {"kpa": {"target": 0}}}), "settings.kpa.target"),
        (json!({"settings": {"kpa": {"targetBurstCapacity": -2}}}), "settings.kpa.targetBurstCapacity"),
        (json!({"settings": {"kpa": {"panicThreshold": 0}}}), "settings.kpa.panicThreshold"),
        (json!({"settings": {"kpa": {"maxScaleDownRate": 0.5}}}), "settings.kpa.maxScaleDownRate"),
        (
            json!({"settings": {"kpa": {"stableWindowSeconds": 6, "panicWindowSeconds": 7}}}),
            "settings.kpa.panicWindowSeconds",
        ),
        (json!({"settings": {"kpa": {"scaleDownDelaySeconds": -1}}}), "settings.kpa.scaleDownDelaySeconds"),
        (json!({"history": {"changes": [{"age": -5, "delta": 2}]}}), "history.changes[0].age"),
        (json!({"history": {"recommendations": [{"age": -5, "replicas": 2}]}}), "history.recommendations[0].age"),
    ] {
        let error = run(&input("HPA", &more, &tick)).unwrap_err();
        assert!(error.starts_with(&format!("{path}: ")) && error.contains("allowed: "), "{path}: {error}");
    }
}

#[test]
fn values_of_another_form_say_what_is_allowed() {
    let bad = input("HPA", &json!({}), &json!([{"at": 0, "replicas": 3, "external": {"queue": ["30"]}}]));
    let error = run(&bad).unwrap_err();
    assert!(error.starts_with("ticks[0].external.queue: ") && error.contains("a number, null, or a list"), "{error}");
}

#[test]
fn knobs_without_knatives_tolerance_do_not_make_silence_a_load_of_zero() {
    let ticks = json!([
        {"at": 0, "replicas": 4, "external": {"queue": 40}},
        {"at": 60, "replicas": 4},
    ]);
    let windows = json!({"stableWindowSeconds": 60, "panicWindowSeconds": 6, "initialReady": 0});
    let mut settings = json!({"settings": {"kpa": windows}});
    let zero_cooldown = |settings: &Value| {
        let mut input = input("KPA", settings, &ticks);
        let key = "autoscaling.aibrix.ai/scale-down-cooldown-window";
        input["autoscaler"]["metadata"] = json!({"annotations": {key: "0s"}});
        input
    };
    assert_eq!(desired(&zero_cooldown(&settings)), [4, 4], "an outage is not zero load");
    settings["settings"]["kpa"]["tolerance"] = json!(0);
    assert_eq!(desired(&zero_cooldown(&settings)), [4, 2], "Knative's own rule, within its rate");
}

#[test]
fn a_saved_state_goes_on_as_if_there_had_been_no_break() {
    let ticks = [
        json!({"at": 0, "replicas": 5, "external": {"queue": 50}}),
        json!({"at": 400, "replicas": 5, "external": {"queue": 10}}),
        json!({"at": 900, "replicas": 5, "external": {"queue": 10}}),
    ];
    let whole = run(&input("HPA", &json!({}), &json!(ticks))).unwrap();
    let first = run(&input("HPA", &json!({}), &json!(ticks[..1]))).unwrap();
    let rest = decide::parse(&input("HPA", &json!({}), &json!(ticks[1..])).to_string()).unwrap();
    let rest = decide::run(&rest, Options { state: Some(first.state) }).unwrap();
    let text = |lines: &[decide::output::Line]| serde_json::to_string(lines).unwrap();
    assert_eq!(text(&whole.lines[1..]), text(&rest.lines));
}

#[test]
fn a_manifest_of_several_documents_is_told_from_a_recording() {
    let error = decide::parse("a: 1\n---\nb: 2\n").unwrap_err().to_string();
    assert!(error.contains("several documents") && error.contains("check"), "{error}");
}

/// One tick of three replicas and a queue of 20, two replicas' worth, with this plan.
fn with_plan(strategy: &str, plan: &Value) -> Value {
    let mut tick = json!({"at": 1000, "replicas": 3, "external": {"queue": 20}});
    if !plan.is_null() {
        tick["plan"] = plan.clone();
    }
    let line = run(&input(strategy, &json!({}), &json!([tick]))).unwrap().lines.remove(0);
    serde_json::to_value(line).unwrap()
}

fn of_age(age: f64, replicas: u32) -> Value {
    let why = "load 3.10 by 10 min";
    json!({"madeAt": 1000.0 - age, "replicas": {"autoscaler": replicas}, "why": {"autoscaler": why}})
}

#[test]
fn a_plan_decides_or_is_a_floor_while_it_is_fresh() {
    for (strategy, plan, desired, rule) in [
        ("Optimizer", of_age(10.0, 7), 7, "from-plan"),
        ("Optimizer", of_age(10.0, 1), 1, "from-plan"),
        ("Optimizer", of_age(600.0, 7), 3, "plan-stale"),
        ("Optimizer", Value::Null, 3, "plan-absent"),
        ("Hybrid", of_age(10.0, 7), 7, "from-plan"),
        ("Hybrid", of_age(10.0, 1), 2, "from-plan"),
        ("Hybrid", of_age(600.0, 3), 3, "plan-stale"),
        ("Hybrid", Value::Null, 2, "plan-absent"),
    ] {
        let line = with_plan(strategy, &plan);
        let trail = line["trail"].as_array().unwrap();
        assert_eq!(line["desired"], desired, "{strategy} {plan}: {line}");
        assert!(trail.iter().any(|step| step["rule"] == rule), "{strategy} {plan}: {line}");
        if rule == "from-plan" {
            assert!(line.to_string().contains("load 3.10 by 10 min"), "{strategy} {plan}: {line}");
        }
    }
}

#[test]
fn a_hybrid_line_is_read_from_outside() {
    let expected = json!({
        "at": 1000.0, "replicas": 3, "desired": 7, "recommendation": 7, "panic": false, "reason": "plan above target",
        "trail": [
            {"stage": "metric", "rule": "below-target", "before": 3, "after": 2,
             "detail": "queue averages 20, 0.667 of target 10"},
            {"stage": "recommendation", "rule": "from-plan", "before": 2, "after": 7,
             "detail": "the plan's floor is 7: load 3.10 by 10 min"},
        ],
    });
    assert_eq!(with_plan("Hybrid", &of_age(10.0, 7)), expected);
}

#[test]
fn a_plan_without_a_time_is_of_the_tick_and_unknown_fields_are_refused() {
    let line = with_plan("Optimizer", &json!({"replicas": {"autoscaler": 4}}));
    assert_eq!(line["desired"], 4);
    let tick = json!([{"at": 0, "replicas": 3, "plan": {"replicas": {}, "because": 1}}]);
    let error = decide::parse(&input("Optimizer", &json!({}), &tick).to_string()).unwrap_err().to_string();
    assert!(error.contains("because"), "{error}");
}

/// Prefill and decode in one namespace, each with a queue of its own; prefill may have three replicas at most.
fn pair(ticks: &Value) -> Value {
    let source: Value = serde_json::from_str(SOURCE).unwrap();
    let side = |name: &str, most: u32| {
        json!({
            "metadata": {"name": name, "namespace": "ml"},
            "spec": {"scalingStrategy": "KPA", "minReplicas": 1, "maxReplicas": most, "metricsSources": [source],
                "coordination": {"group": "chat", "role": name}},
        })
    };
    json!({"autoscalers": [side("prefill", 3), side("decode", 20)], "history": {}, "ticks": ticks,
        "settings": {"kpa": {"tolerance": 0.0, "maxScaleUpRate": 1000.0}}})
}

#[test]
fn a_prefill_at_its_maximum_holds_decode_to_what_matches_it() {
    let targets = json!({"prefill": {"replicas": 3, "external": {"queue": 60}}, "decode": {"replicas": 2, "external": {"queue": 80}}});
    let lines = run(&pair(&json!([{"at": 10, "targets": targets}]))).unwrap().lines;
    let lines: Vec<Value> = lines.into_iter().map(|line| serde_json::to_value(line).unwrap()).collect();
    let decode = lines.iter().find(|line| line["autoscaler"] == "decode").unwrap();
    assert_eq!(
        decode["trail"].as_array().unwrap().last().unwrap(),
        &json!({"stage": "coordination", "rule": "partner-limited", "before": 8, "after": 4,
            "detail": "prefill of ml/chat has 3 of the 6 it wants"})
    );
    assert_eq!((&decode["desired"], &decode["recommendation"]), (&json!(4), &json!(8)));
    let prefill = lines.iter().find(|line| line["autoscaler"] == "prefill").unwrap();
    assert_eq!(prefill["desired"], 3, "and is not held itself");
}

#[test]
fn a_side_that_a_tick_leaves_out_says_what_it_said_last_for_two_minutes() {
    let prefill = json!({"prefill": {"replicas": 3, "external": {"queue": 60}}});
    let decode = json!({"decode": {"replicas": 2, "external": {"queue": 80}}});
    for (at, desired) in [(12, 4), (130, 4), (131, 8)] {
        let ticks = json!([{"at": 10, "targets": prefill}, {"at": at, "targets": decode}]);
        assert_eq!(run(&pair(&ticks)).unwrap().lines[1].desired, desired, "at {at}");
    }
}
