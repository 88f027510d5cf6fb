//! The statement of a receipt, its signature, and the document whose digest it holds.

use serde_json::{Map, Value};

use super::StatementSummary;
use super::checks::{Finding, fail, open, pass};
use super::memo::Memo;
use crate::chain;
use crate::encoding::from_hex_exact;
use crate::key::KeyError;
use crate::leaf::{Action, Leaf, Marker};
use crate::receipt::Receipt;
use crate::trust::TrustRoot;

/// An action whose signature holds, and what the validators say it led to.
pub(super) struct Stated {
    pub(super) action: Action,
    /// Version that it gave the receipt's record.
    version: u32,
}

/// Reads the statement and checks all about it.
pub(super) fn check(
    receipt: &Receipt,
    marker: Option<&Marker>,
    root: Option<&TrustRoot>,
    memo: &Memo,
) -> Result<Stated, Finding> {
    let leaf = Leaf::parse(&receipt.leaf).map_err(|error| fail("malformed_leaf", chain(&error)))?;
    let action = leaf
        .action()
        .map_err(|error| fail("malformed_statement", chain(&error)))?;
    let signer = action.common.signer;
    let signed = leaf.signed().ok_or(KeyError::Signature).and_then(|(bytes, signature)| {
        // A member's key is unpacked already.
        memo.signed(signer, bytes, signature, || {
            match root.and_then(|root| root.member(&signer)) {
                Some(key) => key.verify(bytes, signature),
                None => signer.verify(bytes, signature),
            }
        })
    });
    signed.map_err(|error| fail("bad_signature", chain(&error)))?;
    if action.common.network != receipt.network {
        return Err(fail("other_network", "the statement was signed for another network"));
    }
    // The receipt may be of a record that the action changed beside the one it was signed for.
    let outcome = leaf
        .outcome()
        .filter(|outcome| action.record.is_none_or(|record| record == outcome.record));
    let Some(version) = outcome.and_then(|outcome| outcome.version_of(&receipt.record)) else {
        return Err(fail(
            "other_record",
            "statement, leaf and receipt do not name the same record",
        ));
    };
    if marker.is_some_and(|marker| marker.time > action.common.valid_until) {
        return Err(fail("expired", "the statement was no longer valid at block time"));
    }
    Ok(Stated { action, version })
}

pub(super) fn check_document(receipt: &Receipt, stated: Option<&Stated>, document: Option<[u8; 32]>) -> Finding {
    let Some(document) = document else {
        return open("no_document", "no document was given to compare with");
    };
    let Some(Stated { action, .. }) = stated else {
        return fail(
            "no_statement",
            "the statement does not hold, so it says nothing about the document",
        );
    };
    let Some(Value::Array(digests)) = action.input.get("digests") else {
        return check_content(&action.input, &document);
    };
    let Some(disclosure) = &receipt.disclosure else {
        return open(
            "no_disclosure",
            "the receipt does not say how the digest follows from the document (no salt)",
        );
    };
    if action.input.get("mode").and_then(Value::as_str) != Some(disclosure.mode()) {
        return fail(
            "mode_mismatch",
            "statement and receipt name different modes, salted or plain",
        );
    }
    let wanted = disclosure.commitment(&document);
    let holds = |digest: &Value| {
        let value = digest.get("value").and_then(Value::as_str).and_then(from_hex_exact);
        digest.get("alg").and_then(Value::as_str) == Some("sha-256") && value == Some(wanted)
    };
    if digests.iter().any(holds) {
        pass("match", "the document is the one whose digest was signed")
    } else {
        fail("mismatch", "the document is not the one whose digest was signed")
    }
}

/// A statement about one document may hold its plain SHA-256 as `content`.
fn check_content(input: &Map<String, Value>, document: &[u8; 32]) -> Finding {
    let content = input.get("content").and_then(Value::as_str).and_then(from_hex_exact);
    match content {
        None => open("no_digests", "the statement holds no digests"),
        Some(content) if content == *document => pass("match", "the document is the one whose digest was signed"),
        Some(_) => fail("mismatch", "the document is not the one whose digest was signed"),
    }
}

impl Stated {
    /// What the report tells of it.
    pub(super) fn summary(self, receipt: &Receipt, root: Option<&TrustRoot>) -> StatementSummary {
        let Action { common, input, .. } = self.action;
        let signer = common.signer.to_string();
        let member = root.and_then(|root| root.genesis().members.iter().find(|member| member.key == signer));
        StatementSummary {
            template: common.template,
            revision: common.revision,
            action: common.action,
            signer_name: member.map(|member| member.name.clone()),
            signer,
            record: hex::encode(receipt.record),
            version: self.version,
            digests: input.get("digests").cloned(),
            input,
        }
    }
}
