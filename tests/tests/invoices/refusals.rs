//! What must not be: each with its code, its status and its sentence, and nothing has changed.

use muniment_tests::api::Answer;
use muniment_tests::poll;
use serde_json::{Value, json};

use super::{Day, credit, form, refused, tomorrow};

const LATER: &str = "2099-01-31T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_is_refused_with_its_code() {
    let day = Day::begin().await;
    let record = day.issued("1", "1000").await;
    let before = day.states(&record).await;
    numbers(&day, &record).await;
    documents(&day).await;
    amounts(&day, &record).await;
    assert_eq!(day.states(&record).await["version"], before["version"]);
    settled(&day).await;
    large(&day).await;
}

/// A number is used once, whatever is asked for beside it.
async fn numbers(day: &Day, record: &str) {
    for query in ["", "&series=x", "&regime=FR", "&committed=true", "&profile=peppol"] {
        for document in [form("1", "1000"), form("1", "500")] {
            let twice = day.submit(&day.seller, query, &document).await;
            if query == "&profile=peppol" {
                refused(&twice, 422, "not_valid");
                continue;
            }
            refused(&twice, 409, "duplicate");
            assert_eq!(twice.body["record"], record, "{query}");
        }
    }
    refused(
        &day.submit(&day.seller, "&year=2027", &form("2", "1")).await,
        400,
        "bad_request",
    );
    let mut prepayment = form("1", "1000");
    prepayment["typeCode"] = json!("386");
    refused(&day.submit(&day.seller, "", &prepayment).await, 409, "duplicate");
    let foreign = day
        .submit(&day.bank, "&regime=FR&committed=true", &form("2", "1"))
        .await;
    refused(&foreign, 422, "foreign_supplier");
}

async fn documents(day: &Day) {
    let changed = |changes: &[(&str, Value)]| {
        let mut document = form("2", "10");
        for (at, value) in changes {
            *document.pointer_mut(at).unwrap() = value.clone();
        }
        document
    };
    let table = [
        (vec![("/typeCode", json!("389"))], "unfit_invoice"),
        (vec![("/typeCode", json!("384"))], "missing_field"),
        (vec![("/typeCode", json!("999"))], "not_valid"),
        (vec![("/currency", json!("XXY"))], "not_valid"),
        (vec![("/seller/address/country", json!("QQ"))], "not_valid"),
        (vec![("/issueDate", json!("24.11.2026"))], "not_a_date"),
        (vec![("/dueDate", json!("2026-02-31"))], "not_a_date"),
        (
            vec![("/lines/0/item/name", json!("Ch\u{8}airs"))],
            "character_not_allowed",
        ),
        (vec![("/lines/0/quantity", json!("-1"))], "unfit_invoice"),
        (vec![("/lines/0/quantity", json!("1e400"))], "not_the_json_form"),
        (vec![("/lines/0/price/net", json!("9".repeat(40)))], "not_the_json_form"),
        (vec![("/lines/0/category", json!("X"))], "not_valid"),
    ];
    for (changes, code) in table {
        let answer = day.submit(&day.seller, "", &changed(&changes)).await;
        refused(&answer, 422, code);
        if code == "not_valid" {
            let findings = answer.body["findings"].as_array().map_or(0, Vec::len);
            assert!(findings > 0, "{answer:?}");
        }
    }
    let xml = |body: &'static str| async move { sent(day, body.as_bytes().to_vec()).await };
    refused(&xml("not xml").await, 422, "xml_malformed");
    refused(&xml("<Order/>").await, 422, "not_an_invoice");
    let laughs = "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
    refused(&xml(laughs).await, 422, "xml_doctype");
    refused(
        &sent(day, b"<Invoice>\xff\xfe</Invoice>".to_vec()).await,
        422,
        "xml_encoding",
    );
}

async fn sent(day: &Day, body: Vec<u8>) -> Answer {
    let api = &day.seller.api;
    let request = api
        .http
        .post(api.url("/invoices?recipient=buyer"))
        .bearer_auth(&api.key);
    let answer = request
        .header("content-type", "application/xml")
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    Answer {
        status,
        content_type: headers["content-type"].to_str().unwrap().to_owned(),
        retry_after: None,
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    }
}

/// Too much of anything.
async fn amounts(day: &Day, record: &str) {
    let more = json!({ "payment": "p", "amount": "1190.01" });
    refused(
        &day.act(&day.seller, record, "settle", more).await,
        422,
        "more_than_owed",
    );
    let other = day.act(&day.buyer, record, "settle", json!({ "payment": "p" })).await;
    refused(&other, 403, "not_allowed");
    let large = day.submit(&day.seller, "", &credit("G", "1000.01", "1")).await;
    refused(&large, 422, "credit_too_large");
    let unnamed = day.submit(&day.bank, "&credits=", &credit("G", "1", "1")).await;
    refused(&unnamed, 422, "invalid_field");
    let another = format!("&credits={}", "ab".repeat(32));
    let contradiction = day.submit(&day.seller, &another, &credit("G", "1", "1")).await;
    refused(&contradiction, 422, "invalid_field");
    let unknown = day.submit(&day.seller, "", &credit("G", "1", "no such")).await;
    refused(&unknown, 422, "missing_field");
    let stranger = json!({ "pledge": "p", "lender": "nobody", "until": LATER });
    refused(
        &day.act(&day.seller, record, "pledge", stranger).await,
        422,
        "invalid_field",
    );
    let much = json!({ "pledge": "p", "lender": "bank", "until": LATER, "amount": "1190.01" });
    refused(
        &day.act(&day.seller, record, "pledge", much).await,
        422,
        "already_pledged",
    );
    refused(
        &day.act(&day.buyer, record, "dispute", json!({})).await,
        422,
        "missing_field",
    );
    let own = json!({ "assignee": "seller" });
    refused(&day.act(&day.seller, record, "assign", own).await, 422, "own_assignee");
    let spaced = day
        .act(&day.seller, record, "settle", json!({ "payment": "a b" }))
        .await;
    refused(&spaced, 422, "invalid_input");
    assert!(
        spaced.body["detail"].as_str().unwrap().contains("`payment`"),
        "{spaced:?}"
    );
    let long = json!({ "employer": "bank", "until": LATER });
    refused(&day.act(&day.buyer, record, "claim", long).await, 422, "lock_too_long");
}

/// The headline refusals, by callers who leave the amount out.
async fn settled(day: &Day) {
    let record = day.issued("S-1", "100").await;
    let pledge = |name: &str| json!({ "pledge": name, "lender": "bank", "until": LATER });
    day.done(&day.act(&day.seller, &record, "pledge", pledge("p")).await);
    let early = day
        .act(&day.bank, &record, "accept-pledge", json!({ "pledge": "p" }))
        .await;
    refused(&early, 422, "not_accepted");
    let waiver = json!({ "pledge": "p", "waiver": true });
    day.done(&day.act(&day.bank, &record, "accept-pledge", waiver).await);
    let again = day.act(&day.seller, &record, "pledge", pledge("q")).await;
    refused(&again, 422, "already_pledged");
    // The bank finds what is pledged to it.
    let list = poll::until("the bank sees its pledge", || async {
        let page = day.bank.api.get("/invoices?party=bank&state=encumbrance:Pledged").await;
        (page.body["invoices"].as_array()?.len() == 1).then_some(page.body)
    })
    .await;
    assert_eq!(list["invoices"][0]["id"], record);
    day.done(&day.act(&day.seller, &record, "settle", json!({ "payment": "a" })).await);
    let twice = day.act(&day.seller, &record, "settle", json!({ "payment": "b" })).await;
    refused(&twice, 422, "more_than_owed");
    let late = day.act(&day.seller, &record, "pledge", pledge("r")).await;
    refused(&late, 409, "wrong_state");
    let claim = || json!({ "employer": "bank", "until": tomorrow() });
    day.done(&day.act(&day.buyer, &record, "claim", claim()).await);
    day.done(&day.act(&day.bank, &record, "reimburse", json!({})).await);
    refused(
        &day.act(&day.buyer, &record, "claim", claim()).await,
        409,
        "wrong_state",
    );
}

/// Two hundred megabytes are refused without being held; the server goes on.
async fn large(day: &Day) {
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
    let items: Vec<Value> = (0..1000)
        .map(|n| json!({ "invoice": form(&format!("B-{n}"), "10") }))
        .collect();
    let answer = day
        .seller
        .api
        .post("/invoices:batch", &json!({ "recipient": "buyer", "items": items }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text.get(..500).unwrap_or(&answer.text));
    let outcomes = answer.body["items"].as_array().expect("outcomes");
    assert_eq!(outcomes.len(), 1000);
    for outcome in outcomes {
        assert!(outcome["receipt"].is_string(), "{outcome}");
    }
    day.holds(outcomes[999]["receipt"].as_str().unwrap());
    let twice = day.submit(&day.seller, "", &form("B-500", "10")).await;
    refused(&twice, 409, "duplicate");
}
