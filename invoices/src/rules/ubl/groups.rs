//! Rules about single business groups: parties, payment, references, lines and items.

use crate::codes;
use crate::engine::{Facts, Rule, rules};
use crate::xml::{Node, at, cac, date, p};

use super::document::has_reason;
use super::vat::has_vat_scheme;

pub(super) const SUPPORTING_DOCUMENT: &[Rule] = rules! {
    "BR-52", Fatal, |reference, _| reference.filled(p!(cbc:ID));
};

pub(super) const BUYER_ADDRESS: &[Rule] = rules! {
    "BR-63", Fatal, |address, _| address.scheme().is_some();
};

pub(super) const BUYER_POSTAL_ADDRESS: &[Rule] = rules! {
    "BR-11", Fatal, |address, _| address.filled(p!(cac:Country/cbc:IdentificationCode));
};

pub(super) const CARD: &[Rule] = rules! {
    "BR-51", Warning, |number, _| number.clean().chars().count() <= 10;
};

pub(super) const DELIVERY_ADDRESS: &[Rule] = rules! {
    "BR-57", Fatal, |address, _| address.has(p!(cac:Country/cbc:IdentificationCode));
};

pub(super) const LINE: &[Rule] = rules! {
    "BR-21", Fatal, |line, _| line.filled(p!(cbc:ID));
    "BR-22", Fatal, |line, _| line.has(p!(cbc:InvoicedQuantity)) || line.has(p!(cbc:CreditedQuantity));
    "BR-23", Fatal, |line, _| line.at(p!(cbc:InvoicedQuantity)).chain(line.at(p!(cbc:CreditedQuantity)))
        .any(|quantity| quantity.attribute(at::unitCode).is_some());
    "BR-24", Fatal, |line, _| line.has(p!(cbc:LineExtensionAmount));
    "BR-25", Fatal, |line, _| line.filled(p!(cac:Item/cbc:Name));
    "BR-26", Fatal, |line, _| line.has(p!(cac:Price/cbc:PriceAmount));
    "BR-27", Fatal, |line, _| line.at(p!(cac:Price/cbc:PriceAmount)).any(not_negative);
    "BR-28", Fatal, |line, _| !line.has(p!(cac:Price/cac:AllowanceCharge/cbc:BaseAmount))
        || line.at(p!(cac:Price/cac:AllowanceCharge/cbc:BaseAmount)).any(not_negative);
    "BR-CO-04", Fatal, |line, _| line.at(p!(cac:Item/cac:ClassifiedTaxCategory)).any(|category| has_vat_scheme(category) && category.has(p!(cbc:ID)));
    "BR-DEC-23", Fatal, |line, _| line.cents_at(p!(cbc:LineExtensionAmount));
};

pub(super) const LINE_ALLOWANCE: &[Rule] = rules! {
    "BR-41", Fatal, |allowance, _| allowance.has(p!(cbc:Amount));
    "BR-42", Fatal, |allowance, _| has_reason(allowance);
    "BR-CO-23", Fatal, |allowance, _| has_reason(allowance);
    "BR-DEC-24", Fatal, |allowance, _| allowance.cents_at(p!(cbc:Amount));
    "BR-DEC-25", Fatal, |allowance, _| allowance.cents_at(p!(cbc:BaseAmount));
};

pub(super) const LINE_CHARGE: &[Rule] = rules! {
    "BR-43", Fatal, |charge, _| charge.has(p!(cbc:Amount));
    "BR-44", Fatal, |charge, _| has_reason(charge);
    "BR-CO-24", Fatal, |charge, _| has_reason(charge);
    "BR-DEC-27", Fatal, |charge, _| charge.cents_at(p!(cbc:Amount));
    "BR-DEC-28", Fatal, |charge, _| charge.cents_at(p!(cbc:BaseAmount));
};

pub(super) const LINE_PERIOD: &[Rule] = rules! {
    "BR-30", Fatal, |period, _| ends_after_start(period);
    "BR-CO-20", Fatal, |period, _| period.has(p!(cbc:StartDate)) || period.has(p!(cbc:EndDate));
};

pub(super) const PERIOD: &[Rule] = rules! {
    "BR-29", Fatal, |period, _| ends_after_start(period);
    "BR-CO-19", Fatal, |period, _| period.has(p!(cbc:StartDate)) || period.has(p!(cbc:EndDate)) || period.has(p!(cbc:DescriptionCode));
};

pub(super) const ITEM_PROPERTY: &[Rule] = rules! {
    "BR-54", Fatal, |property, _| property.has(p!(cbc:Name)) && property.has(p!(cbc:Value));
};

pub(super) const ITEM_CLASSIFICATION: &[Rule] = rules! {
    "BR-65", Fatal, |code, _| code.attribute(at::listID).is_some();
};

pub(super) const STANDARD_ITEM: &[Rule] = rules! {
    "BR-64", Fatal, |id, _| id.scheme().is_some();
};

pub(super) const NOTE: &[Rule] = rules! {
    "BR-CL-08", Fatal, |note, _| subject_is_known(note.text());
};

pub(super) const PAYEE: &[Rule] = rules! {
    "BR-17", Fatal, |payee, _| payee.has(p!(cac:PartyName/cbc:Name)) && differs_from_seller(payee);
};

pub(super) const ACCOUNT: &[Rule] = rules! {
    "BR-50", Fatal, |account, _| account.filled(p!(cbc:ID));
};

pub(super) const PAYMENT_MEANS: &[Rule] = rules! {
    "BR-49", Fatal, |means, _| means.has(p!(cbc:PaymentMeansCode));
    "BR-61", Fatal, |means, _| !means.clean_one_of(p!(cbc:PaymentMeansCode), &["30", "58"]) || means.has(p!(cac:PayeeFinancialAccount/cbc:ID));
};

pub(super) const PRECEDING_INVOICE: &[Rule] = rules! {
    "BR-55", Fatal, |reference, _| reference.has(p!(cac:InvoiceDocumentReference/cbc:ID));
};

pub(super) const SELLER: &[Rule] = rules! {
    "BR-CO-26", Fatal, |seller, _| is_identified(seller);
};

pub(super) const SELLER_ADDRESS: &[Rule] = rules! {
    "BR-62", Fatal, |address, _| address.scheme().is_some();
};

pub(super) const SELLER_POSTAL_ADDRESS: &[Rule] = rules! {
    "BR-09", Fatal, |address, _| address.filled(p!(cac:Country/cbc:IdentificationCode));
};

pub(super) const TAX_REPRESENTATIVE: &[Rule] = rules! {
    "BR-18", Fatal, |party, _| party.filled(p!(cac:PartyName/cbc:Name));
    "BR-19", Fatal, |party, _| party.has(p!(cac:PostalAddress));
    "BR-56", Fatal, |party, _| party.at(p!(cac:PartyTaxScheme)).any(|scheme| has_vat_scheme(scheme) && scheme.has(p!(cbc:CompanyID)));
};

pub(super) const TAX_REPRESENTATIVE_ADDRESS: &[Rule] = rules! {
    "BR-20", Fatal, |address, _| address.filled(p!(cac:Country/cbc:IdentificationCode));
};

pub(super) fn of_buyer(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.under(&[cac::AccountingCustomerParty, cac::Party])
}

pub(super) fn of_seller(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.under(&[cac::AccountingSupplierParty, cac::Party])
}

pub(super) fn of_card(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.under(&[cac::PaymentMeans, cac::CardAccount])
}

pub(super) fn of_delivery(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.under(&[cac::Delivery, cac::DeliveryLocation])
}

/// Directly below a line.
pub(super) fn of_line(node: Node<'_>) -> bool {
    node.parent()
        .is_some_and(|parent| matches!(parent.name(), cac::InvoiceLine | cac::CreditNoteLine))
}

fn of_line_item(node: Node<'_>) -> bool {
    node.under(&[cac::InvoiceLine, cac::Item]) || node.under(&[cac::CreditNoteLine, cac::Item])
}

pub(super) fn of_item_classification(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.inside(cac::CommodityClassification).is_some_and(of_line_item)
}

pub(super) fn of_standard_item(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.inside(cac::StandardItemIdentification).is_some_and(of_line_item)
}

pub(super) fn of_credit_transfer(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.inside(cac::PaymentMeans)
        .is_some_and(|means| means.says_one_of(p!(cbc:PaymentMeansCode), &["30", "58"]))
}

fn not_negative(amount: Node<'_>) -> bool {
    amount.double().is_some_and(|amount| amount >= 0.0)
}

fn ends_after_start(period: Node<'_>) -> bool {
    let (Some(start), Some(end)) = (period.text_at(p!(cbc:StartDate)), period.text_at(p!(cbc:EndDate))) else {
        return true;
    };
    date(start).zip(date(end)).is_some_and(|(start, end)| end >= start)
}

/// A note may start with `#` + subject code + `#`; a code of three letters must be on the list.
fn subject_is_known(note: &str) -> bool {
    let code = note
        .split_once('#')
        .and_then(|(_, rest)| rest.split_once('#'))
        .map(|(code, _)| code);
    let Some(code) = code.filter(|code| code.chars().count() == 3) else {
        return true;
    };
    codes::SUBJECTS.contains(code) && !codes::SUBJECTS_OF_CII_ONLY.contains(&code)
}

fn differs_from_seller(payee: Node<'_>) -> bool {
    let Some(seller) = payee
        .parent()
        .and_then(|parent| parent.first(p!(cac:AccountingSupplierParty)))
    else {
        return true;
    };
    let same_name = payee
        .at(p!(cac:PartyName/cbc:Name))
        .any(|name| seller.says(p!(cac:Party/cac:PartyName/cbc:Name), name.text()));
    let same_id = payee
        .at(p!(cac:PartyIdentification/cbc:ID))
        .any(|id| seller.says(p!(cac:Party/cac:PartyIdentification/cbc:ID), id.text()));
    !same_name && !same_id
}

fn is_identified(seller: Node<'_>) -> bool {
    seller
        .at(p!(cac:Party/cac:PartyTaxScheme))
        .any(|scheme| has_vat_scheme(scheme) && scheme.has(p!(cbc:CompanyID)))
        || seller
            .at(p!(cac:Party/cac:PartyIdentification/cbc:ID))
            .any(|id| id.scheme() != Some("SEPA"))
        || seller.has(p!(cac:Party/cac:PartyLegalEntity/cbc:CompanyID))
}
