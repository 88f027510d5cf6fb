//! What the rules of Peppol for UBL look at.

use rust_decimal::Decimal;

use super::{BASE, FACTOR};
use crate::engine::Facts;
use crate::rules::shared::{LineParts, adjustments, decimal_or, near};
use crate::syntax::Syntax;
use crate::xml::{Node, Path, at, cac, cbc, normalize, p};

/// An allowance or charge of the document or of a line.
pub(super) fn is_adjustment(node: Node<'_>) -> bool {
    let Some(parent) = node.parent() else { return false };
    parent.is_root()
        || matches!(parent.name(), cac::InvoiceLine | cac::CreditNoteLine) && parent.parent().is_some_and(Node::is_root)
}

/// With both a base and a percentage, or neither: what has only one meets another context before.
pub(super) fn is_base_times_percentage(adjustment: Node<'_>, slack: Decimal) -> bool {
    if !adjustment.has(FACTOR) {
        return true;
    }
    let amount = decimal_or(adjustment, p!(cbc:Amount), Decimal::ZERO);
    let product = adjustment
        .decimal_at(BASE)
        .zip(adjustment.decimal_at(FACTOR))
        .and_then(|(base, factor)| base.checked_mul(factor));
    amount
        .zip(product)
        .is_some_and(|(amount, product)| near(amount, product / Decimal::ONE_HUNDRED, slack))
}

/// VAT totals with a breakdown, or without.
pub(super) fn vat_totals(invoice: Node<'_>, broken_down: bool) -> usize {
    invoice
        .at(p!(cac:TaxTotal))
        .filter(|total| total.has(p!(cac:TaxSubtotal)) == broken_down)
        .count()
}

/// VAT in the currency of the invoice and in the tax currency are both not above or both not below zero.
pub(super) fn vat_totals_have_one_sign(invoice: Node<'_>) -> bool {
    let amounts = |currency: Path| {
        let currency = invoice.clean_at(currency);
        let amounts = invoice
            .at(p!(cac:TaxTotal/cbc:TaxAmount))
            .filter(|amount| amount.attribute(at::currencyID) == Some(&*currency));
        amounts.filter_map(Node::double).collect::<Vec<_>>()
    };
    let (tax, document) = (amounts(p!(cbc:TaxCurrencyCode)), amounts(p!(cbc:DocumentCurrencyCode)));
    let both =
        |test: fn(f64) -> bool| tax.iter().any(|amount| test(*amount)) && document.iter().any(|amount| test(*amount));
    both(|amount| amount <= 0.0) || both(|amount| amount >= 0.0)
}

fn of_line_period(node: Node<'_>, path: Path, facts: &Facts<'_>) -> bool {
    let line = node.inside(cac::InvoicePeriod).and_then(Node::parent);
    line.is_some_and(|line| {
        matches!(line.name(), cac::InvoiceLine | cac::CreditNoteLine) && line.parent().is_some_and(Node::is_root)
    }) && facts.root().has(path)
}

pub(super) fn is_line_start(node: Node<'_>, facts: &Facts<'_>) -> bool {
    of_line_period(node, p!(cac:InvoicePeriod/cbc:StartDate), facts)
}

pub(super) fn is_line_end(node: Node<'_>, facts: &Facts<'_>) -> bool {
    of_line_period(node, p!(cac:InvoicePeriod/cbc:EndDate), facts)
}

fn quantity_path(facts: &Facts<'_>) -> Path {
    if facts.syntax == Syntax::UblInvoice {
        p!(cbc:InvoicedQuantity)
    } else {
        p!(cbc:CreditedQuantity)
    }
}

pub(super) fn parts(line: Node<'_>, facts: &Facts<'_>) -> LineParts {
    let base = decimal_or(line, p!(cac:Price/cbc:BaseQuantity), Decimal::ONE);
    let sum = |is| {
        adjustments(
            line,
            p!(cac:AllowanceCharge),
            p!(cbc:ChargeIndicator),
            p!(cbc:Amount),
            is,
        )
    };
    LineParts {
        net: decimal_or(line, p!(cbc:LineExtensionAmount), Decimal::ZERO),
        quantity: decimal_or(line, quantity_path(facts), Decimal::ONE),
        price: decimal_or(line, p!(cac:Price/cbc:PriceAmount), Decimal::ZERO),
        base: base.map(|base| if base.is_zero() { Decimal::ONE } else { base }),
        charges: sum("true"),
        allowances: sum("false"),
    }
}

pub(super) fn net_is_gross_less_allowance(allowance: Node<'_>) -> bool {
    let net = allowance
        .parent()
        .and_then(|price| price.decimal_at(p!(cbc:PriceAmount)));
    let expected = allowance
        .decimal_at(BASE)
        .zip(allowance.decimal_at(p!(cbc:Amount)))
        .and_then(|(gross, less)| gross.checked_sub(less));
    net.is_some() && net == expected
}

pub(super) fn has_unit_of_quantity(base: Node<'_>, facts: &Facts<'_>) -> bool {
    let Some(line) = base.parent().and_then(Node::parent) else {
        return true;
    };
    if !line.has(p!(cbc:InvoicedQuantity)) && !line.has(p!(cbc:CreditedQuantity)) {
        return true;
    }
    line.at(quantity_path(facts))
        .any(|quantity| quantity.attribute(at::unitCode) == base.attribute(at::unitCode))
}

pub(super) fn is_in_document_currency(amount: Node<'_>) -> bool {
    let of_total = amount.inside(cac::TaxTotal);
    amount.name() != cbc::TaxAmount
        || amount.inside(cac::TaxSubtotal).is_some()
        || of_total.is_some_and(|total| total.has(p!(cac:TaxSubtotal)))
}

/// An address, a party identifier or a company number of a scheme.
pub(super) fn of_scheme(node: Node<'_>, scheme: &str) -> bool {
    node.scheme() == Some(scheme) && (node.name() != cbc::ID || node.inside(cac::PartyIdentification).is_some())
}

pub(super) fn is_reason_of(code: Node<'_>, indicator: &str) -> bool {
    code.inside(cac::AllowanceCharge)
        .is_some_and(|adjustment| adjustment.says(p!(cbc:ChargeIndicator), indicator))
}

pub(super) fn exempt_by(category: Node<'_>, code: &str) -> bool {
    category
        .text_at(p!(cbc:TaxExemptionReasonCode))
        .is_some_and(|reason| normalize(reason).to_uppercase() == code)
}
