//! One document: its kind, its metadata, its spec against the schema, then the rules above the schema.

use super::kinds::{Kind, kind};
use super::lines::{Lines, around};
use super::metadata::metadata;
use super::{Manifest, Origin};
use crate::crd;
use crate::diagnostics::{Diagnostic, Tally, nearest};
use crate::local::{self, LocalDeployment, LocalWorld};
use crate::shape::{Walk, child};
use crate::tree::{Node, Value};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::CustomResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A finding and its line, 0 where unknown.
pub(super) type Placed = (usize, Diagnostic);

/// What was made of one document.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// What is wrong with it, in the order of the file.
    pub(super) found: Vec<Placed>,
    /// Findings beyond the limits.
    pub(super) left_out: Tally,
}

/// Reads a document into the manifest, and says what is wrong with it. `number` is its place in the file, from 1.
pub(super) fn document(document: &Node, number: usize, manifest: &mut Manifest) -> Checked {
    if !matches!(document.value, Value::Map(_)) {
        let message = format!("a document must be a mapping, not {}", document.value.kind());
        return Checked { found: vec![(document.line, Diagnostic::error("", message))], ..Checked::default() };
    }
    match kind(document) {
        Err(diagnostic) => {
            let line = document.get(&diagnostic.path).map_or(document.line, |field| field.line);
            Checked { found: vec![(line, diagnostic)], ..Checked::default() }
        }
        Ok(Kind::Autoscaler) => {
            let (object, lines, checked) = object(document, &AUTOSCALER_SCHEMA, crate::validate::validate);
            if let Some(object) = object {
                manifest.autoscalers.push(object);
                manifest.origins.autoscalers.push(Origin { document: number, lines });
            }
            checked
        }
        Ok(Kind::Deployment) => {
            let (object, lines, checked) = object(document, &DEPLOYMENT_SCHEMA, local::validate_deployment);
            if let Some(object) = object {
                manifest.deployments.push(object);
                manifest.origins.deployments.push(Origin { document: number, lines });
            }
            checked
        }
        Ok(Kind::World) => {
            let (object, _, mut checked) = object::<LocalWorld>(document, &WORLD_SCHEMA, local::validate_world);
            if manifest.world.is_some() {
                checked.found.push((document.line, Diagnostic::error("kind", "a second LocalWorld")));
            }
            manifest.world = object.or(manifest.world.take());
            checked
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
) -> (Option<T>, Lines, Checked) {
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
    let Walk { found, tally, lines } = walk;
    let lines = Lines::new(lines, document.line);
    let mut found: Vec<Placed> = found.into_iter().map(|diagnostic| (lines.at(&diagnostic.path), diagnostic)).collect();
    // In the order of the file, so that the list can be worked down; a stable sort keeps what shares a line in order.
    found.sort_by_key(|(line, _)| *line);
    (object, lines, Checked { found, left_out: tally.left_out() })
}

/// Fields of a metric source that its type allows or asks for.
const BY_SOURCE_TYPE: [&str; 8] =
    ["protocolType", "port", "path", "endpoint", "describedObject", "query", "statistic", "targetType"];

/// The windows, of which one must not be longer than the other.
const WINDOWS: [&str; 2] = ["spec.observeWindowSeconds", "spec.panicWindowSeconds"];

/// Fields about which the schema has already said enough: those it refuses, and those that mean nothing without them.
fn doubtful(found: &[Diagnostic]) -> BTreeSet<String> {
    let mut doubtful = BTreeSet::new();
    for path in found.iter().filter(|diagnostic| diagnostic.is_error()).map(|diagnostic| &diagnostic.path) {
        doubtful.insert(path.clone());
        // Which annotations have an effect depends on the strategy.
        if path == "spec.scalingStrategy" {
            doubtful.insert("metadata.annotations".to_owned());
        }
        // The windows are compared; a refused one leaves nothing to compare with.
        if WINDOWS.contains(&path.as_str()) {
            doubtful.extend(WINDOWS.map(str::to_owned));
        }
        if let Some(source) = path.strip_suffix(".metricSourceType") {
            doubtful.extend(BY_SOURCE_TYPE.map(|field| child(source, field)));
        }
    }
    doubtful
}

/// Whether a path is one of these or beneath one.
fn within(path: &str, these: &BTreeSet<String>) -> bool {
    around(path).any(|path| these.contains(path))
}

/// Fields of the document itself: each once, and none but Kubernetes' own. `status` is the controller's, and ignored.
fn top_level(document: &Node, walk: &mut Walk) {
    let Value::Map(entries) = &document.value else { return };
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let mut seen = BTreeSet::new();
    for (key, node) in entries {
        walk.lines.insert(key.clone(), node.line);
        if !known.contains(&key.as_str()) {
            let hint = nearest(key, known);
            let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            walk.push(Diagnostic::error(key, format!("unknown field{hint}")).allowed(known.join(", ")));
        } else if !seen.insert(key) {
            walk.push(Diagnostic::error(key, "is given twice"));
        }
    }
}
