//! What `check` prints: all of it for a bad manifest, the shape of files, and hostile input.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::manifest::MAX_FINDINGS;
use autoscaler_api::{Severity, read};
use common::{manifest, only_error};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lines(file: &str, text: &str) -> Vec<String> {
    read(file, text).findings.iter().map(ToString::to_string).collect()
}

/// `UPDATE_GOLDEN=1 cargo test -p autoscaler-api --test check` writes the expectation anew.
#[test]
fn a_bad_manifest_has_every_mistake_named_with_its_place() {
    let found = lines("bad.yaml", include_str!("golden/bad.yaml")).join("\n") + "\n";
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bad.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).unwrap();
        let legacy = common::samples().into_iter().find(|(name, _)| name == "legacy-annotated.yaml").unwrap();
        let said = lines(&legacy.0, &legacy.1).join("\n") + "\n";
        std::fs::write(golden.with_file_name("legacy-annotated.txt"), said).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_name() {
    let mut bad = manifest("KPA");
    bad["spec"]["metricSources"] = json!([]);
    assert_eq!(only_error(&bad), "spec.metricSources: unknown field; did you mean metricsSources?");
    let mut bad = manifest("KPA");
    bad["spec"]["metricsSources"][0]["targetVlaue"] = json!("1");
    assert_eq!(only_error(&bad), "spec.metricsSources[0].targetVlaue: unknown field; did you mean targetValue?");
    let mut bad = manifest("KPA");
    bad["specs"] = json!({});
    assert!(only_error(&bad).starts_with("specs: unknown field; did you mean spec?"));
}

#[test]
fn metadata_is_free_and_status_ignored() {
    let mut object = manifest("KPA");
    object["metadata"] = json!({
        "name": "x", "generation": 3, "managedFields": [{"manager": "kubectl"}], "ownerReferences": [], "anything": 1,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    });
    object["status"] = json!({"desiredScale": "not even a number"});
    common::accepted(&object);
}

#[test]
fn a_null_is_absent_but_said_to_be_refused_by_kubernetes() {
    let mut object = manifest("KPA");
    object["spec"]["behavior"] = Value::Null;
    common::accepted(&object);
    assert_eq!(common::said(&object, "spec.behavior"), ["null is read as absent; Kubernetes refuses it"]);
    object["spec"]["maxReplicas"] = Value::Null;
    assert_eq!(only_error(&object), "spec.maxReplicas: is required");
}

#[test]
fn wrong_types_say_what_to_write() {
    let mut bad = manifest("KPA");
    bad["spec"]["maxReplicas"] = json!("10");
    assert_eq!(only_error(&bad), "spec.maxReplicas: must be a whole number: write 10, without quotes");
    bad["spec"]["maxReplicas"] = json!(2.5);
    assert_eq!(only_error(&bad), "spec.maxReplicas: must be a whole number, not 2.5");
    bad["spec"]["maxReplicas"] = json!(3_000_000_000_u64);
    assert!(only_error(&bad).starts_with("spec.maxReplicas: 3000000000 is out of range"));
    bad["spec"] = json!([]);
    assert_eq!(only_error(&bad), "spec: must be a mapping, not a list");
}

#[test]
fn several_documents_lists_and_other_kinds() {
    let a = serde_json::to_string(&manifest("KPA")).unwrap();
    let text = format!("---\n{a}\n---\n---\nkind: Service\napiVersion: v1\n---\nkind: List\nitems:\n- {a}\n");
    let read = read("f.yaml", &text);
    assert_eq!(read.autoscalers.len(), 2);
    let said: Vec<_> = read.findings.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "f.yaml: note: kind \"Service\" is not read here, skipped [document 2, line 5]");
    assert!(said.iter().any(|said| said.contains("two PodAutoscalers are called \"chat\"")), "{said:?}");
}

#[test]
fn two_autoscalers_of_one_target_are_a_warning() {
    let (a, mut b) = (manifest("KPA"), manifest("KPA"));
    b["metadata"]["name"] = json!("other");
    let found = read("f.json", &format!("{a}\n{b}")).findings;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].diagnostic.severity, Severity::Warning);
}

#[test]
fn yaml_and_json_read_alike_and_yaml_has_lines() {
    let mut bad = manifest("KPA");
    bad["spec"]["maxReplicas"] = json!(0);
    let yaml = "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata: {name: chat}\nspec:\n  \
                scalingStrategy: KPA\n  minReplicas: 1\n  maxReplicas: 0\n  scaleTargetRef: {apiVersion: apps/v1, kind: \
                Deployment, name: chat}\n  metricsSources: [{metricSourceType: custom, targetMetric: q, targetValue: '1'}]\n";
    let from_yaml = lines("f", yaml);
    assert_eq!(from_yaml, ["f: spec.maxReplicas: must be above 0, is 0 (allowed: 1 or more) [line 7]"]);
    let from_json = lines("f", &bad.to_string());
    assert_eq!(from_json, ["f: spec.maxReplicas: must be above 0, is 0 (allowed: 1 or more)"]);
}

#[test]
fn anchors_and_merge_keys_are_read() {
    let text = "x-source: &source {metricSourceType: custom, targetMetric: q, targetValue: '1'}\n---\n\
                apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata: {name: chat}\nspec:\n  \
                scalingStrategy: KPA\n  maxReplicas: 5\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}\n  \
                metricsSources:\n  - &a {metricSourceType: custom, targetMetric: q, targetValue: '1'}\n  \
                - {<<: *a, targetMetric: r}\n";
    let read = read("f.yaml", text);
    let metrics: Vec<_> =
        read.autoscalers[0].spec.sources().iter().map(|source| source.target_metric.as_str()).collect();
    assert_eq!(metrics, ["q", "r"]);
}

#[test]
fn unquoted_booleans_and_numbers_are_told_apart_from_strings() {
    let text = "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata:\n  name: chat\n  annotations:\n    \
                autoscaling.aibrix.ai/paused: on\nspec:\n  scalingStrategy: KPA\n  maxReplicas: 5\n  scaleTargetRef: {apiVersion: \
                apps/v1, kind: Deployment, name: chat}\n  metricsSources:\n  - {metricSourceType: custom, targetMetric: q, targetValue: 50}\n";
    let found = lines("f.yaml", text);
    assert_eq!(
        found,
        [
            "f.yaml: metadata.annotations[autoscaling.aibrix.ai/paused]: must be a string: write \"on\" [line 6]",
            "f.yaml: spec.metricsSources[0].targetValue: must be a string: write \"50\" [line 12]",
        ]
    );
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "\n", "---\n---\n", "# nothing\n"] {
        assert_eq!(lines("f.yaml", text), ["f.yaml: the file holds no document"], "{text:?}");
    }
}

#[test]
fn floods_are_refused_without_filling_the_memory() {
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(50));
    let deep_yaml = format!("a: {}1{}", "[".repeat(200), "]".repeat(200));
    let deep_json = format!("{{\"a\": {}1{}}}", "[".repeat(100), "]".repeat(100));
    let wide = format!("[{}]", "1,".repeat(300_000));
    let big = " ".repeat(5 << 20);
    for (text, why) in [
        (laughs, "values, aliases expanded"),
        (long.as_str(), "bytes of text"),
        (deep_yaml.as_str(), "levels deep"),
        (deep_json.as_str(), "levels deep"),
        (wide.as_str(), "more than"),
        (big.as_str(), "larger than"),
    ] {
        let found = lines("f", text);
        assert!(found.len() == 1 && found[0].contains(why), "{found:?}");
    }
    assert!(!lines("f", "a: &a [*a]").is_empty(), "an alias inside its own anchor");
}

#[test]
fn the_number_of_findings_is_bounded() {
    let document = "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nspec: {a: 1, b: 2, c: 3}\n---\n";
    assert_eq!(read("f", &document.repeat(900)).findings.len(), MAX_FINDINGS);
}

/// Values of every shape, with our own field names among the keys so that they reach the rules.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[-+0-9a-zA-Z:./_ ]{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("08:00"),
            Just("KPA"),
            Just("HPA"),
            Just("pod"),
            Just("Mon"),
            Just("cpu"),
            Just("1e3"),
            Just("{port:x}")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_key(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let names = [
        "name",
        "labels",
        "annotations",
        "autoscaling.aibrix.ai/paused",
        "kpa.autoscaling.aibrix.ai/stable-window",
        "scaleTargetRef",
        "minReplicas",
        "maxReplicas",
        "schedules",
        "metricsSources",
        "observeWindowSeconds",
        "panicWindowSeconds",
        "scalingStrategy",
        "behavior",
        "scaleUp",
        "policies",
        "tolerance",
        "activation",
        "fallback",
        "metricSourceType",
        "targetMetric",
        "targetValue",
        "startTime",
        "endTime",
        "daysOfWeek",
        "timezone",
        "command",
        "ports",
        "env",
        "readiness",
        "slo",
        "objectives",
        "forecast",
        "events",
        "profiles",
        "gatewayAddress",
    ];
    prop_oneof![9 => prop::sample::select(names.to_vec()).prop_map(str::to_owned), 1 => "[a-z]{0,6}"]
}

proptest! {
    #[test]
    fn no_text_makes_check_panic(text in "(?s)[-\\[\\]{}:,&*!|>'\"%@#?<~ \na-c0-9.]{0,200}|\\PC{0,100}") {
        let _ = read("f", &text);
    }

    #[test]
    fn no_object_makes_check_or_resolve_panic(
        spec in any_value(), metadata in any_value(), kind in 0..3_usize,
    ) {
        let (api, kind) = [
            ("autoscaling.aibrix.ai/v1alpha1", "PodAutoscaler"),
            ("local.autoscaling.aibrix.ai/v1alpha1", "LocalDeployment"),
            ("local.autoscaling.aibrix.ai/v1alpha1", "LocalWorld"),
        ][kind];
        let object = json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec});
        let read = read("f", &object.to_string());
        for autoscaler in &read.autoscalers {
            let resolved = autoscaler_api::resolve(autoscaler);
            prop_assert!(!read.is_valid() || resolved.is_ok());
        }
    }

    #[test]
    fn spoiling_one_field_of_a_good_manifest_never_panics(
        field in prop::sample::select(vec![
            "scaleTargetRef", "minReplicas", "maxReplicas", "schedules", "metricsSources", "observeWindowSeconds",
            "panicWindowSeconds", "scalingStrategy", "behavior", "activation", "fallback", "slo", "forecast", "profiles",
        ]),
        value in any_value(),
    ) {
        let mut object = manifest("KPA");
        object["spec"][field] = value;
        let read = read("f", &object.to_string());
        prop_assert_eq!(read.autoscalers.len(), 1, "one bad field never hides the rest");
    }
}
