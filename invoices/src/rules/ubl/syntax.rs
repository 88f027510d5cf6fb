//! The syntax binding to UBL: what the tables cannot say, and where each table applies.

use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::syntax::Syntax;
use crate::xml::{Node, Path, at, cac, cbc, p, two_decimals};

use super::document::{is_allowance, is_charge};

pub(super) const PATTERN: Pattern = &[
    context!([cac:PostalAddress, cac:Address]; ADDRESS),
    context!([cac:Party] in [cac:AccountingSupplierParty], table "seller";),
    context!([cac:AdditionalDocumentReference], table "additional-reference"; SUPPORTING_DOCUMENT),
    context!("Amount" if is_amount; AMOUNT),
    context!("BinaryObject"; BINARY_OBJECT),
    context!([cac:Delivery], table "delivery";),
    context!([cac:AllowanceCharge] if |node, _| is_allowance(node), table "allowance";),
    context!([cac:AllowanceCharge] if |node, _| is_charge(node), table "charge";),
    context!([cac:PartyTaxScheme]; TAX_SCHEME),
    context!([inv:Invoice, cn:CreditNote] if |node, _| node.is_root(), table "document"; DOCUMENT),
    context!([cac:InvoiceLine, cac:CreditNoteLine], table "line";),
    context!([cac:PayeeParty]; PAYEE),
    context!([cac:PaymentMeans], table "payment-means";),
    context!([cac:BillingReference], table "billing-reference"; PRECEDING_INVOICE),
    context!([cac:TaxRepresentativeParty], table "tax-representative";),
    context!([cac:TaxSubtotal], table "tax-subtotal";),
];

const ADDRESS: &[Rule] = rules! {
    "UBL-SR-51", Fatal, |address, _| address.count(p!(cac:AddressLine)) <= 1;
};

const SUPPORTING_DOCUMENT: &[Rule] = rules! {
    "UBL-SR-43", Fatal, |reference, facts| scheme_only_for_invoiced_objects(reference, facts);
};

const AMOUNT: &[Rule] = rules! {
    "UBL-DT-01", Fatal, |amount, _| two_decimals(amount.text());
};

const BINARY_OBJECT: &[Rule] = rules! {
    "UBL-DT-06", Fatal, |object, _| object.attribute(at::mimeCode).is_some();
    "UBL-DT-07", Fatal, |object, _| object.attribute(at::filename).is_some();
};

const TAX_SCHEME: &[Rule] = rules! {
    "UBL-SR-53", Fatal, |scheme, _| scheme.has(p!(cac:TaxScheme/cbc:ID)) && scheme.has(p!(cbc:CompanyID));
};

const DOCUMENT: &[Rule] = rules! {
    "UBL-CR-002", Warning, |invoice, _| !invoice.has(p!(cbc:UBLVersionID)) || invoice.says(p!(cbc:UBLVersionID), "2.1");
    "UBL-CR-412", Warning, |invoice, facts| facts.syntax == Syntax::UblCreditNote || !invoice.has(p!(cac:PaymentMeans/cbc:PaymentDueDate));
    "UBL-CR-665", Warning, |_, facts| !references(facts, false).any(|reference| reference.at(p!(cbc:ID)).any(|id| id.scheme().is_some()));
    "UBL-CR-666", Fatal, |_, facts| !references(facts, true).any(|reference| reference.has(p!(cac:Attachment)));
    "UBL-CR-673", Fatal, |_, facts| !references(facts, true).any(|reference| reference.has(p!(cbc:DocumentDescription)));
    "UBL-DT-18", Warning, |_, facts| only_payment_means_have_names(facts);
    "UBL-SR-04", Fatal, |invoice, _| invoiced_objects(invoice) <= 1;
    "UBL-SR-12", Fatal, |invoice, _| tax_identifiers(invoice, p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme), true) <= 1;
    "UBL-SR-13", Fatal, |invoice, _| tax_identifiers(invoice, p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme), false) <= 1;
    "UBL-SR-18", Fatal, |invoice, _| tax_identifiers(invoice, p!(cac:AccountingCustomerParty/cac:Party/cac:PartyTaxScheme), true) <= 1;
    "UBL-SR-29", Fatal, |_, facts| creditor_identifiers(facts) <= 1;
    "UBL-SR-44", Fatal, |_, facts| all_the_same(facts.document.all(cbc::PaymentID));
    "UBL-SR-47", Fatal, |_, facts| all_the_same(facts.document.all(cbc::PaymentMeansCode));
};

const PAYEE: &[Rule] = rules! {
    "UBL-SR-19", Fatal, |payee, _| payee.count(p!(cac:PartyName/cbc:Name)) <= 1 && is_not_the_seller(payee);
    "UBL-SR-20", Fatal, |payee, _| other_identifiers(payee) <= 1 && is_not_the_seller(payee);
    "UBL-SR-21", Fatal, |payee, _| payee.count(p!(cac:PartyLegalEntity/cbc:CompanyID)) <= 1 && is_not_the_seller(payee);
};

const PRECEDING_INVOICE: &[Rule] = rules! {
    "UBL-SR-07", Fatal, |reference, _| reference.has(p!(cac:InvoiceDocumentReference/cbc:ID));
};

/// The end of a name, also of names that nothing here knows.
fn ends_with(node: Node<'_>, end: &str) -> bool {
    let local = node.name().local();
    if local.is_empty() {
        node.written().ends_with(end)
    } else {
        local.ends_with(end)
    }
}

/// Any amount but prices, and but amounts beside the allowance of a price.
fn is_amount(node: Node<'_>, _: &Facts<'_>) -> bool {
    !ends_with(node, "PriceAmount") && {
        let mut above = std::iter::successors(node.parent(), |node| node.parent());
        !above.any(|node| node.name() == cac::Price && node.has(p!(cac:AllowanceCharge)))
    }
}

fn scheme_only_for_invoiced_objects(reference: Node<'_>, facts: &Facts<'_>) -> bool {
    let kind = p!(cbc:DocumentTypeCode);
    reference.says(kind, "130")
        || facts.syntax == Syntax::UblCreditNote && reference.says(kind, "50")
        || !reference.has(kind) && !reference.at(p!(cbc:ID)).any(|id| id.scheme().is_some())
}

/// References to an invoiced object (type 130), or all others.
fn references<'d>(facts: &Facts<'d>, invoiced_object: bool) -> impl Iterator<Item = Node<'d>> {
    facts
        .document
        .all(cac::AdditionalDocumentReference)
        .filter(move |reference| {
            let mut kinds = reference
                .at(p!(cbc:DocumentTypeCode))
                .map(|kind| kind.text() == "130")
                .peekable();
            if invoiced_object {
                kinds.any(|object| object)
            } else {
                kinds.peek().is_none() || kinds.any(|object| !object)
            }
        })
}

fn only_payment_means_have_names(facts: &Facts<'_>) -> bool {
    let codes = facts
        .document
        .all(cbc::PaymentMeansCode)
        .filter(|code| code.attribute(at::name).is_some())
        .count();
    facts.document.attribute_count(at::name) <= codes
}

fn invoiced_objects(invoice: Node<'_>) -> usize {
    let references = invoice
        .at(p!(cac:AdditionalDocumentReference))
        .filter(|reference| reference.says(p!(cbc:DocumentTypeCode), "130"));
    references.map(|reference| reference.count(p!(cbc:ID))).sum()
}

/// Identifiers of a party whose scheme is VAT, or is not.
fn tax_identifiers(invoice: Node<'_>, path: Path, vat: bool) -> usize {
    let fits = |scheme: Node<'_>| (scheme.text_at(p!(cbc:ID)).unwrap_or_default().to_uppercase() == "VAT") == vat;
    let schemes = invoice.at(path).filter(|party| party.at(p!(cac:TaxScheme)).any(fits));
    schemes.map(|scheme| scheme.count(p!(cbc:CompanyID))).sum()
}

fn is_sepa(id: &Node<'_>) -> bool {
    id.scheme().is_some_and(|scheme| scheme.eq_ignore_ascii_case("SEPA"))
}

fn creditor_identifiers(facts: &Facts<'_>) -> usize {
    facts
        .document
        .all(cac::PartyIdentification)
        .flat_map(|party| party.at(p!(cbc:ID)))
        .filter(is_sepa)
        .count()
}

fn all_the_same<'d>(mut nodes: impl Iterator<Item = Node<'d>>) -> bool {
    let first = nodes.next().map(Node::text);
    nodes.all(|node| Some(node.text()) == first)
}

/// Some name of the payee differs from some name of the seller, as the artefact compares.
fn is_not_the_seller(payee: Node<'_>) -> bool {
    let Some(parent) = payee.parent() else { return false };
    payee.at(p!(cac:PartyName/cbc:Name)).any(|name| {
        parent
            .at(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyLegalEntity/cbc:RegistrationName))
            .any(|seller| seller.text() != name.text())
    })
}

fn other_identifiers(payee: Node<'_>) -> usize {
    payee
        .at(p!(cac:PartyIdentification/cbc:ID))
        .filter(|id| id.scheme().is_some() && !is_sepa(id))
        .count()
}
