//! Where a running network's validators answer, and what changes of it while it runs: endpoints, certificates, a trust
//! root that has gone on. What waits in the network stays where it is; only another network is another [`Network`].

use muniment_ledger::client::{Endpoint, Following, NetworkClient};
use muniment_receipts::trust::TrustRoot;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLockReadGuard};

use super::runtime::{AttachError, Network};
use crate::directory::NetworkEntry;

/// As the directory said last.
pub struct Reach {
    endpoints: Vec<Endpoint>,
    client: NetworkClient,
    /// The trust root's file.
    pub(super) trust_root: Vec<u8>,
}

impl Reach {
    /// Of a network of the directory.
    pub fn new(entry: &NetworkEntry) -> Self {
        Self {
            endpoints: entry.endpoints.clone(),
            client: NetworkClient::new(entry.endpoints.clone()),
            trust_root: entry.trust_root.clone(),
        }
    }
}

impl Network {
    /// Client of its validators where they answer now.
    pub fn client(&self) -> NetworkClient {
        self.reach().client.clone()
    }

    pub(super) fn reach(&self) -> RwLockReadGuard<'_, Reach> {
        self.reach.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes after what was followed.
    pub(super) fn next(&self) -> Following {
        self.client().following(self.height() + 1)
    }

    /// Takes over what the directory says of this network now.
    ///
    /// # Errors
    /// When its trust root can't be read, or doesn't go with the one that is known; everything else is taken over.
    pub(super) fn update(&self, entry: &NetworkEntry) -> Result<(), AttachError> {
        self.suspended.store(entry.suspended, Ordering::Relaxed);
        self.asleep.store(entry.asleep, Ordering::Relaxed);
        if self.reach().endpoints != entry.endpoints {
            self.go_to(entry);
        }
        if self.reach().trust_root != entry.trust_root {
            self.believe(&entry.trust_root)?;
        }
        Ok(())
    }

    fn go_to(&self, entry: &NetworkEntry) {
        {
            let mut reach = self.reach.write().unwrap_or_else(PoisonError::into_inner);
            reach.client = NetworkClient::new(entry.endpoints.clone());
            reach.endpoints.clone_from(&entry.endpoints);
        }
        let validators = entry.endpoints.len();
        tracing::info!(
            network = self.entry.name,
            validators,
            "the network's validators answer elsewhere"
        );
        // Those who send and ask take the client anew each time.
        self.moved.send_replace(());
    }

    /// A trust root with more changes is taken; one with fewer is behind what was learnt from the validators.
    fn believe(&self, file: &[u8]) -> Result<(), AttachError> {
        let root = TrustRoot::parse(file)?;
        if root.network() != &self.entry.id {
            return Err(AttachError::OtherNetwork(hex::encode(root.network())));
        }
        let known = self.trust();
        if root.continues(&known) {
            *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(root);
        } else if !known.continues(&root) {
            return Err(AttachError::OtherValidators);
        }
        let mut reach = self.reach.write().unwrap_or_else(PoisonError::into_inner);
        reach.trust_root = file.to_vec();
        Ok(())
    }
}
