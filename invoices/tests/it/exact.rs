//! The exact verdict: what it lets pass, and that a cent too much or too little is told with the right amount.

use muniment_invoices::{Invoice, Options, check, exact, make};
use rust_decimal::Decimal;

use crate::make::DRAFT;

fn invoice() -> Invoice {
    make(DRAFT.as_bytes()).unwrap()
}

fn terms(invoice: &Invoice) -> Vec<String> {
    exact(invoice, &[], false)
        .differences
        .into_iter()
        .map(|difference| difference.term)
        .collect()
}

#[test]
fn what_was_made_is_exact() {
    assert_eq!(terms(&invoice()), Vec::<String>::new());
}

#[test]
fn a_cent_off_in_any_amount_is_told() {
    let cent = Decimal::new(1, 2);
    type Amount = fn(&mut Invoice) -> &mut Option<Decimal>;
    let changes: [(&str, Amount); 8] = [
        ("BT-131", |invoice| &mut invoice.lines[0].net),
        ("BT-106", |invoice| &mut invoice.totals.lines),
        ("BT-107", |invoice| &mut invoice.totals.allowances),
        ("BT-109", |invoice| &mut invoice.totals.net),
        ("BT-116", |invoice| &mut invoice.vat[0].base),
        ("BT-117", |invoice| &mut invoice.vat[0].vat),
        ("BT-112", |invoice| &mut invoice.totals.gross),
        ("BT-115", |invoice| &mut invoice.totals.due),
    ];
    for (term, amount) in changes {
        for sign in [Decimal::ONE, Decimal::NEGATIVE_ONE] {
            let mut invoice = invoice();
            let value = amount(&mut invoice);
            *value = Some(value.unwrap() + cent * sign);
            assert!(
                terms(&invoice).contains(&term.to_owned()),
                "{term}: {:?}",
                terms(&invoice)
            );
        }
    }
}

#[test]
fn the_official_tolerance_is_not_exact() {
    // A cent off in the VAT of a category: the artefact tolerates it, the arithmetic does not.
    let mut invoice = invoice();
    let cent = Decimal::new(1, 2);
    for amount in [
        &mut invoice.vat[0].vat,
        &mut invoice.totals.vat,
        &mut invoice.totals.gross,
        &mut invoice.totals.due,
    ] {
        *amount = Some(amount.unwrap() + cent);
    }
    let report = check(invoice.to_ubl().as_bytes(), &Options::default()).unwrap();
    assert!(report.valid, "{:?}", report.findings);
    let differences = report.exact.unwrap().differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].term, "BT-117");
    assert_eq!(differences[0].expected.unwrap() + cent, differences[0].found.unwrap());
}

#[test]
fn a_missing_total_is_told_unless_it_is_a_fragment() {
    let mut invoice = invoice();
    invoice.totals.net = None;
    assert!(terms(&invoice).contains(&"BT-109".to_owned()));
    assert!(exact(&invoice, &[], true).valid);
}

#[test]
fn half_a_cent_goes_away_from_zero() {
    for (price, quantity, net) in [
        ("0.005", "1", "0.01"),
        ("0.015", "1", "0.02"),
        ("0.005", "-1", "-0.01"),
        ("0.0049", "1", "0.00"),
    ] {
        let json = DRAFT
            .replace("\"12.50\"", &format!("{price:?}"))
            .replace("\"3\"", &format!("{quantity:?}"));
        assert_eq!(
            make(json.as_bytes()).unwrap().lines[0].net.unwrap().to_string(),
            net,
            "{price} x {quantity}"
        );
    }
}
