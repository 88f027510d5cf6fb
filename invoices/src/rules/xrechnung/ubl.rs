//! XRechnung bound to UBL.

use rust_decimal::Decimal;

use crate::codes;
use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::rules::peppol::ubl as peppol;
use crate::rules::shared::{
    XRECHNUNG, XRECHNUNG_CVD, XRECHNUNG_EXTENSION, discounts_are_statements, file_names_are_unique, is_absolute_url,
    is_email, is_iban, is_telephone, profile,
};
use crate::syntax::Syntax;
use crate::xml::{Node, Path, at, cac, normalize, p, round_cents, two_decimals};

pub(super) const PATTERNS: &[Pattern] = &[peppol::EMPTY, peppol::XRECHNUNG, GERMAN, EXTENSION, VEHICLES];

const GERMAN: Pattern = &[
    context!([inv:Invoice, cn:CreditNote] if |node, _| node.is_root(); DOCUMENT),
    context!([cac:ExternalReference] if |node, _| of_document(node, &[cac::AdditionalDocumentReference, cac::Attachment]); rules! {
        "BR-TMP-2", Warning, |reference, _| is_absolute_url(reference.text_at(p!(cbc:URI)).unwrap_or_default());
    }),
    context!([cac:AccountingSupplierParty] if |node, _| of_document(node, &[]); rules! {
        "BR-DE-2", Fatal, |seller, _| seller.has(p!(cac:Party/cac:Contact));
    }),
    context!([cac:PostalAddress] if |node, _| of_document(node, &[cac::AccountingSupplierParty, cac::Party]); rules! {
        "BR-DE-3", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "BR-DE-4", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:Contact] if |node, _| of_document(node, &[cac::AccountingSupplierParty, cac::Party]); rules! {
        "BR-DE-5", Fatal, |contact, _| contact.any_filled(p!(cbc:Name));
        "BR-DE-6", Fatal, |contact, _| contact.any_filled(p!(cbc:Telephone));
        "BR-DE-7", Fatal, |contact, _| contact.any_filled(p!(cbc:ElectronicMail));
        "BR-DE-27", Warning, |contact, _| is_telephone(&contact.clean_at(p!(cbc:Telephone)));
        "BR-DE-28", Warning, |contact, _| is_email(&contact.clean_at(p!(cbc:ElectronicMail)));
    }),
    context!([cac:PostalAddress] if |node, _| of_document(node, &[cac::AccountingCustomerParty, cac::Party]); rules! {
        "BR-DE-8", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "BR-DE-9", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:Address] if |node, _| of_document(node, &[cac::Delivery, cac::DeliveryLocation]); rules! {
        "BR-DE-10", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "BR-DE-11", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:PaymentMeans] if |node, _| pays_by(node, &["30", "58"]); rules! {
        "BR-DE-19", Warning, |means, _| !pays_by(means, &["58"]) || is_iban(means.text_at(p!(cac:PayeeFinancialAccount/cbc:ID)).unwrap_or_default());
        "BR-DE-23-a", Fatal, |means, _| means.has(p!(cac:PayeeFinancialAccount));
        "BR-DE-23-b", Fatal, |means, _| !means.has(p!(cac:CardAccount)) && !means.has(p!(cac:PaymentMandate));
    }),
    context!([cac:PaymentMeans] if |node, _| pays_by(node, &["48", "54", "55"]); rules! {
        "BR-DE-24-a", Fatal, |means, _| means.has(p!(cac:CardAccount));
        "BR-DE-24-b", Fatal, |means, _| !means.has(p!(cac:PayeeFinancialAccount)) && !means.has(p!(cac:PaymentMandate));
    }),
    context!([cac:PaymentMeans] if |node, _| pays_by(node, &["59"]); rules! {
        "BR-DE-20", Warning, |means, _| is_iban(means.text_at(p!(cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID)).unwrap_or_default());
        "BR-DE-25-a", Fatal, |means, _| means.has(p!(cac:PaymentMandate));
        "BR-DE-25-b", Fatal, |means, _| !means.has(p!(cac:PayeeFinancialAccount)) && !means.has(p!(cac:CardAccount));
    }),
    context!([cac:TaxSubtotal] if |node, _| of_document(node, &[cac::TaxTotal]); rules! {
        "BR-DE-14", Fatal, |breakdown, _| breakdown.any_filled(p!(cac:TaxCategory/cbc:Percent));
    }),
];

const DOCUMENT: &[Rule] = rules! {
    "BR-DE-1", Fatal, |invoice, _| invoice.has(p!(cac:PaymentMeans));
    "BR-DE-15", Fatal, |invoice, _| invoice.any_filled(p!(cbc:BuyerReference));
    "BR-DE-16", Fatal, |invoice, _| !charges_vat(invoice) || invoice.has(p!(cac:TaxRepresentativeParty))
        || invoice.any_filled(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme/cbc:CompanyID));
    "BR-DE-17", Warning, |invoice, _| has_type(invoice, &["326", "380", "384", "389", "381", "875", "876", "877"]);
    "BR-DE-18", Fatal, |invoice, _| discounts_are_statements(&payment_terms(invoice));
    "BR-DE-21", Warning, |invoice, _| invoice.says_one_of(p!(cbc:CustomizationID), &[XRECHNUNG, XRECHNUNG_EXTENSION, XRECHNUNG_CVD]);
    "BR-DE-22", Fatal, |invoice, _| attachments_have_unique_names(invoice);
    "BR-DE-26", Warning, |invoice, _| !has_type(invoice, &["384"]) || invoice.has(p!(cac:BillingReference/cac:InvoiceDocumentReference));
    "BR-DE-30", Fatal, |invoice, _| !invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate)) || has_creditor_identifier(invoice);
    "BR-DE-31", Fatal, |invoice, _| !invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate))
        || invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID));
    "BR-DE-TMP-32", Information, |invoice, _| says_when_delivered(invoice);
};

const EXTENSION: Pattern = &[
    context!([cbc:EmbeddedDocumentBinaryObject] if |_, facts| profile(facts).extension; rules! {
        "BR-DEX-01", Fatal, |object, _| object.attribute(at::mimeCode).is_some_and(|kind| kind == "application/xml" || codes::MIME_TYPES.contains(&kind));
    }),
    context!([inv:Invoice] if |node, facts| node.is_root() && profile(facts).extension; rules! {
        "BR-DEX-02", Warning, |invoice, facts| sub_lines_add_up(invoice, facts);
        "BR-DEX-03", Fatal, |_, facts| facts.document.all(cac::SubInvoiceLine).flat_map(|line| line.at(p!(cac:Item))).all(|item| item.count(p!(cac:ClassifiedTaxCategory)) == 1);
    }),
    context!([cac:LegalMonetaryTotal] if |_, facts| profile(facts).extension; rules! {
        "BR-DEX-09", Fatal, |totals, _| due_counts_third_party_payments(totals);
    }),
    context!([cbc:ID] if |id, facts| has_scheme(id, facts) && id.inside(cac::PartyIdentification).is_some(); rules! {
        "BR-DEX-04", Fatal, |id, _| is_extended_scheme(id) || may_be_sepa(id);
    }),
    context!([cbc:CompanyID] if |id, facts| has_scheme(id, facts) && id.inside(cac::PartyLegalEntity).is_some(); rules! {
        "BR-DEX-05", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([cbc:ID] if |id, facts| has_scheme(id, facts) && id.inside(cac::StandardItemIdentification).is_some(); rules! {
        "BR-DEX-06", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([cbc:EndpointID] if has_scheme; rules! {
        "BR-DEX-07", Fatal, |id, _| codes::ADDRESSES.has(id.scheme().unwrap_or_default()) || is_health_application(id);
    }),
    context!([cbc:ID] if |id, facts| has_scheme(id, facts) && id.inside(cac::DeliveryLocation).is_some(); rules! {
        "BR-DEX-08", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([cac:PrepaidPayment] if |node, facts| facts.syntax == Syntax::UblInvoice && of_document(node, &[]) && profile(facts).extension; rules! {
        "BR-DEX-10", Fatal, |payment, _| payment.any_filled(p!(cbc:ID));
        "BR-DEX-11", Fatal, |payment, _| payment.any_filled(p!(cbc:PaidAmount));
        "BR-DEX-12", Fatal, |payment, _| payment.any_filled(p!(cbc:InstructionID));
        "BR-DEX-13", Fatal, |payment, _| payment.text_at(p!(cbc:PaidAmount)).is_none_or(two_decimals);
        "BR-DEX-14", Fatal, |payment, facts| payment.at(p!(cbc:PaidAmount)).any(|amount| {
            let currency = amount.attribute(at::currencyID);
            currency.is_some() && currency == facts.root().text_at(p!(cbc:DocumentCurrencyCode))
        });
    }),
];

const VEHICLES: Pattern = &[
    context!([inv:Invoice, cn:CreditNote] if |node, facts| node.is_root() && profile(facts).vehicles; rules! {
        "BR-DE-CVD-02", Fatal, |invoice, _| invoice.any_filled(p!(cac:OriginatorDocumentReference/cbc:ID));
        "BR-DE-CVD-01", Fatal, |invoice, _| invoice.any_filled(p!(cac:ContractDocumentReference/cbc:ID));
        "BR-DE-CVD-03", Fatal, |invoice, _| items(invoice).any(|item| vehicle_codes(item) > 0 && item.says(p!(cac:AdditionalItemProperty/cbc:Name), "cva"));
    }),
    context!([cac:Item] if |item, facts| is_vehicle_item(item, facts); rules! {
        "BR-DE-CVD-06-a", Fatal, |item, _| vehicle_codes(item) == 0 || vehicle_kinds(item) == 1;
        "BR-DE-CVD-06-b", Fatal, |item, _| vehicle_kinds(item) == 0 || vehicle_codes(item) == 1;
    }),
    context!([cbc:ItemClassificationCode] if |code, facts| code.inside(cac::CommodityClassification).and_then(Node::parent).is_some_and(|item| is_vehicle_item(item, facts)); rules! {
        "BR-TMP-CVD-01", Fatal, |code, _| list(code) == "CVD" || codes::CLASSIFICATIONS.has(&list(code));
        "BR-DE-CVD-04", Fatal, |code, _| list(code) != "CVD" || ["M1", "M2", "M3", "N1", "N2", "N3"].contains(&&*code.clean());
    }),
    context!([cac:AdditionalItemProperty] if |property, facts| property.says(p!(cbc:Name), "cva") && property.parent().is_some_and(|item| is_vehicle_item(item, facts)); rules! {
        "BR-DE-CVD-05", Fatal, |property, _| property.clean_one_of(p!(cbc:Value), &["clean", "zero-emission", "other"]);
    }),
];

/// Below the root, with these elements between.
fn of_document(node: Node<'_>, between: &[crate::xml::Name]) -> bool {
    let mut node = node;
    for name in between.iter().rev() {
        match node.inside(*name) {
            Some(parent) => node = parent,
            None => return false,
        }
    }
    node.parent().is_some_and(Node::is_root)
}

fn pays_by(means: Node<'_>, codes: &[&str]) -> bool {
    of_document(means, &[]) && means.clean_one_of(p!(cbc:PaymentMeansCode), codes)
}

fn has_type(invoice: Node<'_>, types: &[&str]) -> bool {
    invoice.clean_one_of(p!(cbc:InvoiceTypeCode), types) || invoice.clean_one_of(p!(cbc:CreditNoteTypeCode), types)
}

/// Some line, allowance or charge has a category in which VAT plays a part.
fn charges_vat(invoice: Node<'_>) -> bool {
    const CODES: [&str; 8] = ["S", "Z", "E", "AE", "K", "G", "L", "M"];
    let adjusts = |node: Node<'_>| {
        node.says_one_of(p!(cbc:ChargeIndicator), &["true", "false"])
            && node.says_one_of(p!(cac:TaxCategory/cbc:ID), &CODES)
    };
    invoice.at(p!(cac:AllowanceCharge)).any(adjusts)
        || items(invoice).any(|item| item.says_one_of(p!(cac:ClassifiedTaxCategory/cbc:ID), &CODES))
}

fn payment_terms(invoice: Node<'_>) -> Vec<&str> {
    invoice
        .at(p!(cac:PaymentTerms))
        .filter_map(|terms| terms.text_at(p!(cbc:Note)))
        .collect()
}

fn attachments_have_unique_names(invoice: Node<'_>) -> bool {
    const OBJECT: Path = p!(cac:Attachment/cbc:EmbeddedDocumentBinaryObject);
    let objects = invoice
        .at(p!(cac:AdditionalDocumentReference))
        .filter_map(|reference| reference.first(OBJECT));
    file_names_are_unique(objects.filter_map(|object| Some((0, object.attribute(at::filename)?))))
}

fn has_creditor_identifier(invoice: Node<'_>) -> bool {
    let sepa = |id: Node<'_>| id.scheme() == Some("SEPA");
    invoice
        .at(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyIdentification/cbc:ID))
        .any(sepa)
        || invoice.at(p!(cac:PayeeParty/cac:PartyIdentification/cbc:ID)).any(sepa)
}

fn says_when_delivered(invoice: Node<'_>) -> bool {
    invoice.has(p!(cac:Delivery/cbc:ActualDeliveryDate))
        || invoice.has(p!(cac:InvoicePeriod))
        || lines(invoice).all(|line| line.has(p!(cac:InvoicePeriod)))
}

fn lines(invoice: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    invoice
        .at(p!(cac:InvoiceLine))
        .chain(invoice.at(p!(cac:CreditNoteLine)))
}

fn items(invoice: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    lines(invoice).flat_map(|line| line.at(p!(cac:Item)))
}

/// The amount of a line with lines below it is their sum.
fn sub_lines_add_up(invoice: Node<'_>, facts: &Facts<'_>) -> bool {
    let fine = |line: Node<'_>| {
        let amount = line.decimal_at(p!(cbc:LineExtensionAmount));
        !line.has(p!(cac:SubInvoiceLine))
            || amount.is_some() && amount == line.sum(p!(cac:SubInvoiceLine/cbc:LineExtensionAmount))
    };
    invoice.at(p!(cac:InvoiceLine)).all(fine) && facts.document.all(cac::SubInvoiceLine).all(fine)
}

fn due_counts_third_party_payments(totals: Node<'_>) -> bool {
    let optional = |path: Path| {
        if totals.has(path) {
            totals.decimal_at(path)
        } else {
            Some(Decimal::ZERO)
        }
    };
    let parent = totals.parent();
    let paid_for_others = parent.map_or(Some(Decimal::ZERO), |parent| {
        let path = p!(cac:PrepaidPayment/cbc:PaidAmount);
        if parent.any_filled(path) {
            parent.sum(path)
        } else {
            Some(Decimal::ZERO)
        }
    });
    let due = || {
        totals
            .decimal_at(p!(cbc:PayableAmount))?
            .checked_sub(optional(p!(cbc:PayableRoundingAmount))?)
    };
    let expected = || {
        let gross = totals.decimal_at(p!(cbc:TaxInclusiveAmount))?;
        gross
            .checked_sub(optional(p!(cbc:PrepaidAmount))?)?
            .checked_add(paid_for_others?)
    };
    due()
        .zip(expected())
        .is_some_and(|(due, expected)| round_cents(due) == round_cents(expected))
}

fn has_scheme(id: Node<'_>, facts: &Facts<'_>) -> bool {
    id.scheme().is_some() && profile(facts).extension
}

/// Schemes of digital health applications, which the extension adds.
fn is_health_application(id: Node<'_>) -> bool {
    ["XR01", "XR02", "XR03"].contains(&&*normalize(id.scheme().unwrap_or_default()))
}

fn is_extended_scheme(id: Node<'_>) -> bool {
    codes::SCHEMES.has(id.scheme().unwrap_or_default()) || is_health_application(id)
}

fn may_be_sepa(id: Node<'_>) -> bool {
    normalize(id.scheme().unwrap_or_default()) == "SEPA"
        && (id.has_ancestor(cac::AccountingSupplierParty) || id.has_ancestor(cac::PayeeParty))
}

fn is_vehicle_item(item: Node<'_>, facts: &Facts<'_>) -> bool {
    let line = item
        .inside(cac::InvoiceLine)
        .or_else(|| item.inside(cac::CreditNoteLine));
    profile(facts).vehicles && item.name() == cac::Item && line.and_then(Node::parent).is_some_and(Node::is_root)
}

fn vehicle_codes(item: Node<'_>) -> usize {
    let codes = item.at(p!(cac:CommodityClassification/cbc:ItemClassificationCode));
    codes.filter(|code| code.attribute(at::listID) == Some("CVD")).count()
}

fn vehicle_kinds(item: Node<'_>) -> usize {
    item.at(p!(cac:AdditionalItemProperty))
        .filter(|property| property.says(p!(cbc:Name), "cva"))
        .count()
}

fn list(code: Node<'_>) -> std::borrow::Cow<'_, str> {
    normalize(code.attribute(at::listID).unwrap_or_default())
}
