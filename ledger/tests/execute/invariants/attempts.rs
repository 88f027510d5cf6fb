//! Random attempts: numbers, and what is tried by them once it is known which documents there are.

use muniment_ledger::state::Record;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::invoice::world::*;

/// Random numbers from which an attempt is made, once it is known which documents there are.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub action: u8,
    pub document: u8,
    pub party: u8,
    pub amount: u8,
    pub choice: u8,
    /// Ends a block after it; so many hours pass.
    pub wait: Option<u8>,
    pub replay: bool,
}

pub fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let attempt = (
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        prop::option::weighted(0.6, prop_oneof![6 => Just(0u8), 1 => 1u8..100]),
        prop::bool::weighted(0.1),
    );
    let attempt = attempt.prop_map(|(action, document, party, amount, choice, wait, replay)| Attempt {
        action,
        document,
        party,
        amount,
        choice,
        wait,
        replay,
    });
    prop::collection::vec(attempt, 30..70)
}

/// The same histories in every run.
pub fn samples(number: usize) -> impl Iterator<Item = Vec<Attempt>> {
    let mut runner = TestRunner::deterministic();
    let strategy = attempts();
    (0..number).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

type Made = (&'static str, u8, Value);

/// Action, who could do it, and its input.
pub fn make(attempt: &Attempt, record: Option<&Record>, target: Option<Id>, now: u64) -> Made {
    let Some((record, id)) = record.zip(target).filter(|_| attempt.action >= 40) else {
        return ("issue", SELLER, issued(attempt));
    };
    let case = Case {
        attempt,
        record,
        id,
        now,
    };
    if let Some(next) = next_step(attempt, record) {
        return next;
    }
    match attempt.action % 28 {
        0..=2 => case.response(),
        3..=6 => case.money(attempt.action % 28),
        7..=16 => case.pledge(attempt.action % 28),
        17..=21 => case.reimbursement(attempt.action % 28),
        22..=25 => case.document(attempt.action % 28),
        _ => case.authority(),
    }
}

struct Case<'a> {
    attempt: &'a Attempt,
    record: &'a Record,
    id: Id,
    now: u64,
}

impl Case<'_> {
    fn int(&self, field: &str) -> i64 {
        self.record.fields[field].as_i64().unwrap_or_default()
    }

    fn party(&self, field: &str, otherwise: u8) -> u8 {
        self.record
            .fields
            .get(field)
            .and_then(Value::as_str)
            .map_or(otherwise, party)
    }

    fn amount(&self, whole: i64) -> Value {
        json!(amounts(self.attempt, whole))
    }

    fn one_in(&self, number: u8) -> bool {
        self.attempt.choice.is_multiple_of(number)
    }

    /// A pledge of the record, and its lender.
    fn first(&self) -> (Value, u8) {
        let pledges = self.record.fields["pledges"].as_array();
        let first = pledges.and_then(|all| all.get(usize::from(self.attempt.choice) % all.len().max(1)));
        let lender = first.and_then(|pledge| pledge["lender"].as_str()).map_or(BANK, party);
        (first.map_or(json!("P0"), |pledge| pledge["id"].clone()), lender)
    }

    /// Who receives the document.
    fn recipient(&self) -> u8 {
        self.party("recipient", BUYER)
    }

    fn response(&self) -> Made {
        let codes = ["AB", "IP", "UQ", "CA", "AP", "AP", "RE", "PD", "AP"];
        let code = codes[usize::from(self.attempt.choice) % codes.len()];
        ("respond", self.recipient(), json!({ "code": code, "reasons": ["OTH"] }))
    }

    fn money(&self, action: u8) -> Made {
        let payee = self.party("payee", SELLER);
        let payment = format!("A{}", self.attempt.choice % 12);
        let agent = self.party("agent", payee);
        match action {
            5 if self.one_in(4) => {
                let named = if self.one_in(8) {
                    json!({})
                } else {
                    json!({ "agent": name(OTHER_BANK) })
                };
                ("appointAgent", payee, named)
            }
            5 => {
                let recorded = self.record.fields["payments"].as_array();
                let one = recorded.and_then(|all| all.get(usize::from(self.attempt.choice / 4) % all.len().max(1)));
                let payment = one.map_or(json!(payment), |payment| payment["id"].clone());
                ("confirmPayment", self.recipient(), json!({ "payment": payment }))
            }
            6 if self.one_in(2) => {
                let refundable = self.int("overpaid") + self.int("refundDue");
                ("refund", payee, json!({ "amount": self.amount(refundable) }))
            }
            6 => {
                let amount = self.amount(self.int("refundSaid"));
                ("confirmRefund", self.recipient(), json!({ "amount": amount }))
            }
            _ => {
                let amount = self.amount(self.int("open"));
                let mut input = json!({ "payment": payment, "amount": amount, "evidence": digest(9) });
                if self.attempt.amount % 16 == 3 {
                    input["overpaid"] = json!(7);
                }
                ("settle", if self.one_in(3) { agent } else { payee }, input)
            }
        }
    }

    fn pledge(&self, action: u8) -> Made {
        let (payee, open) = (self.party("payee", SELLER), self.int("open"));
        let (pledge, lender) = self.first();
        let bank = if self.one_in(2) { BANK } else { OTHER_BANK };
        let take = json!({ "pledge": pledge });
        let long = self.now + 40 * 3_600_000;
        match action {
            7 | 8 => {
                let until = if self.one_in(3) { self.now + 2_000 } else { long };
                let input = json!({
                    "pledge": format!("P{}", self.attempt.choice % 6), "lender": name(bank),
                    "amount": self.amount(open), "until": until, "expires": long
                });
                ("offerPledge", payee, input)
            }
            9 | 10 => {
                let waiver = self.attempt.amount.is_multiple_of(4);
                ("acceptPledge", lender, json!({ "pledge": pledge, "waiver": waiver }))
            }
            11 => ("declinePledge", lender, take),
            12 => ("releasePledge", lender, take),
            13 => ("enforcePledge", lender, take),
            14 => ("acknowledgePledge", self.recipient(), take),
            15 if self.attempt.amount.is_multiple_of(3) => ("consent", payee, json!({ "amount": self.amount(open) })),
            15 => (
                "consent",
                lender,
                json!({ "pledge": pledge, "amount": self.amount(open) }),
            ),
            _ if self.attempt.amount.is_multiple_of(2) => {
                let expires = if self.one_in(3) { self.now + 2_000 } else { long };
                (
                    "offerAssignment",
                    payee,
                    json!({ "assignee": name(bank), "expires": expires }),
                )
            }
            _ if self.one_in(5) => ("declineAssignment", self.party("assignee", payee), json!({})),
            _ if self.one_in(3) => ("expireAssignment", EMPLOYEE, json!({})),
            _ => (
                "acceptAssignment",
                self.party("assignee", OTHER_BANK),
                json!({ "open": open }),
            ),
        }
    }

    fn reimbursement(&self, action: u8) -> Made {
        let left = self.int("total") - self.int("credited") - self.int("reimbursed");
        match (action, self.attempt.amount % 3) {
            (17, _) => ("appoint", self.recipient(), json!({ "holder": name(EMPLOYEE) })),
            (18 | 19, _) => {
                let until = match self.attempt.choice % 11 {
                    0 | 5 => self.now + 1,
                    7 => self.now + 91 * DAY,
                    _ => self.now + 40 * 3_600_000,
                };
                let input = json!({ "employer": name(EMPLOYER), "amount": self.amount(left), "until": until });
                let claimant = if self.one_in(2) { self.recipient() } else { EMPLOYEE };
                ("claimReimbursement", claimant, input)
            }
            (20, _) => ("settleReimbursement", EMPLOYER, json!({ "amount": self.amount(left) })),
            (_, 0) if self.one_in(2) => {
                let claimant = self
                    .record
                    .fields
                    .get("lock")
                    .and_then(|lock| lock["claimant"].as_str());
                ("releaseReimbursement", claimant.map_or(EMPLOYER, party), json!({}))
            }
            (_, 0) => ("releaseReimbursement", EMPLOYER, json!({})),
            (_, 1) => ("expireLock", BANK, json!({})),
            _ => {
                let input = json!({ "amount": self.amount(self.int("clawback")) });
                ("settleClawback", EMPLOYER, input)
            }
        }
    }

    fn document(&self, action: u8) -> Made {
        match (action, self.attempt.amount % 6) {
            (22 | 23, _) => credited(self.attempt, self.record, self.id),
            (24, _) => {
                let mut input = issued(self.attempt);
                (input["type"], input["original"]) = (json!("384"), json!(hex::encode(self.id)));
                input["recipient"] = self.record.fields["recipient"].clone();
                ("replace", SELLER, input)
            }
            (_, 0) => ("cancel", SELLER, json!({ "reason": "typo" })),
            (_, 1 | 2) => ("requestVoid", SELLER, json!({ "reason": "typo" })),
            (_, 3) => ("withdrawVoid", SELLER, json!({})),
            (_, 4) => ("answerVoid", self.recipient(), json!({ "accept": self.one_in(2) })),
            _ => ("lapseVoid", BANK, json!({})),
        }
    }

    fn authority(&self) -> Made {
        match (self.record.regions["authority"].as_str(), self.attempt.amount % 5) {
            ("Due" | "Refused", 0 | 1) => ("submitToAuthority", SELLER, json!({ "evidence": digest(1) })),
            ("Submitted" | "CancelSent", _) => {
                let answers = ["cleared", "reported", "refused", "cancelled"];
                let answer = answers[usize::from(self.attempt.choice) % 4];
                let input = json!({ "answer": answer, "evidence": digest(2) });
                ("answerAuthority", AUTHORITY, input)
            }
            ("Cleared" | "Reported", _) => ("sendCancellation", SELLER, json!({ "evidence": digest(3) })),
            _ if self.one_in(2) => ("reportOverdue", BANK, json!({})),
            _ => ("expireOffer", BANK, json!({ "pledge": self.first().0 })),
        }
    }
}

fn amounts(attempt: &Attempt, whole: i64) -> i64 {
    match attempt.amount % 8 {
        0 => 1,
        1 => whole + 1,
        2..=4 => whole,
        _ => (whole * i64::from(attempt.amount) / 300).max(1),
    }
}

/// Long ways are taken to their end: every third attempt goes on with what has begun.
fn next_step(attempt: &Attempt, record: &Record) -> Option<Made> {
    let int = |field: &str| record.fields[field].as_i64().unwrap_or_default();
    let state = |region: &str| record.regions[region].as_str();
    if !attempt.action.is_multiple_of(3) {
        return None;
    }
    if int("refundSaid") > 0 && attempt.choice.is_multiple_of(2) {
        let amount = amounts(attempt, int("refundSaid"));
        let recipient = record.fields["recipient"].as_str().map_or(BUYER, party);
        return Some(("confirmRefund", recipient, json!({ "amount": amount })));
    }
    if int("clawback") > 0 {
        return Some((
            "settleClawback",
            EMPLOYER,
            json!({ "amount": amounts(attempt, int("clawback")) }),
        ));
    }
    if state("reimbursement") == "Locked" {
        let amount = record.fields["lock"]["amount"].as_i64().unwrap_or_default();
        return Some((
            "settleReimbursement",
            EMPLOYER,
            json!({ "amount": amounts(attempt, amount) }),
        ));
    }
    let offers = record.fields["pledges"].as_array();
    if let Some(offer) = offers.and_then(|all| all.iter().find(|pledge| pledge["live"] == false))
        && attempt.choice.is_multiple_of(2)
    {
        let lender = party(offer["lender"].as_str().unwrap_or_default());
        return Some(("acceptPledge", lender, json!({ "pledge": offer["id"], "waiver": true })));
    }
    match (state("document"), state("authority")) {
        ("Void" | "FullyCredited" | "Replaced", "Cleared" | "Reported") => {
            Some(("sendCancellation", SELLER, json!({ "evidence": digest(3) })))
        }
        ("Issued", "Cleared" | "Reported") if attempt.amount.is_multiple_of(2) => {
            Some(("cancel", SELLER, json!({ "reason": "typo" })))
        }
        ("Issued", "Submitted") => Some((
            "answerAuthority",
            AUTHORITY,
            json!({ "answer": "cleared", "evidence": digest(2) }),
        )),
        _ => None,
    }
}

/// A party by its key.
fn party(key: &str) -> u8 {
    (1..=8).find(|party| name(*party) == key).unwrap_or(SELLER)
}

fn issued(attempt: &Attempt) -> Value {
    let number = u64::from(attempt.choice % 24);
    let net = [100, 333, 10_000, 7][usize::from(attempt.amount) % 4];
    let mut input = document("380", number, net);
    input["series"] = json!(["R", "S"][usize::from(attempt.document) % 2]);
    // Of the same number there are several documents, and some documents of two numbers are the same.
    input["content"] = json!(digest(
        0xabc0 + u64::from(attempt.choice % 24) + 24 * u64::from(attempt.document % 3)
    ));
    if attempt.document.is_multiple_of(16) {
        input["content"] = json!(digest(0xabc0));
    }
    match attempt.party % 48 {
        1 => input["verdict"]["fatal"] = json!(1),
        2 => input["verdict"]["exact"] = json!(false),
        3 => input["totals"]["vat"] = json!(attempt.choice),
        4 => input["vat"][0]["vat"] = json!(attempt.choice),
        5..=11 => {
            input["authority"] = json!(name(AUTHORITY));
            input["reportBy"] = json!(crate::support::START + 7_200_000);
        }
        // What stands beside the number doesn't make another number of it.
        12 => input["regime"] = json!("FR"),
        13 => input["type"] = json!("386"),
        14 => input["year"] = json!(2027),
        15 => (input["year"], input["issueDate"]) = (json!(2027), json!("2027-01-02")),
        17..=20 => input["agent"] = json!(name(OTHER_BANK)),
        21..=23 => input["recipient"] = json!(name(EMPLOYEE)),
        25 => input["recipient"] = json!(name(SELLER)),
        26..=28 => paid_before(&mut input, net / 2),
        29 => rounded(&mut input, 3),
        30 | 31 => two_categories(&mut input, net),
        33 => input["chain"] = json!({ "counter": attempt.amount % 8 }),
        34 | 35 => input["chain"] = json!({ "counter": 1, "previous": "" }),
        // One company, by another id.
        37 | 38 => input["supplier"] = json!("DE.1234567890"),
        36 => input["chain"] = json!({ "counter": attempt.amount % 4, "previous": input["content"] }),
        _ => {}
    }
    input
}

/// So much of it was paid before it was issued.
fn paid_before(input: &mut Value, paid: i64) {
    let due = input["totals"]["due"].as_i64().unwrap_or(0);
    (input["totals"]["prepaid"], input["totals"]["due"]) = (json!(paid), json!(due - paid));
}

/// With a rounding amount.
fn rounded(input: &mut Value, rounding: i64) {
    let due = input["totals"]["due"].as_i64().unwrap_or(0);
    (input["totals"]["rounding"], input["totals"]["due"]) = (json!(rounding), json!(due + rounding));
}

/// As much again is free of VAT.
fn two_categories(input: &mut Value, net: i64) {
    let free = json!({ "category": "E", "rate": 0, "base": net, "vat": 0 });
    if let Some(entries) = input["vat"].as_array_mut() {
        entries.push(free);
    }
    for total in ["lines", "net", "gross", "due"] {
        let amount = input["totals"][total].as_i64().unwrap_or(0);
        input["totals"][total] = json!(amount + net);
    }
}

fn credited(attempt: &Attempt, record: &Record, id: Id) -> Made {
    let left = |entry: &Value| entry["base"].as_i64().unwrap_or(0) - entry["creditedBase"].as_i64().unwrap_or(0);
    let base = record.fields["vat"].get(0).map_or(0, left);
    let mut note = document("381", 100 + u64::from(attempt.choice), amounts(attempt, base).max(1));
    note["invoice"] = json!(hex::encode(id));
    note["recipient"] = record.fields["recipient"].clone();
    match attempt.party % 16 {
        1 => note["currency"] = json!("USD"),
        2 => note["recipient"] = json!(name(BANK)),
        4 => note["supplier"] = json!("DE987654321"),
        5 => note["number"] = json!("1"),
        3 => {
            let net = note["totals"]["net"].clone();
            note["vat"] = json!([{ "category": "E", "rate": 0, "base": net, "vat": 0 }]);
            (note["totals"]["vat"], note["totals"]["gross"], note["totals"]["due"]) = (json!(0), net.clone(), net);
        }
        _ => {}
    }
    ("credit", SELLER, note)
}
