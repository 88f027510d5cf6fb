//! The validator sets in the state: who decides which height, and which keys and names are used up.

use muniment_receipts::genesis::ValidatorKeys;
use serde::{Deserialize, Serialize};

/// Two validator sets: the one in force, and the one that takes over. Without a change under way both are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validators {
    /// First height that `next` decides; 0 as long as the genesis set is in force.
    #[serde(default, skip_serializing_if = "is_genesis")]
    pub from: u64,
    /// Decides from `from` on.
    pub next: Vec<ValidatorKeys>,
    /// Decides the heights below `from`, back to the change before.
    pub now: Vec<ValidatorKeys>,
    /// Form of this value: 1.
    pub version: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_genesis(from: &u64) -> bool {
    *from == 0
}

impl Validators {
    /// The genesis set.
    pub fn new(genesis: Vec<ValidatorKeys>) -> Self {
        Self {
            from: 0,
            next: genesis.clone(),
            now: genesis,
            version: 1,
        }
    }

    /// The set that decides a height, of those that are in force or to come.
    pub fn at(&self, height: u64) -> &[ValidatorKeys] {
        if height >= self.from { &self.next } else { &self.now }
    }
}

/// Key of the validator sets in force and to come.
pub const VALIDATORS_KEY: &[u8] = b"v";

/// Key of a set by the first height that it decides. The genesis set has none.
pub fn set_key(from: u64) -> Vec<u8> {
    [VALIDATORS_KEY, &from.to_be_bytes()].concat()
}

/// First height of a set, if this is a [`set_key`].
pub fn set_height(key: &[u8]) -> Option<u64> {
    let height = key.strip_prefix(VALIDATORS_KEY)?;
    height.try_into().ok().map(u64::from_be_bytes)
}

/// Key that says that a validator's key or name was used before. Neither ever comes back.
pub fn used_key(text: &str) -> Vec<u8> {
    [b"w", text.as_bytes()].concat()
}
