//! Bad input, one by one: each is refused with a stable code or told as findings; nothing panics, nothing hangs.

use muniment_invoices::{Limits, Options, Unreadable, check, read};
use proptest::prelude::*;

use crate::make::DRAFT;

fn invoice() -> String {
    muniment_invoices::make(DRAFT.as_bytes()).unwrap().to_ubl()
}

fn refusal(bytes: &[u8]) -> Unreadable {
    check(bytes, &Options::default()).unwrap_err()
}

fn rules(text: &str) -> Vec<String> {
    let report = check(text.as_bytes(), &Options::default()).unwrap();
    report.findings.iter().map(|finding| finding.rule.to_string()).collect()
}

#[test]
fn what_is_no_xml_is_refused() {
    for bytes in [
        &b""[..],
        b"   ",
        b"hello",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a/>text",
        b"{\"number\": 1}",
        b"<a b='1' b='2'",
        b"%PDF-1.7",
    ] {
        assert_eq!(
            refusal(bytes).code(),
            "XML_MALFORMED",
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(refusal(b"<x:a/>").code(), "XML_MALFORMED");
}

#[test]
fn another_root_is_named() {
    let error = refusal(b"<Order xmlns='urn:oasis:names:specification:ubl:schema:xsd:Order-2'/>");
    assert_eq!(error.code(), "NOT_AN_INVOICE");
    assert!(error.to_string().contains("Order"));
    // The right name in no namespace is not an invoice either.
    assert_eq!(refusal(b"<Invoice/>").code(), "NOT_AN_INVOICE");
}

#[test]
fn document_types_and_entities_are_refused() {
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]><lolz>&lol2;</lolz>";
    assert_eq!(refusal(laughs.as_bytes()).code(), "XML_DOCTYPE");
    assert_eq!(
        refusal(b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>").code(),
        "XML_DOCTYPE"
    );
    let entity = invoice().replace("Chair", "Chair &xxe;");
    let error = refusal(entity.as_bytes());
    assert_eq!(error.code(), "XML_ENTITY");
    assert!(error.to_string().contains("&xxe;"));
}

#[test]
fn bounds_are_kept() {
    let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
    assert_eq!(refusal(deep.as_bytes()).code(), "XML_TOO_LARGE");
    let attributes: String = (0..1000).map(|number| format!(" a{number}='1'")).collect();
    assert_eq!(refusal(format!("<a{attributes}/>").as_bytes()).code(), "XML_TOO_LARGE");
    // Few on each element and many in all: each name would be looked up among them.
    let declared = |depth: usize| {
        let open = |level: usize| {
            (0..8)
                .map(|number| format!(" xmlns:n{level}_{number}='urn:x'"))
                .collect::<String>()
        };
        let tags: String = (0..depth).map(|level| format!("<a{}>", open(level))).collect();
        format!("{tags}{}", "</a>".repeat(depth))
    };
    assert_eq!(refusal(declared(8).as_bytes()).code(), "NOT_AN_INVOICE");
    let error = refusal(declared(9).as_bytes());
    assert_eq!(error.code(), "XML_TOO_LARGE");
    assert!(error.to_string().contains("64 namespace declarations"), "{error}");
    let limits = Limits {
        bytes: 100,
        ..Limits::DEFAULT
    };
    assert_eq!(
        read(invoice().as_bytes(), &limits).err().unwrap().code(),
        "XML_TOO_LARGE"
    );
    let limits = Limits {
        elements: 10,
        ..Limits::DEFAULT
    };
    assert_eq!(
        read(invoice().as_bytes(), &limits).err().unwrap().code(),
        "XML_TOO_LARGE"
    );
}

#[test]
fn two_hundred_megabytes_are_refused_unread() {
    let mut bytes = invoice().into_bytes();
    bytes.resize(200 << 20, b' ');
    let error = refusal(&bytes);
    assert_eq!(error.code(), "XML_TOO_LARGE");
    assert!(error.to_string().contains("134217728 bytes"), "{error}");
}

/// Lines of the invoice: what is wrong with each of them is more than a report may hold.
#[test]
fn a_million_invoice_lines_are_refused_or_reported() {
    let lines = "<cac:InvoiceLine/>".repeat(1_000_000);
    let text = invoice().replacen("<cac:InvoiceLine>", &format!("{lines}<cac:InvoiceLine>"), 1);
    let error = refusal(text.as_bytes());
    assert_eq!(error.code(), "XML_TOO_LARGE");
    assert!(error.to_string().contains("findings"), "{error}");
}

/// Lines of the file: what is wrong is found behind all of them.
#[test]
fn a_million_lines_of_text_are_counted() {
    let text = invoice()
        .replacen(
            "<cac:InvoiceLine>",
            &format!("{}<cac:InvoiceLine>", "\n".repeat(1_000_000)),
            1,
        )
        .replace(">75.38<", ">75.39<")
        .replacen("<cbc:Name>Chair</cbc:Name>", "", 1);
    let report = check(text.as_bytes(), &Options::default()).unwrap();
    let line = |rule: &str| {
        let mut findings = report.findings.iter();
        findings
            .find(|finding| finding.rule == rule)
            .map(|finding| finding.line)
    };
    assert!(line("BR-CO-15").unwrap() < 1_000, "{:?}", line("BR-CO-15"));
    assert!(line("BR-25").unwrap() > 1_000_000, "{:?}", line("BR-25"));
}

#[test]
fn a_report_does_not_grow_without_end() {
    let limits = Limits {
        findings: 1_000,
        ..Limits::DEFAULT
    };
    let options = Options {
        limits,
        profile: muniment_invoices::Profile::Peppol,
        ..Options::default()
    };
    let with = |number: usize| invoice().replace("<cbc:ID>", &format!("{}<cbc:ID>", "<cbc:Note/>".repeat(number)));
    let error = check(with(1_000).as_bytes(), &options).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().contains("1000 findings")),
        ("XML_TOO_LARGE", true)
    );
    assert!(check(with(10).as_bytes(), &options).is_ok());
}

#[test]
fn encodings_are_read_or_named() {
    let text = invoice().replace("Chair", "Stühlchen");
    let of = |bytes: &[u8]| check(bytes, &Options::default()).unwrap().valid;
    assert!(of(text.as_bytes()));
    assert!(of(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()));
    let utf16: Vec<u16> = text.replace("UTF-8", "UTF-16").encode_utf16().collect();
    let little: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(utf16.iter().flat_map(|unit| unit.to_le_bytes()))
        .collect();
    let big: Vec<u8> = [0xFE, 0xFF]
        .into_iter()
        .chain(utf16.iter().flat_map(|unit| unit.to_be_bytes()))
        .collect();
    assert!(of(&little) && of(&big));
    let latin: Vec<u8> = text
        .replace("UTF-8", "ISO-8859-1")
        .chars()
        .map(|letter| letter as u8)
        .collect();
    assert!(of(&latin));
    assert_eq!(refusal(&little[..little.len() - 1]).code(), "XML_ENCODING");
    assert_eq!(
        refusal(text.replace("UTF-8", "windows-1252").as_bytes()).code(),
        "XML_ENCODING"
    );
    let broken: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
    assert_eq!(refusal(&broken).code(), "XML_ENCODING");
}

#[test]
fn characters_that_xml_cannot_hold_are_neither_read_nor_written() {
    for written in ["Chair\u{1}", "Chair&#1;", "Chair\u{FFFF}", "Chair&#xFFFE;"] {
        let error = refusal(invoice().replace("Chair", written).as_bytes());
        assert_eq!(error.code(), "XML_MALFORMED", "{written:?}");
        assert!(error.to_string().contains("control character"), "{error}");
    }
    assert_eq!(
        refusal(invoice().replace("\"EUR\"", "\"&#2;\"").as_bytes()).code(),
        "XML_MALFORMED"
    );
    for (from, to, field) in [
        ("Chair", "Ch\\u0001air", "lines[0].item.name"),
        ("C62", "C\\u0002", "lines[0].unit"),
    ] {
        let refused = muniment_invoices::make(DRAFT.replace(from, to).as_bytes()).unwrap_err();
        assert_eq!(refused.code(), "character_not_allowed");
        assert!(refused.to_string().contains(field), "{refused}");
    }
    let mut invoice = muniment_invoices::make(DRAFT.as_bytes()).unwrap();
    invoice.type_code = "3\u{1}80".to_owned();
    for text in [invoice.to_ubl(), invoice.to_cii()] {
        assert!(text.contains("3\u{FFFD}80"));
        assert!(read(text.as_bytes(), &Limits::DEFAULT).is_ok());
    }
}

/// Found by fuzzing: a document without a root was written.
#[test]
fn an_invoice_with_nothing_in_it_is_written_as_xml() {
    let nothing = muniment_invoices::Invoice::default();
    for text in [nothing.to_ubl(), nothing.to_cii()] {
        assert!(!check(text.as_bytes(), &Options::default()).unwrap().valid);
    }
}

#[test]
fn texts_in_pieces_are_one_text() {
    let text = invoice();
    let number = ">2026-1<";
    for written in [
        "><![CDATA[2026-1]]><",
        ">2026<!-- no -->-1<",
        ">&#x32;026-1<",
        ">2026-<![CDATA[1]]><",
    ] {
        let document = text.replace(number, written);
        let document = read(document.as_bytes(), &Limits::DEFAULT).unwrap();
        let (invoice, _) = muniment_invoices::model(&document, muniment_invoices::Syntax::UblInvoice);
        assert_eq!(invoice.number, "2026-1", "{written}");
    }
}

#[test]
fn bad_values_become_findings() {
    let text = invoice();
    let valid = rules(&text);
    assert!(valid.is_empty(), "{valid:?}");
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        rules(&text.replace(from, to))
    };
    assert!(with("unitCode=\"C62\"", "unitCode=\"XYZZY\"").contains(&"BR-CL-23".to_owned()));
    assert!(with("currencyID=\"EUR\"", "currencyID=\"EURO\"").contains(&"BR-CL-03".to_owned()));
    assert!(with(">12.50<", ">-12.50<").contains(&"BR-27".to_owned()));
    assert!(with(">75.38<", ">lots<").contains(&"BR-CO-15".to_owned()));
    assert!(with(">75.38<", "><").contains(&"BR-CO-15".to_owned()));
    let digits = "1".repeat(40);
    assert!(with(">75.38<", &format!(">{digits}<")).contains(&"BR-CO-15".to_owned()));
    assert!(with(">71.80<", &format!(">{digits}.5<")).contains(&"BR-CO-10".to_owned()));
    assert!(with(">75.38<", ">1e2<").contains(&"BR-CO-15".to_owned()));
    // Twice what may stand once: the official rules stop with an error, ours report.
    assert!(
        with(
            "<cbc:TaxInclusiveAmount",
            "<cbc:TaxInclusiveAmount currencyID=\"EUR\">1</cbc:TaxInclusiveAmount><cbc:TaxInclusiveAmount"
        )
        .contains(&"BR-CO-15".to_owned())
    );
}

#[test]
fn amounts_that_are_no_numbers_are_not_exact() {
    let text = invoice().replace(">75.38<", ">lots<");
    let exact = check(text.as_bytes(), &Options::default()).unwrap().exact.unwrap();
    assert!(
        exact
            .differences
            .iter()
            .any(|difference| difference.rule.contains("lots") && difference.term.is_empty()),
        "{exact:?}"
    );
}

/// The official rules of EN 16931 let a line in dollars pass in an invoice in euros; the sum of both is nothing.
#[test]
fn mixed_currencies_are_told() {
    let made = muniment_invoices::make(DRAFT.as_bytes()).unwrap();
    let text = made.to_ubl().replacen(
        "<cbc:LineExtensionAmount currencyID=\"EUR\">37.50",
        "<cbc:LineExtensionAmount currencyID=\"USD\">37.50",
        1,
    );
    assert!(text.contains("USD"));
    let report = check(text.as_bytes(), &Options::default()).unwrap();
    let rules: Vec<String> = report
        .exact
        .unwrap()
        .differences
        .into_iter()
        .map(|one| one.rule)
        .collect();
    let told = "\"37.50 USD\" is not in the currency of the invoice";
    assert!(report.valid && rules.iter().any(|rule| rule == told), "{rules:?}");
    let options = Options {
        profile: muniment_invoices::Profile::Peppol,
        ..Options::default()
    };
    let findings = check(text.as_bytes(), &options).unwrap().findings;
    assert!(
        findings.iter().any(|finding| finding.rule == "PEPPOL-EN16931-R051"),
        "{findings:?}"
    );
}

#[test]
fn negative_lines_and_zero_quantities_are_no_mistake() {
    let draft = DRAFT.replace("\"3\"", "\"-3\"").replace("\"1000\"", "\"0\"");
    let invoice = muniment_invoices::make(draft.as_bytes()).unwrap();
    assert_eq!(rules(&invoice.to_ubl()), Vec::<String>::new());
}

/// Values at which arithmetic breaks if it is not careful.
const EDGES: [&str; 10] = [
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
    "7922816251426433759354395033.5",
    "0.0000000000000000000000000001",
    "100",
    "-1",
    "0",
    "1e400",
    "INF",
    "",
];

/// A document with other numbers: `choose` gives each number of it what stands there then.
fn with_numbers(text: &str, mut choose: impl FnMut(usize) -> Option<&'static str>) -> String {
    let pieces = text.split_inclusive('>').enumerate();
    let piece = |(place, piece): (usize, &str)| match piece.split_once('<') {
        Some((number, tag)) if number.parse::<rust_decimal::Decimal>().is_ok() => {
            format!("{}<{tag}", choose(place).unwrap_or(number))
        }
        _ => piece.to_owned(),
    };
    pieces.map(piece).collect()
}

fn judge_by_all(text: &str) {
    for profile in [
        muniment_invoices::Profile::XRechnung,
        muniment_invoices::Profile::Peppol,
    ] {
        let options = Options {
            profile,
            ..Options::default()
        };
        let _ = check(text.as_bytes(), &options).unwrap();
    }
}

/// The largest amounts that are numbers here: VAT of 100 % of them is equal to them, and there is no next unit.
#[test]
fn the_largest_amounts_do_not_overflow() {
    let made = muniment_invoices::make(DRAFT.as_bytes()).unwrap();
    for text in [made.to_ubl(), made.to_cii()] {
        for currency in ["EUR", "HUF"] {
            let text = text.replace("EUR", currency);
            for edge in &EDGES[..3] {
                let amounts = with_numbers(&text, |_| Some(edge));
                judge_by_all(&amounts);
                // The rates stay.
                judge_by_all(&amounts.replace(&format!("Percent>{edge}<"), "Percent>100<"));
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_panics_on_edges(choices in proptest::collection::vec(0_usize..12, 300)) {
        let made = muniment_invoices::make(DRAFT.as_bytes()).unwrap();
        for text in [made.to_ubl(), made.to_cii()] {
            judge_by_all(&with_numbers(&text, |place| EDGES.get(choices[place % 300]).copied()));
        }
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes, &Options::default());
        let _ = muniment_invoices::make(&bytes);
    }

    #[test]
    fn nothing_panics_on_a_changed_invoice(at in 0_usize..4000, to in any::<u8>(), cut in 0_usize..4000) {
        let mut bytes = invoice().into_bytes();
        let length = bytes.len();
        bytes[at % length] = to;
        let _ = check(&bytes, &Options::default());
        let _ = check(&bytes[..cut % length], &Options::default());
    }
}
