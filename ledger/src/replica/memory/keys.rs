//! Keys for tests, signing, and the judgement of what was signed.

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, Member, ValidatorKeys};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, MAX_VALIDITY_MS, Statement, items_root};
use muniment_receipts::trust::TrustRoot;
use muniment_receipts::{cose, cosignature};
use sha2::{Digest, Sha256};

use crate::transaction::Transaction;
use crate::wire::Cosigned;

/// Private keys of one validator of a test network.
#[derive(Clone)]
pub struct TestKeys {
    consensus: SigningKey,
    notary: SigningKey,
    cose: SigningKey,
}

impl TestKeys {
    /// Keys that follow from a seed; not for real use.
    pub fn from_seed(seed: u64) -> Self {
        let key = |duty: &str| SigningKey::from_bytes(&Sha256::digest(format!("test/{duty}/{seed}")).into());
        Self {
            consensus: key("consensus"),
            notary: key("notary"),
            cose: key("cose"),
        }
    }

    /// The public half, as the genesis names it.
    pub fn public(&self, name: &str) -> ValidatorKeys {
        let text = |key: &SigningKey| hex::encode(key.verifying_key().as_bytes());
        ValidatorKeys {
            name: name.to_owned(),
            consensus: text(&self.consensus),
            notary: text(&self.notary),
            cose: text(&self.cose),
        }
    }
}

/// A genesis for tests with `validators` validators and these members, and the validators' keys.
pub fn test_network(validators: usize, members: Vec<Member>) -> (Genesis, Vec<TestKeys>) {
    let keys: Vec<_> = (0..validators as u64).map(TestKeys::from_seed).collect();
    let public = keys
        .iter()
        .enumerate()
        .map(|(index, keys)| keys.public(&format!("validator-{index}")))
        .collect();
    let genesis = Genesis {
        kind: GENESIS_TYPE.to_owned(),
        name: "demo/notary".to_owned(),
        created_at: 1_700_000_000_000,
        validators: public,
        members,
        templates: Vec::new(),
        governance_threshold: 1,
    };
    (genesis, keys)
}

/// A validator that signs here.
pub struct Signer {
    index: u16,
    keys: TestKeys,
}

impl Signer {
    pub fn new((index, keys): (usize, &TestKeys)) -> Self {
        Self {
            index: u16::try_from(index).unwrap_or(u16::MAX),
            keys: keys.clone(),
        }
    }

    pub fn sign(&self, height: u64, checkpoint: &Checkpoint) -> Cosigned {
        let time = now() / 1000;
        Cosigned {
            height,
            validator: self.index,
            time,
            signature: self
                .keys
                .notary
                .sign(&cosignature::message(time, checkpoint))
                .to_bytes(),
            cose: self
                .keys
                .cose
                .sign(&cose::tbs(checkpoint.size, &checkpoint.root))
                .to_bytes(),
        }
    }
}

/// Milliseconds since the Unix epoch.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What admission checks: form, network, validity at `time`, membership, signature.
pub fn judge(transaction: &Transaction, trust: &TrustRoot, time: u64) -> Result<(), (&'static str, String)> {
    let malformed = |error: &dyn std::fmt::Display| ("MALFORMED", error.to_string());
    let (network, valid_until, signer): (_, _, SignerKey) = match transaction {
        Transaction::Single { statement, .. } | Transaction::Attached { statement, .. } => {
            let statement = Statement::parse(statement).map_err(|error| malformed(&error))?;
            (statement.network, statement.valid_until, statement.signer)
        }
        Transaction::Batch { header, items, .. } => {
            let header = BatchHeader::parse(header).map_err(|error| malformed(&error))?;
            if usize::try_from(header.items) != Ok(items.len()) || header.items_root != items_root(items) {
                return Err(malformed(&"the items aren't those of the header"));
            }
            (header.network, header.valid_until, header.signer)
        }
    };
    if network != *trust.network() {
        return Err(("WRONG_NETWORK", "the statement is for another network".to_owned()));
    }
    if valid_until < time {
        return Err((
            "EXPIRED",
            "the time up to which it is valid is over; sign it anew".to_owned(),
        ));
    }
    if valid_until > time.max(now()) + MAX_VALIDITY_MS {
        return Err(("VALID_TOO_LONG", "it may be valid for ten minutes at most".to_owned()));
    }
    let Some(key) = trust.member(&signer) else {
        return Err(("NOT_A_MEMBER", "the signer isn't a member of the network".to_owned()));
    };
    let verified = key.verify(transaction.signed_bytes(), transaction.signature());
    verified.map_err(|_| {
        (
            "BAD_SIGNATURE",
            "the signature doesn't hold for the signed bytes".to_owned(),
        )
    })
}
