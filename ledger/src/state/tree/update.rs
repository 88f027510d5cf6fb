//! Writing: the pages that a version changes.
//!
//! Owns the walk from the root to the changed keys and back. Each changed page is read, hashed and written once per
//! version, whatever the number of its keys that change.

use super::cache::place;
use super::page::{Leaf, Page, Slot, nibble, row};
use super::{NodeBatch, StateError, TreeStore, stored_page};
use crate::block::Hash;

/// A key's new value, or none when it is removed.
pub struct Write {
    pub key: Hash,
    pub value: Option<Hash>,
}

impl Write {
    fn slot(&self) -> Slot {
        let (key, value) = (self.key, self.value);
        value.map_or(Slot::Empty, |value| Slot::Leaf(Leaf { key, value }))
    }
}

/// One version in the making.
pub struct Update<'a> {
    pub store: &'a dyn TreeStore,
    pub batch: NodeBatch,
}

impl Update<'_> {
    /// Applies writes, ascending by key, that all lie below the page of `depth` nibbles.
    pub fn page(&mut self, page: &mut Page, writes: &[Write], depth: usize) -> Result<(), StateError> {
        for group in writes.chunk_by(|a, b| nibble(&a.key, depth) == nibble(&b.key, depth)) {
            let at = nibble(&group[0].key, depth);
            page.set(at, self.slot(page.slot(at), group, depth + 1)?);
        }
        Ok(())
    }

    fn slot(&mut self, slot: Slot, group: &[Write], depth: usize) -> Result<Slot, StateError> {
        let first = &group[0];
        let mut page = match (slot, group) {
            (Slot::Empty, [one]) => return Ok(one.slot()),
            (Slot::Leaf(leaf), [one]) if leaf.key == one.key => return Ok(one.slot()),
            (Slot::Page(_), _) => self.load(&first.key, depth)?,
            (Slot::Empty | Slot::Leaf(_), _) => Box::default(),
        };
        if let Slot::Leaf(leaf) = slot {
            page.set(nibble(&leaf.key, depth), slot);
        }
        self.page(&mut page, group, depth)?;
        if let Some(collapsed) = page.collapsed() {
            if matches!(slot, Slot::Page(_)) {
                self.batch.stale.push(row(&first.key, depth));
            }
            return Ok(collapsed);
        }
        let hash = page.rehash();
        let mut bytes = Vec::with_capacity(page.size());
        page.encode(&mut bytes);
        self.batch.new.push((row(&first.key, depth), bytes));
        self.batch
            .upper
            .extend(place(&first.key, depth).map(|place| (place, page)));
        Ok(Slot::Page(hash))
    }

    /// A page to change. Pages are large: they are not copied or moved about.
    fn load(&self, key: &Hash, depth: usize) -> Result<Box<Page>, StateError> {
        let cache = self.store.cache();
        match cache.and_then(|cache| cache.take(self.batch.version, key, depth)) {
            Some(page) => Ok(page),
            None => stored_page(self.store, key, depth).map(Box::new),
        }
    }
}
