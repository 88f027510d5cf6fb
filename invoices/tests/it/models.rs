//! The model survives both syntaxes and JSON, for every whole document of the vectors.

use muniment_invoices::{Invoice, Limits, Options, Syntax, check, model, read, to_json};

use crate::shared::{cases, syntax, whole};

fn read_model(text: &str) -> Invoice {
    let document = read(text.as_bytes(), &Limits::DEFAULT).unwrap();
    let (invoice, problems) = model(&document, Syntax::of(&document).unwrap());
    assert!(problems.is_empty(), "{problems:?}");
    invoice
}

/// The first members that differ.
fn difference(left: &Invoice, right: &Invoice) -> String {
    let (left, right) = (to_json(left).unwrap(), to_json(right).unwrap());
    let differs = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    format!("{differs:?}")
}

#[test]
fn the_model_survives_both_syntaxes_and_json() {
    let Some(cases) = cases() else { return };
    let (mut all, mut lost) = (0, Vec::new());
    for case in whole(&cases) {
        let document = read(&case.bytes, &Limits::DEFAULT).unwrap();
        let (invoice, _) = model(&document, syntax(&case.syntax));
        all += 1;
        for (kind, text) in [("UBL", invoice.to_ubl()), ("CII", invoice.to_cii())] {
            let again = read_model(&text);
            if again != invoice {
                lost.push(format!("{} through {kind}: {}", case.id, difference(&invoice, &again)));
            }
        }
        let json: Invoice = serde_json::from_str(&to_json(&invoice).unwrap()).unwrap();
        if json != invoice {
            lost.push(format!("{} through JSON: {}", case.id, difference(&invoice, &json)));
        }
    }
    println!(
        "{all} documents through UBL, CII and JSON, {} lost something",
        lost.len()
    );
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn bytes_of_both_syntaxes_are_parsed() {
    let invoice = muniment_invoices::make(crate::make::DRAFT.as_bytes()).unwrap();
    for text in [invoice.to_ubl(), invoice.to_cii()] {
        let (again, problems) = muniment_invoices::parse(text.as_bytes(), &Limits::DEFAULT).unwrap();
        assert!(again == invoice && problems.is_empty());
    }
    let credit = Invoice {
        type_code: "381".to_owned(),
        ..invoice
    };
    assert!(credit.to_ubl().contains("<CreditNote ") && credit.is_credit_note());
    assert!(read_model(&credit.to_ubl()) == credit);
}

#[test]
fn a_valid_document_stays_valid_in_the_other_syntax() {
    let Some(cases) = cases() else { return };
    let mut broken = Vec::new();
    let valid = |text: &[u8]| check(text, &Options::default()).unwrap();
    for case in whole(&cases).filter(|case| case.family.ends_with("examples") || case.family.ends_with("testsuite")) {
        if !valid(&case.bytes).valid {
            continue;
        }
        let document = read(&case.bytes, &Limits::DEFAULT).unwrap();
        let (invoice, _) = model(&document, syntax(&case.syntax));
        // UBL wants a total VAT beside a breakdown; CII lets it be absent, and then only CII can say it.
        let ubl = invoice.totals.vat.is_some().then(|| invoice.to_ubl());
        for text in ubl.into_iter().chain([invoice.to_cii()]) {
            let report = valid(text.as_bytes());
            let fatal = report
                .findings
                .iter()
                .filter(|finding| finding.severity == muniment_invoices::Severity::Fatal);
            let rules: Vec<String> = fatal
                .map(|finding| format!("{} {:?}", finding.rule, finding.values))
                .collect();
            if !rules.is_empty() {
                broken.push(format!("{} as {:?}: {rules:?}", case.id, report.syntax));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
