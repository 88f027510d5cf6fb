//! Writes status, and only when it says something new.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use muniment_crds::LedgerNetworkStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::backend::cluster::names::FIELD_MANAGER;

/// Heights alone are written this often.
const HEIGHTS: Duration = Duration::from_secs(30);
/// Between blocks of an idle network, unless its limits say otherwise (`limits.heartbeatMillis`). They are no news.
const HEARTBEAT: Duration = Duration::from_secs(600);
/// However idle a network is, its height is written after this.
const DAY: Duration = Duration::from_secs(86_400);

/// When which network's status was written last.
#[derive(Default)]
pub struct Writes(Mutex<HashMap<String, Instant>>);

impl Writes {
    /// Whether a status is worth a write. If so, it counts as written.
    pub fn due(&self, key: &str, old: Option<&LedgerNetworkStatus>, new: &LedgerNetworkStatus) -> bool {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = writes.get(key).map(Instant::elapsed);
        let due = is_due(old, new, since);
        if due {
            writes.insert(key.to_owned(), Instant::now());
        }
        due
    }

    /// Forgets a network that is gone.
    pub fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn is_due(old: Option<&LedgerNetworkStatus>, new: &LedgerNetworkStatus, since: Option<Duration>) -> bool {
    let Some(old) = old else { return true };
    if without_heights(old) != without_heights(new) {
        return true;
    }
    let blocks = new.height.saturating_sub(old.height);
    let since = since.unwrap_or(HEIGHTS);
    let heartbeats = since.as_secs() / HEARTBEAT.as_secs() + 1;
    blocks > 0 && since >= HEIGHTS && (blocks > heartbeats || since >= DAY)
}

/// How a network looks: two that are alike didn't move. Blocks that well validators make are no news, those that one
/// catches up with are.
pub fn look(status: &LedgerNetworkStatus) -> String {
    let mut status = status.clone();
    status.height = 0;
    status
        .nodes
        .iter_mut()
        .filter(|node| node.ready)
        .for_each(|node| node.height = 0);
    // What can't be written down looks like nothing, and is looked at less often.
    serde_json::to_string(&status).unwrap_or_default()
}

fn without_heights(status: &LedgerNetworkStatus) -> LedgerNetworkStatus {
    let mut status = status.clone();
    status.height = 0;
    status.nodes.iter_mut().for_each(|node| node.height = 0);
    status
}

/// Writes a status by server-side apply: what isn't in it any more goes.
pub async fn write<K, S>(api: &Api<K>, name: &str, status: &S) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize,
{
    let whole = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": { "name": name }, "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &parameters, &Patch::Apply(&whole))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muniment_crds::NodeStatus;

    fn status(height: u64) -> LedgerNetworkStatus {
        let node = NodeStatus {
            name: "validator-0".into(),
            height,
            ..NodeStatus::default()
        };
        LedgerNetworkStatus {
            height,
            nodes: vec![node],
            ..LedgerNetworkStatus::default()
        }
    }

    #[test]
    fn heights_are_written_now_and_then_and_everything_else_at_once() {
        let long = Some(HEIGHTS);
        assert!(is_due(None, &status(1), None));
        assert!(!is_due(Some(&status(1)), &status(1), long));
        assert!(!is_due(Some(&status(1)), &status(2), long), "a heartbeat");
        assert!(is_due(Some(&status(1)), &status(3), long));
        assert!(!is_due(Some(&status(1)), &status(9), Some(Duration::ZERO)));
        let hours = Some(6 * HEARTBEAT);
        assert!(!is_due(Some(&status(1)), &status(8), hours), "an hour of heartbeats");
        assert!(is_due(Some(&status(1)), &status(9), hours), "somebody has written");
        assert!(is_due(Some(&status(1)), &status(2), Some(DAY)));
        assert!(!is_due(Some(&status(1)), &status(1), Some(DAY)));
        let changed = LedgerNetworkStatus {
            state: Some("Degraded".into()),
            ..status(1)
        };
        assert!(is_due(Some(&status(1)), &changed, Some(Duration::ZERO)));
    }

    #[test]
    fn a_network_moves_when_its_state_does_or_somebody_catches_up() {
        let ready = |height| {
            let mut status = status(height);
            status.nodes[0].ready = true;
            status
        };
        assert_eq!(look(&status(1)), look(&status(1)), "silent");
        assert_ne!(look(&status(1)), look(&status(2)), "it catches up");
        assert_eq!(look(&ready(1)), look(&ready(2)));
        assert_ne!(look(&ready(2)), look(&status(2)));
    }
}
