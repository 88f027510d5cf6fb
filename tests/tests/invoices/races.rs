//! Two at once at different validators: exactly one wins, and all validators agree on which.

use std::collections::BTreeSet;
use std::time::Duration;

use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{Admission, TransactionStatus};
use muniment_tests::api::Api;
use muniment_tests::party::Party;
use muniment_tests::poll;
use muniment_tests::tenants::admit;
use muniment_tests::world::{World, agreement};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Day, form};

const TEMPLATE: &str = "electronic-invoice";

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Parties that keep their keys to themselves and talk to validators directly.
struct Ring<'d> {
    day: &'d Day,
    seller: Party,
    buyer: Party,
    banks: [Party; 2],
}

impl<'d> Ring<'d> {
    async fn new(day: &'d Day) -> Self {
        let tenant = day.world.api();
        let network = *day.world.trust().network();
        let party = async |name: &str, seed: u8| {
            let party = Party::new([seed; 32], network);
            admit(&tenant, name, &party.signer().to_string()).await;
            party
        };
        Self {
            seller: party("own-seller", 101).await,
            buyer: party("own-buyer", 102).await,
            banks: [party("own-bank", 103).await, party("own-fund", 104).await],
            day,
        }
    }

    fn document(&self, kind: &str, number: &str, net: i64) -> Value {
        let vat = net * 19 / 100;
        json!({
            "regime": "DE", "supplier": "DE987654321", "type": kind, "series": "", "number": number, "year": 2026,
            "currency": "EUR", "issueDate": "2026-11-24", "syntax": "ubl", "content": digest(&format!("{kind} {number} {net}")),
            "verdict": { "ruleSet": "en16931/1.3.16", "digest": digest("report"), "fatal": 0, "exact": true },
            "recipient": self.buyer.signer().to_string(),
            "totals": { "lines": net, "allowances": 0, "charges": 0, "net": net, "vat": vat, "gross": net + vat, "prepaid": 0,
                "rounding": 0, "due": net + vat },
            "vat": [{ "category": "S", "rate": 190_000, "base": net, "vat": vat }],
        })
    }

    /// One step, waited for. Answers the record of a new invoice.
    async fn step(&self, who: &Party, action: &str, input: Value, record: Option<[u8; 32]>) {
        let transaction = who.act(TEMPLATE, action, input, record);
        self.at_once([("validator-0", transaction)]).await;
    }

    async fn issued(&self, number: &str) -> [u8; 32] {
        let document = self.document("380", number, 10_000);
        let identity = ["supplier", "number", "year"].map(|name| document[name].clone());
        let identity: Vec<&Value> = identity.iter().collect();
        let id = muniment_ledger::state::record_id(TEMPLATE, None, &identity).unwrap();
        self.step(&self.seller, "issue", document, None).await;
        self.step(&self.buyer, "respond", json!({ "code": "AP" }), Some(id))
            .await;
        id
    }

    /// Sends each to its validator at the same time, and waits until all are decided.
    async fn at_once<const N: usize>(&self, sent: [(&str, Transaction); N]) {
        let all = sent.iter().map(|(validator, transaction)| async move {
            let one = [transaction.clone()];
            // A validator that is a block behind doesn't know the newest members yet.
            poll::until("the validator takes the transaction", || async {
                let taken = self.day.world.node(validator).submit(&one).await.ok()?;
                matches!(taken[0], Admission::Accepted { .. } | Admission::Known { .. }).then_some(())
            })
            .await;
        });
        futures::future::join_all(all).await;
        for (validator, transaction) in &sent {
            let id = transaction.id();
            poll::until("the transaction is decided", || async {
                let node = self.day.world.node(validator);
                let status = node.transaction(&id, Duration::from_secs(5)).await.ok()?;
                matches!(status, TransactionStatus::Final { .. }).then_some(())
            })
            .await;
        }
    }

    async fn record(&self, id: [u8; 32]) -> Value {
        let view = self.day.world.node("validator-0").record(&id).await.unwrap();
        view.expect("the record").record
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_at_different_validators_exactly_one_wins() {
    let day = Day::begin().await;
    // The same number twice through the API, at the same time.
    let (one, two) = (form("7", "10"), form("7", "20"));
    let (one, two) = tokio::join!(day.submit(&day.seller, "", &one), day.submit(&day.seller, "", &two));
    let codes: BTreeSet<u16> = [one.status.as_u16(), two.status.as_u16()].into();
    assert_eq!(codes, BTreeSet::from([201, 409]), "{one:?} {two:?}");
    many(&day.seller.api).await;

    let ring = Ring::new(&day).await;
    numbers(&ring).await;
    pledges(&ring).await;
    payments(&ring).await;
    claims(&ring).await;
    credit_against_payment(&ring).await;
    agreement(&day.world).await;
}

async fn numbers(ring: &Ring<'_>) {
    let documents = [ring.document("380", "N", 10_000), ring.document("380", "N", 20_000)];
    let [a, b] = documents
        .clone()
        .map(|document| ring.seller.act(TEMPLATE, "issue", document, None));
    ring.at_once([("validator-0", a), ("validator-2", b)]).await;
    let identity = ["supplier", "number", "year"].map(|name| documents[0][name].clone());
    let identity: Vec<&Value> = identity.iter().collect();
    let id = muniment_ledger::state::record_id(TEMPLATE, None, &identity).unwrap();
    let record = ring.record(id).await;
    assert_eq!(
        (&record["version"], &record["fields"]["counter"]),
        (&json!(1), &json!(1))
    );
    let contents = documents.map(|document| document["content"].clone());
    assert!(contents.contains(&record["fields"]["content"]), "{record}");
}

async fn pledges(ring: &Ring<'_>) {
    let id = ring.issued("P").await;
    let later = 4_000_000_000_000_i64;
    for (bank, name) in ring.banks.iter().zip(["one", "two"]) {
        let offer = json!({ "pledge": name, "lender": bank.signer().to_string(), "amount": 11_900, "until": later,
            "expires": later });
        ring.step(&ring.seller, "offerPledge", offer, Some(id)).await;
    }
    let accept = |bank: &Party, name: &str| bank.act(TEMPLATE, "acceptPledge", json!({ "pledge": name }), Some(id));
    let (a, b) = (accept(&ring.banks[0], "one"), accept(&ring.banks[1], "two"));
    ring.at_once([("validator-0", a), ("validator-2", b)]).await;
    let record = ring.record(id).await;
    let pledges = record["fields"]["pledges"].as_array().unwrap();
    let live = pledges.iter().filter(|pledge| pledge["live"] == true).count();
    assert_eq!((live, &record["fields"]["pledged"]), (1, &json!(11_900)), "{record}");
}

async fn payments(ring: &Ring<'_>) {
    let id = ring.issued("Z").await;
    let pay = |payment: &str| {
        let input = json!({ "payment": payment, "amount": 11_900 });
        ring.seller.act(TEMPLATE, "settle", input, Some(id))
    };
    ring.at_once([("validator-0", pay("a")), ("validator-2", pay("b"))])
        .await;
    let fields = &ring.record(id).await["fields"];
    assert_eq!(fields["payments"].as_array().map(Vec::len), Some(1), "{fields}");
    assert_eq!((&fields["open"], &fields["paid"]), (&json!(0), &json!(11_900)));
}

async fn claims(ring: &Ring<'_>) {
    let id = ring.issued("C").await;
    let until = ring.record(id).await["updatedTime"].as_i64().unwrap() + 86_400_000;
    let [one, two] = ring.banks.each_ref().map(|bank| bank.signer().to_string());
    let claim = |employer: &str| {
        let input = json!({ "employer": employer, "amount": 11_900, "until": until });
        ring.buyer.act(TEMPLATE, "claimReimbursement", input, Some(id))
    };
    ring.at_once([("validator-0", claim(&one)), ("validator-2", claim(&two))])
        .await;
    let record = ring.record(id).await;
    let employer = record["fields"]["lock"]["employer"].as_str().unwrap();
    assert!([&one, &two].contains(&&employer.to_owned()), "{record}");
    assert_eq!(record["version"], 3, "the other one changed nothing: {record}");
}

/// Both may come, and the sum stays right: what was paid before it is credited is to be refunded.
async fn credit_against_payment(ring: &Ring<'_>) {
    let id = ring.issued("G").await;
    let mut note = ring.document("381", "G", 10_000);
    note["invoice"] = json!(hex::encode(id));
    let credit = ring.seller.act(TEMPLATE, "credit", note, None);
    let pay = json!({ "payment": "a", "amount": 11_900 });
    let pay = ring.seller.act(TEMPLATE, "settle", pay, Some(id));
    ring.at_once([("validator-0", credit), ("validator-2", pay)]).await;
    let record = ring.record(id).await;
    let int = |field: &str| record["fields"][field].as_i64().unwrap();
    assert_eq!((int("open"), int("credited"), int("paid")), (0, 11_900, 0), "{record}");
    let paid_first = record["fields"]["payments"].as_array().map(Vec::len) == Some(1);
    assert_eq!(int("refundDue"), if paid_first { 11_900 } else { 0 }, "{record}");
    assert_eq!(record["regions"]["document"], "FullyCredited");
}

/// Numbers of a series have no gaps, whoever asks at the same time, and one that was given by hand is left out.
async fn many(api: &Api) {
    let by_hand = api
        .post("/invoices?recipient=buyer&series=S", &form("S-000003", "10"))
        .await;
    assert_eq!(by_hand.status, 201, "{by_hand:?}");
    let one = || async {
        let document = form("", "10");
        let answer = api
            .post("/invoices?recipient=buyer&number=auto&series=S", &document)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let id = answer.body["id"].as_str().unwrap().to_owned();
        let record = api.get(&format!("/invoices/{id}")).await.body;
        let fields = &record["record"]["fields"];
        (
            fields["counter"].as_u64().unwrap(),
            fields["number"].as_str().unwrap().to_owned(),
        )
    };
    let got = futures::future::join_all((0..6).map(|_| one())).await;
    let got: BTreeSet<(u64, String)> = got.into_iter().collect();
    let places: Vec<u64> = got.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [2, 3, 4, 5, 6, 7]);
    let numbers: BTreeSet<String> = got.into_iter().map(|(_, number)| number).collect();
    let wanted = [1, 2, 4, 5, 6, 7].map(|number| format!("S-{number:06}"));
    assert_eq!(numbers, BTreeSet::from(wanted));
}
