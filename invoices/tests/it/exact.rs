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
fn a_base_says_what_it_is_the_sum_of() {
    let mut invoice = invoice();
    invoice.vat[0].base = Some(Decimal::ONE);
    let differences = exact(&invoice, &[], false).differences;
    let base = differences
        .iter()
        .find(|difference| difference.term == "BT-116")
        .unwrap();
    assert_eq!(base.rule, "lines - allowances + charges");
}

/// An amount of which neither the parts are there nor itself.
#[test]
fn what_can_neither_be_computed_nor_read_is_told() {
    let mut invoice = invoice();
    (invoice.lines[0].quantity, invoice.lines[0].net) = (None, None);
    assert!(terms(&invoice).contains(&"BT-131".to_owned()));
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

/// What is told of one difference: where, how it is computed, and with which term.
fn told(invoice: &Invoice, fragment: bool) -> Vec<String> {
    let differences = exact(invoice, &[], fragment).differences;
    let text = |one: &muniment_invoices::Difference| format!("{} | {} | {}", one.term, one.place, one.rule);
    differences.iter().map(text).collect()
}

#[test]
fn each_difference_says_where_and_how() {
    let cent = Decimal::new(1, 2);
    let draft = DRAFT
        .replace("\"charges\": [", "\"allowances\": [{ \"amount\": \"0.50\", \"reason\": \"Less\" }], \"charges\": [")
        .replace(
            "\"totals\":",
            "\"charges\": [{ \"amount\": \"2.00\", \"category\": \"S\", \"rate\": \"19\", \"reason\": \"Post\" }], \"totals\":",
        )
        .replace("\"net\": \"12.50\"", "\"net\": \"12.50\", \"gross\": \"13.00\", \"discount\": \"0.50\"");
    let made = make(draft.as_bytes()).unwrap();
    assert_eq!(told(&made, false), Vec::<String>::new());
    assert_eq!(made.lines[1].net.unwrap().to_string(), "33.80");
    type Amount = fn(&mut Invoice) -> &mut Option<Decimal>;
    let changes: [(&str, Amount); 11] = [
        (
            "BT-131 | line 2 | quantity x price / base quantity - allowances + charges",
            |it| &mut it.lines[1].net,
        ),
        ("BT-146 | line 1 | gross price - discount", |it| {
            &mut it.lines[0].price.net
        }),
        ("amount | document | base x percentage / 100", |it| {
            &mut it.allowances[0].amount
        }),
        ("BT-106 | document | sum of BT-131", |it| &mut it.totals.lines),
        ("BT-107 | document | sum of BT-92", |it| &mut it.totals.allowances),
        ("BT-108 | document | sum of BT-99", |it| &mut it.totals.charges),
        ("BT-109 | document | BT-106 - BT-107 + BT-108", |it| &mut it.totals.net),
        ("BT-110 | document | sum of BT-117", |it| &mut it.totals.vat),
        ("BT-112 | document | BT-109 + BT-110", |it| &mut it.totals.gross),
        ("BT-115 | document | BT-112 - BT-113 + BT-114", |it| &mut it.totals.due),
        ("BT-117 | category S at 19 % | base x rate / 100", |it| {
            &mut it.vat[1].vat
        }),
    ];
    for (expected, amount) in changes {
        let mut changed = made.clone();
        let value = amount(&mut changed);
        *value = Some(value.unwrap() + cent);
        for fragment in [false, true] {
            let told = told(&changed, fragment);
            assert!(told.iter().any(|one| one == expected), "{expected}: {told:?}");
        }
        // What is missing is told of an invoice, not of a part of one.
        let mut missing = made.clone();
        *amount(&mut missing) = None;
        let same = |one: &String| one == expected;
        if !expected.starts_with("BT-146") {
            assert!(
                told(&missing, false).iter().any(same) || expected.starts_with("amount"),
                "{expected}"
            );
        }
        assert!(!told(&missing, true).iter().any(same), "{expected}");
    }
}

#[test]
fn a_price_for_no_pieces_is_none() {
    for base in [Decimal::ZERO, Decimal::NEGATIVE_ONE] {
        let mut made = invoice();
        made.lines[0].price.base = Some(base);
        for fragment in [false, true] {
            let told = told(&made, fragment);
            assert_eq!(told, ["BT-149 | line 1 | a base quantity is above zero"], "{base}");
        }
    }
}

#[test]
fn a_breakdown_that_is_missing_is_told_unless_it_is_a_fragment() {
    let mut made = invoice();
    made.vat.remove(0);
    let expected = "BG-23 | category S at 7 % | a VAT breakdown is missing".to_owned();
    assert!(told(&made, false).contains(&expected), "{:?}", told(&made, false));
    assert!(!told(&made, true).contains(&expected));
    // A line without any category is another rule's business.
    made.lines[1].category.clear();
    assert!(!told(&made, false).iter().any(|one| one.starts_with("BG-23")));
    let mut made = invoice();
    made.lines[0].net = None;
    let expected = "BT-116 | document | amounts of lines, allowances or charges are missing".to_owned();
    assert!(told(&made, false).contains(&expected));
    assert!(!told(&made, true).contains(&expected));
}
