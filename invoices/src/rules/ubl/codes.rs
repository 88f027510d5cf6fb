//! Rules about code lists in UBL.

use crate::codes;
use crate::engine::{Facts, Pattern, context, rules};
use crate::xml::{Node, Path, at, cac, cbc, normalize, p};

use super::document::{is_allowance, is_charge};

pub(super) const PATTERN: Pattern = &[
    context!([cbc:InvoiceTypeCode, cbc:CreditNoteTypeCode]; rules! {
        "BR-CL-01", Fatal, |code, _| if code.name() == cbc::InvoiceTypeCode { codes::INVOICE_TYPES.has(code.text()) } else { codes::CREDIT_NOTE_TYPES.has(code.text()) };
    }),
    context!([cbc:Amount, cbc:BaseAmount, cbc:PriceAmount, cbc:TaxAmount, cbc:TaxableAmount, cbc:LineExtensionAmount,
        cbc:TaxExclusiveAmount, cbc:TaxInclusiveAmount, cbc:AllowanceTotalAmount, cbc:ChargeTotalAmount, cbc:PrepaidAmount,
        cbc:PayableRoundingAmount, cbc:PayableAmount]; rules! {
        "BR-CL-03", Fatal, |amount, _| codes::CURRENCIES.has(amount.attribute(at::currencyID).unwrap_or_default());
    }),
    context!([cbc:DocumentCurrencyCode]; rules! { "BR-CL-04", Fatal, |code, _| codes::CURRENCIES.has(code.text()); }),
    context!([cbc:TaxCurrencyCode]; rules! { "BR-CL-05", Fatal, |code, _| codes::CURRENCIES.has(code.text()); }),
    context!([cbc:DescriptionCode] in [cac:InvoicePeriod]; rules! {
        "BR-CL-06", Fatal, |code, _| codes::POINT_DATES_UBL.has(code.text());
    }),
    context!([cbc:ID] in [cac:AdditionalDocumentReference, cac:DocumentReference] if is_invoiced_object; rules! { "BR-CL-07", Fatal, |id, _| codes::REFERENCES.has(id.scheme().unwrap_or_default()); }),
    context!([cbc:ID] in [cac:PartyIdentification] if |id, _| id.scheme().is_some(); rules! { "BR-CL-10", Fatal, |id, _| is_party_scheme(id); }),
    context!([cbc:CompanyID] in [cac:PartyLegalEntity] if |id, _| id.scheme().is_some(); rules! { "BR-CL-11", Fatal, |id, _| is_scheme(id); }),
    context!([cbc:ItemClassificationCode] in [cac:CommodityClassification] if |code, _| code.attribute(at::listID).is_some(); rules! {
        "BR-CL-13", Fatal, |code, _| codes::CLASSIFICATIONS.has(code.attribute(at::listID).unwrap_or_default());
    }),
    context!([cbc:IdentificationCode] in [cac:Country]; rules! { "BR-CL-14", Fatal, |code, _| codes::ubl_country(code.text()); }),
    context!([cbc:IdentificationCode] in [cac:OriginCountry]; rules! { "BR-CL-15", Fatal, |code, _| codes::ubl_country(code.text()); }),
    context!([cbc:PaymentMeansCode] in [cac:PaymentMeans]; rules! { "BR-CL-16", Fatal, |code, _| codes::PAYMENT_MEANS.has(code.text()); }),
    context!([cbc:ID] in [cac:TaxCategory]; rules! { "BR-CL-17", Fatal, |code, _| codes::VAT_CATEGORIES.has(code.text()); }),
    context!([cbc:ID] in [cac:ClassifiedTaxCategory]; rules! { "BR-CL-18", Fatal, |code, _| codes::VAT_CATEGORIES.has(code.text()); }),
    context!([cbc:AllowanceChargeReasonCode] in [cac:AllowanceCharge] if |code, _| code.parent().is_some_and(is_allowance); rules! {
        "BR-CL-19", Fatal, |code, _| codes::ALLOWANCE_REASONS.has(code.text());
    }),
    context!([cbc:AllowanceChargeReasonCode] in [cac:AllowanceCharge] if |code, _| code.parent().is_some_and(is_charge); rules! {
        "BR-CL-20", Fatal, |code, _| codes::CHARGE_REASONS.has(code.text());
    }),
    context!([cbc:ID] in [cac:StandardItemIdentification] if |id, _| id.scheme().is_some(); rules! { "BR-CL-21", Fatal, |id, _| is_scheme(id); }),
    context!([cbc:TaxExemptionReasonCode]; rules! { "BR-CL-22", Fatal, |code, _| codes::EXEMPTIONS.has(&code.text().to_uppercase()); }),
    context!([cbc:InvoicedQuantity, cbc:BaseQuantity, cbc:CreditedQuantity] if |quantity, _| quantity.attribute(at::unitCode).is_some(); rules! {
        "BR-CL-23", Fatal, |quantity, _| codes::UNITS.has(quantity.attribute(at::unitCode).unwrap_or_default());
    }),
    context!([cbc:EmbeddedDocumentBinaryObject] if |object, _| object.attribute(at::mimeCode).is_some(); rules! {
        "BR-CL-24", Fatal, |object, _| codes::MIME_TYPES.contains(&object.attribute(at::mimeCode).unwrap_or_default());
    }),
    context!([cbc:EndpointID] if |id, _| id.scheme().is_some(); rules! { "BR-CL-25", Fatal, |id, _| codes::ADDRESSES.has(id.scheme().unwrap_or_default()); }),
    context!([cbc:ID] in [cac:DeliveryLocation] if |id, _| id.scheme().is_some(); rules! { "BR-CL-26", Fatal, |id, _| is_scheme(id); }),
];

const KIND: Path = p!(cbc:DocumentTypeCode);

fn is_invoiced_object(id: Node<'_>, _: &Facts<'_>) -> bool {
    let reference = id
        .inside(cac::AdditionalDocumentReference)
        .or_else(|| id.inside(cac::DocumentReference));
    id.scheme().is_some() && reference.is_some_and(|reference| reference.says(KIND, "130"))
}

fn is_scheme(id: Node<'_>) -> bool {
    codes::SCHEMES.has(id.scheme().unwrap_or_default())
}

/// Creditor identifiers of seller and payee carry SEPA in place of a registered scheme.
pub(in crate::rules) fn may_be_sepa(id: Node<'_>) -> bool {
    normalize(id.scheme().unwrap_or_default()) == "SEPA"
        && (id.has_ancestor(cac::AccountingSupplierParty) || id.has_ancestor(cac::PayeeParty))
}

fn is_party_scheme(id: Node<'_>) -> bool {
    is_scheme(id) || may_be_sepa(id)
}
