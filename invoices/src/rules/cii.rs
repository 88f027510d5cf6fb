//! EN 16931 artefacts 1.3.16 bound to CII D16B.

pub(super) mod codes;
mod document;
mod groups;
mod syntax;
mod vat;

use std::sync::{LazyLock, OnceLock};

use crate::engine::{Facts, Pattern, RuleSet, Set, Tables, context};
use crate::xml::{Name, Node, p, ram, rsm};

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::read(include_str!("../../data/syntax-cii.txt")));

/// The rule set.
pub(super) static EN16931: RuleSet = RuleSet {
    set: Set::En16931,
    patterns: &[MODEL, syntax::PATTERN, codes::PATTERN],
    tables: || &TABLES,
    plan: OnceLock::new(),
};

/// The business rules, in the order of the artefact.
const MODEL: Pattern = &[
    context!([ram:DesignatedProductClassification]; groups::ITEM_CLASSIFICATION),
    context!([ram:AdditionalReferencedDocument]; groups::SUPPORTING_DOCUMENT),
    context!([ram:ApplicableTradeSettlementFinancialCard]; groups::CARD),
    context!([ram:PayeePartyCreditorFinancialAccount] if groups::of_credit_transfer; groups::ACCOUNT),
    context!([ram:ApplicableHeaderTradeDelivery] if |node, _| in_transaction(node); groups::DELIVERY),
    context!([ram:ChargeIndicator] if |node, _| document::of_document(node) && node.says(p!(udt:Indicator), "false"); document::ALLOWANCE),
    context!([ram:ChargeIndicator] if |node, _| document::of_document(node) && node.says(p!(udt:Indicator), "true"); document::CHARGE),
    context!([ram:SpecifiedTradeSettlementHeaderMonetarySummation]; document::TOTALS),
    context!([rsm:CrossIndustryInvoice] if |node, _| node.is_root(); document::DOCUMENT, vat::DOCUMENT),
    context!([ram:IncludedSupplyChainTradeLineItem]; groups::LINE),
    context!([ram:ChargeIndicator] if |node, _| groups::of_line(node) && node.says(p!(udt:Indicator), "false"); groups::LINE_ALLOWANCE),
    context!([ram:ChargeIndicator] if |node, _| groups::of_line(node) && node.says(p!(udt:Indicator), "true"); groups::LINE_CHARGE),
    context!([ram:BillingSpecifiedPeriod] if |node, _| node.inside(ram::SpecifiedLineTradeSettlement).is_some(); groups::LINE_PERIOD),
    context!([ram:BillingSpecifiedPeriod] if |node, _| node.inside(ram::ApplicableHeaderTradeSettlement).is_some(); groups::PERIOD),
    context!([ram:ApplicableProductCharacteristic]; groups::ITEM_PROPERTY),
    context!([ram:PayeeTradeParty]; groups::PAYEE),
    context!([ram:SpecifiedTradeSettlementPaymentMeans]; groups::PAYMENT_MEANS),
    context!([ram:InvoiceReferencedDocument] if |node, _| in_header(node, ram::ApplicableHeaderTradeSettlement); groups::PRECEDING_INVOICE),
    context!([ram:SellerTradeParty]; groups::SELLER),
    context!([ram:SellerTaxRepresentativeTradeParty]; groups::TAX_REPRESENTATIVE),
    context!([ram:TaxTotalAmount] if document::is_vat_total; document::VAT_TOTAL),
    context!([ram:ID] if groups::is_vat_identifier; groups::VAT_IDENTIFIER),
    vat::AE[0],
    vat::AE[1],
    vat::AE[2],
    vat::AE[3],
    vat::AF[0],
    vat::AF[1],
    vat::AF[2],
    vat::AF[3],
    vat::AG[0],
    vat::AG[1],
    vat::AG[2],
    vat::AG[3],
    vat::E[0],
    vat::E[1],
    vat::E[2],
    vat::E[3],
    vat::G[0],
    vat::G[1],
    vat::G[2],
    vat::G[3],
    vat::IC[0],
    vat::IC[1],
    vat::IC[2],
    vat::IC[3],
    vat::O[0],
    vat::O[1],
    vat::O[2],
    vat::O[3],
    vat::S[0],
    vat::S[1],
    vat::S[2],
    vat::S[3],
    vat::Z[0],
    vat::Z[1],
    vat::Z[2],
    vat::Z[3],
    context!([ram:ApplicableTradeTax] if |node, _| node.inside(ram::ApplicableHeaderTradeSettlement).is_some(); document::BREAKDOWN),
];

/// The settlement of the document.
pub(in crate::rules) fn settlement<'d>(facts: &Facts<'d>) -> Option<Node<'d>> {
    facts
        .root()
        .first(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement))
}

/// Directly below the transaction of the document.
pub(in crate::rules) fn in_transaction(node: Node<'_>) -> bool {
    node.under(&[rsm::CrossIndustryInvoice, rsm::SupplyChainTradeTransaction])
}

/// Directly below a header group of the document.
pub(in crate::rules) fn in_header(node: Node<'_>, header: Name) -> bool {
    node.inside(header).is_some_and(in_transaction)
}

/// Directly below a line of the document.
pub(in crate::rules) fn in_line(node: Node<'_>) -> bool {
    node.inside(ram::IncludedSupplyChainTradeLineItem)
        .is_some_and(in_transaction)
}
