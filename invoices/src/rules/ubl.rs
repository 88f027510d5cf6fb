//! EN 16931 artefacts 1.3.16 bound to UBL 2.1.

mod codes;
mod document;
mod groups;
mod syntax;
mod vat;

use std::sync::{LazyLock, OnceLock};

use crate::engine::{Pattern, RuleSet, Set, Tables, context};

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::read(include_str!("../../data/syntax-ubl.txt")));

/// The rule set.
pub(super) static EN16931: RuleSet = RuleSet {
    set: Set::En16931,
    patterns: &[MODEL, syntax::PATTERN, codes::PATTERN],
    tables: || &TABLES,
    plan: OnceLock::new(),
};

/// The business rules, in the order of the artefact.
const MODEL: Pattern = &[
    context!([cac:AdditionalDocumentReference]; groups::SUPPORTING_DOCUMENT),
    context!([cbc:EndpointID] in [cac:Party] if groups::of_buyer; groups::BUYER_ADDRESS),
    context!([cac:PostalAddress] if groups::of_buyer; groups::BUYER_POSTAL_ADDRESS),
    context!([cbc:PrimaryAccountNumberID] if groups::of_card; groups::CARD),
    context!([cac:Address] if groups::of_delivery; groups::DELIVERY_ADDRESS),
    context!([cac:AllowanceCharge] if |node, facts| document::of_document(node, facts) && document::is_allowance(node); document::ALLOWANCE),
    context!([cac:AllowanceCharge] if |node, facts| document::of_document(node, facts) && document::is_charge(node); document::CHARGE),
    context!([cac:LegalMonetaryTotal]; document::TOTALS),
    context!([inv:Invoice, cn:CreditNote] if |node, _| node.is_root(); document::DOCUMENT, vat::DOCUMENT),
    context!([cac:InvoiceLine, cac:CreditNoteLine]; groups::LINE),
    context!([cac:AllowanceCharge] if |node, _| groups::of_line(node) && document::is_allowance(node); groups::LINE_ALLOWANCE),
    context!([cac:AllowanceCharge] if |node, _| groups::of_line(node) && document::is_charge(node); groups::LINE_CHARGE),
    context!([cac:InvoicePeriod] if |node, _| groups::of_line(node); groups::LINE_PERIOD),
    context!([cac:InvoicePeriod]; groups::PERIOD),
    context!([cac:AdditionalItemProperty]; groups::ITEM_PROPERTY),
    context!([cbc:ItemClassificationCode] if groups::of_item_classification; groups::ITEM_CLASSIFICATION),
    context!([cbc:ID] in [cac:StandardItemIdentification] if groups::of_standard_item; groups::STANDARD_ITEM),
    context!([cbc:Note] if |node, _| node.parent().is_some_and(crate::xml::Node::is_root); groups::NOTE),
    context!([cac:PayeeParty]; groups::PAYEE),
    context!([cac:PayeeFinancialAccount] if groups::of_credit_transfer; groups::ACCOUNT),
    context!([cac:PaymentMeans]; groups::PAYMENT_MEANS),
    context!([cac:BillingReference]; groups::PRECEDING_INVOICE),
    context!([cac:AccountingSupplierParty]; groups::SELLER),
    context!([cbc:EndpointID] if groups::of_seller; groups::SELLER_ADDRESS),
    context!([cac:PostalAddress] if groups::of_seller; groups::SELLER_POSTAL_ADDRESS),
    context!([cac:TaxRepresentativeParty]; groups::TAX_REPRESENTATIVE),
    context!([cac:PostalAddress] in [cac:TaxRepresentativeParty]; groups::TAX_REPRESENTATIVE_ADDRESS),
    context!([cac:TaxTotal] if document::of_document; document::TAX_TOTAL),
    context!([cac:TaxSubtotal] in [cac:TaxTotal]; document::TAX_SUBTOTAL),
    context!([cac:PartyTaxScheme] if |node, _| vat::has_vat_scheme(node); vat::VAT_IDENTIFIER),
    vat::AE[0],
    vat::AE[1],
    vat::AE[2],
    vat::AE[3],
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
    vat::AF[0],
    vat::AF[1],
    vat::AF[2],
    vat::AF[3],
    vat::AG[0],
    vat::AG[1],
    vat::AG[2],
    vat::AG[3],
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
];
