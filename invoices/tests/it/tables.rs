//! Every row of the tables of the syntax bindings: one element too many and it fires, as many as it allows and it does
//! not. Few of them fire in the vectors, so each gets a document of its own here.

use muniment_invoices::Set;

use crate::edges::Edge;

const TABLES: [(&str, &str); 2] = [
    ("UBL", include_str!("../../data/syntax-ubl.txt")),
    ("CII", include_str!("../../data/syntax-cii.txt")),
];

/// Rows that never fire, here as in the artefact: its context of all type codes comes first and takes that of the
/// document, too.
const NEVER: [&str; 3] = ["CII-DT-010", "CII-DT-011", "CII-DT-012"];

const AGREEMENT: &str = "rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement";
const SETTLEMENT: &str = "rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement";
const LINE: &str = "rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem";

/// Where an element stands that a section is about, and what must be in it for the section to apply.
fn place(section: &str) -> (String, &'static str) {
    let line = |rest: &str| format!("{LINE}/{rest}");
    let settlement = |rest: &str| format!("{SETTLEMENT}/{rest}");
    let path = match section {
        "UBL seller" => "cac:AccountingSupplierParty/cac:Party".to_owned(),
        "UBL additional-reference" => "cac:AdditionalDocumentReference".to_owned(),
        "UBL delivery" => "cac:Delivery".to_owned(),
        "UBL allowance" => {
            return (
                "cac:AllowanceCharge".to_owned(),
                "<cbc:ChargeIndicator>false</cbc:ChargeIndicator>",
            );
        }
        "UBL charge" => {
            return (
                "cac:AllowanceCharge".to_owned(),
                "<cbc:ChargeIndicator>true</cbc:ChargeIndicator>",
            );
        }
        "UBL document" | "CII root" => String::new(),
        "UBL line" => "cac:InvoiceLine".to_owned(),
        "UBL payment-means" => "cac:PaymentMeans".to_owned(),
        "UBL billing-reference" => "cac:BillingReference".to_owned(),
        "UBL tax-representative" => "cac:TaxRepresentativeParty".to_owned(),
        "UBL tax-subtotal" => "cac:TaxTotal/cac:TaxSubtotal".to_owned(),
        "CII payment-means" => settlement("ram:SpecifiedTradeSettlementPaymentMeans"),
        "CII context" => "rsm:ExchangedDocumentContext".to_owned(),
        "CII document" => "rsm:ExchangedDocument".to_owned(),
        "CII note" => "rsm:ExchangedDocument/ram:IncludedNote".to_owned(),
        "CII line" => LINE.to_owned(),
        "CII line-document" => line("ram:AssociatedDocumentLineDocument"),
        "CII product" => line("ram:SpecifiedTradeProduct"),
        "CII characteristic" => line("ram:SpecifiedTradeProduct/ram:ApplicableProductCharacteristic"),
        "CII line-agreement" => line("ram:SpecifiedLineTradeAgreement"),
        "CII allowance-charge" => settlement("ram:SpecifiedTradeAllowanceCharge"),
        "CII price-allowance" => {
            line("ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:AppliedTradeAllowanceCharge")
        }
        "CII line-delivery" => line("ram:SpecifiedLineTradeDelivery"),
        "CII line-settlement" => line("ram:SpecifiedLineTradeSettlement"),
        "CII agreement" => AGREEMENT.to_owned(),
        "CII delivery" => "rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeDelivery".to_owned(),
        "CII settlement" => SETTLEMENT.to_owned(),
        "CII totals" => settlement("ram:SpecifiedTradeSettlementHeaderMonetarySummation"),
        "CII context-parameter" => {
            "rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter".to_owned()
        }
        "CII identifier" => line("ram:AssociatedDocumentLineDocument/ram:LineID"),
        "CII id" => format!("{AGREEMENT}/ram:SellerTradeParty/ram:GlobalID"),
        "CII type-code" => settlement("ram:SpecifiedTradeSettlementPaymentMeans/ram:TypeCode"),
        "CII document-type-code" => "rsm:ExchangedDocument/ram:TypeCode".to_owned(),
        "CII line-category-code" => line("ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:CategoryCode"),
        "CII referenced-document" => format!("{AGREEMENT}/ram:AdditionalReferencedDocument"),
        "CII amount" => settlement("ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:LineTotalAmount"),
        "CII quantity" => line("ram:SpecifiedLineTradeDelivery/ram:BilledQuantity"),
        "CII trade-tax" => settlement("ram:ApplicableTradeTax"),
        "CII period" => settlement("ram:BillingSpecifiedPeriod"),
        "CII address" => format!("{AGREEMENT}/ram:SellerTradeParty/ram:PostalTradeAddress"),
        other => panic!("where does {other} stand?"),
    };
    (path, "")
}

/// Elements inside each other around a content; the attribute is one of the innermost.
fn nested(path: &str, attribute: &str, content: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let mut text = content.to_owned();
    for (depth, name) in names.iter().enumerate().rev() {
        let attribute = if depth + 1 == names.len() { attribute } else { "" };
        text = format!("<{name}{attribute}>{text}</{name}>");
    }
    text
}

/// A document in which the element of a section holds so many of what a row counts.
fn document(syntax: &str, section: &str, path: &str, count: usize) -> String {
    let (context, needs) = place(&format!("{syntax} {section}"));
    let path = path.strip_prefix("//").unwrap_or(path);
    let (mut elements, attribute) = path.split_once('@').unwrap_or((path, ""));
    elements = elements.trim_end_matches('/');
    let written = if attribute.is_empty() {
        String::new()
    } else {
        format!(" {attribute}=\"x\"")
    };
    let mut outer = "";
    let inner = if elements.is_empty() {
        assert!(count <= 1, "an attribute stands once");
        // Of the element itself, or of the root.
        outer = if count == 1 { &written } else { "" };
        String::new()
    } else {
        nested(elements, &written, "").repeat(count)
    };
    let content = format!("{needs}{inner}");
    let (root, spaces) = match syntax {
        "UBL" => (
            "Invoice",
            "xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:Invoice-2\" xmlns:cac=\"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\" xmlns:cbc=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\" xmlns:ext=\"urn:oasis:names:specification:ubl:schema:xsd:CommonExtensionComponents-2\"",
        ),
        _ => (
            "rsm:CrossIndustryInvoice",
            "xmlns:rsm=\"urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100\" xmlns:ram=\"urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100\" xmlns:udt=\"urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100\" xmlns:qdt=\"urn:un:unece:uncefact:data:standard:QualifiedDataType:100\"",
        ),
    };
    if context.is_empty() {
        return format!("<{root} {spaces}{outer}>{content}</{root}>");
    }
    format!("<{root} {spaces}>{}</{root}>", nested(&context, outer, &content))
}

/// A row of a table.
struct Row {
    syntax: &'static str,
    section: &'static str,
    rule: &'static str,
    least: usize,
    most: usize,
    paths: Vec<String>,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (syntax, table) in TABLES {
        let mut section = "";
        for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [rule, _, range, path] = words[..] else {
                panic!("{line}")
            };
            let (least, most) = range.split_once("..").unwrap_or((range, range));
            let choices = path.strip_prefix('(').and_then(|path| path.split_once(")/"));
            rows.push(Row {
                syntax,
                section,
                rule,
                least: least.parse().unwrap(),
                most: most.parse().unwrap(),
                paths: match choices {
                    Some((choices, rest)) => choices.split('|').map(|choice| format!("{choice}/{rest}")).collect(),
                    None => vec![path.to_owned()],
                },
            });
        }
    }
    rows
}

impl Row {
    /// One element too many, as many as it allows, and one too few.
    fn edges(&self) -> impl Iterator<Item = Edge> {
        let counts = [Some(self.most + 1), Some(self.most), self.least.checked_sub(1)];
        let each = self
            .paths
            .iter()
            .flat_map(move |path| counts.map(|count| Some((path, count?))));
        each.flatten().map(|(path, count)| Edge {
            set: Set::En16931,
            rule: self.rule.to_owned(),
            fires: !(self.least..=self.most).contains(&count) && !NEVER.contains(&self.rule),
            document: document(self.syntax, self.section, path, count),
        })
    }
}

/// What mutation testing judges by as well.
pub fn all() -> Vec<Edge> {
    rows().iter().flat_map(Row::edges).collect()
}

#[test]
fn each_row_allows_what_it_says_and_no_more() {
    let rows = rows();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| !row.edges().all(|edge| edge.holds()))
        .map(|row| format!("{} [{}] {} {:?}", row.syntax, row.section, row.rule, row.paths))
        .collect();
    println!("{} rows in {} documents", rows.len(), all().len());
    assert!(
        rows.len() > 1_000 && wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
