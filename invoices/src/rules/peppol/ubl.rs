//! Peppol BIS Billing 3 bound to UBL, and the part of it that XRechnung takes over.

mod checks;

use rust_decimal::Decimal;

use crate::codes;
use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::rules::shared::{is_empty, profile};
use crate::xml::{Path, at, cac, date, p};

use super::identifiers as id;
use checks::*;

pub(super) const PATTERNS: &[Pattern] = &[
    EMPTY,
    CREDIT_NOTE,
    BILLING,
    super::national::NORWAY,
    super::national::DENMARK,
    super::national::ITALY,
    super::national::SWEDEN,
    super::national::GREECE,
    super::national::GREECE_BOTH,
    super::national::ICELAND,
    super::national::NETHERLANDS,
    super::national::GERMANY,
    CODES,
];

pub(in crate::rules) const EMPTY: Pattern = &[context!([] if |node, _| is_empty(node); rules! {
    "PEPPOL-EN16931-R008", Fatal, |_, _| false;
})];

const CREDIT_NOTE: Pattern = &[context!([cn:CreditNote]; rules! {
    "PEPPOL-EN16931-R080", Fatal, |note, _| note.at(p!(cac:AdditionalDocumentReference)).filter(|reference| reference.says(p!(cbc:DocumentTypeCode), "50")).count() <= 1;
})];

/// What XRechnung takes over; a product may be off by more in forint, and R120 only warns.
pub(in crate::rules) const XRECHNUNG: Pattern = &[
    context!([inv:Invoice, cn:CreditNote]; PROCESS, VAT_TOTALS),
    context!([cbc:TaxCurrencyCode]; TAX_CURRENCY),
    context!([cac:Party] if |node, _| node.inside(cac::AccountingCustomerParty).is_some(); BUYER),
    context!([cac:Party] if |node, _| node.inside(cac::AccountingSupplierParty).is_some(); SELLER),
    context!([cac:AllowanceCharge] if |node, _| is_adjustment(node) && node.has(FACTOR) && !node.has(BASE); PERCENTAGE_WITHOUT_BASE),
    context!([cac:AllowanceCharge] if |node, _| is_adjustment(node) && !node.has(FACTOR) && node.has(BASE); BASE_WITHOUT_PERCENTAGE),
    context!([cac:AllowanceCharge] if |node, _| is_adjustment(node); rules! {
        "PEPPOL-EN16931-R040", Fatal, |adjustment, facts| is_base_times_percentage(adjustment, profile(facts).slack);
    }, INDICATOR),
    context!([cac:PaymentMeans] if |node, _| node.clean_one_of(p!(cbc:PaymentMeansCode), &["49", "59"]); MANDATE),
    context!([cbc:StartDate] if is_line_start; LINE_START),
    context!([cbc:EndDate] if is_line_end; LINE_END),
    context!([cac:InvoiceLine, cac:CreditNoteLine]; rules! {
        "PEPPOL-EN16931-R120", Warning, |line, facts| parts(line, facts).add_up(profile(facts).slack);
    }, BASE_QUANTITY, OBJECT),
    context!([cac:AllowanceCharge] if |node, _| node.inside(cac::Price).is_some(); PRICE),
    context!([cbc:BaseQuantity] if |node, _| node.inside(cac::Price).is_some() && node.attribute(at::unitCode).is_some(); UNIT),
];

const BILLING: Pattern = &[
    context!([inv:Invoice, cn:CreditNote]; PROCESS, DOCUMENT, VAT_TOTALS),
    context!([cbc:TaxCurrencyCode]; TAX_CURRENCY),
    context!([cac:Party] if |node, _| node.inside(cac::AccountingCustomerParty).is_some(); BUYER),
    context!([cac:Party] if |node, _| node.inside(cac::AccountingSupplierParty).is_some(); SELLER),
    context!([cac:AllowanceCharge] if |node, _| is_adjustment(node) && node.has(FACTOR) && !node.has(BASE); PERCENTAGE_WITHOUT_BASE),
    context!([cac:AllowanceCharge] if |node, _| is_adjustment(node) && !node.has(FACTOR) && node.has(BASE); BASE_WITHOUT_PERCENTAGE),
    context!([cac:AllowanceCharge] if |node, _| is_adjustment(node); rules! {
        "PEPPOL-EN16931-R040", Fatal, |adjustment, _| is_base_times_percentage(adjustment, Decimal::new(2, 2));
    }, INDICATOR),
    context!([cac:PaymentMeans] if |node, _| node.clean_one_of(p!(cbc:PaymentMeansCode), &["49", "59"]); MANDATE),
    context!([cbc:Amount, cbc:BaseAmount, cbc:PriceAmount, cbc:TaxAmount, cbc:TaxableAmount, cbc:LineExtensionAmount, cbc:TaxExclusiveAmount,
        cbc:TaxInclusiveAmount, cbc:AllowanceTotalAmount, cbc:ChargeTotalAmount, cbc:PrepaidAmount, cbc:PayableRoundingAmount, cbc:PayableAmount]
        if |node, _| is_in_document_currency(node); rules! {
        "PEPPOL-EN16931-R051", Fatal, |amount, facts| amount.attribute(at::currencyID).is_some_and(|currency| facts.root().says(p!(cbc:DocumentCurrencyCode), currency));
    }),
    context!([cbc:StartDate] if is_line_start; LINE_START),
    context!([cbc:EndDate] if is_line_end; LINE_END),
    context!([cac:InvoiceLine, cac:CreditNoteLine]; rules! {
        "PEPPOL-EN16931-R120", Fatal, |line, facts| parts(line, facts).add_up(Decimal::new(2, 2));
        "PEPPOL-EN16931-R100", Fatal, |line, _| line.count(p!(cac:DocumentReference)) <= 1;
    }, BASE_QUANTITY, OBJECT),
    context!([cac:AllowanceCharge] if |node, _| node.inside(cac::Price).is_some(); PRICE),
    context!([cbc:BaseQuantity] if |node, _| node.inside(cac::Price).is_some() && node.attribute(at::unitCode).is_some(); UNIT),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0088"); rules! { "PEPPOL-COMMON-R040", Fatal, |node, _| id::is_gln(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0192"); rules! { "PEPPOL-COMMON-R041", Fatal, |node, _| node.clean().len() == 9 && id::is_mod11(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0184"); rules! { "PEPPOL-COMMON-R042", Fatal, |node, _| id::is_danish(node.text()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0208"); rules! { "PEPPOL-COMMON-R043", Fatal, |node, _| id::is_belgian(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0201"); rules! { "PEPPOL-COMMON-R044", Warning, |node, _| id::is_italian_office(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0210"); rules! { "PEPPOL-COMMON-R045", Warning, |node, _| id::is_italian_tax_code(&node.clean()); }),
    context!([cbc:EndpointID] if |node, _| of_scheme(node, "9907"); rules! { "PEPPOL-COMMON-R046", Warning, |node, _| id::is_italian_tax_code(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0211"); rules! { "PEPPOL-COMMON-R047", Warning, |node, _| id::is_italian_vat(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0007"); rules! { "PEPPOL-COMMON-R049", Fatal, |node, _| id::is_swedish(&node.clean()); }),
    context!([cbc:EndpointID, cbc:ID, cbc:CompanyID] if |node, _| of_scheme(node, "0151"); rules! { "PEPPOL-COMMON-R050", Fatal, |node, _| id::is_australian(&node.clean()); }),
];

const PROCESS: &[Rule] = rules! {
    "PEPPOL-EN16931-R001", Fatal, |invoice, _| invoice.has(p!(cbc:ProfileID));
};

const DOCUMENT: &[Rule] = rules! {
    "PEPPOL-EN16931-R007", Fatal, |_, facts| profile(facts).process.is_some();
    "PEPPOL-EN16931-R002", Fatal, |invoice, facts| invoice.count(p!(cbc:Note)) <= 1 || both_german(facts);
    "PEPPOL-EN16931-R003", Fatal, |invoice, _| invoice.has(p!(cbc:BuyerReference)) || invoice.has(p!(cac:OrderReference/cbc:ID));
    "PEPPOL-EN16931-R004", Fatal, |invoice, _| invoice.clean_at(p!(cbc:CustomizationID)).starts_with("urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0");
};

const VAT_TOTALS: &[Rule] = rules! {
    "PEPPOL-EN16931-R053", Fatal, |invoice, _| vat_totals(invoice, true) == 1;
    "PEPPOL-EN16931-R054", Fatal, |invoice, _| vat_totals(invoice, false) == usize::from(invoice.has(p!(cbc:TaxCurrencyCode)));
    "PEPPOL-EN16931-R055", Fatal, |invoice, _| !invoice.has(p!(cbc:TaxCurrencyCode)) || vat_totals_have_one_sign(invoice);
};

const TAX_CURRENCY: &[Rule] = rules! {
    "PEPPOL-EN16931-R005", Fatal, |code, _| code.parent().is_none_or(|invoice| invoice.clean_at(p!(cbc:DocumentCurrencyCode)) != code.clean());
};

const BUYER: &[Rule] = rules! { "PEPPOL-EN16931-R010", Fatal, |party, _| party.has(p!(cbc:EndpointID)); };
const SELLER: &[Rule] = rules! { "PEPPOL-EN16931-R020", Fatal, |party, _| party.has(p!(cbc:EndpointID)); };
const PERCENTAGE_WITHOUT_BASE: &[Rule] = rules! { "PEPPOL-EN16931-R041", Fatal, |_, _| false; };
const BASE_WITHOUT_PERCENTAGE: &[Rule] = rules! { "PEPPOL-EN16931-R042", Fatal, |_, _| false; };
const INDICATOR: &[Rule] = rules! {
    "PEPPOL-EN16931-R043", Fatal, |adjustment, _| adjustment.clean_one_of(p!(cbc:ChargeIndicator), &["true", "false"]);
};
const MANDATE: &[Rule] = rules! { "PEPPOL-EN16931-R061", Fatal, |means, _| means.has(p!(cac:PaymentMandate/cbc:ID)); };
const LINE_START: &[Rule] = rules! {
    "PEPPOL-EN16931-R110", Fatal, |start, facts| facts.root().text_at(p!(cac:InvoicePeriod/cbc:StartDate)).and_then(date).zip(date(start.text())).is_some_and(|(document, line)| line >= document);
};
const LINE_END: &[Rule] = rules! {
    "PEPPOL-EN16931-R111", Fatal, |end, facts| facts.root().text_at(p!(cac:InvoicePeriod/cbc:EndDate)).and_then(date).zip(date(end.text())).is_some_and(|(document, line)| line <= document);
};
const BASE_QUANTITY: &[Rule] = rules! {
    "PEPPOL-EN16931-R121", Fatal, |line, _| !line.has(p!(cac:Price/cbc:BaseQuantity)) || line.decimal_at(p!(cac:Price/cbc:BaseQuantity)).is_some_and(|quantity| quantity > Decimal::ZERO);
};
const OBJECT: &[Rule] = rules! {
    "PEPPOL-EN16931-R101", Fatal, |line, _| !line.has(p!(cac:DocumentReference)) || line.says(p!(cac:DocumentReference/cbc:DocumentTypeCode), "130");
};
const PRICE: &[Rule] = rules! {
    "PEPPOL-EN16931-R044", Fatal, |allowance, _| allowance.clean_at(p!(cbc:ChargeIndicator)) == "false";
    "PEPPOL-EN16931-R046", Fatal, |allowance, _| !allowance.has(BASE) || net_is_gross_less_allowance(allowance);
};
const UNIT: &[Rule] = rules! { "PEPPOL-EN16931-R130", Fatal, |base, facts| has_unit_of_quantity(base, facts); };

const CODES: Pattern = &[
    context!([cbc:EmbeddedDocumentBinaryObject] if |node, _| node.attribute(at::mimeCode).is_some(); rules! {
        "PEPPOL-EN16931-CL001", Fatal, |object, _| codes::MIME_TYPES.contains(&object.attribute(at::mimeCode).unwrap_or_default());
    }),
    context!([cbc:AllowanceChargeReasonCode] if |node, _| is_reason_of(node, "false"); rules! { "PEPPOL-EN16931-CL002", Fatal, |code, _| codes::ALLOWANCE_REASONS.has(code.text()); }),
    context!([cbc:AllowanceChargeReasonCode] if |node, _| is_reason_of(node, "true"); rules! { "PEPPOL-EN16931-CL003", Fatal, |code, _| codes::CHARGE_REASONS.has(code.text()); }),
    context!([cbc:DescriptionCode] if |node, _| node.inside(cac::InvoicePeriod).is_some(); rules! { "PEPPOL-EN16931-CL006", Fatal, |code, _| codes::POINT_DATES_UBL.has(code.text()); }),
    context!([cbc:Amount, cbc:BaseAmount, cbc:PriceAmount, cbc:TaxAmount, cbc:TaxableAmount, cbc:LineExtensionAmount, cbc:TaxExclusiveAmount,
        cbc:TaxInclusiveAmount, cbc:AllowanceTotalAmount, cbc:ChargeTotalAmount, cbc:PrepaidAmount, cbc:PayableRoundingAmount, cbc:PayableAmount]; rules! {
        "PEPPOL-EN16931-CL007", Fatal, |amount, _| is_currency(amount.attribute(at::currencyID).unwrap_or_default());
    }),
    context!([cbc:InvoiceTypeCode]; rules! {
        "PEPPOL-EN16931-P0100", Fatal, |code, facts| !is_billing(facts) || INVOICE_TYPES.contains(&&*code.clean());
        "PEPPOL-EN16931-P0112", Fatal, |code, facts| !matches!(&*code.clean(), "326" | "384") || both_german(facts);
    }),
    context!([cbc:CreditNoteTypeCode]; rules! {
        "PEPPOL-EN16931-P0101", Fatal, |code, facts| !is_billing(facts) || ["381", "396", "81", "83", "532"].contains(&&*code.clean());
    }),
    context!([cbc:IssueDate, cbc:DueDate, cbc:TaxPointDate, cbc:StartDate, cbc:EndDate, cbc:ActualDeliveryDate]; rules! {
        "PEPPOL-EN16931-F001", Fatal, |day, _| day.text().len() == 10 && date(day.text()).is_some();
    }),
    context!([cbc:EndpointID] if |node, _| node.scheme().is_some(); rules! { "PEPPOL-EN16931-CL008", Fatal, |id, _| is_address_scheme(id.scheme().unwrap_or_default()); }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-G"); rules! { "PEPPOL-EN16931-P0104", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "G"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-O"); rules! { "PEPPOL-EN16931-P0105", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "O"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-IC"); rules! { "PEPPOL-EN16931-P0106", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "K"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-AE"); rules! { "PEPPOL-EN16931-P0107", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "AE"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-D"); rules! { "PEPPOL-EN16931-P0108", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "E"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-F"); rules! { "PEPPOL-EN16931-P0109", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "E"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-I"); rules! { "PEPPOL-EN16931-P0110", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "E"; }),
    context!([cac:TaxCategory] if |node, _| exempt_by(node, "VATEX-EU-J"); rules! { "PEPPOL-EN16931-P0111", Fatal, |category, _| category.clean_at(p!(cbc:ID)) == "E"; }),
];

const FACTOR: Path = p!(cbc:MultiplierFactorNumeric);
const BASE: Path = p!(cbc:BaseAmount);

pub(super) const INVOICE_TYPES: [&str; 26] = [
    "71", "80", "82", "84", "102", "218", "219", "326", "331", "380", "382", "383", "384", "386", "388", "393", "395",
    "553", "575", "623", "780", "817", "870", "875", "876", "877",
];

/// Peppol's currencies differ from the standard's in six codes.
pub(super) fn is_currency(code: &str) -> bool {
    match code {
        "CNH" | "STD" | "XCG" => false,
        "ANG" | "BGN" | "STN" => true,
        code => codes::CURRENCIES.has(code),
    }
}

/// Peppol's address schemes are the standard's but for twelve.
pub(super) fn is_address_scheme(code: &str) -> bool {
    const LATER: [&str; 12] = [
        "0219", "0220", "0242", "0244", "0245", "0246", "0248", "AN", "AQ", "AS", "AU", "EM",
    ];
    codes::ADDRESSES.has(code) && !LATER.contains(&code)
}

pub(super) fn is_billing(facts: &Facts<'_>) -> bool {
    profile(facts).process.as_deref() == Some("01")
}

pub(super) fn both_german(facts: &Facts<'_>) -> bool {
    let profile = profile(facts);
    profile.supplier_address == "DE" && profile.customer_address == "DE"
}
