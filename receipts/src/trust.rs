//! The trust root: what a verifier has to know of a network beforehand, and who its validators are at each height.
//!
//! A chain of validator sets starts at the genesis. Each change of it is proven by the log itself, so no key signs
//! anything new for it: the change carries the marker leaf of the last block of the old set, which names the hash of
//! the next set, and a checkpoint ending in that marker, cosigned by a quorum of the old set.
//!
//! File: canonical JSON `{"changes":[…],"genesis":{…},"network":hex,"policy":text,"type":…}`. `policy` is the
//! `tlog-policy` of the newest set, there for foreign tools and checked to be exactly the derived one.

mod set;

pub use set::{Cosignature, Judgement, Signed, ValidatorSet};

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Checkpoint};
use crate::encoding::{base64, from_base64};
use crate::fields::{FieldError, Fields};
use crate::genesis::{Genesis, GenesisError, ValidatorKeys, check_validators};
use crate::jcs::{self, JcsError};
use crate::key::{PreparedKey, SignerKey};
use crate::leaf::{Leaf, Marker};
use crate::merkle;
use crate::note::Note;
use crate::tlog_proof::TlogProof;

/// `type` of a trust root file.
pub const TRUST_ROOT_TYPE: &str = "muniment.dev/trust-root/v1";

/// Largest trust root file in bytes. Together with [`MAX_CHANGES`] it bounds what reading an untrusted one costs: each
/// change asks for a quorum of signature checks. A service that reads trust roots of strangers may well take less.
pub const MAX_TRUST_ROOT: usize = 16 * 1024 * 1024;
/// Most changes of the validator set in a trust root.
pub const MAX_CHANGES: usize = 10_000;

/// A trust root can't be read or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not canonical JSON.
    #[error("the trust root is not canonical JSON")]
    Json(#[source] JcsError),
    /// A field is missing, unknown or of another shape.
    #[error("the trust root has a wrong field")]
    Field(#[source] FieldError),
    /// The genesis is not valid.
    #[error("the genesis in the trust root is not valid")]
    Genesis(#[source] GenesisError),
    /// Larger than [`MAX_TRUST_ROOT`].
    #[error("{0} bytes are too many for a trust root")]
    TooLong(usize),
    /// More than [`MAX_CHANGES`].
    #[error("a trust root may have at most {MAX_CHANGES} changes of validators")]
    TooManyChanges,
    /// The genesis is not that of the network.
    #[error("the genesis is not the one of network {0}")]
    Network(String),
    /// The policy text is not the one that follows from the validators.
    #[error("the policy is not the one that follows from the validators")]
    Policy,
    /// A validator set change does not hold.
    #[error("the change of validators at height {height} does not hold: {reason}")]
    Change {
        /// First height of the new set.
        height: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

/// A change of the validator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatorChange {
    /// First height that the new set decides; the marker is that of the block before.
    pub height: u64,
    /// Leaf bytes of the marker, standard base64.
    pub marker: String,
    /// `tlog-proof` text of the marker, as the last leaf of its checkpoint, cosigned by a quorum of the old set.
    pub proof: String,
    /// The new set.
    pub validators: Vec<ValidatorKeys>,
}

impl ValidatorChange {
    /// A change from its parts; `marker` are leaf bytes.
    pub fn new(height: u64, marker: &[u8], proof: &TlogProof, validators: Vec<ValidatorKeys>) -> Self {
        Self {
            height,
            marker: base64(marker),
            proof: proof.text(),
            validators,
        }
    }
}

/// A trust root that holds: every key is unpacked, every change checked.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    genesis: Genesis,
    network: [u8; 32],
    origin: String,
    /// In order of height; the first is that of the genesis.
    sets: Vec<ValidatorSet>,
    changes: Vec<ValidatorChange>,
    members: BTreeMap<SignerKey, PreparedKey>,
}

impl TrustRoot {
    /// The trust root of a network whose validators have not changed.
    ///
    /// # Errors
    /// When the genesis is not valid.
    pub fn new(genesis: Genesis) -> Result<Self, TrustError> {
        genesis.validate().map_err(TrustError::Genesis)?;
        let network = genesis
            .network_id()
            .map_err(|source| TrustError::Json(JcsError::Json(source)))?;
        let origin = checkpoint::origin(&network);
        let first = ValidatorSet::new(1, genesis.validators.clone(), &origin).map_err(TrustError::Genesis)?;
        let signer = |text: &str| {
            let key: SignerKey = text.parse().ok()?;
            Some((key, key.prepare().ok()?))
        };
        let members = genesis
            .members
            .iter()
            .filter_map(|member| signer(&member.key))
            .collect();
        Ok(Self {
            genesis,
            network,
            origin,
            sets: vec![first],
            changes: Vec::new(),
            members,
        })
    }

    /// Reads a trust root file (canonical JSON; one newline may follow) and checks all of it.
    ///
    /// # Errors
    /// When anything in it does not hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        if bytes.len() > MAX_TRUST_ROOT {
            return Err(TrustError::TooLong(bytes.len()));
        }
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let mut fields = Fields::new(jcs::parse(bytes).map_err(TrustError::Json)?).map_err(TrustError::Field)?;
        fields.constant("type", TRUST_ROOT_TYPE).map_err(TrustError::Field)?;
        let network = fields.hash("network").map_err(TrustError::Field)?;
        let policy = fields.text("policy").map_err(TrustError::Field)?;
        let genesis = fields.value("genesis").map_err(TrustError::Field)?;
        let changes = fields.value("changes").map_err(TrustError::Field)?;
        fields.finish().map_err(TrustError::Field)?;
        let json = |source| TrustError::Json(JcsError::Json(source));
        // Counted before any is read or checked.
        if changes.as_array().is_some_and(|changes| changes.len() > MAX_CHANGES) {
            return Err(TrustError::TooManyChanges);
        }
        let changes: Vec<ValidatorChange> = serde_json::from_value(changes).map_err(json)?;
        let genesis: Genesis = serde_json::from_value(genesis).map_err(json)?;
        if genesis.network_id().map_err(json)? != network {
            return Err(TrustError::Network(hex::encode(network)));
        }
        let mut trust = Self::new(genesis)?;
        for change in changes {
            trust.add(change)?;
        }
        if trust.newest().policy() == policy {
            Ok(trust)
        } else {
            Err(TrustError::Policy)
        }
    }

    /// The file's bytes: canonical JSON without a final newline.
    ///
    /// # Errors
    /// When it can't be written as canonical JSON.
    pub fn canonical(&self) -> Result<Vec<u8>, TrustError> {
        #[derive(Serialize)]
        struct File<'a> {
            changes: &'a [ValidatorChange],
            genesis: &'a Genesis,
            network: String,
            policy: &'a str,
            #[serde(rename = "type")]
            kind: &'static str,
        }
        let file = File {
            changes: &self.changes,
            genesis: &self.genesis,
            network: hex::encode(self.network),
            policy: self.newest().policy(),
            kind: TRUST_ROOT_TYPE,
        };
        jcs::to_vec(&file).map_err(TrustError::Json)
    }

    /// Adds the next change of the validator set, after checking it.
    ///
    /// # Errors
    /// When it does not follow from the set before it.
    pub fn add(&mut self, change: ValidatorChange) -> Result<(), TrustError> {
        if self.changes.len() >= MAX_CHANGES {
            return Err(TrustError::TooManyChanges);
        }
        let old = self.newest();
        let height = change.height;
        let fail = |reason| TrustError::Change { height, reason };
        if height <= old.from_height() {
            return Err(fail("it must be later than the change before it"));
        }
        check_validators(&change.validators, &mut BTreeSet::new()).map_err(TrustError::Genesis)?;
        let new = ValidatorSet::new(height, change.validators.clone(), &self.origin).map_err(TrustError::Genesis)?;
        let bytes = from_base64(&change.marker).ok_or_else(|| fail("the marker is not base64"))?;
        let Ok(Leaf::Marker(marker)) = Leaf::parse(&bytes) else {
            return Err(fail("the marker is not a block marker"));
        };
        if marker.network != self.network || marker.height.checked_add(1) != Some(height) {
            return Err(fail("the marker is of another network or height"));
        }
        if marker.validators != *old.hash() || marker.next_validators != *new.hash() {
            return Err(fail("the marker names other validators"));
        }
        let proof = TlogProof::parse(&change.proof).map_err(|_| fail("the proof is not a tlog-proof"))?;
        if proof.extra.is_some() {
            return Err(fail("the proof has an extra line"));
        }
        self.check_marker(old, &bytes, &proof).map_err(fail)?;
        self.sets.push(new);
        self.changes.push(change);
        Ok(())
    }

    fn check_marker(&self, old: &ValidatorSet, marker: &[u8], proof: &TlogProof) -> Result<(), &'static str> {
        let note = Note::parse(&proof.checkpoint).map_err(|_| "the checkpoint is not a signed note")?;
        let point = Checkpoint::parse(note.text).map_err(|_| "the checkpoint is not well formed")?;
        if point.origin != self.origin || proof.index.checked_add(1) != Some(point.size) {
            return Err("the checkpoint is of another log, or the marker is not its last leaf");
        }
        merkle::verify_inclusion(
            &merkle::leaf_hash(marker),
            proof.index,
            point.size,
            &proof.path,
            &point.root,
        )
        .map_err(|_| "the marker is not in the checkpoint")?;
        if old.judge(&note).holds() {
            Ok(())
        } else {
            Err("the checkpoint is not cosigned by a quorum of the old set")
        }
    }

    /// Network id.
    pub fn network(&self) -> &[u8; 32] {
        &self.network
    }

    /// Origin of the network's log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Changes of the validator set so far.
    pub fn changes(&self) -> &[ValidatorChange] {
        &self.changes
    }

    /// The set that decides a height, as far as this trust root knows.
    pub fn validators_at(&self, height: u64) -> &ValidatorSet {
        let later = self
            .sets
            .iter()
            .rposition(|set| set.from_height() <= height)
            .unwrap_or(0);
        &self.sets[later]
    }

    /// Whether this is the other one, or the other one with changes added to it: same network, and every set that the
    /// other knows at the same height. How a change is proven may differ: any quorum of cosignatures will do.
    pub fn continues(&self, other: &Self) -> bool {
        let same = |(mine, theirs): (&ValidatorSet, &ValidatorSet)| {
            mine.from_height() == theirs.from_height() && mine.hash() == theirs.hash()
        };
        self.network == other.network
            && self.sets.len() >= other.sets.len()
            && self.sets.iter().zip(&other.sets).all(same)
    }

    /// The newest set.
    pub fn newest(&self) -> &ValidatorSet {
        // `new` puts the first set in, and sets are only ever added.
        &self.sets[self.sets.len() - 1]
    }

    /// Signatures needed by the newest set.
    pub fn quorum(&self) -> usize {
        self.newest().quorum()
    }

    /// A member of the genesis, ready to check signatures.
    pub fn member(&self, key: &SignerKey) -> Option<&PreparedKey> {
        self.members.get(key)
    }

    /// Whether a block marker names this network and the validators that this trust root knows for its height.
    pub fn fits(&self, marker: &Marker) -> bool {
        self.fit(marker) == Fit::Same
    }

    /// Compares the validators that a block marker names with those this trust root knows for its height.
    pub fn fit(&self, marker: &Marker) -> Fit {
        if marker.network != self.network {
            return Fit::Other;
        }
        if marker.validators == *self.validators_at(marker.height).hash() {
            return Fit::Same;
        }
        // The chain says who decides the first height of its newest set. From the next height on there may have been
        // changes that were not known yet when this trust root was written.
        if marker.height > self.newest().from_height() {
            Fit::Unknown
        } else {
            Fit::Other
        }
    }
}

/// How a block marker's validators compare with a trust root ([`TrustRoot::fit`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They are the ones it knows for this height.
    Same,
    /// They are not, and it knows for sure; or the marker is of another network.
    Other,
    /// It does not know them, and they may have come after it was written: a newer trust root can tell.
    Unknown,
}
