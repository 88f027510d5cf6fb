//! Proofs, in the tree crate's form: the leaf at the end of a key's path if there is one, and beside each step down what
//! lies on the other side, the lowest first.
//!
//! Owns the walk. That a proof shows what it should is checked by the crate before it leaves.

use borsh::BorshSerialize;

use super::page::{Leaf, NIBBLES, Page, Part, WIDTH, nibble};
use super::{StateError, TreeStore, damaged, stored_page};
use crate::block::Hash;

/// A proof as the crate reads it.
#[derive(BorshSerialize)]
pub struct Proof {
    /// Key and value hash.
    leaf: Option<(Hash, Hash)>,
    beside: Vec<Beside>,
}

/// The other side of a step.
#[derive(BorshSerialize)]
enum Beside {
    Nothing,
    /// Hashes of its two halves.
    Node(Hash, Hash),
    /// Key and value hash.
    Leaf(Hash, Hash),
}

/// Walks down to a key from the page of the root.
pub fn prove(store: &dyn TreeStore, root: Page, key: &Hash) -> Result<Proof, StateError> {
    let (mut page, mut beside) = (root, Vec::new());
    for depth in 0..NIBBLES {
        let (mut from, mut width) = (0, WIDTH);
        loop {
            match (page.part(from, width), width) {
                (Part::Nothing, _) => return Ok(finished(None, beside)),
                (Part::Leaf(leaf), _) => return Ok(finished(Some(leaf), beside)),
                (Part::Node(_), 1) => break,
                (Part::Node(_), _) => {}
            }
            width /= 2;
            let (left, right) = (from, from + width);
            let other = if nibble(key, depth) < right { right } else { left };
            from = left + right - other;
            beside.push(other_side(store, &page, (other, width), key, depth)?);
        }
        page = stored_page(store, key, depth + 1)?;
    }
    Err(damaged("a path of the state tree has no end"))
}

fn finished(leaf: Option<Leaf>, mut beside: Vec<Beside>) -> Proof {
    beside.reverse();
    let leaf = leaf.map(|leaf| (leaf.key, leaf.value));
    Proof { leaf, beside }
}

fn other_side(
    store: &dyn TreeStore,
    page: &Page,
    (from, width): (usize, usize),
    key: &Hash,
    depth: usize,
) -> Result<Beside, StateError> {
    let halves = |page: &Page, from: usize, half: usize| {
        Beside::Node(page.part(from, half).hash(), page.part(from + half, half).hash())
    };
    match (page.part(from, width), width) {
        (Part::Nothing, _) => Ok(Beside::Nothing),
        (Part::Leaf(leaf), _) => Ok(Beside::Leaf(leaf.key, leaf.value)),
        (Part::Node(_), 1) => {
            let below = stored_page(store, &neighbour(key, depth, from), depth + 1)?;
            Ok(halves(&below, 0, WIDTH / 2))
        }
        (Part::Node(_), _) => Ok(halves(page, from, width / 2)),
    }
}

/// A key with another nibble below a path of `depth` nibbles.
fn neighbour(key: &Hash, depth: usize, nibble: usize) -> Hash {
    let mut other = *key;
    // A nibble always fits.
    let nibble = u8::try_from(nibble).unwrap_or_default();
    let byte = &mut other[depth / 2];
    *byte = if depth.is_multiple_of(2) {
        *byte & 0x0f | nibble << 4
    } else {
        *byte & 0xf0 | nibble
    };
    other
}
