//! Files of manifests: several documents, of our kinds and of others, checked as a whole. Every finding carries the
//! document and the line it is about. Must not open files; the text is an argument.

mod kinds;
mod load;

use crate::diagnostics::Diagnostic;
use crate::local::{LocalDeployment, LocalWorld};
use crate::tree;
use crate::v1alpha1::PodAutoscaler;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Findings of one file; more say nothing new.
pub const MAX_FINDINGS: usize = 1_000;

/// What a file holds. Objects are there even where they have errors, mended, so that rules across objects can be
/// checked; use them only if [`Manifest::is_valid`].
#[derive(Debug, Default)]
pub struct Manifest {
    /// Autoscalers, in the order of the file.
    pub autoscalers: Vec<PodAutoscaler>,
    /// What the local world runs.
    pub deployments: Vec<LocalDeployment>,
    /// The machine, where the file says.
    pub world: Option<LocalWorld>,
    /// Every finding, in the order of the file.
    pub findings: Vec<Finding>,
}

/// A finding and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the file, as it was given.
    pub file: String,
    /// The document in the file, from 1, and how many there are.
    pub document: (usize, usize),
    /// The line, from 1; 0 where unknown.
    pub line: usize,
    /// What is wrong.
    pub diagnostic: Diagnostic,
}

impl fmt::Display for Finding {
    /// `FILE: path: message (allowed: …) [document 2, line 14]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.diagnostic)?;
        let (document, of) = self.document;
        match (of > 1 && document > 0, self.line > 0) {
            (true, true) => write!(f, " [document {document}, line {}]", self.line),
            (true, false) => write!(f, " [document {document}]"),
            (false, true) => write!(f, " [line {}]", self.line),
            (false, false) => Ok(()),
        }
    }
}

impl Manifest {
    /// Whether nothing in the file is refused.
    pub fn is_valid(&self) -> bool {
        !self.findings.iter().any(|finding| finding.diagnostic.is_error())
    }

    /// The deployment that an autoscaler's target means in the local world: of its own kind or of Kubernetes'.
    pub fn deployment_of(&self, autoscaler: &PodAutoscaler) -> Option<&LocalDeployment> {
        let target = &autoscaler.spec.scale_target_ref;
        let kind = target.kind.as_deref().unwrap_or_default();
        if !["Deployment", crate::local::DEPLOYMENT_KIND].contains(&kind) {
            return None;
        }
        self.deployments.iter().find(|one| one.metadata.name == target.name)
    }
}

/// Reads and checks the text of a file, YAML or JSON. `file` is only for messages.
pub fn read(file: &str, text: &str) -> Manifest {
    let (documents, broken) = tree::parse(text);
    let documents = load::expand(documents);
    let total = documents.len();
    let mut manifest = Manifest::default();
    for (index, document) in documents.iter().enumerate() {
        let found = load::document(document, &mut manifest);
        for (line, diagnostic) in found {
            manifest.push(file, (index + 1, total), line, diagnostic);
        }
    }
    if let Some(broken) = broken {
        manifest.push(file, (total + 1, total + 1), broken.line, Diagnostic::error("", broken.message));
    } else if total == 0 {
        manifest.push(file, (0, 0), 0, Diagnostic::error("", "the file holds no document"));
    }
    across(file, total, &mut manifest);
    manifest
}

impl Manifest {
    fn push(&mut self, file: &str, document: (usize, usize), line: usize, diagnostic: Diagnostic) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { file: file.to_owned(), document, line, diagnostic });
        }
    }
}

/// Rules across objects: names are unique, and two autoscalers do not share a target.
fn across(file: &str, total: usize, manifest: &mut Manifest) {
    let mut found = Vec::new();
    let mut deployments = BTreeSet::new();
    for deployment in &manifest.deployments {
        let name = deployment.metadata.name.clone().unwrap_or_default();
        if !deployments.insert(name.clone()) {
            found.push(Diagnostic::error("", format!("two LocalDeployments are called {name:?}")));
        }
    }
    let (mut names, mut targets) = (BTreeSet::new(), BTreeMap::new());
    for autoscaler in &manifest.autoscalers {
        let (meta, spec) = (&autoscaler.metadata, &autoscaler.spec);
        let name = meta.name.clone().unwrap_or_default();
        let namespace = meta.namespace.clone().unwrap_or_default();
        if !names.insert((namespace.clone(), name.clone())) {
            found.push(Diagnostic::error("", format!("two PodAutoscalers are called {name:?}")));
        }
        let target = &spec.scale_target_ref;
        let key = (namespace, target.kind.clone(), target.name.clone(), spec.role_name().map(str::to_owned));
        if let Some(first) = targets.get(&key) {
            let message = format!("PodAutoscalers {first:?} and {name:?} have one target; the older one scales it");
            found.push(Diagnostic::warning("", message));
        } else {
            targets.insert(key, name);
        }
    }
    for diagnostic in found {
        manifest.push(file, (0, total), 0, diagnostic);
    }
}
