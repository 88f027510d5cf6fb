//! Rules about code lists in CII.

use crate::codes;
use crate::engine::{Facts, Pattern, context, rules};
use crate::xml::{Node, at, boolean, p, ram};

pub(super) const PATTERN: Pattern = &[
    context!([ram:TypeCode] in [rsm:ExchangedDocument]; rules! {
        "BR-CL-01", Fatal, |code, _| codes::INVOICE_TYPES.has(code.text()) || codes::CREDIT_NOTE_TYPES.has(code.text());
    }),
    context!([ram:TaxTotalAmount] if |amount, _| amount.attribute(at::currencyID).is_some(); rules! {
        "BR-CL-03", Fatal, |amount, _| codes::CURRENCIES.has(amount.attribute(at::currencyID).unwrap_or_default());
    }),
    context!([ram:InvoiceCurrencyCode]; rules! { "BR-CL-04", Fatal, |code, _| codes::CURRENCIES.has(code.text()); }),
    context!([ram:TaxCurrencyCode]; rules! { "BR-CL-05", Fatal, |code, _| codes::CURRENCIES.has(code.text()); }),
    context!([ram:DueDateTypeCode]; rules! { "BR-CL-06", Fatal, |code, _| codes::POINT_DATES_CII.has(code.text()); }),
    context!([ram:ReferenceTypeCode]; rules! { "BR-CL-07", Fatal, |code, _| codes::REFERENCES.has(code.text()); }),
    context!([ram:SubjectCode]; rules! { "BR-CL-08", Fatal, |code, _| codes::SUBJECTS.has(code.text()); }),
    context!([ram:GlobalID] if is_party_identifier; rules! { "BR-CL-10", Fatal, |id, _| is_scheme(id); }),
    context!([ram:ID] if is_registration; rules! { "BR-CL-11", Fatal, |id, _| is_scheme(id); }),
    context!([ram:ClassCode] if |code, _| code.attribute(at::listID).is_some(); rules! {
        "BR-CL-13", Fatal, |code, _| codes::CLASSIFICATIONS.has(code.attribute(at::listID).unwrap_or_default());
    }),
    context!([ram:CountryID]; rules! { "BR-CL-14", Fatal, |code, _| codes::cii_country(code.text()); }),
    context!([ram:ID] in [ram:OriginTradeCountry]; rules! { "BR-CL-15", Fatal, |code, _| codes::cii_country(code.text()); }),
    context!([ram:TypeCode] in [ram:SpecifiedTradeSettlementPaymentMeans]; rules! {
        "BR-CL-16", Fatal, |code, _| codes::PAYMENT_MEANS.has(code.text());
    }),
    context!([ram:CategoryCode] in [ram:CategoryTradeTax]; rules! { "BR-CL-17", Fatal, |code, _| codes::VAT_CATEGORIES.has(code.text()); }),
    context!([ram:CategoryCode] in [ram:ApplicableTradeTax]; rules! { "BR-CL-18", Fatal, |code, _| codes::VAT_CATEGORIES.has(code.text()); }),
    context!([ram:ReasonCode] if |code, _| is_reason_of(code, false); rules! { "BR-CL-19", Fatal, |code, _| codes::ALLOWANCE_REASONS.has(code.text()); }),
    context!([ram:ReasonCode] if |code, _| is_reason_of(code, true); rules! { "BR-CL-20", Fatal, |code, _| codes::CHARGE_REASONS.has(code.text()); }),
    context!([ram:GlobalID] if is_item_identifier; rules! { "BR-CL-21", Fatal, |id, _| is_scheme(id); }),
    context!([ram:ExemptionReasonCode]; rules! { "BR-CL-22", Fatal, |code, _| codes::EXEMPTIONS.has(&code.text().to_uppercase()); }),
    context!([ram:BasisQuantity, ram:BilledQuantity] if |quantity, _| quantity.attribute(at::unitCode).is_some(); rules! {
        "BR-CL-23", Fatal, |quantity, _| codes::UNITS.has(quantity.attribute(at::unitCode).unwrap_or_default());
    }),
    context!([ram:AttachmentBinaryObject] if |object, _| object.attribute(at::mimeCode).is_some(); rules! {
        "BR-CL-24", Fatal, |object, _| codes::MIME_TYPES.contains(&object.attribute(at::mimeCode).unwrap_or_default());
    }),
    context!([ram:URIID] if is_address; rules! { "BR-CL-25", Fatal, |id, _| codes::ADDRESSES.has(id.scheme().unwrap_or_default()); }),
    context!([ram:GlobalID] if is_location; rules! { "BR-CL-26", Fatal, |id, _| is_scheme(id); }),
];

fn is_scheme(id: Node<'_>) -> bool {
    codes::SCHEMES.has(id.scheme().unwrap_or_default())
}

pub(in crate::rules) fn is_party_identifier(id: Node<'_>, _: &Facts<'_>) -> bool {
    id.scheme().is_some() && !id.has_ancestor(ram::SpecifiedTradeProduct) && !id.has_ancestor(ram::ShipToTradeParty)
}

pub(in crate::rules) fn is_registration(id: Node<'_>, _: &Facts<'_>) -> bool {
    id.scheme().is_some() && !id.has_ancestor(ram::SpecifiedTaxRegistration)
}

pub(in crate::rules) fn is_item_identifier(id: Node<'_>, _: &Facts<'_>) -> bool {
    id.scheme().is_some() && id.inside(ram::SpecifiedTradeProduct).is_some()
}

pub(in crate::rules) fn is_address(id: Node<'_>, _: &Facts<'_>) -> bool {
    id.scheme().is_some() && id.inside(ram::URIUniversalCommunication).is_some()
}

pub(in crate::rules) fn is_location(id: Node<'_>, _: &Facts<'_>) -> bool {
    id.scheme().is_some() && id.under(&[ram::ApplicableHeaderTradeDelivery, ram::ShipToTradeParty])
}

fn is_reason_of(code: Node<'_>, charge: bool) -> bool {
    let adjustment = code.inside(ram::SpecifiedTradeAllowanceCharge);
    adjustment.is_some_and(|node| {
        node.at(p!(ram:ChargeIndicator/udt:Indicator))
            .any(|indicator| boolean(indicator.text()) == Some(charge))
    })
}
