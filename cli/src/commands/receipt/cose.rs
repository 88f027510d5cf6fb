//! `muniment receipt cose`: the COSE receipts of a step, checked before they are written.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muniment_api::types::{CoseReceipt, CoseReceipts};
use muniment_receipts::cose;
use muniment_receipts::leaf::Leaf;
use muniment_receipts::merkle::{Hash, leaf_hash};
use muniment_receipts::receipt::Receipt;
use muniment_receipts::trust::ValidatorSet;

use super::trust_root;
use crate::client::Client;
use crate::context::Choice;
use crate::error::{Failure, Result};
use crate::files;
use crate::files::Shown;
use crate::output::Output;

pub async fn run(receipt: &Receipt, to: &Path, named: Option<&Path>, choice: &Choice, output: Output) -> Result<()> {
    let root = trust_root(receipt, named, choice)?;
    let leaf = Leaf::parse(&receipt.leaf).ok();
    let version = match leaf.as_ref().and_then(Leaf::outcome) {
        Some(outcome) => outcome.version,
        None => return Err(wrong("the leaf in the receipt file is not of an action")),
    };
    let client = Client::new(choice.load()?)?;
    let record = hex::encode(receipt.record);
    let url = client.url(&format!("/records/{record}/receipt/cose?version={version}"));
    let answer: CoseReceipts = client.get(&url).await?;
    if STANDARD.decode(&answer.leaf).ok().as_ref() != Some(&receipt.leaf) {
        return Err(wrong("they are about another leaf than the receipt file"));
    }
    let set = root.root.validators_at(receipt.height);
    let named: BTreeSet<&str> = answer.receipts.iter().map(|one| one.validator.as_str()).collect();
    if named.len() < set.quorum() || named.len() < answer.receipts.len() {
        return Err(wrong(&format!(
            "{} of {} validators are no quorum, or one is there twice",
            named.len(),
            set.validators().len()
        )));
    }
    let mut parts = vec![("leaf".to_owned(), receipt.leaf.clone())];
    for one in &answer.receipts {
        let (bytes, key) = check(one, &leaf_hash(&receipt.leaf), set)?;
        parts.push((format!("{}.cose", one.validator), bytes));
        parts.push((format!("{}.key", one.validator), key.to_vec()));
    }
    let mut written = Vec::new();
    for (name, bytes) in parts {
        let path = to.join(name);
        files::write(&path, &bytes)?;
        written.push(path);
    }
    if output.json() {
        return output.document(&serde_json::json!({ "network": root.network(), "files": written }));
    }
    for path in written {
        output.line(path.shown())?;
    }
    Ok(())
}

/// A receipt's bytes and its validator's key, if the signature holds. The name is one of the trust root's, so it is
/// fit to be a file name.
fn check(one: &CoseReceipt, leaf: &Hash, set: &ValidatorSet) -> Result<(Vec<u8>, [u8; 32])> {
    let of = |why: &str| wrong(&format!("the one of {:?} {why}", one.validator));
    let index = set.validators().iter().position(|known| known.name == one.validator);
    let index = index.ok_or_else(|| of("is of nobody in the trust root"))?;
    let key = set.cose_key(index).ok_or_else(|| of("has no key in the trust root"))?;
    let raw = set.validators().get(index).and_then(|known| known.cose_key());
    let raw = raw.ok_or_else(|| of("has no key in the trust root"))?;
    let bytes = STANDARD.decode(&one.receipt).map_err(|_| of("is not base64"))?;
    cose::verify(&bytes, leaf, key).map_err(|error| of(&format!("does not hold: {error}")))?;
    Ok((bytes, raw))
}

fn wrong(why: &str) -> Failure {
    Failure::new(
        "wrong_receipt",
        format!("the server's COSE receipts were not written: {why}"),
        "do not trust this server; the receipt file stays good",
    )
}
