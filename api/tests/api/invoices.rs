//! Invoices through the API: what is taken, what isn't and why, and what is kept.
//!
//! The replica here is the twin, which has no rules of the template: who may do what is tested on real validators.

use super::support::{NETWORK, World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub fn form(number: &str) -> Value {
    json!({
        "number": number, "issueDate": "2026-11-24", "typeCode": "380", "currency": "EUR", "dueDate": "2026-12-24",
        "specification": "urn:cen.eu:en16931:2017",
        "seller": { "name": "Seller", "vatId": "DE123456789", "address": { "city": "Berlin", "country": "DE" } },
        "buyer": { "name": "Buyer", "address": { "city": "Paris", "country": "FR" } },
        "lines": [{ "quantity": "3", "unit": "C62", "price": { "net": "12.50" }, "category": "S", "rate": "19",
            "item": { "name": "Chair" } }]
    })
}

/// The UBL of an invoice.
fn ubl(number: &str) -> String {
    let text = form(number).to_string();
    muniment_invoices::make(text.as_bytes()).unwrap().to_ubl()
}

pub async fn submit(
    world: &World,
    query: &str,
    media_type: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let request = world
        .request(Method::POST, &format!("{NETWORK}/invoices?{query}"))
        .header("prefer", "wait=20")
        .header("content-type", media_type)
        .body(body);
    answer(request.send().await.unwrap()).await
}

pub async fn get(world: &World, path: &str) -> (StatusCode, Vec<u8>) {
    let response = world.get(&format!("{NETWORK}/invoices{path}")).send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

async fn list(world: &World, query: &str) -> Value {
    let (status, body) = get(world, &format!("?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_registered_and_its_document_is_for_its_parties_only() {
    let mut world = World::start().await;
    let (_, bank) = world.bank().await;
    let xml = ubl("1");
    let (status, made) = submit(&world, "recipient=acme", "application/xml", xml.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["id"].as_str().unwrap();
    let (_, record) = get(&world, &format!("/{id}")).await;
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["document"], "kept");
    let fields = &record["record"]["fields"];
    assert_eq!(fields["content"], sha256(xml.as_bytes()));
    let totals = json!({ "lines": 3750, "allowances": 0, "charges": 0, "net": 3750, "vat": 713, "gross": 4463,
        "prepaid": 0, "rounding": 0, "due": 4463 });
    assert_eq!(fields["totals"], totals);
    assert_eq!(
        fields["vat"],
        json!([{ "category": "S", "rate": 190_000, "base": 3750, "vat": 713 }])
    );
    assert_eq!(
        (&fields["supplier"], &fields["regime"]),
        (&json!("DE123456789"), &json!("DE"))
    );
    let (status, original) = get(&world, &format!("/{id}/document")).await;
    assert_eq!((status, original), (StatusCode::OK, xml.into_bytes()));
    let (_, report) = get(&world, &format!("/{id}/report")).await;
    assert_eq!(fields["verdict"]["digest"], sha256(&report));
    for (path, begins) in [
        ("document?format=cii", "<?xml"),
        ("document?format=ubl", "<?xml"),
        ("document?format=json", "{"),
        ("html", "<!"),
        ("pdf", "%PDF"),
    ] {
        let (status, body) = get(&world, &format!("/{id}/{path}")).await;
        assert!(
            status == StatusCode::OK && body.starts_with(begins.as_bytes()),
            "{path}: {status}"
        );
    }
    let tenants = std::mem::replace(&mut world.key, bank);
    for path in ["document", "html", "pdf", "report"] {
        assert_eq!(
            get(&world, &format!("/{id}/{path}")).await.0,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    let erase = async |world: &World| {
        let path = format!("{NETWORK}/invoices/{id}/document");
        world.request(Method::DELETE, &path).send().await.unwrap().status()
    };
    assert_eq!(erase(&world).await, StatusCode::FORBIDDEN);
    // A record of one's own that claims to have the same content opens nothing.
    let claim =
        json!({ "template": "electronic-invoice", "action": "issue", "input": { "content": fields["content"] } });
    let (status, claimed) = answer(world.post(&format!("{NETWORK}/records"), &claim).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{claimed}");
    let stolen = get(&world, &format!("/{}/document", claimed["id"].as_str().unwrap())).await;
    assert_eq!(stolen.0, StatusCode::NOT_FOUND);
    world.key = tenants;
    let receipt = async |world: &World| {
        world
            .get(&format!("{NETWORK}/records/{id}/receipt"))
            .send()
            .await
            .unwrap()
    };
    let before = receipt(&world).await.text().await.unwrap();
    assert_eq!(erase(&world).await, StatusCode::NO_CONTENT);
    assert_eq!(get(&world, &format!("/{id}/document")).await.0, StatusCode::GONE);
    assert_eq!(erase(&world).await, StatusCode::GONE);
    assert_eq!(receipt(&world).await.text().await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_invoice_is_refused_with_code_and_findings() {
    let world = World::start().await;
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
    let wrong_sum = ubl("2").replace("44.63", "44.64");
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("<x/>".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"not xml at all".to_vec(), "xml_malformed"),
        (b"<?xml version=\"1.0\"?><Order/>".to_vec(), "not_an_invoice"),
        (laughs.into(), "xml_doctype"),
        (b"<Invoice>&auml;</Invoice>".to_vec(), "xml_entity"),
        (
            b"<?xml version=\"1.0\" encoding=\"EBCDIC\"?><Invoice/>".to_vec(),
            "xml_encoding",
        ),
        ([b"<Invoice>\xff\xfe</Invoice>".as_slice()].concat(), "xml_encoding"),
        (wrong_sum.into_bytes(), "not_valid"),
        (Vec::new(), "xml_malformed"),
    ];
    for (body, code) in table {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let (status, problem) = submit(&world, "recipient=acme", "application/xml", body).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (422, Some(code)),
            "{shown}: {problem}"
        );
        assert_eq!(problem["findings"].is_array(), code == "not_valid", "{problem}");
    }
    // UTF-16 is XML, too: read, and told that it is no invoice.
    let (status, problem) = submit(&world, "recipient=acme", "application/xml", utf16).await;
    assert_eq!(status.as_u16(), 422, "{problem}");
    let (_, problem) = submit(
        &world,
        "recipient=acme",
        "application/xml",
        ubl("2").replace("44.63", "44.64"),
    )
    .await;
    let finding = &problem["findings"][0];
    for field in ["rule", "set", "severity", "message", "term", "location", "fix"] {
        assert!(
            finding[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {finding}"
        );
    }
    for (body, code) in [
        ("{", "not_the_json_form"),
        ("{\"numbr\": 1}", "not_the_json_form"),
        ("{\"lines\": [{}]}", "number_missing"),
    ] {
        let (status, problem) = submit(&world, "recipient=acme", "application/json", body).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (422, Some(code)),
            "{body}: {problem}"
        );
    }
    let large = vec![b' '; (16 << 20) + 1];
    let (status, problem) = submit(&world, "recipient=acme", "application/xml", large).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("body_too_large")));
    for (query, code, pointer) in [
        ("", "missing_field", "/recipient"),
        ("recipient=nobody", "invalid_field", "/recipient"),
        ("recipient=acme&profile=zugferd", "invalid_field", "/profile"),
        ("recipient=acme&number=7", "invalid_field", "/number"),
        ("recipient=acme&number=auto", "invalid_field", "/number"),
        ("recipient=acme&reportBy=soon", "invalid_field", "/reportBy"),
        ("recipient=acme&credits=x", "invalid_field", "/credits"),
    ] {
        let (status, problem) = submit(&world, query, "application/xml", ubl("3")).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (422, &json!(code)),
            "{query}: {problem}"
        );
        assert_eq!(problem["pointer"], pointer, "{query}: {problem}");
    }
    assert_eq!(
        list(&world, "").await["invoices"],
        json!([]),
        "nothing of all that was recorded"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_of_each_invoice_and_all_are_found() {
    let world = World::start().await;
    let items = json!([
        { "xml": ubl("10") }, { "invoice": form("11") }, { "xml": "<x/>" },
        { "xml": ubl("12").replace("44.63", "44.64") }, { "invoice": form("13"), "recipient": "nobody" },
        { "xml": ubl("14"), "invoice": {} }, { "invoice": form("15"), "series": "S" },
    ]);
    let batch = json!({ "recipient": "acme", "items": items });
    let sent = world
        .post(&format!("{NETWORK}/invoices:batch"), &batch)
        .send()
        .await
        .unwrap();
    let (status, made) = answer(sent).await;
    assert_eq!(
        (status, &made["accepted"], &made["rejected"]),
        (StatusCode::OK, &json!(3), &json!(4)),
        "{made}"
    );
    let codes: Vec<_> = (0..7)
        .map(|at| made["items"][at]["code"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(
        codes,
        [
            "-",
            "-",
            "not_an_invoice",
            "not_valid",
            "invalid_field",
            "invalid_field",
            "-"
        ],
        "{made}"
    );
    assert!(made["items"][3]["findings"][0]["fix"].is_string(), "{made}");
    let found = async |query: &str| {
        let page = list(&world, query).await;
        let invoices = page["invoices"].as_array().unwrap();
        invoices
            .iter()
            .map(|one| one["number"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("number=11").await, ["11"]);
    assert_eq!(found("series=S").await, ["15"]);
    assert_eq!(found("party=DE123456789").await.len(), 3);
    assert_eq!(found("party=acme&state=settlement:Open,approval:None").await.len(), 3);
    assert_eq!(found("state=settlement:Paid").await.len(), 0);
    assert_eq!(found("minAmount=44.63&maxAmount=44.63&currency=EUR").await.len(), 3);
    assert_eq!(found("minAmount=44.64").await.len(), 0);
    assert_eq!(found("from=2026-11-24&to=2026-11-24").await.len(), 3);
    assert_eq!(found("from=2026-11-25").await.len(), 0);
    let mut paged = Vec::new();
    let mut query = "limit=1".to_owned();
    loop {
        let page = list(&world, &query).await;
        paged.push(page["invoices"][0]["number"].as_str().unwrap().to_owned());
        match page["next"].as_str() {
            Some(next) => query = format!("limit=1&after={next}"),
            None => break,
        }
    }
    assert_eq!(
        paged,
        ["15", "11", "10"],
        "all of one day, the last that was recorded first"
    );
    for query in [
        "state=Open",
        "state=mood:Good",
        "from=24.11.2026",
        "to=2026-02-31",
        "from=20261124",
        "minAmount=x",
        "limit=0",
        "after=x",
        "colour=1",
    ] {
        assert_eq!(
            get(&world, &format!("?{query}")).await.0,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_form_as_a_text_is_kept_byte_for_byte() {
    let world = World::start().await;
    let text = format!("\n{}\n\n", serde_json::to_string_pretty(&form("50")).unwrap());
    let items = json!([{ "json": text }, { "json": "{" }, { "json": text, "xml": "<x/>" }, { "json": form("51") }]);
    let batch = json!({ "recipient": "acme", "items": items });
    let path = format!("{NETWORK}/invoices:batch");
    let (status, made) = answer(world.post(&path, &batch).send().await.unwrap()).await;
    assert_eq!((status, &made["accepted"]), (StatusCode::OK, &json!(1)), "{made}");
    let codes = [1, 2, 3].map(|at| made["items"][at]["code"].as_str().unwrap());
    assert_eq!(codes, ["not_the_json_form", "invalid_field", "invalid_field"], "{made}");
    let id = made["items"][0]["id"].as_str().unwrap();
    let (_, kept) = get(&world, &format!("/{id}/document")).await;
    assert_eq!(String::from_utf8(kept).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_there_are_not_and_characters_that_xml_lacks_are_named() {
    let world = World::start().await;
    let mut draft = form("60");
    draft["delivery"] = json!({ "date": "2026-02-29" });
    let mut control = form("61");
    control["lines"][0]["item"]["name"] = json!("Ch\u{1}air");
    let mut due = form("62");
    due["typeCode"] = json!("381");
    for (body, code, place) in [
        (draft, "not_a_date", "delivery.date (BT-72)"),
        (control, "character_not_allowed", "lines[0].item.name"),
        (due, "no_place_for_due_date", "leave dueDate out"),
    ] {
        let (status, problem) = submit(&world, "recipient=acme", "application/json", body.to_string()).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!(code)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{problem}");
    }
    let xml = ubl("63").replace("2026-12-24", "2026-02-30");
    let (status, problem) = submit(&world, "recipient=acme", "application/xml", xml).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (422, &json!("unfit_invoice")),
        "{problem}"
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("BT-9") && detail.contains("2026-02-30"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_no_gaps_and_a_refusal_takes_none() {
    let mut world = World::start().await;
    let query = "recipient=acme&number=auto&series=RE";
    let number = async |world: &World, made: &Value| {
        let id = made["id"].as_str().unwrap().to_owned();
        let (_, document) = get(world, &format!("/{id}/document")).await;
        let document: Value = serde_json::from_slice(&document).unwrap();
        document["number"].as_str().unwrap().to_owned()
    };
    let mut wrong = form("");
    wrong["lines"][0]["rate"] = json!("-1");
    let mut numbers = Vec::new();
    for body in [form(""), wrong.clone(), form(""), form("")] {
        let (status, made) = submit(&world, query, "application/json", body.to_string()).await;
        if status == StatusCode::CREATED {
            numbers.push(number(&world, &made).await);
        }
    }
    assert_eq!(numbers, ["RE-000001", "RE-000002", "RE-000003"]);
    // Another server has to count.
    world.api.take().unwrap().stop().await;
    world.start_api().await;
    let items = json!([{ "invoice": form("") }, { "invoice": wrong }, { "invoice": form("") }]);
    let batch = json!({ "recipient": "acme", "number": "auto", "series": "RE", "items": items });
    let sent = world
        .post(&format!("{NETWORK}/invoices:batch"), &batch)
        .send()
        .await
        .unwrap();
    let (status, made) = answer(sent).await;
    assert_eq!((status, &made["accepted"]), (StatusCode::OK, &json!(2)), "{made}");
    assert_eq!(number(&world, &made["items"][0]).await, "RE-000004");
    assert_eq!(number(&world, &made["items"][2]).await, "RE-000005");
    let (status, problem) = submit(&world, query, "application/json", form("7").to_string()).await;
    assert_eq!(
        (status.as_u16(), &problem["pointer"]),
        (422, &json!("/number")),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_document_is_in_the_database_in_the_clear() {
    let world = World::start().await;
    let secret = "Chaiselongue for the president";
    let mut invoice = form("20");
    invoice["lines"][0]["item"]["name"] = json!(secret);
    let (status, made) = submit(&world, "recipient=acme", "application/json", invoice.to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "in {}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_sent_twice_before_it_is_final_keeps_its_salt() {
    let world = World::start().await;
    let mut invoice = form("40");
    invoice["buyer"]["vatId"] = json!("FR12345678901");
    // The second one comes before the first is known to be on the ledger, or is refused for it.
    for _ in 0..2 {
        let request = world
            .request(
                Method::POST,
                &format!("{NETWORK}/invoices?recipient=acme&committed=true"),
            )
            .header("prefer", "wait=0")
            .header("content-type", "application/json")
            .body(invoice.to_string());
        let (status, made) = answer(request.send().await.unwrap()).await;
        assert!(
            status == StatusCode::ACCEPTED || status == StatusCode::CONFLICT,
            "{made}"
        );
    }
    world
        .until("it is on the ledger", async || {
            !list(&world, "number=40").await["invoices"]
                .as_array()
                .unwrap()
                .is_empty()
        })
        .await;
    let page = list(&world, "number=40").await;
    let id = page["invoices"][0]["id"].as_str().unwrap();
    assert_eq!(opened(&world, id, b"FR12345678901").await, buyer(&world, id).await);
}

/// The same document twice in a batch, and sent again at once in another way: what the ledger took can be opened.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_what_the_ledger_took() {
    let world = World::start().await;
    let mut invoice = form("41");
    invoice["buyer"]["vatId"] = json!("FR12345678901");
    let items =
        json!([{ "invoice": invoice }, { "invoice": invoice }, { "invoice": form("42") }, { "invoice": form("42") }]);
    let batch = json!({ "recipient": "acme", "committed": true, "items": items });
    let path = format!("{NETWORK}/invoices:batch");
    let (status, made) = answer(world.post(&path, &batch).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    for at in [0, 1] {
        if let Some(id) = made["items"][at]["id"]
            .as_str()
            .filter(|_| made["items"][at]["status"] == "accepted")
        {
            assert_eq!(
                opened(&world, id, b"FR12345678901").await,
                buyer(&world, id).await,
                "{made}"
            );
        }
    }
    assert_eq!(made["items"][0]["status"], "accepted", "{made}");
    assert_eq!(made["items"][2]["status"], "accepted", "{made}");

    let mut invoice = form("43");
    invoice["buyer"]["vatId"] = json!("FR12345678901");
    for query in ["recipient=acme&committed=true", "recipient=acme"] {
        let request = world
            .request(Method::POST, &format!("{NETWORK}/invoices?{query}"))
            .header("prefer", "wait=0")
            .header("content-type", "application/json")
            .body(invoice.to_string());
        let (status, made) = answer(request.send().await.unwrap()).await;
        assert!([202, 409].contains(&status.as_u16()), "{made}");
    }
    let all = async || {
        let page = list(&world, "number=43").await;
        let all = page["invoices"].as_array().unwrap().clone();
        let ids = all.iter().map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    world
        .until("it is on the ledger", async || !all().await.is_empty())
        .await;
    for id in all().await {
        let known = buyer(&world, &id).await;
        if known != json!("FR12345678901") {
            assert_eq!(opened(&world, &id, b"FR12345678901").await, known);
        }
    }
}

/// Others' numbers are none of an issuer's series.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_number_leaves_no_gap_in_a_series() {
    let mut world = World::start().await;
    let (_, bank) = world.bank().await;
    let mut theirs = form("RE-000001");
    theirs["seller"]["vatId"] = json!("DE987654321");
    let tenants = std::mem::replace(&mut world.key, bank);
    let (status, made) = submit(&world, "recipient=acme", "application/json", theirs.to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    world.key = tenants;
    let query = "recipient=bank&number=auto&series=RE";
    let (status, made) = submit(&world, query, "application/json", form("").to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["id"].as_str().unwrap();
    let (_, document) = get(&world, &format!("/{id}/document")).await;
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["number"], "RE-000001");
}

/// What the ledger has of the buyer.
async fn buyer(world: &World, id: &str) -> Value {
    let (_, record) = get(world, &format!("/{id}")).await;
    let record: Value = serde_json::from_slice(&record).unwrap();
    record["record"]["fields"]["buyer"].clone()
}

/// What the ledger must have of a buyer with this id, by the salt that is kept.
async fn opened(world: &World, id: &str, tax_id: &[u8]) -> Value {
    let document = world
        .get(&format!("{NETWORK}/invoices/{id}/document"))
        .send()
        .await
        .unwrap();
    let salt = hex::decode(&document.headers()["muniment-buyer-salt"]).unwrap();
    let opened = [b"muniment.dev/party/v2\n".as_slice(), &salt, tax_id].concat();
    json!(format!("SHA256:{}", sha256(&opened).to_uppercase()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_buyer_is_known_to_who_has_the_salt() {
    let world = World::start().await;
    let mut seen = Vec::new();
    for number in ["30", "31"] {
        let mut invoice = form(number);
        invoice["buyer"]["vatId"] = json!("FR12345678901");
        let query = "recipient=acme&committed=true";
        let (status, made) = submit(&world, query, "application/json", invoice.to_string()).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let id = made["id"].as_str().unwrap();
        let (_, record) = get(&world, &format!("/{id}")).await;
        let record: Value = serde_json::from_slice(&record).unwrap();
        let fields = &record["record"]["fields"];
        assert_eq!(
            fields["supplier"], "DE123456789",
            "a supplier has one name, whatever is hidden"
        );
        assert_eq!(fields["buyer"], opened(&world, id, b"FR12345678901").await);
        seen.push(fields["buyer"].clone());
    }
    assert_ne!(seen[0], seen[1], "nobody else can tell that it is the same buyer");
}
