//! What XRechnung and Peppol share: checks of single values, and what a document says of itself.

use std::collections::HashSet;

use rust_decimal::Decimal;

use crate::engine::Facts;
use crate::syntax::Syntax;
use crate::xml::{Node, at, p};

/// XRechnung 3.0.
pub(crate) const XRECHNUNG: &str = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0";
/// Its extension.
pub(crate) const XRECHNUNG_EXTENSION: &str = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0#conformant#urn:xeinkauf.de:kosit:extension:xrechnung_3.0";
/// Its usage for clean vehicles.
pub(crate) const XRECHNUNG_CVD: &str = "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0#compliant#urn:xeinkauf.de:kosit:xrechnung:cvd_0.9";

/// What a document says of its profile, its parties' countries and its currency.
pub(crate) struct ProfileFacts {
    pub extension: bool,
    pub vehicles: bool,
    /// Two letters; `XX` if nothing says it.
    pub supplier: String,
    pub customer: String,
    /// Countries of the postal addresses.
    pub supplier_address: String,
    pub customer_address: String,
    pub representative_address: String,
    /// Number of the Peppol billing process.
    pub process: Option<String>,
    /// How far a product may be off: half a unit in forint, two cents elsewhere.
    pub slack: Decimal,
}

/// The profile facts of a document.
pub(super) fn profile<'f>(facts: &'f Facts<'_>) -> &'f ProfileFacts {
    facts.profile.get_or_init(|| match facts.syntax {
        Syntax::Cii => of_cii(facts.root()),
        Syntax::UblInvoice | Syntax::UblCreditNote => of_ubl(facts.root()),
    })
}

fn slack(currency: Option<&str>) -> Decimal {
    if currency == Some("HUF") {
        Decimal::new(5, 1)
    } else {
        Decimal::new(2, 2)
    }
}

/// `urn:fdc:peppol.eu:2017:poacc:billing:NN:1.0` somewhere in the process identifier.
fn process(id: &str) -> Option<String> {
    let (_, rest) = id.split_once("urn:fdc:peppol.eu:2017:poacc:billing:")?;
    let number = rest.get(..2)?;
    let fits = number.bytes().all(|byte| byte.is_ascii_digit()) && rest[2..].starts_with(":1.0");
    fits.then(|| number.to_owned())
}

fn upper(text: &str) -> String {
    crate::xml::normalize(text).to_uppercase()
}

fn first_two(text: &str) -> String {
    text.chars().take(2).collect()
}

fn of_ubl(root: Node<'_>) -> ProfileFacts {
    let vat = |path| {
        let of_vat = |scheme: &Node<'_>| scheme.says(p!(cac:TaxScheme/cbc:ID), "VAT");
        root.at(path)
            .find(of_vat)
            .map(|scheme| upper(&first_two(scheme.text_at(p!(cbc:CompanyID)).unwrap_or_default())))
    };
    let address = |path| root.text_at(path).map(upper);
    let supplier_address =
        address(p!(cac:AccountingSupplierParty/cac:Party/cac:PostalAddress/cac:Country/cbc:IdentificationCode));
    let customer_address =
        address(p!(cac:AccountingCustomerParty/cac:Party/cac:PostalAddress/cac:Country/cbc:IdentificationCode));
    let unknown = || "XX".to_owned();
    ProfileFacts {
        extension: root.says(p!(cbc:CustomizationID), XRECHNUNG_EXTENSION),
        vehicles: root.says(p!(cbc:CustomizationID), XRECHNUNG_CVD),
        supplier: vat(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme))
            .or_else(|| vat(p!(cac:TaxRepresentativeParty/cac:PartyTaxScheme)))
            .or_else(|| supplier_address.clone())
            .unwrap_or_else(unknown),
        customer: vat(p!(cac:AccountingCustomerParty/cac:Party/cac:PartyTaxScheme))
            .or_else(|| customer_address.clone())
            .unwrap_or_else(unknown),
        supplier_address: supplier_address.unwrap_or_default(),
        customer_address: customer_address.unwrap_or_default(),
        representative_address: address(
            p!(cac:TaxRepresentativeParty/cac:PostalAddress/cac:Country/cbc:IdentificationCode),
        )
        .unwrap_or_default(),
        process: process(&root.clean_at(p!(cbc:ProfileID))),
        slack: slack(root.text_at(p!(cbc:DocumentCurrencyCode))),
    }
}

fn of_cii(root: Node<'_>) -> ProfileFacts {
    let guideline = p!(rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID);
    let address = |path| root.text_at(path).map(upper).unwrap_or_default();
    let supplier = address(
        p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty/ram:PostalTradeAddress/ram:CountryID),
    );
    let customer = address(
        p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty/ram:PostalTradeAddress/ram:CountryID),
    );
    let currency = p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:InvoiceCurrencyCode);
    ProfileFacts {
        extension: root.says(guideline, XRECHNUNG_EXTENSION),
        vehicles: root.says(guideline, XRECHNUNG_CVD),
        supplier: supplier.clone(),
        customer: customer.clone(),
        supplier_address: supplier,
        customer_address: customer,
        representative_address: address(
            p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTaxRepresentativeTradeParty/ram:PostalTradeAddress/ram:CountryID),
        ),
        process: process(
            &root
                .clean_at(p!(rsm:ExchangedDocumentContext/ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID)),
        ),
        slack: slack(root.text_at(currency)),
    }
}

/// Not further apart than the slack.
pub(super) fn near(value: Decimal, expected: Decimal, slack: Decimal) -> bool {
    value
        .checked_sub(expected)
        .is_some_and(|distance| distance.abs() <= slack)
}

/// An IBAN without its white space: form and check digits.
pub(super) fn is_iban(text: &str) -> bool {
    let iban: String = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '\t' | '\n' | '\r'))
        .collect();
    let bytes = iban.as_bytes();
    let form = (4..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes[4..].iter().all(u8::is_ascii_alphanumeric);
    if !form {
        return false;
    }
    let letters = bytes[4..].iter().chain(&bytes[..4]);
    let rest = letters.fold(0_u32, |rest, letter| {
        let value = u32::from(*letter) - if *letter > 64 { 55 } else { 48 };
        if value > 9 {
            (rest * 100 + value) % 97
        } else {
            (rest * 10 + value) % 97
        }
    });
    rest == 1
}

/// At least three digits.
pub(super) fn is_telephone(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 3
}

/// One `@` with something before it and a domain of at least two labels behind it.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |part: &str| !part.is_empty() && !part.contains(['@', ' ', '\t', '\n', '\r']);
    plain(local) && domain.contains('.') && domain.split('.').all(plain)
}

/// A scheme of at least two characters and a colon.
pub(super) fn is_absolute_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() >= 2
            && scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'))
    })
}

/// Cash discounts in payment terms: each line that starts with `#` is a whole statement, and a line break follows.
pub(super) fn discounts_are_statements(notes: &[&str]) -> bool {
    let mut statements = notes
        .iter()
        .flat_map(|note| note.lines())
        .filter(|line| crate::xml::trim(line).starts_with('#'))
        .peekable();
    if statements.peek().is_none() {
        return true;
    }
    let ended = notes.len() == 1 && notes.first().is_some_and(|note| line_break_follows(note));
    ended && statements.all(|line| is_discount(&crate::xml::normalize(line)))
}

/// `#SKONTO#TAGE=14#PROZENT=2.00#BASISBETRAG=100.00#`, the base being optional.
fn is_discount(line: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let cents = |text: &str| {
        text.split_once('.')
            .is_some_and(|(whole, rest)| digits(whole) && digits(rest) && rest.len() == 2)
    };
    let Some(segments) = line.strip_prefix("#SKONTO#").and_then(|line| line.strip_suffix('#')) else {
        return false;
    };
    let mut segments = segments.split('#');
    let days = segments
        .next()
        .and_then(|segment| segment.strip_prefix("TAGE="))
        .is_some_and(digits);
    let percent = segments
        .next()
        .and_then(|segment| segment.strip_prefix("PROZENT="))
        .is_some_and(cents);
    let base = segments.next().is_none_or(|segment| {
        segment
            .strip_prefix("BASISBETRAG=")
            .is_some_and(|base| cents(base.strip_prefix('-').unwrap_or(base)))
    });
    days && percent && base && segments.next().is_none()
}

/// What follows the last `#…#` starts with white space that holds a line break.
fn line_break_follows(note: &str) -> bool {
    let mut tail = note;
    let mut at = 0;
    for line in note.split_inclusive('\n') {
        let (first, last) = (line.find('#'), line.rfind('#'));
        if let (Some(first), Some(last)) = (first, last)
            && last > first + 1
        {
            tail = &note[at + last + 1..];
        }
        at += line.len();
    }
    let space = tail.len() - tail.trim_start_matches([' ', '\t', '\n', '\r']).len();
    tail[..space].contains('\n')
}

/// No two attachments have the same file name.
pub(super) fn file_names_are_unique<'d>(names: impl Iterator<Item = (usize, &'d str)>) -> bool {
    let mut seen = HashSet::new();
    let mut unique = true;
    for (owner, name) in names {
        unique &= seen.insert((owner, name));
    }
    unique
}

/// No text and no element inside.
pub(super) fn is_empty(node: Node<'_>) -> bool {
    node.first_child().is_none() && crate::xml::trim(node.text()).is_empty()
}

/// `xs:decimal(path)`, or something else where nothing stands there.
pub(super) fn decimal_or<'d>(node: Node<'d>, path: crate::xml::Path, other: Decimal) -> Option<Decimal> {
    if node.has(path) {
        node.decimal_at(path)
    } else {
        Some(other)
    }
}

/// Sum of the allowances or charges of a line, by the text of the indicator.
pub(super) fn adjustments<'d>(
    line: Node<'d>,
    groups: crate::xml::Path,
    indicator: crate::xml::Path,
    amount: crate::xml::Path,
    is: &str,
) -> Option<Decimal> {
    let mut amounts = line
        .at(groups)
        .filter(|group| group.clean_at(indicator) == is)
        .flat_map(|group| group.at(amount));
    amounts
        .try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount.decimal()?))
        .map(crate::xml::round_cents)
}

/// Quantity times price of one unit, plus charges, less allowances.
pub(super) struct LineParts {
    pub net: Option<Decimal>,
    pub quantity: Option<Decimal>,
    pub price: Option<Decimal>,
    pub base: Option<Decimal>,
    pub charges: Option<Decimal>,
    pub allowances: Option<Decimal>,
}

impl LineParts {
    /// Whether the net amount is what the parts give.
    pub(super) fn add_up(&self, slack: Decimal) -> bool {
        let expected = || {
            let price = self.price?.checked_div(self.base?)?;
            self.quantity?
                .checked_mul(price)?
                .checked_add(self.charges?)?
                .checked_sub(self.allowances?)
        };
        self.net
            .zip(expected())
            .is_some_and(|(net, expected)| near(net, expected, slack))
    }
}

/// `@currencyID` equals the text at a path of the document.
pub(super) fn in_currency(amount: Node<'_>, currency: &str) -> bool {
    amount.attribute(at::currencyID) == Some(currency)
}
