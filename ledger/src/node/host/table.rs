//! The seats of a host, and when it counts as ready.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::config::ReplicaConfig;
use crate::node::desk::{self, Desk};
use crate::node::shared::Shared;
use crate::node::{NodeError, health};
use crate::replica::Replica;
use crate::wire::{SeatState, SeatStatus};

/// So many failures in a row, and a seat holds up its host no longer.
const FAILURES: u32 = 3;
/// A seat that isn't well for so long holds up its host no longer.
const SICK: Duration = Duration::from_secs(300);

/// The seats of this process by name. Clones share them.
#[derive(Clone)]
pub struct Seats(Arc<Inner>);

struct Inner {
    seats: RwLock<BTreeMap<String, Seat>>,
    /// Whether it is known which seats there are.
    known: RwLock<bool>,
    /// Folders that are gone, as was ordered.
    erased: RwLock<BTreeSet<String>>,
    http: reqwest::Client,
}

struct Seat {
    token: String,
    status: SeatStatus,
    /// Failures since it last was well.
    failures: u32,
    /// Since when it isn't well.
    unwell: Option<Instant>,
    shared: Option<Arc<Shared>>,
}

/// Answer of a host's `/readyz`: numbers of seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostReadiness {
    /// Known, and none is waited for.
    pub ready: bool,
    /// All.
    pub seats: usize,
    /// Starting or catching up.
    pub waiting: usize,
    /// Broken for so long that nobody waits for them.
    pub broken: usize,
}

impl Seats {
    /// No seats, and not known yet whether there are any.
    ///
    /// # Errors
    /// When the HTTP client for peers can't be made.
    pub fn new() -> Result<Self, NodeError> {
        Ok(Self(Arc::new(Inner {
            seats: RwLock::default(),
            known: RwLock::new(false),
            erased: RwLock::default(),
            http: desk::http(None)?,
        })))
    }

    /// From now on it is known which seats there are.
    pub fn are_known(&self) {
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Folders that were to be gone, and are.
    pub fn are_erased(&self, folders: BTreeSet<String>) {
        *self.0.erased.write().unwrap_or_else(PoisonError::into_inner) = folders;
    }

    pub(super) fn is_erased(&self, folder: &str) -> bool {
        let erased = self.0.erased.read().unwrap_or_else(PoisonError::into_inner);
        erased.contains(folder)
    }

    /// A replica is being started in a seat, with settings of this digest.
    pub fn starting(&self, name: &str, config: &ReplicaConfig, settings: &str) {
        let mut seats = self.write();
        let before = seats.remove(name);
        let restarts = before.as_ref().map_or(0, |seat| seat.status.restarts);
        let (failures, unwell, last_exit) = before.map_or((0, None, None), |seat| {
            (seat.failures, seat.unwell, seat.status.last_exit)
        });
        let status = SeatStatus {
            settings: settings.to_owned(),
            state: SeatState::Starting,
            restarts,
            last_exit,
        };
        let seat = Seat {
            token: config.token.clone(),
            status,
            failures,
            unwell: unwell.or_else(|| Some(Instant::now())),
            shared: None,
        };
        seats.insert(name.to_owned(), seat);
    }

    /// The replica in a seat ended by itself.
    pub fn failed(&self, name: &str, why: String) {
        self.change(name, |seat| {
            seat.status.state = SeatState::BackingOff;
            seat.status.restarts = seat.status.restarts.saturating_add(1);
            seat.status.last_exit = Some(why);
            seat.failures = seat.failures.saturating_add(1);
        });
    }

    /// Nobody sits there any more.
    pub fn removed(&self, name: &str) {
        self.write().remove(name);
    }

    /// Serves a replica in its seat until `shutdown` is ready.
    ///
    /// # Errors
    /// [`NodeError::Stuck`].
    pub async fn serve(
        &self,
        name: &str,
        replica: Arc<dyn Replica>,
        config: ReplicaConfig,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), NodeError> {
        let desk = Desk::open(replica, config, self.0.http.clone(), String::new);
        self.change(name, |seat| {
            seat.shared = Some(Arc::clone(desk.shared()));
            seat.status.state = SeatState::Running;
        });
        let result = tokio::select! {
            () = shutdown => Ok(()),
            () = desk.stuck() => Err(NodeError::Stuck),
        };
        self.change(name, |seat| seat.shared = None);
        desk.close().await;
        result
    }

    /// The token of a seat, and what is said of it.
    pub(super) fn status(&self, name: &str) -> Option<(String, SeatStatus)> {
        let seats = self.read();
        let seat = seats.get(name)?;
        Some((seat.token.clone(), seat.status.clone()))
    }

    /// `None`: no such seat. `Some(None)`: nobody runs there now.
    pub(super) fn shared(&self, name: &str) -> Option<Option<Arc<Shared>>> {
        self.read().get(name).map(|seat| seat.shared.clone())
    }

    /// Ready when every seat takes part or is known to be broken. A sick tenant must not hold up the others' host for
    /// ever; and whether a network as a whole gets on is no matter of one host, so transactions that wait don't count.
    pub fn readiness(&self) -> HostReadiness {
        let now = Instant::now();
        let known = *self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut said = HostReadiness::default();
        for seat in self.write().values_mut() {
            said.seats += 1;
            if seat.shared.as_ref().is_some_and(|shared| health::takes_part(shared)) {
                (seat.failures, seat.unwell) = (0, None);
                continue;
            }
            let since = *seat.unwell.get_or_insert(now);
            if is_broken(seat.failures, now.duration_since(since)) {
                said.broken += 1;
            } else {
                said.waiting += 1;
            }
        }
        said.ready = known && said.waiting == 0;
        said
    }

    /// The text for `/metrics`.
    pub(super) fn metrics(&self) -> Result<String, std::fmt::Error> {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct State {
            state: &'static str,
        }
        let said = self.readiness();
        let seats = Family::<State, Gauge>::default();
        let well = said.seats - said.waiting - said.broken;
        for (state, count) in [("well", well), ("waiting", said.waiting), ("broken", said.broken)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            seats.get_or_create(&State { state }).set(count);
        }
        let mut registry = Registry::with_prefix("muniment_host");
        registry.register("seats", "Seats by how their replicas are", seats);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.write().get_mut(name) {
            change(seat);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Seat>> {
        self.0.seats.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Seat>> {
        self.0.seats.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a seat that isn't well is waited for no longer.
fn is_broken(failures: u32, unwell: Duration) -> bool {
    failures >= FAILURES || unwell >= SICK
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn config() -> ReplicaConfig {
        ReplicaConfig {
            name: "validator-0".into(),
            api: ([127, 0, 0, 1], 0).into(),
            consensus: ([127, 0, 0, 1], 0).into(),
            peers: Vec::new(),
            token: "secret".into(),
            tls: None,
            limits: Limits::default(),
        }
    }

    #[test]
    fn a_host_that_does_not_know_its_seats_is_not_ready() {
        let seats = Seats::new().unwrap();
        assert!(!seats.readiness().ready);
        seats.are_known();
        assert!(seats.readiness().ready, "none is none to wait for");
    }

    #[test]
    fn a_seat_that_starts_is_waited_for_and_one_that_always_fails_is_not() {
        let seats = Seats::new().unwrap();
        seats.are_known();
        seats.starting("a.b", &config(), "digest");
        assert_eq!((seats.readiness().ready, seats.readiness().waiting), (false, 1));
        for _ in 0..FAILURES {
            seats.failed("a.b", "damaged".into());
            seats.starting("a.b", &config(), "digest");
        }
        let said = seats.readiness();
        assert_eq!((said.ready, said.broken), (true, 1));
        let (_, status) = seats.status("a.b").unwrap();
        assert_eq!(
            (status.restarts, status.last_exit.as_deref()),
            (FAILURES, Some("damaged"))
        );
        assert!(
            seats
                .metrics()
                .unwrap()
                .contains("muniment_host_seats{state=\"broken\"} 1")
        );
        seats.removed("a.b");
        assert!(seats.status("a.b").is_none());
    }

    #[test]
    fn long_sickness_holds_nobody_up() {
        assert!(!is_broken(0, SICK - Duration::from_secs(1)));
        assert!(is_broken(0, SICK));
    }
}
