//! National rules of Peppol for UBL. They apply by the country of the seller, some by that of the buyer as well.

mod germany;
mod greece;
pub(super) use self::germany::GERMANY;
use self::greece::DESCRIPTION;
pub(super) use self::greece::{GREECE, GREECE_BOTH};
use rust_decimal::Decimal;

use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::rules::shared::{
    discounts_are_statements, file_names_are_unique, is_absolute_url, is_email, is_iban, is_telephone, profile,
};
use crate::syntax::Syntax;
use crate::xml::{Node, Path, at, cac, date, double, p};

use super::identifiers as id;

pub(super) const NORWAY: Pattern = &[
    context!([cac:Party] if |node, facts| is_seller(node) && profile(facts).supplier == "NO"; rules! {
        "NO-R-002", Warning, |party, _| tax_schemes(party, "TAX").any(|scheme| scheme.clean_at(COMPANY) == "Foretaksregisteret");
        "NO-R-001", Fatal, |party, _| tax_schemes(party, "VAT").all(|scheme| is_norwegian_vat(scheme.text_at(COMPANY).unwrap_or_default()));
    }),
];

pub(super) const DENMARK: Pattern = &[
    context!([inv:Invoice, cn:CreditNote] if |_, facts| seller_in(facts, "DK"); rules! {
        "DK-R-002", Fatal, |invoice, _| invoice.filled(SELLER_NUMBER);
        "DK-R-014", Fatal, |invoice, _| invoice.first(SELLER_NUMBER).is_none_or(|number| number.scheme().unwrap_or_default().trim() == "0184");
        "DK-R-016", Fatal, |invoice, facts| !(facts.syntax == Syntax::UblCreditNote && buyer_in(facts, "DK"))
            || invoice.decimal_at(p!(cac:LegalMonetaryTotal/cbc:PayableAmount)).is_none_or(|due| due >= Decimal::ZERO);
    }),
    context!([cac:PartyIdentification] if |node, facts| both_in(facts, "DK") && node.inside(cac::Party).is_some_and(|party| is_seller(party) || is_buyer(party)); rules! {
        "DK-R-013", Fatal, |party, _| party.first(p!(cbc:ID)).is_none_or(|id| !id.scheme().unwrap_or_default().trim().is_empty());
    }),
    context!([cac:PaymentMeans] if |node, facts| facts.syntax == Syntax::UblInvoice && both_in(facts, "DK") && node.parent().is_some_and(Node::is_root); rules! {
        "DK-R-005", Fatal, |means, _| means.says_one_of(MEANS, &["1", "10", "31", "42", "48", "49", "50", "58", "59", "93", "97"]);
        "DK-R-006", Fatal, |means, _| !means.says_one_of(MEANS, &["31", "42"]) || means.filled(ACCOUNT) && means.filled(BRANCH);
        "DK-R-007", Fatal, |means, _| !means.says(MEANS, "49") || means.filled(p!(cac:PaymentMandate/cbc:ID)) && means.filled(p!(cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID));
        "DK-R-008", Fatal, |means, _| !means.says(MEANS, "50") || pays_with(means, &["01#", "04#", "15#"]) && is_digits(means.text_at(ACCOUNT), 7..=8);
        "DK-R-009", Fatal, |means, _| !means.says(MEANS, "50") || !pays_with(means, &["04#", "15#"]) || payment_id(means).chars().count() == 19;
        "DK-R-010", Fatal, |means, _| !means.says(MEANS, "93") || pays_with(means, &["71#", "73#", "75#"]) && means.text_at(ACCOUNT).is_some_and(|account| account.chars().count() == 8);
        "DK-R-011", Fatal, |means, _| !means.says(MEANS, "93") || !pays_with(means, &["71#", "75#"]) || (18..=19).contains(&payment_id(means).chars().count());
    }),
    context!([cac:InvoiceLine, cac:CreditNoteLine] if |node, facts| both_in(facts, "DK") && node.parent().is_some_and(Node::is_root); rules! {
        "DK-R-003", Warning, |line, _| has_current_unspsc(line);
    }),
    context!([cac:AllowanceCharge] if |_, facts| both_in(facts, "DK"); rules! {
        "DK-R-004", Fatal, |charge, _| !charge.says(p!(cbc:AllowanceChargeReasonCode), "ZZZ") || is_danish_duty(charge.text_at(p!(cbc:AllowanceChargeReason)));
    }),
];

pub(super) const ITALY: Pattern = &[
    context!([cac:PartyTaxScheme] if |node, facts| profile(facts).supplier == "IT" && node.inside(cac::Party).is_some_and(is_seller) && node.clean_at(p!(cac:TaxScheme/cbc:ID)) != "VAT"; rules! {
        "IT-R-001", Fatal, |scheme, _| {
            let number = scheme.clean_at(COMPANY);
            (11..=16).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
    }),
    context!([cac:Party] if |node, facts| is_seller(node) && profile(facts).supplier == "IT"; rules! {
        "IT-R-002", Fatal, |party, _| party.has(p!(cac:PostalAddress/cbc:StreetName));
        "IT-R-003", Fatal, |party, _| party.has(p!(cac:PostalAddress/cbc:CityName));
        "IT-R-004", Fatal, |party, _| party.has(p!(cac:PostalAddress/cbc:PostalZone));
    }),
];

pub(super) const SWEDEN: Pattern = &[
    context!([cac:Party] if |node, _| is_seller(node) && is_swedish_payer(node); rules! {
        "SE-R-001", Fatal, |party, _| vat_number(party).len() == 14;
        "SE-R-002", Fatal, |party, _| vat_number(party).get(2..).and_then(double).is_some();
    }),
    context!([cac:PartyLegalEntity] if |node, _| node.inside(cac::Party).is_some_and(|party| is_seller(party) && is_in(party, "SE")) && node.has(COMPANY); rules! {
        "SE-R-003", Fatal, |entity, _| entity.double_at(COMPANY).is_some();
        "SE-R-004", Fatal, |entity, _| entity.clean_at(COMPANY).chars().count() == 10;
        "SE-R-013", Fatal, |entity, _| id::is_swedish(&entity.clean_at(COMPANY));
    }),
    context!([cbc:CompanyID] if |node, _| is_swedish_tax_note(node); rules! {
        "SE-R-005", Fatal, |note, _| note.clean().to_uppercase() == "GODKÄND FÖR F-SKATT";
    }),
    context!([cac:TaxCategory, cac:ClassifiedTaxCategory] if |node, facts| node.says(p!(cbc:ID), "S") && seller(facts).is_some_and(is_swedish_payer); rules! {
        "SE-R-006", Fatal, |category, _| category.double_at(p!(cbc:Percent)).is_some_and(|rate| [25.0, 12.0, 6.0].contains(&rate));
    }),
    context!([cbc:ID] if |node, facts| is_giro(node, facts, "SE:PLUSGIRO"); rules! {
        "SE-R-007", Warning, |account, _| account.double().is_some();
        "SE-R-010", Warning, |account, _| (2..=8).contains(&account.clean().chars().count());
    }),
    context!([cbc:ID] if |node, facts| is_giro(node, facts, "SE:BANKGIRO"); rules! {
        "SE-R-008", Warning, |account, _| account.double().is_some();
        "SE-R-009", Warning, |account, _| (7..=8).contains(&account.clean().chars().count());
    }),
    context!([cac:PaymentMeans] if |node, facts| node.says_one_of(MEANS, &["50", "56"]) && seller(facts).is_some_and(|party| is_in(party, "SE")); rules! {
        "SE-R-011", Warning, |_, _| false;
    }),
    context!([cac:PaymentMeans] if |node, facts| node.says(MEANS, "31") && both_in(facts, "SE"); rules! { "SE-R-012", Warning, |_, _| false; }),
];

pub(super) const ICELAND: Pattern = &[
    context!([inv:Invoice, cn:CreditNote] if |_, facts| seller_in(facts, "IS"); rules! {
        "IS-R-001", Warning, |invoice, _| invoice.clean_one_of(p!(cbc:InvoiceTypeCode), &["380", "381"]) || invoice.clean_one_of(p!(cbc:CreditNoteTypeCode), &["380", "381"]);
        "IS-R-002", Fatal, |invoice, _| invoice.at(SELLER_NUMBER).any(|number| number.scheme() == Some("0196"));
        "IS-R-003", Fatal, |invoice, _| invoice.has(p!(cac:AccountingSupplierParty/cac:Party/cac:PostalAddress/cbc:StreetName)) && invoice.has(p!(cac:AccountingSupplierParty/cac:Party/cac:PostalAddress/cbc:PostalZone));
        "IS-R-006", Fatal, |invoice, _| icelandic_account(invoice, "9");
        "IS-R-007", Fatal, |invoice, _| icelandic_account(invoice, "42");
        "IS-R-008", Fatal, |invoice, _| final_due_date(invoice).is_none_or(|day| day.len() == 10 && date(day).is_some());
        "IS-R-009", Fatal, |invoice, _| final_due_date(invoice).is_none() || invoice.has(p!(cbc:DueDate));
        "IS-R-010", Fatal, |invoice, _| final_due_date(invoice).is_none_or(|day| invoice.text_at(p!(cbc:DueDate)).is_some_and(|due| due <= day));
    }),
    context!([cac:AccountingCustomerParty] if |_, facts| both_in(facts, "IS"); rules! {
        "IS-R-004", Fatal, |buyer, _| buyer.at(p!(cac:Party/cac:PartyLegalEntity/cbc:CompanyID)).any(|number| number.scheme() == Some("0196"));
        "IS-R-005", Fatal, |buyer, _| buyer.has(p!(cac:Party/cac:PostalAddress/cbc:StreetName)) && buyer.has(p!(cac:Party/cac:PostalAddress/cbc:PostalZone));
    }),
];

pub(super) const NETHERLANDS: Pattern = &[
    context!([cbc:CreditNoteTypeCode] if |_, facts| seller_in(facts, "NL"); rules! {
        "NL-R-001", Fatal, |_, facts| facts.root().has(p!(cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID));
    }),
    context!([cac:PostalAddress] if |node, facts| seller_in(facts, "NL") && node.inside(cac::Party).is_some_and(is_seller); rules! { "NL-R-002", Fatal, |address, _| is_whole_address(address); }),
    context!([cbc:CompanyID] if |node, facts| seller_in(facts, "NL") && is_number_of(node, is_seller); rules! { "NL-R-003", Fatal, |number, _| is_dutch_number(number); }),
    context!([cac:PostalAddress] if |node, facts| both_in(facts, "NL") && node.inside(cac::Party).is_some_and(is_buyer); rules! { "NL-R-004", Fatal, |address, _| is_whole_address(address); }),
    context!([cbc:CompanyID] if |node, facts| both_in(facts, "NL") && is_number_of(node, is_buyer); rules! { "NL-R-005", Fatal, |number, _| is_dutch_number(number); }),
    context!([cac:PostalAddress] if |node, facts| seller_in(facts, "NL") && profile(facts).representative_address == "NL" && node.inside(cac::TaxRepresentativeParty).is_some(); rules! {
        "NL-R-006", Fatal, |address, _| is_whole_address(address);
    }),
    context!([cac:LegalMonetaryTotal] if |_, facts| seller_in(facts, "NL"); rules! { "NL-R-007", Fatal, |totals, facts| says_how_to_pay(totals, facts); }),
    context!([cac:PaymentMeans] if |_, facts| both_in(facts, "NL"); rules! { "NL-R-008", Fatal, |means, _| means.clean_one_of(MEANS, &["30", "48", "49", "57", "58", "59"]); }),
    context!([cbc:LineID] if |node, facts| seller_in(facts, "NL") && node.inside(cac::OrderLineReference).is_some(); rules! {
        "NL-R-009", Fatal, |_, facts| facts.root().has(p!(cac:OrderReference/cbc:ID));
    }),
];

const COMPANY: Path = p!(cbc:CompanyID);
const MEANS: Path = p!(cbc:PaymentMeansCode);
const ACCOUNT: Path = p!(cac:PayeeFinancialAccount/cbc:ID);
const BRANCH: Path = p!(cac:PayeeFinancialAccount/cac:FinancialInstitutionBranch/cbc:ID);
const SELLER_NUMBER: Path = p!(cac:AccountingSupplierParty/cac:Party/cac:PartyLegalEntity/cbc:CompanyID);

/// Of a `cac:Party`.
fn is_seller(party: Node<'_>) -> bool {
    party.inside(cac::AccountingSupplierParty).is_some()
}

/// Of a `cac:Party`.
fn is_buyer(party: Node<'_>) -> bool {
    party.inside(cac::AccountingCustomerParty).is_some()
}

fn seller<'d>(facts: &Facts<'d>) -> Option<Node<'d>> {
    facts.root().first(p!(cac:AccountingSupplierParty/cac:Party))
}

fn seller_in(facts: &Facts<'_>, country: &str) -> bool {
    profile(facts).supplier_address == country
}

fn buyer_in(facts: &Facts<'_>, country: &str) -> bool {
    profile(facts).customer_address == country
}

fn both_in(facts: &Facts<'_>, country: &str) -> bool {
    seller_in(facts, country) && buyer_in(facts, country)
}

fn is_in(party: Node<'_>, country: &str) -> bool {
    party.says(p!(cac:PostalAddress/cac:Country/cbc:IdentificationCode), country)
}

fn tax_schemes<'d>(party: Node<'d>, scheme: &'static str) -> impl Iterator<Item = Node<'d>> {
    party
        .at(p!(cac:PartyTaxScheme))
        .filter(move |node| node.clean_at(p!(cac:TaxScheme/cbc:ID)) == scheme)
}

fn vat_number(party: Node<'_>) -> String {
    tax_schemes(party, "VAT")
        .next()
        .map(|scheme| scheme.clean_at(COMPANY).into_owned())
        .unwrap_or_default()
}

/// Numbers that start with NO: nine digits with their check digit, and MVA.
fn is_norwegian_vat(number: &str) -> bool {
    let Some(rest) = number.strip_prefix("NO") else {
        return true;
    };
    rest.strip_suffix("MVA")
        .is_some_and(|digits| digits.len() == 9 && id::is_mod11(digits))
}

fn payment_id(means: Node<'_>) -> &str {
    means.text_at(p!(cbc:PaymentID)).unwrap_or_default()
}

fn pays_with(means: Node<'_>, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| payment_id(means).starts_with(kind))
}

fn is_digits(text: Option<&str>, length: std::ops::RangeInclusive<usize>) -> bool {
    text.is_some_and(|text| length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn has_current_unspsc(line: Node<'_>) -> bool {
    const CODE: Path = p!(cac:Item/cac:CommodityClassification/cbc:ItemClassificationCode);
    let current = |code: Node<'_>| {
        matches!(
            code.attribute(at::listVersionID),
            Some("19.05.01" | "19.0501" | "26.08.01" | "26.0801")
        )
    };
    !line.at(CODE).any(|code| code.attribute(at::listID) == Some("TST")) || line.at(CODE).any(current)
}

/// A code of four digits, or two parts with `#` between them.
fn is_danish_duty(reason: Option<&str>) -> bool {
    let reason = reason.unwrap_or_default();
    let code = reason.trim();
    code.len() == 4 && double(code).is_some_and(|code| (0.0..=9999.0).contains(&code))
        || reason.contains('#') && !reason.starts_with('#') && !reason.ends_with('#')
}

fn is_swedish_payer(party: Node<'_>) -> bool {
    is_in(party, "SE")
        && tax_schemes(party, "VAT")
            .any(|scheme| scheme.text_at(COMPANY).is_some_and(|number| number.starts_with("SE")))
}

fn is_swedish_tax_note(node: Node<'_>) -> bool {
    let scheme = node
        .inside(cac::PartyTaxScheme)
        .filter(|scheme| !scheme.clean_at(p!(cac:TaxScheme/cbc:ID)).eq_ignore_ascii_case("VAT"));
    let party = scheme.and_then(|scheme| scheme.inside(cac::Party));
    party.is_some_and(|party| {
        is_seller(party) && is_in(party, "SE") && party.has(p!(cac:PartyLegalEntity/cbc:CompanyID))
    })
}

fn is_giro(node: Node<'_>, facts: &Facts<'_>, kind: &str) -> bool {
    let means = node
        .inside(cac::PayeeFinancialAccount)
        .and_then(|account| account.inside(cac::PaymentMeans));
    means.is_some_and(|means| means.clean_at(MEANS) == "30" && means.clean_at(BRANCH) == kind)
        && seller(facts).is_some_and(|party| is_in(party, "SE"))
}

fn icelandic_account(invoice: Node<'_>, code: &str) -> bool {
    let mut means = invoice.at(p!(cac:PaymentMeans)).filter(|means| means.says(MEANS, code));
    means.all(|means| means.clean_at(ACCOUNT).chars().count() == 12)
}

fn final_due_date(invoice: Node<'_>) -> Option<&str> {
    let mut references = invoice
        .at(p!(cac:AdditionalDocumentReference))
        .filter(|reference| reference.says(DESCRIPTION, "EINDAGI"));
    references
        .next()
        .map(|reference| reference.text_at(p!(cbc:ID)).unwrap_or_default())
}

fn is_whole_address(address: Node<'_>) -> bool {
    address.has(p!(cbc:StreetName)) && address.has(p!(cbc:CityName)) && address.has(p!(cbc:PostalZone))
}

fn is_number_of(node: Node<'_>, party: fn(Node<'_>) -> bool) -> bool {
    node.inside(cac::PartyLegalEntity)
        .and_then(|entity| entity.inside(cac::Party))
        .is_some_and(party)
}

fn is_dutch_number(number: Node<'_>) -> bool {
    matches!(number.scheme(), Some("0106" | "0190")) && !number.clean().is_empty()
}

/// Where money is owed, there is a way to pay it.
fn says_how_to_pay(totals: Node<'_>, facts: &Facts<'_>) -> bool {
    let due = totals.decimal_at(p!(cbc:PayableAmount));
    let nothing_owed = due.is_some_and(|due| {
        if facts.syntax == Syntax::UblInvoice {
            due <= Decimal::ZERO
        } else {
            due >= Decimal::ZERO
        }
    });
    nothing_owed || facts.document.all(cac::PaymentMeans).len() > 0
}
