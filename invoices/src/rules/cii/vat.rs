//! Rules of the VAT categories. Each category has the same ten questions and its own answers.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::engine::{Category, Context, Facts, Of, Rule, context, rules};
use crate::xml::{Node, boolean, p, ram, round_cents, rsm};

use super::document::{is_vat, vat_is_near_base_times_rate};

/// Rules 01 of the categories, and those about the document as a whole.
pub(super) const DOCUMENT: &[Rule] = rules! {
    "BR-S-01", Fatal, |_, facts| broken_down_if_used(facts, Category::S);
    "BR-Z-01", Fatal, |_, facts| one_breakdown(facts, Category::Z);
    "BR-E-01", Fatal, |_, facts| one_breakdown(facts, Category::E);
    "BR-AE-01", Fatal, |_, facts| one_breakdown(facts, Category::AE);
    "BR-IC-01", Fatal, |_, facts| one_breakdown(facts, Category::K);
    "BR-G-01", Fatal, |_, facts| one_breakdown(facts, Category::G);
    "BR-O-01", Fatal, |_, facts| !facts.vat().breakdown.has(Category::O) || one_breakdown(facts, Category::O);
    "BR-AF-01", Fatal, |_, facts| broken_down_if_used(facts, Category::L);
    "BR-AG-01", Fatal, |_, facts| broken_down_if_used(facts, Category::M);
    "BR-B-01", Fatal, |_, facts| !uses(facts, "B") || facts.document.all(ram::CountryID).all(|country| country.text() == "IT");
    "BR-B-02", Fatal, |_, facts| !(uses(facts, "B") && uses(facts, "S"));
};

/// The four contexts of a category: breakdown, allowances, charges, lines; the last three ask for rate and parties.
macro_rules! category {
    ($name:ident $code:literal; $breakdown:expr;
        $allowance:literal $charge:literal $line:literal $rate:expr;
        $allowance_parties:literal $charge_parties:literal $line_parties:literal $parties:expr) => {
        pub(super) const $name: [Context; 4] = [
            $breakdown,
    context!([ram:CategoryTradeTax] if |node, _| of_adjustment(node, false) && is(node, $code);
                rules! { $allowance_parties, Fatal, $parties; $allowance, Fatal, $rate; }),
    context!([ram:CategoryTradeTax] if |node, _| of_adjustment(node, true) && is(node, $code);
                rules! { $charge_parties, Fatal, $parties; $charge, Fatal, $rate; }),
    context!([ram:ApplicableTradeTax] if |node, _| of_line(node) && is(node, $code);
                rules! { $line_parties, Fatal, $parties; $line, Fatal, $rate; }),
        ];
    };
}

category!(AE "AE"; context!([ram:CategoryCode] if |code, _| of_vat_breakdown(code) && code.text() == "AE"; rules! {
    "BR-AE-08", Fatal, |code, facts| base_is_near_sum(code, facts, Category::AE);
    "BR-AE-09", Fatal, |code, _| vat_is_zero(code.parent());
    "BR-AE-10", Fatal, |code, _| has_exemption_reason(code.parent());
}); "BR-AE-06" "BR-AE-07" "BR-AE-05" |tax, _| rate_is_zero(tax);
    "BR-AE-03" "BR-AE-04" "BR-AE-02" |_, facts| seller_is_taxable(facts) && (facts.parties().buyer_vat || facts.parties().buyer_legal));
category!(E "E"; context!([ram:CategoryCode] if |code, _| of_vat_breakdown(code) && code.text() == "E"; rules! {
    "BR-E-08", Fatal, |code, facts| base_is_near_sum(code, facts, Category::E);
    "BR-E-09", Fatal, |code, _| vat_is_zero(code.parent());
    "BR-E-10", Fatal, |code, _| has_exemption_reason(code.parent());
}); "BR-E-06" "BR-E-07" "BR-E-05" |tax, _| rate_is_zero(tax);
    "BR-E-03" "BR-E-04" "BR-E-02" |_, facts| seller_is_taxable(facts));
category!(G "G"; context!([ram:CategoryCode] if |code, _| of_vat_breakdown(code) && code.text() == "G"; rules! {
    "BR-G-08", Fatal, |code, facts| base_is_near_sum(code, facts, Category::G);
    "BR-G-09", Fatal, |code, _| vat_is_zero(code.parent());
    "BR-G-10", Fatal, |code, _| has_exemption_reason(code.parent());
}); "BR-G-06" "BR-G-07" "BR-G-05" |tax, _| rate_is_zero(tax);
    "BR-G-03" "BR-G-04" "BR-G-02" |_, facts| seller_has_vat_identifier(facts));
category!(IC "K"; context!([ram:CategoryCode] if |code, _| of_vat_breakdown(code) && code.text() == "K"; rules! {
    "BR-IC-08", Fatal, |code, facts| base_is_near_sum(code, facts, Category::K);
    "BR-IC-09", Fatal, |code, _| vat_is_zero(code.parent());
    "BR-IC-10", Fatal, |code, _| has_exemption_reason(code.parent());
    "BR-IC-11", Fatal, |code, facts| delivery_has_a_date(code, facts);
    "BR-IC-12", Fatal, |_, facts| facts.root().has(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeDelivery/ram:ShipToTradeParty/ram:PostalTradeAddress/ram:CountryID));
}); "BR-IC-06" "BR-IC-07" "BR-IC-05" |tax, _| rate_is_zero(tax);
    "BR-IC-03" "BR-IC-04" "BR-IC-02" |_, facts| seller_has_vat_identifier(facts) && facts.parties().buyer_vat);
// Rules 08 of IGIC and IPSI look for the rate beside the breakdown, where there is none: they never fire. Rules 09 hold always.
category!(AF "L"; context!([ram:ApplicableTradeTax] if |tax, _| of_breakdown(tax) && is(tax, "L"); rules! {
    "BR-AF-10", Fatal, |tax, _| !has_exemption_reason(Some(tax));
}); "BR-AF-06" "BR-AF-07" "BR-AF-05" |tax, _| rate(tax).any(|rate| rate > 0.0);
    "BR-AF-03" "BR-AF-04" "BR-AF-02" |_, facts| seller_is_taxable(facts));
category!(AG "M"; context!([ram:ApplicableTradeTax] if |tax, _| of_breakdown(tax) && is(tax, "M"); rules! {
    "BR-AG-10", Fatal, |tax, _| !has_exemption_reason(Some(tax));
}); "BR-AG-06" "BR-AG-07" "BR-AG-05" |tax, _| rate(tax).any(|rate| rate >= 0.0);
    "BR-AG-03" "BR-AG-04" "BR-AG-02" |_, facts| seller_is_taxable(facts));
category!(O "O"; context!([ram:ApplicableTradeTax] if |tax, _| of_breakdown(tax) && is(tax, "O"); rules! {
    "BR-O-08", Fatal, |tax, facts| base_is_sum(tax, rounded_sum(facts, Category::O, None));
    "BR-O-09", Fatal, |tax, _| vat_is_zero(Some(tax));
    "BR-O-10", Fatal, |tax, _| has_exemption_reason(Some(tax));
    "BR-O-11", Fatal, |_, facts| facts.vat().lines.others(Category::O) + facts.vat().breakdown.others(Category::O) == 0;
    "BR-O-12", Fatal, |_, facts| facts.vat().lines.others(Category::O) + facts.vat().breakdown.others(Category::O) == 0;
    "BR-O-13", Fatal, |_, facts| facts.vat().categories.others(Category::O) == 0;
    "BR-O-14", Fatal, |_, facts| facts.vat().categories.others(Category::O) == 0;
}); "BR-O-06" "BR-O-07" "BR-O-05" |tax, _| !tax.has(p!(ram:RateApplicablePercent));
    "BR-O-03" "BR-O-04" "BR-O-02" |_, facts| !seller_has_vat_identifier(facts) && !facts.parties().buyer_vat);
category!(S "S"; context!([ram:CategoryCode] if |code, _| code.under(&[ram::ApplicableHeaderTradeSettlement, ram::ApplicableTradeTax]) && code.text() == "S"; rules! {
    "BR-S-08", Fatal, |code, facts| base_is_sum_at_rate(code, facts, Category::S);
    "BR-S-09", Fatal, |code, _| code.parent().is_some_and(vat_is_near_base_times_rate);
    "BR-S-10", Fatal, |code, _| !has_exemption_reason(code.parent());
}); "BR-S-06" "BR-S-07" "BR-S-05" |tax, _| rate(tax).any(|rate| rate > 0.0);
    "BR-S-03" "BR-S-04" "BR-S-02" |_, facts| seller_is_taxable(facts));
category!(Z "Z"; context!([ram:CategoryCode] if |code, _| code.under(&[ram::ApplicableHeaderTradeSettlement, ram::ApplicableTradeTax]) && code.text() == "Z"; rules! {
    "BR-Z-08", Fatal, |code, facts| base_is_near_sum(code, facts, Category::Z);
    "BR-Z-09", Fatal, |code, _| vat_is_zero(code.parent());
    "BR-Z-10", Fatal, |code, _| !has_exemption_reason(code.parent());
}); "BR-Z-06" "BR-Z-07" "BR-Z-05" |tax, _| rate_is_zero(tax);
    "BR-Z-03" "BR-Z-04" "BR-Z-02" |_, facts| seller_is_taxable(facts));

fn is(tax: Node<'_>, code: &str) -> bool {
    tax.says(p!(ram:CategoryCode), code) && is_vat(tax)
}

fn of_breakdown(tax: Node<'_>) -> bool {
    tax.under(&[rsm::SupplyChainTradeTransaction, ram::ApplicableHeaderTradeSettlement])
}

/// A category code of the VAT breakdown.
fn of_vat_breakdown(code: Node<'_>) -> bool {
    code.inside(ram::ApplicableTradeTax)
        .is_some_and(|tax| of_breakdown(tax) && is_vat(tax))
}

fn of_line(tax: Node<'_>) -> bool {
    tax.under(&[
        rsm::SupplyChainTradeTransaction,
        ram::IncludedSupplyChainTradeLineItem,
        ram::SpecifiedLineTradeSettlement,
    ])
}

fn of_adjustment(tax: Node<'_>, charge: bool) -> bool {
    let adjustment = tax.inside(ram::SpecifiedTradeAllowanceCharge);
    adjustment.is_some_and(|node| {
        node.at(p!(ram:ChargeIndicator/udt:Indicator))
            .any(|indicator| boolean(indicator.text()) == Some(charge))
    })
}

/// Used on lines, allowances or charges, the category has one breakdown; unused, none.
fn one_breakdown(facts: &Facts<'_>, category: Category) -> bool {
    let vat = facts.vat();
    let used = vat.lines.has(category) || vat.categories.has(category);
    if used {
        vat.breakdown.of(category) == 1
    } else {
        !vat.breakdown.has(category)
    }
}

/// Two or more uses of the category, counting the breakdown, on lines and on allowances and charges.
fn broken_down_if_used(facts: &Facts<'_>, category: Category) -> bool {
    let vat = facts.vat();
    let breakdown = vat.breakdown.of(category);
    let fine = |uses: u32| uses == 0 || uses + breakdown >= 2;
    fine(vat.lines.of(category)) && fine(vat.categories.of(category))
}

fn uses(facts: &Facts<'_>, code: &str) -> bool {
    facts
        .document
        .all(ram::CategoryCode)
        .any(|category| category.text() == code)
}

fn seller_is_taxable(facts: &Facts<'_>) -> bool {
    let parties = facts.parties();
    parties.seller_tax || parties.representative_vat
}

fn seller_has_vat_identifier(facts: &Facts<'_>) -> bool {
    let parties = facts.parties();
    parties.seller_vat || parties.representative_vat
}

fn delivery_has_a_date(code: Node<'_>, facts: &Facts<'_>) -> bool {
    let delivered = p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeDelivery/ram:ActualDeliverySupplyChainEvent/ram:OccurrenceDateTime/udt:DateTimeString);
    let settlement = code.parent().and_then(Node::parent);
    facts.root().has(delivered)
        || settlement.is_some_and(|settlement| {
            settlement.has(p!(ram:BillingSpecifiedPeriod/ram:StartDateTime))
                || settlement.has(p!(ram:BillingSpecifiedPeriod/ram:EndDateTime))
        })
}

/// All rates that can be read, as an untyped value becomes a number.
fn rate(tax: Node<'_>) -> impl Iterator<Item = f64> {
    tax.at(p!(ram:RateApplicablePercent)).filter_map(Node::double)
}

fn rate_is_zero(tax: Node<'_>) -> bool {
    rate(tax).any(|rate| rate == 0.0)
}

fn vat_is_zero(tax: Option<Node<'_>>) -> bool {
    tax.is_some_and(|tax| tax.at(p!(ram:CalculatedAmount)).any(|vat| vat.double() == Some(0.0)))
}

fn has_exemption_reason(tax: Option<Node<'_>>) -> bool {
    tax.is_some_and(|tax| tax.has(p!(ram:ExemptionReason)) || tax.has(p!(ram:ExemptionReasonCode)))
}

/// Lines plus charges less allowances of a category, each rounded to cents; all rates or one.
fn rounded_sum(facts: &Facts<'_>, category: Category, rate: Option<Decimal>) -> Option<Decimal> {
    let sum = |of| match rate {
        Some(rate) => facts.vat().sum_at(of, category, rate),
        None => facts.vat().sum(of, category),
    };
    let (lines, charges, allowances) = (sum(Of::InvoiceLine)?, sum(Of::Charge)?, sum(Of::Allowance)?);
    round_cents(lines)
        .checked_add(round_cents(charges))?
        .checked_sub(round_cents(allowances))
}

/// The base differs by less than one unit, compared in binary as the artefact does.
fn base_is_near_sum(code: Node<'_>, facts: &Facts<'_>, category: Category) -> bool {
    let base = code.parent().and_then(|tax| tax.double_at(p!(ram:BasisAmount)));
    let sum = rounded_sum(facts, category, None).and_then(|sum| sum.to_f64());
    base.zip(sum)
        .is_some_and(|(base, sum)| base - 1.0 < sum && base + 1.0 > sum)
}

#[allow(clippy::float_cmp)] // The artefact compares doubles.
fn base_is_sum(tax: Node<'_>, sum: Option<Decimal>) -> bool {
    let base = tax.double_at(p!(ram:BasisAmount));
    base.is_some() && base == sum.and_then(|sum| sum.to_f64())
}

fn base_is_sum_at_rate(code: Node<'_>, facts: &Facts<'_>, category: Category) -> bool {
    let Some(tax) = code.parent() else { return false };
    tax.at(p!(ram:RateApplicablePercent)).all(|rate| match rate.decimal() {
        Some(rate) => base_is_sum(tax, rounded_sum(facts, category, Some(rate))),
        None => false,
    })
}
