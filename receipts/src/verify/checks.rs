//! The checks, one function each, and how their verdicts make a report.

use std::error::Error;

use serde_json::Value;

use super::{Check, Cosigned, Outcome, Report, StatementSummary, Verdict};
use crate::checkpoint::{self, Checkpoint};
use crate::encoding::from_hex_exact;
use crate::key::KeyError;
use crate::leaf::{Action, Leaf, Marker};
use crate::merkle;
use crate::note::Note;
use crate::receipt::Receipt;
use crate::trust::{Judgement, TrustError, TrustRoot};

/// Clocks of validators may differ by this much before we call it strange.
const CLOCK_TOLERANCE_MS: u64 = 10 * 60 * 1000;

/// A verdict without its check.
type Finding = (Outcome, &'static str, String);

fn pass(code: &'static str, detail: impl Into<String>) -> Finding {
    (Outcome::Pass, code, detail.into())
}

fn fail(code: &'static str, detail: impl Into<String>) -> Finding {
    (Outcome::Fail, code, detail.into())
}

fn open(code: &'static str, detail: impl Into<String>) -> Finding {
    (Outcome::Inconclusive, code, detail.into())
}

/// An error with its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

pub(super) fn run(
    trust: Option<&Result<TrustRoot, TrustError>>,
    pinned: Option<[u8; 32]>,
    receipt: &[u8],
    document: Option<[u8; 32]>,
    evaluation_time: u64,
) -> Report {
    let mut report = Report {
        verdicts: Vec::with_capacity(8),
        overall: Outcome::Pass,
        statement: None,
        network: None,
        height: None,
        block_time: None,
        leaf: None,
        cosigned: Vec::new(),
        quorum: None,
        evaluation_time,
    };
    match Receipt::parse(receipt) {
        Ok(receipt) => all(&mut report, trust, pinned, &receipt, document),
        Err(error) => unreadable(&mut report, &error),
    }
    let status = open(
        "not_covered",
        "a receipt does not say whether the record was changed later; ask a validator",
    );
    put(&mut report, Check::Status, status);
    let counted = || report.verdicts.iter().filter(|verdict| verdict.check != Check::Status);
    report.overall = match () {
        () if counted().any(|verdict| verdict.result == Outcome::Fail) => Outcome::Fail,
        () if counted().any(|verdict| verdict.result == Outcome::Inconclusive) => Outcome::Inconclusive,
        () => Outcome::Pass,
    };
    report
}

fn put(report: &mut Report, check: Check, (result, code, detail): Finding) {
    report.verdicts.push(Verdict {
        check,
        result,
        code: code.into(),
        detail,
    });
}

fn unreadable(report: &mut Report, error: &dyn Error) {
    put(report, Check::Receipt, fail("malformed", chain(error)));
    let checks = [
        Check::Document,
        Check::Statement,
        Check::Inclusion,
        Check::Quorum,
        Check::TrustRoot,
        Check::Time,
    ];
    for check in checks {
        put(report, check, open("not_checked", "the receipt can't be read"));
    }
}

/// What the receipt's parts turn out to be, each by itself.
struct Parts<'a> {
    receipt: &'a Receipt,
    note: Option<Note<'a>>,
    checkpoint: Option<Checkpoint>,
    marker: Option<Marker>,
}

fn all(
    report: &mut Report,
    trust: Option<&Result<TrustRoot, TrustError>>,
    pinned: Option<[u8; 32]>,
    receipt: &Receipt,
    document: Option<[u8; 32]>,
) {
    let note = Note::parse(&receipt.proof.checkpoint).ok();
    let checkpoint = note.as_ref().and_then(|note| Checkpoint::parse(note.text).ok());
    let marker = match Leaf::parse(&receipt.marker) {
        Ok(Leaf::Marker(marker)) => Some(marker),
        _ => None,
    };
    let parts = Parts {
        receipt,
        note,
        checkpoint,
        marker,
    };
    let root = trust.and_then(|trust| trust.as_ref().ok());
    report.network = Some(hex::encode(receipt.network));
    report.height = parts.marker.as_ref().map(|marker| marker.height);
    report.block_time = parts.marker.as_ref().map(|marker| marker.time);
    report.leaf = Some(receipt.proof.index);

    let (action, statement) = statement(&parts, root);
    let judgement = judge(&parts, root);
    put(
        report,
        Check::Receipt,
        pass("well_formed", "the file is a receipt in its one spelling"),
    );
    put(
        report,
        Check::Document,
        check_document(receipt, action.as_ref(), document),
    );
    put(report, Check::Statement, statement);
    put(
        report,
        Check::Inclusion,
        check_inclusion(&parts).unwrap_or_else(|finding| finding),
    );
    put(report, Check::Quorum, check_quorum(trust, judgement.as_ref()));
    put(report, Check::TrustRoot, check_trust(trust, pinned, &parts));
    put(
        report,
        Check::Time,
        check_time(&parts, judgement.as_ref(), report.evaluation_time),
    );

    report.statement = action.map(|action| summary(action, receipt, root));
    if let Some(judgement) = judgement {
        report.quorum = Some(format!("{} of {}", judgement.signed.len(), judgement.validators));
        report.cosigned = judgement
            .signed
            .into_iter()
            .map(|signed| Cosigned {
                name: signed.name,
                time: signed.time,
            })
            .collect();
    }
}

/// Reads the statement and checks its signature; the action is given only when all of it holds.
fn statement(parts: &Parts<'_>, root: Option<&TrustRoot>) -> (Option<Action>, Finding) {
    let leaf = match Leaf::parse(&parts.receipt.leaf) {
        Ok(leaf) => leaf,
        Err(error) => return (None, fail("malformed_leaf", chain(&error))),
    };
    let action = match leaf.action() {
        Ok(action) => action,
        Err(error) => return (None, fail("malformed_statement", chain(&error))),
    };
    let signer = action.common.signer;
    let signed = leaf.signed().ok_or(KeyError::Signature).and_then(|(bytes, signature)| {
        // A member's key is unpacked already.
        match root.and_then(|root| root.member(&signer)) {
            Some(key) => key.verify(bytes, signature),
            None => signer.verify(bytes, signature),
        }
    });
    if let Err(error) = signed {
        return (None, fail("bad_signature", chain(&error)));
    }
    if action.common.network != parts.receipt.network {
        return (
            None,
            fail("other_network", "the statement was signed for another network"),
        );
    }
    let outcome = leaf.outcome().map(|outcome| outcome.record);
    if outcome != Some(parts.receipt.record) || action.record.is_some_and(|record| record != parts.receipt.record) {
        return (
            None,
            fail(
                "other_record",
                "statement, leaf and receipt do not name the same record",
            ),
        );
    }
    if parts
        .marker
        .as_ref()
        .is_some_and(|marker| marker.time > action.common.valid_until)
    {
        return (None, fail("expired", "the statement was no longer valid at block time"));
    }
    (Some(action), pass("signed", format!("signed by {signer}")))
}

fn check_document(receipt: &Receipt, action: Option<&Action>, document: Option<[u8; 32]>) -> Finding {
    let Some(document) = document else {
        return open("no_document", "no document was given to compare with");
    };
    let Some(action) = action else {
        return fail(
            "no_statement",
            "the statement does not hold, so it says nothing about the document",
        );
    };
    let Some(Value::Array(digests)) = action.input.get("digests") else {
        return open("no_digests", "the statement holds no digests");
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

fn check_inclusion(parts: &Parts<'_>) -> Result<Finding, Finding> {
    let receipt = parts.receipt;
    let point = parts
        .checkpoint
        .as_ref()
        .ok_or_else(|| fail("malformed_checkpoint", "the checkpoint is not well formed"))?;
    if point.origin != checkpoint::origin(&receipt.network) {
        return Err(fail("other_log", "the checkpoint is of another log"));
    }
    let proof = &receipt.proof;
    merkle::verify_inclusion(
        &merkle::leaf_hash(&receipt.leaf),
        proof.index,
        point.size,
        &proof.path,
        &point.root,
    )
    .map_err(|error| fail("not_included", chain(&error)))?;
    let marker = parts
        .marker
        .as_ref()
        .ok_or_else(|| fail("malformed_marker", "the block marker is not well formed"))?;
    let last = point.size.saturating_sub(1);
    merkle::verify_inclusion(
        &merkle::leaf_hash(&receipt.marker),
        last,
        point.size,
        &receipt.marker_path,
        &point.root,
    )
    .map_err(|error| fail("marker_not_included", chain(&error)))?;
    if marker.network != receipt.network || marker.height != receipt.height {
        return Err(fail(
            "other_block",
            "the block marker is of another network or height than the receipt says",
        ));
    }
    let detail = format!("leaf {} of {}, block {}", proof.index, point.size, marker.height);
    Ok(pass("included", detail))
}

fn judge(parts: &Parts<'_>, root: Option<&TrustRoot>) -> Option<Judgement> {
    let set = root?.validators_at(parts.receipt.height);
    Some(set.judge(parts.note.as_ref()?))
}

fn check_quorum(trust: Option<&Result<TrustRoot, TrustError>>, judgement: Option<&Judgement>) -> Finding {
    match (trust, judgement) {
        (None, _) => open(
            "no_trust_root",
            "without a trust root nobody knows whose signatures count",
        ),
        (Some(Err(_)), _) => open("bad_trust_root", "the trust root does not hold"),
        (Some(Ok(_)), None) => fail("malformed_checkpoint", "the checkpoint is not a signed note"),
        (_, Some(judgement)) => {
            let counts = format!(
                "{} of {} validators cosigned, {} are needed",
                judgement.signed.len(),
                judgement.validators,
                judgement.quorum
            );
            match judgement.refused.first() {
                Some(name) => fail(
                    "bad_cosignature",
                    format!("the cosignature line of {name} does not count; {counts}"),
                ),
                None if judgement.holds() => pass("quorum", counts),
                None => fail("too_few", counts),
            }
        }
    }
}

fn check_trust(trust: Option<&Result<TrustRoot, TrustError>>, pinned: Option<[u8; 32]>, parts: &Parts<'_>) -> Finding {
    if pinned.is_some_and(|network| network != parts.receipt.network) {
        return fail(
            "other_network",
            "the receipt is of another network than the one insisted on",
        );
    }
    match trust {
        None => open("no_trust_root", "no trust root was given"),
        Some(Err(error)) => fail("malformed", chain(error)),
        Some(Ok(root)) if *root.network() != parts.receipt.network => {
            fail("other_network", "the trust root is of another network than the receipt")
        }
        Some(Ok(root)) if !parts.marker.as_ref().is_some_and(|marker| root.fits(marker)) => fail(
            "unknown_validators",
            "the block names a validator set that the trust root does not know; get the network's newest trust root",
        ),
        Some(Ok(root)) => {
            let changes = root.validators_at(parts.receipt.height).from_height();
            let since = if changes == 1 {
                "the genesis".to_owned()
            } else {
                format!("height {changes}")
            };
            pass(
                "matches",
                format!("network {}, validators of {since}", hex::encode(root.network())),
            )
        }
    }
}

fn check_time(parts: &Parts<'_>, judgement: Option<&Judgement>, evaluation_time: u64) -> Finding {
    let Some(marker) = &parts.marker else {
        return fail("malformed_marker", "the block marker is not well formed");
    };
    let Some(judgement) = judgement.filter(|judgement| !judgement.signed.is_empty()) else {
        return open("no_cosignatures", "there is no trusted signature to take a time from");
    };
    let latest = evaluation_time.saturating_add(CLOCK_TOLERANCE_MS);
    let times = judgement.signed.iter().map(|signed| signed.time.saturating_mul(1000));
    if marker.time > latest || times.clone().any(|time| time > latest) {
        return open(
            "in_future",
            "the receipt is dated after the evaluation time; check the clock",
        );
    }
    if times
        .clone()
        .any(|time| time.saturating_add(CLOCK_TOLERANCE_MS) < marker.time)
    {
        return open(
            "clocks_differ",
            "a validator cosigned long before the block time; its clock or the block's is off",
        );
    }
    pass(
        "consistent",
        "block time, cosignature times and evaluation time fit together",
    )
}

fn summary(action: Action, receipt: &Receipt, root: Option<&TrustRoot>) -> StatementSummary {
    let signer = action.common.signer.to_string();
    let member = root.and_then(|root| root.genesis().members.iter().find(|member| member.key == signer));
    let version = Leaf::parse(&receipt.leaf)
        .ok()
        .and_then(|leaf| leaf.outcome())
        .map_or(0, |outcome| outcome.version);
    StatementSummary {
        template: action.common.template,
        revision: action.common.revision,
        action: action.common.action,
        signer_name: member.map(|member| member.name.clone()),
        signer,
        record: hex::encode(receipt.record),
        version,
        digests: action.input.get("digests").cloned(),
        input: action.input,
    }
}
