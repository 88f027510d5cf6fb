//! What this server knows of who a network's validators are, and how it learns of their changes.
//!
//! The directory gives the first trust root. A block by validators that it doesn't know is a reason to ask for a newer
//! one; none is believed that doesn't continue the known one, each change proven by the validators before.

use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use muniment_receipts::trust::TrustRoot;

use super::runtime::Network;

impl Network {
    /// The newest trust root that is known.
    pub fn trust(&self) -> Arc<TrustRoot> {
        Arc::clone(&self.trust.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest trust root as a file.
    pub fn trust_file(&self) -> Vec<u8> {
        self.trust()
            .canonical()
            .unwrap_or_else(|_| self.reach().trust_root.clone())
    }

    /// Asks the validators for changes that aren't known here. Whether there were any.
    pub(super) async fn learn(&self) -> bool {
        let mut files = self.client().trust_root_at_each();
        while let Some((validator, answer)) = files.next().await {
            let Ok(Some(file)) = answer else { continue };
            let known = self.trust();
            match TrustRoot::parse(&file) {
                Ok(root) if root.continues(&known) && root.changes().len() > known.changes().len() => {
                    let (from, validators) = (root.newest().from_height(), root.newest().validators().len());
                    tracing::info!(
                        network = self.entry.name,
                        from,
                        validators,
                        "the network's validators changed"
                    );
                    *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(root);
                    return true;
                }
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        network = self.entry.name,
                        validator,
                        error,
                        "a validator's trust root is wrong"
                    );
                }
            }
        }
        false
    }
}
