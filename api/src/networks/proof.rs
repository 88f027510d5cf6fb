//! Proofs of single leaves, as validators give them: checked here before anything is made of them.
//!
//! Pure. A leaf counts when it and its block's marker lead to a checkpoint that a quorum cosigned.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muniment_ledger::wire::LeafProof;
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::cose;
use muniment_receipts::leaf::{Leaf, Marker};
use muniment_receipts::merkle::{Frontier, Hash, leaf_hash, verify_inclusion};
use muniment_receipts::note::Note;
use muniment_receipts::receipt::{Receipt, ReceiptParts};
use muniment_receipts::trust::TrustRoot;

use super::answer::text;
use crate::types::{CoseReceipt, CoseReceipts, Recorded};

/// A proof that can't be read or doesn't hold.
#[derive(Debug, thiserror::Error)]
#[error("a proof doesn't hold: {0}")]
pub struct BadProof(&'static str);

/// A step of a record whose leaf is looked for.
#[derive(Clone, Copy)]
pub struct Step {
    /// Record.
    pub record: Hash,
    /// Version that the step made; without it any, the validator's word being all there is on which is the last.
    pub version: Option<u32>,
}

/// A leaf that is in the log.
pub struct ProvenLeaf {
    network: Hash,
    leaf: Vec<u8>,
    index: u64,
    path: Vec<Hash>,
    /// Log size after its block.
    size: u64,
    marker: Vec<u8>,
    marker_path: Vec<Hash>,
    block: Marker,
    note: String,
    signed_by: Vec<String>,
}

/// Checks a proof of the leaf with this index.
///
/// # Errors
/// When it doesn't hold.
pub fn check(proof: &LeafProof, index: u64, trust: &TrustRoot) -> Result<ProvenLeaf, BadProof> {
    let bytes = |text: &String| STANDARD.decode(text);
    let leaf = bytes(&proof.leaf).map_err(|_| BadProof("the leaf isn't base64"))?;
    let marker = bytes(&proof.marker).map_err(|_| BadProof("the marker isn't base64"))?;
    let (path, marker_path) = (hashes(&proof.path)?, hashes(&proof.marker_path)?);
    let Ok(Leaf::Marker(block)) = Leaf::parse(&marker) else {
        return Err(BadProof("the marker isn't one"));
    };
    if proof.index != index || block.height != proof.height || !trust.fits(&block) {
        return Err(BadProof("it is of another leaf, block or network"));
    }
    let note = Note::parse(&proof.checkpoint).map_err(|_| BadProof("the checkpoint can't be read"))?;
    let set = trust.validators_at(block.height);
    let judgement = set.judge(&note);
    let checkpoint = Checkpoint::parse(note.text).map_err(|_| BadProof("the checkpoint can't be read"))?;
    if !judgement.holds() || checkpoint.origin != trust.origin() {
        return Err(BadProof("no quorum has cosigned the checkpoint"));
    }
    // A validator gives all cosignatures it has; a receipt carries exactly a quorum, so that no bit of it is spare.
    let exact = set
        .exact(&note)
        .ok_or(BadProof("no quorum has cosigned the checkpoint"))?;
    let (size, root) = (checkpoint.size, &checkpoint.root);
    let last = size.checked_sub(1).ok_or(BadProof("the log is empty"))?;
    verify_inclusion(&leaf_hash(&leaf), index, size, &path, root).map_err(|_| BadProof("the leaf isn't in the log"))?;
    verify_inclusion(&leaf_hash(&marker), last, size, &marker_path, root)
        .map_err(|_| BadProof("the marker isn't the log's last leaf"))?;
    Ok(ProvenLeaf {
        network: *trust.network(),
        leaf,
        index,
        path,
        size,
        marker,
        marker_path,
        block,
        note: exact,
        signed_by: judgement
            .signed
            .into_iter()
            .take(judgement.quorum)
            .map(|signed| signed.name)
            .collect(),
    })
}

impl ProvenLeaf {
    /// The log before this leaf: its path passes every full subtree to its left.
    pub fn frontier(&self) -> Result<Frontier, BadProof> {
        before(self.index, self.size, &self.path).ok_or(BadProof("the path has a wrong length"))
    }

    /// Whether it is the leaf of a step: of this record, and to this version if one is named.
    fn is_of(&self, step: &Step) -> bool {
        let leaf = Leaf::parse(&self.leaf).ok();
        let outcome = leaf.as_ref().and_then(Leaf::outcome);
        let made = outcome.and_then(|outcome| outcome.version_of(&step.record));
        made.is_some_and(|made| step.version.is_none_or(|version| made == version))
    }

    /// The leaf's COSE receipts: one of each validator whose signature holds, at least a quorum. `proof` is the one that
    /// this was checked from. `None` when it is another step's leaf: the proof holds all the same.
    ///
    /// # Errors
    /// When fewer signatures hold.
    pub fn cose_receipts(
        &self,
        proof: &LeafProof,
        step: &Step,
        trust: &TrustRoot,
    ) -> Result<Option<CoseReceipts>, BadProof> {
        if !self.is_of(step) {
            return Ok(None);
        }
        let set = trust.validators_at(self.block.height);
        // Each costs a check of a signature.
        if proof.cose.len() > set.validators().len() {
            return Err(BadProof("it has more COSE signatures than there are validators"));
        }
        let hash = leaf_hash(&self.leaf);
        let one = |(index, signature): &(u16, String)| {
            let validator = set.validators().get(usize::from(*index))?;
            let signature = hex::decode(signature).ok()?.try_into().ok()?;
            let receipt = cose::encode_receipt(self.size, self.index, &self.path, &signature).ok()?;
            cose::verify(&receipt, &hash, set.cose_key(usize::from(*index))?).ok()?;
            let receipt = CoseReceipt {
                validator: validator.name.clone(),
                public_key: validator.cose.clone(),
                receipt: STANDARD.encode(receipt),
            };
            Some((*index, receipt))
        };
        // By index, each validator once.
        let receipts: BTreeMap<u16, CoseReceipt> = proof.cose.iter().filter_map(one).collect();
        if receipts.len() < set.quorum() {
            return Err(BadProof("no quorum has signed the root for COSE"));
        }
        Ok(Some(CoseReceipts {
            leaf: STANDARD.encode(&self.leaf),
            receipts: receipts.into_values().collect(),
        }))
    }

    /// The step that the leaf is, with its receipt; `None` when it is another step's leaf.
    pub fn recorded(&self, step: &Step) -> Option<Recorded> {
        let parsed = Leaf::parse(&self.leaf).ok()?;
        let version = parsed.outcome()?.version;
        let (signed, _) = parsed.signed().filter(|_| self.is_of(step))?;
        let record = &step.record;
        let receipt = Receipt::build(ReceiptParts {
            network: &self.network,
            height: self.block.height,
            record,
            leaf: &self.leaf,
            index: self.index,
            path: &self.path,
            note: &self.note,
            marker: &self.marker,
            marker_path: &self.marker_path,
        });
        Some(Recorded {
            id: hex::encode(record),
            version,
            transaction: hex::encode(<sha2::Sha256 as sha2::Digest>::digest(signed)),
            height: self.block.height,
            time: crate::time::rfc3339(i64::try_from(self.block.time).unwrap_or(i64::MAX)),
            leaf: self.index,
            signed_by: self.signed_by.clone(),
            receipt: text(&receipt),
        })
    }
}

/// The frontier of the first `index` leaves, from the audit path of the next one in a tree of `size`.
fn before(index: u64, size: u64, path: &[Hash]) -> Option<Frontier> {
    let inner = 64 - (index ^ size.checked_sub(1)?).leading_zeros();
    let (inside, edge) = path.split_at_checked(inner as usize)?;
    let left = (0..).zip(inside).filter(|(level, _)| index >> level & 1 == 1);
    let mut peaks: Vec<Hash> = left.map(|(_, hash)| *hash).chain(edge.iter().copied()).collect();
    peaks.reverse();
    Frontier::from_parts(index, peaks).ok()
}

fn hashes(path: &[String]) -> Result<Vec<Hash>, BadProof> {
    let hash = |text: &String| hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let hashes = path.iter().map(hash).collect::<Option<_>>();
    hashes.ok_or(BadProof("a path isn't made of hashes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_holds_the_frontier_before_its_leaf() {
        let leaves: Vec<Hash> = (0..70_u8).map(|number| leaf_hash(&[number])).collect();
        for size in 1..=leaves.len() {
            let tree = Frontier::new().extension(&leaves[..size]);
            let mut frontier = Frontier::new();
            for (index, leaf) in (0..).zip(&leaves[..size]) {
                let path = tree.path(index);
                assert_eq!(before(index, size as u64, &path).as_ref(), Some(&frontier));
                frontier.append(*leaf);
            }
        }
        assert_eq!(before(0, 0, &[]), None);
        assert_eq!(before(3, 9, &[]), None);
    }
}
