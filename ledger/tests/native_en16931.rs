//! The native check `en16931` against the exact verdict of the crate `invoices`: what is exact passes, and what is off by
//! one in a single amount passes neither.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use muniment_invoices::exact;
use muniment_invoices::model::{Invoice, Line, Price, Totals, Vat};
use muniment_ledger::template::native;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Category and rate in parts per million.
const RATES: [(&str, i64); 6] = [
    ("S", 190_000),
    ("S", 70_000),
    ("S", 55_000),
    ("S", 88_750),
    ("E", 0),
    ("AE", 0),
];
const AMOUNTS: [&str; 9] = [
    "lines",
    "allowances",
    "charges",
    "net",
    "vat",
    "gross",
    "prepaid",
    "rounding",
    "due",
];

fn cents(value: &Value) -> Option<Decimal> {
    Some(Decimal::new(value.as_i64()?, 2))
}

/// The input of the action, from bases by category.
fn input(bases: &[(usize, i64)], prepaid: i64, rounding: i64) -> Value {
    let entry = |(index, base): &(usize, i64)| {
        let (category, rate) = RATES[*index];
        let vat = (base * rate + 500_000) / 1_000_000;
        json!({ "category": category, "rate": rate, "base": base, "vat": vat })
    };
    let vat: Vec<Value> = bases.iter().map(entry).collect();
    let net: i64 = bases.iter().map(|(_, base)| base).sum();
    let tax: i64 = vat.iter().map(|entry| entry["vat"].as_i64().unwrap()).sum();
    json!({
        "totals": {
            "lines": net, "allowances": 0, "charges": 0, "net": net, "vat": tax, "gross": net + tax, "prepaid": prepaid,
            "rounding": rounding, "due": net + tax - prepaid + rounding
        },
        "vat": vat,
    })
}

/// The same as a document, with one line for each category.
fn document(bases: &[(usize, i64)], input: &Value) -> Invoice {
    let rate = |ppm: i64| Some(Decimal::new(ppm, 4));
    let lines = bases.iter().enumerate().map(|(number, (index, base))| Line {
        id: number.to_string(),
        quantity: Some(Decimal::ONE),
        net: Some(Decimal::new(*base, 2)),
        price: Price {
            net: Some(Decimal::new(*base, 2)),
            ..Price::default()
        },
        category: RATES[*index].0.to_owned(),
        rate: rate(RATES[*index].1),
        ..Line::default()
    });
    let vat = input["vat"].as_array().unwrap().iter().map(|entry| Vat {
        base: cents(&entry["base"]),
        vat: cents(&entry["vat"]),
        category: entry["category"].as_str().unwrap().to_owned(),
        rate: rate(entry["rate"].as_i64().unwrap()),
        ..Vat::default()
    });
    let total = |name: &str| cents(&input["totals"][name]);
    let totals = Totals {
        lines: total("lines"),
        allowances: total("allowances"),
        charges: total("charges"),
        net: total("net"),
        vat: total("vat"),
        gross: total("gross"),
        paid: total("prepaid"),
        rounding: total("rounding"),
        due: total("due"),
        ..Totals::default()
    };
    Invoice {
        lines: lines.collect(),
        vat: vat.collect(),
        totals,
        ..Invoice::default()
    }
}

fn change(input: &mut Value, place: usize, by: i64) {
    let entries = input["vat"].as_array().unwrap().len();
    let amount = match place.checked_sub(AMOUNTS.len()) {
        None => &mut input["totals"][AMOUNTS[place]],
        Some(beyond) => &mut input["vat"][beyond % entries][["base", "vat"][beyond / entries % 2]],
    };
    *amount = json!(amount.as_i64().unwrap() + by);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_exact_verdict(
        bases in prop::collection::btree_map(0usize..6, 0i64..10_000_000, 1..5),
        (prepaid, rounding) in (0i64..500, -99i64..99),
        changes in prop::collection::vec((0usize..AMOUNTS.len() + 8, prop_oneof![Just(-1i64), Just(1)]), 0..3),
    ) {
        let bases: Vec<_> = bases.into_iter().collect();
        let mut input = input(&bases, prepaid, rounding);
        for (place, by) in &changes {
            change(&mut input, *place, *by);
        }
        let check = native::find("en16931").unwrap().check;
        let (found, verdict) = (check(&input), exact(&document(&bases, &input), &[], false));
        prop_assert!(verdict.valid || !changes.is_empty(), "{:?}", verdict);
        if changes.len() <= 1 {
            prop_assert_eq!(found.is_ok(), verdict.valid, "{:?} {:?}", found, verdict);
        }
        // Two changes may hide each other from whoever doesn't see the lines, never the other way round.
        prop_assert!(found.is_ok() || !verdict.valid, "{:?}", found);
        if let Err(finding) = found {
            prop_assert!(finding.code.starts_with("EN16931_"));
            prop_assert!(input.pointer(&finding.pointer).is_some(), "{}", finding.pointer);
        }
    }
}

/// The check knows what the code list has, and nothing else.
#[test]
fn every_category_of_the_standard_is_taken() {
    let check = native::find("en16931").unwrap().check;
    let of = |category: &str| {
        let (rate, vat) = if category == "S" { (190_000, 19) } else { (0, 0) };
        json!({
            "totals": { "lines": 100, "allowances": 0, "charges": 0, "net": 100, "vat": vat, "gross": 100 + vat,
                "prepaid": 0, "rounding": 0, "due": 100 + vat },
            "vat": [{ "category": category, "rate": rate, "base": 100, "vat": vat }],
        })
    };
    for category in muniment_invoices::vat_categories() {
        assert_eq!(check(&of(category)), Ok(()), "{category}");
    }
    for unknown in ["A", "s", "", "AA", "N"] {
        assert_eq!(check(&of(unknown)).unwrap_err().code, "EN16931_CATEGORY", "{unknown}");
    }
}

/// A day has one spelling, here and where documents are judged.
#[test]
fn days_are_those_of_the_documents() {
    let check = native::find("en16931").unwrap().check;
    for (text, is_day) in [
        ("2026-11-24", true),
        ("2024-02-29", true),
        ("2026-02-29", false),
        ("-026-01-01", false),
        ("+026-01-01", false),
        (" 026-01-01", false),
        ("2026-01- 1", false),
        ("20260101", false),
        ("2026-01-01Z", false),
        ("２0-01-01", false),
        ("", false),
    ] {
        let mut dated = input(&[(0, 100)], 0, 0);
        dated["issueDate"] = json!(text);
        let code = check(&dated).map_err(|finding| finding.code);
        assert_eq!(code, if is_day { Ok(()) } else { Err("EN16931_DATE") }, "{text:?}");
        assert_eq!(muniment_invoices::is_date(text), is_day, "{text:?}");
    }
}
