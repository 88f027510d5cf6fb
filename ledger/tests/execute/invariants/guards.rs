//! Takes each invariant's guard out, and sees the invariant break.

use muniment_ledger::template::Template;
use muniment_ledger::templates::ELECTRONIC_INVOICE;

use super::attempts::samples;
use super::history::{Settings, run};

/// Most histories that are tried to break an invariant.
const TRIES: usize = 600;

/// Replaces text of the template; each must be there.
fn without(changes: &[(&str, &str)]) -> String {
    let mut template = ELECTRONIC_INVOICE.to_owned();
    for (from, to) in changes {
        assert!(template.contains(from), "the template no longer has {from:?}");
        template = template.replace(from, to);
    }
    if let Err(error) = Template::compile(&template) {
        panic!("without {changes:?}: {error}");
    }
    template
}

fn breaks(invariant: u8, template: &str, settings: Settings) {
    let broken = |found: &super::history::Found| found.broken.iter().any(|(number, _)| *number == invariant);
    let found = samples(TRIES).position(|attempts| broken(&run(template, &attempts, settings)));
    assert!(found.is_some(), "invariant {invariant} holds without its guard");
}

fn breaks_without(invariant: u8, changes: &[(&str, &str)]) {
    let lean = Settings {
        lean: true,
        ..Settings::default()
    };
    breaks(invariant, &without(changes), lean);
}

#[test]
fn a_number_is_used_once() {
    let identity = "  identity: [input.supplier, input.number, input.year]\n\n";
    for loose in ["input.content", "input.type", "input.series", "input.regime"] {
        let with = format!("  identity: [input.supplier, input.number, input.year, {loose}]\n\n");
        breaks_without(1, &[(identity, with.as_str())]);
    }
    // The year is the document's, not the caller's.
    breaks_without(
        1,
        &[(
            "rule: \"input.issueDate.startsWith(string(input.year) + '-')\"",
            "rule: input.year > 0",
        )],
    );
    breaks_without(
        1,
        &[(
            "      values: [fields.content]",
            "      values: [fields.content, fields.number]",
        )],
    );
}

#[test]
fn chains_are_gapless() {
    breaks_without(2, &[("per: [creator, input.series]", "per: [creator]")]);
    breaks_without(
        2,
        &[(
            "input.chain.counter == counters.chain.next &&",
            "input.chain.counter > 0 &&",
        )],
    );
}

#[test]
fn issued_content_stays() {
    // No action writes it: one that does is the missing guard.
    breaks_without(
        3,
        &[(
            "        evidence: input.evidence\n\n    confirmPayment:",
            "        content: input.evidence\n\n    confirmPayment:",
        )],
    );
}

#[test]
fn only_valid_documents_are_issued() {
    breaks_without(
        4,
        &[("rule: input.verdict.fatal == 0", "rule: input.verdict.fatal >= 0")],
    );
}

#[test]
fn amounts_are_exact() {
    breaks_without(5, &[("      validate: [en16931]\n", "")]);
}

#[test]
fn credits_stay_within_each_category() {
    let rule = "v.creditedBase + c.base <= v.base && v.creditedVat + c.vat <= v.vat))";
    breaks_without(
        6,
        &[
            (rule, "v.base >= 0))"),
            ("v.category == c.category && v.rate == c.rate &&", ""),
        ],
    );
}

#[test]
fn no_more_is_paid_than_is_owed() {
    let open = "      open: { type: integer, minimum: 0 }";
    breaks_without(
        7,
        &[
            ("rule: variables.open >= 0", "rule: variables.open >= -100"),
            (open, "      open: { type: integer }"),
        ],
    );
}

#[test]
fn no_more_is_pledged_than_is_open() {
    let rule = "rule: record.fields.pledged + variables.found[0].amount <= record.fields.open";
    breaks_without(8, &[(rule, "rule: record.fields.open > 0")]);
    let accepted = "rule: record.regions.approval == 'Accepted' || has(input.waiver) && input.waiver";
    breaks_without(8, &[(accepted, "rule: record.fields.open > 0")]);
    let only = "rule: record.fields.pledged == variables.found[0].amount";
    breaks_without(8, &[(only, "rule: record.fields.open >= 0")]);
}

#[test]
fn lenders_consent() {
    breaks_without(9, &[("!p.live || variables.amount <= p.consent", "!p.live || p.live")]);
    let payee =
        "refs.invoice.fields.payee == refs.invoice.creator || variables.amount <= refs.invoice.fields.payeeConsent";
    breaks_without(9, &[(payee, "refs.invoice.fields.open >= 0")]);
}

/// What the payee before has consented to, or whom it has named, doesn't bind the one who has the claim now.
#[test]
fn a_new_payee_begins_anew() {
    let both = "        agent: null\n        assignee: null\n";
    breaks_without(9, &[(both, "        assignee: null\n")]);
    let consent = "rule: \"has(input.pledge) || record.regions.encumbrance != 'Pledged'\"";
    breaks_without(
        9,
        &[
            (consent, "rule: record.fields.open >= 0"),
            ("        payeeConsent: 0\n\n    a", "\n    a"),
        ],
    );
}

/// A lender takes what was pledged to it, and no more.
#[test]
fn a_pledge_of_a_part_takes_no_whole() {
    let rule = "rule: record.fields.open + variables.back <= variables.found[0].amount";
    breaks_without(9, &[(rule, "rule: record.fields.open >= 0")]);
}

/// The word of the payee alone ends no pledge.
#[test]
fn pledges_outlive_what_only_the_payee_says() {
    let settle = "freed: variables.open == 0 && record.fields.pledged == 0";
    let cleared = "        pledges: \"variables.freed ? [] : record.fields.pledges\"\n        evidence";
    breaks_without(
        9,
        &[
            (settle, "freed: variables.open == 0"),
            (
                cleared,
                "        pledges: \"variables.freed ? [] : record.fields.pledges\"\n        pledged: \"variables.freed ? 0 : record.fields.pledged\"\n        evidence",
            ),
        ],
    );
    let said = "record.fields.open == 0 && record.fields.payments.all(p, p.confirmed || p.id == input.payment)";
    breaks_without(9, &[(said, "record.fields.open == 0")]);
    let credited = "refs.invoice.fields.payments.all(p, p.confirmed))";
    breaks_without(9, &[(credited, "refs.invoice.fields.open >= 0)")]);
}

#[test]
fn one_claim_at_a_time() {
    breaks_without(
        10,
        &[(
            "        reimbursement: [Unclaimed, PartlyReimbursed]\n      to: { reimbursement: Locked }",
            "        reimbursement: [Unclaimed, PartlyReimbursed, Locked]\n      to: { reimbursement: Locked }",
        )],
    );
    let left = "rule: record.fields.reimbursed + input.amount <= record.fields.total - record.fields.credited";
    breaks_without(10, &[(left, "rule: input.amount > 0")]);
    breaks_without(
        10,
        &[("rule: input.until - block.time <= 7776000000", "rule: input.until > 0")],
    );
}

#[test]
fn acceptance_is_not_taken_back() {
    breaks_without(
        11,
        &[(
            "rule: variables.before < 5 || variables.now == 7",
            "rule: variables.before < 6",
        )],
    );
}

#[test]
fn voids_hurt_nobody() {
    breaks_without(
        12,
        &[(
            "        document: [Issued]\n        settlement: [Open]\n        encumbrance: [Free, Released]",
            "        document: [Issued]\n        settlement: [Open, PartlyPaid]\n        encumbrance: [Free, Released]",
        )],
    );
}

#[test]
fn only_the_key_of_a_role_acts() {
    breaks_without(13, &[("      by: [payee, agent]", "      by: [anyMember]")]);
    breaks_without(
        13,
        &[
            ("      holder: creator\n", "      holder: record\n"),
            (
                "      values: [fields.supplier]",
                "      values: [fields.supplier, fields.number]",
            ),
        ],
    );
}

#[test]
fn replays_change_nothing() {
    let forgetful = Settings {
        forgetful: true,
        ..Settings::default()
    };
    breaks(14, ELECTRONIC_INVOICE, forgetful);
}

#[test]
fn time_is_the_blocks() {
    let own_clock = Settings {
        own_clock: true,
        ..Settings::default()
    };
    breaks(15, ELECTRONIC_INVOICE, own_clock);
}

#[test]
fn refusals_tell_no_more_than_a_case_number() {
    // The message of a template is fixed text: one that names the other record's content is the missing guard.
    let told = "message: a document of the same bytes is registered already; the record named is its";
    breaks_without(
        16,
        &[(
            told,
            "message: \"000000000000000000000000000000000000000000000000000000000000abc0\"",
        )],
    );
}

#[test]
fn a_changed_leaf_is_no_proof() {
    let flipped = Settings {
        flipped: true,
        ..Settings::default()
    };
    breaks(17, ELECTRONIC_INVOICE, flipped);
}
