//! Transactions that wait for a block: bounded, in order of arrival, each at most once.
//!
//! Owns the waiting set only; judging transactions is the executor's, relaying them the node's. Generic over what is
//! kept, so that it is tested without signatures. What counts against the bound is the memory that an entry takes, and
//! no signer may take more than a quarter of it, so that none can shut out the others.

use std::collections::{BTreeMap, HashMap};

use crate::transaction::TransactionId;

/// What the mempool needs to know of an entry.
pub trait Waiting: Clone {
    /// Identity.
    fn id(&self) -> TransactionId;
    /// Bytes in a block.
    fn size(&self) -> usize;
    /// Bytes of memory while it waits.
    fn held(&self) -> usize;
    /// Whose share it counts against.
    fn signer(&self) -> &str;
    /// Actions in a block.
    fn actions(&self) -> usize;
    /// Block time in milliseconds after which it can't be executed.
    fn valid_until(&self) -> u64;
}

/// What happened to an offered transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Waits now.
    Added,
    /// Waited already.
    Known,
    /// No room; try again later.
    Full,
    /// The signer has its share; try again later.
    Share,
    /// More than a signer's whole share; it will never fit.
    TooLarge,
}

#[derive(Debug)]
struct Kept<T> {
    entry: T,
    held: usize,
}

/// No signer holds more than one part in this many.
const SHARES: usize = 4;

/// The waiting set.
#[derive(Debug)]
pub struct Mempool<T> {
    entries: BTreeMap<u64, Kept<T>>,
    by_id: HashMap<TransactionId, u64>,
    /// Bytes held for each signer that has something waiting.
    shares: HashMap<String, usize>,
    next: u64,
    bytes: usize,
    capacity: usize,
}

impl<T: Waiting> Mempool<T> {
    /// An empty set that holds at most `capacity` bytes of memory.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_id: HashMap::new(),
            shares: HashMap::new(),
            next: 0,
            bytes: 0,
            capacity,
        }
    }

    /// Adds a transaction at the end.
    pub fn offer(&mut self, entry: T) -> Offer {
        if self.by_id.contains_key(&entry.id()) {
            return Offer::Known;
        }
        let held = entry.held();
        let most = self.capacity / SHARES;
        let share = self.shares.get(entry.signer()).copied().unwrap_or(0);
        if held > most {
            return Offer::TooLarge;
        }
        if share + held > most {
            return Offer::Share;
        }
        if self.bytes + held > self.capacity {
            return Offer::Full;
        }
        self.bytes += held;
        self.shares.insert(entry.signer().to_owned(), share + held);
        self.by_id.insert(entry.id(), self.next);
        self.entries.insert(self.next, Kept { entry, held });
        self.next += 1;
        Offer::Added
    }

    /// The waiting transaction with this id.
    pub fn get(&self, id: &TransactionId) -> Option<&T> {
        self.entries.get(self.by_id.get(id)?).map(|kept| &kept.entry)
    }

    /// The oldest transactions that fit a block, without removing them. The first is taken whatever its size, so
    /// that none blocks the queue for ever.
    pub fn select(&self, max_bytes: usize, max_actions: usize) -> Vec<T> {
        let (mut bytes, mut actions) = (0, 0);
        let mut chosen: Vec<T> = Vec::new();
        for Kept { entry, .. } in self.entries.values() {
            bytes += entry.size();
            actions += entry.actions();
            if !chosen.is_empty() && (bytes > max_bytes || actions > max_actions) {
                break;
            }
            chosen.push(entry.clone());
        }
        chosen
    }

    /// Removes what a block decided.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a TransactionId>) {
        for id in ids {
            let Some(Kept { entry, held }) = self.by_id.remove(id).and_then(|at| self.entries.remove(&at)) else {
                continue;
            };
            self.bytes -= held;
            if let Some(share) = self.shares.get_mut(entry.signer()) {
                *share -= held;
                if *share == 0 {
                    self.shares.remove(entry.signer());
                }
            }
        }
    }

    /// Removes and returns what can't be executed any more at this block time.
    pub fn expire(&mut self, time: u64) -> Vec<TransactionId> {
        let expired: Vec<TransactionId> = self
            .entries
            .values()
            .map(|kept| &kept.entry)
            .filter(|entry| entry.valid_until() < time)
            .map(Waiting::id)
            .collect();
        self.remove(&expired);
        expired
    }

    /// Number of waiting transactions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory of the waiting transactions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Toy {
        id: u8,
        held: usize,
        until: u64,
    }

    impl Toy {
        /// Three signers.
        fn by(&self) -> u8 {
            self.id % 3
        }
    }

    impl Waiting for Toy {
        fn id(&self) -> TransactionId {
            TransactionId([self.id; 32])
        }
        fn size(&self) -> usize {
            self.held / 2
        }
        fn held(&self) -> usize {
            self.held
        }
        fn signer(&self) -> &str {
            ["a", "b", "c"][usize::from(self.by())]
        }
        fn actions(&self) -> usize {
            1
        }
        fn valid_until(&self) -> u64 {
            self.until
        }
    }

    #[test]
    fn one_signer_leaves_room_for_the_others() {
        let mut pool = Mempool::new(400);
        let toy = |id, held| Toy { id, held, until: 9 };
        assert_eq!(pool.offer(toy(0, 101)), Offer::TooLarge);
        assert_eq!(pool.offer(toy(0, 60)), Offer::Added);
        assert_eq!(pool.offer(toy(3, 60)), Offer::Share);
        assert_eq!(pool.offer(toy(3, 40)), Offer::Added);
        assert_eq!(pool.offer(toy(6, 1)), Offer::Share);
        assert_eq!(pool.offer(toy(1, 100)), Offer::Added);
        pool.remove([&TransactionId([0; 32])]);
        assert_eq!(pool.offer(toy(6, 60)), Offer::Added);
    }

    proptest! {
        #[test]
        fn never_holds_more_than_its_capacity_nor_anything_twice(
            steps in prop::collection::vec((any::<u8>(), 1usize..80, 0u64..20, 0u8..4), 1..200),
        ) {
            let mut pool = Mempool::new(200);
            let mut model: Vec<Toy> = Vec::new();
            for (id, held, until, step) in steps {
                match step {
                    0 | 1 => {
                        let toy = Toy { id, held, until };
                        let all: usize = model.iter().map(|t| t.held).sum();
                        let own: usize = model.iter().filter(|t| t.by() == toy.by()).map(|t| t.held).sum();
                        let wanted = if model.iter().any(|t| t.id == id) { Offer::Known }
                            else if held > 50 { Offer::TooLarge }
                            else if own + held > 50 { Offer::Share }
                            else if all + held > 200 { Offer::Full }
                            else { Offer::Added };
                        prop_assert_eq!(pool.offer(toy.clone()), wanted);
                        if wanted == Offer::Added { model.push(toy); }
                    }
                    2 => {
                        pool.remove([&TransactionId([id; 32])]);
                        model.retain(|t| t.id != id);
                    }
                    _ => {
                        pool.expire(until);
                        model.retain(|t| t.until >= until);
                    }
                }
                prop_assert_eq!(pool.bytes(), model.iter().map(|t| t.held).sum::<usize>());
                prop_assert_eq!(pool.select(usize::MAX, usize::MAX), model.clone());
                let some = pool.select(30, 3);
                prop_assert!(model.starts_with(&some) && some.len() <= 3 && (some.is_empty() == model.is_empty()));
            }
        }
    }
}
