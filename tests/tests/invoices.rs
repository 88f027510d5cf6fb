//! A day in the life of an invoice on four validators, everything that must be refused, and several at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "invoices/again.rs"]
mod again;
#[path = "invoices/lost.rs"]
mod lost;
#[path = "invoices/races.rs"]
mod races;
#[path = "invoices/refusals.rs"]
mod refusals;

use std::time::{Duration, SystemTime};

use muniment_receipts::verify::{Check, Outcome, Verifier};
use muniment_tests::api::Answer;
use muniment_tests::local::LocalWorld;
use muniment_tests::poll;
use muniment_tests::tenants::Tenanted;
use muniment_tests::world::World;
use reqwest::Method;
use serde_json::{Value, json};

/// The JSON form of an invoice over one position; `net` is its price.
fn form(number: &str, net: &str) -> Value {
    json!({
        "number": number, "issueDate": "2026-11-24", "typeCode": "380", "currency": "EUR", "dueDate": "2026-12-24",
        "specification": "urn:cen.eu:en16931:2017",
        "seller": { "name": "Seller", "vatId": "DE123456789", "address": { "city": "Berlin", "country": "DE" } },
        "buyer": { "name": "Buyer", "address": { "city": "Paris", "country": "FR" } },
        "lines": [{ "quantity": "1", "unit": "C62", "price": { "net": net }, "category": "S", "rate": "19",
            "item": { "name": "Chairs" } }]
    })
}

fn credit(number: &str, net: &str, of: &str) -> Value {
    let mut note = form(number, net);
    note["typeCode"] = json!("381");
    note["preceding"] = json!([{ "number": of }]);
    note.as_object_mut().unwrap().remove("dueDate");
    note
}

struct Day {
    world: LocalWorld,
    seller: Tenanted,
    buyer: Tenanted,
    bank: Tenanted,
    verifier: Verifier,
}

impl Day {
    async fn begin() -> Self {
        let world = LocalWorld::with_templates(&["notarization", "electronic-invoice"]).await;
        let tenant = world.api();
        let party = async |name: &str| Tenanted::new(&tenant, name).await;
        let (seller, buyer, bank) = (party("seller").await, party("buyer").await, party("bank").await);
        let trust = world.trust();
        let network = *trust.network();
        Self {
            verifier: Verifier::with(trust, Some(network)),
            seller,
            buyer,
            bank,
            world,
        }
    }

    async fn party(&self, name: &str) -> Tenanted {
        Tenanted::new(&self.world.api(), name).await
    }

    async fn submit(&self, who: &Tenanted, query: &str, document: &Value) -> Answer {
        who.api
            .post(&format!("/invoices?recipient=buyer{query}"), document)
            .await
    }

    /// Registers an invoice of the seller; answers its record.
    async fn issued(&self, number: &str, net: &str) -> String {
        let answer = self.submit(&self.seller, "", &form(number, net)).await;
        self.done(&answer)
    }

    async fn act(&self, who: &Tenanted, record: &str, action: &str, body: Value) -> Answer {
        who.api
            .post(&format!("/invoices/{record}/actions/{action}"), &body)
            .await
    }

    /// The step is final, and its receipt holds without any server. Answers the record.
    fn done(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, 201, "{answer:?}");
        let receipt = answer.body["receipt"].as_str().expect("a receipt");
        self.holds(receipt);
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    fn holds(&self, receipt: &str) {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let now = u64::try_from(since.as_millis()).unwrap();
        let report = self.verifier.verify(receipt.as_bytes(), None, now);
        for verdict in &report.verdicts {
            // No document is given, and what became of the record later no receipt can say.
            let open = matches!(verdict.check, Check::Document | Check::Status);
            let fine = verdict.result == Outcome::Pass || open && verdict.result == Outcome::Inconclusive;
            assert!(fine, "{verdict:?}");
        }
    }

    async fn states(&self, record: &str) -> Value {
        let answer = self.seller.api.get(&format!("/invoices/{record}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["record"].clone()
    }
}

/// Refused with this status and code, and a sentence.
fn refused(answer: &Answer, status: u16, code: &str) {
    answer.problem(status, code);
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(' '), "{answer:?}");
}

/// A day from now, as callers write it.
fn tomorrow() -> String {
    let at = SystemTime::now() + Duration::from_secs(86_400);
    humantime::format_rfc3339_seconds(at).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_in_the_life_of_an_invoice() {
    let day = Day::begin().await;
    let other_bank = day.party("other-bank").await;
    let (firm, employee) = (day.party("firm").await, day.party("employee").await);
    let record = day.issued("RE-1", "1000").await;
    day.done(&day.act(&day.buyer, &record, "approve", json!({})).await);

    let pledge = json!({ "pledge": "p1", "lender": "bank", "until": "2099-01-31T00:00:00Z" });
    day.done(&day.act(&day.seller, &record, "pledge", pledge.clone()).await);
    day.done(
        &day.act(&day.bank, &record, "accept-pledge", json!({ "pledge": "p1" }))
            .await,
    );
    let mut second = pledge;
    second["pledge"] = json!("p2");
    second["lender"] = json!("other-bank");
    second["amount"] = json!("1.00");
    let again = day.act(&day.seller, &record, "pledge", second).await;
    refused(&again, 422, "already_pledged");
    assert_eq!(day.states(&record).await["regions"]["encumbrance"], "Pledged");

    let part = json!({ "payment": "SEPA-1", "amount": "190.00" });
    day.done(&day.act(&day.seller, &record, "settle", part).await);
    assert_eq!(day.states(&record).await["fields"]["open"], 100_000);

    // The bank has to agree before the invoice that it holds is credited.
    let note = credit("GS-1", "100", "RE-1");
    refused(&day.submit(&day.seller, "", &note).await, 422, "needs_consent");
    day.done(
        &day.act(
            &day.bank,
            &record,
            "consent",
            json!({ "pledge": "p1", "amount": "119.00" }),
        )
        .await,
    );
    let credited = day.done(&day.submit(&day.seller, "", &note).await);
    let now = day.states(&record).await;
    assert_eq!(
        (&now["fields"]["open"], &now["regions"]["document"]),
        (&json!(88_100), &json!("PartlyCredited"))
    );
    assert_eq!(now["fields"]["creditNotes"], json!([credited]));

    day.done(
        &day.act(&day.seller, &record, "settle", json!({ "payment": "SEPA-2" }))
            .await,
    );
    let now = day.states(&record).await;
    assert_eq!(
        (&now["fields"]["open"], &now["regions"]["settlement"]),
        (&json!(0), &json!("Paid"))
    );
    // The borrower's word releases nothing; that the buyer has paid, does.
    assert_eq!(now["regions"]["encumbrance"], "Pledged");
    for payment in ["SEPA-1", "SEPA-2"] {
        let paid = json!({ "payment": payment });
        day.done(&day.act(&day.buyer, &record, "confirm-payment", paid).await);
    }
    assert_eq!(day.states(&record).await["regions"]["encumbrance"], "Released");
    let late = json!({ "pledge": "p3", "lender": "other-bank", "until": "2099-01-31T00:00:00Z", "amount": "1.00" });
    refused(&day.act(&day.seller, &record, "pledge", late).await, 409, "wrong_state");
    refused(
        &day.act(&day.seller, &record, "settle", json!({ "payment": "SEPA-3" }))
            .await,
        422,
        "more_than_owed",
    );
    let list = other_bank.api.get("/invoices?party=other-bank").await;
    assert_eq!(list.body["invoices"].as_array().map(Vec::len), Some(0), "{list:?}");

    day.done(
        &day.act(&day.buyer, &record, "appoint", json!({ "holder": "employee" }))
            .await,
    );
    let claim = json!({ "employer": "firm", "until": tomorrow() });
    day.done(&day.act(&employee, &record, "claim", claim.clone()).await);
    let twice = day.act(&employee, &record, "claim", claim.clone()).await;
    refused(&twice, 409, "wrong_state");
    day.done(&day.act(&firm, &record, "reimburse", json!({})).await);
    refused(&day.act(&employee, &record, "claim", claim).await, 409, "wrong_state");
    assert_eq!(day.states(&record).await["regions"]["reimbursement"], "Reimbursed");

    history_holds(&day, &record, 12).await;
    found(&day, &record).await;
    erased(&day, &record).await;
}

/// Every step can be had again, with a receipt that holds.
async fn history_holds(day: &Day, record: &str, steps: usize) {
    let history = day.buyer.api.get(&format!("/invoices/{record}/history")).await;
    let entries = history.body.as_array().expect("steps");
    assert!(entries.len() >= steps, "{history:?}");
    for entry in entries {
        let url = format!("{}{}", day.buyer.api.server, entry["receipt"].as_str().unwrap());
        let receipt = day.buyer.api.request(Method::GET, &url, &[], None).await.unwrap();
        assert_eq!(receipt.status, 200, "{entry}: {receipt:?}");
        day.holds(&receipt.text);
    }
}

/// The search follows the ledger.
async fn found(day: &Day, record: &str) {
    let paid = "/invoices?state=settlement:Paid,reimbursement:Reimbursed&number=RE-1&party=buyer";
    let page = poll::until("the search has the invoice as it is", || async {
        let page = day.buyer.api.get(paid).await;
        (page.body["invoices"].as_array()?.len() == 1).then_some(page.body)
    })
    .await;
    assert_eq!(
        (&page["invoices"][0]["id"], &page["invoices"][0]["open"]),
        (&json!(record), &json!("0.00"))
    );
    let credits = day.buyer.api.get(&format!("/invoices?credits={record}")).await;
    assert_eq!(
        credits.body["invoices"].as_array().map(Vec::len),
        Some(1),
        "{credits:?}"
    );
    let document = day.buyer.api.get(&format!("/invoices/{record}/document")).await;
    assert_eq!(document.body["number"], "RE-1", "{document:?}");
    let foreign = day.bank.api.get(&format!("/invoices/{record}/pdf")).await;
    assert_eq!(foreign.status, 403, "the bank's pledge is over: {foreign:?}");
}

/// The document is erased once nothing hangs on its invoice; what is on the ledger stays.
async fn erased(day: &Day, record: &str) {
    let erase = async |who: &Tenanted, record: &str| {
        let url = who.api.url(&format!("/invoices/{record}/document"));
        who.api.request(Method::DELETE, &url, &[], None).await.unwrap()
    };
    refused(&erase(&day.buyer, record).await, 403, "forbidden");
    let unpaid = day.issued("RE-2", "10").await;
    refused(&erase(&day.seller, &unpaid).await, 409, "still_needed");
    assert_eq!(erase(&day.seller, record).await.status, 204);
    let document = day.buyer.api.get(&format!("/invoices/{record}/document")).await;
    refused(&document, 410, "erased");
    history_holds(day, record, 12).await;
}
