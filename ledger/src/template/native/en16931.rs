//! `en16931`: the arithmetic of an invoice's totals and VAT breakdown, exact to the minor unit.
//!
//! The document itself isn't on the ledger, only its totals: what follows from those alone is checked here (the second,
//! exact verdict of the crate `invoices`; the tests hold the two against each other). What needs the lines is attested
//! by the issuer's signature over the digest of the verdict.
//!
//! | code | rule of EN 16931 |
//! |---|---|
//! | `EN16931_DATE` | issue date and due date are days of the calendar |
//! | `EN16931_NET` | BR-CO-13: net = lines - allowances + charges |
//! | `EN16931_CATEGORY` | BR-CL-18: the category is one of UNCL5305 as the standard takes it |
//! | `EN16931_RATE` | BR-S-05, BR-Z-05 and so on: standard rates are above zero, the others have none |
//! | `EN16931_TWICE` | a pair of category and rate stands in the breakdown once |
//! | `EN16931_VAT_LINE` | BR-CO-17, exact: VAT = base x rate, rounded once, half away from zero |
//! | `EN16931_VAT_BASES` | the bases are all of the net amount |
//! | `EN16931_VAT` | BR-CO-14: the VAT total is the sum of the breakdown |
//! | `EN16931_GROSS` | BR-CO-15: gross = net + VAT |
//! | `EN16931_DUE` | BR-CO-16: due = gross - prepaid + rounding |

use jiff::civil::Date;
use serde_json::Value;

use super::{Finding, Native};

/// Rates are parts per million of the base.
const PPM: i128 = 1_000_000;

pub const CHECK: Native = Native {
    name: "en16931",
    needs: &[
        "totals.lines",
        "totals.allowances",
        "totals.charges",
        "totals.net",
        "totals.vat",
        "totals.gross",
        "totals.prepaid",
        "totals.rounding",
        "totals.due",
        "vat",
    ],
    codes: &[
        "EN16931_DATE",
        "EN16931_NET",
        "EN16931_CATEGORY",
        "EN16931_RATE",
        "EN16931_TWICE",
        "EN16931_VAT_LINE",
        "EN16931_VAT_BASES",
        "EN16931_VAT",
        "EN16931_GROSS",
        "EN16931_DUE",
    ],
    check,
};

fn check(input: &Value) -> Result<(), Finding> {
    date(input, "issueDate")?;
    date(input, "dueDate")?;
    let total = |name: &str| int(&input["totals"][name]);
    let entries = input["vat"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (net, vat, gross) = (total("net"), total("vat"), total("gross"));
    let wanted = total("lines") - total("allowances") + total("charges");
    equal(
        "EN16931_NET",
        "/totals/net",
        "lines - allowances + charges",
        wanted,
        net,
    )?;
    for (index, entry) in entries.iter().enumerate() {
        line(entries, index, entry)?;
    }
    let sum = |name: &str| entries.iter().map(|entry| int(&entry[name])).sum::<i128>();
    equal(
        "EN16931_VAT_BASES",
        "/vat",
        "net, as the sum of the bases",
        net,
        sum("base"),
    )?;
    equal(
        "EN16931_VAT",
        "/totals/vat",
        "the sum of the breakdown",
        sum("vat"),
        vat,
    )?;
    equal("EN16931_GROSS", "/totals/gross", "net + vat", net + vat, gross)?;
    let due = gross - total("prepaid") + total("rounding");
    equal(
        "EN16931_DUE",
        "/totals/due",
        "gross - prepaid + rounding",
        due,
        total("due"),
    )
}

/// A day that is there is one of the calendar: patterns let the 31st of February pass.
fn date(input: &Value, name: &str) -> Result<(), Finding> {
    match input[name].as_str() {
        Some(text) if !is_day(text) => {
            let message = format!("`{name}` is {text:?}, which is no day of the calendar; write YYYY-MM-DD");
            Err(finding("EN16931_DATE", format!("/{name}"), message))
        }
        _ => Ok(()),
    }
}

/// Exactly YYYY-MM-DD, and there. The form is not left to a library: another version may take more, and a verdict stays.
fn is_day(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(form) && text.parse::<Date>().is_ok()
}

fn line(entries: &[Value], index: usize, entry: &Value) -> Result<(), Finding> {
    let category = entry["category"].as_str().unwrap_or_default();
    let (rate, base) = (int(&entry["rate"]), int(&entry["base"]));
    let at = |name: &str| format!("/vat/{index}/{name}");
    let taxed = match category {
        "S" => rate > 0,
        // IGIC, IPSI and transferred VAT have rates of their own, zero among them.
        "L" | "M" | "B" => rate >= 0,
        "Z" | "E" | "AE" | "K" | "G" | "O" => rate == 0,
        _ => {
            let message = format!("`{category}` is no VAT category; use S, Z, E, AE, K, G, O, L, M or B");
            return Err(finding("EN16931_CATEGORY", at("category"), message));
        }
    };
    if !taxed {
        let message = format!("category {category} can't have the rate {rate} (parts per million)");
        return Err(finding("EN16931_RATE", at("rate"), message));
    }
    let same = |other: &&Value| other["category"] == entry["category"] && other["rate"] == entry["rate"];
    if entries.iter().take(index).any(|other| same(&other)) {
        let message = format!("category {category} with this rate is there twice; add the amounts up");
        return Err(finding("EN16931_TWICE", format!("/vat/{index}"), message));
    }
    let what = "base x rate, rounded half away from zero";
    equal(
        "EN16931_VAT_LINE",
        &at("vat"),
        what,
        rounded(base * rate),
        int(&entry["vat"]),
    )
}

/// Parts per million to whole units, half away from zero.
fn rounded(millionths: i128) -> i128 {
    let half = if millionths < 0 { -PPM / 2 } else { PPM / 2 };
    (millionths + half) / PPM
}

/// Integers of the input lie within 2^53, so no sum or product of them here comes near the bounds.
fn int(value: &Value) -> i128 {
    i128::from(value.as_i64().unwrap_or_default())
}

fn equal(code: &'static str, pointer: &str, rule: &str, wanted: i128, found: i128) -> Result<(), Finding> {
    if wanted == found {
        return Ok(());
    }
    let message = format!("must be {rule}: {wanted}, not {found} (minor units)");
    Err(finding(code, pointer.to_owned(), message))
}

fn finding(code: &'static str, pointer: String, message: String) -> Finding {
    Finding { code, message, pointer }
}
