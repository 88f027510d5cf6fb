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

/// To the bank, for an hour.
fn assign() -> Step {
    let input = json!({ "assignee": name(BANK), "expires": START + 3_600_000 });
    ("offerAssignment", SELLER, input)
}

fn take() -> Step {
    ("acceptAssignment", BANK, json!({ "open": 11_900 }))
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
    let number = "values: [creator, fields.number, fields.year, fields.note]";
    let loosened = "values: [creator, fields.number, fields.year, fields.note, fields.content]";
    for loose in ["input.content", "input.type", "input.series", "input.regime"] {
        let with = format!("  identity: [input.supplier, input.number, input.year, {loose}]\n\n");
        breaks_without(1, &[(identity, with.as_str()), (number, loosened)]);
    }
    // The issuer's number, whatever id of the supplier is beside it.
    let twice = with(
        document("380", 1, 10_000),
        json!({ "supplier": "DE.1234567890", "content": digest(2) }),
    );
    breaks_on(1, &[(number, loosened)], &[issue(), ("issue", SELLER, twice)]);
    // The year is the document's, not the caller's.
    breaks_without(
        1,
        &[
            (number, loosened),
            (
                "rule: \"input.issueDate.startsWith(string(input.year) + '-')\"",
                "rule: input.year > 0",
            ),
        ],
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
    breaks_without(
        6,
        &[
            ("v.creditedBase + c.base <= v.base))", "v.base >= 0))"),
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
    let credit = || ("credit", SELLER, document("381", 1, 5_000));
    let pledged = [issue(), offer("P0", BANK, 11_900), accept("P0", BANK), credit()];
    breaks_on(
        9,
        &[("!p.live || variables.amount <= p.consent", "!p.live || p.live")],
        &pledged,
    );
    let payee =
        "refs.invoice.fields.payee == refs.invoice.creator || variables.amount <= refs.invoice.fields.payeeConsent";
    let assigned = [issue(), assign(), take(), credit()];
    breaks_on(9, &[(payee, "refs.invoice.fields.open >= 0")], &assigned);
}

/// What the payee before has consented to, or whom it has named, doesn't bind the one who has the claim now.
#[test]
fn a_new_payee_begins_anew() {
    let both = "        agent: null\n        assignee: null\n";
    let named = || ("appointAgent", SELLER, json!({ "agent": name(EMPLOYEE) }));
    let assigned = [issue(), named(), assign(), take(), settle(EMPLOYEE, "A1", 100)];
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
    let rule = "rule: variables.open <= variables.found[0].amount";
    let steps = [
        issue(),
        offer("P0", BANK, 5_000),
        accept("P0", BANK),
        ("wait", 0, json!(2)),
        ("enforcePledge", BANK, json!({ "pledge": "P0" })),
    ];
    breaks_on(9, &[(rule, "rule: record.fields.open >= 0")], &steps);
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

/// What nobody but the payee before has said leaves no refund, and what was confirmed beyond pays what is open again.
#[test]
fn enforcement_leaves_no_refund_without_money() {
    let pledged = || vec![issue(), offer("P0", BANK, 11_900), accept("P0", BANK)];
    let enforced = || {
        [
            ("wait", 0, json!(2)),
            ("enforcePledge", BANK, json!({ "pledge": "P0" })),
        ]
    };
    let mut credited = pledged();
    credited.extend([
        settle(SELLER, "A1", 11_900),
        ("consent", BANK, json!({ "pledge": "P0", "amount": 11_900 })),
        ("credit", SELLER, document("381", 1, 5_000)),
        ("refund", SELLER, json!({ "amount": 5_000 })),
    ]);
    credited.extend(enforced());
    let stays = [("        refundDue: variables.refundDue\n", "")];
    breaks_on(7, &stays, &credited);
    let said = [(
        "        refundSaid: min(record.fields.refundSaid, variables.overpaid + variables.refundDue)\n",
        "",
    )];
    breaks_on(7, &said, &credited);

    let mut beyond = pledged();
    let over = json!({ "payment": "A2", "amount": 6_900, "overpaid": 100 });
    beyond.extend([
        settle(SELLER, "A1", 5_000),
        ("settle", SELLER, over),
        ("confirmPayment", BUYER, json!({ "payment": "A2" })),
    ]);
    beyond.extend(enforced());
    let counted = "counted: min(variables.beyond, record.fields.open + variables.back)";
    breaks_on(7, &[(counted, "counted: min(variables.beyond, 0)")], &beyond);
}

/// A refund is what both say: who owes it, and who gets it.
#[test]
fn refunds_are_confirmed() {
    let paid = |more: Vec<Step>| {
        let over = json!({ "payment": "A1", "amount": 11_900, "overpaid": 100 });
        [vec![issue(), ("settle", SELLER, over)], more].concat()
    };
    let refund = |party: u8, action: &'static str, amount: i64| (action, party, json!({ "amount": amount }));
    let owed = "record.fields.refundSaid + input.amount <= record.fields.overpaid + record.fields.refundDue";
    let twice = paid(vec![refund(SELLER, "refund", 100), refund(SELLER, "refund", 1)]);
    breaks_on(
        7,
        &[(owed, "input.amount <= record.fields.overpaid + record.fields.refundDue")],
        &twice,
    );
    let said = "rule: input.amount <= record.fields.refundSaid";
    let unsaid = paid(vec![refund(SELLER, "refund", 50), refund(BUYER, "confirmRefund", 60)]);
    let loose = "refundSaid: { description: \"Said to have gone back, and not confirmed by the recipient.\", type: integer, minimum: 0 }";
    let changes = [
        (said, "rule: input.amount > 0"),
        (loose, "refundSaid: { type: integer }"),
    ];
    breaks_on(7, &changes, &unsaid);
    let own = paid(vec![
        refund(SELLER, "refund", 100),
        refund(SELLER, "confirmRefund", 100),
    ]);
    let by = "recipient has it back.\n      by: [recipient]";
    breaks_on(13, &[(by, "recipient has it back.\n      by: [anyMember]")], &own);
}

/// An offered assignment ends, like a pledge's offer, and belongs to those it is between.
#[test]
fn assignments_are_offered_for_a_time() {
    let offer = || vec![issue(), assign()];
    let late = [offer(), vec![("wait", 0, json!(2)), take()]].concat();
    let until = "rule: block.time <= record.fields.assignmentExpires";
    breaks_on(11, &[(until, "rule: block.time > 0")], &late);
    let early = [offer(), vec![("expireAssignment", BANK, json!({}))]].concat();
    let after = "after: \"has(record.fields.assignmentExpires) ? record.fields.assignmentExpires : 0\"";
    breaks_on(11, &[(after, "after: \"0\"")], &early);
    // Paid in the same block, before it.
    let emptied = [offer(), vec![settle(SELLER, "A1", 11_899), take()]].concat();
    breaks_on(
        9,
        &[("rule: input.open == record.fields.open", "rule: input.open >= 0")],
        &emptied,
    );
    let foreign = [offer(), vec![("declineAssignment", EMPLOYEE, json!({}))]].concat();
    breaks_on(13, &[("by: [payee, assignee]", "by: [anyMember]")], &foreign);
}

/// An authority that refuses a cancellation has said what it had said before.
#[test]
fn a_refused_cancellation_leaves_what_was_said() {
    let reported = json!({ "authority": name(AUTHORITY), "reportBy": START + 3_600_000 });
    let evidence = || json!({ "evidence": digest(1) });
    let answer = |answer: &str| {
        (
            "answerAuthority",
            AUTHORITY,
            json!({ "answer": answer, "evidence": digest(2) }),
        )
    };
    let steps = [
        ("issue", SELLER, with(document("380", 1, 10_000), reported)),
        ("submitToAuthority", SELLER, evidence()),
        answer("cleared"),
        ("cancel", SELLER, json!({ "reason": "typo" })),
        ("sendCancellation", SELLER, evidence()),
        answer("refused"),
    ];
    breaks_on(11, &[("        answered: record.regions.authority\n", "")], &steps);
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
            "        document: [Issued]\n        settlement: [Open, Closed]\n        encumbrance: [Free, Released]",
            "        document: [Issued]\n        settlement: [Open, Closed, PartlyPaid]\n        encumbrance: [Free, Released]",
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
