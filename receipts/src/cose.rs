//! The second encoding of a receipt: RFC 9942 COSE receipts, one per validator.
//!
//! A COSE receipt signs the root only; the tree size would be free to change. So ours repeats the size in the
//! protected header, under a private text label, and checking demands that both agree.

use coset::cbor::value::Value;
use coset::{
    CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label, SignatureContext, TaggedCborSerializable, iana,
};

use crate::key::{Ed25519Key, KeyError};
use crate::merkle::{self, Hash, ProofError};

/// Private protected header label of the tree size.
pub const TREE_SIZE: &str = "muniment-tree-size";
/// `vds` header: which verifiable data structure.
const VDS: i64 = 395;
/// `vdp` header: its proofs.
const VDP: i64 = 396;
/// RFC9162_SHA256.
const RFC9162_SHA256: u64 = 1;
/// Inclusion proofs within `vdp`.
const INCLUSION: i64 = -1;

/// A COSE receipt can't be read or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum CoseError {
    /// Not a tagged COSE_Sign1 in deterministic form.
    #[error("not a COSE_Sign1 receipt: {0}")]
    Form(&'static str),
    /// The protected tree size is missing or differs from the proof's.
    #[error("the signed tree size and the proof's tree size differ")]
    TreeSize,
    /// The inclusion proof has the wrong shape for its size.
    #[error("the inclusion proof can't be followed")]
    Proof(#[source] ProofError),
    /// The signature does not hold.
    #[error("the signature over the root does not hold")]
    Signature(#[source] KeyError),
}

fn protected(size: u64) -> Header {
    HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .value(VDS, Value::from(RFC9162_SHA256))
        .text_value(TREE_SIZE.to_owned(), Value::from(size))
        .build()
}

/// The bytes a validator's COSE key signs for a checkpoint: they depend on size and root only.
pub fn tbs(size: u64, root: &Hash) -> Vec<u8> {
    let protected = coset::ProtectedHeader {
        original_data: None,
        header: protected(size),
    };
    coset::sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], root)
}

/// A receipt of leaf `index` in the tree of `size` leaves, signed as [`tbs`] says. The payload (the root) is detached.
///
/// # Errors
/// When the structure can't be written as CBOR.
pub fn encode_receipt(size: u64, index: u64, path: &[Hash], signature: &[u8; 64]) -> Result<Vec<u8>, CoseError> {
    let path = path.iter().map(|hash| Value::Bytes(hash.to_vec())).collect();
    let proof = Value::Array(vec![Value::from(size), Value::from(index), Value::Array(path)]);
    let mut bytes = Vec::new();
    coset::cbor::ser::into_writer(&proof, &mut bytes).map_err(|_| CoseError::Form("the proof can't be written"))?;
    let proofs = Value::Map(vec![(Value::from(INCLUSION), Value::Array(vec![Value::Bytes(bytes)]))]);
    CoseSign1Builder::new()
        .protected(protected(size))
        .unprotected(HeaderBuilder::new().value(VDP, proofs).build())
        .signature(signature.to_vec())
        .build()
        .to_tagged_vec()
        .map_err(|_| CoseError::Form("the receipt can't be written"))
}

/// Checks one of our receipts and gives (tree size, root), which are then signed by `key`.
///
/// # Errors
/// When it is malformed, the sizes differ, or the signature does not hold.
pub fn verify(receipt: &[u8], leaf: &Hash, key: &Ed25519Key) -> Result<(u64, Hash), CoseError> {
    let receipt = CoseReceipt::parse(receipt)?;
    if receipt.signed_size != Some(receipt.size) {
        return Err(CoseError::TreeSize);
    }
    let root = receipt.root(leaf)?;
    receipt.verify_signature(&root, key)?;
    Ok((receipt.size, root))
}

/// A receipt, taken apart: also those of other issuers, which do not sign the tree size.
#[derive(Clone, Debug)]
pub struct CoseReceipt {
    /// Tree size of the proof.
    pub size: u64,
    /// Tree size of the protected header, if the issuer signs it.
    pub signed_size: Option<u64>,
    /// Leaf index.
    pub index: u64,
    /// Audit path.
    pub path: Vec<Hash>,
    signed: CoseSign1,
}

impl CoseReceipt {
    /// Reads a receipt with one inclusion proof, Ed25519 signature and detached payload.
    ///
    /// # Errors
    /// When it is anything else, or not in deterministic form.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        let signed =
            CoseSign1::from_tagged_slice(bytes).map_err(|_| CoseError::Form("not a tagged COSE_Sign1 structure"))?;
        if signed.clone().to_tagged_vec().ok().as_deref() != Some(bytes) {
            return Err(CoseError::Form("not in deterministic encoding"));
        }
        let protected = &signed.protected.header;
        if protected.alg != Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)) {
            return Err(CoseError::Form("the algorithm is not EdDSA"));
        }
        if value(protected, &Label::Int(VDS)).and_then(unsigned) != Some(RFC9162_SHA256) {
            return Err(CoseError::Form("the data structure is not RFC9162_SHA256"));
        }
        if signed.payload.is_some() || signed.signature.len() != 64 {
            return Err(CoseError::Form(
                "expected a detached payload and a signature of 64 bytes",
            ));
        }
        let signed_size = value(protected, &Label::Text(TREE_SIZE.to_owned()));
        let signed_size = match signed_size.map(unsigned) {
            Some(None) => return Err(CoseError::TreeSize),
            other => other.flatten(),
        };
        let proof = only_proof(&signed.unprotected).ok_or(CoseError::Form("expected one inclusion proof"))?;
        let (size, index, path) = parse_proof(proof).ok_or(CoseError::Form("the inclusion proof has another shape"))?;
        Ok(Self {
            size,
            signed_size,
            index,
            path,
            signed,
        })
    }

    /// Root to which the proof leads from a leaf hash.
    ///
    /// # Errors
    /// [`CoseError::Proof`].
    pub fn root(&self, leaf: &Hash) -> Result<Hash, CoseError> {
        merkle::root_from_inclusion(leaf, self.index, self.size, &self.path).map_err(CoseError::Proof)
    }

    /// Checks the signature over a root.
    ///
    /// # Errors
    /// [`CoseError::Signature`].
    pub fn verify_signature(&self, root: &Hash, key: &Ed25519Key) -> Result<(), CoseError> {
        let wrong = CoseError::Signature(KeyError::Signature);
        let Ok(signature) = self.signed.signature.as_slice().try_into() else {
            return Err(wrong);
        };
        let protected = self.signed.protected.clone();
        let tbs = coset::sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], root);
        key.verify(&tbs, signature).map_err(CoseError::Signature)
    }
}

fn value<'a>(header: &'a Header, label: &Label) -> Option<&'a Value> {
    header
        .rest
        .iter()
        .find(|(name, _)| name == label)
        .map(|(_, value)| value)
}

fn unsigned(value: &Value) -> Option<u64> {
    value.as_integer().and_then(|integer| integer.try_into().ok())
}

fn only_proof(unprotected: &Header) -> Option<&[u8]> {
    let [(label, proofs)] = unprotected.rest.as_slice() else {
        return None;
    };
    let [(kind, list)] = proofs.as_map()?.as_slice() else {
        return None;
    };
    let [proof] = list.as_array()?.as_slice() else {
        return None;
    };
    let expected = *label == Label::Int(VDP) && *kind == Value::from(INCLUSION);
    proof.as_bytes().filter(|_| expected).map(Vec::as_slice)
}

fn parse_proof(bytes: &[u8]) -> Option<(u64, u64, Vec<Hash>)> {
    let proof: Value = coset::cbor::de::from_reader(bytes).ok()?;
    let mut again = Vec::new();
    coset::cbor::ser::into_writer(&proof, &mut again).ok()?;
    let [size, index, path] = proof.as_array()?.as_slice() else {
        return None;
    };
    let hash = |value: &Value| value.as_bytes()?.as_slice().try_into().ok();
    let path = path.as_array()?.iter().map(hash).collect::<Option<_>>()?;
    (again == bytes).then_some((unsigned(size)?, unsigned(index)?, path))
}
