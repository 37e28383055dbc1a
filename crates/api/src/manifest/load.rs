//! One document: its kind, its metadata, its spec against the schema, then the rules above the schema.

use super::Manifest;
use super::kinds::{Kind, kind};
use crate::crd;
use crate::diagnostics::{Diagnostic, quote};
use crate::local::{self, LocalDeployment, LocalWorld};
use crate::shape::{Walk, child, keyed};
use crate::tree::{MAX_DOCUMENTS, Node, Value};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A finding and its line, 0 where unknown.
type Placed = (usize, Diagnostic);

/// Leaves out empty documents, and puts the items of a `List` (as `kubectl get -o yaml` prints it) in its place.
pub(super) fn expand(documents: Vec<Node>) -> Vec<Node> {
    let mut expanded = Vec::new();
    for document in documents {
        let is_list = document.get("kind").and_then(Node::text) == Some("List");
        match (is_list, document.value) {
            (_, Value::Null) => {}
            (true, Value::Map(entries)) => {
                let items = entries.into_iter().filter(|(key, _)| key == "items");
                expanded.extend(items.flat_map(|(_, items)| match items.value {
                    Value::List(items) => items,
                    _ => Vec::new(),
                }));
            }
            (_, value) => expanded.push(Node { value, line: document.line }),
        }
    }
    expanded.truncate(MAX_DOCUMENTS);
    expanded
}

/// Reads a document into the manifest, and says what is wrong with it.
pub(super) fn document(document: &Node, manifest: &mut Manifest) -> Vec<Placed> {
    if !matches!(document.value, Value::Map(_)) {
        let message = format!("a document must be a mapping, not {}", document.value.kind());
        return vec![(document.line, Diagnostic::error("", message))];
    }
    match kind(document) {
        Err(diagnostic) => {
            let line = document.get(&diagnostic.path).map_or(document.line, |field| field.line);
            vec![(line, diagnostic)]
        }
        Ok(Kind::Autoscaler) => {
            let (object, found) = object(document, &AUTOSCALER_SCHEMA, crate::validate::validate);
            manifest.autoscalers.extend(object);
            found
        }
        Ok(Kind::Deployment) => {
            let (object, found) = object(document, &DEPLOYMENT_SCHEMA, local::validate_deployment);
            manifest.deployments.extend(object);
            found
        }
        Ok(Kind::World) => {
            let (object, mut found) = object::<LocalWorld>(document, &WORLD_SCHEMA, local::validate_world);
            if manifest.world.is_some() {
                found.push((document.line, Diagnostic::error("kind", "a second LocalWorld")));
            }
            manifest.world = object.or(manifest.world.take());
            found
        }
    }
}

static AUTOSCALER_SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(|| spec_schema(&crd::crd()));
static DEPLOYMENT_SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(|| spec_schema(&LocalDeployment::crd()));
static WORLD_SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(|| spec_schema(&LocalWorld::crd()));

/// The schema of `spec`, of a definition made from our own types.
fn spec_schema(
    crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> JSONSchemaProps {
    let root = crd::root_schema(crd).cloned().unwrap_or_default();
    root.properties.and_then(|mut properties| properties.remove("spec")).unwrap_or_default()
}

/// A typed object with what is wrong with it; none where not even the mended value fits the type.
fn object<T: DeserializeOwned>(
    document: &Node,
    schema: &JSONSchemaProps,
    rules: impl Fn(&T) -> Vec<Diagnostic>,
) -> (Option<T>, Vec<Placed>) {
    let mut walk = Walk::default();
    top_level(document, &mut walk);
    let meta = metadata(document, &mut walk);
    let spec = if let Some(node) = document.get("spec") {
        walk.value(node, schema, "spec").unwrap_or(Json::Null)
    } else {
        walk.push(Diagnostic::error("spec", "is required"));
        Json::Null
    };
    let read = |field| document.get(field).map_or(Json::Null, Node::to_json);
    let value = json!({"apiVersion": read("apiVersion"), "kind": read("kind"), "metadata": meta, "spec": spec});
    let object = match serde_json::from_value::<T>(value) {
        Ok(object) => Some(object),
        Err(error) => {
            if !crate::diagnostics::any_error(&walk.found) {
                walk.push(Diagnostic::error("spec", error.to_string()));
            }
            None
        }
    };
    let doubtful = doubtful(&walk.found);
    for diagnostic in object.iter().flat_map(rules).filter(|diagnostic| !within(&diagnostic.path, &doubtful)) {
        walk.push(diagnostic);
    }
    let Walk { found, lines } = walk;
    let place = |path: &str| place(path, &lines).unwrap_or(document.line);
    let mut found: Vec<Placed> = found.into_iter().map(|diagnostic| (place(&diagnostic.path), diagnostic)).collect();
    // In the order of the file, so that the list can be worked down; a stable sort keeps what shares a line in order.
    found.sort_by_key(|(line, _)| *line);
    (object, found)
}

/// Fields of a metric source that its type allows or asks for.
const BY_SOURCE_TYPE: [&str; 8] =
    ["protocolType", "port", "path", "endpoint", "describedObject", "query", "statistic", "targetType"];

/// Fields about which the schema has already said enough: those it refuses, and those that mean nothing without them.
fn doubtful(found: &[Diagnostic]) -> Vec<String> {
    let mut doubtful = Vec::new();
    for path in found.iter().filter(|diagnostic| diagnostic.is_error()).map(|diagnostic| &diagnostic.path) {
        doubtful.push(path.clone());
        // Which annotations have an effect depends on the strategy.
        if path == "spec.scalingStrategy" {
            doubtful.push("metadata.annotations".to_owned());
        }
        if let Some(source) = path.strip_suffix(".metricSourceType") {
            doubtful.extend(BY_SOURCE_TYPE.map(|field| child(source, field)));
        }
    }
    doubtful
}

/// Whether a path is one of these or beneath one.
fn within(path: &str, these: &[String]) -> bool {
    let beneath = |at: &String| path.strip_prefix(at.as_str());
    these.iter().filter_map(beneath).any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The line of a field, or of the nearest one around it that the document has.
fn place(path: &str, lines: &BTreeMap<String, usize>) -> Option<usize> {
    let mut at = path;
    loop {
        if let Some(line) = lines.get(at) {
            return Some(*line);
        }
        at = &at[..at.rfind(['.', '['])?];
    }
}

/// Fields of the document itself: each once, and none but Kubernetes' own. `status` is the controller's, and ignored.
fn top_level(document: &Node, walk: &mut Walk) {
    let Value::Map(entries) = &document.value else { return };
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    for (index, (key, node)) in entries.iter().enumerate() {
        walk.lines.insert(key.clone(), node.line);
        if !known.contains(&key.as_str()) {
            let hint = crate::diagnostics::nearest(key, known);
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            walk.push(Diagnostic::error(key, format!("unknown field{hint}")).allowed(known.join(", ")));
        } else if entries[..index].iter().any(|(other, _)| other == key) {
            walk.push(Diagnostic::error(key, "is given twice"));
        }
    }
}

/// `metadata`, free as Kubernetes has it, but for what is read here: names, labels and annotations.
fn metadata(document: &Node, walk: &mut Walk) -> ObjectMeta {
    let mut meta = ObjectMeta::default();
    match document.get("metadata").map(|node| &node.value) {
        Some(Value::Map(entries)) => {
            for (key, node) in entries {
                let at = child("metadata", key);
                walk.lines.insert(at.clone(), node.line);
                match key.as_str() {
                    "name" => meta.name = text(node, &at, walk),
                    "namespace" => meta.namespace = text(node, &at, walk),
                    "generateName" => meta.generate_name = text(node, &at, walk),
                    "uid" => meta.uid = text(node, &at, walk),
                    "labels" => meta.labels = Some(texts(node, &at, walk)),
                    "annotations" => meta.annotations = Some(texts(node, &at, walk)),
                    _ => {}
                }
            }
        }
        None | Some(Value::Null) => {}
        Some(other) => walk.push(Diagnostic::error("metadata", format!("must be a mapping, not {}", other.kind()))),
    }
    match &meta.name {
        Some(name) if !is_name(name) => {
            let allowed = "lower-case letters, digits, hyphens and dots, at most 253, letters or digits at the ends";
            walk.push(Diagnostic::error("metadata.name", format!("{} is not a name", quote(name))).allowed(allowed));
        }
        None if meta.generate_name.is_none() => walk.push(Diagnostic::error("metadata.name", "is required")),
        _ => {}
    }
    meta
}

/// Kubernetes' rule for names of objects (RFC 1123 subdomain).
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(plain)
            && bytes.last().copied().is_some_and(plain)
            && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn text(node: &Node, path: &str, walk: &mut Walk) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => None,
        Value::Number(_, raw) | Value::Bool(_, raw) => {
            walk.push(Diagnostic::error(path, format!("must be a string: write {}", quote(raw))));
            Some(raw.clone())
        }
        other => {
            walk.push(Diagnostic::error(path, format!("must be a string, not {}", other.kind())));
            None
        }
    }
}

fn texts(node: &Node, path: &str, walk: &mut Walk) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else {
        if node.value != Value::Null {
            walk.push(Diagnostic::error(path, format!("must be a mapping, not {}", node.value.kind())));
        }
        return BTreeMap::new();
    };
    let mut map = BTreeMap::new();
    for (key, node) in entries {
        let at = keyed(path, key);
        walk.lines.insert(at.clone(), node.line);
        // A null value is an empty one to Kubernetes.
        let value = text(node, &at, walk).unwrap_or_default();
        if map.insert(key.clone(), value).is_some() {
            walk.push(Diagnostic::error(&at, "is given twice"));
        }
    }
    map
}
