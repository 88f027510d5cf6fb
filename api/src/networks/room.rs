//! Room for actions that are accepted and not final: memory that all networks share, and who gets how much of it.
//!
//! Pure counting under one lock. Nobody gets all of it, and the more others hold the less is given: a network takes at
//! most half of what other tenants leave, and less where its own tenant's other networks hold some. So a network that
//! can't decide keeps what it holds for as long as it likes, and there is still room for each of the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All the room.
pub struct Room {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    /// By tenant; who holds nothing isn't named.
    tenants: HashMap<String, usize>,
}

impl Held {
    fn of(&self, tenant: &str) -> usize {
        self.tenants.get(tenant).copied().unwrap_or(0)
    }

    fn add(&mut self, tenant: &str, actions: usize) {
        self.all += actions;
        match self.tenants.get_mut(tenant) {
            Some(held) => *held += actions,
            None => drop(self.tenants.insert(tenant.to_owned(), actions)),
        }
    }

    fn remove(&mut self, tenant: &str, actions: usize) {
        self.all = self.all.saturating_sub(actions);
        let left = self.of(tenant).saturating_sub(actions);
        if left == 0 {
            self.tenants.remove(tenant);
        } else if let Some(held) = self.tenants.get_mut(tenant) {
            *held = left;
        }
    }
}

/// Most that a network may hold: half of what other tenants leave, less two thirds of what its siblings, the other networks
/// of its tenant, hold. So a tenant never gets more than three quarters of what others leave, however many networks it has.
fn share(most: usize, others: usize, siblings: usize) -> usize {
    (3 * most.saturating_sub(others)).saturating_sub(4 * siblings) / 6
}

impl Room {
    /// For at most so many actions.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::default(),
        })
    }

    /// Actions that have room now.
    pub fn held(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A network's part of the room. What it holds is given back with it.
pub struct Share {
    room: Arc<Room>,
    tenant: String,
    /// Changes under the room's lock only.
    own: AtomicUsize,
}

impl Share {
    /// Of a network of a tenant.
    pub fn new(room: Arc<Room>, tenant: &str) -> Self {
        Self {
            room,
            tenant: tenant.to_owned(),
            own: AtomicUsize::new(0),
        }
    }

    /// Takes room for actions; false when there is none for this network.
    pub fn reserve(&self, actions: usize) -> bool {
        let mut held = self.room.lock();
        let own = self.own.load(Ordering::Relaxed);
        let of_tenant = held.of(&self.tenant);
        let others = held.all.saturating_sub(of_tenant);
        let most = share(self.room.most, others, of_tenant.saturating_sub(own));
        // One request always fits an idle server, however low the limit.
        if held.all > 0 && own + actions > most {
            return false;
        }
        self.add(&mut held, actions);
        true
    }

    /// Takes room for what was accepted before, whether or not there is any.
    pub fn take(&self, actions: usize) {
        self.add(&mut self.room.lock(), actions);
    }

    /// Gives room back.
    pub fn release(&self, actions: usize) {
        let mut held = self.room.lock();
        // Never more than it holds.
        let actions = actions.min(self.own.load(Ordering::Relaxed));
        self.own.fetch_sub(actions, Ordering::Relaxed);
        held.remove(&self.tenant, actions);
    }

    fn add(&self, held: &mut Held, actions: usize) {
        self.own.fetch_add(actions, Ordering::Relaxed);
        held.add(&self.tenant, actions);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all it gets, in requests of this size.
    fn fill(share: &Share, size: usize) -> usize {
        let mut taken = 0;
        while share.reserve(size) {
            taken += size;
        }
        taken
    }

    #[test]
    fn one_that_is_full_leaves_room_for_each_of_the_others() {
        let room = Room::new(60_000);
        let of = |tenant: &str| Share::new(room.clone(), tenant);
        let (first, sibling, third, other) = (of("acme"), of("acme"), of("acme"), of("globex"));
        // What `muniment bench` has under way: 24 batches of a thousand.
        assert!(fill(&first, 1_000) >= 24_000);
        assert!(fill(&sibling, 1) >= 5_000);
        assert!(fill(&third, 1) >= 2_000);
        assert!(
            fill(&other, 1_000) >= 5_000,
            "another tenant has room whatever acme holds"
        );
        assert!(of("initech").reserve(1_000));
        assert!(room.held() < 60_000);
    }

    #[test]
    fn many_networks_give_a_tenant_no_more_than_three_quarters() {
        let room = Room::new(60_000);
        let shares: Vec<Share> = (0..200).map(|_| Share::new(room.clone(), "acme")).collect();
        let all: usize = shares.iter().map(|share| fill(share, 1)).sum();
        assert!(all <= 45_000, "{all}");
        let other = Share::new(room.clone(), "globex");
        assert!(other.reserve(1_000));
        drop(shares);
        assert_eq!(room.held(), 1_000, "what is dropped gives its room back");
    }

    #[test]
    fn one_request_fits_an_idle_server_and_room_comes_back() {
        let room = Room::new(3);
        let share = Share::new(room.clone(), "acme");
        assert!(share.reserve(10));
        assert!(!share.reserve(1));
        share.release(10);
        assert_eq!(room.held(), 0);
        share.take(7);
        assert_eq!(room.held(), 7);
    }
}
