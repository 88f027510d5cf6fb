//! The syntax binding to CII: what the tables cannot say, and where each table applies.

use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::xml::{Name, Namespace, Node, Path, at, boolean, normalize, p, ram, rsm, trim};

use super::{in_header, in_line, in_transaction};

pub(super) const PATTERN: Pattern = &[
    context!([ram:SpecifiedTradeSettlementPaymentMeans], table "payment-means";),
    context!([rsm:ExchangedDocumentContext] if of_root, table "context";),
    context!([rsm:ExchangedDocument] if of_root, table "document";),
    context!([ram:IncludedNote] if |node, _| node.under(&[rsm::CrossIndustryInvoice, rsm::ExchangedDocument]), table "note";),
    context!([ram:IncludedSupplyChainTradeLineItem] if |node, _| in_transaction(node), table "line";),
    context!([ram:AssociatedDocumentLineDocument] if |node, _| in_line(node), table "line-document";),
    context!([ram:SpecifiedTradeProduct] if |node, _| in_line(node), table "product"; PRODUCT),
    context!([ram:ApplicableProductCharacteristic] if |node, _| node.inside(ram::SpecifiedTradeProduct).is_some_and(in_line), table "characteristic";),
    context!([ram:SpecifiedLineTradeAgreement] if |node, _| in_line(node), table "line-agreement"; LINE_AGREEMENT),
    context!([ram:SpecifiedTradeAllowanceCharge], table "allowance-charge"; ADJUSTMENT),
    context!([ram:AppliedTradeAllowanceCharge] if |node, _| node.inside(ram::GrossPriceProductTradePrice).is_some(), table "price-allowance";),
    context!([ram:SpecifiedLineTradeDelivery] if |node, _| in_line(node), table "line-delivery";),
    context!([ram:SpecifiedLineTradeSettlement] if |node, _| in_line(node), table "line-settlement"; LINE_SETTLEMENT),
    context!([ram:ApplicableHeaderTradeAgreement] if |node, _| in_transaction(node), table "agreement"; AGREEMENT),
    context!([ram:ApplicableHeaderTradeDelivery] if |node, _| in_transaction(node), table "delivery"; DELIVERY),
    context!([ram:ApplicableHeaderTradeSettlement] if |node, _| in_transaction(node), table "settlement"; SETTLEMENT),
    context!([ram:SpecifiedTradeSettlementHeaderMonetarySummation] if |node, _| in_header(node, ram::ApplicableHeaderTradeSettlement), table "totals";),
    context!([rsm:CrossIndustryInvoice] if |node, _| node.is_root(), table "root"; DOCUMENT),
    context!("DocumentContextParameter", table "context-parameter";),
    context!([ram:ID, ram:LineID, ram:SellerAssignedID] if is_plain_identifier, table "identifier";),
    context!("ID" if |node, _| is_entity(node), table "id";),
    context!([ram:TypeCode], table "type-code";),
    context!([ram:TypeCode] if |node, _| node.under(&[rsm::CrossIndustryInvoice, rsm::ExchangedDocument]), table "document-type-code";),
    context!([ram:CategoryCode] if |node, _| is_line_category(node), table "line-category-code";),
    context!("ReferencedDocument" if |node, _| is_entity(node), table "referenced-document"; REFERENCED_DOCUMENT),
    context!("Amount" if |node, _| is_entity(node) && node.name() != ram::TaxTotalAmount, table "amount";),
    context!("Quantity" if |node, _| is_entity(node), table "quantity"; QUANTITY),
    context!("TradeTax" if |node, _| is_entity(node), table "trade-tax"; TRADE_TAX),
    context!([ram:BillingSpecifiedPeriod], table "period";),
    context!([ram:PostalTradeAddress], table "address";),
    context!([udt:DateTimeString] if |node, _| node.attribute(at::format) == Some("102"); DATE),
];

const PRODUCT: &[Rule] = rules! {
    "CII-SR-046", Fatal, |product, _| !product.has(p!(ram:GlobalID)) || product.at(p!(ram:GlobalID)).any(|id| id.scheme().is_some());
    "CII-SR-090", Fatal, |product, _| !product.has(p!(ram:OriginTradeCountry)) || product.count(p!(ram:OriginTradeCountry/ram:ID)) == 1;
};

const LINE_AGREEMENT: &[Rule] = rules! {
    "CII-SR-119", Warning, |agreement, _| price_allowance_is_complete(agreement);
};

const ADJUSTMENT: &[Rule] = rules! {
    "CII-SR-463", Fatal, |adjustment, _| adjustment.has(p!(ram:ChargeIndicator));
};

const LINE_SETTLEMENT: &[Rule] = rules! {
    "CII-SR-474", Warning, |settlement, _| of_type(settlement, "130").count() <= 1;
};

const AGREEMENT: &[Rule] = rules! {
    "CII-SR-450", Warning, |agreement, _| one_kind_of_identifier(agreement, p!(ram:BuyerTradeParty/ram:ID), p!(ram:BuyerTradeParty/ram:GlobalID));
    "CII-SR-457", Warning, |agreement, _| exactly_of_type(agreement, "50") <= 1;
    "CII-SR-458", Warning, |agreement, _| exactly_of_type(agreement, "130") <= 1;
    "CII-SR-465", Warning, |agreement, _| one_kind_of_identifier(agreement, p!(ram:SellerTradeParty/ram:DefinedTradeContact/ram:PersonName), p!(ram:SellerTradeParty/ram:DefinedTradeContact/ram:DepartmentName));
    "CII-SR-466", Warning, |agreement, _| one_kind_of_identifier(agreement, p!(ram:BuyerTradeParty/ram:DefinedTradeContact/ram:PersonName), p!(ram:BuyerTradeParty/ram:DefinedTradeContact/ram:DepartmentName));
    "CII-SR-475", Warning, |agreement, _| of_type(agreement, "916").map(|document| document.count(p!(ram:Name))).sum::<usize>() <= 1;
    "CII-SR-476", Warning, |agreement, _| of_type(agreement, "916").map(|document| document.count(p!(ram:AttachmentBinaryObject))).sum::<usize>() <= 1;
};

const DELIVERY: &[Rule] = rules! {
    "CII-SR-449", Warning, |delivery, _| one_kind_of_identifier(delivery, p!(ram:ShipToTradeParty/ram:ID), p!(ram:ShipToTradeParty/ram:GlobalID));
};

const SETTLEMENT: &[Rule] = rules! {
    "CII-SR-451", Warning, |settlement, _| one_kind_of_identifier(settlement, p!(ram:PayeeTradeParty/ram:ID), p!(ram:PayeeTradeParty/ram:GlobalID));
    "CII-SR-462", Fatal, |_, facts| all_the_same(facts.document.all(ram::DueDateTypeCode).filter(|code| code.inside(ram::ApplicableTradeTax).is_some()), false);
    "CII-SR-470", Fatal, |settlement, _| !settlement.at(p!(ram:SpecifiedTradeSettlementPaymentMeans)).any(is_transfer_without_account);
};

const DOCUMENT: &[Rule] = rules! {
    "CII-SR-467", Fatal, |_, facts| all_the_same(facts.document.all(ram::TypeCode).filter(of_payment_means), true);
    "CII-SR-468", Fatal, |_, facts| all_the_same(facts.document.all(ram::Information).filter(of_payment_means), true);
};

const REFERENCED_DOCUMENT: &[Rule] = rules! {
    "CII-DT-015", Fatal, |document, _| !document.has(p!(ram:URIID)) || is_additional(document, &["916"]);
    "CII-DT-018", Fatal, |document, _| !document.has(p!(ram:TypeCode)) || is_additional(document, &["50", "130", "916"]);
    "CII-DT-021", Fatal, |document, _| !document.has(p!(ram:Name)) || is_additional(document, &["916"]);
    "CII-DT-022", Fatal, |document, _| !document.has(p!(ram:AttachmentBinaryObject)) || is_additional(document, &["916"]);
    "CII-DT-024", Fatal, |document, _| !document.has(p!(ram:ReferenceTypeCode)) || is_additional(document, &["130"]);
    "CII-DT-027", Fatal, |document, _| !document.has(p!(ram:FormattedIssueDateTime)) || document.name() == ram::InvoiceReferencedDocument;
};

const QUANTITY: &[Rule] = rules! {
    "CII-DT-033", Fatal, |quantity, facts| quantity.attribute(at::unitCode).is_none() || facts.units(|| some_billed_quantity_has_a_unit(facts));
};

const TRADE_TAX: &[Rule] = rules! {
    "CII-DT-037", Fatal, |tax, _| !tax.has(p!(ram:TypeCode)) || tax.says(p!(ram:TypeCode), "VAT");
    "CII-DT-041", Warning, |tax, _| !tax.has(p!(ram:BasisAmount)) || tax.has_ancestor(ram::ApplicableHeaderTradeSettlement);
    "CII-DT-052", Warning, |tax, _| !tax.has(p!(ram:ExemptionReasonCode)) || tax.name() == ram::ApplicableTradeTax;
    "CII-DT-098", Warning, |tax, _| !tax.has(p!(ram:ExemptionReason)) || tax.name() == ram::ApplicableTradeTax;
    "CII-DT-054", Warning, |tax, _| !tax.has(p!(ram:TaxPointDate)) || tax.has_ancestor(ram::ApplicableHeaderTradeSettlement);
    "CII-DT-058", Warning, |tax, _| !tax.has(p!(ram:DueDateTypeCode)) || tax.has_ancestor(ram::ApplicableHeaderTradeSettlement);
};

const DATE: &[Rule] = rules! {
    "CII-DT-097", Fatal, |date, _| is_date(trim(date.text()));
};

fn of_root(node: Node<'_>, _: &Facts<'_>) -> bool {
    node.inside(rsm::CrossIndustryInvoice).is_some_and(Node::is_root)
}

fn is_entity(node: Node<'_>) -> bool {
    node.name().namespace() == Namespace::Entity
}

/// Identifiers that never carry a scheme: of guideline, document, line, and the seller's item number.
fn is_plain_identifier(id: Node<'_>, _: &Facts<'_>) -> bool {
    const ROOT: Name = rsm::CrossIndustryInvoice;
    match id.name() {
        ram::LineID => id.inside(ram::AssociatedDocumentLineDocument).is_some_and(in_line),
        ram::SellerAssignedID => id.inside(ram::SpecifiedTradeProduct).is_some_and(in_line),
        _ => {
            id.under(&[ROOT, rsm::ExchangedDocument])
                || id.under(&[
                    ROOT,
                    rsm::ExchangedDocumentContext,
                    ram::GuidelineSpecifiedDocumentContextParameter,
                ])
        }
    }
}

fn is_line_category(code: Node<'_>) -> bool {
    let settlement = code
        .inside(ram::ApplicableTradeTax)
        .and_then(|tax| tax.inside(ram::SpecifiedLineTradeSettlement));
    settlement.is_some_and(in_line)
}

fn price_allowance_is_complete(agreement: Node<'_>) -> bool {
    let allowance = p!(ram:GrossPriceProductTradePrice/ram:AppliedTradeAllowanceCharge/ram:ChargeIndicator);
    let amount = agreement.has(p!(ram:GrossPriceProductTradePrice/ram:AppliedTradeAllowanceCharge/ram:ActualAmount));
    if !agreement.has(allowance) && !amount {
        return true;
    }
    let mut indicators = agreement
        .at(allowance)
        .flat_map(|indicator| indicator.at(p!(udt:Indicator)));
    amount && indicators.any(|indicator| boolean(indicator.text()) == Some(false))
}

/// Additional documents of a type, apart from white space around the code.
fn of_type<'d>(node: Node<'d>, code: &'static str) -> impl Iterator<Item = Node<'d>> {
    node.at(p!(ram:AdditionalReferencedDocument))
        .filter(move |document| document.clean_at(p!(ram:TypeCode)) == code)
}

fn exactly_of_type(node: Node<'_>, code: &str) -> usize {
    node.at(p!(ram:AdditionalReferencedDocument))
        .filter(|document| document.says(p!(ram:TypeCode), code))
        .count()
}

fn one_kind_of_identifier(node: Node<'_>, one: Path, other: Path) -> bool {
    !(node.has(one) && node.has(other))
}

/// All texts are the same; `clean` leaves white space out of it.
fn all_the_same<'d>(mut nodes: impl Iterator<Item = Node<'d>>, clean: bool) -> bool {
    let value = |node: Node<'d>| if clean { node.clean() } else { node.text().into() };
    let Some(first) = nodes.next().map(value) else {
        return true;
    };
    nodes.all(|node| value(node) == first)
}

fn of_payment_means(node: &Node<'_>) -> bool {
    node.inside(ram::SpecifiedTradeSettlementPaymentMeans).is_some()
}

fn is_transfer_without_account(means: Node<'_>) -> bool {
    means.clean_one_of(p!(ram:TypeCode), &["30", "58"])
        && !means.has(p!(ram:PayeePartyCreditorFinancialAccount/ram:IBANID))
        && !means.has(p!(ram:PayeePartyCreditorFinancialAccount/ram:ProprietaryID))
}

fn is_additional(document: Node<'_>, types: &[&str]) -> bool {
    document.name() == ram::AdditionalReferencedDocument && document.says_one_of(p!(ram:TypeCode), types)
}

fn some_billed_quantity_has_a_unit(facts: &Facts<'_>) -> bool {
    let mut quantities = facts.document.all(ram::BilledQuantity);
    quantities.any(|quantity| {
        quantity.inside(ram::SpecifiedLineTradeDelivery).is_some_and(in_line)
            && quantity.attribute(at::unitCode).is_some()
    })
}

/// A date of format 102: year, month and day in eight digits.
fn is_date(date: &str) -> bool {
    let date = normalize(date);
    let number = |from: usize, to: usize| date.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
        && number(4, 6).is_some_and(|month| (1..=12).contains(&month))
        && number(6, 8).is_some_and(|day| (1..=31).contains(&day))
}
