//! The table of words: what can be done to an invoice, and what each takes. A test holds it against the template.

use super::{Absent, Field, Kind, Word};

const fn must(name: &'static str, kind: Kind) -> Field {
    field(name, kind, Absent::Refused)
}

const fn may(name: &'static str, kind: Kind) -> Field {
    field(name, kind, Absent::Out)
}

const fn field(name: &'static str, kind: Kind, absent: Absent) -> Field {
    Field { name, kind, absent }
}

const fn word(
    name: &'static str,
    action: &'static str,
    means: &'static [(&'static str, &'static str)],
    fields: &'static [Field],
) -> Word {
    Word {
        name,
        action,
        means,
        fields,
    }
}

const REASONS: Field = may("reasons", Kind::Texts);
/// Without a reason the ledger refuses it.
const WHY: Field = must("reasons", Kind::Texts);
const EVIDENCE: Field = may("evidence", Kind::Text);
const PROOF: Field = must("evidence", Kind::Text);
const PLEDGE: Field = must("pledge", Kind::Text);
const REASON: Field = must("reason", Kind::Text);

/// All words.
pub const WORDS: &[Word] = &[
    word("approve", "respond", &[("code", "AP")], &[EVIDENCE]),
    word("dispute", "respond", &[("code", "UQ")], &[WHY, EVIDENCE]),
    word("reject", "respond", &[("code", "RE")], &[WHY, EVIDENCE]),
    word(
        "respond",
        "respond",
        &[],
        &[must("code", Kind::Text), REASONS, EVIDENCE],
    ),
    word(
        "settle",
        "settle",
        &[],
        &[
            must("payment", Kind::Text),
            field("amount", Kind::Amount, Absent::Open),
            may("overpaid", Kind::Amount),
            EVIDENCE,
        ],
    ),
    word("confirm-payment", "confirmPayment", &[], &[must("payment", Kind::Text)]),
    word("refund", "refund", &[], &[must("amount", Kind::Amount), EVIDENCE]),
    word(
        "confirm-refund",
        "confirmRefund",
        &[],
        &[field("amount", Kind::Amount, Absent::Said), EVIDENCE],
    ),
    word("appoint-agent", "appointAgent", &[], &[may("agent", Kind::Party)]),
    word(
        "pledge",
        "offerPledge",
        &[],
        &[
            PLEDGE,
            must("lender", Kind::Party),
            field("amount", Kind::Amount, Absent::Unpledged),
            must("until", Kind::Time),
            field("expires", Kind::Time, Absent::OfferEnd),
        ],
    ),
    word(
        "accept-pledge",
        "acceptPledge",
        &[],
        &[PLEDGE, may("waiver", Kind::Flag)],
    ),
    word("decline-pledge", "declinePledge", &[], &[PLEDGE]),
    word("release", "releasePledge", &[], &[PLEDGE]),
    word("enforce-pledge", "enforcePledge", &[], &[PLEDGE]),
    word("acknowledge-pledge", "acknowledgePledge", &[], &[PLEDGE]),
    word(
        "consent",
        "consent",
        &[],
        &[may("pledge", Kind::Text), must("amount", Kind::Amount)],
    ),
    word(
        "assign",
        "offerAssignment",
        &[],
        &[
            must("assignee", Kind::Party),
            field("expires", Kind::Time, Absent::OfferEnd),
        ],
    ),
    word(
        "accept-assignment",
        "acceptAssignment",
        &[],
        &[field("open", Kind::Amount, Absent::Open)],
    ),
    word("decline-assignment", "declineAssignment", &[], &[]),
    word("appoint", "appoint", &[], &[must("holder", Kind::Party)]),
    word(
        "claim",
        "claimReimbursement",
        &[],
        &[
            must("employer", Kind::Party),
            field("amount", Kind::Amount, Absent::Unreimbursed),
            must("until", Kind::Time),
        ],
    ),
    word(
        "reimburse",
        "settleReimbursement",
        &[],
        &[field("amount", Kind::Amount, Absent::Locked), EVIDENCE],
    ),
    word("release-claim", "releaseReimbursement", &[], &[]),
    word(
        "settle-clawback",
        "settleClawback",
        &[],
        &[must("amount", Kind::Amount), EVIDENCE],
    ),
    word("cancel", "cancel", &[], &[REASON]),
    word("request-void", "requestVoid", &[], &[REASON]),
    word("withdraw-void", "withdrawVoid", &[], &[]),
    word("answer-void", "answerVoid", &[], &[must("accept", Kind::Flag)]),
    word("submit-to-authority", "submitToAuthority", &[], &[PROOF]),
    word(
        "answer-authority",
        "answerAuthority",
        &[],
        &[must("answer", Kind::Text), PROOF],
    ),
    word("send-cancellation", "sendCancellation", &[], &[PROOF]),
    word("expire-offer", "expireOffer", &[], &[PLEDGE]),
    word("expire-assignment", "expireAssignment", &[], &[]),
    word("expire-lock", "expireLock", &[], &[]),
    word("lapse-void", "lapseVoid", &[], &[]),
    word("report-overdue", "reportOverdue", &[], &[]),
];
