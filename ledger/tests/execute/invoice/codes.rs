//! Every refusal of the invoice template by its code, and what remains possible.

use muniment_ledger::wire::Outcome;
use serde_json::{Value, json};

use super::world::*;

fn on(invoice: Id) -> Option<Id> {
    Some(invoice)
}

#[test]
fn documents_that_are_not_issued() {
    let mut world = World::new();
    let good = || document("380", 1, 10_000);
    let mut no = |changes: Value, code: &str| world.no(SELLER, "issue", with(good(), changes), None, code);
    let verdict = |fatal: u64, exact: bool| json!({ "verdict": { "ruleSet": "en16931/1.3.16", "digest": digest(0), "fatal": fatal, "exact": exact } });
    no(verdict(1, true), "NOT_VALID");
    no(verdict(0, false), "NOT_EXACT");
    no(json!({ "reportBy": 5 }), "AUTHORITY_MISSING");
    no(json!({ "recipient": name(SELLER) }), "OWN_RECIPIENT");
    no(json!({ "recipient": name(9) }), "NOT_A_MEMBER");
    no(json!({ "type": "381" }), "INVALID_INPUT");
    for code in ["384", "389"] {
        no(json!({ "type": code }), "INVALID_INPUT");
    }
    no(json!({ "year": 2025 }), "OTHER_YEAR");
    no(json!({ "colour": "red" }), "UNKNOWN_FIELD");
    no(json!({ "number": " 1" }), "INVALID_INPUT");
    no(json!({ "supplier": "de 1" }), "INVALID_INPUT");
    let totals = |name: &str, value: i64| {
        let mut totals = good()["totals"].clone();
        totals[name] = json!(value);
        json!({ "totals": totals })
    };
    no(totals("lines", 9_999), "EN16931_NET");
    no(totals("vat", 1_901), "EN16931_VAT");
    no(totals("gross", 11_901), "EN16931_GROSS");
    no(totals("due", 11_901), "EN16931_DUE");
    no(totals("lines", 1_000_000_000_000_001), "INVALID_INPUT");
    let vat = |entries: Value| json!({ "vat": entries });
    let entry = |category: &str, rate: i64, base: i64, vat: i64| json!({ "category": category, "rate": rate, "base": base, "vat": vat });
    no(vat(json!([entry("X", 190_000, 10_000, 1_900)])), "EN16931_CATEGORY");
    no(vat(json!([entry("Z", 190_000, 10_000, 1_900)])), "EN16931_RATE");
    no(vat(json!([entry("S", 190_000, 10_000, 1_899)])), "EN16931_VAT_LINE");
    no(vat(json!([entry("S", 190_000, 9_900, 1_881)])), "EN16931_VAT_BASES");
    let half = entry("S", 190_000, 5_000, 950);
    no(vat(json!([half.clone(), half])), "EN16931_TWICE");
    let prepaid = with(
        good(),
        json!({ "totals": with(good()["totals"].clone(), json!({ "prepaid": 12_000, "due": -100 })) }),
    );
    world.no(SELLER, "issue", prepaid, None, "NEGATIVE_DUE");

    let first = world.ok(SELLER, "issue", good(), None);
    let again = [
        (json!({}), "DUPLICATE"),
        (json!({ "content": digest(9), "regime": "FR" }), "DUPLICATE"),
        (json!({ "content": digest(9), "series": "S" }), "DUPLICATE"),
        (json!({ "content": digest(9), "type": "386" }), "DUPLICATE"),
        (json!({ "number": "2" }), "DOCUMENT_KNOWN"),
    ];
    for (changes, wanted) in again {
        match world.act(SELLER, "issue", with(good(), changes), None) {
            Outcome::Rejected { code, record, .. } => assert_eq!((code.as_str(), record), (wanted, Some(first))),
            accepted => panic!("{accepted:?}"),
        }
    }
    world.no(
        OTHER_SELLER,
        "issue",
        document("380", 2, 10_000),
        None,
        "FOREIGN_SUPPLIER",
    );
    let abroad = with(document("380", 2, 10_000), json!({ "regime": "FR", "series": "S" }));
    world.no(OTHER_SELLER, "issue", abroad, None, "FOREIGN_SUPPLIER");
    world.no(OTHER_SELLER, "issue", good(), None, "DUPLICATE");
    // It is another document; its number is what is there already.
    let Outcome::Rejected { message, .. } =
        world.act(SELLER, "issue", with(good(), json!({ "content": digest(9) })), None)
    else {
        panic!("a number twice")
    };
    let told = "a record with the same supplier, number and year is on the ledger already: ";
    assert!(message.starts_with(told), "{message}");
}

#[test]
fn a_void_number_is_not_free_again() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    world.no(BUYER, "cancel", json!({ "reason": "typo" }), on(invoice), "NOT_ALLOWED");
    world.ok(SELLER, "cancel", json!({ "reason": "typo" }), on(invoice));
    assert_eq!(world.state(invoice, "document"), "Void");
    world.no(SELLER, "issue", document("380", 1, 10_000), None, "DUPLICATE");
    for (who, action, input) in [
        (SELLER, "settle", json!({ "payment": "A", "amount": 1 })),
        (SELLER, "offerPledge", world.pledge("P", BANK, 1)),
        (
            BUYER,
            "claimReimbursement",
            json!({ "employer": name(EMPLOYER), "amount": 1, "until": world.ledger.time + DAY }),
        ),
        (BUYER, "respond", json!({ "code": "AP" })),
        (SELLER, "requestVoid", json!({ "reason": "again" })),
    ] {
        world.no(who, action, input, on(invoice), "WRONG_STATE");
    }
}

#[test]
fn voids_need_consent_or_the_window() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    let reason = || json!({ "reason": "typo" });
    world.wait(2 * DAY);
    world.no(SELLER, "cancel", reason(), on(invoice), "WINDOW_CLOSED");
    world.ok(SELLER, "requestVoid", reason(), on(invoice));
    world.no(
        SELLER,
        "answerVoid",
        json!({ "accept": true }),
        on(invoice),
        "NOT_ALLOWED",
    );
    world.no(
        SELLER,
        "settle",
        json!({ "payment": "A", "amount": 1 }),
        on(invoice),
        "WRONG_STATE",
    );
    world.ok(BUYER, "answerVoid", json!({ "accept": false }), on(invoice));
    assert_eq!(world.state(invoice, "document"), "Issued");
    world.ok(SELLER, "requestVoid", reason(), on(invoice));
    world.no(BANK, "lapseVoid", json!({}), on(invoice), "NOT_DUE");
    world.wait(3 * DAY + 1);
    world.ok(BANK, "lapseVoid", json!({}), on(invoice));
    assert_eq!(world.state(invoice, "document"), "Issued", "silence is no consent");
    world.ok(SELLER, "requestVoid", reason(), on(invoice));
    world.ok(SELLER, "withdrawVoid", json!({}), on(invoice));
    world.ok(SELLER, "requestVoid", reason(), on(invoice));
    world.ok(BUYER, "answerVoid", json!({ "accept": true }), on(invoice));
    assert_eq!(world.state(invoice, "document"), "Void");
    let paid = world.ok(SELLER, "issue", document("380", 2, 10_000), None);
    world.ok(SELLER, "settle", json!({ "payment": "A", "amount": 1 }), on(paid));
    world.no(SELLER, "cancel", reason(), on(paid), "WRONG_STATE");
    world.no(SELLER, "requestVoid", reason(), on(paid), "WRONG_STATE");
}

#[test]
fn responses_go_forward() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    let say = |code: &str| json!({ "code": code });
    let why = |code: &str| json!({ "code": code, "reasons": ["PRI"] });
    world.no(SELLER, "respond", say("AP"), on(invoice), "NOT_ALLOWED");
    world.ok(BUYER, "respond", say("IP"), on(invoice));
    world.no(BUYER, "respond", say("AB"), on(invoice), "NOT_FORWARD");
    world.no(BUYER, "respond", say("UQ"), on(invoice), "REASON_MISSING");
    world.ok(BUYER, "respond", why("UQ"), on(invoice));
    world.ok(BUYER, "respond", why("UQ"), on(invoice));
    world.ok(BUYER, "respond", say("AP"), on(invoice));
    world.no(BUYER, "respond", why("RE"), on(invoice), "ACCEPTED_ALREADY");
    world.ok(BUYER, "respond", say("PD"), on(invoice));
    world.no(BUYER, "respond", say("PD"), on(invoice), "WRONG_STATE");
    let refused = world.ok(SELLER, "issue", document("380", 2, 10_000), None);
    world.ok(BUYER, "respond", why("RE"), on(refused));
    world.no(BUYER, "respond", say("AP"), on(refused), "WRONG_STATE");
    let offer = world.pledge("P", BANK, 1);
    world.no(SELLER, "offerPledge", offer, on(refused), "WRONG_STATE");
}

#[test]
fn settlements_and_refunds_have_their_bounds() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let pay = |payment: &str, amount: i64| json!({ "payment": payment, "amount": amount });
    world.no(SELLER, "settle", pay("A", 11_901), on(invoice), "MORE_THAN_OWED");
    world.no(BUYER, "settle", pay("A", 1), on(invoice), "NOT_ALLOWED");
    world.no(SELLER, "settle", pay("A", -1), on(invoice), "INVALID_INPUT");
    let over = with(pay("A", 100), json!({ "overpaid": 5 }));
    world.no(SELLER, "settle", over, on(invoice), "OVERPAID_NOT_CLOSING");
    world.ok(SELLER, "settle", pay("A", 1_900), on(invoice));
    world.no(SELLER, "settle", pay("A", 1), on(invoice), "PAYMENT_KNOWN");
    world.no(
        BUYER,
        "confirmPayment",
        json!({ "payment": "B" }),
        on(invoice),
        "NO_SUCH_PAYMENT",
    );
    world.ok(BUYER, "confirmPayment", json!({ "payment": "A" }), on(invoice));
    world.no(
        BUYER,
        "confirmPayment",
        json!({ "payment": "A" }),
        on(invoice),
        "PAYMENT_CONFIRMED",
    );
    world.ok(
        SELLER,
        "settle",
        with(pay("B", 10_000), json!({ "overpaid": 50 })),
        on(invoice),
    );
    assert_eq!(world.state(invoice, "settlement"), "Overpaid");
    world.no(SELLER, "settle", pay("C", 1), on(invoice), "MORE_THAN_OWED");
    world.no(SELLER, "settle", pay("C", 0), on(invoice), "NOTHING_PAID");
    world.no(
        SELLER,
        "refund",
        json!({ "amount": 51 }),
        on(invoice),
        "MORE_THAN_REFUNDABLE",
    );
    let note = with(document("381", 2, 1_000), json!({ "invoice": hex::encode(invoice) }));
    world.ok(SELLER, "credit", note, None);
    assert_eq!(world.int(invoice, "refundDue"), 1_190, "it was paid already");
    world.ok(SELLER, "refund", json!({ "amount": 1_000 }), on(invoice));
    world.ok(SELLER, "refund", json!({ "amount": 240 }), on(invoice));
    assert_eq!(
        world.state(invoice, "settlement"),
        "Overpaid",
        "nobody has confirmed it"
    );
    let back = |amount: i64| json!({ "amount": amount });
    world.no(BUYER, "confirmRefund", back(1_241), on(invoice), "MORE_THAN_SAID");
    world.ok(BUYER, "confirmRefund", back(1_240), on(invoice));
    assert_eq!(world.state(invoice, "settlement"), "Refunded");
    let note = with(document("381", 3, 1_000), json!({ "invoice": hex::encode(invoice) }));
    world.ok(SELLER, "credit", note, None);
    assert_eq!(
        world.state(invoice, "settlement"),
        "Paid",
        "there is something to refund again"
    );
}

#[test]
fn credit_notes_stay_within_their_invoice() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let note = |number: u64, net: i64| with(document("381", number, net), json!({ "invoice": hex::encode(invoice) }));
    let mut no = |note: Value, code: &str| world.no(SELLER, "credit", note, None, code);
    no(note(2, 10_001), "CREDIT_TOO_LARGE");
    no(note(2, 0), "NOTHING_CREDITED");
    no(with(note(2, 100), json!({ "supplier": "DE2" })), "OTHER_SUPPLIER");
    no(
        with(note(2, 100), json!({ "recipient": name(BANK) })),
        "OTHER_RECIPIENT",
    );
    no(with(note(2, 100), json!({ "currency": "USD" })), "OTHER_CURRENCY");
    no(with(note(2, 100), json!({ "invoice": digest(5) })), "NO_SUCH_RECORD");
    no(with(note(2, 100), json!({ "invoice": "xyz" })), "INVALID_INPUT");
    let free = json!({
        "vat": [{ "category": "E", "rate": 0, "base": 100, "vat": 0 }],
        "totals": with(note(2, 100)["totals"].clone(), json!({ "vat": 0, "gross": 100, "due": 100 })),
    });
    no(with(note(2, 100), free), "CREDIT_CATEGORY");
    world.no(OTHER_SELLER, "credit", note(2, 100), None, "NOT_ALLOWED");
    world.ok(SELLER, "credit", note(2, 4_000), None);
    world.no(SELLER, "credit", note(3, 6_001), None, "CREDIT_TOO_LARGE");
    let last = world.ok(SELLER, "credit", note(3, 6_000), None);
    assert_eq!(world.state(invoice, "document"), "FullyCredited");
    assert_eq!(world.state(invoice, "settlement"), "Closed", "nobody paid it");
    world.no(SELLER, "credit", note(4, 1), None, "WRONG_STATE");
    world.no(
        SELLER,
        "settle",
        json!({ "payment": "A", "amount": 1 }),
        on(invoice),
        "MORE_THAN_OWED",
    );
    let late = json!({ "payment": "A", "amount": 0, "overpaid": 5 });
    world.ok(SELLER, "settle", late, on(invoice));
    assert_eq!(world.state(invoice, "settlement"), "Overpaid");
    // A credit note itself can't be credited, paid or pledged, but answered.
    let of_note = with(document("381", 5, 1), json!({ "invoice": hex::encode(last) }));
    world.no(SELLER, "credit", of_note, None, "WRONG_STATE");
    world.no(
        SELLER,
        "settle",
        json!({ "payment": "A", "amount": 1 }),
        on(last),
        "WRONG_STATE",
    );
    world.ok(BUYER, "respond", json!({ "code": "AP" }), on(last));
}

#[test]
fn pledges_have_one_winner_and_one_end() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    let offer = world.pledge("P-1", BANK, 11_901);
    world.no(SELLER, "offerPledge", offer, on(invoice), "ALREADY_PLEDGED");
    let offer = world.pledge("P-1", BANK, 8_000);
    world.no(BUYER, "offerPledge", offer.clone(), on(invoice), "NOT_ALLOWED");
    world.no(
        SELLER,
        "offerPledge",
        with(offer.clone(), json!({ "expires": 1 })),
        on(invoice),
        "PLEDGE_EXPIRED",
    );
    world.ok(SELLER, "offerPledge", offer.clone(), on(invoice));
    world.no(SELLER, "offerPledge", offer, on(invoice), "PLEDGE_KNOWN");
    let rival = world.pledge("P-2", OTHER_BANK, 8_000);
    world.ok(SELLER, "offerPledge", rival, on(invoice));
    let take = |pledge: &str| json!({ "pledge": pledge });
    world.no(BANK, "acceptPledge", take("P-1"), on(invoice), "NOT_ACCEPTED");
    world.no(BANK, "acceptPledge", take("P-2"), on(invoice), "NOT_YOUR_PLEDGE");
    world.no(BANK, "acceptPledge", take("P-9"), on(invoice), "NO_SUCH_PLEDGE");
    world.no(BUYER, "acceptPledge", take("P-1"), on(invoice), "NOT_ALLOWED");
    world.ok(
        BANK,
        "acceptPledge",
        with(take("P-1"), json!({ "waiver": true })),
        on(invoice),
    );
    world.ok(BUYER, "respond", json!({ "code": "AP" }), on(invoice));
    world.no(OTHER_BANK, "acceptPledge", take("P-2"), on(invoice), "ALREADY_PLEDGED");
    world.no(BANK, "acceptPledge", take("P-1"), on(invoice), "NO_SUCH_PLEDGE");
    let note = with(document("381", 3, 100), json!({ "invoice": hex::encode(invoice) }));
    world.no(SELLER, "credit", note, None, "NEEDS_CONSENT");
    world.no(
        SELLER,
        "requestVoid",
        json!({ "reason": "x" }),
        on(invoice),
        "WRONG_STATE",
    );
    let new = with(document("384", 4, 100), json!({ "original": hex::encode(invoice) }));
    world.no(SELLER, "replace", new, None, "WRONG_STATE");
    world.no(BUYER, "acknowledgePledge", take("P-2"), on(invoice), "NO_SUCH_PLEDGE");
    world.ok(BUYER, "acknowledgePledge", take("P-1"), on(invoice));
    world.no(OTHER_BANK, "releasePledge", take("P-1"), on(invoice), "NOT_YOUR_PLEDGE");
    world.no(BANK, "enforcePledge", take("P-1"), on(invoice), "PLEDGE_RUNNING");
    world.no(BANK, "expireOffer", take("P-2"), on(invoice), "NOT_DUE");
    world.wait(DAY + 5_000);
    world.no(OTHER_BANK, "acceptPledge", take("P-2"), on(invoice), "PLEDGE_EXPIRED");
    world.no(BUYER, "expireOffer", take("P-1"), on(invoice), "NO_SUCH_PLEDGE");
    world.ok(BUYER, "expireOffer", take("P-2"), on(invoice));
    assert_eq!(world.state(invoice, "encumbrance"), "Pledged");
    world.ok(BANK, "releasePledge", take("P-1"), on(invoice));
    assert_eq!(world.state(invoice, "encumbrance"), "Released");
    let again = world.pledge("P-1", OTHER_BANK, 100);
    world.ok(SELLER, "offerPledge", again, on(invoice));
    world.ok(OTHER_BANK, "declinePledge", take("P-1"), on(invoice));
    assert_eq!(world.state(invoice, "encumbrance"), "Free");
}

#[test]
fn enforced_and_assigned_claims_are_paid_to_the_new_payee() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let offer = world.pledge("P", BANK, 11_900);
    world.ok(SELLER, "offerPledge", offer, on(invoice));
    world.ok(BANK, "acceptPledge", json!({ "pledge": "P" }), on(invoice));
    world.no(
        SELLER,
        "consent",
        json!({ "amount": 11_900 }),
        on(invoice),
        "NOT_ASSIGNED",
    );
    world.wait(31 * DAY);
    world.ok(BANK, "enforcePledge", json!({ "pledge": "P" }), on(invoice));
    let pay = json!({ "payment": "A", "amount": 1 });
    world.no(SELLER, "settle", pay.clone(), on(invoice), "NOT_ALLOWED");
    world.ok(BANK, "settle", pay.clone(), on(invoice));
    let note = with(document("381", 9, 100), json!({ "invoice": hex::encode(invoice) }));
    world.no(SELLER, "credit", note.clone(), None, "NEEDS_CONSENT");
    world.no(
        BANK,
        "consent",
        json!({ "pledge": "P", "amount": 119 }),
        on(invoice),
        "NO_SUCH_PLEDGE",
    );
    world.ok(BANK, "consent", json!({ "amount": 119 }), on(invoice));
    world.ok(SELLER, "credit", note, None);

    let sold = world.accepted(2, 10_000);
    let offer = world.pledge("P", BANK, 5_000);
    world.ok(SELLER, "offerPledge", offer, on(sold));
    world.ok(BANK, "acceptPledge", json!({ "pledge": "P" }), on(sold));
    let expires = world.ledger.time + DAY;
    world.no(
        SELLER,
        "offerAssignment",
        json!({ "assignee": name(9), "expires": expires }),
        on(sold),
        "NOT_A_MEMBER",
    );
    world.ok(
        SELLER,
        "offerAssignment",
        json!({ "assignee": name(OTHER_BANK), "expires": expires }),
        on(sold),
    );
    let take = |open: i64| json!({ "open": open });
    world.no(OTHER_BANK, "acceptAssignment", take(11_900), on(sold), "NEEDS_CONSENT");
    let offer = json!({ "assignee": name(BANK), "expires": expires });
    world.ok(SELLER, "offerAssignment", offer, on(sold));
    world.no(BANK, "acceptAssignment", take(11_901), on(sold), "CLAIM_CHANGED");
    world.ok(BANK, "acceptAssignment", take(11_900), on(sold));
    assert_eq!(world.state(sold, "encumbrance"), "Assigned");
    world.no(SELLER, "settle", pay.clone(), on(sold), "NOT_ALLOWED");
    world.ok(BANK, "settle", pay, on(sold));
}

#[test]
fn reimbursements_lock_split_and_are_clawed_back() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let until = world.ledger.time + DAY;
    let claim = |amount: i64, until: u64| json!({ "employer": name(EMPLOYER), "amount": amount, "until": until });
    world.no(
        EMPLOYEE,
        "claimReimbursement",
        claim(1, until),
        on(invoice),
        "NOT_ALLOWED",
    );
    world.no(
        BUYER,
        "claimReimbursement",
        claim(11_901, until),
        on(invoice),
        "MORE_THAN_CLAIMABLE",
    );
    world.no(BUYER, "claimReimbursement", claim(1, 1), on(invoice), "LOCK_EXPIRED");
    world.ok(BUYER, "claimReimbursement", claim(5_000, until), on(invoice));
    world.no(
        EMPLOYER,
        "settleReimbursement",
        json!({ "amount": 5_001 }),
        on(invoice),
        "MORE_THAN_LOCKED",
    );
    world.no(
        BANK,
        "settleReimbursement",
        json!({ "amount": 1 }),
        on(invoice),
        "NOT_ALLOWED",
    );
    world.no(BANK, "expireLock", json!({}), on(invoice), "NOT_DUE");
    world.wait(DAY + 10_000);
    world.no(
        EMPLOYER,
        "settleReimbursement",
        json!({ "amount": 1 }),
        on(invoice),
        "LOCK_EXPIRED",
    );
    world.ok(BANK, "expireLock", json!({}), on(invoice));
    assert_eq!(world.state(invoice, "reimbursement"), "Unclaimed");
    let until = world.ledger.time + DAY;
    world.ok(BUYER, "claimReimbursement", claim(5_000, until), on(invoice));
    world.ok(EMPLOYER, "settleReimbursement", json!({ "amount": 4_000 }), on(invoice));
    assert_eq!(world.state(invoice, "reimbursement"), "PartlyReimbursed");
    world.ok(BUYER, "claimReimbursement", claim(7_900, until), on(invoice));
    world.ok(EMPLOYER, "releaseReimbursement", json!({}), on(invoice));
    assert_eq!(world.state(invoice, "reimbursement"), "PartlyReimbursed");
    world.ok(BUYER, "claimReimbursement", claim(7_900, until), on(invoice));
    let note = with(document("381", 2, 5_000), json!({ "invoice": hex::encode(invoice) }));
    world.ok(SELLER, "credit", note, None);
    world.no(
        EMPLOYER,
        "settleReimbursement",
        json!({ "amount": 7_900 }),
        on(invoice),
        "MORE_THAN_CLAIMABLE",
    );
    world.ok(EMPLOYER, "settleReimbursement", json!({ "amount": 1_950 }), on(invoice));
    assert_eq!(world.state(invoice, "reimbursement"), "Reimbursed");
    let note = with(document("381", 3, 1_000), json!({ "invoice": hex::encode(invoice) }));
    world.ok(SELLER, "credit", note, None);
    assert_eq!(world.int(invoice, "clawback"), 1_190);
    world.no(
        EMPLOYER,
        "settleClawback",
        json!({ "amount": 1_191 }),
        on(invoice),
        "MORE_THAN_CLAWED_BACK",
    );
    world.ok(EMPLOYER, "settleClawback", json!({ "amount": 1_190 }), on(invoice));
    assert_eq!(
        (world.int(invoice, "clawback"), world.int(invoice, "reimbursed")),
        (0, 4_760)
    );
}

#[test]
fn authorities_are_told_and_answer() {
    let mut world = World::new();
    let due = world.ledger.time + DAY;
    let told = |number: u64| {
        with(
            document("380", number, 10_000),
            json!({ "authority": name(AUTHORITY), "reportBy": due }),
        )
    };
    let invoice = world.ok(SELLER, "issue", told(1), None);
    assert_eq!(world.state(invoice, "authority"), "Due");
    let evidence = || json!({ "evidence": digest(7) });
    let answer = |answer: &str| json!({ "answer": answer, "evidence": digest(8) });
    world.no(BUYER, "reportOverdue", json!({}), on(invoice), "NOT_DUE");
    world.ok(SELLER, "submitToAuthority", evidence(), on(invoice));
    world.no(BUYER, "answerAuthority", answer("cleared"), on(invoice), "NOT_ALLOWED");
    world.no(
        AUTHORITY,
        "answerAuthority",
        answer("cancelled"),
        on(invoice),
        "OTHER_QUESTION",
    );
    world.ok(AUTHORITY, "answerAuthority", answer("refused"), on(invoice));
    world.ok(SELLER, "submitToAuthority", evidence(), on(invoice));
    world.ok(AUTHORITY, "answerAuthority", answer("cleared"), on(invoice));
    world.no(SELLER, "sendCancellation", evidence(), on(invoice), "WRONG_STATE");
    world.ok(SELLER, "cancel", json!({ "reason": "typo" }), on(invoice));
    world.ok(SELLER, "sendCancellation", evidence(), on(invoice));
    world.ok(AUTHORITY, "answerAuthority", answer("refused"), on(invoice));
    assert_eq!(world.state(invoice, "authority"), "Cleared", "as before it was asked");
    world.ok(SELLER, "sendCancellation", evidence(), on(invoice));
    world.ok(AUTHORITY, "answerAuthority", answer("cancelled"), on(invoice));
    assert_eq!(world.state(invoice, "authority"), "Cancelled");
    let late = world.ok(SELLER, "issue", told(2), None);
    world.wait(2 * DAY);
    world.ok(BUYER, "reportOverdue", json!({}), on(late));
    assert_eq!(world.state(late, "authority"), "Overdue");
}

#[test]
fn a_replaced_document_stays_and_is_linked() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    let new = |number: u64| {
        with(
            document("384", number, 9_000),
            json!({ "original": hex::encode(invoice) }),
        )
    };
    world.no(OTHER_SELLER, "replace", new(2), None, "NOT_ALLOWED");
    world.no(
        SELLER,
        "replace",
        with(new(2), json!({ "recipient": name(BANK) })),
        None,
        "OTHER_RECIPIENT",
    );
    world.no(
        SELLER,
        "replace",
        with(new(2), json!({ "supplier": "DE2" })),
        None,
        "OTHER_SUPPLIER",
    );
    let second = world.ok(SELLER, "replace", new(2), None);
    assert_eq!(world.state(invoice, "document"), "Replaced");
    assert_eq!(world.record(invoice).fields["replacedBy"], json!(hex::encode(second)));
    assert_eq!(world.record(second).fields["original"], json!(hex::encode(invoice)));
    world.no(SELLER, "replace", new(3), None, "WRONG_STATE");
}
