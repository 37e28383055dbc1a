//! Fetches many metrics pages at once.
