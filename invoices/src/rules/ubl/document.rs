//! Rules about the document, its totals, its allowances and charges, and the VAT breakdown as such.

use rust_decimal::Decimal;

use crate::engine::{Facts, Rule, rules};
use crate::xml::{Node, Path, at, cac, p, round, round_cents};

pub(super) const DOCUMENT: &[Rule] = rules! {
    "BR-01", Fatal, |invoice, _| invoice.filled(p!(cbc:CustomizationID));
    "BR-02", Fatal, |invoice, _| invoice.filled(p!(cbc:ID));
    "BR-03", Fatal, |invoice, _| invoice.filled(p!(cbc:IssueDate));
    "BR-04", Fatal, |invoice, _| invoice.filled(p!(cbc:InvoiceTypeCode)) || invoice.filled(p!(cbc:CreditNoteTypeCode));
    "BR-05", Fatal, |invoice, _| invoice.filled(p!(cbc:DocumentCurrencyCode));
    "BR-06", Fatal, |invoice, _| invoice.filled(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyLegalEntity/cbc:RegistrationName));
    "BR-07", Fatal, |invoice, _| invoice.filled(p!(cac:AccountingCustomerParty/cac:Party/cac:PartyLegalEntity/cbc:RegistrationName));
    "BR-08", Fatal, |invoice, _| invoice.has(p!(cac:AccountingSupplierParty/cac:Party/cac:PostalAddress));
    "BR-10", Fatal, |invoice, _| invoice.has(p!(cac:AccountingCustomerParty/cac:Party/cac:PostalAddress));
    "BR-16", Fatal, |invoice, _| invoice.has(p!(cac:InvoiceLine)) || invoice.has(p!(cac:CreditNoteLine));
    "BR-53", Fatal, |invoice, _| invoice.at(p!(cbc:TaxCurrencyCode)).all(|currency| has_tax_total(invoice, currency.text()));
    "BR-CO-03", Fatal, |invoice, _| !(invoice.has(p!(cbc:TaxPointDate)) && invoice.has(p!(cac:InvoicePeriod/cbc:DescriptionCode)));
    "BR-CO-15", Fatal, |invoice, _| invoice.at(p!(cbc:DocumentCurrencyCode)).all(|currency| gross_is_net_plus_vat(invoice, currency.text()));
    "BR-CO-18", Fatal, |invoice, _| invoice.has(p!(cac:TaxTotal/cac:TaxSubtotal));
};

pub(super) const ALLOWANCE: &[Rule] = rules! {
    "BR-31", Fatal, |allowance, _| allowance.has(p!(cbc:Amount));
    "BR-32", Fatal, |allowance, _| has_vat_category(allowance);
    "BR-33", Fatal, |allowance, _| has_reason(allowance);
    "BR-CO-21", Fatal, |allowance, _| has_reason(allowance);
    "BR-DEC-01", Fatal, |allowance, _| allowance.cents_at(p!(cbc:Amount));
    "BR-DEC-02", Fatal, |allowance, _| allowance.cents_at(p!(cbc:BaseAmount));
};

pub(super) const CHARGE: &[Rule] = rules! {
    "BR-36", Fatal, |charge, _| charge.has(p!(cbc:Amount));
    "BR-37", Fatal, |charge, _| has_vat_category(charge);
    "BR-38", Fatal, |charge, _| has_reason(charge);
    "BR-CO-22", Fatal, |charge, _| has_reason(charge);
    "BR-DEC-05", Fatal, |charge, _| charge.cents_at(p!(cbc:Amount));
    "BR-DEC-06", Fatal, |charge, _| charge.cents_at(p!(cbc:BaseAmount));
};

pub(super) const TOTALS: &[Rule] = rules! {
    "BR-12", Fatal, |totals, _| totals.has(p!(cbc:LineExtensionAmount));
    "BR-13", Fatal, |totals, _| totals.has(p!(cbc:TaxExclusiveAmount));
    "BR-14", Fatal, |totals, _| totals.has(p!(cbc:TaxInclusiveAmount));
    "BR-15", Fatal, |totals, _| totals.has(p!(cbc:PayableAmount));
    "BR-CO-10", Fatal, |totals, facts| equal(totals.decimal_at(p!(cbc:LineExtensionAmount)), sum_of_lines(facts).map(round_cents));
    "BR-CO-11", Fatal, |totals, _| total_is_sum(totals, p!(cbc:AllowanceTotalAmount), is_allowance);
    "BR-CO-12", Fatal, |totals, _| total_is_sum(totals, p!(cbc:ChargeTotalAmount), is_charge);
    "BR-CO-13", Fatal, |totals, _| net_is_lines_less_allowances_plus_charges(totals);
    "BR-CO-16", Fatal, |totals, _| due_is_gross_less_paid_plus_rounding(totals);
    "BR-DEC-09", Fatal, |totals, _| totals.cents_at(p!(cbc:LineExtensionAmount));
    "BR-DEC-10", Fatal, |totals, _| totals.cents_at(p!(cbc:AllowanceTotalAmount));
    "BR-DEC-11", Fatal, |totals, _| totals.cents_at(p!(cbc:ChargeTotalAmount));
    "BR-DEC-12", Fatal, |totals, _| totals.cents_at(p!(cbc:TaxExclusiveAmount));
    "BR-DEC-14", Fatal, |totals, _| totals.cents_at(p!(cbc:TaxInclusiveAmount));
    "BR-DEC-16", Fatal, |totals, _| totals.cents_at(p!(cbc:PrepaidAmount));
    "BR-DEC-17", Fatal, |totals, _| totals.cents_at(p!(cbc:PayableRoundingAmount));
    "BR-DEC-18", Fatal, |totals, _| totals.cents_at(p!(cbc:PayableAmount));
};

pub(super) const TAX_TOTAL: &[Rule] = rules! {
    "BR-CO-14", Fatal, |total, _| !total.has(p!(cac:TaxSubtotal))
        || equal(total.decimal_at(p!(cbc:TaxAmount)), total.sum(p!(cac:TaxSubtotal/cbc:TaxAmount)).map(round_cents));
};

pub(super) const TAX_SUBTOTAL: &[Rule] = rules! {
    "BR-45", Fatal, |breakdown, _| breakdown.has(p!(cbc:TaxableAmount));
    "BR-46", Fatal, |breakdown, _| breakdown.has(p!(cbc:TaxAmount));
    "BR-47", Fatal, |breakdown, _| vat_categories(breakdown).any(|category| category.has(p!(cbc:ID)));
    "BR-48", Fatal, |breakdown, _| vat_categories(breakdown).any(|category| category.has(p!(cbc:Percent)) || category.clean_at(p!(cbc:ID)) == "O");
    "BR-CO-17", Fatal, |breakdown, _| vat_is_base_times_rate(breakdown);
    "BR-DEC-19", Fatal, |breakdown, _| breakdown.cents_at(p!(cbc:TaxableAmount));
    "BR-DEC-20", Fatal, |breakdown, _| breakdown.cents_at(p!(cbc:TaxAmount));
};

/// Directly below the root.
pub(super) fn of_document(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.parent().is_some_and(Node::is_root)
}

pub(super) fn is_allowance(node: Node<'_>) -> bool {
    node.is(p!(cbc:ChargeIndicator), false)
}

pub(super) fn is_charge(node: Node<'_>) -> bool {
    node.is(p!(cbc:ChargeIndicator), true)
}

pub(super) fn has_reason(adjustment: Node<'_>) -> bool {
    adjustment.has(p!(cbc:AllowanceChargeReason)) || adjustment.has(p!(cbc:AllowanceChargeReasonCode))
}

/// `cac:TaxCategory` with the VAT scheme.
pub(super) fn vat_categories(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.at(p!(cac:TaxCategory))
        .filter(|category| super::vat::has_vat_scheme(*category))
}

fn has_vat_category(adjustment: Node<'_>) -> bool {
    vat_categories(adjustment).any(|category| category.has(p!(cbc:ID)))
}

/// Both are there and the same; an empty side makes an XPath comparison false.
pub(super) fn equal(left: Option<Decimal>, right: Option<Decimal>) -> bool {
    left.is_some() && left == right
}

fn has_tax_total(invoice: Node<'_>, currency: &str) -> bool {
    let in_currency = |amount: Node<'_>| amount.attribute(at::currencyID) == Some(currency);
    invoice
        .document()
        .all(cac::TaxTotal)
        .any(|total| total.at(p!(cbc:TaxAmount)).any(in_currency))
}

fn gross_is_net_plus_vat(invoice: Node<'_>, currency: &str) -> bool {
    let mut vat = invoice
        .at(p!(cac:TaxTotal/cbc:TaxAmount))
        .filter(|amount| amount.attribute(at::currencyID) == Some(currency))
        .map(Node::decimal);
    let (Some(Some(vat)), None) = (vat.next(), vat.next()) else {
        return false;
    };
    let net = invoice.decimal_at(p!(cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount));
    let gross = invoice.decimal_at(p!(cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount));
    equal(gross, net.and_then(|net| net.checked_add(vat)).map(round_cents))
}

fn sum_of_lines(facts: &Facts<'_>) -> Option<Decimal> {
    let lines = facts
        .document
        .all(cac::InvoiceLine)
        .chain(facts.document.all(cac::CreditNoteLine));
    let mut amounts = lines.filter_map(|line| line.first(p!(cbc:LineExtensionAmount)));
    amounts.try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount.decimal()?))
}

fn total_is_sum(totals: Node<'_>, total: Path, kind: fn(Node<'_>) -> bool) -> bool {
    let adjustments = || {
        totals
            .parent()
            .into_iter()
            .flat_map(|root| root.at(p!(cac:AllowanceCharge)))
            .filter(|node| kind(*node))
    };
    if !totals.has(total) && adjustments().next().is_none() {
        return true;
    }
    let mut amounts = adjustments().filter_map(|node| node.first(p!(cbc:Amount)));
    let sum = amounts.try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount.decimal()?));
    equal(totals.decimal_at(total), sum.map(round_cents))
}

/// The value of an element that may be absent: then nothing is added.
fn optional(node: Node<'_>, path: Path) -> Option<Decimal> {
    if node.has(path) {
        node.decimal_at(path)
    } else {
        Some(Decimal::ZERO)
    }
}

fn net_is_lines_less_allowances_plus_charges(totals: Node<'_>) -> bool {
    let net = totals.decimal_at(p!(cbc:TaxExclusiveAmount));
    let expected = totals.decimal_at(p!(cbc:LineExtensionAmount)).and_then(|lines| {
        let (charges, allowances) = (p!(cbc:ChargeTotalAmount), p!(cbc:AllowanceTotalAmount));
        let sum = lines
            .checked_add(optional(totals, charges)?)?
            .checked_sub(optional(totals, allowances)?)?;
        // Without allowances and charges the artefact compares as it is.
        Some(if totals.has(charges) || totals.has(allowances) {
            round_cents(sum)
        } else {
            sum
        })
    });
    equal(net, expected)
}

fn due_is_gross_less_paid_plus_rounding(totals: Node<'_>) -> bool {
    let due = totals.decimal_at(p!(cbc:PayableAmount));
    let gross = totals.decimal_at(p!(cbc:TaxInclusiveAmount));
    let (paid, rounding) = (p!(cbc:PrepaidAmount), p!(cbc:PayableRoundingAmount));
    let due = if totals.has(rounding) {
        due.zip(totals.decimal_at(rounding))
            .and_then(|(due, rounding)| due.checked_sub(rounding))
            .map(round_cents)
    } else {
        due
    };
    let expected = if totals.has(paid) {
        gross
            .zip(totals.decimal_at(paid))
            .and_then(|(gross, paid)| gross.checked_sub(paid))
            .map(round_cents)
    } else {
        gross
    };
    equal(due, expected)
}

/// The artefact lets VAT differ from base times rate by less than one unit.
fn vat_is_base_times_rate(breakdown: Node<'_>) -> bool {
    let vat = breakdown.decimal_at(p!(cbc:TaxAmount));
    let rate = vat_categories(breakdown).find_map(|category| category.first(p!(cbc:Percent)));
    let Some(rate) = rate else {
        return vat.is_some_and(|vat| round(vat).is_zero());
    };
    let Some((rate, vat)) = rate.decimal().zip(vat) else {
        return false;
    };
    if round(rate).is_zero() {
        return round(vat).is_zero();
    }
    within_one_unit(Some(vat), breakdown.decimal_at(p!(cbc:TaxableAmount)), Some(rate))
}

/// `abs(vat)` is less than one unit away from `abs(base) * rate / 100`, rounded to cents.
pub(super) fn within_one_unit(vat: Option<Decimal>, base: Option<Decimal>, rate: Option<Decimal>) -> bool {
    let (Some(vat), Some(base), Some(rate)) = (vat, base, rate) else {
        return false;
    };
    let Some(product) = base.abs().checked_mul(rate / Decimal::ONE_HUNDRED) else {
        return false;
    };
    let expected = round_cents(product);
    let distance = vat.abs().checked_sub(expected);
    distance.is_some_and(|distance| distance.abs() < Decimal::ONE)
}
