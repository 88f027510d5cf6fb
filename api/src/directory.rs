//! Which networks there are: the seam to whoever runs them.

use muniment_ledger::client::Endpoint;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A network as its operator describes it.
#[derive(Clone, Debug)]
pub struct NetworkEntry {
    /// Tenant that owns it.
    pub tenant: String,
    /// Name, unique within the tenant.
    pub name: String,
    /// Network id.
    pub id: [u8; 32],
    /// Its validators' node APIs.
    pub endpoints: Vec<Endpoint>,
    /// The trust root file, byte for byte.
    pub trust_root: Vec<u8>,
    /// Its tenant is suspended: it is read and takes no writes.
    pub suspended: bool,
    /// Its validators sleep: it takes no writes until it is woken.
    pub asleep: bool,
    /// How often each validator was started again, by name, where that is known.
    pub restarts: BTreeMap<String, u32>,
}

/// Gives the networks. Asked at the start, when a name isn't known yet, and for each (cached) status; the answer must
/// be quick.
#[async_trait::async_trait]
pub trait NetworkDirectory: Send + Sync + 'static {
    /// All networks of all tenants.
    async fn networks(&self) -> Vec<NetworkEntry>;
}

/// A directory in memory: the twin for tests.
#[derive(Default)]
pub struct MemoryDirectory {
    entries: Mutex<Vec<NetworkEntry>>,
}

impl MemoryDirectory {
    /// Adds a network, or takes the place of the one with the same tenant and name.
    pub fn put(&self, entry: NetworkEntry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|other| (&other.tenant, &other.name) != (&entry.tenant, &entry.name));
        entries.push(entry);
    }

    /// Takes a network away.
    pub fn remove(&self, tenant: &str, name: &str) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.tenant != tenant || entry.name != name);
    }
}

#[async_trait::async_trait]
impl NetworkDirectory for MemoryDirectory {
    async fn networks(&self) -> Vec<NetworkEntry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
