//! VAT categories and sums of a CII document.

use super::{Category, Of, VatSums, collect, collect_some, kind};
use crate::xml::{Document, Node, p, ram};

pub(in crate::engine::facts) fn cii<'d>(document: &'d Document<'d>) -> VatSums {
    let mut sums = VatSums::default();
    let code = |node: Node<'d>| Category::of(node.text());
    for tax in document.all(ram::ApplicableTradeTax) {
        for category in tax.at(p!(ram:CategoryCode)).map(code) {
            if tax.inside(ram::SpecifiedLineTradeSettlement).is_some() {
                sums.lines.add(category);
            } else if tax.inside(ram::ApplicableHeaderTradeSettlement).is_some() {
                sums.breakdown.add(category);
            }
        }
    }
    for category in document
        .all(ram::CategoryTradeTax)
        .flat_map(|tax| tax.at(p!(ram:CategoryCode)))
        .map(code)
    {
        sums.categories.add(category);
    }
    for settlement in document.all(ram::SpecifiedLineTradeSettlement) {
        let categories = collect(settlement.at(p!(ram:ApplicableTradeTax/ram:CategoryCode)).map(code));
        let rates = p!(ram:ApplicableTradeTax/ram:RateApplicablePercent);
        let rates = collect_some(settlement.at(rates).map(Node::decimal));
        let amount = settlement.first(p!(ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount));
        sums.add(Of::InvoiceLine, &categories, &rates, amount.map(Node::decimal));
    }
    for adjustment in document.all(ram::SpecifiedTradeAllowanceCharge) {
        if adjustment.inside(ram::ApplicableHeaderTradeSettlement).is_none() {
            continue;
        }
        let categories = collect(adjustment.at(p!(ram:CategoryTradeTax/ram:CategoryCode)).map(code));
        let rates = p!(ram:CategoryTradeTax/ram:RateApplicablePercent);
        let rates = collect_some(adjustment.at(rates).map(Node::decimal));
        let amount = adjustment.first(p!(ram:ActualAmount)).map(Node::decimal);
        if let Some(of) = kind(adjustment.text_at(p!(ram:ChargeIndicator/udt:Indicator))) {
            sums.add(of, &categories, &rates, amount);
        }
    }
    sums
}
