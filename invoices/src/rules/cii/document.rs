//! Rules about the document, its totals, its allowances and charges, and the VAT breakdown as such.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::engine::{Facts, Rule, rules};
use crate::xml::{Node, Path, at, boolean, p, ram, retained, round, round_cents};

use super::settlement;

pub(super) const DOCUMENT: &[Rule] = rules! {
    "BR-01", Fatal, |invoice, _| invoice.filled(p!(rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID));
    "BR-02", Fatal, |invoice, _| invoice.filled(p!(rsm:ExchangedDocument/ram:ID));
    "BR-03", Fatal, |invoice, _| has_issue_date(invoice);
    "BR-04", Fatal, |invoice, _| invoice.filled(p!(rsm:ExchangedDocument/ram:TypeCode));
    "BR-05", Fatal, |invoice, _| invoice.filled(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:InvoiceCurrencyCode));
    "BR-06", Fatal, |invoice, _| invoice.filled(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty/ram:Name));
    "BR-07", Fatal, |invoice, _| invoice.filled(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty/ram:Name));
    "BR-08", Fatal, |invoice, _| invoice.has(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty/ram:PostalTradeAddress));
    "BR-09", Fatal, |invoice, _| invoice.filled(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty/ram:PostalTradeAddress/ram:CountryID));
    "BR-10", Fatal, |invoice, _| invoice.has(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty/ram:PostalTradeAddress));
    "BR-11", Fatal, |invoice, _| invoice.filled(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty/ram:PostalTradeAddress/ram:CountryID));
    "BR-16", Fatal, |_, facts| facts.document.all(ram::IncludedSupplyChainTradeLineItem).len() > 0;
    "BR-62", Fatal, |invoice, _| address_has_scheme(invoice, p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty/ram:URIUniversalCommunication));
    "BR-63", Fatal, |invoice, _| address_has_scheme(invoice, p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:BuyerTradeParty/ram:URIUniversalCommunication));
    "BR-CO-15", Fatal, |_, facts| gross_is_net_plus_vat(facts);
};

pub(super) const ALLOWANCE: &[Rule] = rules! {
    "BR-31", Fatal, |indicator, _| beside(indicator, p!(ram:ActualAmount));
    "BR-32", Fatal, |indicator, _| has_vat_category(indicator);
    "BR-33", Fatal, |indicator, _| has_reason(indicator);
    "BR-CO-21", Fatal, |indicator, _| has_reason(indicator);
    "BR-DEC-01", Fatal, |indicator, _| cents_beside(indicator, p!(ram:ActualAmount));
    "BR-DEC-02", Fatal, |indicator, _| cents_beside(indicator, p!(ram:BasisAmount));
};

pub(super) const CHARGE: &[Rule] = rules! {
    "BR-36", Fatal, |indicator, _| beside(indicator, p!(ram:ActualAmount));
    "BR-37", Fatal, |indicator, _| has_vat_category(indicator);
    "BR-38", Fatal, |indicator, _| has_reason(indicator);
    "BR-CO-22", Fatal, |indicator, _| has_reason(indicator);
    "BR-DEC-05", Fatal, |indicator, _| cents_beside(indicator, p!(ram:ActualAmount));
    "BR-DEC-06", Fatal, |indicator, _| cents_beside(indicator, p!(ram:BasisAmount));
};

pub(super) const TOTALS: &[Rule] = rules! {
    "BR-12", Fatal, |totals, _| totals.has(p!(ram:LineTotalAmount));
    "BR-13", Fatal, |totals, _| totals.has(p!(ram:TaxBasisTotalAmount));
    "BR-14", Fatal, |totals, _| totals.has(p!(ram:GrandTotalAmount));
    "BR-15", Fatal, |totals, _| totals.has(p!(ram:DuePayableAmount));
    "BR-53", Fatal, |totals, facts| has_vat_in_tax_currency(totals, facts);
    "BR-CO-10", Fatal, |totals, _| lines_total_is_sum(totals);
    "BR-CO-11", Fatal, |totals, facts| total_is_sum(totals, facts, p!(ram:AllowanceTotalAmount), false);
    "BR-CO-12", Fatal, |totals, facts| total_is_sum(totals, facts, p!(ram:ChargeTotalAmount), true);
    "BR-CO-13", Fatal, |totals, _| net_is_lines_less_allowances_plus_charges(totals);
    "BR-CO-16", Fatal, |totals, _| due_is_gross_less_paid_plus_rounding(totals);
    "BR-DEC-09", Fatal, |totals, _| totals.cents_at(p!(ram:LineTotalAmount));
    "BR-DEC-10", Fatal, |totals, _| totals.cents_at(p!(ram:AllowanceTotalAmount));
    "BR-DEC-11", Fatal, |totals, _| totals.cents_at(p!(ram:ChargeTotalAmount));
    "BR-DEC-12", Fatal, |totals, _| totals.cents_at(p!(ram:TaxBasisTotalAmount));
    "BR-DEC-13", Fatal, |totals, facts| vat_has_cents(totals, facts);
    "BR-DEC-14", Fatal, |totals, _| totals.cents_at(p!(ram:GrandTotalAmount));
    "BR-DEC-15", Fatal, |totals, facts| tax_currency_vat_has_cents(totals, facts);
    "BR-DEC-16", Fatal, |totals, _| totals.cents_at(p!(ram:TotalPrepaidAmount));
    "BR-DEC-17", Fatal, |totals, _| totals.cents_at(p!(ram:RoundingAmount));
    "BR-DEC-18", Fatal, |totals, _| totals.cents_at(p!(ram:DuePayableAmount));
};

pub(super) const VAT_TOTAL: &[Rule] = rules! {
    "BR-CO-14", Fatal, |total, facts| vat_total_is_sum(total, facts);
};

pub(super) const BREAKDOWN: &[Rule] = rules! {
    "BR-45", Fatal, |breakdown, _| breakdown.has(p!(ram:BasisAmount));
    "BR-46", Fatal, |breakdown, _| breakdown.has(p!(ram:CalculatedAmount));
    "BR-47", Fatal, |breakdown, _| is_vat(breakdown) && breakdown.has(p!(ram:CategoryCode));
    "BR-48", Fatal, |breakdown, _| is_vat(breakdown) && (breakdown.has(p!(ram:RateApplicablePercent)) || breakdown.says(p!(ram:CategoryCode), "O"));
    "BR-CO-03", Fatal, |_, facts| facts.document.all(ram::TaxPointDate).len() == 0 || facts.document.all(ram::DueDateTypeCode).len() == 0;
    "BR-CO-17", Fatal, |breakdown, _| vat_is_base_times_rate(breakdown);
    "BR-DEC-19", Fatal, |breakdown, _| breakdown.cents_at(p!(ram:BasisAmount));
    "BR-DEC-20", Fatal, |breakdown, _| breakdown.cents_at(p!(ram:CalculatedAmount));
};

/// An indicator of an allowance or charge of the document.
pub(super) fn of_document(indicator: Node<'_>) -> bool {
    indicator.under(&[ram::ApplicableHeaderTradeSettlement, ram::SpecifiedTradeAllowanceCharge])
}

/// Whether something stands beside the indicator, which is the context of these rules.
pub(super) fn beside(indicator: Node<'_>, path: Path) -> bool {
    indicator.parent().is_some_and(|adjustment| adjustment.has(path))
}

pub(super) fn cents_beside(indicator: Node<'_>, path: Path) -> bool {
    indicator.parent().is_none_or(|adjustment| adjustment.cents_at(path))
}

pub(super) fn has_reason(indicator: Node<'_>) -> bool {
    beside(indicator, p!(ram:Reason)) || beside(indicator, p!(ram:ReasonCode))
}

fn has_vat_category(indicator: Node<'_>) -> bool {
    let mut taxes = indicator
        .parent()
        .into_iter()
        .flat_map(|adjustment| adjustment.at(p!(ram:CategoryTradeTax)));
    taxes.any(|tax| is_vat(tax) && tax.has(p!(ram:CategoryCode)))
}

/// `upper-case(ram:TypeCode) = 'VAT'`.
pub(super) fn is_vat(tax: Node<'_>) -> bool {
    tax.text_at(p!(ram:TypeCode))
        .is_some_and(|code| code.eq_ignore_ascii_case("VAT"))
}

fn has_issue_date(invoice: Node<'_>) -> bool {
    let mut dates = invoice.at(p!(rsm:ExchangedDocument/ram:IssueDateTime/udt:DateTimeString));
    dates.any(|date| date.attribute(at::format) == Some("102") && !date.clean().is_empty())
}

fn address_has_scheme(invoice: Node<'_>, path: Path) -> bool {
    let Some(address) = invoice.first(path) else {
        return true;
    };
    address
        .at(p!(ram:URIID))
        .any(|id| id.scheme().is_some_and(|scheme| !scheme.trim().is_empty()))
}

fn currency<'d>(facts: &Facts<'d>) -> Option<&'d str> {
    settlement(facts)?.text_at(p!(ram:InvoiceCurrencyCode))
}

fn tax_currency<'d>(facts: &Facts<'d>) -> Option<&'d str> {
    settlement(facts)?.text_at(p!(ram:TaxCurrencyCode))
}

fn gross_is_net_plus_vat(facts: &Facts<'_>) -> bool {
    let Some(currency) = currency(facts) else { return true };
    let Some(settlement) = settlement(facts) else {
        return true;
    };
    let net = settlement.decimal_at(p!(ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:TaxBasisTotalAmount));
    let gross = settlement.decimal_at(p!(ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:GrandTotalAmount));
    let mut vat = settlement
        .at(p!(ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:TaxTotalAmount))
        .filter(|amount| amount.attribute(at::currencyID) == Some(currency))
        .map(Node::decimal);
    let adds_up = match (vat.next(), vat.next()) {
        (Some(Some(vat)), None) => equal(gross, net.and_then(|net| net.checked_add(vat)).map(round_cents)),
        _ => false,
    };
    adds_up || equal(gross, net)
}

fn equal(left: Option<Decimal>, right: Option<Decimal>) -> bool {
    left.is_some() && left == right
}

fn has_vat_in_tax_currency(totals: Node<'_>, facts: &Facts<'_>) -> bool {
    let Some(tax_currency) = tax_currency(facts) else {
        return true;
    };
    let in_tax_currency = |amount: Node<'_>| amount.attribute(at::currencyID) == Some(tax_currency);
    totals.at(p!(ram:TaxTotalAmount)).any(in_tax_currency) && currency(facts) != Some(tax_currency)
}

/// The artefact sums the lines in binary and then casts to decimal.
fn lines_total_is_sum(totals: Node<'_>) -> bool {
    let transaction = totals.parent().and_then(Node::parent);
    let lines = p!(ram:IncludedSupplyChainTradeLineItem/ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount);
    let sum = transaction
        .and_then(|transaction| transaction.double_sum(lines))
        .and_then(retained);
    equal(totals.decimal_at(p!(ram:LineTotalAmount)), sum.map(round_cents))
}

/// `round(x * 10 * 10) div 100` in binary.
fn double_cents(value: f64) -> f64 {
    (value * 10.0 * 10.0 + 0.5).floor() / 100.0
}

#[allow(clippy::float_cmp)] // The artefact compares doubles.
fn total_is_sum(totals: Node<'_>, facts: &Facts<'_>, total: Path, charge: bool) -> bool {
    let Some(settlement) = settlement(facts) else {
        return !totals.has(total);
    };
    let adjustments = || {
        let all = settlement.at(p!(ram:SpecifiedTradeAllowanceCharge));
        all.filter(move |node| {
            node.at(p!(ram:ChargeIndicator/udt:Indicator))
                .any(|indicator| boolean(indicator.text()) == Some(charge))
        })
    };
    if !totals.has(total) {
        return adjustments().next().is_none();
    }
    let mut amounts = adjustments().filter_map(|node| node.first(p!(ram:ActualAmount)));
    let sum = amounts.try_fold(0.0, |sum, amount| Some(sum + amount.double()?));
    sum.is_some_and(|sum| totals.at(total).any(|total| total.double() == Some(double_cents(sum))))
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
    let expected = totals.decimal_at(p!(ram:LineTotalAmount)).and_then(|lines| {
        let allowances = optional(totals, p!(ram:AllowanceTotalAmount))?;
        lines
            .checked_sub(allowances)?
            .checked_add(optional(totals, p!(ram:ChargeTotalAmount))?)
    });
    equal(
        totals.decimal_at(p!(ram:TaxBasisTotalAmount)),
        expected.map(round_cents),
    )
}

fn due_is_gross_less_paid_plus_rounding(totals: Node<'_>) -> bool {
    let expected = totals.decimal_at(p!(ram:GrandTotalAmount)).and_then(|gross| {
        let paid = optional(totals, p!(ram:TotalPrepaidAmount))?;
        gross
            .checked_sub(paid)?
            .checked_add(optional(totals, p!(ram:RoundingAmount))?)
    });
    equal(totals.decimal_at(p!(ram:DuePayableAmount)), expected)
}

#[allow(clippy::float_cmp)] // The artefact compares doubles.
fn has_cents(amount: Node<'_>) -> bool {
    amount
        .double()
        .is_some_and(|value| value == (value * 100.0 + 0.5).floor() / 100.0)
}

fn vat_has_cents(totals: Node<'_>, facts: &Facts<'_>) -> bool {
    let currency = currency(facts);
    let fine = |amount: Node<'_>| {
        let own = currency.is_some() && amount.attribute(at::currencyID) == currency;
        !own || has_cents(amount)
    };
    !totals.has(p!(ram:TaxTotalAmount)) || totals.at(p!(ram:TaxTotalAmount)).any(fine)
}

fn tax_currency_vat_has_cents(totals: Node<'_>, facts: &Facts<'_>) -> bool {
    let Some(currency) = tax_currency(facts) else {
        return true;
    };
    let fine = |amount: Node<'_>| amount.attribute(at::currencyID) == Some(currency) && has_cents(amount);
    !totals.has(p!(ram:TaxTotalAmount)) || totals.at(p!(ram:TaxTotalAmount)).any(fine)
}

/// The total VAT amount in the currency of the invoice.
pub(super) fn is_vat_total(amount: Node<'_>, facts: &Facts<'_>) -> bool {
    let currency = currency(facts);
    amount
        .inside(ram::SpecifiedTradeSettlementHeaderMonetarySummation)
        .is_some()
        && currency.is_some()
        && amount.attribute(at::currencyID) == currency
}

#[allow(clippy::float_cmp)] // The artefact compares doubles.
fn vat_total_is_sum(total: Node<'_>, facts: &Facts<'_>) -> bool {
    let sum = settlement(facts).map_or(Some(0.0), |settlement| {
        settlement.double_sum(p!(ram:ApplicableTradeTax/ram:CalculatedAmount))
    });
    sum.is_some_and(|sum| total.double() == Some(double_cents(sum)))
}

/// The artefact lets VAT differ from base times rate by up to one unit.
fn vat_is_base_times_rate(breakdown: Node<'_>) -> bool {
    let vat = breakdown.decimal_at(p!(ram:CalculatedAmount));
    if !(is_vat(breakdown) && breakdown.has(p!(ram:RateApplicablePercent))) {
        return vat.is_some_and(|vat| round(vat).is_zero());
    }
    let Some((rate, vat)) = breakdown.decimal_at(p!(ram:RateApplicablePercent)).zip(vat) else {
        return false;
    };
    if round(rate).is_zero() {
        return round(vat).is_zero();
    }
    let Some(base) = breakdown.decimal_at(p!(ram:BasisAmount)) else {
        return false;
    };
    let Some(product) = base.abs().checked_mul(rate / Decimal::ONE_HUNDRED) else {
        return false;
    };
    let expected = round_cents(product);
    let distance = vat.abs().checked_sub(expected);
    distance.is_some_and(|distance| distance.abs() <= Decimal::ONE)
}

/// BR-S-09 of CII: whole units of base times rate, compared in binary.
pub(super) fn vat_is_near_base_times_rate(breakdown: Node<'_>) -> bool {
    let (vat, base) = (
        breakdown.decimal_at(p!(ram:CalculatedAmount)),
        breakdown.decimal_at(p!(ram:BasisAmount)),
    );
    let rate = breakdown.double_at(p!(ram:RateApplicablePercent));
    let (Some(vat), Some(base), Some(rate)) = (vat, base, rate) else {
        return false;
    };
    let expected = (base.abs().to_f64().unwrap_or(f64::NAN) * rate + 0.5).floor() / 100.0;
    let (low, high) = (vat.abs().checked_sub(Decimal::ONE), vat.abs().checked_add(Decimal::ONE));
    low.and_then(|low| low.to_f64()).is_some_and(|low| low < expected)
        && high.and_then(|high| high.to_f64()).is_some_and(|high| high > expected)
}
