//! Members and how many of them decide.
//!
//! Owns the rules that keep a network able to decide: at least one member, at most [`MAX_MEMBERS`], and never fewer
//! members than must agree.

use muniment_receipts::chain;
use muniment_receipts::genesis::{MAX_MEMBERS, ValidatorKeys};
use muniment_receipts::key::SignerKey;

use super::super::overlay::Overlay;
use super::super::reject::Reject;
use super::change::Write;
use super::{Judged, accept, validators};
use crate::state::{GOVERNANCE_KEY, Governance, MemberEntry, StateError, canonical, member_key, used_key};

/// Longest name of a member, in characters.
const MAX_NAME: usize = 100;

/// A member in force.
pub fn entry(overlay: &Overlay<'_>, key: &str) -> Result<Option<MemberEntry>, StateError> {
    let stored = overlay.get(&member_key(key))?;
    stored
        .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| StateError(error.into())))
        .transpose()
}

/// A name that can be shown.
pub fn name(name: String) -> Result<String, Reject> {
    let length = name.chars().count();
    if (1..=MAX_NAME).contains(&length) && name.trim() == name && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    let message = "`name` must have 1 to 100 characters, no control characters, and no spaces at its ends";
    Err(Reject::new("INVALID_INPUT", message, "/input/name"))
}

/// A number of members.
pub fn threshold(number: Option<u64>) -> Result<u32, Reject> {
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        let message = "`threshold` must be a whole number from 1 to the number of members";
        Reject::new("INVALID_INPUT", message, "/input/threshold")
    })
}

/// Adds a member.
pub fn add(overlay: &Overlay<'_>, policy: &Governance, key: &str, name: &str, leaf: u64) -> Judged<Vec<Write>> {
    accept!(free(overlay, key, "/input/key")?);
    if policy.members as usize >= MAX_MEMBERS {
        let message = format!("a network has at most {MAX_MEMBERS} members");
        return Ok(Err(Reject::new("TOO_MANY_MEMBERS", message, "/input/key")));
    }
    let entry = MemberEntry {
        key: key.to_owned(),
        name: name.to_owned(),
        since: leaf,
    };
    let policy = Governance {
        members: policy.members + 1,
        ..policy.clone()
    };
    Ok(Ok(vec![
        (member_key(key), Some(canonical(&entry)?)),
        (GOVERNANCE_KEY.to_vec(), Some(canonical(&policy)?)),
    ]))
}

/// Removes a member.
pub fn remove(overlay: &Overlay<'_>, policy: &Governance, key: &str) -> Judged<Vec<Write>> {
    accept!(known(overlay, key)?);
    if policy.members <= 1 {
        let message = "this is the last member; nobody could use or change the network any more";
        return Ok(Err(Reject::new("LAST_MEMBER", message, "/input/key")));
    }
    if policy.members <= policy.threshold {
        let message = format!(
            "{} of {} members must agree; lower the threshold first (setThreshold)",
            policy.threshold, policy.members
        );
        return Ok(Err(Reject::new("THRESHOLD_OUT_OF_RANGE", message, "/input/key")));
    }
    let policy = Governance {
        members: policy.members - 1,
        ..policy.clone()
    };
    Ok(Ok(vec![
        (member_key(key), None),
        (GOVERNANCE_KEY.to_vec(), Some(canonical(&policy)?)),
    ]))
}

/// Gives a member another key. Approvals under the old one count no more.
pub fn replace(overlay: &Overlay<'_>, key: &str, new_key: &str, leaf: u64) -> Judged<Vec<Write>> {
    let before = accept!(known(overlay, key)?);
    accept!(free(overlay, new_key, "/input/newKey")?);
    let entry = MemberEntry {
        key: new_key.to_owned(),
        since: leaf,
        ..before
    };
    Ok(Ok(vec![
        (member_key(key), None),
        (member_key(new_key), Some(canonical(&entry)?)),
    ]))
}

/// Sets how many members must agree.
pub fn set_threshold(policy: &Governance, threshold: u32) -> Judged<Vec<Write>> {
    if threshold == 0 || threshold > policy.members {
        let message = format!(
            "the network has {} members; give a number from 1 to that",
            policy.members
        );
        return Ok(Err(Reject::new("THRESHOLD_OUT_OF_RANGE", message, "/input/threshold")));
    }
    let policy = Governance {
        threshold,
        ..policy.clone()
    };
    Ok(Ok(vec![(GOVERNANCE_KEY.to_vec(), Some(canonical(&policy)?))]))
}

fn known(overlay: &Overlay<'_>, key: &str) -> Judged<MemberEntry> {
    Ok(entry(overlay, key)?.ok_or_else(|| {
        let message = format!("{key} is not a member of this network");
        Reject::new("NO_SUCH_MEMBER", message, "/input/key")
    }))
}

/// A key that can be a member's and is nobody's yet.
fn free(overlay: &Overlay<'_>, key: &str, pointer: &str) -> Judged<()> {
    let signer = key.parse::<SignerKey>();
    let signer = accept!(
        signer
            .and_then(|signer| signer.registered().map(|_| signer))
            .map_err(|error| {
                let message = format!("this can't be a member's key: {}", chain(&error));
                Reject::new("INVALID_INPUT", message, pointer)
            })
    );
    if entry(overlay, key)?.is_some() {
        let message = format!("{key} is a member already");
        return Ok(Err(Reject::new("ALREADY_A_MEMBER", message, pointer)));
    }
    let sets = validators::current(overlay)?;
    let mut used = sets.now.iter().chain(&sets.next).flat_map(ValidatorKeys::duties);
    if let SignerKey::Ed25519(bytes) = signer
        && (used.any(|used| used == hex::encode(bytes)) || overlay.contains(&used_key(&hex::encode(bytes)))?)
    {
        let message = "this key is or was a validator's; a member needs its own";
        return Ok(Err(Reject::new("INVALID_INPUT", message, pointer)));
    }
    Ok(Ok(()))
}
