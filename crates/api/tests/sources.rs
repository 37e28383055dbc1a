//! Every metric source type by name: what it needs, what it must not carry, and what it resolves to.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests may")]

mod common;

use autoscaler_api::resolved::{Port, Resource, SourceKind};
use autoscaler_api::v1alpha1::{ProtocolType, Statistic, TargetType};
use common::{accepted, errors, only_error, resolved, said, with_only, with_source, with_spec};
use serde_json::{Value, json};

fn resolve_one(strategy: &str, source: Value) -> autoscaler_api::resolved::ResolvedSource {
    resolved(&with_only(strategy, source)).sources.remove(0)
}

fn paths(manifest: &Value) -> Vec<String> {
    errors(manifest).into_iter().map(|(path, _)| path).collect()
}

const AT: &str = "spec.metricsSources[0]";

#[test]
fn pod_needs_protocol_port_and_path() {
    for field in ["protocolType", "port", "path"] {
        let found = only_error(&with_source("KPA", json!({field: null})));
        assert_eq!(found, format!("{AT}.{field}: is required with metricSourceType pod"));
    }
    assert_eq!(
        paths(&with_source("KPA", json!({"port": "", "path": ""}))),
        [format!("{AT}.port"), format!("{AT}.path")]
    );
    let source = resolved(&with_source("KPA", json!({"path": "metrics"}))).sources.remove(0);
    let SourceKind::Pod(endpoint) = &source.kind else { panic!("{source:?}") };
    assert_eq!((endpoint.protocol, &endpoint.port), (ProtocolType::Http, &Port::Number(8000)));
    assert_eq!(endpoint.path, "/metrics", "a missing slash is put in");
    assert_eq!(
        (source.key.as_str(), source.target, source.target_type),
        ("num_requests_running", 40.0, TargetType::AverageValue)
    );
}

#[test]
fn pod_takes_a_port_by_name_and_warns_of_one_that_cannot_be() {
    let source = resolved(&with_source("KPA", json!({"port": "metrics"}))).sources.remove(0);
    let SourceKind::Pod(endpoint) = source.kind else { panic!() };
    assert_eq!(endpoint.port, Port::Name("metrics".into()));
    assert!(said(&with_source("KPA", json!({"port": "99999"})), &format!("{AT}.port"))[0].contains("not a port"));
}

#[test]
fn pod_takes_any_raw_metric_name() {
    accepted(&with_source("APA", json!({"targetMetric": "vllm:num_requests_waiting"})));
}

#[test]
fn resource_is_cpu_or_memory_and_nothing_else() {
    let cpu = json!({"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "70"});
    accepted(&with_only("APA", cpu.clone()));
    let mut disk = cpu.clone();
    disk["targetMetric"] = json!("Cpu");
    assert_eq!(
        only_error(&with_only("APA", disk)),
        format!("{AT}.targetMetric: \"Cpu\" is not a resource (allowed: cpu, memory)")
    );
    for (field, value) in [("port", "8000"), ("path", "/m"), ("endpoint", "e"), ("protocolType", "http")] {
        let mut source = cpu.clone();
        source[field] = json!(value);
        let found = only_error(&with_only("APA", source));
        assert!(found.starts_with(&format!("{AT}.{field}: is not possible with metricSourceType resource")), "{found}");
    }
    let mut empty = cpu;
    empty["port"] = json!("");
    accepted(&with_only("APA", empty));
}

#[test]
fn resource_units_are_aibrixs_under_each_strategy() {
    let of = |metric: &str, value: &str| json!({"metricSourceType": "resource", "targetMetric": metric, "targetValue": value});
    let cpu = resolve_one("HPA", of("cpu", "49.5"));
    assert_eq!((cpu.target, cpu.target_type), (50.0, TargetType::Utilization), "whole percents of the request");
    let memory = resolve_one("HPA", of("memory", "512"));
    assert_eq!((memory.target, memory.target_type), (536_870_912.0, TargetType::AverageValue), "MiB");
    assert_eq!(memory.kind, SourceKind::Resource(Resource::Memory));
    let millicores = resolve_one("KPA", of("cpu", "750"));
    assert_eq!((millicores.target, millicores.target_type), (750.0, TargetType::AverageValue));
    assert_eq!(resolve_one("APA", of("memory", "1e9")).target, 1e9, "bytes");
    let mut percent = of("cpu", "60");
    percent["targetType"] = json!("Utilization");
    assert_eq!(resolve_one("APA", percent).target_type, TargetType::Utilization);
}

#[test]
fn custom_needs_nothing_more_than_metric_and_target() {
    let source = resolve_one("APA", json!({"metricSourceType": "custom", "targetMetric": "q", "targetValue": "3"}));
    assert_eq!(source.kind, SourceKind::Custom);
    assert!(source.kind.per_pod(), "as in AIBrix");
}

#[test]
fn custom_may_carry_what_it_does_not_need() {
    let source = json!({
        "metricSourceType": "custom", "targetMetric": "q", "targetValue": "3",
        "protocolType": "http", "port": "9", "path": "p", "endpoint": "ftp://e"
    });
    assert_eq!(resolve_one("APA", source).kind, SourceKind::Custom, "AIBrix checks nothing here");
}

#[test]
fn external_without_endpoint_is_the_cluster_api() {
    for endpoint in [Value::Null, json!("")] {
        let mut external = json!({"metricSourceType": "external", "targetMetric": "q", "targetValue": "3"});
        if !endpoint.is_null() {
            external["endpoint"] = endpoint;
        }
        let source = resolve_one("KPA", external);
        assert_eq!(source.kind, SourceKind::External);
        assert!(!source.kind.per_pod());
    }
}

#[test]
fn external_with_endpoint_needs_protocol_and_path() {
    let source =
        json!({"metricSourceType": "external", "endpoint": "opt:8080", "targetMetric": "q", "targetValue": "3"});
    assert_eq!(paths(&with_only("KPA", source.clone())), [format!("{AT}.protocolType"), format!("{AT}.path")]);
    let mut whole = source;
    whole["protocolType"] = json!("https");
    whole["path"] = json!("/metrics/default/m");
    let kind = resolve_one("KPA", whole).kind;
    let wanted = SourceKind::Endpoint {
        protocol: ProtocolType::Https,
        endpoint: "opt:8080".into(),
        path: "/metrics/default/m".into(),
    };
    assert_eq!(kind, wanted);
}

/// The endpoint of an external source that is reached over `protocol`.
fn endpoint(protocol: &str, endpoint: &str) -> Value {
    json!({
        "metricSourceType": "external", "targetMetric": "q", "targetValue": "3",
        "protocolType": protocol, "endpoint": endpoint, "path": "m"
    })
}

#[test]
fn an_endpoint_may_carry_the_scheme_that_its_protocol_says() {
    for (protocol, text) in [
        ("http", "http://opt:8080"),
        ("https", "https://opt:8080/"),
        ("http", "HTTP://opt:8080"),
        ("http", "opt:8080/"),
    ] {
        let SourceKind::Endpoint { endpoint, path, .. } = resolve_one("KPA", endpoint(protocol, text)).kind else {
            panic!()
        };
        assert_eq!(
            (endpoint.as_str(), path.as_str()),
            ("opt:8080", "/m"),
            "{text}: whoever reads it puts one in front"
        );
    }
}

#[test]
fn an_endpoint_with_another_scheme_is_refused() {
    for (text, message) in [
        (
            "https://opt:8080",
            "\"https://opt:8080\" contradicts protocolType http (allowed: opt:8080, or http://opt:8080)",
        ),
        ("ftp://opt", "\"ftp\" is not a protocol (allowed: host:port, or http:// or https:// in front)"),
        ("http://", "\"http://\" names no host (allowed: host:port)"),
    ] {
        assert_eq!(only_error(&with_only("KPA", endpoint("http", text))), format!("{AT}.endpoint: {message}"));
    }
}

#[test]
fn domain_is_external_under_its_older_name() {
    let source = json!({"metricSourceType": "domain", "endpoint": "opt:8080", "targetMetric": "q", "targetValue": "3"});
    assert_eq!(paths(&with_only("KPA", source)).len(), 2, "the same fields are required");
    let plain = with_only("KPA", json!({"metricSourceType": "domain", "targetMetric": "q", "targetValue": "3"}));
    assert_eq!(resolved(&plain).sources[0].kind, SourceKind::External);
    assert!(said(&plain, &format!("{AT}.metricSourceType"))[0].contains("older name"));
}

#[test]
fn object_needs_what_it_describes() {
    let mut source =
        json!({"metricSourceType": "object", "targetMetric": "hits", "targetValue": "100", "targetType": "Value"});
    assert_eq!(
        only_error(&with_only("HPA", source.clone())),
        format!("{AT}.describedObject: is required with metricSourceType object")
    );
    source["describedObject"] = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"});
    let resolved = resolve_one("HPA", source);
    assert_eq!(resolved.target_type, TargetType::Value);
    assert!(matches!(resolved.kind, SourceKind::Object(object) if object.name == "main"));
    let stray = with_source("KPA", json!({"describedObject": {"kind": "Pod", "name": "x"}}));
    assert!(only_error(&stray).contains("is for metricSourceType object, not pod"));
}

#[test]
fn prometheus_needs_query_and_endpoint() {
    let mut source = json!({"metricSourceType": "prometheus", "targetMetric": "rps", "targetValue": "12"});
    assert_eq!(paths(&with_only("KPA", source.clone())), [format!("{AT}.endpoint"), format!("{AT}.query")]);
    source["endpoint"] = json!("prometheus:9090/");
    source["path"] = json!("/prom/");
    source["query"] = json!("sum(rate(x[1m]))");
    let SourceKind::Prometheus { url, query } = resolve_one("KPA", source).kind else { panic!() };
    assert_eq!((url.as_str(), query.as_str()), ("http://prometheus:9090/prom", "sum(rate(x[1m]))"));
    for stray in ["x", "  "] {
        let found = errors(&with_source("KPA", json!({"query": stray})));
        assert!(
            found.iter().any(|(_, said)| said.contains("is for metricSourceType prometheus")),
            "{stray:?}: {found:?}"
        );
    }
}

#[test]
fn prometheus_takes_its_protocol_from_the_endpoint_or_from_its_field() {
    let url = |fields: Value| {
        let mut source = json!({
            "metricSourceType": "prometheus", "targetMetric": "rps", "targetValue": "12", "query": "x", "endpoint": "p:9090"
        });
        source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        with_only("KPA", source)
    };
    for (fields, wanted) in [
        (json!({}), "http://p:9090"),
        (json!({"protocolType": "https"}), "https://p:9090"),
        (json!({"endpoint": "https://p:9090/x/"}), "https://p:9090/x"),
        (json!({"endpoint": "https://p:9090", "protocolType": "https"}), "https://p:9090"),
    ] {
        let SourceKind::Prometheus { url, .. } = resolved(&url(fields)).sources.remove(0).kind else { panic!() };
        assert_eq!(url, wanted);
    }
    let contradiction = url(json!({"endpoint": "https://p:9090", "protocolType": "http"}));
    assert!(only_error(&contradiction).contains("contradicts protocolType http"));
}

#[test]
fn an_unknown_type_is_refused_with_all_that_are_known_and_nothing_that_follows_from_it() {
    let found = only_error(&with_source("KPA", json!({"metricSourceType": "pods", "port": null})));
    assert_eq!(
        found,
        format!(
            "{AT}.metricSourceType: \"pods\" is not one of the values; did you mean pod? \
             (allowed: pod, resource, custom, external, domain, object, prometheus)"
        )
    );
}

#[test]
fn an_empty_protocol_fails_the_enum_as_in_aibrix() {
    assert!(only_error(&with_source("KPA", json!({"protocolType": ""}))).contains("(allowed: http, https)"));
}

#[test]
fn target_metric_must_not_be_empty() {
    assert_eq!(
        only_error(&with_source("KPA", json!({"targetMetric": ""}))),
        format!("{AT}.targetMetric: must not be empty")
    );
}

#[test]
fn target_value_is_a_go_float_above_zero() {
    for text in ["50", "0.5", "1e3", "0x1p-2", "+3", ".5", "1_000"] {
        accepted(&with_source("KPA", json!({"targetValue": text})));
    }
    for (text, why) in [
        ("", "must not be empty"),
        ("100m", "is not a number"),
        ("1Gi", "is not a number"),
        ("abc", "is not a number"),
        ("0", "must be above 0"),
        ("-1", "must be above 0"),
        ("1e-400", "must be above 0"),
        ("1e400", "is not a number"),
        ("NaN", "must be finite"),
        ("Inf", "must be finite"),
    ] {
        let found = only_error(&with_source("KPA", json!({"targetValue": text})));
        assert!(found.starts_with(&format!("{AT}.targetValue: ")) && found.contains(why), "{text}: {found}");
    }
}

#[test]
fn numbers_where_aibrix_wants_strings_say_what_to_write() {
    let found = errors(&with_source("KPA", json!({"targetValue": 50, "port": 8000})));
    let wanted = [("targetValue", "50"), ("port", "8000")]
        .map(|(field, value)| (format!("{AT}.{field}"), format!("must be a string: write \"{value}\"")));
    let (mut found, mut wanted) = (found, wanted.to_vec());
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn at_least_one_source_is_required() {
    assert_eq!(
        only_error(&with_spec("KPA", json!({"metricsSources": null}))),
        "spec.metricsSources: at least one metric source is required"
    );
    assert!(only_error(&with_spec("KPA", json!({"metricsSources": []}))).contains("must not be empty"));
}

#[test]
fn two_sources_of_one_metric_are_told_apart_by_name_else_by_place() {
    let mut named = common::pod_source();
    named["name"] = json!("waiting");
    let both = with_spec("KPA", json!({"metricsSources": [common::pod_source(), named.clone()]}));
    let keys: Vec<_> = resolved(&both).sources.into_iter().map(|source| source.key).collect();
    assert_eq!(keys, ["num_requests_running", "waiting"]);
    let alike = with_spec("KPA", json!({"metricsSources": [common::pod_source(), common::pod_source()]}));
    let keys: Vec<_> = resolved(&alike).sources.into_iter().map(|source| source.key).collect();
    assert_eq!(keys, ["num_requests_running", "num_requests_running#1"], "AIBrix accepts it, so it is accepted");
    assert!(said(&alike, "spec.metricsSources[1].targetMetric")[0].contains("num_requests_running#1"));
    let twice = with_spec("KPA", json!({"metricsSources": [named.clone(), named]}));
    assert_eq!(only_error(&twice), "spec.metricsSources[1].name: \"waiting\" is used twice");
}

#[test]
fn target_types_fit_their_sources() {
    for (source_type, target_type) in [("pod", "Value"), ("pod", "Utilization"), ("custom", "Utilization")] {
        let found =
            only_error(&with_source("KPA", json!({"metricSourceType": source_type, "targetType": target_type})));
        assert!(found.starts_with(&format!("{AT}.targetType: {target_type} is ")), "{found}");
    }
    accepted(&with_source("KPA", json!({"targetType": "AverageValue"})));
}

#[test]
fn statistic_and_labels_reach_the_reader() {
    let source =
        resolved(&with_source("APA", json!({"statistic": "p95", "labels": {"model_name": "m"}}))).sources.remove(0);
    assert_eq!(source.statistic, Some(Statistic::P95));
    assert_eq!(source.labels["model_name"], "m");
    let custom = json!({"metricSourceType": "custom", "targetMetric": "q", "targetValue": "3", "statistic": "rate"});
    assert!(only_error(&with_only("APA", custom)).contains("is for metrics that are read from an endpoint"));
    assert!(
        only_error(&with_source("APA", json!({"statistic": "p42"}))).contains("value, rate, mean, p50, p90, p95, p99")
    );
}

#[test]
fn limits_of_the_definition_are_the_checks_too() {
    let labels: serde_json::Map<String, Value> = (0..33).map(|i| (format!("l{i}"), json!("x"))).collect();
    let found = only_error(&with_source("KPA", json!({"labels": labels})));
    assert_eq!(found, format!("{AT}.labels: has 33 entries, more than the 32 allowed"));
    let found = only_error(&with_source("KPA", json!({"targetValue": "1".repeat(257)})));
    assert_eq!(found, format!("{AT}.targetValue: is longer than the 256 characters allowed"));
    let sources: Vec<Value> = (0..65)
        .map(|i| json!({"metricSourceType": "custom", "targetMetric": format!("m{i}"), "targetValue": "1"}))
        .collect();
    let found = only_error(&with_spec("KPA", json!({"metricsSources": sources})));
    assert_eq!(found, "spec.metricsSources: has 65 entries, more than the 64 allowed");
}

#[test]
fn a_metric_called_cpu_is_what_its_type_says_and_the_difference_is_told() {
    for metric in ["cpu", "Memory"] {
        let manifest = with_source("HPA", json!({"targetMetric": metric}));
        assert!(matches!(resolved(&manifest).sources[0].kind, SourceKind::Pod(_)));
        let said = said(&manifest, &format!("{AT}.metricSourceType"));
        let wanted = format!("AIBrix reads this as the pods' {} whatever the type says", metric.to_lowercase());
        assert!(said.len() == 1 && said[0].starts_with(&wanted), "{said:?}");
    }
    let at = format!("{AT}.metricSourceType");
    assert!(said(&with_source("APA", json!({"targetMetric": "cpu"})), &at).is_empty(), "only HPA goes by the name");
    let resource = json!({"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "70"});
    assert!(said(&with_only("HPA", resource), &at).is_empty());
}

#[test]
fn the_older_shape_with_the_metric_at_the_spec_is_refused_field_by_field() {
    let obsolete = with_spec(
        "HPA",
        json!({"targetMetric": "cpu", "targetValue": "40", "metricsSources": [{"metricSourceType": "pod", "targetMetric": "m"}]}),
    );
    let mut found = paths(&obsolete);
    found.sort();
    let wanted = ["spec.metricsSources[0].path", "spec.metricsSources[0].port", "spec.metricsSources[0].protocolType"];
    assert_eq!(found[..3], wanted);
    assert_eq!(found[3..], ["spec.metricsSources[0].targetValue", "spec.targetMetric", "spec.targetValue"]);
}

#[test]
fn tls_without_https_has_no_effect_and_that_is_said() {
    let manifest = with_source("APA", json!({"tls": {"insecureSkipVerify": true}}));
    assert!(said(&manifest, &format!("{AT}.tls"))[0].contains("no effect over http"));
}

#[test]
fn thousandths_round_up_as_kubernetes_rounds() {
    let milli = |text: &str| resolved(&with_source("HPA", json!({"targetValue": text}))).sources[0].target_milli();
    assert_eq!(
        [milli("0.3"), milli("0.5"), milli("40"), milli("0.0001"), milli("1.2345")],
        [300, 500, 40_000, 1, 1235]
    );
}
