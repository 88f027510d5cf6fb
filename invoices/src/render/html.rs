//! The page as one HTML file, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use qrcodegen::QrCode;
use quick_xml::escape::escape;

use super::page::{Cell, Column, Page, Row, Section, Table};
use crate::model::Invoice;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
h1{font-size:1.6rem;margin:0}h1,div,td{overflow-wrap:anywhere}h2{font-size:1rem;margin:1.5rem 0 .3rem}\
.parties{display:flex;gap:0 3rem;flex-wrap:wrap}.parties>div{flex:1;min-width:16rem}\
table{border-collapse:collapse;width:100%}th,td{padding:.35rem .5rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top;min-width:2.5rem}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.strong td{font-weight:600;border-top:2px solid #1a1a1a}\
small{color:#555}svg{width:9rem;height:9rem}";

/// The page of an invoice; `receipt` is shown as a QR code, for instance a link to its receipt.
#[must_use]
pub fn html(invoice: &Invoice, receipt: Option<&str>) -> String {
    let page = Page::of(invoice, receipt);
    let title = escape(&page.title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n"
    );
    paragraphs(&mut text, &page.facts);
    text.push_str("<div class=\"parties\">\n");
    for party in &page.parties {
        text.push_str("<div>");
        section(&mut text, party);
        text.push_str("</div>\n");
    }
    text.push_str("</div>\n");
    if let Some(notes) = &page.notes {
        section(&mut text, notes);
    }
    for one in &page.tables {
        table(&mut text, one);
    }
    if let Some(payment) = &page.payment {
        section(&mut text, payment);
    }
    if let Some(code) = &page.receipt {
        let _ = writeln!(text, "<h2>Receipt</h2>\n{}", svg(code));
    }
    text.push_str("</body></html>\n");
    text
}

/// Escaped, with its line breaks.
fn written(text: &str) -> String {
    escape(text).replace('\n', "<br>")
}

fn paragraphs(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "<div>{}</div>", written(line));
    }
}

fn section(text: &mut String, section: &Section) {
    let _ = writeln!(text, "<h2>{}</h2>", section.title);
    paragraphs(text, &section.lines);
}

fn class(column: &Column) -> &'static str {
    if column.right { " class=\"n\"" } else { "" }
}

fn table(text: &mut String, table: &Table) {
    let _ = writeln!(text, "<h2>{}</h2>\n<table>", table.title);
    if table.columns.iter().any(|column| !column.title.is_empty()) {
        text.push_str("<tr>");
        for column in &table.columns {
            let _ = write!(text, "<th{}>{}</th>", class(column), escape(&column.title));
        }
        text.push_str("</tr>\n");
    }
    for one in &table.rows {
        row(text, one, &table.columns);
    }
    text.push_str("</table>\n");
}

fn row(text: &mut String, row: &Row, columns: &[Column]) {
    text.push_str(if row.strong { "<tr class=\"strong\">" } else { "<tr>" });
    for (cell, column) in row.cells.iter().zip(columns) {
        let _ = write!(text, "<td{}>{}", class(column), written(&cell.text));
        small(text, cell);
        text.push_str("</td>");
    }
    text.push_str("</tr>\n");
}

fn small(text: &mut String, cell: &Cell) {
    if !cell.small.is_empty() {
        let _ = write!(text, "<br><small>{}</small>", written(&cell.small));
    }
}

fn svg(code: &QrCode) -> String {
    let size = code.size();
    let mut path = String::new();
    for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))) {
        if code.get_module(x, y) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4);
        }
    }
    let side = size + 8;
    format!(
        "<svg viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR code of the receipt\">\
         <path fill=\"#fff\" d=\"M0,0h{side}v{side}h-{side}z\"/><path d=\"{path}\"/></svg>"
    )
}
