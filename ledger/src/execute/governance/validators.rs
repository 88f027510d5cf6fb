//! Changes of the validator set, one validator at a time.
//!
//! A change that is decided in block h takes effect at height h + 2: the header of block h + 1 is the first that can
//! name it, as the set of the next block. Owns the rules that keep the network safe: one change a block, at least
//! [`LEAST`] validators, and neither names nor keys ever used again, so that a removed validator's old signatures can
//! be nobody else's.

use std::collections::BTreeSet;

use muniment_receipts::chain;
use muniment_receipts::encoding::from_hex_exact;
use muniment_receipts::genesis::{MAX_VALIDATORS, ValidatorKeys, check_validators};
use muniment_receipts::key::SignerKey;

use super::super::overlay::Overlay;
use super::super::reject::Reject;
use super::change::Write;
use super::{Judged, accept, members};
use crate::state::{StateError, VALIDATORS_KEY, Validators, canonical, set_key, used_key};

/// Fewer validators survive no failure.
pub const LEAST: usize = 4;
/// Blocks from the one that decides a change to the first that the new set decides.
pub const DELAY: u64 = 2;

/// The sets in force and to come.
pub fn current(overlay: &Overlay<'_>) -> Result<Validators, StateError> {
    let stored = overlay.get(VALIDATORS_KEY)?;
    let stored = stored.ok_or_else(|| StateError("the state has no validators".into()))?;
    serde_json::from_slice(&stored).map_err(|error| StateError(error.into()))
}

/// Adds a validator at the end of the set.
pub fn add(overlay: &Overlay<'_>, height: u64, validator: &ValidatorKeys) -> Judged<Vec<Write>> {
    let current = accept!(settled(overlay, height)?);
    if current.next.len() >= MAX_VALIDATORS {
        let message = format!("a network has at most {MAX_VALIDATORS} validators");
        return Ok(Err(Reject::new("TOO_MANY_VALIDATORS", message, "/input/name")));
    }
    accept!(unused(overlay, &current, validator)?);
    let mut next = current.next.clone();
    next.push(validator.clone());
    if let Err(error) = check_validators(&next, &mut BTreeSet::new()) {
        return Ok(Err(Reject::new("INVALID_INPUT", chain(&error), "/input")));
    }
    change(height, current, next, Vec::new())
}

/// Removes a validator. Its keys and name are used up.
pub fn remove(overlay: &Overlay<'_>, height: u64, name: &str) -> Judged<Vec<Write>> {
    let current = accept!(settled(overlay, height)?);
    let Some(gone) = current.next.iter().find(|validator| validator.name == name) else {
        let message = format!("`{name}` is not a validator of this network");
        return Ok(Err(Reject::new("NO_SUCH_VALIDATOR", message, "/input/name")));
    };
    if current.next.len() <= LEAST {
        let message = format!("a network needs at least {LEAST} validators; add another one first");
        return Ok(Err(Reject::new("TOO_FEW_VALIDATORS", message, "/input/name")));
    }
    let words = gone.duties().into_iter().chain([gone.name.as_str()]);
    let used = words
        .map(|word| (used_key(word), Some(name.as_bytes().to_vec())))
        .collect();
    let next = current
        .next
        .iter()
        .filter(|validator| validator.name != name)
        .cloned()
        .collect();
    change(height, current, next, used)
}

/// Only one change can be decided in a block: the set of the next height stands in its header already.
fn settled(overlay: &Overlay<'_>, height: u64) -> Judged<Validators> {
    let current = current(overlay)?;
    Ok(if current.from == height + DELAY {
        let message = "this block changes the validators already; send it again for the next one";
        Err(Reject::new("VALIDATORS_CHANGING", message, "/action"))
    } else {
        Ok(current)
    })
}

fn unused(overlay: &Overlay<'_>, current: &Validators, validator: &ValidatorKeys) -> Judged<()> {
    let named = [("name", validator.name.as_str())];
    let duties = ["consensus", "notary", "cose"].into_iter().zip(validator.duties());
    for (field, word) in named.into_iter().chain(duties) {
        let now = current.now.iter().chain(&current.next);
        let held = now
            .flat_map(|one| one.duties().into_iter().chain([one.name.as_str()]))
            .any(|used| used == word);
        if held || overlay.contains(&used_key(word))? {
            let message = "a validator has or had this; names and keys of validators are never used again";
            return Ok(Err(Reject::new("ALREADY_USED", message, format!("/input/{field}"))));
        }
        let signer = from_hex_exact(word).map(|key| SignerKey::ed25519(&key).to_string());
        if let Some(signer) = signer
            && members::entry(overlay, &signer)?.is_some()
        {
            let message = "this key is a member's; a validator needs its own";
            return Ok(Err(Reject::new("ALREADY_USED", message, format!("/input/{field}"))));
        }
    }
    Ok(Ok(()))
}

fn change(height: u64, current: Validators, next: Vec<ValidatorKeys>, mut writes: Vec<Write>) -> Judged<Vec<Write>> {
    let from = height + DELAY;
    writes.push((set_key(from), Some(canonical(&next)?)));
    let validators = Validators {
        from,
        next,
        now: current.next,
        ..current
    };
    writes.push((VALIDATORS_KEY.to_vec(), Some(canonical(&validators)?)));
    Ok(Ok(writes))
}
