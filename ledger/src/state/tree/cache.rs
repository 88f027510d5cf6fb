//! The upper levels of the tree in memory: every version reads and changes most of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::NodeBatch;
use super::page::{Page, nibble};
use crate::block::Hash;

/// Levels kept in memory: 16 + 256 + 4,096 pages at most, about 9 MB.
const CACHED_NIBBLES: usize = 3;

/// The pages of the upper levels, of one version. Never wrong, only incomplete: it serves none but the version that
/// follows its own, which takes out what it changes and puts it back when it is adopted.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    version: u64,
    pages: HashMap<u16, Box<Page>>,
}

impl Cache {
    /// Takes over the upper levels of a version that is to be stored. Whoever can't store it must not go on.
    pub fn adopt(&self, batch: &mut NodeBatch) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if batch.version != cached.version + 1 {
            cached.pages.clear();
        }
        cached.version = batch.version;
        cached.pages.extend(batch.upper.drain(..));
    }

    /// Takes out the page of the first `depth` nibbles of a key as the version before `version` has it.
    pub(super) fn take(&self, version: u64, key: &Hash, depth: usize) -> Option<Box<Page>> {
        let place = place(key, depth)?;
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if version != cached.version + 1 {
            return None;
        }
        cached.pages.remove(&place)
    }
}

/// Number of a path in the upper levels: its nibbles behind a leading one, so that paths of different length differ.
pub(super) fn place(key: &Hash, depth: usize) -> Option<u16> {
    // A nibble always fits.
    let add = |place: u16, at| place << 4 | u16::try_from(nibble(key, at)).unwrap_or_default();
    (depth <= CACHED_NIBBLES).then(|| (0..depth).fold(1, add))
}
