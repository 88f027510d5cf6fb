//! Blocks of peers that are not decided yet.
//!
//! Owns what is kept in memory for them and bounds it: a peer that lies, or a proposer that sends a hundred blocks
//! for one round, costs a fixed amount. It judges nothing.

use std::collections::BTreeMap;

use arc_malachitebft_app_channel::app::types::ProposedValue;

use crate::block::Hash;
use crate::engine::context::{Address, Ctx, Part, PartHeader, Value};

/// Heights ahead of the tip for which parts are kept; the engine keeps votes for as many.
const AHEAD: u64 = 10;
/// Rounds ahead of the current one for which parts are taken; the engine takes votes for as many.
const ROUNDS_AHEAD: u32 = 10;
/// Different blocks per round that are looked at: one honest, one to prove that the proposer isn't.
const PER_ROUND: usize = 2;
/// Bytes kept for later heights, in largest blocks.
const EARLY_BLOCKS: usize = 8;

/// What the application said about a block, with the header to send it on.
#[derive(Clone, Debug)]
pub struct Judged {
    pub header: PartHeader,
    /// `None` if the bytes weren't a block.
    pub value: Option<ProposedValue<Ctx>>,
}

/// Parts of later heights, and judgements of the current height.
pub struct Parts {
    max_bytes: usize,
    bytes: usize,
    early: BTreeMap<(u64, u32, Address), Part>,
    judged: BTreeMap<u32, Vec<Judged>>,
}

impl Parts {
    pub fn new(max_block: usize) -> Self {
        Self {
            max_bytes: EARLY_BLOCKS * max_block,
            bytes: 0,
            early: BTreeMap::new(),
            judged: BTreeMap::new(),
        }
    }

    /// Could a part of this position be of use?
    pub fn wanted(tip: u64, height: u64, current_round: u32, round: u32) -> bool {
        height > tip && height <= tip.saturating_add(AHEAD) && round <= current_round.saturating_add(ROUNDS_AHEAD)
    }

    /// Keeps a part of a later height. When memory runs out the furthest ones go first; sync will supply them.
    pub fn keep(&mut self, part: Part) {
        let key = (part.header.height.0, part.header.round, part.header.proposer);
        if self.early.contains_key(&key) {
            return;
        }
        self.bytes += part.block.len();
        self.early.insert(key, part);
        while self.bytes > self.max_bytes {
            let Some((_, dropped)) = self.early.pop_last() else {
                break;
            };
            self.bytes -= dropped.block.len();
        }
    }

    pub fn has(&self, height: u64) -> bool {
        self.early
            .range((height, 0, Address([0; 20]))..)
            .next()
            .is_some_and(|((first, _, _), _)| *first == height)
    }

    /// Begins a height: forgets all before it and hands out what was kept for it.
    pub fn begin(&mut self, height: u64) -> Vec<Part> {
        self.judged.clear();
        let later = self.early.split_off(&(height.saturating_add(1), 0, Address([0; 20])));
        let until = std::mem::replace(&mut self.early, later);
        self.bytes = self.early.values().map(|part| part.block.len()).sum();
        until
            .into_values()
            .filter(|part| part.header.height.0 == height)
            .collect()
    }

    /// The judgement of these bytes in this round of the current height.
    pub fn judgement(&self, round: u32, digest: &Hash) -> Option<&Judged> {
        self.judged
            .get(&round)?
            .iter()
            .find(|judged| judged.header.digest == *digest)
    }

    /// The judged block with this hash, to be sent on.
    pub fn header(&self, round: u32, value: &Value) -> Option<PartHeader> {
        let is_it = |judged: &&Judged| judged.value.as_ref().is_some_and(|proposed| proposed.value == *value);
        self.judged.get(&round)?.iter().find(is_it).map(|judged| judged.header)
    }

    pub fn is_full(&self, round: u32) -> bool {
        self.judged.get(&round).is_some_and(|judged| judged.len() >= PER_ROUND)
    }

    pub fn remember(&mut self, judged: Judged) {
        self.judged.entry(judged.header.round).or_default().push(judged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::context::{Height, Signature};

    fn part(height: u64, round: u32, bytes: usize) -> Part {
        let header = PartHeader {
            height: Height(height),
            round,
            valid_round: None,
            proposer: Address([1; 20]),
            digest: [0; 32],
            signature: Signature([0; 64]),
        };
        Part {
            header,
            block: vec![0; bytes].into(),
        }
    }

    #[test]
    fn memory_is_bounded_and_the_nearest_are_kept() {
        let mut parts = Parts::new(100);
        for height in (2..50).rev() {
            parts.keep(part(height, 0, 100));
        }
        assert!(parts.bytes <= 800);
        assert!(parts.has(2) && parts.has(9) && !parts.has(10));
        assert_eq!(parts.begin(2).len(), 1);
        assert!(!parts.has(2));
        assert_eq!(parts.bytes, 700);
    }

    #[test]
    fn beginning_a_height_forgets_the_earlier_ones() {
        let mut parts = Parts::new(100);
        parts.keep(part(2, 0, 10));
        parts.keep(part(3, 1, 10));
        parts.keep(part(3, 1, 20));
        parts.keep(part(4, 0, 10));
        assert_eq!(parts.begin(3).len(), 1);
        assert!(parts.has(4));
        assert_eq!(parts.bytes, 10);
    }

    #[test]
    fn far_positions_are_not_wanted() {
        assert!(Parts::wanted(5, 6, 0, 10));
        assert!(!Parts::wanted(5, 5, 0, 0));
        assert!(!Parts::wanted(5, 16, 0, 0));
        assert!(!Parts::wanted(5, 6, 0, 11));
        assert!(Parts::wanted(u64::MAX - 1, u64::MAX, u32::MAX, u32::MAX));
    }
}
