//! How fast documents are judged: `invoice_bench [FOLDER…]` reads all XML files below the folders (by default the
//! whole documents of the vectors), judges them by EN 16931 with a report each, and measures invoices of many lines.
//! Times are processor time. `invoice_bench report LIST` judges the files that LIST names, one after the other on one
//! core, and prints a line of JSON for each: what `side_by_side.sh` measures.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use muniment_invoices::{Limits, Options, Profile, Syntax, check, model, read};

/// Parity alone, without the exact verdict.
const OPTIONS: Options = Options {
    profile: Profile::En16931,
    fragment: false,
    exact: false,
    limits: Limits::DEFAULT,
};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("xml")) {
            found.push(path);
        }
    }
}

fn folders() -> Vec<PathBuf> {
    let named: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if !named.is_empty() {
        return named;
    }
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var_os("MUNIMENT_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let vectors = root.join("vectors/einvoice");
    vec![vectors.join("en16931-examples"), vectors.join("xrechnung-testsuite")]
}

/// Time that this thread had on a core: on a shared machine the clock on the wall measures the neighbours. Where the
/// system does not say, the wall it is.
fn now(start: Instant) -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_core = schedule.and_then(|text| text.split(' ').next()?.parse().ok());
    on_core.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// The median of five runs.
fn median(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let before = now(start);
            run();
            now(start) - before
        })
        .collect();
    times.sort();
    times[2]
}

/// A line of JSON for each file of a list.
fn report(list: &Path) {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::fs::read_to_string(list).unwrap().lines() {
        match check(&std::fs::read(path).unwrap(), &OPTIONS) {
            Ok(report) => serde_json::to_writer(&mut out, &report).unwrap(),
            Err(error) => write!(out, "{{\"error\":\"{}\"}}", error.code()).unwrap(),
        }
        writeln!(out).unwrap();
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let [first, list] = &arguments[..]
        && first == "report"
    {
        return report(Path::new(list));
    }
    let mut paths = Vec::new();
    for folder in folders() {
        files(&folder, &mut paths);
    }
    paths.sort();
    let documents: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let invoices: Vec<&Vec<u8>> = documents
        .iter()
        .filter(|bytes| check(bytes, &OPTIONS).is_ok())
        .collect();
    let bytes: usize = invoices.iter().map(|bytes| bytes.len()).sum();
    if invoices.is_empty() {
        eprintln!("no invoices found: name folders, or set MUNIMENT_SHARED to where the vectors lie");
    }
    let rounds = (4_000 / invoices.len().max(1)).max(1);
    let time = median(|| {
        for _ in 0..rounds {
            for invoice in &invoices {
                let report = check(invoice, &OPTIONS).unwrap();
                std::hint::black_box(serde_json::to_vec(&report).unwrap());
            }
        }
    });
    let each = (time / (rounds * invoices.len().max(1)) as u32).max(Duration::from_nanos(1));
    println!(
        "{} documents, {bytes} bytes: {:.0} documents/s, {:.0} MB/s (parse, EN 16931, JSON report; one core)",
        invoices.len(),
        1.0 / each.as_secs_f64(),
        (bytes * rounds) as f64 / time.as_secs_f64() / 1e6,
    );
    let parse = median(|| {
        for _ in 0..rounds {
            for invoice in &invoices {
                std::hint::black_box(read(invoice, &Limits::DEFAULT).unwrap().len());
            }
        }
    });
    println!(
        "  reading the XML alone: {:.0} documents/s",
        (rounds * invoices.len()) as f64 / parse.as_secs_f64()
    );
    for lines in [1, 10, 100, 1_000, 5_000, 10_000, 100_000] {
        many_lines("UBL", lines, &invoice(lines));
    }
    for lines in [5_000, 10_000] {
        let ubl = invoice(lines);
        let document = read(ubl.as_bytes(), &Limits::DEFAULT).unwrap();
        many_lines("CII", lines, &model(&document, Syntax::UblInvoice).0.to_cii());
        many_lines(
            "UBL, a mistake in each line,",
            lines,
            &ubl.replace("<cbc:Name>Item", "<cbc:Name/><cbc:Name>Item"),
        );
    }
}

fn many_lines(what: &str, lines: usize, invoice: &str) {
    let report = check(invoice.as_bytes(), &OPTIONS).unwrap();
    let times = (20_000 / lines).clamp(1, 1_000) as u32;
    let time = median(|| {
        for _ in 0..times {
            std::hint::black_box(check(invoice.as_bytes(), &OPTIONS).unwrap());
        }
    }) / times;
    let reading = median(|| {
        for _ in 0..times {
            std::hint::black_box(read(invoice.as_bytes(), &Limits::DEFAULT).unwrap().len());
        }
    }) / times;
    let memory = read(invoice.as_bytes(), &Limits::DEFAULT).unwrap().memory();
    println!(
        "{what} {lines} lines, {} bytes: {:.3} ms (reading {:.3}), valid {}, tree {:.1} times the document",
        invoice.len(),
        time.as_secs_f64() * 1e3,
        reading.as_secs_f64() * 1e3,
        report.valid,
        memory as f64 / invoice.len() as f64,
    );
}

/// A valid invoice with lines of 10.00 at 19 %.
fn invoice(lines: usize) -> String {
    let (net, vat) = (lines * 1000, lines * 190);
    let amount = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
    let mut text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
  <cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID>
  <cbc:ID>1</cbc:ID>
  <cbc:IssueDate>2026-01-01</cbc:IssueDate>
  <cbc:DueDate>2026-02-01</cbc:DueDate>
  <cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>
  <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
  <cac:AccountingSupplierParty><cac:Party>
    <cac:PostalAddress><cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:PostalAddress>
    <cac:PartyTaxScheme><cbc:CompanyID>DE123456789</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>
    <cac:PartyLegalEntity><cbc:RegistrationName>Seller</cbc:RegistrationName></cac:PartyLegalEntity>
  </cac:Party></cac:AccountingSupplierParty>
  <cac:AccountingCustomerParty><cac:Party>
    <cac:PostalAddress><cac:Country><cbc:IdentificationCode>DE</cbc:IdentificationCode></cac:Country></cac:PostalAddress>
    <cac:PartyLegalEntity><cbc:RegistrationName>Buyer</cbc:RegistrationName></cac:PartyLegalEntity>
  </cac:Party></cac:AccountingCustomerParty>
  <cac:TaxTotal>
    <cbc:TaxAmount currencyID="EUR">{vat}</cbc:TaxAmount>
    <cac:TaxSubtotal>
      <cbc:TaxableAmount currencyID="EUR">{net}</cbc:TaxableAmount>
      <cbc:TaxAmount currencyID="EUR">{vat}</cbc:TaxAmount>
      <cac:TaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:TaxCategory>
    </cac:TaxSubtotal>
  </cac:TaxTotal>
  <cac:LegalMonetaryTotal>
    <cbc:LineExtensionAmount currencyID="EUR">{net}</cbc:LineExtensionAmount>
    <cbc:TaxExclusiveAmount currencyID="EUR">{net}</cbc:TaxExclusiveAmount>
    <cbc:TaxInclusiveAmount currencyID="EUR">{gross}</cbc:TaxInclusiveAmount>
    <cbc:PayableAmount currencyID="EUR">{gross}</cbc:PayableAmount>
  </cac:LegalMonetaryTotal>
"#,
        vat = amount(vat),
        net = amount(net),
        gross = amount(net + vat),
    );
    for line in 1..=lines {
        writeln!(
            text,
            r#"  <cac:InvoiceLine>
    <cbc:ID>{line}</cbc:ID>
    <cbc:InvoicedQuantity unitCode="C62">1</cbc:InvoicedQuantity>
    <cbc:LineExtensionAmount currencyID="EUR">10.00</cbc:LineExtensionAmount>
    <cac:Item>
      <cbc:Description>Something of some length, as descriptions are</cbc:Description>
      <cbc:Name>Item {line}</cbc:Name>
      <cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:ClassifiedTaxCategory>
    </cac:Item>
    <cac:Price><cbc:PriceAmount currencyID="EUR">10.00</cbc:PriceAmount></cac:Price>
  </cac:InvoiceLine>"#
        )
        .unwrap();
    }
    text.push_str("</Invoice>\n");
    text
}
