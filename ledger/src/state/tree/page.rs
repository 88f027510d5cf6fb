//! Pages: the stored form of the tree. One page holds the sixteen children of a path of nibbles, leaves included, so
//! that a new record rewrites two or three rows instead of one for every node above it and one for itself.
//!
//! Owns the form of a page and its hash, which is the tree crate's: a subtree without leaves hashes to the placeholder,
//! one with a single leaf to that leaf, any other to SHA-256 over a domain and its two halves.

use jmt::proof::{INTERNAL_DOMAIN_SEPARATOR, LEAF_DOMAIN_SEPARATOR};
use sha2::{Digest, Sha256};

use crate::block::Hash;

/// Children of a page: a path grows by one nibble per page.
pub const WIDTH: usize = 16;
/// Nibbles of a key.
pub const NIBBLES: usize = 64;
/// Hash of a subtree without leaves.
const PLACEHOLDER: Hash = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";
/// First byte of a stored page.
const FORM: u8 = 1;
/// Form, which slots hold leaves, which hold pages.
const HEAD: usize = 5;

/// What the tree says of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the state key.
    pub key: Hash,
    /// Hash of the value's SHA-256.
    pub value: Hash,
}

/// A child of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slot {
    /// No key begins like this.
    #[default]
    Empty,
    /// Only one key does.
    Leaf(Leaf),
    /// Several do: the hash of their page.
    Page(Hash),
}

/// Sixteen children.
#[derive(Clone, Debug)]
pub struct Page {
    /// By the next nibble of the path.
    slots: [Slot; WIDTH],
    /// What the ranges amount to, as a binary heap: 1 is all of the page, the children of `n` are `2n` and `2n + 1`.
    ranges: [Part; WIDTH],
    /// A bit for each range that changed since.
    stale: u16,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            slots: [Slot::Empty; WIDTH],
            ranges: [Part::Nothing; WIDTH],
            stale: u16::MAX,
        }
    }
}

/// What a range of slots amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// No key.
    Nothing,
    /// One key: it stands for the whole range.
    Leaf(Leaf),
    /// Several: their hash.
    Node(Hash),
}

impl Part {
    fn join(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Nothing, Self::Nothing) => Self::Nothing,
            (Self::Leaf(leaf), Self::Nothing) | (Self::Nothing, Self::Leaf(leaf)) => Self::Leaf(leaf),
            (left, right) => Self::Node(digest(INTERNAL_DOMAIN_SEPARATOR, &left.hash(), &right.hash())),
        }
    }

    /// Hash of the range.
    pub fn hash(self) -> Hash {
        match self {
            Self::Nothing => PLACEHOLDER,
            Self::Leaf(leaf) => digest(LEAF_DOMAIN_SEPARATOR, &leaf.key, &leaf.value),
            Self::Node(hash) => hash,
        }
    }
}

fn digest(domain: &[u8], left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(domain);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

impl Page {
    /// A child.
    pub fn slot(&self, at: usize) -> Slot {
        self.slots[at]
    }

    /// Replaces a child.
    pub fn set(&mut self, at: usize, slot: Slot) {
        self.slots[at] = slot;
        let mut range = (WIDTH + at) / 2;
        while range > 0 {
            self.stale |= 1 << range;
            range /= 2;
        }
    }

    /// Hash of the subtree; of a page that was kept in memory, only what changed is hashed.
    pub fn rehash(&mut self) -> Hash {
        for range in (1..WIDTH).rev().filter(|range| self.stale & 1 << range != 0) {
            let below = |at: usize| match at.checked_sub(WIDTH) {
                Some(slot) => self.part(slot, 1),
                None => self.ranges[at],
            };
            self.ranges[range] = Part::join(below(2 * range), below(2 * range + 1));
        }
        self.stale = 0;
        self.ranges[1].hash()
    }

    /// What `width` slots from `from` on amount to; a width is a power of two, and `from` a multiple of it.
    pub fn part(&self, from: usize, width: usize) -> Part {
        match &self.slots[from..from + width] {
            [Slot::Empty] => Part::Nothing,
            [Slot::Leaf(leaf)] => Part::Leaf(*leaf),
            [Slot::Page(hash)] => Part::Node(*hash),
            _ => {
                let half = width / 2;
                Part::join(self.part(from, half), self.part(from + half, half))
            }
        }
    }

    /// Hash of the subtree.
    pub fn hash(&self) -> Hash {
        self.part(0, WIDTH).hash()
    }

    /// What stands for this page in the page above if it holds fewer than two keys.
    pub fn collapsed(&self) -> Option<Slot> {
        let mut found = Slot::Empty;
        for slot in &self.slots {
            match (found, slot) {
                (_, Slot::Empty) => {}
                (Slot::Empty, Slot::Leaf(leaf)) => found = Slot::Leaf(*leaf),
                _ => return None,
            }
        }
        Some(found)
    }

    /// Appends the stored form: [`FORM`], a bit for each slot with a leaf, a bit for each slot with a page (both u16
    /// big-endian, slot 0 lowest), then key and value of each leaf and hash of each page in the order of the slots.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let bits = |is: fn(&Slot) -> bool| {
            let bits = self.slots.iter().enumerate().filter(|(_, slot)| is(slot));
            bits.fold(0u16, |bits, (at, _)| bits | 1 << at)
        };
        bytes.push(FORM);
        bytes.extend_from_slice(&bits(|slot| matches!(slot, Slot::Leaf(_))).to_be_bytes());
        bytes.extend_from_slice(&bits(|slot| matches!(slot, Slot::Page(_))).to_be_bytes());
        for slot in &self.slots {
            match slot {
                Slot::Empty => {}
                Slot::Leaf(leaf) => {
                    bytes.extend_from_slice(&leaf.key);
                    bytes.extend_from_slice(&leaf.value);
                }
                Slot::Page(hash) => bytes.extend_from_slice(hash),
            }
        }
    }

    /// Bytes of the stored form.
    pub fn size(&self) -> usize {
        let size = |slot: &Slot| match slot {
            Slot::Empty => 0,
            Slot::Leaf(_) => 64,
            Slot::Page(_) => 32,
        };
        HEAD + self.slots.iter().map(size).sum::<usize>()
    }

    /// Reads the stored form; `None` when the bytes aren't exactly that.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[form, a, b, c, d], mut rest) = bytes.split_first_chunk::<HEAD>()?;
        let (leaves, pages) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if form != FORM || leaves & pages != 0 {
            return None;
        }
        let mut next = || {
            let (hash, behind) = rest.split_first_chunk::<32>()?;
            rest = behind;
            Some(*hash)
        };
        let mut page = Self::default();
        for (at, slot) in page.slots.iter_mut().enumerate() {
            if leaves & (1 << at) != 0 {
                let (key, value) = (next()?, next()?);
                *slot = Slot::Leaf(Leaf { key, value });
            } else if pages & (1 << at) != 0 {
                *slot = Slot::Page(next()?);
            }
        }
        rest.is_empty().then_some(page)
    }
}

/// Nibble of a key below a path of this many nibbles.
pub fn nibble(key: &Hash, depth: usize) -> usize {
    let byte = key[depth / 2];
    usize::from(if depth.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// Row of the page of the first `depth` nibbles of a key: their number, then the nibbles packed two a byte.
pub fn row(key: &Hash, depth: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + depth.div_ceil(2));
    // A path has at most 64 nibbles.
    row.push(u8::try_from(depth).unwrap_or(u8::MAX));
    row.extend_from_slice(&key[..depth / 2]);
    if !depth.is_multiple_of(2) {
        row.push(key[depth / 2] & 0xf0);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: Slot = Slot::Leaf(Leaf {
        key: [0x30; 32],
        value: [1; 32],
    });

    fn page() -> Page {
        let mut page = Page::default();
        page.set(3, LEAF);
        page.set(15, Slot::Page([2; 32]));
        page
    }

    fn decoded(bytes: &[u8]) -> Option<[Slot; WIDTH]> {
        Page::decode(bytes).map(|page| page.slots)
    }

    #[test]
    fn a_page_has_one_form() {
        let mut bytes = Vec::new();
        page().encode(&mut bytes);
        assert_eq!(bytes.len(), page().size());
        assert_eq!(decoded(&bytes), Some(page().slots));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(decoded(&longer), None);
        for length in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..length]), None);
        }
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(decoded(&other), Some(page().slots), "bit {bit}");
        }
    }

    #[test]
    fn fewer_than_two_keys_need_no_page() {
        let mut one = Page::default();
        assert_eq!(one.collapsed(), Some(Slot::Empty));
        assert_eq!(one.hash(), PLACEHOLDER);
        one.set(3, LEAF);
        assert_eq!(one.collapsed(), Some(LEAF));
        assert_eq!(page().collapsed(), None);
        one.set(3, Slot::Page([2; 32]));
        assert_eq!(one.collapsed(), None, "a page holds two keys at least");
    }

    #[test]
    fn what_is_kept_of_the_hashes_follows_every_change() {
        let mut page = page();
        for (step, at) in [3, 0, 15, 8, 9, 3, 7, 0, 15].into_iter().enumerate() {
            let slot = match step % 3 {
                0 => Slot::Page([step as u8; 32]),
                1 => LEAF,
                _ => Slot::Empty,
            };
            page.set(at, slot);
            assert_eq!(page.rehash(), page.hash(), "step {step}");
        }
    }

    #[test]
    fn rows_are_told_apart() {
        let key = [0xab; 32];
        assert_eq!(row(&key, 0), [0]);
        assert_eq!(row(&key, 3), [3, 0xab, 0xa0]);
        assert_eq!(row(&key, 4), [4, 0xab, 0xab]);
        assert_eq!((nibble(&key, 2), nibble(&key, 3)), (10, 11));
    }
}
