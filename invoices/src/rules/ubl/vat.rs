//! Rules of the VAT categories. Each category has the same ten questions and its own answers.

use rust_decimal::Decimal;

use crate::codes;
use crate::engine::{Category, Context, Facts, Of, Rule, context, rules};
use crate::xml::{Node, cac, p, retained};

use super::document::{equal, is_allowance, is_charge, within_one_unit};

pub(super) use crate::engine::vat_scheme as has_vat_scheme;

/// Rules 01 to 04 of the categories, and those about the document as a whole.
pub(super) const DOCUMENT: &[Rule] = rules! {
    "BR-AE-01", Fatal, |_, facts| one_breakdown(facts, Category::AE);
    "BR-AE-02", Fatal, |_, facts| !facts.vat().lines.has(Category::AE) || both_are_taxable(facts);
    "BR-AE-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::AE) || both_are_taxable(facts);
    "BR-AE-04", Fatal, |_, facts| !facts.vat().charges.has(Category::AE) || both_are_taxable(facts);
    "BR-E-01", Fatal, |_, facts| one_breakdown(facts, Category::E);
    "BR-E-02", Fatal, |_, facts| !facts.vat().lines.has(Category::E) || seller_is_taxable(facts);
    "BR-E-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::E) || seller_is_taxable(facts);
    "BR-E-04", Fatal, |_, facts| !facts.vat().charges.has(Category::E) || seller_is_taxable(facts);
    "BR-G-01", Fatal, |_, facts| one_breakdown(facts, Category::G);
    "BR-G-02", Fatal, |_, facts| !facts.vat().lines.has(Category::G) || seller_has_vat_identifier(facts);
    "BR-G-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::G) || seller_has_vat_identifier(facts);
    "BR-G-04", Fatal, |_, facts| !facts.vat().charges.has(Category::G) || seller_has_vat_identifier(facts);
    "BR-IC-01", Fatal, |_, facts| one_breakdown(facts, Category::K);
    "BR-IC-02", Fatal, |_, facts| !facts.vat().lines.has(Category::K) || both_have_vat_identifiers(facts);
    "BR-IC-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::K) || both_have_vat_identifiers(facts);
    "BR-IC-04", Fatal, |_, facts| !facts.vat().charges.has(Category::K) || both_have_vat_identifiers(facts);
    "BR-IC-11", Fatal, |invoice, facts| !facts.vat().breakdown.has(Category::K) || delivery_has_a_date(invoice);
    "BR-IC-12", Fatal, |invoice, facts| !facts.vat().breakdown.has(Category::K) || delivery_has_a_country(invoice);
    "BR-AF-01", Fatal, |invoice, facts| breakdown_if_used(invoice, facts, Category::L);
    "BR-AF-02", Fatal, |_, facts| !facts.vat().lines.has(Category::L) || seller_is_taxable(facts);
    "BR-AF-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::L) || seller_is_taxable(facts);
    "BR-AF-04", Fatal, |_, facts| !charges_use_igic(facts) || seller_is_taxable(facts);
    "BR-AG-01", Fatal, |invoice, facts| breakdown_if_used(invoice, facts, Category::M);
    "BR-AG-02", Fatal, |_, facts| !facts.vat().lines.has(Category::M) || seller_is_taxable(facts);
    "BR-AG-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::M) || seller_is_taxable(facts);
    "BR-AG-04", Fatal, |_, facts| !facts.vat().charges.has(Category::M) || seller_is_taxable(facts);
    "BR-O-01", Fatal, |_, facts| one_breakdown(facts, Category::O);
    "BR-O-02", Fatal, |_, facts| !facts.vat().lines.has(Category::O) || nobody_has_vat_identifier(facts);
    "BR-O-03", Fatal, |_, facts| !facts.vat().document_allowances.has(Category::O) || nobody_has_vat_identifier(facts);
    "BR-O-04", Fatal, |_, facts| !facts.vat().document_charges.has(Category::O) || nobody_has_vat_identifier(facts);
    "BR-O-11", Fatal, |_, facts| !facts.vat().breakdown.has(Category::O) || facts.vat().breakdown.others(Category::O) == 0;
    "BR-O-12", Fatal, |_, facts| !facts.vat().breakdown.has(Category::O) || facts.vat().lines.others(Category::O) == 0;
    "BR-O-13", Fatal, |_, facts| !facts.vat().breakdown.has(Category::O) || facts.vat().allowances.others(Category::O) == 0;
    "BR-O-14", Fatal, |_, facts| !facts.vat().breakdown.has(Category::O) || facts.vat().charges.others(Category::O) == 0;
    "BR-S-01", Fatal, |_, facts| standard_breakdown(facts);
    "BR-S-02", Fatal, |_, facts| !facts.vat().lines_any.has(Category::S) || facts.vat().lines.has(Category::S) && seller_is_taxable(facts);
    "BR-S-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::S) || seller_is_taxable(facts);
    "BR-S-04", Fatal, |_, facts| !facts.vat().charges.has(Category::S) || seller_is_taxable(facts);
    "BR-Z-01", Fatal, |_, facts| one_breakdown(facts, Category::Z);
    "BR-Z-02", Fatal, |_, facts| !facts.vat().lines.has(Category::Z) || seller_is_taxable(facts);
    "BR-Z-03", Fatal, |_, facts| !facts.vat().allowances.has(Category::Z) || seller_is_taxable(facts);
    "BR-Z-04", Fatal, |_, facts| !facts.vat().charges.has(Category::Z) || seller_is_taxable(facts);
    "BR-B-01", Fatal, |_, facts| !uses(facts, "B") || facts.document.all(crate::xml::cbc::IdentificationCode).all(|country| country.text() == "IT");
    "BR-B-02", Fatal, |invoice, facts| !(document_uses(invoice, facts, "B") && document_uses(invoice, facts, "S"));
};

pub(super) const VAT_IDENTIFIER: &[Rule] = rules! {
    "BR-CO-09", Fatal, |scheme, _| has_country_prefix(scheme.text_at(p!(cbc:CompanyID)).unwrap_or_default());
};

/// The four contexts of a category: breakdown, allowances, charges, lines.
macro_rules! category {
    ($name:ident $code:ident; $breakdown:expr; $allowance:literal $charge:literal $line:literal $rate:expr) => {
        pub(super) const $name: [Context; 4] = [
            context!([cac:TaxCategory] in [cac:TaxSubtotal] if |node, _| in_breakdown(node) && is(node, stringify!($code)); $breakdown),
            context!([cac:TaxCategory] in [cac:AllowanceCharge] if |node, _| node.parent().is_some_and(is_allowance) && is(node, stringify!($code));
                rules! { $allowance, Fatal, $rate; }),
            context!([cac:TaxCategory] in [cac:AllowanceCharge] if |node, _| node.parent().is_some_and(is_charge) && is(node, stringify!($code));
                rules! { $charge, Fatal, $rate; }),
            context!([cac:ClassifiedTaxCategory] if |node, _| of_line(node) && is(node, stringify!($code));
                rules! { $line, Fatal, $rate; }),
        ];
    };
}

category!(AE AE; rules! {
    "BR-AE-08", Fatal, |category, facts| base_is_sum(category, facts, Category::AE);
    "BR-AE-09", Fatal, |category, _| vat_is_zero(category);
    "BR-AE-10", Fatal, |category, _| has_exemption_reason(category);
}; "BR-AE-06" "BR-AE-07" "BR-AE-05" |category, _| rate_is_zero(category));
category!(E E; rules! {
    "BR-E-08", Fatal, |category, facts| base_is_sum(category, facts, Category::E);
    "BR-E-09", Fatal, |category, _| vat_is_zero(category);
    "BR-E-10", Fatal, |category, _| has_exemption_reason(category);
}; "BR-E-06" "BR-E-07" "BR-E-05" |category, _| rate_is_zero(category));
category!(G G; rules! {
    "BR-G-08", Fatal, |category, facts| base_is_sum(category, facts, Category::G);
    "BR-G-09", Fatal, |category, _| vat_is_zero(category);
    "BR-G-10", Fatal, |category, _| has_exemption_reason(category);
}; "BR-G-06" "BR-G-07" "BR-G-05" |category, _| rate_is_zero(category));
category!(IC K; rules! {
    "BR-IC-08", Fatal, |category, facts| base_is_sum(category, facts, Category::K);
    "BR-IC-09", Fatal, |category, _| vat_is_zero(category);
    "BR-IC-10", Fatal, |category, _| has_exemption_reason(category);
}; "BR-IC-06" "BR-IC-07" "BR-IC-05" |category, _| rate_is_zero(category));
category!(AF L; rules! {
    "BR-AF-08", Fatal, |category, facts| base_is_sum_at_rate(category, facts, Category::L);
    "BR-AF-09", Fatal, |category, _| vat_is_base_times_rate(category);
    "BR-AF-10", Fatal, |category, _| !has_exemption_reason(category);
}; "BR-AF-06" "BR-AF-07" "BR-AF-05" |category, _| rate(category).any(|rate| rate >= 0.0));
category!(AG M; rules! {
    "BR-AG-08", Fatal, |category, facts| base_is_sum_at_rate(category, facts, Category::M);
    "BR-AG-09", Fatal, |category, _| vat_is_base_times_rate(category);
    "BR-AG-10", Fatal, |category, _| !has_exemption_reason(category);
}; "BR-AG-06" "BR-AG-07" "BR-AG-05" |category, _| rate(category).any(|rate| rate >= 0.0));
category!(O O; rules! {
    "BR-O-08", Fatal, |category, facts| base_is_sum(category, facts, Category::O);
    "BR-O-09", Fatal, |category, _| vat_is_zero(category);
    "BR-O-10", Fatal, |category, _| has_exemption_reason(category);
}; "BR-O-06" "BR-O-07" "BR-O-05" |category, _| !category.has(p!(cbc:Percent)));
category!(S S; rules! {
    "BR-S-08", Fatal, |category, facts| standard_base_is_sum_at_rate(category, facts);
    "BR-S-09", Fatal, |category, _| vat_is_base_times_rate(category);
    "BR-S-10", Fatal, |category, _| !has_exemption_reason(category);
}; "BR-S-06" "BR-S-07" "BR-S-05" |category, _| rate(category).any(|rate| rate > 0.0));
category!(Z Z; rules! {
    "BR-Z-08", Fatal, |category, facts| base_is_sum(category, facts, Category::Z);
    "BR-Z-09", Fatal, |category, _| vat_is_zero(category);
    "BR-Z-10", Fatal, |category, _| !has_exemption_reason(category);
}; "BR-Z-06" "BR-Z-07" "BR-Z-05" |category, _| rate_is_zero(category));

fn is(category: Node<'_>, code: &str) -> bool {
    category.clean_at(p!(cbc:ID)) == code && has_vat_scheme(category)
}

/// In the VAT breakdown of the document.
fn in_breakdown(category: Node<'_>) -> bool {
    let total = category
        .inside(cac::TaxSubtotal)
        .and_then(|subtotal| subtotal.inside(cac::TaxTotal));
    total.and_then(Node::parent).is_some_and(Node::is_root)
}

fn of_line(category: Node<'_>) -> bool {
    category.under(&[cac::InvoiceLine, cac::Item]) || category.under(&[cac::CreditNoteLine, cac::Item])
}

/// Where the category is used there is one breakdown of it, and where not there is none at all.
fn one_breakdown(facts: &Facts<'_>, category: Category) -> bool {
    let vat = facts.vat();
    !(vat.categories.has(category) || vat.lines.has(category)) || vat.breakdown.of(category) == 1
}

/// Where lines, allowances or charges use the category there is a breakdown of it, and only there. The artefact wants
/// the code of a used breakdown without white space around it, and leaves out its scheme for IGIC.
fn breakdown_if_used(invoice: Node<'_>, facts: &Facts<'_>, category: Category) -> bool {
    let vat = facts.vat();
    if !(vat.lines.has(category) || vat.allowances.has(category) || vat.charges.has(category)) {
        return !vat.breakdown.has(category);
    }
    let fits = |node: Node<'_>| match category {
        Category::L => node.says(p!(cbc:ID), "L"),
        _ => node.says(p!(cbc:ID), "M") && has_vat_scheme(node),
    };
    invoice.at(p!(cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory)).any(fits)
}

/// The artefact compares this code alone without regard to white space around it.
fn charges_use_igic(facts: &Facts<'_>) -> bool {
    let mut categories = facts.document.all(cac::TaxCategory);
    categories.any(|category| {
        category.says(p!(cbc:ID), "L")
            && has_vat_scheme(category)
            && category.inside(cac::AllowanceCharge).is_some_and(is_charge)
    })
}

fn standard_breakdown(facts: &Facts<'_>) -> bool {
    let vat = facts.vat();
    let used = vat.lines_any.has(Category::S) || vat.adjustments_any.has(Category::S);
    used == vat.breakdown_any.has(Category::S)
}

fn seller_is_taxable(facts: &Facts<'_>) -> bool {
    let parties = facts.parties();
    parties.seller_tax || parties.representative_vat
}

fn seller_has_vat_identifier(facts: &Facts<'_>) -> bool {
    let parties = facts.parties();
    parties.seller_vat || parties.representative_vat
}

fn both_are_taxable(facts: &Facts<'_>) -> bool {
    let parties = facts.parties();
    seller_is_taxable(facts) && (parties.buyer_vat || parties.buyer_legal)
}

fn both_have_vat_identifiers(facts: &Facts<'_>) -> bool {
    seller_has_vat_identifier(facts) && facts.parties().buyer_vat
}

fn nobody_has_vat_identifier(facts: &Facts<'_>) -> bool {
    !seller_has_vat_identifier(facts) && !facts.parties().buyer_vat
}

fn delivery_has_a_date(invoice: Node<'_>) -> bool {
    invoice
        .text_at(p!(cac:Delivery/cbc:ActualDeliveryDate))
        .is_some_and(|date| date.chars().count() > 1)
        || invoice
            .at(p!(cac:InvoicePeriod))
            .any(|period| period.first_child().is_some())
}

fn delivery_has_a_country(invoice: Node<'_>) -> bool {
    invoice
        .text_at(p!(cac:Delivery/cac:DeliveryLocation/cac:Address/cac:Country/cbc:IdentificationCode))
        .is_some_and(|country| country.chars().count() > 1)
}

/// Some line or other tax category has the code, whatever its scheme.
fn uses(facts: &Facts<'_>, code: &str) -> bool {
    let mut categories = facts
        .document
        .all(cac::TaxCategory)
        .chain(facts.document.all(cac::ClassifiedTaxCategory));
    categories.any(|category| category.says(p!(cbc:ID), code))
}

fn document_uses(invoice: Node<'_>, facts: &Facts<'_>, code: &str) -> bool {
    invoice.says(p!(cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:ID), code)
        || invoice.says(p!(cac:AllowanceCharge/cac:TaxCategory/cbc:ID), code)
        || facts
            .document
            .all(cac::ClassifiedTaxCategory)
            .any(|category| category.says(p!(cbc:ID), code))
}

/// The list has EL for Greece besides the country codes.
fn has_country_prefix(identifier: &str) -> bool {
    let end = identifier
        .char_indices()
        .nth(2)
        .map_or(identifier.len(), |(end, _)| end);
    let prefix = &identifier[..end];
    prefix == "EL" || codes::COUNTRIES.contains(prefix)
}

/// All rates that can be read, as an untyped value becomes a number.
fn rate(category: Node<'_>) -> impl Iterator<Item = f64> {
    category.at(p!(cbc:Percent)).filter_map(Node::double)
}

fn rate_is_zero(category: Node<'_>) -> bool {
    category.decimal_at(p!(cbc:Percent)).is_some_and(|rate| rate.is_zero())
}

fn vat_is_zero(category: Node<'_>) -> bool {
    category
        .parent()
        .and_then(|subtotal| subtotal.decimal_at(p!(cbc:TaxAmount)))
        .is_some_and(|vat| vat.is_zero())
}

fn has_exemption_reason(category: Node<'_>) -> bool {
    category.has(p!(cbc:TaxExemptionReason)) || category.has(p!(cbc:TaxExemptionReasonCode))
}

fn vat_is_base_times_rate(category: Node<'_>) -> bool {
    let Some(subtotal) = category.parent() else {
        return false;
    };
    let (vat, base) = (
        subtotal.decimal_at(p!(cbc:TaxAmount)),
        subtotal.decimal_at(p!(cbc:TaxableAmount)),
    );
    within_one_unit(vat, base, category.decimal_at(p!(cbc:Percent)))
}

/// Which kinds of lines the document has.
fn line_kinds(facts: &Facts<'_>) -> impl Iterator<Item = Of> {
    let invoice = facts.document.all(cac::InvoiceLine).len() > 0;
    let credit_note = facts.document.all(cac::CreditNoteLine).len() > 0;
    [(invoice, Of::InvoiceLine), (credit_note, Of::CreditNoteLine)]
        .into_iter()
        .filter(|(there, _)| *there)
        .map(|(_, of)| of)
}

fn base_is_sum(category: Node<'_>, facts: &Facts<'_>, code: Category) -> bool {
    let vat = facts.vat();
    let base = category
        .parent()
        .and_then(|subtotal| subtotal.decimal_at(p!(cbc:TaxableAmount)));
    line_kinds(facts).any(|lines| {
        let charged = vat
            .sum(lines, code)
            .zip(vat.sum(Of::Charge, code))
            .and_then(|(sum, more)| sum.checked_add(more));
        let expected = charged
            .zip(vat.sum(Of::Allowance, code))
            .and_then(|(sum, less)| sum.checked_sub(less));
        equal(base, expected)
    })
}

/// Lines plus charges less allowances at a rate are less than one unit away from the base.
fn is_near(category: Node<'_>, facts: &Facts<'_>, code: Category, rate: Decimal, lines: Of) -> bool {
    let vat = facts.vat();
    let charged = vat
        .sum_at(lines, code, rate)
        .zip(vat.sum_at(Of::Charge, code, rate))
        .and_then(|(sum, more)| sum.checked_add(more));
    let Some(expected) = charged
        .zip(vat.sum_at(Of::Allowance, code, rate))
        .and_then(|(sum, less)| sum.checked_sub(less))
    else {
        return false;
    };
    let base = category
        .parent()
        .and_then(|subtotal| subtotal.double_at(p!(cbc:TaxableAmount)));
    // The artefact subtracts in binary before it casts to decimal.
    let bounds = base.and_then(|base| retained(base - 1.0).zip(retained(base + 1.0)));
    bounds.is_some_and(|(low, high)| low < expected && high > expected)
}

fn base_is_sum_at_rate(category: Node<'_>, facts: &Facts<'_>, code: Category) -> bool {
    let Some(rate) = category.first(p!(cbc:Percent)) else {
        return true;
    };
    let Some(rate) = rate.decimal() else { return false };
    line_kinds(facts).any(|lines| is_near(category, facts, code, rate, lines))
}

fn standard_base_is_sum_at_rate(category: Node<'_>, facts: &Facts<'_>) -> bool {
    let Some(rate) = category.first(p!(cbc:Percent)) else {
        return true;
    };
    let Some(rate) = rate.decimal() else { return false };
    let vat = facts.vat();
    [Of::InvoiceLine, Of::CreditNoteLine].into_iter().any(|lines| {
        let used = vat.any_at(lines, Category::S, rate) || vat.adjusted_at(Category::S, rate);
        used && is_near(category, facts, Category::S, rate, lines)
    })
}
