//! Random attempts of several parties, in blocks, and what came of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use muniment_ledger::execute::Prepared;
use muniment_ledger::state::tree::{MemoryTree, prove, verify_proof};
use muniment_ledger::state::{Record, record_key};
use muniment_ledger::wire::Outcome;
use muniment_receipts::leaf::Leaf;
use muniment_receipts::merkle::{Frontier, leaf_hash, verify_inclusion};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::model::Model;
use crate::invoice::world::*;
use crate::support::key;

/// Random numbers from which an attempt is made, once it is known which documents there are.
#[derive(Clone, Debug)]
pub struct Attempt {
    action: u8,
    document: u8,
    party: u8,
    amount: u8,
    choice: u8,
    /// Ends a block after it; so many hours pass.
    wait: Option<u8>,
    replay: bool,
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

/// Guards that lie outside the template, and can be taken out here.
#[derive(Clone, Copy, Default)]
pub struct Settings {
    /// The node forgets which transactions it has decided.
    pub forgetful: bool,
    /// A second replica goes by its own clock.
    pub own_clock: bool,
    /// The log loses a bit of a leaf.
    pub flipped: bool,
}

/// What came of a history.
#[derive(Default)]
pub struct Found {
    /// Invariants that were broken, and how.
    pub broken: Vec<(u8, String)>,
    /// Names of the accepted actions.
    pub accepted: BTreeSet<String>,
}

struct Call {
    party: u8,
    action: &'static str,
    input: Value,
    record: Option<Id>,
    prepared: Arc<Prepared>,
}

/// Runs a history on two replicas and holds what was accepted against the model.
pub fn run(template: &str, attempts: &[Attempt], settings: Settings) -> Found {
    let mut run = Run {
        world: World::with_template(template),
        twin: World::with_template(template),
        settings,
        model: Model::default(),
        found: Found::default(),
        documents: Vec::new(),
        frontier: Frontier::new(),
        earlier: Vec::new(),
    };
    let mut block = Vec::new();
    for attempt in attempts {
        let Some(call) = run.call(attempt) else { continue };
        if attempt.replay {
            run.earlier.push(call.prepared.clone());
        }
        block.push(call);
        if let Some(hours) = attempt.wait {
            run.block(std::mem::take(&mut block));
            run.world.wait(u64::from(hours) * 3_600_000);
        }
    }
    run.block(block);
    run.found
}

struct Run {
    world: World,
    twin: World,
    settings: Settings,
    model: Model,
    found: Found,
    documents: Vec<Id>,
    frontier: Frontier,
    earlier: Vec<Arc<Prepared>>,
}

impl Run {
    /// Makes an attempt of the numbers: mostly what could succeed, by whom it could.
    fn call(&mut self, attempt: &Attempt) -> Option<Call> {
        let count = self.documents.len();
        let target = self
            .documents
            .get(usize::from(attempt.document) % count.max(1))
            .copied();
        let record = target.map(|id| self.world.record(id));
        let (action, party, input) = make(attempt, record.as_ref(), target, self.world.ledger.time)?;
        // One in eight is tried by somebody else.
        let stranger = attempt.party % 8 == 0 && count > 0;
        let party = if stranger { 1 + attempt.choice % 8 } else { party };
        let creates = matches!(action, "issue" | "credit" | "replace");
        let record = target.filter(|_| !creates);
        if !creates && record.is_none() {
            return None;
        }
        let transaction = self.world.sign(&key(party), action, input.clone(), record);
        let prepared = self.world.ledger.admit(transaction).ok()?;
        Some(Call {
            party,
            action,
            input,
            record,
            prepared,
        })
    }

    fn block(&mut self, calls: Vec<Call>) {
        let mut transactions: Vec<_> = calls.iter().map(|call| call.prepared.clone()).collect();
        // In this block again, and in later ones.
        let replays = self.earlier.len().saturating_sub(6);
        self.earlier.drain(..replays);
        transactions.extend(self.earlier.iter().cloned());
        if self.settings.forgetful {
            self.world.ledger.decided.clear();
        }
        let before: Vec<(Id, Record)> = self.documents.iter().map(|id| (*id, self.world.record(*id))).collect();
        let (time, first) = (self.world.ledger.time, self.world.ledger.log_size);
        let execution = self.world.ledger.block(&transactions);
        for (call, outcomes) in calls.iter().zip(&execution.outcomes) {
            self.outcome(call, &outcomes[0], time);
        }
        for outcomes in execution.outcomes.iter().skip(calls.len()) {
            let code = match &outcomes[0] {
                Outcome::Rejected { code, .. } => code.as_str(),
                Outcome::Accepted { .. } => "accepted",
            };
            if code == "accepted" || code != "REPLAYED" && !self.settings.forgetful {
                self.broken(14, format!("a replay was {code}"));
            }
        }
        self.immutable(&before);
        self.model_agrees();
        self.twin(&transactions, time);
        self.proofs(&execution.leaves, first);
    }

    fn broken(&mut self, invariant: u8, how: String) {
        self.found.broken.push((invariant, how));
    }

    fn outcome(&mut self, call: &Call, outcome: &Outcome, time: u64) {
        match outcome {
            Outcome::Accepted { record, .. } => {
                self.found.accepted.insert(call.action.to_owned());
                if call.record.is_none() {
                    self.documents.push(*record);
                }
                let broken = self.model.accepted(call.party, call.action, &call.input, *record, time);
                self.found.broken.extend(broken);
            }
            Outcome::Rejected {
                code, message, record, ..
            } => {
                // A refusal tells of another record nothing but its id.
                let other = record
                    .filter(|id| Some(*id) != call.record)
                    .and_then(|id| self.model.secret(&id));
                if other.is_some_and(|secret| message.contains(&secret)) {
                    self.broken(16, format!("{code} tells {message}"));
                }
            }
        }
    }

    /// What was issued never changes.
    fn immutable(&mut self, before: &[(Id, Record)]) {
        for (id, old) in before {
            let new = self.world.record(*id);
            let fixed = [
                "content",
                "totals",
                "number",
                "supplier",
                "recipient",
                "counter",
                "previous",
                "verdict",
            ];
            if let Some(field) = fixed
                .iter()
                .find(|field| old.fields.get(**field) != new.fields.get(**field))
            {
                self.broken(3, format!("`{field}` of {} changed", new.id));
            }
        }
    }

    /// The model knows the accepted inputs only; the record must say the same.
    fn model_agrees(&mut self) {
        let documents = std::mem::take(&mut self.documents);
        for id in &documents {
            let record = self.world.record(*id);
            let broken = self.model.agrees(*id, &record);
            self.found.broken.extend(broken);
        }
        self.documents = documents;
    }

    /// Another replica comes to the same state from the same block.
    fn twin(&mut self, transactions: &[Arc<Prepared>], time: u64) {
        let clock = u64::from(self.settings.own_clock && !transactions.is_empty());
        self.twin.ledger.time = time + clock;
        if self.settings.forgetful {
            self.twin.ledger.decided.clear();
        }
        self.twin.ledger.block(transactions);
        if self.twin.ledger.root != self.world.ledger.root {
            self.broken(15, format!("roots differ at height {}", self.world.ledger.height));
        }
        self.twin.ledger.root = self.world.ledger.root;
    }

    /// Every accepted action is provable: its leaf in the log, and the record it made in the state.
    fn proofs(&mut self, leaves: &[Vec<u8>], first: u64) {
        let mut hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        hashes.push(leaf_hash(&first.to_be_bytes()));
        let growth = self.frontier.extension(&hashes);
        let (size, root) = (growth.size(), growth.root());
        for (index, leaf) in (first..).zip(leaves) {
            let mut leaf = leaf.clone();
            if self.settings.flipped {
                leaf[30] ^= 1;
            }
            let path = growth.path(index);
            let included = verify_inclusion(&leaf_hash(&leaf), index, size, &path, &root).is_ok();
            let told = Leaf::parse(&leaf)
                .ok()
                .and_then(|leaf| leaf.outcome().map(|outcome| outcome.record));
            let proven =
                told.is_some_and(|record| in_state(&self.world.ledger.tree, self.world.ledger.height, &record));
            if !included || !proven {
                self.broken(17, format!("leaf {index} isn't proven"));
            }
        }
        self.frontier = growth.frontier();
    }
}

fn in_state(tree: &MemoryTree, version: u64, record: &Id) -> bool {
    let key = record_key(record);
    let Ok(proven) = prove(tree, version, &key) else {
        return false;
    };
    let value = tree.state.0.get(&key).map(|bytes| <Id>::from(Sha256::digest(bytes)));
    value.is_some() && proven.value == value && verify_proof(&proven.root, &key, value.as_ref(), &proven.proof).is_ok()
}

fn amounts(attempt: &Attempt, whole: i64) -> i64 {
    match attempt.amount % 8 {
        0 => 1,
        1 => whole + 1,
        2..=4 => whole,
        _ => (whole * i64::from(attempt.amount) / 300).max(1),
    }
}

/// Action, who could do it, and its input.
fn make(attempt: &Attempt, record: Option<&Record>, target: Option<Id>, now: u64) -> Option<(&'static str, u8, Value)> {
    let number = u64::from(attempt.choice % 24);
    let Some((record, id)) = record.zip(target).filter(|_| attempt.action >= 40) else {
        return Some(("issue", SELLER, issued(attempt, number)));
    };
    let int = |field: &str| record.fields[field].as_i64().unwrap_or_default();
    let open = int("open");
    let first = record.fields["pledges"]
        .as_array()
        .and_then(|all| all.get(usize::from(attempt.choice) % all.len().max(1)));
    let pledge = first.map_or(json!("P0"), |pledge| pledge["id"].clone());
    let lender = first.map_or(BANK, |pledge| party(pledge["lender"].as_str().unwrap_or_default()));
    let payee = party(record.fields["payee"].as_str().unwrap_or_default());
    let assignee = record
        .fields
        .get("assignee")
        .and_then(Value::as_str)
        .map_or(OTHER_BANK, party);
    let bank = if attempt.choice % 2 == 0 { BANK } else { OTHER_BANK };
    let until = if attempt.choice % 5 == 0 {
        now + 1
    } else {
        now + 40 * 3_600_000
    };
    let reimbursable = int("total") - int("credited") - int("reimbursed");
    let take = |id: Value| json!({ "pledge": id });
    if let Some(next) = next_step(attempt, record) {
        return Some(next);
    }
    let (action, who, input) = match attempt.action % 28 {
        0..=2 => {
            let codes = ["AB", "IP", "UQ", "CA", "AP", "AP", "RE", "PD", "AP"];
            let code = codes[usize::from(attempt.choice) % codes.len()];
            ("respond", BUYER, json!({ "code": code, "reasons": ["OTH"] }))
        }
        3 | 4 => {
            let payment = format!("A{}", attempt.choice % 12);
            let mut input = json!({ "payment": payment, "amount": amounts(attempt, open), "evidence": digest(number) });
            if attempt.amount % 16 == 3 {
                input["overpaid"] = json!(7);
            }
            ("settle", payee, input)
        }
        5 => (
            "confirmPayment",
            BUYER,
            json!({ "payment": format!("A{}", attempt.choice % 12) }),
        ),
        6 => (
            "refund",
            payee,
            json!({ "amount": amounts(attempt, int("overpaid") + int("refundDue")) }),
        ),
        7 | 8 => {
            let input = json!({
                "pledge": format!("P{}", attempt.choice % 6), "lender": name(bank), "amount": amounts(attempt, open),
                "until": if attempt.choice % 3 == 0 { now + 2_000 } else { until },
                "expires": now + 40 * 3_600_000, "fingerprint": digest(number % 3)
            });
            ("offerPledge", payee, input)
        }
        9 | 10 => (
            "acceptPledge",
            lender,
            json!({ "pledge": pledge, "waiver": attempt.amount % 4 == 0 }),
        ),
        11 => ("declinePledge", lender, take(pledge)),
        12 => ("releasePledge", lender, take(pledge)),
        13 => ("enforcePledge", lender, take(pledge)),
        14 => ("acknowledgePledge", BUYER, take(pledge)),
        15 => match attempt.amount % 3 {
            0 => ("consent", payee, json!({ "amount": amounts(attempt, open) })),
            _ => (
                "consent",
                lender,
                json!({ "pledge": pledge, "amount": amounts(attempt, open) }),
            ),
        },
        16 => match attempt.amount % 2 {
            0 => ("offerAssignment", payee, json!({ "assignee": name(bank) })),
            _ => ("acceptAssignment", assignee, json!({})),
        },
        17 => ("appoint", BUYER, json!({ "holder": name(EMPLOYEE) })),
        18 | 19 => {
            let input = json!({ "employer": name(EMPLOYER), "amount": amounts(attempt, reimbursable), "until": until });
            (
                "claimReimbursement",
                if attempt.choice % 2 == 0 { BUYER } else { EMPLOYEE },
                input,
            )
        }
        20 => (
            "settleReimbursement",
            EMPLOYER,
            json!({ "amount": amounts(attempt, reimbursable) }),
        ),
        21 => match attempt.amount % 3 {
            _ if int("clawback") > 0 => (
                "settleClawback",
                EMPLOYER,
                json!({ "amount": amounts(attempt, int("clawback")) }),
            ),
            0 => ("releaseReimbursement", EMPLOYER, json!({})),
            1 => ("expireLock", BANK, json!({})),
            _ => (
                "settleClawback",
                EMPLOYER,
                json!({ "amount": amounts(attempt, int("clawback")) }),
            ),
        },
        22 | 23 => credited(attempt, record, id),
        24 => {
            let mut input = issued(attempt, number);
            (input["type"], input["original"]) = (json!("384"), json!(hex::encode(id)));
            ("replace", SELLER, input)
        }
        25 => match attempt.amount % 6 {
            0 => ("cancel", SELLER, json!({ "reason": "typo" })),
            1 | 2 => ("requestVoid", SELLER, json!({ "reason": "typo" })),
            3 => ("withdrawVoid", SELLER, json!({})),
            4 => ("answerVoid", BUYER, json!({ "accept": attempt.choice % 2 == 0 })),
            _ => ("lapseVoid", BANK, json!({})),
        },
        _ => match (record.regions["authority"].as_str(), attempt.amount % 5) {
            ("Due" | "Refused", 0 | 1) => ("submitToAuthority", SELLER, json!({ "evidence": digest(1) })),
            ("Submitted" | "CancelSent", _) => {
                let answers = ["cleared", "reported", "refused", "cancelled"];
                let answer = answers[usize::from(attempt.choice) % 4];
                (
                    "answerAuthority",
                    AUTHORITY,
                    json!({ "answer": answer, "evidence": digest(2) }),
                )
            }
            ("Cleared" | "Reported", _) => ("sendCancellation", SELLER, json!({ "evidence": digest(3) })),
            _ => match attempt.choice % 2 {
                0 => ("reportOverdue", BANK, json!({})),
                _ => ("expireOffer", BANK, take(pledge)),
            },
        },
    };
    Some((action, who, input))
}

/// Long ways are taken to their end: every third attempt goes on with what has begun.
fn next_step(attempt: &Attempt, record: &Record) -> Option<(&'static str, u8, Value)> {
    let int = |field: &str| record.fields[field].as_i64().unwrap_or_default();
    let state = |region: &str| record.regions[region].as_str();
    if attempt.action % 3 != 0 {
        return None;
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
    match (state("document"), state("authority")) {
        ("Void" | "FullyCredited" | "Replaced", "Cleared" | "Reported") => {
            Some(("sendCancellation", SELLER, json!({ "evidence": digest(3) })))
        }
        ("Issued", "Cleared" | "Reported") if attempt.amount % 2 == 0 => {
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

fn issued(attempt: &Attempt, number: u64) -> Value {
    let net = [100, 333, 10_000, 7][usize::from(attempt.amount) % 4];
    let mut input = document("380", number, net);
    input["series"] = json!(["R", "S"][usize::from(attempt.document) % 2]);
    input["content"] = json!(digest(0xabc0 + u64::from(attempt.document % 16)));
    match attempt.party % 32 {
        1 => input["verdict"]["fatal"] = json!(1),
        2 => input["verdict"]["exact"] = json!(false),
        3 => input["totals"]["vat"] = json!(attempt.choice),
        4 => input["vat"][0]["vat"] = json!(attempt.choice),
        5..=11 => {
            input["authority"] = json!(name(AUTHORITY));
            input["reportBy"] = json!(crate::support::START + 7_200_000);
        }
        _ => {}
    }
    input
}

fn credited(attempt: &Attempt, record: &Record, id: Id) -> (&'static str, u8, Value) {
    let left = |entry: &Value| entry["base"].as_i64().unwrap_or(0) - entry["creditedBase"].as_i64().unwrap_or(0);
    let base = record.fields["vat"].get(0).map_or(0, left);
    let mut note = document("381", 100 + u64::from(attempt.choice), amounts(attempt, base).max(1));
    note["invoice"] = json!(hex::encode(id));
    match attempt.party % 16 {
        1 => note["currency"] = json!("USD"),
        2 => note["recipient"] = json!(name(BANK)),
        3 => {
            let net = note["totals"]["net"].clone();
            note["vat"] = json!([{ "category": "E", "rate": 0, "base": net, "vat": 0 }]);
            (note["totals"]["vat"], note["totals"]["gross"], note["totals"]["due"]) = (json!(0), net.clone(), net);
        }
        _ => {}
    }
    ("credit", SELLER, note)
}
