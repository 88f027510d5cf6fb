//! Where a rule ends: the smallest piece of an invoice that it takes, and the smallest that it does not. The cases lie in
//! `edges/`, one a line: rule, whether it fires, where the piece stands, the piece. Most are what mutation testing missed
//! in the vectors (invoices/mutants), which judges by these cases as well.

use muniment_invoices::{Limits, Set, check_sets};

/// A document, and whether a rule fires in it.
pub struct Edge {
    pub set: Set,
    pub rule: String,
    pub fires: bool,
    pub document: String,
}

impl Edge {
    /// Whether the rule does what the case says.
    pub fn holds(&self) -> bool {
        let findings = check_sets(self.document.as_bytes(), &[self.set], &Limits::DEFAULT).unwrap();
        findings.iter().any(|finding| finding.rule == self.rule) == self.fires
    }
}

const FILES: [(Set, &str); 4] = [
    (Set::En16931, include_str!("edges/ubl.txt")),
    (Set::En16931, include_str!("edges/cii.txt")),
    (Set::XRechnung, include_str!("edges/xrechnung.txt")),
    (Set::Peppol, include_str!("edges/peppol.txt")),
];

/// The cases of a file, each with its line.
fn read(set: Set, text: &'static str) -> impl Iterator<Item = (&'static str, Edge)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(move |line| {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (rule, fires, place, content) = (word().to_owned(), word(), word(), word());
        assert!(["fires", "passes"].contains(&fires), "{line}");
        let edge = Edge {
            set,
            rule,
            fires: fires == "fires",
            document: document(place, content),
        };
        (line, edge)
    })
}

/// All cases.
pub fn all() -> impl Iterator<Item = Edge> {
    let cases = FILES.into_iter().flat_map(|(set, text)| read(set, text));
    cases.map(|(_, edge)| edge)
}

const XRECHNUNG: &str = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0";

/// What a document says of itself: `invoice+extension` is an invoice of the extension of XRechnung, `invoice+billing` one
/// of Peppol's billing process, `invoice+DK-SE` one from Denmark to Sweden.
#[derive(Default)]
struct About {
    specification: String,
    process: &'static str,
    seller: String,
    buyer: String,
}

impl About {
    fn of(words: std::str::Split<'_, char>) -> Self {
        let mut about = Self::default();
        for word in words {
            match word {
                "extension" => {
                    about.specification =
                        format!("{XRECHNUNG}#conformant#urn:xeinkauf.de:kosit:extension:xrechnung_3.0");
                }
                "vehicles" => {
                    about.specification = format!("{XRECHNUNG}#compliant#urn:xeinkauf.de:kosit:xrechnung:cvd_0.9")
                }
                "billing" => about.process = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
                countries => {
                    let (seller, buyer) = countries.split_once('-').unwrap_or((countries, ""));
                    assert!(seller.len() == 2, "what is {word}?");
                    (about.seller, about.buyer) = (seller.to_owned(), buyer.to_owned());
                }
            }
        }
        about
    }
}

/// The document of a case.
fn document(place: &str, content: &str) -> String {
    let mut words = place.split('+');
    let place = words.next().unwrap_or_default();
    let about = About::of(words);
    match place {
        "invoice" => ubl("Invoice", &about, content),
        "credit" => ubl("CreditNote", &about, content),
        _ => cii(place, &about, content),
    }
}

/// An element around a text, unless there is none.
fn filled(name: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("<{name}>{text}</{name}>")
    }
}

fn ubl(root: &str, about: &About, content: &str) -> String {
    let party = |name: &str, country: &str| {
        let code = filled("cbc:IdentificationCode", country);
        ["cac:Country", "cac:PostalAddress", "cac:Party", name]
            .iter()
            .fold(code, |text, name| filled(name, &text))
    };
    format!(
        "<{root} xmlns=\"urn:oasis:names:specification:ubl:schema:xsd:{root}-2\" \
         xmlns:cac=\"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\" \
         xmlns:cbc=\"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\">{}{}{}{}{content}</{root}>",
        filled("cbc:CustomizationID", &about.specification),
        filled("cbc:ProfileID", about.process),
        party("cac:AccountingSupplierParty", &about.seller),
        party("cac:AccountingCustomerParty", &about.buyer),
    )
}

/// A piece of CII where it belongs.
fn cii(place: &str, about: &About, content: &str) -> String {
    let group = match place {
        "agreement" => "ApplicableHeaderTradeAgreement",
        "delivery" => "ApplicableHeaderTradeDelivery",
        "settlement" => "ApplicableHeaderTradeSettlement",
        "line" => "IncludedSupplyChainTradeLineItem",
        "transaction" | "root" => "",
        other => panic!("where is {other}?"),
    };
    let grouped = if group.is_empty() {
        content.to_owned()
    } else {
        format!("<{group}>{content}</{group}>")
    };
    let placed = if place == "root" {
        grouped
    } else {
        format!("<rsm:SupplyChainTradeTransaction>{grouped}</rsm:SupplyChainTradeTransaction>")
    };
    let parameter = |name: &str, text: &str| filled(name, &filled("ID", text));
    let said = parameter("BusinessProcessSpecifiedDocumentContextParameter", about.process)
        + &parameter("GuidelineSpecifiedDocumentContextParameter", &about.specification);
    let context = filled("rsm:ExchangedDocumentContext", &said);
    format!(
        "<rsm:CrossIndustryInvoice xmlns:rsm=\"urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100\" \
         xmlns=\"urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100\" \
         xmlns:udt=\"urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100\">{context}{placed}\
         </rsm:CrossIndustryInvoice>"
    )
}

/// Judges the cases of a file, which has at least so many.
fn judge(file: usize, least: usize) {
    let (set, text) = FILES[file];
    let cases: Vec<_> = read(set, text).collect();
    let wrong: Vec<&str> = cases
        .iter()
        .filter(|(_, edge)| !edge.holds())
        .map(|(line, _)| *line)
        .collect();
    assert!(
        cases.len() >= least && wrong.is_empty(),
        "of {} cases:\n{}",
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn pieces_of_ubl() {
    judge(0, 60);
}

#[test]
fn pieces_of_cii() {
    judge(1, 150);
}

#[test]
fn pieces_of_xrechnung() {
    judge(2, 150);
}

#[test]
fn pieces_of_peppol() {
    judge(3, 1);
}

#[test]
fn no_case_stands_twice() {
    let mut seen = std::collections::HashSet::new();
    for edge in all() {
        let case = format!("{:?} {} {}", edge.set, edge.rule, edge.document);
        assert!(seen.insert(case), "{} twice: {}", edge.rule, edge.document);
    }
}
