//! Makes an invoice out of its JSON form: the client gives quantities, prices and VAT rates; amounts of lines, totals
//! and VAT breakdown are computed here, exactly.

use rust_decimal::Decimal;

use crate::dates::{NoDate, dates};
use crate::exact::{bases, cents, counts, line_net, sum, vat_of};
use crate::form::read_form;
use crate::model::{Adjustment, Invoice, Line, Totals, Vat};

/// Why no invoice can be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The text is not the JSON form.
    #[error("this is not the JSON form of an invoice: {0}")]
    Json(String),
    /// A text has a character that no XML can hold.
    #[error("{field} has the character U+{:04X}, which no XML can hold", code_point(.character))]
    Character {
        /// Where.
        field: String,
        /// Which.
        character: char,
    },
    /// A date is none.
    #[error(transparent)]
    NoDate(#[from] NoDate),
    /// UBL has no place for the due date of this credit note.
    #[error(
        "dueDate (BT-9): in UBL the due date of a credit note stands in its payment instructions (BG-16), and there are none"
    )]
    NoPlaceForDueDate,
    /// Something is missing that the amounts need.
    #[error("{place}: {what} is missing; the amounts cannot be computed without it")]
    Missing {
        /// Where.
        place: String,
        /// What.
        what: &'static str,
    },
    /// An amount is given and is not what the others make it.
    #[error("{place}: {what} is {found}, but must be {expected}; leave it out to have it computed")]
    Differs {
        /// Where.
        place: String,
        /// Which amount.
        what: &'static str,
        /// As given.
        found: Decimal,
        /// As computed.
        expected: Decimal,
    },
    /// A VAT breakdown has a category and rate that nothing is of.
    #[error(
        "the VAT breakdown has category {category} at {rate} % with the taxable amount {found}, but no line, allowance or \
         charge is of it: it must be 0"
    )]
    NothingTaxed {
        /// Category.
        category: String,
        /// Rate.
        rate: Decimal,
        /// Base as given.
        found: Decimal,
    },
    /// Numbers beyond 28 digits.
    #[error("{0}: the numbers are too large")]
    TooLarge(String),
}

fn code_point(character: &char) -> u32 {
    u32::from(*character)
}

impl MakeError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "not_the_json_form",
            Self::Character { .. } => "character_not_allowed",
            Self::NoDate(_) => "not_a_date",
            Self::NoPlaceForDueDate => "no_place_for_due_date",
            Self::Missing { .. } => "number_missing",
            Self::Differs { .. } | Self::NothingTaxed { .. } => "amount_differs",
            Self::TooLarge(_) => "number_too_large",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Json(_) => {
                "`muniment invoice schema` prints what may stand where; numbers are texts, as in \"12.50\""
            }
            Self::Character { .. } => "take the character out; it was probably copied from elsewhere by mistake",
            Self::NoDate(_) => "write YYYY-MM-DD, such as 2026-11-24",
            Self::NoPlaceForDueDate => "leave dueDate out, or give payment with its code, such as 58",
            Self::Missing { .. } => "give it, as a text such as \"12.50\"",
            Self::Differs { .. } => "leave the amount out, or mend what it is computed from",
            Self::NothingTaxed { .. } => "leave the entry out, or mend category and rate of the lines",
            Self::TooLarge(_) => "give numbers of at most 28 digits",
        }
    }
}

/// An invoice from its JSON form, with everything computed that can be.
///
/// # Errors
/// The text is not the JSON form, lacks a number, or has a date that is none or an amount that does not fit the others.
pub fn make(json: &[u8]) -> Result<Invoice, MakeError> {
    complete(read_form(json)?)
}

/// Whether UBL has a place for all that an invoice says.
///
/// # Errors
/// A credit note is due on a date, and has no payment instructions.
pub fn fits_ubl(invoice: &Invoice) -> Result<(), MakeError> {
    if invoice.is_credit_note() && invoice.due_date.is_some() && invoice.payment.is_none() {
        return Err(MakeError::NoPlaceForDueDate);
    }
    Ok(())
}

/// Computes what is absent and compares what is given.
///
/// # Errors
/// A number is missing, a date is none, or an amount does not fit the others.
pub fn complete(mut invoice: Invoice) -> Result<Invoice, MakeError> {
    dates(&invoice)?;
    for (place, line) in invoice.lines.iter_mut().enumerate() {
        complete_line(line, place + 1)?;
    }
    for adjustment in invoice.allowances.iter_mut().chain(&mut invoice.charges) {
        complete_adjustment(adjustment, "document")?;
    }
    let too_large = || MakeError::TooLarge("document".to_owned());
    let computed = breakdown(&invoice).ok_or_else(too_large)?;
    fits(&invoice.vat, &computed)?;
    invoice.vat = computed;
    let computed = totals(&invoice).ok_or_else(too_large)?;
    let given = &mut invoice.totals;
    settle(
        &mut given.lines,
        computed.lines,
        "document",
        "the sum of lines (BT-106)",
    )?;
    settle(
        &mut given.allowances,
        computed.allowances,
        "document",
        "the sum of allowances (BT-107)",
    )?;
    settle(
        &mut given.charges,
        computed.charges,
        "document",
        "the sum of charges (BT-108)",
    )?;
    settle(
        &mut given.net,
        computed.net,
        "document",
        "the total without VAT (BT-109)",
    )?;
    settle(&mut given.vat, computed.vat, "document", "the total VAT (BT-110)")?;
    settle(
        &mut given.gross,
        computed.gross,
        "document",
        "the total with VAT (BT-112)",
    )?;
    settle(&mut given.due, computed.due, "document", "the amount due (BT-115)")?;
    Ok(invoice)
}

/// Takes the computed value, unless another one is given.
fn settle(
    given: &mut Option<Decimal>,
    computed: Option<Decimal>,
    place: &str,
    what: &'static str,
) -> Result<(), MakeError> {
    match (*given, computed) {
        (Some(found), Some(expected)) if found != expected => Err(MakeError::Differs {
            place: place.to_owned(),
            what,
            found,
            expected,
        }),
        _ => {
            *given = computed;
            Ok(())
        }
    }
}

fn complete_line(line: &mut Line, number: usize) -> Result<(), MakeError> {
    if line.id.is_empty() {
        line.id = number.to_string();
    }
    let place = format!("line {}", line.id);
    let missing = |what| MakeError::Missing {
        place: place.clone(),
        what,
    };
    line.quantity.ok_or_else(|| missing("the quantity"))?;
    match (line.price.gross, line.price.discount) {
        (Some(gross), Some(discount)) => {
            let net = gross.checked_sub(discount);
            settle(
                &mut line.price.net,
                net,
                &place,
                "the net price (BT-146), gross less discount,",
            )?;
        }
        (Some(gross), None) if line.price.net.is_none() => line.price.net = Some(gross),
        _ => {}
    }
    line.price.net.ok_or_else(|| missing("the price"))?;
    if line.price.base.is_some_and(|base| !counts(base)) {
        return Err(missing("a base quantity above zero (BT-149)"));
    }
    for adjustment in line.allowances.iter_mut().chain(&mut line.charges) {
        complete_adjustment(adjustment, &place)?;
    }
    let net = line_net(line).ok_or_else(|| MakeError::TooLarge(place.clone()))?;
    settle(&mut line.net, Some(net), &place, "the net amount (BT-131)")
}

fn complete_adjustment(adjustment: &mut Adjustment, place: &str) -> Result<(), MakeError> {
    let computed = adjustment
        .base
        .zip(adjustment.percent)
        .and_then(|(base, percent)| vat_of(base, percent));
    if computed.is_some() {
        settle(
            &mut adjustment.amount,
            computed,
            place,
            "the amount of an allowance or charge",
        )?;
    }
    match adjustment.amount {
        Some(_) => Ok(()),
        None => Err(MakeError::Missing {
            place: place.to_owned(),
            what: "the amount of an allowance or charge",
        }),
    }
}

/// Whether a VAT breakdown that is given is the one of the lines.
fn fits(given: &[Vat], computed: &[Vat]) -> Result<(), MakeError> {
    for entry in given {
        let rate = entry.rate.unwrap_or_default();
        let of = computed
            .iter()
            .find(|one| one.category == entry.category && one.rate.unwrap_or_default() == rate);
        let Some(of) = of else {
            return Err(MakeError::NothingTaxed {
                category: entry.category.clone(),
                rate,
                found: entry.base.unwrap_or_default(),
            });
        };
        let place = format!("VAT category {} at {rate} %", entry.category);
        let (mut base, mut vat) = (entry.base, entry.vat);
        settle(&mut base, of.base, &place, "the taxable amount (BT-116)")?;
        settle(&mut vat, of.vat, &place, "the VAT (BT-117)")?;
    }
    Ok(())
}

/// One entry for each category and rate; reasons of exemptions are taken from what the client gave.
fn breakdown(invoice: &Invoice) -> Option<Vec<Vat>> {
    let entry = |((category, rate), base): ((String, Decimal), Decimal)| {
        let given = invoice
            .vat
            .iter()
            .find(|vat| vat.category == category && vat.rate.unwrap_or_default() == rate);
        let base = with_cents(cents(base));
        Some(Vat {
            base: Some(base),
            vat: Some(with_cents(vat_of(base, rate)?)),
            // What is not subject to VAT has no rate.
            rate: (category != "O").then_some(rate),
            category,
            reason: given.and_then(|vat| vat.reason.clone()),
            reason_code: given.and_then(|vat| vat.reason_code.clone()),
        })
    };
    bases(invoice)?.into_iter().map(entry).collect()
}

/// With two decimals written out.
fn with_cents(mut value: Decimal) -> Decimal {
    value.rescale(2);
    value
}

fn totals(invoice: &Invoice) -> Option<Totals> {
    let lines = invoice
        .lines
        .iter()
        .try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.net?))?;
    let (allowances, charges) = (sum(&invoice.allowances)?, sum(&invoice.charges)?);
    let net = lines.checked_sub(allowances)?.checked_add(charges)?;
    let vat = invoice
        .vat
        .iter()
        .try_fold(Decimal::ZERO, |sum, vat| sum.checked_add(vat.vat?))?;
    let gross = net.checked_add(vat)?;
    let paid = invoice.totals.paid.unwrap_or_default();
    let due = gross
        .checked_sub(paid)?
        .checked_add(invoice.totals.rounding.unwrap_or_default())?;
    let some = |value: Decimal| Some(with_cents(value));
    Some(Totals {
        lines: some(lines),
        allowances: if invoice.allowances.is_empty() {
            None
        } else {
            some(allowances)
        },
        charges: if invoice.charges.is_empty() {
            None
        } else {
            some(charges)
        },
        net: some(net),
        vat: some(vat),
        gross: some(gross),
        due: some(due),
        ..invoice.totals.clone()
    })
}
