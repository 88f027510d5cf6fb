//! What XRechnung and Peppol share: checks of single values, and what a document says of itself.

mod texts;

use std::collections::HashSet;

use rust_decimal::Decimal;

use crate::engine::Facts;
use crate::syntax::Syntax;
use crate::xml::{Node, at, p};
pub(super) use texts::{discounts_are_statements, is_absolute_url, is_email, is_iban, is_telephone};

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
    /// Two letters; empty if nothing says it.
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
    ProfileFacts {
        extension: root.says(p!(cbc:CustomizationID), XRECHNUNG_EXTENSION),
        vehicles: root.says(p!(cbc:CustomizationID), XRECHNUNG_CVD),
        supplier: vat(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme))
            .or_else(|| vat(p!(cac:TaxRepresentativeParty/cac:PartyTaxScheme)))
            .or_else(|| supplier_address.clone())
            .unwrap_or_default(),
        customer: vat(p!(cac:AccountingCustomerParty/cac:Party/cac:PartyTaxScheme))
            .or_else(|| customer_address.clone())
            .unwrap_or_default(),
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
