//! A ledger with the invoice template and the parties of an invoice.

use ed25519_dalek::SigningKey;
use muniment_ledger::state::{Record, record_key};
use muniment_ledger::templates::ELECTRONIC_INVOICE;
use muniment_ledger::wire::Outcome;
use serde_json::{Value, json};

use crate::support::{Ledger, genesis_of, key, signer, single};

pub const SELLER: u8 = 1;
pub const BUYER: u8 = 2;
pub const BANK: u8 = 3;
pub const OTHER_BANK: u8 = 4;
pub const EMPLOYEE: u8 = 5;
pub const EMPLOYER: u8 = 6;
pub const AUTHORITY: u8 = 7;
pub const OTHER_SELLER: u8 = 8;

pub const DAY: u64 = 86_400_000;

pub type Id = [u8; 32];

/// Key text of a party.
pub fn name(party: u8) -> String {
    signer(&key(party)).to_string()
}

pub fn digest(n: u64) -> String {
    format!("{n:064x}")
}

/// A standard-rated document of one VAT category.
pub fn document(kind: &str, number: u64, net: i64) -> Value {
    let vat = (net * 19 + 50).div_euclid(100);
    let content = if kind == "381" { 0x1000 + number } else { number };
    json!({
        "regime": "DE", "supplier": "DE123456789", "type": kind, "series": "R", "number": number.to_string(),
        "year": 2026, "currency": "EUR", "issueDate": "2026-11-28", "syntax": "ubl", "content": digest(content),
        "verdict": { "ruleSet": "en16931/1.3.16", "digest": digest(0), "fatal": 0, "exact": true },
        "recipient": name(BUYER),
        "totals": {
            "lines": net, "allowances": 0, "charges": 0, "net": net, "vat": vat, "gross": net + vat, "prepaid": 0,
            "rounding": 0, "due": net + vat
        },
        "vat": [{ "category": "S", "rate": 190_000, "base": net, "vat": vat }],
    })
}

/// As `document`, with properties replaced or added.
pub fn with(mut document: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("changes are an object")
    };
    document.as_object_mut().unwrap().extend(changes);
    document
}

pub struct World {
    pub ledger: Ledger,
}

impl World {
    pub fn new() -> Self {
        Self::with_template(ELECTRONIC_INVOICE)
    }

    pub fn with_template(source: &str) -> Self {
        let genesis = genesis_of(&[("electronic-invoice", 1, source)], 8);
        Self {
            ledger: Ledger::new(&genesis),
        }
    }

    pub fn sign(
        &mut self,
        key: &SigningKey,
        action: &str,
        input: Value,
        record: Option<Id>,
    ) -> muniment_ledger::transaction::Transaction {
        let common = self.ledger.common_of("electronic-invoice", key, action);
        single(common, key, input, record)
    }

    /// Runs one action in a block of its own. A refused one must change nothing.
    pub fn act(&mut self, party: u8, action: &str, input: Value, record: Option<Id>) -> Outcome {
        let transaction = self.sign(&key(party), action, input, record);
        let prepared = self.ledger.admit(transaction).unwrap();
        let before = self.ledger.tree.state.clone();
        let execution = self.ledger.block(&[prepared]);
        let outcome = execution.outcomes[0][0].clone();
        if matches!(outcome, Outcome::Rejected { .. }) {
            assert_eq!(self.ledger.tree.state, before, "a rejected action changed something");
            assert!(execution.leaves.is_empty() && execution.history.is_empty());
        }
        outcome
    }

    /// An action that must be accepted; gives its record.
    pub fn ok(&mut self, party: u8, action: &str, input: Value, record: Option<Id>) -> Id {
        match self.act(party, action, input, record) {
            Outcome::Accepted { record, .. } => record,
            refused => panic!("{action}: {refused:?}"),
        }
    }

    /// An action that must be refused with this code.
    pub fn no(&mut self, party: u8, action: &str, input: Value, record: Option<Id>, wanted: &str) {
        match self.act(party, action, input, record) {
            Outcome::Rejected { code, message, .. } => {
                assert_eq!(code, wanted, "{action}: {message}");
                assert!(!message.is_empty());
            }
            accepted => panic!("{action} must be refused with {wanted}: {accepted:?}"),
        }
    }

    /// The record now.
    pub fn record(&self, id: Id) -> Record {
        Record::parse(&self.ledger.tree.state.0[&record_key(&id)]).unwrap()
    }

    pub fn state(&self, id: Id, region: &str) -> String {
        self.record(id).regions[region].clone()
    }

    pub fn int(&self, id: Id, field: &str) -> i64 {
        self.record(id).fields[field].as_i64().unwrap()
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.ledger.time += milliseconds;
    }

    /// An invoice that the buyer has accepted.
    pub fn accepted(&mut self, number: u64, net: i64) -> Id {
        let id = self.ok(SELLER, "issue", document("380", number, net), None);
        self.ok(BUYER, "respond", json!({ "code": "AP" }), Some(id));
        id
    }

    pub fn pledge(&self, pledge: &str, lender: u8, amount: i64) -> Value {
        json!({
            "pledge": pledge, "lender": name(lender), "amount": amount, "until": self.ledger.time + 30 * DAY,
            "expires": self.ledger.time + DAY
        })
    }
}
