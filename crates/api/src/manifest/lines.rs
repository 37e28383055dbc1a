//! The lines that the fields of one document stand on.

use std::collections::BTreeMap;

/// Lines by field path.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    of: BTreeMap<String, usize>,
    /// The document's own, for what no field is around.
    whole: usize,
}

impl Lines {
    pub(super) fn new(of: BTreeMap<String, usize>, whole: usize) -> Self {
        Self { of, whole }
    }

    /// The line of a field, or of the nearest one around it that the document has; 0 where unknown.
    pub(super) fn at(&self, path: &str) -> usize {
        around(path).find_map(|path| self.of.get(path)).copied().unwrap_or(self.whole)
    }
}

/// A path and those around it, the innermost first.
pub(super) fn around(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |at| at.rfind(['.', '[']).map(|end| &at[..end]))
}
