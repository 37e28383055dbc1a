//! Files of manifests: several documents, of our kinds and of others, checked as a whole. Every finding carries the
//! document and the line it is about. Must not open files; the text is an argument.

mod across;
mod kinds;
mod lines;
mod list;
mod load;
mod metadata;
mod together;

pub use across::between;

use crate::diagnostics::{Diagnostic, Tally};
use crate::local::{LocalDeployment, LocalWorld};
use crate::tree;
use crate::v1alpha1::PodAutoscaler;
use lines::Lines;
use std::fmt;
use std::path::Path;

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
    /// Every finding, in the order of the file, then those about several objects.
    pub findings: Vec<Finding>,
    /// The name of the file.
    file: String,
    /// How many documents it has, items of lists counted each.
    documents: usize,
    origins: Origins,
    tally: Tally,
}

/// Where the objects of a [`Manifest`] stand, in the same order.
#[derive(Debug, Default)]
struct Origins {
    autoscalers: Vec<Origin>,
    deployments: Vec<Origin>,
}

/// Where an object stands.
#[derive(Debug)]
struct Origin {
    /// Its document, from 1.
    document: usize,
    lines: Lines,
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
    /// The name of the file, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

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

/// Reads and checks the text of a file, YAML or JSON. `file` is only for messages, and its ending says which is meant.
pub fn read(file: &str, text: &str) -> Manifest {
    let json = Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let (documents, broken) = tree::parse(text, json);
    let list::Expanded { documents, wrong, lists, .. } = list::expand(documents);
    let total = documents.len();
    let mut manifest = Manifest { file: file.to_owned(), documents: total, ..Manifest::default() };
    for (line, diagnostic) in wrong {
        manifest.push((0, total), line, diagnostic);
    }
    for (index, document) in documents.iter().enumerate() {
        let checked = load::document(document, index + 1, &mut manifest);
        for (line, diagnostic) in checked.found {
            manifest.push((index + 1, total), line, diagnostic);
        }
        manifest.tally.add(checked.left_out);
    }
    if let Some(broken) = broken {
        manifest.push((total + 1, total + 1), broken.line, Diagnostic::error("", broken.message));
    } else if total == 0 && !lists {
        manifest.push((0, 0), 0, Diagnostic::error("", "the file holds no document"));
    }
    let across = across::within(&manifest).into_iter().chain(together::within(&manifest)).collect::<Vec<_>>();
    for (document, (line, diagnostic)) in across {
        manifest.push((document, total), line, diagnostic);
    }
    if let Some(cut) = manifest.tally.cut() {
        manifest.findings.push(Finding { file: file.to_owned(), document: (0, total), line: 0, diagnostic: cut });
    }
    manifest
}

impl Manifest {
    fn push(&mut self, document: (usize, usize), line: usize, diagnostic: Diagnostic) {
        if self.tally.admits(diagnostic.severity) {
            self.findings.push(Finding { file: self.file.clone(), document, line, diagnostic });
        }
    }
}
