//! Peppol BIS Billing 3 bound to CII, and the part of it that XRechnung takes over.

use rust_decimal::Decimal;

use crate::codes;
use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::rules::cii::settlement;
use crate::rules::shared::{LineParts, adjustments, decimal_or, in_currency, near, profile};
use crate::xml::{Node, Path, at, p, ram, rsm};

use super::identifiers as id;
use super::ubl::{INVOICE_TYPES, is_address_scheme, is_billing, is_currency};

pub(super) const PATTERNS: &[Pattern] = &[BILLING, CODES];

/// What XRechnung takes over; it changes R053 and R055, and lets products be off by more in forint.
pub(in crate::rules) const XRECHNUNG: Pattern = &[
    context!([rsm:ExchangedDocumentContext]; PROCESS),
    context!([ram:ApplicableHeaderTradeSettlement]; TAX_CURRENCY, rules! {
        "PEPPOL-EN16931-R053", Fatal, |settlement, _| vat_totals(settlement, true) <= 1;
        "PEPPOL-EN16931-R054", Fatal, |settlement, _| vat_totals(settlement, false) == usize::from(settlement.has(p!(ram:TaxCurrencyCode)));
        "PEPPOL-EN16931-R055", Fatal, |settlement, _| !settlement.has(p!(ram:TaxCurrencyCode)) || vat_totals(settlement, true) == 0 || vat_totals_have_one_sign(settlement);
    }),
    context!([ram:BuyerTradeParty]; BUYER),
    context!([ram:SellerTradeParty]; SELLER),
    context!([ram:SpecifiedTradeAllowanceCharge] if |node, _| node.has(PERCENT) && !node.has(BASE); PERCENTAGE_WITHOUT_BASE),
    context!([ram:SpecifiedTradeAllowanceCharge] if |node, _| !node.has(PERCENT) && node.has(BASE); BASE_WITHOUT_PERCENTAGE),
    context!([ram:SpecifiedTradeAllowanceCharge]; rules! {
        "PEPPOL-EN16931-R040", Fatal, |adjustment, facts| is_base_times_percentage(adjustment, profile(facts).slack);
    }, INDICATOR),
    context!([ram:AppliedTradeAllowanceCharge]; INDICATOR),
    context!([ram:SpecifiedTradeSettlementPaymentMeans] if |node, _| node.clean_one_of(p!(ram:TypeCode), &["49", "59"]); MANDATE),
    context!([ram:StartDateTime] if |node, facts| of_line_period(node, facts, START); LINE_START),
    context!([ram:EndDateTime] if |node, facts| of_line_period(node, facts, END); LINE_END),
    context!([ram:IncludedSupplyChainTradeLineItem]; rules! {
        "PEPPOL-EN16931-R120", Warning, |line, facts| parts(line, true).add_up(profile(facts).slack);
    }, OBJECT),
    context!([ram:NetPriceProductTradePrice, ram:GrossPriceProductTradePrice]; PRICE),
    context!([ram:BasisQuantity] if is_price_base; UNIT),
];

const BILLING: Pattern = &[
    context!([rsm:ExchangedDocumentContext]; PROCESS, rules! {
        "PEPPOL-EN16931-R007", Fatal, |_, facts| profile(facts).process.is_some();
        "PEPPOL-EN16931-R004", Fatal, |context, _| context.clean_at(p!(ram:GuidelineSpecifiedDocumentContextParameter/ram:ID))
            .starts_with("urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0");
    }),
    context!([ram:ApplicableHeaderTradeAgreement]; rules! {
        "PEPPOL-EN16931-R003", Fatal, |agreement, _| agreement.has(p!(ram:BuyerReference)) || agreement.has(p!(ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID));
        "PEPPOL-EN16931-R006", Fatal, |agreement, _| of_type(agreement, "130") <= 1;
        "PEPPOL-EN16931-R080", Fatal, |agreement, _| of_type(agreement, "50") <= 1;
    }),
    context!([ram:ApplicableHeaderTradeSettlement]; TAX_CURRENCY, rules! {
        "PEPPOL-EN16931-R053", Fatal, |settlement, _| vat_totals(settlement, true) == 1;
        "PEPPOL-EN16931-R054", Fatal, |settlement, _| vat_totals(settlement, false) == usize::from(settlement.has(p!(ram:TaxCurrencyCode)));
        "PEPPOL-EN16931-R055", Fatal, |settlement, _| !settlement.has(p!(ram:TaxCurrencyCode)) || vat_totals_have_one_sign(settlement);
    }),
    context!([rsm:ExchangedDocument]; rules! {
        "PEPPOL-EN16931-R002", Fatal, |document, _| document.count(p!(ram:IncludedNote)) <= 1 && !document.has(p!(ram:IncludedNote/ram:SubjectCode));
    }),
    context!([ram:BuyerTradeParty]; BUYER),
    context!([ram:SellerTradeParty]; SELLER),
    context!([ram:SpecifiedTradeAllowanceCharge] if |node, _| node.has(PERCENT) && !node.has(BASE); PERCENTAGE_WITHOUT_BASE),
    context!([ram:SpecifiedTradeAllowanceCharge] if |node, _| !node.has(PERCENT) && node.has(BASE); BASE_WITHOUT_PERCENTAGE),
    context!([ram:SpecifiedTradeAllowanceCharge]; rules! {
        "PEPPOL-EN16931-R040", Fatal, |adjustment, _| is_base_times_percentage(adjustment, Decimal::new(2, 2));
    }, INDICATOR),
    context!([ram:AppliedTradeAllowanceCharge]; INDICATOR),
    context!([ram:SpecifiedTradeSettlementPaymentMeans] if |node, _| node.clean_one_of(p!(ram:TypeCode), &["49", "59"]); MANDATE),
    context!([ram:StartDateTime] if |node, facts| of_line_period(node, facts, START); LINE_START),
    context!([ram:EndDateTime] if |node, facts| of_line_period(node, facts, END); LINE_END),
    context!([ram:IncludedSupplyChainTradeLineItem]; rules! {
        "PEPPOL-EN16931-R120", Fatal, |line, _| parts(line, false).add_up(Decimal::new(2, 2));
        "PEPPOL-EN16931-R100", Fatal, |line, _| line.first(p!(ram:SpecifiedLineTradeSettlement)).is_none_or(|settlement| of_type(settlement, "130") <= 1);
    }, OBJECT),
    context!([ram:NetPriceProductTradePrice, ram:GrossPriceProductTradePrice]; PRICE),
    context!([ram:BasisQuantity] if is_price_base; UNIT),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0088"); rules! { "PEPPOL-COMMON-R040", Fatal, |node, _| id::is_gln(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0192"); rules! { "PEPPOL-COMMON-R041", Fatal, |node, _| node.clean().len() == 9 && id::is_mod11(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0184"); rules! { "PEPPOL-COMMON-R042", Fatal, |node, _| id::is_danish(node.text()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0208"); rules! { "PEPPOL-COMMON-R043", Fatal, |node, _| id::is_belgian(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0201"); rules! { "PEPPOL-COMMON-R044", Warning, |node, _| id::is_italian_office(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0210"); rules! { "PEPPOL-COMMON-R045", Warning, |node, _| id::is_italian_tax_code(&node.clean()); }),
    context!([ram:URIID] if |node, _| node.scheme() == Some("9907"); rules! { "PEPPOL-COMMON-R046", Warning, |node, _| id::is_italian_tax_code(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0211"); rules! { "PEPPOL-COMMON-R047", Warning, |node, _| id::is_italian_vat(&node.clean()); }),
    context!([ram:URIID] if |node, _| node.scheme() == Some("9906"); rules! { "PEPPOL-COMMON-R048", Warning, |node, _| id::is_italian_vat(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0007"); rules! { "PEPPOL-COMMON-R049", Fatal, |node, _| id::is_swedish(&node.clean()); }),
    context!([ram:URIID, ram:ID, ram:GlobalID] if |node, _| node.scheme() == Some("0151"); rules! { "PEPPOL-COMMON-R050", Fatal, |node, _| id::is_australian(&node.clean()); }),
];

const PROCESS: &[Rule] = rules! {
    "PEPPOL-EN16931-R001", Fatal, |context, _| context.has(p!(ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID));
};
const TAX_CURRENCY: &[Rule] = rules! {
    "PEPPOL-EN16931-R005", Fatal, |settlement, _| !settlement.has(p!(ram:TaxCurrencyCode)) || settlement.clean_at(p!(ram:TaxCurrencyCode)) != settlement.clean_at(p!(ram:InvoiceCurrencyCode));
};
const BUYER: &[Rule] =
    rules! { "PEPPOL-EN16931-R010", Fatal, |party, _| party.has(p!(ram:URIUniversalCommunication/ram:URIID)); };
const SELLER: &[Rule] =
    rules! { "PEPPOL-EN16931-R020", Fatal, |party, _| party.has(p!(ram:URIUniversalCommunication/ram:URIID)); };
const PERCENTAGE_WITHOUT_BASE: &[Rule] = rules! { "PEPPOL-EN16931-R041", Fatal, |_, _| false; };
const BASE_WITHOUT_PERCENTAGE: &[Rule] = rules! { "PEPPOL-EN16931-R042", Fatal, |_, _| false; };
const INDICATOR: &[Rule] = rules! {
    "PEPPOL-EN16931-R043", Fatal, |adjustment, _| adjustment.clean_one_of(p!(ram:ChargeIndicator/udt:Indicator), &["true", "false"]);
};
const MANDATE: &[Rule] = rules! {
    "PEPPOL-EN16931-R061", Fatal, |means, _| means.parent().is_some_and(|settlement| settlement.has(p!(ram:SpecifiedTradePaymentTerms/ram:DirectDebitMandateID)));
};
const LINE_START: &[Rule] = rules! { "PEPPOL-EN16931-R110", Fatal, |start, facts| compares(start, facts, START, |line, document| line >= document); };
const LINE_END: &[Rule] =
    rules! { "PEPPOL-EN16931-R111", Fatal, |end, facts| compares(end, facts, END, |line, document| line <= document); };
const OBJECT: &[Rule] = rules! {
    "PEPPOL-EN16931-R101", Fatal, |line, _| !line.has(p!(ram:SpecifiedLineTradeSettlement/ram:AdditionalReferencedDocument))
        || line.says(p!(ram:SpecifiedLineTradeSettlement/ram:AdditionalReferencedDocument/ram:TypeCode), "130");
};
const PRICE: &[Rule] = rules! {
    "PEPPOL-EN16931-R121", Fatal, |price, _| !price.has(p!(ram:BasisQuantity)) || price.decimal_at(p!(ram:BasisQuantity)).is_some_and(|quantity| quantity > Decimal::ZERO);
};
const UNIT: &[Rule] = rules! { "PEPPOL-EN16931-R130", Fatal, |base, _| has_unit_of_quantity(base); };

const CODES: Pattern = &[
    context!([ram:AttachmentBinaryObject] if |node, _| node.attribute(at::mimeCode).is_some(); rules! {
        "PEPPOL-EN16931-CL001", Fatal, |object, _| codes::MIME_TYPES.contains(&object.attribute(at::mimeCode).unwrap_or_default());
    }),
    context!([ram:ReasonCode] if |node, _| is_reason_of(node, "false"); rules! { "PEPPOL-EN16931-CL002", Fatal, |code, _| codes::ALLOWANCE_REASONS.has(code.text()); }),
    context!([ram:ReasonCode] if |node, _| is_reason_of(node, "true"); rules! { "PEPPOL-EN16931-CL003", Fatal, |code, _| codes::CHARGE_REASONS.has(code.text()); }),
    context!([ram:TaxTotalAmount] if |node, _| node.attribute(at::currencyID).is_some(); rules! {
        "PEPPOL-EN16931-CL007", Fatal, |amount, _| is_currency(amount.attribute(at::currencyID).unwrap_or_default());
    }),
    context!([ram:TypeCode] if |node, _| node.inside(rsm::ExchangedDocument).is_some(); rules! {
        "PEPPOL-EN16931-P0100", Fatal, |code, facts| !is_billing(facts) || INVOICE_TYPES.contains(&&*code.clean()) || ["381", "396", "81", "83", "532"].contains(&&*code.clean());
    }),
    context!([udt:DateTimeString]; rules! {
        "PEPPOL-EN16931-F001", Fatal, |date, _| date.attribute(at::format).is_some_and(|format| format.trim() == "102") && date.text().len() == 8
            && date.text().starts_with("20") && date.text().bytes().all(|byte| byte.is_ascii_digit());
    }),
    context!([ram:URIID] if |node, _| node.under(&[ram::BuyerTradeParty, ram::URIUniversalCommunication]) || node.under(&[ram::SellerTradeParty, ram::URIUniversalCommunication]); rules! {
        "PEPPOL-EN16931-CL008", Fatal, |id, _| is_address_scheme(id.scheme().unwrap_or_default());
    }),
];

const PERCENT: Path = p!(ram:CalculationPercent);
const BASE: Path = p!(ram:BasisAmount);
const START: Path = p!(ram:BillingSpecifiedPeriod/ram:StartDateTime);
const END: Path = p!(ram:BillingSpecifiedPeriod/ram:EndDateTime);

fn of_type(node: Node<'_>, code: &str) -> usize {
    node.at(p!(ram:AdditionalReferencedDocument))
        .filter(|document| document.says(p!(ram:TypeCode), code))
        .count()
}

/// With both a base and a percentage, or neither: what has only one meets another context before.
fn is_base_times_percentage(adjustment: Node<'_>, slack: Decimal) -> bool {
    if !adjustment.has(PERCENT) {
        return true;
    }
    let amount = decimal_or(adjustment, p!(ram:ActualAmount), Decimal::ZERO);
    let product = adjustment
        .decimal_at(BASE)
        .zip(adjustment.decimal_at(PERCENT))
        .and_then(|(base, percent)| base.checked_mul(percent));
    amount
        .zip(product)
        .is_some_and(|(amount, product)| near(amount, product / Decimal::ONE_HUNDRED, slack))
}

const VAT_TOTAL: Path = p!(ram:SpecifiedTradeSettlementHeaderMonetarySummation/ram:TaxTotalAmount);

/// VAT totals in the currency of the invoice, or in any other.
fn vat_totals(settlement: Node<'_>, own: bool) -> usize {
    let Some(currency) = settlement.text_at(p!(ram:InvoiceCurrencyCode)) else {
        return 0;
    };
    let fits = |amount: &Node<'_>| {
        amount
            .attribute(at::currencyID)
            .is_some_and(|code| (code == currency) == own)
    };
    settlement.at(VAT_TOTAL).filter(fits).count()
}

/// VAT in the currency of the invoice and in the tax currency are both below or both not below zero.
fn vat_totals_have_one_sign(settlement: Node<'_>) -> bool {
    let amounts = |path| {
        let currency = settlement.text_at(path).unwrap_or_default();
        settlement
            .at(VAT_TOTAL)
            .filter(|amount| in_currency(*amount, currency))
            .filter_map(Node::double)
            .collect::<Vec<_>>()
    };
    let (tax, document) = (amounts(p!(ram:TaxCurrencyCode)), amounts(p!(ram:InvoiceCurrencyCode)));
    let both =
        |test: fn(f64) -> bool| tax.iter().any(|amount| test(*amount)) && document.iter().any(|amount| test(*amount));
    both(|amount| amount < 0.0) || both(|amount| amount >= 0.0)
}

/// Start or end of the period of a line, where the document has one, too.
fn of_line_period(node: Node<'_>, facts: &Facts<'_>, path: Path) -> bool {
    let line = node
        .inside(ram::BillingSpecifiedPeriod)
        .and_then(|period| period.inside(ram::SpecifiedLineTradeSettlement));
    line.is_some() && settlement(facts).is_some_and(|settlement| settlement.has(path))
}

fn compares(node: Node<'_>, facts: &Facts<'_>, path: Path, test: fn(&str, &str) -> bool) -> bool {
    let document = settlement(facts)
        .and_then(|settlement| settlement.first(path))
        .and_then(|date| date.text_at(p!(udt:DateTimeString)));
    node.text_at(p!(udt:DateTimeString))
        .zip(document)
        .is_some_and(|(line, document)| test(line, document))
}

fn parts(line: Node<'_>, gross_base: bool) -> LineParts {
    const NET_BASE: Path = p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:BasisQuantity);
    const GROSS_BASE: Path = p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:BasisQuantity);
    let not_zero = |path| line.decimal_at(path).filter(|base| !base.is_zero());
    let base = not_zero(NET_BASE)
        .or_else(|| not_zero(GROSS_BASE).filter(|_| gross_base))
        .unwrap_or(Decimal::ONE);
    let sum = |is| {
        let groups = p!(ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeAllowanceCharge);
        adjustments(
            line,
            groups,
            p!(ram:ChargeIndicator/udt:Indicator),
            p!(ram:ActualAmount),
            is,
        )
    };
    LineParts {
        net: decimal_or(
            line,
            p!(ram:SpecifiedLineTradeSettlement/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount),
            Decimal::ZERO,
        ),
        quantity: decimal_or(
            line,
            p!(ram:SpecifiedLineTradeDelivery/ram:BilledQuantity),
            Decimal::ONE,
        ),
        price: decimal_or(
            line,
            p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:ChargeAmount),
            Decimal::ZERO,
        ),
        base: Some(base),
        charges: sum("true"),
        allowances: sum("false"),
    }
}

fn is_price_base(quantity: Node<'_>, _: &Facts<'_>) -> bool {
    let price = quantity
        .inside(ram::NetPriceProductTradePrice)
        .or_else(|| quantity.inside(ram::GrossPriceProductTradePrice));
    price.is_some() && quantity.attribute(at::unitCode).is_some()
}

fn has_unit_of_quantity(base: Node<'_>) -> bool {
    let line = base.parent().and_then(Node::parent).and_then(Node::parent);
    line.is_some_and(|line| {
        let mut quantities = line.at(p!(ram:SpecifiedLineTradeDelivery/ram:BilledQuantity));
        quantities.any(|quantity| quantity.attribute(at::unitCode) == base.attribute(at::unitCode))
    })
}

fn is_reason_of(code: Node<'_>, indicator: &str) -> bool {
    code.inside(ram::SpecifiedTradeAllowanceCharge)
        .is_some_and(|adjustment| adjustment.clean_at(p!(ram:ChargeIndicator/udt:Indicator)) == indicator)
}
