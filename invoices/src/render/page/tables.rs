//! The tables of a page: lines, allowances and charges, VAT, totals, supporting documents.

use rust_decimal::Decimal;

use super::{Cell, Column, Row, Table, labelled};
use crate::model::{Adjustment, Invoice, Line};

/// Between the thousands: a narrow space that does not break. A comma or a point would say the opposite to half of
/// Europe.
const THOUSANDS: char = '\u{202F}';

fn number(value: Option<Decimal>) -> String {
    value.map(grouped).unwrap_or_default()
}

/// A number with its decimals as they are and its digits before the point in threes.
fn grouped(value: Decimal) -> String {
    let text = value.to_string();
    let (whole, decimals) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.trim_start_matches('-').len();
    let mut grouped = String::with_capacity(text.len() + text.len() / 3);
    for (place, letter) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if left < digits && left.is_multiple_of(3) {
            grouped.push(THOUSANDS);
        }
        grouped.push(letter);
    }
    grouped + decimals
}

fn percent(rate: Option<Decimal>) -> String {
    rate.map(|rate| format!("{rate} %")).unwrap_or_default()
}

/// Several texts with a space between those that say something.
fn spaced(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn left(title: &str, share: f32) -> Column {
    Column {
        title: title.to_owned(),
        right: false,
        share,
    }
}

fn right(title: impl Into<String>, share: f32) -> Column {
    Column {
        title: title.into(),
        right: true,
        share,
    }
}

pub(super) fn lines(invoice: &Invoice) -> Table {
    Table {
        title: "Lines",
        columns: vec![
            left("No.", 7.0),
            left("Item", 41.0),
            right("Quantity", 14.0),
            right("Price", 12.0),
            right("VAT", 10.0),
            right(format!("Net {}", invoice.currency), 16.0),
        ],
        rows: invoice.lines.iter().map(line).collect(),
    }
}

fn line(line: &Line) -> Row {
    let mut small = labelled(&[("", line.item.description.as_ref()), ("", line.note.as_ref())]);
    let signs = [(&line.allowances, "less"), (&line.charges, "plus")];
    for (adjustments, sign) in signs {
        small.extend(
            adjustments
                .iter()
                .map(|one| spaced(&[sign, &number(one.amount), reason(one)])),
        );
    }
    let price = match (line.price.base, &line.price.base_unit) {
        (Some(base), unit) => {
            let unit = unit.as_deref().unwrap_or_default();
            Cell {
                text: number(line.price.net),
                small: spaced(&["for", &grouped(base), unit]),
            }
        }
        (None, _) => number(line.price.net).into(),
    };
    Row {
        cells: vec![
            line.id.as_str().into(),
            Cell {
                text: line.item.name.clone(),
                small: small.join("\n"),
            },
            spaced(&[&number(line.quantity), &line.unit]).into(),
            price,
            spaced(&[&line.category, &percent(line.rate)]).into(),
            number(line.net).into(),
        ],
        strong: false,
    }
}

fn reason(adjustment: &Adjustment) -> &str {
    let code = adjustment.reason_code.as_deref();
    adjustment.reason.as_deref().or(code).unwrap_or_default()
}

pub(super) fn adjustments(invoice: &Invoice) -> Table {
    let row = |sign: &str, adjustment: &Adjustment| Row {
        cells: vec![
            spaced(&[sign, reason(adjustment)]).into(),
            number(adjustment.base).into(),
            percent(adjustment.percent).into(),
            spaced(&[
                adjustment.category.as_deref().unwrap_or_default(),
                &percent(adjustment.rate),
            ])
            .into(),
            number(adjustment.amount).into(),
        ],
        strong: false,
    };
    let allowances = invoice.allowances.iter().map(|allowance| row("Allowance:", allowance));
    Table {
        title: "Allowances and charges",
        columns: vec![
            left("Reason", 44.0),
            right("Of", 16.0),
            right("Share", 12.0),
            right("VAT", 12.0),
            right("Amount", 16.0),
        ],
        rows: allowances
            .chain(invoice.charges.iter().map(|charge| row("Charge:", charge)))
            .collect(),
    }
}

pub(super) fn vat(invoice: &Invoice) -> Table {
    let rows = invoice.vat.iter().map(|vat| Row {
        cells: vec![
            Cell {
                text: vat.category.clone(),
                small: vat
                    .reason
                    .as_ref()
                    .or(vat.reason_code.as_ref())
                    .cloned()
                    .unwrap_or_default(),
            },
            percent(vat.rate).into(),
            number(vat.base).into(),
            number(vat.vat).into(),
        ],
        strong: false,
    });
    Table {
        title: "VAT",
        columns: vec![
            left("Category", 52.0),
            right("Rate", 16.0),
            right("Base", 16.0),
            right("VAT", 16.0),
        ],
        rows: rows.collect(),
    }
}

pub(super) fn totals(invoice: &Invoice) -> Table {
    let (totals, currency) = (&invoice.totals, invoice.currency.as_str());
    let tax_currency = invoice.tax_currency.as_deref().unwrap_or_default();
    let rows = [
        ("Sum of lines", totals.lines, currency),
        ("Allowances", totals.allowances, currency),
        ("Charges", totals.charges, currency),
        ("Total without VAT", totals.net, currency),
        ("VAT", totals.vat, currency),
        (
            "VAT in the currency of accounting",
            totals.vat_in_tax_currency,
            tax_currency,
        ),
        ("Total with VAT", totals.gross, currency),
        ("Paid", totals.paid, currency),
        ("Rounding", totals.rounding, currency),
        ("Due", totals.due, currency),
    ];
    let rows = rows.into_iter().filter(|(_, value, _)| value.is_some());
    Table {
        title: "Totals",
        columns: vec![left("", 60.0), right("", 40.0)],
        rows: rows
            .map(|(label, value, currency)| Row {
                cells: vec![label.into(), spaced(&[&number(value), currency]).into()],
                strong: label == "Due",
            })
            .collect(),
    }
}

pub(super) fn documents(invoice: &Invoice) -> Table {
    let rows = invoice.documents.iter().map(|document| {
        let file = document
            .attachment
            .as_ref()
            .map(|attachment| attachment.filename.as_str());
        let place = document.url.as_deref().or(file).unwrap_or_default();
        let description = document.description.as_deref().unwrap_or_default();
        Row {
            cells: vec![document.id.as_str().into(), description.into(), place.into()],
            strong: false,
        }
    });
    Table {
        title: "Supporting documents",
        columns: vec![
            left("Reference", 30.0),
            left("Description", 35.0),
            left("File or address", 35.0),
        ],
        rows: rows.collect(),
    }
}
