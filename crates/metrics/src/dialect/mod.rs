//! What engines call things: which engine a page is of, and which families a name stands for.

mod engine;
mod table;

pub use engine::Engine;
pub(crate) use table::{Combine, Definition, Term, definition};

/// Every normalised name and every name of AIBrix's that is understood, in order.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    table::rows().map(|row| row.name)
}

/// Whether a name is one of [`known_names`].
#[must_use]
pub fn is_known(name: &str) -> bool {
    known_names().any(|known| known == name)
}
