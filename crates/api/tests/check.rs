//! What `check` prints: all of it for a bad manifest, the shape of files, and hostile input.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::diagnostics::{MAX_ERRORS, MAX_REMARKS};
use autoscaler_api::manifest::between;
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
fn a_field_of_a_later_aibrix_is_refused_with_what_to_write_instead() {
    for (field, advice) in
        [("circuitBreaker", "fallback"), ("scheduledBounds", "write schedules"), ("predictive", "leave it out")]
    {
        let mut later = manifest("KPA");
        later["spec"][field] = json!({});
        let said = only_error(&later);
        assert!(said.starts_with(&format!("spec.{field}: a field of later AIBrix")) && said.contains(advice), "{said}");
    }
}

#[test]
fn every_field_of_kubernetes_metadata_is_accepted_and_status_ignored() {
    let mut object = manifest("KPA");
    object["metadata"] = json!({
        "name": "x", "namespace": "n", "generateName": "x-", "generation": 3, "resourceVersion": "12", "uid": "u",
        "selfLink": "/apis", "creationTimestamp": null, "deletionTimestamp": "2026-01-05T00:00:00Z",
        "deletionGracePeriodSeconds": 30, "finalizers": ["a/b"], "labels": {"a": "b"},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}], "ownerReferences": [{"kind": "X"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    });
    object["status"] = json!({"desiredScale": "not even a number"});
    assert!(common::check(&object).is_empty());
}

#[test]
fn an_unknown_field_of_metadata_is_refused() {
    let mut object = manifest("KPA");
    object["metadata"]["annotation"] = json!({"autoscaling.aibrix.ai/paused": "true"});
    assert_eq!(only_error(&object), "metadata.annotation: unknown field; did you mean annotations?");
    let mut object = manifest("KPA");
    object["metadata"]["anything"] = json!(1);
    assert!(only_error(&object).starts_with("metadata.anything: unknown field (allowed: annotations, "));
}

#[test]
fn a_field_of_metadata_has_its_type() {
    for (field, value, message) in [
        ("generation", json!("x"), "must be a whole number, not a string"),
        ("finalizers", json!(3), "must be a list of strings, not a number"),
        ("ownerReferences", json!({}), "must be a list of mappings, not a mapping"),
        ("managedFields", json!([1]), "must be a list of mappings"),
        ("annotations", json!(["a"]), "must be a mapping, not a list"),
        ("labels", json!("a"), "must be a mapping, not a string"),
        ("namespace", json!(1), "must be a string: write \"1\""),
        ("uid", json!([]), "must be a string, not a list"),
    ] {
        let mut object = manifest("KPA");
        object["metadata"][field] = value;
        assert_eq!(only_error(&object), format!("metadata.{field}: {message}"));
    }
}

#[test]
fn a_field_of_metadata_is_given_once() {
    let text = manifest("KPA").to_string();
    let twice =
        text.replace(r#"{"name":"chat"},"spec""#, r#"{"name":"chat","name":"b","labels":{},"labels":{}},"spec""#);
    let found = lines("f.json", &twice);
    assert_eq!(found, ["f.json: metadata.name: is given twice", "f.json: metadata.labels: is given twice"]);
    let twice = text.replace(r#"{"name":"chat"},"spec""#, r#"{"name":"chat","annotations":{"a":"1","a":"2"}},"spec""#);
    assert_eq!(lines("f.json", &twice), ["f.json: metadata.annotations[a]: is given twice"]);
}

#[test]
fn a_null_is_absent() {
    let mut object = manifest("KPA");
    object["spec"]["behavior"] = Value::Null;
    common::accepted(&object);
    assert_eq!(common::said(&object, "spec.behavior"), ["null is read as absent"]);
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
    assert_eq!(only_error(&bad), "spec.maxReplicas: 3000000000 is out of range (allowed: 0 to 2147483647)");
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
fn every_error_is_counted_and_what_is_left_out_is_said() {
    let document = "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nspec: {a: 1, b: 2, c: 3}\n---\n";
    let each = read("f", document).findings.len();
    let read = read("f", &document.repeat(2_000));
    assert_eq!(read.findings.len(), MAX_ERRORS + 1);
    let last = read.findings.last().unwrap();
    assert!(last.diagnostic.is_error());
    assert_eq!(last.diagnostic.message, format!("{} more errors are left out", 2_000 * each - MAX_ERRORS));
}

/// A manifest with this many sources, each with three nulls, which are warnings.
fn with_nulls(sources: usize) -> Value {
    let source = |index: usize| {
        json!({"metricSourceType": "custom", "targetMetric": format!("m{index}"), "targetValue": "4",
            "name": null, "labels": null, "tls": null})
    };
    let mut object = manifest("KPA");
    object["spec"]["metricsSources"] = (0..sources).map(source).collect();
    object
}

#[test]
fn a_flood_of_warnings_hides_no_error_of_its_document() {
    let mut object = with_nulls(60);
    object["spec"]["maxReplicas"] = json!(-10);
    object["spec"]["oops"] = json!(1);
    let mut paths: Vec<_> = common::errors(&object).into_iter().map(|(path, _)| path).collect();
    paths.sort();
    assert_eq!(paths, ["spec.maxReplicas", "spec.oops"]);
}

#[test]
fn a_flood_of_warnings_hides_no_error_of_a_later_document() {
    let mut bad = manifest("KPA");
    bad["metadata"]["name"] = json!("last");
    bad["spec"]["scaleTargetRef"]["name"] = json!("last");
    bad["spec"]["maxReplicas"] = json!(-10);
    let good = with_nulls(60).to_string();
    let text = format!("{}{bad}", (good + "\n").repeat(9));
    let read = read("f.json", &text);
    assert!(!read.is_valid());
    let errors: Vec<_> = read.findings.iter().filter(|finding| finding.diagnostic.path == "spec.maxReplicas").collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].document, (10, 10));
    let said = read.findings.last().unwrap().to_string();
    let remarks = 9 * 60 * 3;
    assert_eq!(said, format!("f.json: note: {} more warnings and notes are left out", remarks - MAX_REMARKS));
}

#[test]
fn every_entry_of_a_list_that_is_too_long_is_looked_at() {
    let mut object = with_nulls(0);
    object["spec"]["metricsSources"] = (0..1_500).map(|_| json!({"metricSourceType": "custom"})).collect();
    let found = common::errors(&object);
    assert!(found.iter().any(|(_, said)| said == "has 1500 entries, more than the 64 allowed"));
    assert!(found.iter().any(|(path, _)| path == "spec.metricsSources[1499].targetMetric"));
    object["spec"]["metricsSources"] = (0..5_000).map(|_| json!({"metricSourceType": "custom"})).collect();
    let found = common::errors(&object);
    assert!(
        found.iter().any(|(_, said)| said == "only the first 4096 of its 5000 entries are looked at"),
        "said, not hidden"
    );
}

#[test]
fn the_items_of_a_long_list_are_all_read() {
    let mut bad = manifest("KPA");
    bad["spec"]["maxReplicas"] = json!(-10);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}});
    let list = |services: usize| {
        let items: Vec<_> = std::iter::repeat_n(service.clone(), services).chain([bad.clone()]).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    };
    let read_back = read("f.json", &list(1_000));
    assert!(read_back.findings.iter().any(|found| found.diagnostic.path == "spec.maxReplicas"));
    let cut = read("f.json", &list(10_000));
    let errors: Vec<_> = cut.findings.iter().filter(|found| found.diagnostic.is_error()).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].diagnostic.to_string(),
        "items: holds more than 10000 objects; those from here on are not read"
    );
}

#[test]
fn lists_of_every_kind_are_opened() {
    let a = manifest("KPA");
    for list in [
        json!({"apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscalerList", "metadata": {}, "items": [a]}),
        json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [a]}]}),
    ] {
        let read = read("f", &list.to_string());
        assert_eq!((read.autoscalers.len(), read.findings.len()), (1, 0), "{:?}", read.findings);
    }
    for empty in ["kind: List\napiVersion: v1\nitems: []\n", "kind: PodAutoscalerList\nitems: null\n"] {
        assert!(read("f", empty).findings.is_empty(), "a cluster without objects is no mistake");
    }
    for (text, wanted) in [
        (
            "kind: List\nitem:\n- {kind: PodAutoscaler}\n",
            "f: items: is required: a list holds its objects there [line 1]",
        ),
        ("kind: List\nitems: {}\n", "f: items: must be a list, not a mapping [line 2]"),
        ("kind: List\nitems:\n- null\n", "f: a document must be a mapping, not null [line 3]"),
    ] {
        assert_eq!(lines("f", text), [wanted]);
    }
}

#[test]
fn a_kind_that_is_no_string_is_said_to_be_none() {
    let mut object = manifest("KPA");
    object["kind"] = json!(3);
    assert_eq!(only_error(&object), "kind: must be a string, not \"3\"");
    let mut object = manifest("KPA");
    object["apiVersion"] = json!([]);
    assert_eq!(only_error(&object), "apiVersion: must be a string, not a list");
}

#[test]
fn broken_json_is_reported_as_json() {
    let text = "{\"apiVersion\": \"autoscaling.aibrix.ai/v1alpha1\",\n \"kind\": }";
    assert_eq!(lines("-", text), ["-: expected value [line 2]"], "as YAML it would be a null");
    assert_eq!(lines("f.json", "{kind: PodAutoscaler}"), ["f.json: key must be a string [line 1]"]);
    assert_eq!(
        lines("f.json", &format!("{} garbage", manifest("KPA"))),
        ["f.json: expected value [document 2, line 1]"]
    );
    let flow = "{kind: Service, apiVersion: v1}";
    assert!(lines("f.yaml", flow)[0].contains("is not read here"), "a flow mapping of YAML is none");
    let several = format!("{}\n---\n{}", manifest("KPA"), json!({"kind": "Service", "apiVersion": "v1"}));
    assert_eq!(lines("f.json", &several).len(), 1, "as kubectl takes it: {:?}", lines("f.json", &several));
}

fn with_numbers(max: &str, value: &str) -> String {
    format!(
        "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\nmetadata: {{name: chat}}\nspec:\n  \
         scalingStrategy: KPA\n  maxReplicas: {max}\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: chat}}\n  \
         metricsSources: [{{metricSourceType: custom, targetMetric: q, targetValue: {value}}}]\n"
    )
}

#[test]
fn numbers_of_yaml_1_1_are_read_as_kubernetes_reads_them_or_it_is_said() {
    let max = |text: &str| read("f", &with_numbers(text, "'1'")).autoscalers[0].spec.max_replicas;
    assert_eq!((max("1_000"), max("0x1_0"), max("08"), max("10")), (1000, 16, 8, 10));
    for text in ["1_000", "08", "007", "0x10", "0"] {
        let found = lines("f", &with_numbers(text, "'1'"));
        assert!(!found.iter().any(|said| said.contains("Kubernetes")), "{text}: {found:?}");
    }
    assert_eq!(
        lines("f", &with_numbers("010", "'1'")),
        [
            "f: warning: spec.maxReplicas: 010 is 10 here and 8 in Kubernetes (allowed: 10 or 8, without a leading zero) [line 6]"
        ]
    );
    let found = lines("f", &with_numbers("5", "1_000"));
    assert_eq!(found, ["f: spec.metricsSources[0].targetValue: must be a string: write \"1_000\" [line 8]"]);
}

#[test]
fn objects_of_one_name_are_refused_with_both_places() {
    let (a, mut b) = (with_numbers("5", "'1'"), manifest("KPA"));
    b["metadata"]["namespace"] = json!("default");
    let found = lines("f.yaml", &format!("{a}---\n{b}\n"));
    assert_eq!(
        found,
        ["f.yaml: metadata.name: two PodAutoscalers are called \"chat\" in namespace \"default\"; the other is in \
          document 1, line 3 [document 2, line 10]"],
        "no namespace is the default one"
    );
    b["metadata"]["namespace"] = json!("other");
    assert!(lines("f.yaml", &format!("{a}---\n{b}\n")).is_empty());
    b["metadata"] = json!({"name": "b"});
    assert_eq!(
        lines("f.yaml", &format!("{a}---\n{b}\n")),
        [
            "f.yaml: warning: spec.scaleTargetRef: PodAutoscalers \"chat\" (document 1, line 7) and \"b\" have one target; \
          the older one scales it [document 2, line 10]"
        ]
    );
}

#[test]
fn names_and_targets_are_compared_between_files() {
    let said = |second: Value| {
        let mut files = [read("a", &manifest("KPA").to_string()), read("b", &second.to_string())];
        between(&mut files);
        assert!(files[0].findings.is_empty() && files[1].is_valid(), "files may be variants");
        files[1].findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(manifest("APA")), ["b: warning: metadata.name: a has a PodAutoscaler \"chat\" too"]);
    let mut other = manifest("KPA");
    other["metadata"]["name"] = json!("other");
    assert_eq!(
        said(other.clone()),
        ["b: warning: spec.scaleTargetRef: PodAutoscaler \"chat\" of a has this target too; the older one scales it"]
    );
    other["metadata"]["namespace"] = json!("elsewhere");
    assert!(said(other).is_empty());
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
        "coordination",
        "routesBySize",
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
            "coordination", "routesBySize",
        ]),
        value in any_value(),
    ) {
        let mut object = manifest("KPA");
        object["spec"][field] = value;
        let read = read("f", &object.to_string());
        prop_assert_eq!(read.autoscalers.len(), 1, "one bad field never hides the rest");
    }
}
