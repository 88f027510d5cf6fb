//! What was accepted and isn't final: who waits for it, and until when it may land.
//!
//! Pure bookkeeping under one lock; no I/O.

use muniment_ledger::transaction::{Transaction, TransactionId};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

use super::answer::Decided;

/// An accepted transaction.
pub struct Entry {
    /// Identity.
    pub id: TransactionId,
    /// What is sent.
    pub transaction: Transaction,
    /// Order of acceptance, and number of its outbox row if it gets one.
    pub seq: i64,
    /// Whether we hold the key and may sign again.
    pub ours: bool,
    /// Signed here just before it came in: no block that was followed by then can hold it.
    pub fresh: bool,
    /// Block time up to which it may be executed, milliseconds.
    pub valid_until: i64,
    /// Acceptance, milliseconds.
    pub created_at: i64,
    /// When it was last sent, milliseconds; 0 never.
    pub sent_at: AtomicI64,
    /// Whether it was refused last because its signer has no room left: all others are sent again before it.
    pub crowded: AtomicBool,
}

impl Entry {
    /// Notes that it is being sent.
    pub fn sent(&self, now: i64) {
        self.sent_at.store(now, Ordering::Relaxed);
    }
}

struct Slot {
    entry: Arc<Entry>,
    /// Outbox rows: none while a caller waits for it, several when it came again.
    rows: Vec<i64>,
    waiters: Vec<oneshot::Sender<Arc<Decided>>>,
}

/// A transaction that left the pending set.
pub struct Removed {
    /// What it was.
    pub entry: Arc<Entry>,
    /// All its outbox rows.
    pub seqs: Vec<i64>,
    /// Who waits.
    pub waiters: Vec<oneshot::Sender<Arc<Decided>>>,
}

#[derive(Default)]
struct Inner {
    slots: HashMap<TransactionId, Slot>,
    by_deadline: BTreeSet<(i64, TransactionId)>,
}

impl Inner {
    fn take(&mut self, id: &TransactionId) -> Option<Removed> {
        let slot = self.slots.remove(id)?;
        self.by_deadline.remove(&(slot.entry.valid_until, *id));
        Some(Removed {
            entry: slot.entry,
            seqs: slot.rows,
            waiters: slot.waiters,
        })
    }
}

/// The pending set.
#[derive(Default)]
pub struct Pending {
    inner: Mutex<Inner>,
}

impl Pending {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a transaction, `stored` when it has its outbox row; true if it is new. The same one again shares the first
    /// one's fate.
    pub fn add(&self, entry: Arc<Entry>, stored: bool, waiters: Vec<oneshot::Sender<Arc<Decided>>>) -> bool {
        let mut inner = self.lock();
        let rows = if stored { vec![entry.seq] } else { Vec::new() };
        if let Some(slot) = inner.slots.get_mut(&entry.id) {
            slot.rows.extend(rows);
            slot.waiters.extend(waiters);
            return false;
        }
        inner.by_deadline.insert((entry.valid_until, entry.id));
        inner.slots.insert(entry.id, Slot { entry, rows, waiters });
        true
    }

    /// Notes that a transaction has got its outbox row; false if it isn't pending any more.
    pub fn stored(&self, id: &TransactionId, row: i64) -> bool {
        let mut inner = self.lock();
        let Some(slot) = inner.slots.get_mut(id) else {
            return false;
        };
        if !slot.rows.contains(&row) {
            slot.rows.push(row);
        }
        true
    }

    /// Whether there is one like this.
    pub fn any(&self, like: impl Fn(&Transaction) -> bool) -> bool {
        self.lock().slots.values().any(|slot| like(&slot.entry.transaction))
    }

    /// Takes a transaction out.
    pub fn remove(&self, id: &TransactionId) -> Option<Removed> {
        self.lock().take(id)
    }

    /// Puts a transaction, which has its outbox row, into the place of an old one: who waited waits for the new one. The
    /// old one's rows, or `None` if it isn't pending any more.
    pub fn replace(&self, old: &TransactionId, new: Arc<Entry>) -> Option<Vec<i64>> {
        let mut inner = self.lock();
        let removed = inner.take(old);
        let (waiters, rows) = removed.map_or((Vec::new(), None), |removed| (removed.waiters, Some(removed.seqs)));
        inner.by_deadline.insert((new.valid_until, new.id));
        let slot = Slot {
            rows: vec![new.seq],
            entry: new.clone(),
            waiters,
        };
        inner.slots.insert(new.id, slot);
        rows
    }

    /// Those that have no outbox row.
    pub fn without_row(&self) -> Vec<Arc<Entry>> {
        let inner = self.lock();
        let slots = inner.slots.values().filter(|slot| slot.rows.is_empty());
        slots.map(|slot| slot.entry.clone()).collect()
    }

    /// Takes all out.
    pub fn drain(&self) -> Vec<Removed> {
        let mut inner = self.lock();
        let ids: Vec<TransactionId> = inner.slots.keys().copied().collect();
        ids.iter().filter_map(|id| inner.take(id)).collect()
    }

    /// Takes those of a block out that it settles, in the block's order.
    pub fn remove_all<'a>(
        &self,
        ids: impl Iterator<Item = &'a TransactionId>,
        settles: impl Fn(usize, &Entry) -> bool,
    ) -> Vec<(usize, Removed)> {
        let mut inner = self.lock();
        let mut removed = Vec::new();
        if inner.slots.is_empty() {
            return removed;
        }
        for (index, id) in ids.enumerate() {
            if inner.slots.get(id).is_some_and(|slot| settles(index, &slot.entry)) {
                removed.extend(inner.take(id).map(|removed| (index, removed)));
            }
        }
        removed
    }

    /// Whether anybody waits for one of these.
    pub fn any_waited_for<'a>(&self, mut ids: impl Iterator<Item = &'a TransactionId>) -> bool {
        let inner = self.lock();
        !inner.slots.is_empty() && ids.any(|id| inner.slots.get(id).is_some_and(|slot| !slot.waiters.is_empty()))
    }

    /// The entry of a transaction.
    pub fn get(&self, id: &TransactionId) -> Option<Arc<Entry>> {
        self.lock().slots.get(id).map(|slot| slot.entry.clone())
    }

    /// Waits for a transaction that is pending; `None` if it isn't.
    pub fn wait(&self, id: &TransactionId) -> Option<oneshot::Receiver<Arc<Decided>>> {
        let mut inner = self.lock();
        let slot = inner.slots.get_mut(id)?;
        let (sender, receiver) = oneshot::channel();
        slot.waiters.push(sender);
        Some(receiver)
    }

    /// Those whose time ended before `time`, the earliest first, at most `limit`.
    pub fn expired(&self, time: i64, limit: usize) -> Vec<Arc<Entry>> {
        let inner = self.lock();
        let expired = inner.by_deadline.iter().take_while(|(until, _)| *until < time);
        expired
            .filter_map(|(_, id)| Some(inner.slots.get(id)?.entry.clone()))
            .take(limit)
            .collect()
    }

    /// Outbox rows of a transaction.
    pub fn rows(&self, id: &TransactionId) -> Vec<i64> {
        self.lock()
            .slots
            .get(id)
            .map(|slot| slot.rows.clone())
            .unwrap_or_default()
    }

    /// Those last sent before `before`, at most `limit`: the longest unsent first, and at the end what its signer has no
    /// room for, so that it takes nobody's turn.
    pub fn unsent_since(&self, before: i64, limit: usize) -> Vec<Arc<Entry>> {
        let inner = self.lock();
        let stale = |slot: &&Slot| slot.entry.sent_at.load(Ordering::Relaxed) < before;
        let mut entries: Vec<_> = inner
            .slots
            .values()
            .filter(stale)
            .map(|slot| slot.entry.clone())
            .collect();
        // Cached: what they are sorted by may change meanwhile.
        entries.sort_by_cached_key(|entry| {
            let crowded = entry.crowded.load(Ordering::Relaxed);
            (crowded, entry.sent_at.load(Ordering::Relaxed), entry.seq)
        });
        entries.truncate(limit);
        entries
    }

    /// Number of transactions.
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: i64, sent_at: i64, crowded: bool) -> Arc<Entry> {
        let transaction = Transaction::Single {
            statement: seq.to_le_bytes().to_vec(),
            signature: [0; 64],
        };
        Arc::new(Entry {
            id: transaction.id(),
            transaction,
            seq,
            ours: true,
            fresh: true,
            valid_until: 0,
            created_at: 0,
            sent_at: AtomicI64::new(sent_at),
            crowded: AtomicBool::new(crowded),
        })
    }

    #[test]
    fn what_has_no_room_takes_nobodys_turn() {
        let pending = Pending::default();
        let entries = [
            entry(1, 10, true),
            entry(2, 30, false),
            entry(3, 20, false),
            entry(4, 20, false),
            entry(5, 99, false),
        ];
        for entry in entries {
            assert!(pending.add(entry, false, Vec::new()));
        }
        let unsent = |limit| -> Vec<i64> {
            let entries = pending.unsent_since(50, limit);
            entries.iter().map(|entry| entry.seq).collect()
        };
        assert_eq!(unsent(10), [3, 4, 2, 1]);
        assert_eq!(unsent(3), [3, 4, 2]);
    }
}
