//! Which kind a document is, from its `apiVersion` and `kind`, with hints for near misses.

use crate::diagnostics::{Diagnostic, nearest, quote};
use crate::local;
use crate::tree::{Node, Value};
use crate::v1alpha1;

/// The kinds that are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// AIBrix's autoscaler.
    Autoscaler,
    /// What the local world runs.
    Deployment,
    /// The machine.
    World,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Autoscaler, Self::Deployment, Self::World];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Autoscaler => v1alpha1::KIND,
            Self::Deployment => local::DEPLOYMENT_KIND,
            Self::World => local::WORLD_KIND,
        }
    }

    fn api_version(self) -> String {
        match self {
            Self::Autoscaler => format!("{}/{}", v1alpha1::GROUP, v1alpha1::VERSION),
            Self::Deployment | Self::World => local::API_VERSION.to_owned(),
        }
    }
}

/// The kind, or why the document is not read.
pub(super) fn kind(document: &Node) -> Result<Kind, Diagnostic> {
    let text = |field| document.get(field).and_then(Node::text).filter(|text| !text.is_empty());
    for field in ["kind", "apiVersion"] {
        if let Some(wrong) = document.get(field).and_then(|node| not_text(field, &node.value)) {
            return Err(wrong);
        }
    }
    let Some(name) = text("kind") else {
        return Err(Diagnostic::error("kind", "is required").allowed("PodAutoscaler, LocalDeployment, LocalWorld"));
    };
    let api_version = text("apiVersion");
    let group = api_version.unwrap_or_default().split_once('/').map_or("", |(group, _)| group);
    let ours = [v1alpha1::GROUP, local::GROUP].contains(&group);
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) {
        let expected = kind.api_version();
        return match api_version {
            Some(api_version) if api_version == expected => Ok(kind),
            Some(other) => {
                Err(Diagnostic::error("apiVersion", format!("{} has no {name}", quote(other))).allowed(expected))
            }
            None => Err(Diagnostic::error("apiVersion", "is required").allowed(expected)),
        };
    }
    let near = nearest(name, Kind::ALL.map(Kind::name));
    match (near, ours) {
        (Some(near), _) if ours || near.eq_ignore_ascii_case(name) => {
            Err(Diagnostic::error("kind", format!("unknown kind {}; did you mean {near}?", quote(name))))
        }
        (_, true) => Err(Diagnostic::error("kind", format!("unknown kind {}", quote(name)))
            .allowed("PodAutoscaler, LocalDeployment, LocalWorld")),
        _ => Err(Diagnostic::note("", format!("kind {} is not read here, skipped", quote(name)))),
    }
}

/// A value that is there and is no string.
fn not_text(field: &str, value: &Value) -> Option<Diagnostic> {
    let message = match value {
        Value::Text(_) | Value::Null => return None,
        Value::Number(_, raw) | Value::Bool(_, raw) => format!("must be a string, not {}", quote(raw)),
        other => format!("must be a string, not {}", other.kind()),
    };
    Some(Diagnostic::error(field, message))
}
