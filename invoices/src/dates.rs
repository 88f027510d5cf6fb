//! The dates of an invoice: days of the calendar, written `YYYY-MM-DD`.
//!
//! The official rules don't look at the calendar, so a document with the 31st of February may be valid. Where an invoice is
//! made or registered it is refused.

use jiff::civil::Date;

use crate::model::{Invoice, Period};

/// A date that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} ({term}) is {value:?}, which is no day of the calendar")]
pub struct NoDate {
    /// Where it stands in the JSON form, as a path such as `lines[0].period.end`.
    pub field: String,
    /// Its business term.
    pub term: &'static str,
    /// What stands there.
    pub value: String,
}

/// Whether a text is a day of the calendar, written `YYYY-MM-DD`.
#[must_use]
pub fn is_date(text: &str) -> bool {
    // The parser takes other forms, too.
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(form) && text.parse::<Date>().is_ok()
}

/// The first date of an invoice that is none. What is absent is no matter of dates.
///
/// # Errors
/// See [`NoDate`].
pub fn dates(invoice: &Invoice) -> Result<(), NoDate> {
    given("issueDate", "BT-2", Some(&invoice.issue_date))?;
    given("taxPointDate", "BT-7", invoice.tax_point_date.as_ref())?;
    given("dueDate", "BT-9", invoice.due_date.as_ref())?;
    for (place, preceding) in invoice.preceding.iter().enumerate() {
        given(&format!("preceding[{place}].date"), "BT-26", preceding.date.as_ref())?;
    }
    let delivered = invoice.delivery.as_ref().and_then(|delivery| delivery.date.as_ref());
    given("delivery.date", "BT-72", delivered)?;
    period("period", ["BT-73", "BT-74"], invoice.period.as_ref())?;
    for (place, line) in invoice.lines.iter().enumerate() {
        if line.period.is_some() {
            period(
                &format!("lines[{place}].period"),
                ["BT-134", "BT-135"],
                line.period.as_ref(),
            )?;
        }
    }
    Ok(())
}

fn period(field: &str, [start, end]: [&'static str; 2], period: Option<&Period>) -> Result<(), NoDate> {
    let Some(period) = period else { return Ok(()) };
    given(&format!("{field}.start"), start, period.start.as_ref())?;
    given(&format!("{field}.end"), end, period.end.as_ref())
}

fn given(field: &str, term: &'static str, value: Option<&String>) -> Result<(), NoDate> {
    match value.filter(|value| !value.is_empty() && !is_date(value)) {
        None => Ok(()),
        Some(value) => Err(NoDate {
            field: field.to_owned(),
            term,
            value: value.clone(),
        }),
    }
}
