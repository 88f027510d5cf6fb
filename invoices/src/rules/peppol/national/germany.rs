//! German rules of Peppol.

use super::*;

pub(in crate::rules::peppol) const GERMANY: Pattern = &[
    context!([inv:Invoice, cn:CreditNote] if |node, facts| node.is_root() && both_in(facts, "DE"); GERMAN_DOCUMENT),
    context!([cac:AccountingSupplierParty] if |_, facts| both_in(facts, "DE"); rules! { "DE-R-002", Fatal, |seller, _| seller.has(p!(cac:Party/cac:Contact)); }),
    context!([cac:PostalAddress] if |node, facts| both_in(facts, "DE") && node.inside(cac::Party).is_some_and(is_seller); rules! {
        "DE-R-003", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "DE-R-004", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:Contact] if |node, facts| both_in(facts, "DE") && node.inside(cac::Party).is_some_and(is_seller); rules! {
        "DE-R-005", Fatal, |contact, _| contact.any_filled(p!(cbc:Name));
        "DE-R-006", Fatal, |contact, _| contact.any_filled(p!(cbc:Telephone));
        "DE-R-007", Fatal, |contact, _| contact.any_filled(p!(cbc:ElectronicMail));
        "DE-R-027", Warning, |contact, _| is_telephone(&contact.clean_at(p!(cbc:Telephone)));
        "DE-R-028", Warning, |contact, _| is_email(&contact.clean_at(p!(cbc:ElectronicMail)));
    }),
    context!([cac:PostalAddress] if |node, facts| both_in(facts, "DE") && node.inside(cac::Party).is_some_and(is_buyer); rules! {
        "DE-R-008", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "DE-R-009", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:Address] if |node, facts| both_in(facts, "DE") && node.under(&[cac::Delivery, cac::DeliveryLocation]); rules! {
        "DE-R-010", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "DE-R-011", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:PaymentMeans] if |node, facts| both_in(facts, "DE") && node.clean_one_of(MEANS, &["30", "58"]); rules! {
        "DE-R-019", Warning, |means, _| !means.says(MEANS, "58") || is_iban(means.text_at(ACCOUNT).unwrap_or_default());
        "DE-R-023-1", Fatal, |means, _| means.has(p!(cac:PayeeFinancialAccount));
        "DE-R-023-2", Fatal, |means, _| !means.has(p!(cac:CardAccount)) && !means.has(p!(cac:PaymentMandate));
    }),
    context!([cac:PaymentMeans] if |node, facts| both_in(facts, "DE") && node.clean_one_of(MEANS, &["48", "54", "55"]); rules! {
        "DE-R-024-1", Fatal, |means, _| means.has(p!(cac:CardAccount));
        "DE-R-024-2", Fatal, |means, _| !means.has(p!(cac:PayeeFinancialAccount)) && !means.has(p!(cac:PaymentMandate));
    }),
    context!([cac:PaymentMeans] if |node, facts| both_in(facts, "DE") && node.clean_one_of(MEANS, &["59"]); rules! {
        "DE-R-020", Warning, |means, _| is_iban(means.text_at(p!(cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID)).unwrap_or_default());
        "DE-R-025-1", Fatal, |means, _| means.has(p!(cac:PaymentMandate));
        "DE-R-025-2", Fatal, |means, _| !means.has(p!(cac:PayeeFinancialAccount)) && !means.has(p!(cac:CardAccount));
    }),
    context!([cac:TaxSubtotal] if |_, facts| both_in(facts, "DE"); rules! { "DE-R-014", Fatal, |breakdown, _| breakdown.any_filled(p!(cac:TaxCategory/cbc:Percent)); }),
    context!([cac:ExternalReference] if |_, facts| both_in(facts, "DE"); rules! { "DE-R-T02", Warning, |reference, _| is_absolute_url(reference.text_at(p!(cbc:URI)).unwrap_or_default()); }),
];

pub(super) const GERMAN_DOCUMENT: &[Rule] = rules! {
    "DE-R-001", Fatal, |invoice, _| invoice.has(p!(cac:PaymentMeans));
    "DE-R-015", Fatal, |invoice, _| invoice.any_filled(p!(cbc:BuyerReference));
    "DE-R-016", Fatal, |invoice, facts| !uses_vat(invoice, facts) || invoice.has(p!(cac:TaxRepresentativeParty)) || invoice.any_filled(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme/cbc:CompanyID));
    "DE-R-017", Warning, |invoice, _| has_type(invoice, &["326", "380", "384", "389", "381", "875", "876", "877"]);
    "DE-R-018", Fatal, |invoice, _| discounts_are_statements(&invoice.at(p!(cac:PaymentTerms)).filter_map(|terms| terms.text_at(p!(cbc:Note))).collect::<Vec<_>>());
    "DE-R-022", Fatal, |invoice, _| file_names_are_unique(invoice.at(p!(cac:AdditionalDocumentReference/cac:Attachment/cbc:EmbeddedDocumentBinaryObject)).filter_map(|object| Some((0, object.attribute(at::filename)?))));
    "DE-R-026", Warning, |invoice, _| !has_type(invoice, &["384"]) || invoice.has(p!(cac:BillingReference/cac:InvoiceDocumentReference));
    "DE-R-030", Fatal, |invoice, _| !invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate)) || has_sepa(invoice);
    "DE-R-031", Fatal, |invoice, _| !invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate)) || invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID));
};

pub(super) fn has_type(invoice: Node<'_>, types: &[&str]) -> bool {
    invoice.clean_one_of(p!(cbc:InvoiceTypeCode), types) || invoice.clean_one_of(p!(cbc:CreditNoteTypeCode), types)
}

pub(super) fn uses_vat(invoice: Node<'_>, facts: &Facts<'_>) -> bool {
    const CODES: [&str; 8] = ["S", "Z", "E", "AE", "K", "G", "L", "M"];
    invoice
        .at(p!(cac:AllowanceCharge))
        .any(|node| node.says_one_of(p!(cac:TaxCategory/cbc:ID), &CODES))
        || facts
            .document
            .all(cac::ClassifiedTaxCategory)
            .any(|category| category.says_one_of(p!(cbc:ID), &CODES))
}

pub(super) fn has_sepa(invoice: Node<'_>) -> bool {
    let sepa = |id: Node<'_>| id.scheme() == Some("SEPA");
    invoice
        .at(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyIdentification/cbc:ID))
        .any(sepa)
        || invoice.at(p!(cac:PayeeParty/cac:PartyIdentification/cbc:ID)).any(sepa)
}
