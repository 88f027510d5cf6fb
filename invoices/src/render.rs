//! A page that a person can read, in one file without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};
use quick_xml::escape::escape;
use rust_decimal::Decimal;

use crate::model::{Address, Invoice, Line, Party};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
h1{font-size:1.6rem;margin:0}h2{font-size:1rem;margin:1.5rem 0 .3rem}.parties{display:flex;gap:3rem;flex-wrap:wrap}\
table{border-collapse:collapse;width:100%}th,td{padding:.35rem .5rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.due td{font-weight:600;border-top:2px solid #1a1a1a}\
small{color:#555}svg{width:9rem;height:9rem}";

/// The page of an invoice; `receipt` is shown as a QR code, for instance a link to its receipt.
#[must_use]
pub fn html(invoice: &Invoice, receipt: Option<&str>) -> String {
    let title = if invoice.is_credit_note() {
        "Credit note"
    } else {
        "Invoice"
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} {number}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title} {number}</h1>\n",
        number = escape(&invoice.number),
    );
    facts(&mut page, invoice);
    page.push_str("<div class=\"parties\">\n");
    party(&mut page, "Seller", &invoice.seller);
    party(&mut page, "Buyer", &invoice.buyer);
    page.push_str("</div>\n");
    for note in &invoice.notes {
        paragraph(&mut page, "", Some(&note.text));
    }
    lines(&mut page, invoice);
    vat(&mut page, invoice);
    totals(&mut page, invoice);
    payment(&mut page, invoice);
    if let Some(code) = receipt.and_then(qr) {
        let _ = writeln!(page, "<h2>Receipt</h2>\n{code}");
    }
    page.push_str("</body></html>\n");
    page
}

fn paragraph(page: &mut String, label: &str, value: Option<&String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        let _ = writeln!(
            page,
            "<div>{label}{}</div>",
            escape(value.as_str()).replace('\n', "<br>")
        );
    }
}

fn facts(page: &mut String, invoice: &Invoice) {
    paragraph(page, "Issued ", Some(&invoice.issue_date));
    paragraph(page, "Due ", invoice.due_date.as_ref());
    paragraph(
        page,
        "Delivered ",
        invoice.delivery.as_ref().and_then(|delivery| delivery.date.as_ref()),
    );
    if let Some(period) = &invoice.period {
        let (start, end) = (
            period.start.as_deref().unwrap_or("…"),
            period.end.as_deref().unwrap_or("…"),
        );
        paragraph(page, "Period ", Some(&format!("{start} to {end}")));
    }
    paragraph(page, "Your reference ", invoice.buyer_reference.as_ref());
    paragraph(page, "Order ", invoice.purchase_order.as_ref());
    for preceding in &invoice.preceding {
        paragraph(page, "Refers to ", Some(&preceding.number));
    }
}

fn party(page: &mut String, label: &str, party: &Party) {
    let _ = writeln!(page, "<div><h2>{label}</h2>");
    paragraph(page, "", Some(&party.name));
    if let Some(address) = &party.address {
        address_lines(page, address);
    }
    paragraph(page, "VAT ", party.vat_id.as_ref());
    paragraph(page, "Tax number ", party.tax_id.as_ref());
    paragraph(page, "Registered ", party.registration.as_ref().map(|id| &id.id));
    if let Some(contact) = &party.contact {
        for value in [&contact.name, &contact.telephone, &contact.email] {
            paragraph(page, "", value.as_ref());
        }
    }
    page.push_str("</div>\n");
}

fn address_lines(page: &mut String, address: &Address) {
    for line in [&address.line1, &address.line2, &address.line3] {
        paragraph(page, "", line.as_ref());
    }
    let city = [
        address.post_code.as_deref(),
        address.city.as_deref(),
        Some(address.country.as_str()),
    ];
    let city: Vec<&str> = city.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    paragraph(page, "", Some(&city.join(" ")));
}

fn number(value: Option<Decimal>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn lines(page: &mut String, invoice: &Invoice) {
    let _ = writeln!(
        page,
        "<h2>Lines</h2>\n<table><tr><th>No.</th><th>Item</th><th class=\"n\">Quantity</th><th class=\"n\">Price</th>\
         <th class=\"n\">VAT</th><th class=\"n\">Net {}</th></tr>",
        escape(&invoice.currency)
    );
    for line in &invoice.lines {
        row(page, line);
    }
    page.push_str("</table>\n");
}

fn row(page: &mut String, line: &Line) {
    let description = line.item.description.as_deref().unwrap_or_default();
    let _ = writeln!(
        page,
        "<tr><td>{}</td><td>{}<br><small>{}</small></td><td class=\"n\">{} {}</td><td class=\"n\">{}</td><td class=\"n\">{} {}</td><td class=\"n\">{}</td></tr>",
        escape(&line.id),
        escape(&line.item.name),
        escape(description),
        number(line.quantity),
        escape(&line.unit),
        number(line.price.net),
        escape(&line.category),
        line.rate.map(|rate| format!("{rate} %")).unwrap_or_default(),
        number(line.net),
    );
}

fn vat(page: &mut String, invoice: &Invoice) {
    page.push_str("<h2>VAT</h2>\n<table><tr><th>Category</th><th class=\"n\">Rate</th><th class=\"n\">Base</th><th class=\"n\">VAT</th></tr>\n");
    for vat in &invoice.vat {
        let _ = writeln!(
            page,
            "<tr><td>{} <small>{}</small></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&vat.category),
            escape(vat.reason.as_deref().or(vat.reason_code.as_deref()).unwrap_or_default()),
            vat.rate.map(|rate| format!("{rate} %")).unwrap_or_default(),
            number(vat.base),
            number(vat.vat),
        );
    }
    page.push_str("</table>\n");
}

fn totals(page: &mut String, invoice: &Invoice) {
    let totals = &invoice.totals;
    let rows = [
        ("Sum of lines", totals.lines, ""),
        ("Allowances", totals.allowances, ""),
        ("Charges", totals.charges, ""),
        ("Total without VAT", totals.net, ""),
        ("VAT", totals.vat, ""),
        ("Total with VAT", totals.gross, ""),
        ("Paid", totals.paid, ""),
        ("Rounding", totals.rounding, ""),
        ("Due", totals.due, " class=\"due\""),
    ];
    page.push_str("<h2>Totals</h2>\n<table>\n");
    for (label, value, class) in rows.into_iter().filter(|(_, value, _)| value.is_some()) {
        let currency = escape(&invoice.currency);
        let _ = writeln!(
            page,
            "<tr{class}><td>{label}</td><td class=\"n\">{} {currency}</td></tr>",
            number(value)
        );
    }
    page.push_str("</table>\n");
}

fn payment(page: &mut String, invoice: &Invoice) {
    if invoice.payment.is_none() && invoice.payment_terms.is_none() {
        return;
    }
    page.push_str("<h2>Payment</h2>\n");
    paragraph(page, "", invoice.payment_terms.as_ref());
    let Some(payment) = &invoice.payment else { return };
    for account in &payment.accounts {
        paragraph(page, "Account ", Some(&account.id));
        paragraph(page, "Bank ", account.bank.as_ref());
    }
    paragraph(page, "Please write ", payment.remittance.as_ref());
}

/// A QR code as SVG; `None` if the text is too long for one.
fn qr(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = String::new();
    for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))) {
        if code.get_module(x, y) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4);
        }
    }
    let side = size + 8;
    Some(format!(
        "<svg viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR code of the receipt\">\
         <path fill=\"#fff\" d=\"M0,0h{side}v{side}h-{side}z\"/><path d=\"{path}\"/></svg>"
    ))
}
