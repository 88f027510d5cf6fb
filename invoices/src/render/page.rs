//! What the page of an invoice says, in order, whatever it is drawn with.

mod tables;

use crate::model::{Address, Invoice, Party, Payment};
use qrcodegen::{QrCode, QrCodeEcc};
use tables::{adjustments, documents, lines, totals, vat};

/// A page.
pub(super) struct Page {
    pub title: String,
    pub facts: Vec<String>,
    pub parties: Vec<Section>,
    pub notes: Option<Section>,
    pub tables: Vec<Table>,
    pub payment: Option<Section>,
    pub receipt: Option<QrCode>,
}

/// Lines under a heading.
pub(super) struct Section {
    pub title: &'static str,
    pub lines: Vec<String>,
}

/// A table; every row has as many cells as there are columns.
pub(super) struct Table {
    pub title: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// A column of a table.
pub(super) struct Column {
    pub title: String,
    /// Numbers are written from the right.
    pub right: bool,
    /// Part of the width, in hundredths.
    pub share: f32,
}

/// A row of a table.
pub(super) struct Row {
    pub cells: Vec<Cell>,
    /// What a reader looks for first.
    pub strong: bool,
}

/// A cell of a table.
#[derive(Default)]
pub(super) struct Cell {
    pub text: String,
    /// Said smaller, below.
    pub small: String,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            small: String::new(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Page {
    /// The page of an invoice; `receipt` becomes a QR code, unless it is too long for one.
    pub fn of(invoice: &Invoice, receipt: Option<&str>) -> Self {
        let kind = if invoice.is_credit_note() {
            "Credit note"
        } else {
            "Invoice"
        };
        let mut parties = vec![party("Seller", &invoice.seller), party("Buyer", &invoice.buyer)];
        parties.extend(others(invoice));
        let adjustments = (!invoice.allowances.is_empty() || !invoice.charges.is_empty()).then(|| adjustments(invoice));
        let documents = (!invoice.documents.is_empty()).then(|| documents(invoice));
        let tables = [
            Some(lines(invoice)),
            adjustments,
            Some(vat(invoice)),
            Some(totals(invoice)),
            documents,
        ];
        Self {
            title: format!("{kind} {}", invoice.number),
            facts: facts(invoice),
            parties,
            notes: notes(invoice),
            tables: tables.into_iter().flatten().collect(),
            payment: payment(invoice),
            receipt: receipt.and_then(|text| QrCode::encode_text(text, QrCodeEcc::Medium).ok()),
        }
    }
}

/// Lines with a label each, of what is there.
fn labelled(lines: &[(&str, Option<&String>)]) -> Vec<String> {
    let filled = lines
        .iter()
        .filter_map(|(label, value)| Some((label, value.filter(|value| !value.is_empty())?)));
    filled.map(|(label, value)| format!("{label}{value}")).collect()
}

fn facts(invoice: &Invoice) -> Vec<String> {
    let delivered = invoice.delivery.as_ref().and_then(|delivery| delivery.date.as_ref());
    let mut facts = labelled(&[
        ("Issued ", Some(&invoice.issue_date)),
        ("Due ", invoice.due_date.as_ref()),
        ("Delivered ", delivered),
        ("VAT accountable on ", invoice.tax_point_date.as_ref()),
    ]);
    if let Some(period) = &invoice.period {
        let (start, end) = (
            period.start.as_deref().unwrap_or("…"),
            period.end.as_deref().unwrap_or("…"),
        );
        facts.push(format!("Period {start} to {end}"));
    }
    facts.extend(labelled(&[
        ("Your reference ", invoice.buyer_reference.as_ref()),
        ("Order ", invoice.purchase_order.as_ref()),
        ("Contract ", invoice.contract.as_ref()),
        ("Project ", invoice.project.as_ref()),
    ]));
    facts.extend(
        invoice
            .preceding
            .iter()
            .map(|preceding| format!("Refers to {}", preceding.number)),
    );
    facts
}

fn party(title: &'static str, party: &Party) -> Section {
    let mut lines = labelled(&[("", Some(&party.name)), ("", party.trading_name.as_ref())]);
    lines.extend(party.address.as_ref().map(address).unwrap_or_default());
    lines.extend(labelled(&[
        ("VAT ", party.vat_id.as_ref()),
        ("Tax number ", party.tax_id.as_ref()),
        ("Registered ", party.registration.as_ref().map(|id| &id.id)),
        ("", party.legal_info.as_ref()),
    ]));
    if let Some(contact) = &party.contact {
        let values = [&contact.name, &contact.telephone, &contact.email];
        lines.extend(labelled(&values.map(|value| ("", value.as_ref()))));
    }
    Section { title, lines }
}

/// Who else takes part.
fn others(invoice: &Invoice) -> Vec<Section> {
    let payee = invoice.payee.as_ref().map(|payee| Section {
        title: "Payee",
        lines: labelled(&[("", Some(&payee.name)), ("", payee.id.as_ref().map(|id| &id.id))]),
    });
    let representative = invoice.representative.as_ref().map(|representative| {
        let mut lines = labelled(&[("", Some(&representative.name)), ("VAT ", Some(&representative.vat_id))]);
        lines.extend(representative.address.as_ref().map(address).unwrap_or_default());
        Section {
            title: "Tax representative",
            lines,
        }
    });
    let delivery = invoice.delivery.as_ref().map(|delivery| {
        let mut lines = labelled(&[("", delivery.name.as_ref())]);
        lines.extend(delivery.address.as_ref().map(address).unwrap_or_default());
        Section {
            title: "Delivered to",
            lines,
        }
    });
    let all = [payee, representative, delivery].into_iter().flatten();
    all.filter(|section| !section.lines.is_empty()).collect()
}

fn address(address: &Address) -> Vec<String> {
    let mut lines = labelled(&[&address.line1, &address.line2, &address.line3].map(|line| ("", line.as_ref())));
    let city = [
        address.post_code.as_deref(),
        address.city.as_deref(),
        Some(address.country.as_str()),
    ];
    let city: Vec<&str> = city.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if !city.is_empty() {
        lines.push(city.join(" "));
    }
    lines
}

fn notes(invoice: &Invoice) -> Option<Section> {
    let lines: Vec<String> = invoice.notes.iter().map(|note| note.text.clone()).collect();
    (!lines.is_empty()).then_some(Section { title: "Notes", lines })
}

fn payment(invoice: &Invoice) -> Option<Section> {
    let mut lines = labelled(&[("", invoice.payment_terms.as_ref())]);
    if let Some(payment) = &invoice.payment {
        lines.extend(means(payment));
    }
    (!lines.is_empty()).then_some(Section {
        title: "Payment",
        lines,
    })
}

fn means(payment: &Payment) -> Vec<String> {
    let mut lines = labelled(&[("", payment.text.as_ref())]);
    for account in &payment.accounts {
        lines.extend(labelled(&[
            ("Account ", Some(&account.id)),
            ("Of ", account.name.as_ref()),
            ("Bank ", account.bank.as_ref()),
        ]));
    }
    let (card, debit) = (payment.card.as_ref(), payment.debit.as_ref());
    lines.extend(labelled(&[
        ("Card ", card.map(|card| &card.number)),
        ("Mandate ", debit.and_then(|debit| debit.mandate.as_ref())),
        ("Creditor ", debit.and_then(|debit| debit.creditor.as_ref())),
        ("Debited account ", debit.and_then(|debit| debit.account.as_ref())),
        ("Please write ", payment.remittance.as_ref()),
    ]));
    lines
}
