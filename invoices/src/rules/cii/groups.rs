//! Rules about single business groups: parties, payment, references, lines and items.

use crate::codes;
use crate::engine::{Facts, Rule, rules};
use crate::xml::{Node, at, p, ram};

use super::document::{beside, cents_beside, has_reason, is_vat};
use super::settlement;

pub(super) const ITEM_CLASSIFICATION: &[Rule] = rules! {
    "BR-65", Fatal, |classification, _| !classification.has(p!(ram:ClassCode))
        || classification.at(p!(ram:ClassCode)).any(|code| filled(code.attribute(at::listID)));
};

pub(super) const SUPPORTING_DOCUMENT: &[Rule] = rules! {
    "BR-52", Fatal, |reference, _| reference.filled(p!(ram:IssuerAssignedID));
};

pub(super) const CARD: &[Rule] = rules! {
    "BR-51", Fatal, |card, _| card.clean_at(p!(ram:ID)).chars().count() <= 10;
};

pub(super) const ACCOUNT: &[Rule] = rules! {
    "BR-50", Fatal, |account, _| account.filled(p!(ram:IBANID)) || account.filled(p!(ram:ProprietaryID));
    "BR-61", Fatal, |account, _| account.has(p!(ram:IBANID)) || account.has(p!(ram:ProprietaryID));
};

pub(super) const DELIVERY: &[Rule] = rules! {
    "BR-57", Fatal, |delivery, _| !delivery.has(p!(ram:ShipToTradeParty/ram:PostalTradeAddress))
        || delivery.filled(p!(ram:ShipToTradeParty/ram:PostalTradeAddress/ram:CountryID));
};

pub(super) const LINE: &[Rule] = rules! {
    "BR-21", Fatal, |line, _| line.filled(p!(ram:AssociatedDocumentLineDocument/ram:LineID));
    "BR-22", Fatal, |line, _| line.has(p!(ram:SpecifiedLineTradeDelivery/ram:BilledQuantity));
    "BR-23", Fatal, |line, _| line.at(p!(ram:SpecifiedLineTradeDelivery/ram:BilledQuantity)).any(|quantity| quantity.attribute(at::unitCode).is_some());
    "BR-24", Fatal, |line, _| line.has(p!(ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount));
    "BR-25", Fatal, |line, _| line.filled(p!(ram:SpecifiedTradeProduct/ram:Name));
    "BR-26", Fatal, |line, _| line.has(p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:ChargeAmount));
    "BR-27", Fatal, |line, _| line.at(p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:ChargeAmount)).any(not_negative);
    "BR-28", Fatal, |line, _| !line.has(p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:ChargeAmount))
        || line.at(p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:ChargeAmount)).any(not_negative);
    "BR-64", Fatal, |line, _| !line.has(p!(ram:SpecifiedTradeProduct/ram:GlobalID))
        || line.at(p!(ram:SpecifiedTradeProduct/ram:GlobalID)).any(|id| filled(id.scheme()));
    "BR-CO-04", Fatal, |line, _| line.at(p!(ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax)).any(|tax| is_vat(tax) && tax.has(p!(ram:CategoryCode)));
    "BR-CO-18", Fatal, |_, facts| settlement(facts).is_some_and(|settlement| settlement.has(p!(ram:ApplicableTradeTax)));
    "BR-DEC-23", Fatal, |line, _| line.cents_at(p!(ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount));
};

pub(super) const LINE_ALLOWANCE: &[Rule] = rules! {
    "BR-41", Fatal, |indicator, _| beside(indicator, p!(ram:ActualAmount));
    "BR-42", Fatal, |indicator, _| has_reason(indicator);
    "BR-CO-23", Fatal, |indicator, _| has_reason(indicator);
    "BR-DEC-24", Fatal, |indicator, _| cents_beside(indicator, p!(ram:ActualAmount));
    "BR-DEC-25", Fatal, |indicator, _| cents_beside(indicator, p!(ram:BasisAmount));
};

pub(super) const LINE_CHARGE: &[Rule] = rules! {
    "BR-43", Fatal, |indicator, _| beside(indicator, p!(ram:ActualAmount));
    "BR-44", Fatal, |indicator, _| has_reason(indicator);
    "BR-CO-24", Fatal, |indicator, _| has_reason(indicator);
    "BR-DEC-27", Fatal, |indicator, _| cents_beside(indicator, p!(ram:ActualAmount));
    "BR-DEC-28", Fatal, |indicator, _| cents_beside(indicator, p!(ram:BasisAmount));
};

pub(super) const LINE_PERIOD: &[Rule] = rules! {
    "BR-30", Fatal, |period, _| ends_after_start(period);
    "BR-CO-20", Fatal, |period, _| period.has(p!(ram:StartDateTime)) || period.has(p!(ram:EndDateTime));
};

pub(super) const PERIOD: &[Rule] = rules! {
    "BR-29", Fatal, |period, _| ends_after_start(period);
    "BR-CO-19", Fatal, |period, _| period.has(p!(ram:StartDateTime)) || period.has(p!(ram:EndDateTime));
};

pub(super) const ITEM_PROPERTY: &[Rule] = rules! {
    "BR-54", Fatal, |property, _| property.has(p!(ram:Description)) && property.has(p!(ram:Value));
};

pub(super) const PAYEE: &[Rule] = rules! {
    "BR-17", Fatal, |payee, _| payee.has(p!(ram:Name)) && differs_from_seller(payee);
};

pub(super) const PAYMENT_MEANS: &[Rule] = rules! {
    "BR-49", Fatal, |means, _| means.has(p!(ram:TypeCode));
};

pub(super) const PRECEDING_INVOICE: &[Rule] = rules! {
    "BR-55", Fatal, |reference, _| reference.filled(p!(ram:IssuerAssignedID));
};

pub(super) const SELLER: &[Rule] = rules! {
    "BR-CO-26", Fatal, |seller, _| seller.has(p!(ram:ID)) || seller.has(p!(ram:GlobalID)) || seller.has(p!(ram:SpecifiedLegalOrganization/ram:ID))
        || seller.at(p!(ram:SpecifiedTaxRegistration/ram:ID)).any(|id| id.scheme() == Some("VA"));
};

pub(super) const TAX_REPRESENTATIVE: &[Rule] = rules! {
    "BR-18", Fatal, |party, _| party.filled(p!(ram:Name));
    "BR-19", Fatal, |party, _| party.has(p!(ram:PostalTradeAddress));
    "BR-20", Fatal, |party, _| party.filled(p!(ram:PostalTradeAddress/ram:CountryID));
    "BR-56", Fatal, |party, _| party.at(p!(ram:SpecifiedTaxRegistration/ram:ID)).any(|id| id.scheme() == Some("VA") && !id.clean().is_empty());
};

pub(super) const VAT_IDENTIFIER: &[Rule] = rules! {
    "BR-CO-09", Fatal, |id, _| has_country_prefix(id.text());
};

pub(super) fn of_credit_transfer(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.inside(ram::SpecifiedTradeSettlementPaymentMeans)
        .is_some_and(|means| means.says_one_of(p!(ram:TypeCode), &["30", "58"]))
}

/// An indicator of an allowance or charge of a line.
pub(super) fn of_line(indicator: Node<'_>) -> bool {
    indicator.under(&[ram::SpecifiedLineTradeSettlement, ram::SpecifiedTradeAllowanceCharge])
}

pub(super) fn is_vat_identifier(id: Node<'_>, _: &Facts<'_>) -> bool {
    id.inside(ram::SpecifiedTaxRegistration).is_some() && id.scheme() == Some("VA")
}

fn filled(value: Option<&str>) -> bool {
    value.is_some_and(|value| !value.trim().is_empty())
}

fn not_negative(amount: Node<'_>) -> bool {
    amount.double().is_some_and(|amount| amount >= 0.0)
}

/// Dates of format 102 compare as texts.
fn ends_after_start(period: Node<'_>) -> bool {
    if !period.has(p!(ram:StartDateTime)) || !period.has(p!(ram:EndDateTime)) {
        return true;
    }
    let of_format = |date: &Node<'_>| date.attribute(at::format) == Some("102");
    let mut ends = period.at(p!(ram:EndDateTime/udt:DateTimeString)).filter(of_format);
    ends.any(|end| {
        period
            .at(p!(ram:StartDateTime/udt:DateTimeString))
            .filter(of_format)
            .any(|start| end.text() >= start.text())
    })
}

fn differs_from_seller(payee: Node<'_>) -> bool {
    let transaction = payee.parent().and_then(Node::parent);
    let Some(seller) = transaction
        .and_then(|transaction| transaction.first(p!(ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty)))
    else {
        return true;
    };
    let same = |path| payee.at(path).any(|value| seller.says(path, value.text()));
    !same(p!(ram:Name)) && !same(p!(ram:ID)) && !same(p!(ram:SpecifiedLegalOrganization/ram:ID))
}

/// The list has EL for Greece besides the country codes.
fn has_country_prefix(identifier: &str) -> bool {
    let end = identifier
        .char_indices()
        .nth(2)
        .map_or(identifier.len(), |(end, _)| end);
    let prefix = &identifier[..end];
    prefix == "EL" || codes::cii_country(prefix)
}
