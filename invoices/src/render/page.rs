//! What the page of an invoice says, in order, whatever it is drawn with.

use qrcodegen::{QrCode, QrCodeEcc};
use rust_decimal::Decimal;

use crate::model::{Address, Adjustment, Invoice, Line, Party, Payment};

/// A page.
pub(super) struct Page {
    pub title: String,
    pub facts: Vec<String>,
    pub parties: Vec<Section>,
    pub notes: Vec<String>,
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
            notes: invoice.notes.iter().map(|note| note.text.clone()).collect(),
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

fn number(value: Option<Decimal>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
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

fn lines(invoice: &Invoice) -> Table {
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
                small: spaced(&["for", &base.to_string(), unit]),
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

fn adjustments(invoice: &Invoice) -> Table {
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

fn vat(invoice: &Invoice) -> Table {
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

fn totals(invoice: &Invoice) -> Table {
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

fn documents(invoice: &Invoice) -> Table {
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
