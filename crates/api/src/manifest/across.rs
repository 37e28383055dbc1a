//! Rules across the autoscalers of a file, and of several: names are unique, no two share a target, and who serves together has
//! somebody to serve with.

use super::load::Placed;
use super::{Finding, Manifest, Origin};
use crate::diagnostics::{Diagnostic, quote};
use crate::v1alpha1::PodAutoscaler;
use std::collections::BTreeMap;

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// A finding with the document it is about, from 1.
pub(super) type Across = (usize, Placed);

/// An object's name, or what it scales, either within its namespace.
type Key<'m> = (&'m str, Vec<&'m str>);

fn namespace(object: &PodAutoscaler) -> &str {
    object.metadata.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(DEFAULT_NAMESPACE)
}

fn name(object: &PodAutoscaler) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

fn target(object: &PodAutoscaler) -> Option<Key<'_>> {
    let target = &object.spec.scale_target_ref;
    let kind = target.kind.as_deref().filter(|kind| !kind.is_empty())?;
    let name = target.name.as_deref().filter(|name| !name.is_empty())?;
    Some((namespace(object), vec![kind, name, object.spec.role_name().unwrap_or_default()]))
}

/// `document 2, line 14`, or as much of it as is known.
fn place(origin: &Origin, path: &str) -> String {
    match origin.lines.at(path) {
        0 => format!("document {}", origin.document),
        line => format!("document {}, line {line}", origin.document),
    }
}

/// Within one file.
pub(super) fn within(manifest: &Manifest) -> Vec<Across> {
    let (mut names, mut targets) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (object, origin) in manifest.autoscalers.iter().zip(&manifest.origins.autoscalers) {
        let mut say = |path: &str, diagnostic| found.push((origin.document, (origin.lines.at(path), diagnostic)));
        let (namespace, own) = (namespace(object), name(object));
        if own.is_empty() {
            continue;
        }
        if let Some(first) = names.insert((namespace, own), origin) {
            let path = "metadata.name";
            let message = format!(
                "two PodAutoscalers are called {own:?} in namespace {namespace:?}; the other is in {}",
                place(first, path)
            );
            say(path, Diagnostic::error(path, message));
            continue;
        }
        let Some(key) = target(object) else { continue };
        let path = "spec.scaleTargetRef";
        match targets.get(&key) {
            Some((first, place)) => {
                let message =
                    format!("PodAutoscalers {first:?} ({place}) and {own:?} have one target; the older one scales it");
                say(path, Diagnostic::warning(path, message));
            }
            None => {
                targets.insert(key, (own, place(origin, path)));
            }
        }
    }
    alone(manifest, &mut found);
    found
}

/// Roles without a counterpart in the file; it may be in another one, so nothing is wrong yet.
fn alone(manifest: &Manifest, found: &mut Vec<Across>) {
    let coordinated = || {
        let objects = manifest.autoscalers.iter().zip(&manifest.origins.autoscalers);
        objects.filter_map(|(object, origin)| Some((object, origin, object.spec.coordination.as_ref()?)))
    };
    for (object, origin, own) in coordinated() {
        let partner = |other: &PodAutoscaler| {
            let theirs = other.spec.coordination.as_ref();
            namespace(other) == namespace(object)
                && theirs.is_some_and(|theirs| theirs.group == own.group && theirs.role != own.role)
        };
        if !own.group.is_empty() && !coordinated().any(|(other, ..)| partner(other)) {
            let path = "spec.coordination";
            let message = format!(
                "no other role of group {} is in this file; it takes effect beside one in namespace {:?}",
                quote(&own.group),
                namespace(object)
            );
            found.push((origin.document, (origin.lines.at(path), Diagnostic::note(path, message))));
        }
    }
}

/// Between files that are checked together: warnings, since the files may be variants of which one is applied. Each is
/// put to the later file.
pub fn between(manifests: &mut [Manifest]) {
    let (mut names, mut targets) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (index, manifest) in manifests.iter().enumerate() {
        for (object, origin) in manifest.autoscalers.iter().zip(&manifest.origins.autoscalers) {
            let own = name(object);
            let mut say = |path: &str, message: String| {
                let place = (origin.document, origin.lines.at(path));
                found.push((index, place, Diagnostic::warning(path, message)));
            };
            if own.is_empty() {
                continue;
            }
            let first = *names.entry((namespace(object), own)).or_insert(index);
            if manifests[first].file != manifest.file {
                say("metadata.name", format!("{} has a PodAutoscaler {own:?} too", manifests[first].file));
                continue;
            }
            let Some(key) = target(object) else { continue };
            let (first, other) = *targets.entry(key).or_insert((index, own));
            if manifests[first].file != manifest.file {
                let file = &manifests[first].file;
                let message = format!("PodAutoscaler {other:?} of {file} has this target too; the older one scales it");
                say("spec.scaleTargetRef", message);
            }
        }
    }
    for (index, (document, line), diagnostic) in found {
        let (file, documents) = (manifests[index].file.clone(), manifests[index].documents);
        manifests[index].findings.push(Finding { file, document: (document, documents), line, diagnostic });
    }
}
