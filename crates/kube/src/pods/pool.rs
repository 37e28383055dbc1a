//! One copy of what many pods have in common: pods of one template have the same labels, ports, requests and owner.

use super::view::{Labels, Named};
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Below this many it is not worth looking for what nobody uses any more.
const SMALLEST_SWEEP: usize = 1024;

/// Copies of one type.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    copies: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { copies: HashSet::new(), sweep_at: SMALLEST_SWEEP }
    }
}

impl<T: ?Sized + Hash + Eq> Pool<T> {
    fn share<V>(&mut self, value: V) -> Arc<T>
    where
        V: Borrow<T> + Into<Arc<T>>,
    {
        if let Some(copy) = self.copies.get(value.borrow()) {
            return copy.clone();
        }
        // Bounded by what is in use: pods come and go, and their names must not stay.
        if self.copies.len() >= self.sweep_at {
            self.copies.retain(|copy| Arc::strong_count(copy) > 1);
            self.sweep_at = (self.copies.len() * 2).max(SMALLEST_SWEEP);
        }
        let copy: Arc<T> = value.into();
        self.copies.insert(copy.clone());
        copy
    }
}

/// Shared copies of everything.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    texts: Pool<str>,
    labels: Pool<Labels>,
    named_ports: Pool<[Named<u16>]>,
    named_amounts: Pool<[Named<i64>]>,
}

impl Pools {
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.share(text)
    }

    pub(super) fn labels(&mut self, labels: impl IntoIterator<Item = (String, String)>) -> Arc<Labels> {
        let mut list: Vec<_> = labels.into_iter().map(|(key, value)| (self.text(&key), self.text(&value))).collect();
        list.sort();
        self.labels.share(list)
    }

    pub(super) fn ports(&mut self, ports: &[(&str, u16)]) -> Arc<[Named<u16>]> {
        let list: Vec<_> = ports.iter().map(|(name, port)| (self.text(name), *port)).collect();
        self.named_ports.share(list)
    }

    pub(super) fn amounts(&mut self, amounts: &[(&str, i64)]) -> Arc<[Named<i64>]> {
        let list: Vec<_> = amounts.iter().map(|(name, amount)| (self.text(name), *amount)).collect();
        self.named_amounts.share(list)
    }

    /// How many copies are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.copies.len()
            + self.labels.copies.len()
            + self.named_ports.copies.len()
            + self.named_amounts.copies.len()
    }
}
