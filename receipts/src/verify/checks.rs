//! The checks, one function each, and how their verdicts make a report.

use std::error::Error;

use super::memo::Memo;
use super::{Check, Cosigned, Outcome, Report, Verdict, Verifier, statement};
use crate::chain;
use crate::checkpoint::{self, Checkpoint};
use crate::leaf::{Leaf, Marker};
use crate::merkle;
use crate::note::Note;
use crate::receipt::Receipt;
use crate::trust::{Fit, Judgement, TrustError, TrustRoot};

/// Clocks of validators may differ by this much before we call it strange.
const CLOCK_TOLERANCE_MS: u64 = 10 * 60 * 1000;

/// A verdict without its check.
pub(super) type Finding = (Outcome, &'static str, String);

pub(super) fn pass(code: &'static str, detail: impl Into<String>) -> Finding {
    (Outcome::Pass, code, detail.into())
}

pub(super) fn fail(code: &'static str, detail: impl Into<String>) -> Finding {
    (Outcome::Fail, code, detail.into())
}

pub(super) fn open(code: &'static str, detail: impl Into<String>) -> Finding {
    (Outcome::Inconclusive, code, detail.into())
}

pub(super) fn run(verifier: &Verifier, receipt: &[u8], document: Option<[u8; 32]>, evaluation_time: u64) -> Report {
    let mut report = Report {
        verdicts: Vec::with_capacity(8),
        overall: Outcome::Pass,
        statement: None,
        network: None,
        height: None,
        block_time: None,
        leaf: None,
        cosigned: Vec::new(),
        ignored: Vec::new(),
        quorum: None,
        evaluation_time,
    };
    match Receipt::parse(receipt) {
        Ok(receipt) => all(&mut report, verifier, &receipt, document),
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
    /// What the trust root says to the validators that the marker names.
    fit: Option<Fit>,
}

fn all(report: &mut Report, verifier: &Verifier, receipt: &Receipt, document: Option<[u8; 32]>) {
    let trust = verifier.trust.as_ref();
    let note = Note::parse(&receipt.proof.checkpoint).ok();
    let checkpoint = note.as_ref().and_then(|note| Checkpoint::parse(note.text).ok());
    let marker = match Leaf::parse(&receipt.marker) {
        Ok(Leaf::Marker(marker)) => Some(marker),
        _ => None,
    };
    let root = trust.and_then(|trust| trust.as_ref().ok());
    let fit = root.zip(marker.as_ref()).map(|(root, marker)| root.fit(marker));
    let parts = Parts {
        receipt,
        note,
        checkpoint,
        marker,
        fit,
    };
    report.network = Some(hex::encode(receipt.network));
    report.height = parts.marker.as_ref().map(|marker| marker.height);
    report.block_time = parts.marker.as_ref().map(|marker| marker.time);
    report.leaf = Some(receipt.proof.index);

    let stated = statement::check(receipt, parts.marker.as_ref(), root, &verifier.memo);
    let judgement = judge(&parts, root, &verifier.memo);
    put(
        report,
        Check::Receipt,
        pass("well_formed", "the file is a receipt in its one spelling"),
    );
    put(
        report,
        Check::Document,
        statement::check_document(receipt, stated.as_ref().ok(), document),
    );
    let (stated, verdict) = match stated {
        Ok(stated) => {
            let verdict = pass("signed", format!("signed by {}", stated.action.common.signer));
            (Some(stated), verdict)
        }
        Err(verdict) => (None, verdict),
    };
    put(report, Check::Statement, verdict);
    put(
        report,
        Check::Inclusion,
        check_inclusion(&parts).unwrap_or_else(|finding| finding),
    );
    put(report, Check::Quorum, check_quorum(trust, &parts, judgement.as_ref()));
    put(report, Check::TrustRoot, check_trust(trust, verifier.network, &parts));
    put(
        report,
        Check::Time,
        check_time(&parts, judgement.as_ref(), report.evaluation_time),
    );

    report.statement = stated.map(|stated| stated.summary(receipt, root));
    if let Some(judgement) = judgement {
        report.quorum = Some(format!("{} of {}", judgement.signed.len(), judgement.validators));
        report.ignored = judgement.ignored;
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

/// What the cosignatures are worth. Nothing is said when the trust root does not know who may sign.
fn judge(parts: &Parts<'_>, root: Option<&TrustRoot>, memo: &Memo) -> Option<Judgement> {
    if parts.fit == Some(Fit::Unknown) {
        return None;
    }
    let set = root?.validators_at(parts.receipt.height);
    Some(memo.judge(set, &parts.receipt.proof.checkpoint, parts.note.as_ref()?))
}

fn check_quorum(
    trust: Option<&Result<TrustRoot, TrustError>>,
    parts: &Parts<'_>,
    judgement: Option<&Judgement>,
) -> Finding {
    match (trust, judgement) {
        (None, _) => open(
            "no_trust_root",
            "without a trust root nobody knows whose signatures count",
        ),
        (Some(Err(_)), _) => open("bad_trust_root", "the trust root does not hold"),
        (Some(Ok(_)), None) if parts.note.is_none() => {
            fail("malformed_checkpoint", "the checkpoint is not a signed note")
        }
        (Some(Ok(_)), None) => open(
            "unknown_validators",
            "the trust root does not know the validators of this block, so it can't say whose signatures count",
        ),
        (_, Some(judgement)) => {
            let mut counts = format!(
                "{} of {} validators cosigned, {} are needed",
                judgement.signed.len(),
                judgement.validators,
                judgement.quorum
            );
            if !judgement.ignored.is_empty() {
                // Whoever had the receipt may have added these: quoted, so that a name can't pose as our words.
                counts.push_str(&format!(
                    "; lines of unknown keys were ignored: {:?}",
                    judgement.ignored
                ));
            }
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
        Some(Ok(_)) if parts.marker.is_none() => fail("malformed_marker", "the block marker is not well formed"),
        Some(Ok(_)) if parts.fit == Some(Fit::Unknown) => open(
            "unknown_validators",
            "the block names validators that this trust root does not know; get the network's newest trust root",
        ),
        Some(Ok(_)) if parts.fit != Some(Fit::Same) => fail(
            "other_validators",
            "the block names other validators than those that the trust root knows for its height",
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
