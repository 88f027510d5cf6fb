//! A day in the life of an invoice on four validators, and everything that must be refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use muniment_receipts::verify::{Check, Outcome, Verifier};
use muniment_tests::api::{Answer, Api};
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

/// Refused with this code, and nothing has changed.
fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.body["code"], code, "{answer:?}");
    assert!(answer.status.is_client_error(), "{answer:?}");
    assert!(
        answer.body["detail"].as_str().is_some_and(|text| text.len() > 10),
        "{answer:?}"
    );
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
    assert!(
        again.status.is_client_error(),
        "what is pledged whole is pledged again: {again:?}"
    );
    assert_eq!(day.states(&record).await["regions"]["encumbrance"], "Pledged");

    let part = json!({ "payment": "SEPA-1", "amount": "190.00" });
    day.done(&day.act(&day.seller, &record, "settle", part).await);
    assert_eq!(day.states(&record).await["fields"]["open"], 100_000);

    // The bank has to agree before the invoice that it holds is credited.
    let note = credit("GS-1", "100", "RE-1");
    refused(&day.submit(&day.seller, "", &note).await, "needs_consent");
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
    assert_eq!(now["regions"]["encumbrance"], "Released");
    let late = json!({ "pledge": "p3", "lender": "other-bank", "until": "2099-01-31T00:00:00Z", "amount": "1.00" });
    let late = day.act(&day.seller, &record, "pledge", late).await;
    assert!(late.status.is_client_error(), "what is settled is pledged: {late:?}");
    let _ = other_bank;

    day.done(
        &day.act(&day.buyer, &record, "appoint", json!({ "holder": "employee" }))
            .await,
    );
    let claim = json!({ "employer": "firm", "amount": "1071.00", "until": "2099-01-31T00:00:00Z" });
    day.done(&day.act(&employee, &record, "claim", claim.clone()).await);
    let twice = day.act(&employee, &record, "claim", claim.clone()).await;
    refused(&twice, "wrong_state");
    day.done(&day.act(&firm, &record, "reimburse", json!({})).await);
    refused(&day.act(&employee, &record, "claim", claim).await, "wrong_state");
    assert_eq!(day.states(&record).await["regions"]["reimbursement"], "Reimbursed");

    history_holds(&day, &record, 10).await;
    found(&day, &record).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_is_refused_with_its_code() {
    let day = Day::begin().await;
    let record = day.issued("1", "1000").await;
    let before = day.states(&record).await;
    let twice = day.submit(&day.seller, "", &form("1", "500")).await;
    refused(&twice, "duplicate");
    assert_eq!(twice.body["record"], record.as_str());
    refused(&day.submit(&day.bank, "", &form("2", "1")).await, "foreign_supplier");
    let more = json!({ "payment": "p", "amount": "1190.01" });
    refused(&day.act(&day.seller, &record, "settle", more).await, "more_than_owed");
    refused(
        &day.act(&day.buyer, &record, "settle", json!({ "payment": "p" })).await,
        "not_allowed",
    );
    refused(
        &day.submit(&day.seller, "", &credit("G", "1000.01", "1")).await,
        "credit_too_large",
    );
    refused(
        &day.submit(&day.bank, "&credits=".to_owned().as_str(), &credit("G", "1", "1"))
            .await,
        "invalid_field",
    );
    let unknown = day.submit(&day.seller, "", &credit("G", "1", "no such")).await;
    refused(&unknown, "missing_field");
    let stranger = json!({ "pledge": "p", "lender": "nobody", "until": "2099-01-31T00:00:00Z" });
    refused(
        &day.act(&day.seller, &record, "pledge", stranger).await,
        "invalid_field",
    );
    let unaccepted = json!({ "pledge": "p", "lender": "bank", "until": "2099-01-31T00:00:00Z" });
    day.done(&day.act(&day.seller, &record, "pledge", unaccepted).await);
    refused(
        &day.act(&day.bank, &record, "accept-pledge", json!({ "pledge": "p" }))
            .await,
        "not_accepted",
    );
    assert_eq!(day.states(&record).await["fields"]["open"], before["fields"]["open"]);

    // Two hundred megabytes are refused without being held; the server goes on.
    let large = day
        .seller
        .api
        .http
        .post(day.seller.api.url("/invoices?recipient=buyer"));
    let large = large
        .bearer_auth(&day.seller.api.key)
        .header("content-type", "application/xml");
    match large.body(vec![b' '; 200 << 20]).send().await {
        Ok(answer) => assert_eq!(answer.status(), 413),
        // Refused while it was still being sent.
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    day.issued("3", "10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_at_different_validators_exactly_one_wins() {
    let day = Day::begin().await;
    // The same number twice through the API, at the same time.
    let (one, two) = (form("7", "10"), form("7", "20"));
    let (one, two) = tokio::join!(day.submit(&day.seller, "", &one), day.submit(&day.seller, "", &two));
    let codes: BTreeSet<u16> = [one.status.as_u16(), two.status.as_u16()].into();
    assert_eq!(codes, BTreeSet::from([201, 409]), "{one:?} {two:?}");

    // A party with its own key pays the same invoice whole at two validators.
    let outside = day.world.party();
    let document = form("8", "100");
    let key = outside.signer().to_string();
    let issued = day
        .seller
        .api
        .post(&format!("/invoices?recipient=buyer&agent={key}"), &document)
        .await;
    let record = day.done(&issued);
    let id: [u8; 32] = hex::decode(&record).unwrap().try_into().unwrap();
    let pay = |payment: &str| {
        let input = json!({ "payment": payment, "amount": 11_900 });
        outside.act("electronic-invoice", "settle", input, Some(id))
    };
    let (first, second) = (day.world.node("validator-0"), day.world.node("validator-2"));
    let (a, b) = ([pay("a")], [pay("b")]);
    let (a, b) = tokio::join!(first.submit(&a), second.submit(&b));
    a.unwrap();
    b.unwrap();
    let settled = poll::until("the invoice is paid", || async {
        let record = day.states(&record).await;
        (record["regions"]["settlement"] == "Paid").then_some(record)
    })
    .await;
    assert_eq!(
        settled["fields"]["payments"].as_array().map(Vec::len),
        Some(1),
        "{settled}"
    );
    assert_eq!(
        (&settled["fields"]["open"], &settled["fields"]["paid"]),
        (&json!(0), &json!(11_900))
    );
    muniment_tests::world::agreement(&day.world).await;
    assert_eq!(
        day.states(&record).await["version"],
        settled["version"],
        "the other one changed nothing"
    );
    many(&day.seller.api).await;
}

/// Numbers of a series have no gaps, whoever asks at the same time.
async fn many(api: &Api) {
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
    let wanted: BTreeSet<(u64, String)> = (1..=6).map(|place| (place, format!("S-{place:06}"))).collect();
    assert_eq!(got, wanted);
}
