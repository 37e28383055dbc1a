//! Optional parts that AIBrix does not have: what is accepted, refused, and said to have no effect.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::read;
use autoscaler_api::v1alpha1::{Coordination, CoordinationRole};
use common::{check, only_error, resolved, said, with_spec};
use serde_json::{Value, json};

fn role(strategy: &str, group: &str, role: &str) -> Value {
    with_spec(strategy, json!({"coordination": {"group": group, "role": role}}))
}

fn in_one_file(objects: &[Value]) -> Vec<String> {
    let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
    read("m.yaml", &text.join("\n---\n")).findings.iter().map(ToString::to_string).collect()
}

fn named(mut object: Value, name: &str, namespace: &str) -> Value {
    object["metadata"] = json!({"name": name, "namespace": namespace});
    object["spec"]["scaleTargetRef"]["name"] = json!(name);
    object
}

#[test]
fn a_role_is_read_with_its_group() {
    for (text, value) in [("prefill", CoordinationRole::Prefill), ("decode", CoordinationRole::Decode)] {
        let found = resolved(&role("KPA", "chat", text)).coordination;
        assert_eq!(found, Some(Coordination { group: "chat".to_owned(), role: value }));
        assert_eq!(value.as_str(), text);
    }
    assert_eq!(resolved(&common::manifest("KPA")).coordination, None);
}

#[test]
fn a_role_that_is_none_and_a_group_without_a_name_are_refused() {
    assert_eq!(
        only_error(&role("KPA", "chat", "prefil")),
        "spec.coordination.role: \"prefil\" is not one of the values; did you mean prefill? (allowed: prefill, decode)"
    );
    assert!(only_error(&role("KPA", "", "decode")).starts_with("spec.coordination.group: "));
    let missing = with_spec("KPA", json!({"coordination": {"group": "chat"}}));
    assert!(only_error(&missing).starts_with("spec.coordination.role: is required"), "{}", only_error(&missing));
}

#[test]
fn an_hpa_has_no_role_and_a_recommendation_limits_nobody_and_that_is_said() {
    let hpa = role("HPA", "chat", "decode");
    assert_eq!(resolved(&hpa).coordination, None);
    assert!(said(&hpa, "spec.coordination")[0].starts_with("has no effect with scalingStrategy HPA"));
    let mut advisor = role("APA", "chat", "decode");
    advisor["spec"]["mode"] = json!("Recommend");
    assert!(said(&advisor, "spec.coordination")[0].contains("limits no other role"));
}

#[test]
fn a_role_without_a_counterpart_in_its_namespace_is_told_of() {
    let pair = [named(role("KPA", "chat", "prefill"), "p", "ml"), named(role("APA", "chat", "decode"), "d", "ml")];
    assert_eq!(in_one_file(&pair), [""; 0]);
    for other in [
        named(role("APA", "chat", "decode"), "d", "elsewhere"),
        named(role("APA", "code", "decode"), "d", "ml"),
        named(role("APA", "chat", "prefill"), "d", "ml"),
    ] {
        let found = in_one_file(&[pair[0].clone(), other]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("note: spec.coordination: no other role of group \"chat\" is in this file"),
            "{found:?}"
        );
    }
}

#[test]
fn routing_by_size_is_for_plans() {
    for (said_by, resolves) in [(json!(true), Some(true)), (json!(false), Some(false)), (Value::Null, None)] {
        let object = with_spec("Hybrid", json!({"routesBySize": said_by}));
        assert_eq!(resolved(&object).routes_by_size, resolves);
        assert!(check(&object).is_empty());
    }
    let object = with_spec("KPA", json!({"routesBySize": true}));
    assert_eq!(said(&object, "spec.routesBySize"), ["has no effect with scalingStrategy KPA"]);
    assert!(only_error(&with_spec("Hybrid", json!({"routesBySize": "yes"}))).starts_with("spec.routesBySize: "));
}

#[test]
fn a_quantile_has_no_effect_on_plans_and_what_to_set_instead_is_said() {
    let object = with_spec("Optimizer", json!({"forecast": {"quantile": 0.95}}));
    let found = said(&object, "spec.forecast.quantile");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("has no effect") && found[0].ends_with("set slo.attainment instead"), "{found:?}");
}
