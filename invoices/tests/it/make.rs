//! The JSON form: what is computed, what is refused, and that the schema says the same as the code.

use muniment_invoices::{
    MakeError, Options, Profile, Severity, check, fits_ubl, html, json_schema, make, pdf, to_json,
};

/// A draft with two rates, an allowance of the document and a line with a price for many.
pub const DRAFT: &str = r#"{
  "number": "2026-1",
  "issueDate": "2026-11-24",
  "typeCode": "380",
  "currency": "EUR",
  "dueDate": "2026-12-24",
  "specification": "urn:cen.eu:en16931:2017",
  "seller": {
    "name": "Seller <& Co",
    "vatId": "DE123456789",
    "address": { "city": "Berlin", "postCode": "10115", "country": "DE" }
  },
  "buyer": { "name": "Buyer", "address": { "city": "Paris", "postCode": "75001", "country": "FR" } },
  "allowances": [
    { "base": "100.00", "percent": "5", "category": "S", "rate": "19", "reason": "Loyalty" }
  ],
  "totals": { "paid": "10.00" },
  "lines": [
    { "quantity": "3", "unit": "C62", "price": { "net": "12.50" }, "category": "S", "rate": "19", "item": { "name": "Chair" } },
    { "quantity": "1000", "unit": "C62", "price": { "net": "3.33", "base": "100" }, "category": "S", "rate": "7",
      "charges": [{ "amount": "1.00", "reason": "Cutting" }], "item": { "name": "Screw" } }
  ]
}"#;

#[test]
fn amounts_are_computed() {
    let invoice = make(DRAFT.as_bytes()).unwrap();
    let text = |value: Option<rust_decimal::Decimal>| value.unwrap().to_string();
    assert_eq!(invoice.lines[0].id, "1");
    assert_eq!(text(invoice.lines[0].net), "37.50");
    assert_eq!(text(invoice.lines[1].net), "34.30");
    assert_eq!(text(invoice.totals.lines), "71.80");
    assert_eq!(text(invoice.totals.allowances), "5.00");
    assert_eq!(text(invoice.totals.net), "66.80");
    let vat: Vec<String> = invoice
        .vat
        .iter()
        .map(|vat| format!("{} {} {}", text(vat.rate), text(vat.base), text(vat.vat)))
        .collect();
    assert_eq!(vat, ["7 34.30 2.40", "19 32.50 6.18"]);
    assert_eq!(text(invoice.totals.vat), "8.58");
    assert_eq!(text(invoice.totals.gross), "75.38");
    assert_eq!(text(invoice.totals.due), "65.38");
}

#[test]
fn what_was_made_is_valid_in_both_syntaxes() {
    let invoice = make(DRAFT.as_bytes()).unwrap();
    for text in [invoice.to_ubl(), invoice.to_cii()] {
        for profile in [Profile::En16931, Profile::Peppol] {
            let report = check(
                text.as_bytes(),
                &Options {
                    profile,
                    ..Options::default()
                },
            )
            .unwrap();
            let of_standard = report
                .findings
                .iter()
                .filter(|finding| finding.severity == Severity::Fatal);
            let rules: Vec<_> = of_standard
                .map(|finding| finding.rule.clone())
                .filter(|rule| !rule.starts_with("PEPPOL"))
                .collect();
            assert!(rules.is_empty(), "{rules:?}\n{text}");
        }
    }
}

#[test]
fn an_amount_that_does_not_fit_is_refused_with_the_right_one() {
    let wrong = DRAFT.replace(r#""paid": "10.00""#, r#""paid": "10.00", "gross": "75.39""#);
    let error = make(wrong.as_bytes()).unwrap_err();
    assert!(matches!(&error, MakeError::Differs { .. }));
    assert!(
        error.to_string().contains("75.39") && error.to_string().contains("75.38"),
        "{error}"
    );
}

#[test]
fn a_breakdown_that_is_given_is_the_one_of_the_lines() {
    let given = |vat: &str| {
        make(
            DRAFT
                .replace("\"totals\"", &format!("\"vat\": [{vat}], \"totals\""))
                .as_bytes(),
        )
    };
    let reason = given(
        r#"{ "category": "S", "rate": "19.0", "base": "32.5", "vat": "6.18" }, { "category": "S", "rate": "7" }"#,
    );
    assert_eq!(reason.unwrap().vat.len(), 2);
    for (vat, told) in [
        (
            r#"{ "category": "S", "rate": "19", "base": "100.00" }"#,
            "VAT category S at 19 %: the taxable amount (BT-116) is 100.00, but must be 32.50; ",
        ),
        (
            r#"{ "category": "S", "rate": "19", "vat": "19.99" }"#,
            "VAT category S at 19 %: the VAT (BT-117) is 19.99, but must be 6.18; ",
        ),
        (
            r#"{ "category": "E", "base": "5" }"#,
            "category E at 0 % with the taxable amount 5, but no line",
        ),
    ] {
        let error = given(vat).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.code(), "amount_differs");
    }
}

#[test]
fn a_price_fits_its_parts_and_is_for_some_pieces() {
    let priced = |price: &str| make(DRAFT.replace(r#"{ "net": "12.50" }"#, price).as_bytes());
    let net = |price: &str| priced(price).unwrap().lines[0].price.net.unwrap().to_string();
    assert_eq!(net(r#"{ "gross": "15", "discount": "2.5" }"#), "12.5");
    assert_eq!(net(r#"{ "gross": "15", "discount": "2.5", "net": "12.50" }"#), "12.5");
    assert_eq!(net(r#"{ "gross": "12.50" }"#), "12.50");
    let error = priced(r#"{ "gross": "15", "discount": "1", "net": "12.50" }"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("12.50") && error.contains("must be 14"), "{error}");
    for base in ["0", "0.00", "-1"] {
        let error = priced(&format!(r#"{{ "net": "12.50", "base": "{base}" }}"#)).unwrap_err();
        assert!(
            error.to_string().contains("BT-149") && error.code() == "number_missing",
            "{error}"
        );
    }
}

#[test]
fn missing_and_unknown_members_are_named() {
    let error = make(DRAFT.replace(r#""quantity": "3", "#, "").as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: the quantity is missing; the amounts cannot be computed without it"
    );
    let error = make(DRAFT.replace("issueDate", "issuedate").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("unknown field `issuedate`"), "{error}");
    let error = make(DRAFT.replace("\"3.33\"", "3.33").as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("lines[1].price.net: ") && error.contains("expected a number as text, such as \"12.50\""),
        "{error}"
    );
    assert!(make(b"{").is_err());
    assert!(make(format!("{DRAFT} {{}}").as_bytes()).is_err());
    let huge = DRAFT
        .replace("12.50", "9999999999999999999999999999")
        .replace("\"3\"", "\"9999999999\"");
    assert!(matches!(make(huge.as_bytes()), Err(MakeError::TooLarge(_))));
}

/// Every date of the form, with a day that the calendar lacks and with a form that isn't the one.
#[test]
fn dates_are_days_of_the_calendar() {
    let dated = |pointer: &str, value: &str| {
        let mut draft: serde_json::Value = serde_json::from_str(DRAFT).unwrap();
        let names: Vec<&str> = pointer.split('/').skip(1).collect();
        let mut place = &mut draft;
        for name in names {
            place = match name.parse::<usize>() {
                Ok(_) if !place.is_array() => {
                    *place = serde_json::json!([{ "number": "1" }]);
                    &mut place[0]
                }
                Ok(at) => &mut place[at],
                Err(_) => &mut place[name],
            };
        }
        *place = value.into();
        make(draft.to_string().as_bytes())
    };
    for (pointer, field, term) in [
        ("/issueDate", "issueDate", "BT-2"),
        ("/taxPointDate", "taxPointDate", "BT-7"),
        ("/dueDate", "dueDate", "BT-9"),
        ("/preceding/0/date", "preceding[0].date", "BT-26"),
        ("/delivery/date", "delivery.date", "BT-72"),
        ("/period/start", "period.start", "BT-73"),
        ("/period/end", "period.end", "BT-74"),
        ("/lines/1/period/start", "lines[1].period.start", "BT-134"),
        ("/lines/1/period/end", "lines[1].period.end", "BT-135"),
    ] {
        for wrong in [
            "2026-02-31",
            "2025-02-29",
            "20261124",
            "2026-1-2",
            "24.11.2026",
            "2026-11-24Z",
            "2026-13-01",
            "-026-01-01",
            "+026-01-01",
            " 026-01-01",
            "2026-01- 1",
            "2026-01-+1",
            "２0-01-01",
            "2026/01/01",
        ] {
            let error = dated(pointer, wrong).unwrap_err();
            let told = format!("{field} ({term}) is {wrong:?}, which is no day of the calendar");
            assert_eq!(error.to_string(), told);
            assert_eq!((error.code(), error.fix().contains("YYYY-MM-DD")), ("not_a_date", true));
        }
        for fine in ["2024-02-29", "2026-11-24", "1900-01-01"] {
            assert!(dated(pointer, fine).is_ok(), "{pointer} {fine}");
        }
    }
}

#[test]
fn a_character_that_xml_lacks_is_named_with_its_place() {
    for (text, point) in [
        (r"Ch\u0001air", "U+0001"),
        (r"Ch\bair", "U+0008"),
        (r"Ch\fair", "U+000C"),
        (r"Ch\uFFFEair", "U+FFFE"),
        ("Ch\u{FFFF}air", "U+FFFF"),
    ] {
        let error = make(DRAFT.replace("Chair", text).as_bytes()).unwrap_err();
        let told = format!("lines[0].item.name has the character {point}, which no XML can hold");
        assert_eq!((error.to_string(), error.code()), (told, "character_not_allowed"));
    }
    for text in [
        r"Ch\tair",
        r"Ch\nair",
        r"Ch\u00e4ir",
        r"Ch\\uair",
        "Ch\u{FFFD}air",
        "漢字",
    ] {
        assert!(make(DRAFT.replace("Chair", text).as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn a_credit_note_is_due_on_a_date_only_where_ubl_has_a_place_for_it() {
    let note = |draft: &str| fits_ubl(&make(draft.replace("\"380\"", "\"381\"").as_bytes()).unwrap());
    assert_eq!(note(DRAFT).unwrap_err().code(), "no_place_for_due_date");
    let paid = DRAFT.replace("\"totals\"", "\"payment\": { \"code\": \"58\" }, \"totals\"");
    assert!(note(&paid).is_ok());
    assert!(note(&DRAFT.replace("\"dueDate\": \"2026-12-24\",", "")).is_ok());
    assert!(
        fits_ubl(&make(DRAFT.as_bytes()).unwrap()).is_ok(),
        "an invoice has a place of its own"
    );
}

#[test]
fn the_schema_has_decimals_as_texts_and_fits_the_form() {
    let schema = json_schema();
    let text = schema.to_string();
    assert!(
        !text.contains("\"number\",\"string\"") && !text.contains("\"string\",\"number\""),
        "{text}"
    );
    let invoice: serde_json::Value = serde_json::from_str(&to_json(&make(DRAFT.as_bytes()).unwrap()).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&invoice).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let number = DRAFT.replace("\"12.50\"", "12.50");
    assert!(!validator.is_valid(&serde_json::from_str(&number).unwrap()));
}

/// Written anew with `cargo run -p muniment-invoices --example invoice_schema > invoices/data/invoice.schema.json`.
#[test]
fn the_published_schema_is_the_one_of_the_code() {
    let published: serde_json::Value = serde_json::from_str(include_str!("../../data/invoice.schema.json")).unwrap();
    assert_eq!(published, json_schema());
}

#[test]
fn the_page_shows_the_amounts_and_escapes_texts() {
    let page = html(&make(DRAFT.as_bytes()).unwrap(), Some("https://example.org/receipts/1"));
    for shown in ["Invoice 2026-1", "Seller &lt;&amp; Co", "65.38 EUR", "Screw", "<svg "] {
        assert!(page.contains(shown), "{shown} is not on the page");
    }
    assert!(!page.contains("<script") && !page.contains("http://"));
    assert!(!html(&make(DRAFT.as_bytes()).unwrap(), None).contains("<svg"));
}

#[test]
fn the_page_groups_thousands_with_a_narrow_space() {
    let draft = DRAFT
        .replace("\"12.50\"", "\"1234567.89\"")
        .replace("\"quantity\": \"3\"", "\"quantity\": \"-1000\"")
        .replace("\"base\": \"100\"", "\"base\": \"999\"");
    let page = html(&make(draft.as_bytes()).unwrap(), None);
    for shown in [
        "1\u{202F}234\u{202F}567.89",
        ">-1\u{202F}000 C62",
        ">-1\u{202F}234\u{202F}567\u{202F}890.00",
        "for 999<",
        "19 %",
    ] {
        assert!(page.contains(shown), "{shown} is not in\n{page}");
    }
}

/// What poppler's tools say is looked at by hand (docs/invoices.md); here what needs no tool.
#[test]
fn the_pdf_is_a_hybrid_and_always_the_same() {
    let invoice = make(DRAFT.as_bytes()).unwrap();
    let made = pdf(&invoice, None, Some("https://example.org/receipts/1")).unwrap();
    assert_eq!(made.plain, None);
    let text = String::from_utf8_lossy(&made.bytes);
    assert!(text.starts_with("%PDF-1.7"));
    for part in [
        "<pdfaid:part>3</pdfaid:part>",
        "<pdfaid:conformance>B</pdfaid:conformance>",
        "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>",
        "<fx:DocumentFileName>factur-x.xml</fx:DocumentFileName>",
        "/AFRelationship/Alternative",
        "(Electronic invoice with its XML)",
    ] {
        assert!(text.contains(part), "{part} is not in the PDF");
    }
    assert!(!text.contains("xxxx"), "reserved room is left over");
    assert_eq!(
        pdf(&invoice, None, Some("https://example.org/receipts/1"))
            .unwrap()
            .bytes,
        made.bytes
    );
}

#[test]
fn an_xrechnung_is_attached_under_its_own_name() {
    let draft = DRAFT.replace(
        "urn:cen.eu:en16931:2017",
        "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0",
    );
    let made = pdf(&make(draft.as_bytes()).unwrap(), None, None).unwrap();
    let text = String::from_utf8_lossy(&made.bytes);
    assert!(text.contains("<fx:ConformanceLevel>XRECHNUNG<") && text.contains("(xrechnung.xml)"));
}

#[test]
fn what_breaks_a_rule_is_shown_but_not_attached() {
    let mut invoice = make(DRAFT.as_bytes()).unwrap();
    invoice.totals.gross = Some(1.into());
    let made = pdf(&invoice, None, None).unwrap();
    assert!(made.plain.unwrap().contains("BR-CO-1"));
    assert!(!String::from_utf8_lossy(&made.bytes).contains("factur-x"));
}

#[test]
fn any_text_fits_on_a_page() {
    let mut invoice = make(DRAFT.as_bytes()).unwrap();
    invoice.number = "9".repeat(3_000);
    invoice.seller.name = "Ωμέγα Дом 漢字 \u{7}\t\u{E000} \u{202E}abc".to_owned();
    invoice.issue_date = "soon".to_owned();
    invoice.lines[0].item.description = Some("word ".repeat(20_000) + &"x".repeat(5_000));
    invoice.lines[0].item.name = "(\\)\r\n\r\n".to_owned();
    let pages = pdf(&invoice, None, Some(&"too long for a code".repeat(500))).unwrap();
    assert!(pages.bytes.len() > 10_000);
}
