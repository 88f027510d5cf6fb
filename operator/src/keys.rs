//! Keys of validators: made once, shown by their public halves only. Keeping them is the backends' duty.

use ed25519_dalek::SigningKey;
use muniment_ledger::config::ReplicaKeys;
use muniment_receipts::genesis::ValidatorKeys;

/// New keys, one for each duty.
pub(crate) fn make() -> Result<ReplicaKeys, getrandom::Error> {
    Ok(ReplicaKeys {
        consensus: secret()?,
        notary: secret()?,
        cose: secret()?,
        transport: secret()?,
    })
}

/// 32 random bytes, hex.
pub(crate) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// The public halves of a validator's keys.
///
/// # Errors
/// When a key isn't 64 hex digits.
pub(crate) fn public(name: &str, keys: &ReplicaKeys) -> Result<ValidatorKeys, hex::FromHexError> {
    let half = |seed: &str| {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(seed, &mut bytes)?;
        Ok(hex::encode(SigningKey::from_bytes(&bytes).verifying_key().as_bytes()))
    };
    Ok(ValidatorKeys {
        name: name.to_owned(),
        consensus: half(&keys.consensus)?,
        notary: half(&keys.notary)?,
        cose: half(&keys.cose)?,
    })
}
