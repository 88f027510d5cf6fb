//! Takes each invariant's guard out, and sees the invariant break.

use muniment_ledger::template::Template;
use muniment_ledger::templates::ELECTRONIC_INVOICE;

use serde_json::json;

use super::attempts::samples;
use super::history::{Settings, Step, play, run};
use crate::invoice::world::*;
use crate::support::START;

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

/// For what random histories rarely come to: the way there, step by step.
fn breaks_on(invariant: u8, changes: &[(&str, &str)], steps: &[Step]) {
    let found = play(ELECTRONIC_INVOICE, steps).broken;
    assert!(found.is_empty(), "{found:?}");
    let found = play(&without(changes), steps).broken;
    let broken = found.iter().any(|(number, _)| *number == invariant);
    assert!(broken, "invariant {invariant} holds without {changes:?}: {found:?}");
}

fn issue() -> Step {
    ("issue", SELLER, document("380", 1, 10_000))
}

/// For an hour.
fn offer(pledge: &str, lender: u8, amount: i64) -> Step {
    let input = json!({
        "pledge": pledge, "lender": name(lender), "amount": amount, "until": START + 3_600_000,
        "expires": START + 40 * 3_600_000
    });
    ("offerPledge", SELLER, input)
}

fn accept(pledge: &str, lender: u8) -> Step {
    ("acceptPledge", lender, json!({ "pledge": pledge, "waiver": true }))
}

fn settle(party: u8, payment: &str, amount: i64) -> Step {
    ("settle", party, json!({ "payment": payment, "amount": amount }))
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
    let twice = [
        issue(),
        offer("P0", BANK, 11_900),
        offer("P1", OTHER_BANK, 11_900),
        accept("P0", BANK),
        accept("P1", OTHER_BANK),
    ];
    breaks_on(8, &[(rule, "rule: record.fields.open > 0")], &twice);
    let accepted = "rule: record.regions.approval == 'Accepted' || has(input.waiver) && input.waiver";
    let unwaived = ("acceptPledge", BANK, json!({ "pledge": "P0" }));
    let steps = [issue(), offer("P0", BANK, 11_900), unwaived];
    breaks_on(8, &[(accepted, "rule: record.fields.open > 0")], &steps);
    // What was paid and confirmed leaves less than the one lender was pledged, and the other is still there.
    let only = "rule: record.fields.pledged == variables.found[0].amount";
    let beside = [
        issue(),
        offer("P0", BANK, 5_000),
        accept("P0", BANK),
        offer("P1", OTHER_BANK, 6_900),
        accept("P1", OTHER_BANK),
        settle(SELLER, "A1", 7_000),
        ("confirmPayment", BUYER, json!({ "payment": "A1" })),
        ("wait", 0, json!(2)),
        ("enforcePledge", BANK, json!({ "pledge": "P0" })),
    ];
    breaks_on(8, &[(only, "rule: record.fields.open >= 0")], &beside);
}

/// Who accepted after its end could take the claim at once.
#[test]
fn a_pledge_that_is_over_begins_no_more() {
    let until = "block.time <= variables.found[0].expires && block.time < variables.found[0].until";
    let late = [
        issue(),
        offer("P0", BANK, 11_900),
        ("wait", 0, json!(2)),
        accept("P0", BANK),
    ];
    breaks_on(11, &[(until, "block.time <= variables.found[0].expires")], &late);
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
    let named = || ("appointAgent", SELLER, json!({ "agent": name(EMPLOYEE) }));
    let assigned = [
        issue(),
        named(),
        ("offerAssignment", SELLER, json!({ "assignee": name(BANK) })),
        ("acceptAssignment", BANK, json!({})),
        settle(EMPLOYEE, "A1", 100),
    ];
    breaks_on(9, &[(both, "        assignee: null\n")], &assigned);
    let enforced = [
        issue(),
        named(),
        offer("P0", BANK, 11_900),
        accept("P0", BANK),
        ("wait", 0, json!(2)),
        ("enforcePledge", BANK, json!({ "pledge": "P0" })),
        settle(EMPLOYEE, "A1", 100),
    ];
    breaks_on(9, &[(both, "        assignee: null\n")], &enforced);
    let consent = "rule: \"has(input.pledge) || record.regions.encumbrance != 'Pledged'\"";
    let to_itself = [
        issue(),
        offer("P0", BANK, 11_900),
        accept("P0", BANK),
        ("consent", SELLER, json!({ "amount": 11_900 })),
    ];
    breaks_on(9, &[(consent, "rule: record.fields.open >= 0")], &to_itself);
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
    let pledged = || vec![issue(), offer("P0", BANK, 11_900), accept("P0", BANK)];
    let settle_frees = "freed: variables.open == 0 && record.fields.pledged == 0";
    let cleared = "        pledges: \"variables.freed ? [] : record.fields.pledges\"\n        evidence";
    let both = "        pledges: \"variables.freed ? [] : record.fields.pledges\"\n        pledged: \"variables.freed ? 0 : \
                record.fields.pledged\"\n        evidence";
    let mut paid = pledged();
    paid.push(settle(SELLER, "A1", 11_900));
    let frees = [(settle_frees, "freed: variables.open == 0"), (cleared, both)];
    breaks_on(9, &frees, &paid);

    let said = "record.fields.open == 0 && record.fields.payments.all(p, p.confirmed || p.id == input.payment)";
    let mut half_confirmed = pledged();
    half_confirmed.extend([
        settle(SELLER, "A1", 5_000),
        settle(SELLER, "A2", 6_900),
        ("confirmPayment", BUYER, json!({ "payment": "A1" })),
    ]);
    breaks_on(9, &[(said, "record.fields.open == 0")], &half_confirmed);

    let credited = "refs.invoice.fields.payments.all(p, p.confirmed))";
    let mut rest_credited = pledged();
    rest_credited.extend([
        settle(SELLER, "A1", 5_000),
        ("consent", BANK, json!({ "pledge": "P0", "amount": 11_900 })),
        // All that is open, and not the whole invoice.
        ("credit", SELLER, document("381", 1, 6_000)),
    ]);
    breaks_on(9, &[(credited, "refs.invoice.fields.open >= 0)")], &rest_credited);
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
