//! Transactions that wait for a block: bounded, in order of arrival, each at most once.
//!
//! Owns the waiting set only; judging transactions is the executor's, relaying them the node's. Generic over what is
//! kept beside the bytes, so that it is tested without signatures.

use std::collections::{BTreeMap, HashMap};

use crate::transaction::TransactionId;

/// What the mempool needs to know of an entry.
pub trait Waiting: Clone {
    /// Identity.
    fn id(&self) -> TransactionId;
    /// Bytes in a block.
    fn size(&self) -> usize;
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
}

/// The waiting set.
#[derive(Debug)]
pub struct Mempool<T> {
    entries: BTreeMap<u64, T>,
    by_id: HashMap<TransactionId, u64>,
    next: u64,
    bytes: usize,
    capacity: usize,
}

impl<T: Waiting> Mempool<T> {
    /// An empty set that holds at most `capacity` bytes of transactions.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_id: HashMap::new(),
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
        if self.bytes + entry.size() > self.capacity {
            return Offer::Full;
        }
        self.bytes += entry.size();
        self.by_id.insert(entry.id(), self.next);
        self.entries.insert(self.next, entry);
        self.next += 1;
        Offer::Added
    }

    /// The waiting transaction with this id.
    pub fn get(&self, id: &TransactionId) -> Option<&T> {
        self.entries.get(self.by_id.get(id)?)
    }

    /// The oldest transactions that fit a block, without removing them. The first is taken whatever its size, so
    /// that none blocks the queue for ever.
    pub fn select(&self, max_bytes: usize, max_actions: usize) -> Vec<T> {
        let (mut bytes, mut actions) = (0, 0);
        let mut chosen: Vec<T> = Vec::new();
        for entry in self.entries.values() {
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
            if let Some(entry) = self.by_id.remove(id).and_then(|at| self.entries.remove(&at)) {
                self.bytes -= entry.size();
            }
        }
    }

    /// Removes and returns what can't be executed any more at this block time.
    pub fn expire(&mut self, time: u64) -> Vec<TransactionId> {
        let expired: Vec<TransactionId> = self
            .entries
            .values()
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

    /// Bytes of waiting transactions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Toy(u8, usize, u64);

    impl Waiting for Toy {
        fn id(&self) -> TransactionId {
            TransactionId([self.0; 32])
        }
        fn size(&self) -> usize {
            self.1
        }
        fn actions(&self) -> usize {
            1
        }
        fn valid_until(&self) -> u64 {
            self.2
        }
    }

    proptest! {
        #[test]
        fn never_holds_more_than_its_capacity_nor_anything_twice(
            steps in prop::collection::vec((any::<u8>(), 1usize..50, 0u64..20, 0u8..4), 1..200),
        ) {
            let mut pool = Mempool::new(200);
            let mut model: Vec<Toy> = Vec::new();
            for (id, size, until, step) in steps {
                match step {
                    0 | 1 => {
                        let toy = Toy(id, size, until);
                        let held: usize = model.iter().map(Waiting::size).sum();
                        let wanted = if model.iter().any(|t| t.0 == id) { Offer::Known }
                            else if held + size > 200 { Offer::Full } else { Offer::Added };
                        prop_assert_eq!(pool.offer(toy.clone()), wanted);
                        if wanted == Offer::Added { model.push(toy); }
                    }
                    2 => {
                        pool.remove([&TransactionId([id; 32])]);
                        model.retain(|t| t.0 != id);
                    }
                    _ => {
                        pool.expire(until);
                        model.retain(|t| t.2 >= until);
                    }
                }
                prop_assert_eq!(pool.bytes(), model.iter().map(Waiting::size).sum::<usize>());
                prop_assert_eq!(pool.select(usize::MAX, usize::MAX), model.clone());
                let some = pool.select(60, 3);
                prop_assert!(model.starts_with(&some) && some.len() <= 3 && (some.is_empty() == model.is_empty()));
            }
        }
    }
}
