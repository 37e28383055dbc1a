//! What every world shares around the core: the manifest's meaning for it, observations in their wire form, `decide`.

pub mod decide;
pub mod pages;
pub mod planning;
pub mod profiles;
pub mod quantity;
pub mod record;
pub mod spec;
