//! Cosigns checkpoints with the validator's notary and COSE keys.
//!
//! Owns the rule that the signed log only ever grows. What makes a signature durable before it leaves is the
//! application's order of writing.

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer, SigningKey};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::{cose, cosignature};

use crate::block::Hash;
use crate::store::OwnCheckpoint;
use crate::wire::Cosigned;

/// Signing would contradict what was signed before.
#[derive(Debug, thiserror::Error)]
#[error(
    "height {height} has log size {size}, but this validator already cosigned size {signed} with another root; its data folder is not the one that signed"
)]
pub struct Contradiction {
    /// Height.
    pub height: u64,
    /// Log size to be signed.
    pub size: u64,
    /// Log size signed before.
    pub signed: u64,
}

/// The signer.
pub struct Notary {
    origin: String,
    notary: SigningKey,
    cose: SigningKey,
    last: Option<(u64, Hash)>,
}

impl Notary {
    /// A notary; `last` is the last size and root it signed.
    pub fn new(origin: String, notary: SigningKey, cose: SigningKey, last: Option<(u64, Hash)>) -> Self {
        Self {
            origin,
            notary,
            cose,
            last,
        }
    }

    /// Signs the checkpoint of a height that we executed ourselves, as number `validator` of that height's set.
    ///
    /// # Errors
    /// [`Contradiction`] when the log is smaller than the last one signed, or of the same size with another root.
    pub fn sign(&mut self, validator: u16, height: u64, size: u64, root: Hash) -> Result<OwnCheckpoint, Contradiction> {
        self.extend(height, size, root)?;
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root,
        };
        let signature = self.notary.sign(&cosignature::message(time, &checkpoint)).to_bytes();
        let cose = self.cose.sign(&cose::tbs(size, &root)).to_bytes();
        let cosigned = Cosigned {
            height,
            validator,
            time,
            signature,
            cose,
        };
        Ok(OwnCheckpoint { size, root, cosigned })
    }

    /// Takes a signature that we made before the restart: it must be over what we computed again.
    ///
    /// # Errors
    /// [`Contradiction`].
    pub fn accept(&mut self, own: &OwnCheckpoint, size: u64, root: Hash) -> Result<(), Contradiction> {
        if (own.size, own.root) != (size, root) {
            return Err(Contradiction {
                height: own.cosigned.height,
                size,
                signed: own.size,
            });
        }
        self.last = self.last.max(Some((size, root)));
        Ok(())
    }

    fn extend(&mut self, height: u64, size: u64, root: Hash) -> Result<(), Contradiction> {
        if let Some((signed, before)) = self.last
            && (size < signed || size == signed && root != before)
        {
            return Err(Contradiction { height, size, signed });
        }
        self.last = Some((size, root));
        Ok(())
    }
}
