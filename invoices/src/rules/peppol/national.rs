//! National rules of Peppol for UBL. They apply by the country of the seller, some by that of the buyer as well.

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

pub(super) const GREECE: Pattern = &[
    context!([cbc:ID] if |node, facts| node.parent().is_some_and(Node::is_root) && greek_seller(facts); rules! {
        "GR-R-001-1", Fatal, |id, _| id.text().split('|').count() == 6;
        "GR-R-001-2", Fatal, |id, facts| greek_number_is_the_sellers(segment(id, 0), facts);
        "GR-R-001-3", Fatal, |id, facts| greek_date_is_the_issue_date(segment(id, 1), facts);
        "GR-R-001-4", Fatal, |id, _| segment(id, 2).parse::<u64>().is_ok();
        "GR-R-001-5", Fatal, |id, _| ["1.1", "1.6", "2.1", "2.4", "5.1", "5.2"].contains(&segment(id, 3));
        "GR-R-001-6", Fatal, |id, _| !segment(id, 4).is_empty();
        "GR-R-001-7", Fatal, |id, _| !segment(id, 5).is_empty();
    }),
    context!([cac:Party] if |node, facts| is_seller(node) && greek_seller(facts); rules! {
        "GR-R-002", Fatal, |party, _| party.text_at(p!(cac:PartyName/cbc:Name)).is_some_and(|name| !name.is_empty());
        "GR-S-011", Warning, |party, _| has_greek_vat_number(party);
    }),
    context!([cbc:CompanyID] if |node, facts| greek_seller(facts) && node.inside(cac::PartyTaxScheme).is_some_and(|scheme| scheme.clean_at(p!(cac:TaxScheme/cbc:ID)) == "VAT" && scheme.inside(cac::Party).is_some_and(is_seller)); rules! {
        "GR-R-003", Fatal, |number, _| is_greek_vat(number.text());
    }),
    context!([inv:Invoice, cn:CreditNote] if |_, facts| greek_seller(facts) && seller_in(facts, "GR"); rules! {
        "GR-R-004-1", Fatal, |invoice, _| described(invoice, "##M.AR.K##") == 1;
        "GR-S-008-1", Warning, |invoice, _| described(invoice, "##INVOICE|URL##") == 1;
        "GR-R-008-2", Fatal, |invoice, _| described(invoice, "##INVOICE|URL##") <= 1;
    }),
    context!([cbc:ID] if |node, facts| greek_seller(facts) && seller_in(facts, "GR") && node.inside(cac::AdditionalDocumentReference).is_some_and(|reference| reference.says(DESCRIPTION, "##M.AR.K##")); rules! {
        "GR-R-004-2", Fatal, |id, _| id.text().starts_with(|digit: char| ('1'..='9').contains(&digit));
    }),
    context!([cac:AdditionalDocumentReference] if |node, facts| greek_seller(facts) && node.says(DESCRIPTION, "##INVOICE|URL##"); rules! {
        "GR-R-008-3", Fatal, |reference, _| reference.filled(p!(cac:Attachment/cac:ExternalReference/cbc:URI));
    }),
    context!([cac:Party] if |node, facts| is_buyer(node) && greek_seller(facts); rules! {
        "GR-R-005", Fatal, |party, _| party.text_at(p!(cac:PartyName/cbc:Name)).is_some_and(|name| !name.is_empty());
    }),
    context!([cbc:EndpointID] if |node, facts| greek_seller(facts) && node.inside(cac::Party).is_some_and(is_seller); rules! {
        "GR-R-009", Fatal, |id, _| id.scheme() == Some("9933") && id::is_greek(id.text());
    }),
];

pub(super) const GREECE_BOTH: Pattern = &[
    context!([cac:Party] if |node, facts| is_buyer(node) && greek_seller(facts) && greek_buyer(facts); rules! { "GR-R-006", Fatal, |party, _| has_greek_vat_number(party); }),
    context!([cbc:EndpointID] if |node, facts| node.inside(cac::Party).is_some_and(is_buyer) && greek_seller(facts) && greek_buyer(facts); rules! {
        "GR-R-010", Fatal, |id, _| id.scheme() == Some("9933") && id::is_greek(id.text());
    }),
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

pub(super) const GERMANY: Pattern = &[
    context!([inv:Invoice, cn:CreditNote] if |node, facts| node.is_root() && both_in(facts, "DE"); GERMAN_DOCUMENT),
    context!([cac:AccountingSupplierParty] if |_, facts| both_in(facts, "DE"); rules! { "DE-R-002", Fatal, |seller, _| seller.has(p!(cac:Party/cac:Contact)); }),
    context!([cac:PostalAddress] if |node, facts| both_in(facts, "DE") && node.inside(cac::Party).is_some_and(is_seller); rules! {
        "DE-R-003", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "DE-R-004", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:Contact] if |node, facts| both_in(facts, "DE") && node.inside(cac::Party).is_some_and(is_seller); rules! {
        "DE-R-005", Fatal, |contact, _| contact.any_filled(p!(cbc:Name));
        "DE-R-006", Fatal, |contact, _| contact.any_filled(p!(cbc:Telephone));
        "DE-R-007", Fatal, |contact, _| contact.any_filled(p!(cbc:ElectronicMail));
        "DE-R-027", Warning, |contact, _| is_telephone(&contact.clean_at(p!(cbc:Telephone)));
        "DE-R-028", Warning, |contact, _| is_email(&contact.clean_at(p!(cbc:ElectronicMail)));
    }),
    context!([cac:PostalAddress] if |node, facts| both_in(facts, "DE") && node.inside(cac::Party).is_some_and(is_buyer); rules! {
        "DE-R-008", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "DE-R-009", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:Address] if |node, facts| both_in(facts, "DE") && node.under(&[cac::Delivery, cac::DeliveryLocation]); rules! {
        "DE-R-010", Fatal, |address, _| address.any_filled(p!(cbc:CityName));
        "DE-R-011", Fatal, |address, _| address.any_filled(p!(cbc:PostalZone));
    }),
    context!([cac:PaymentMeans] if |node, facts| both_in(facts, "DE") && node.clean_one_of(MEANS, &["30", "58"]); rules! {
        "DE-R-019", Warning, |means, _| !means.says(MEANS, "58") || is_iban(means.text_at(ACCOUNT).unwrap_or_default());
        "DE-R-023-1", Fatal, |means, _| means.has(p!(cac:PayeeFinancialAccount));
        "DE-R-023-2", Fatal, |means, _| !means.has(p!(cac:CardAccount)) && !means.has(p!(cac:PaymentMandate));
    }),
    context!([cac:PaymentMeans] if |node, facts| both_in(facts, "DE") && node.clean_one_of(MEANS, &["48", "54", "55"]); rules! {
        "DE-R-024-1", Fatal, |means, _| means.has(p!(cac:CardAccount));
        "DE-R-024-2", Fatal, |means, _| !means.has(p!(cac:PayeeFinancialAccount)) && !means.has(p!(cac:PaymentMandate));
    }),
    context!([cac:PaymentMeans] if |node, facts| both_in(facts, "DE") && node.clean_one_of(MEANS, &["59"]); rules! {
        "DE-R-020", Warning, |means, _| is_iban(means.text_at(p!(cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID)).unwrap_or_default());
        "DE-R-025-1", Fatal, |means, _| means.has(p!(cac:PaymentMandate));
        "DE-R-025-2", Fatal, |means, _| !means.has(p!(cac:PayeeFinancialAccount)) && !means.has(p!(cac:CardAccount));
    }),
    context!([cac:TaxSubtotal] if |_, facts| both_in(facts, "DE"); rules! { "DE-R-014", Fatal, |breakdown, _| breakdown.any_filled(p!(cac:TaxCategory/cbc:Percent)); }),
    context!([cac:ExternalReference] if |_, facts| both_in(facts, "DE"); rules! { "DE-R-T02", Warning, |reference, _| is_absolute_url(reference.text_at(p!(cbc:URI)).unwrap_or_default()); }),
];

const GERMAN_DOCUMENT: &[Rule] = rules! {
    "DE-R-001", Fatal, |invoice, _| invoice.has(p!(cac:PaymentMeans));
    "DE-R-015", Fatal, |invoice, _| invoice.any_filled(p!(cbc:BuyerReference));
    "DE-R-016", Fatal, |invoice, facts| !uses_vat(invoice, facts) || invoice.has(p!(cac:TaxRepresentativeParty)) || invoice.any_filled(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme/cbc:CompanyID));
    "DE-R-017", Warning, |invoice, _| has_type(invoice, &["326", "380", "384", "389", "381", "875", "876", "877"]);
    "DE-R-018", Fatal, |invoice, _| discounts_are_statements(&invoice.at(p!(cac:PaymentTerms)).filter_map(|terms| terms.text_at(p!(cbc:Note))).collect::<Vec<_>>());
    "DE-R-022", Fatal, |invoice, _| file_names_are_unique(invoice.at(p!(cac:AdditionalDocumentReference/cac:Attachment/cbc:EmbeddedDocumentBinaryObject)).filter_map(|object| Some((0, object.attribute(at::filename)?))));
    "DE-R-026", Warning, |invoice, _| !has_type(invoice, &["384"]) || invoice.has(p!(cac:BillingReference/cac:InvoiceDocumentReference));
    "DE-R-030", Fatal, |invoice, _| !invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate)) || has_sepa(invoice);
    "DE-R-031", Fatal, |invoice, _| !invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate)) || invoice.has(p!(cac:PaymentMeans/cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID));
};

const COMPANY: Path = p!(cbc:CompanyID);
const MEANS: Path = p!(cbc:PaymentMeansCode);
const ACCOUNT: Path = p!(cac:PayeeFinancialAccount/cbc:ID);
const BRANCH: Path = p!(cac:PayeeFinancialAccount/cac:FinancialInstitutionBranch/cbc:ID);
const DESCRIPTION: Path = p!(cbc:DocumentDescription);
const SELLER_NUMBER: Path = p!(cac:AccountingSupplierParty/cac:Party/cac:PartyLegalEntity/cbc:CompanyID);

fn is_seller(party: Node<'_>) -> bool {
    party.name() == cac::Party && party.inside(cac::AccountingSupplierParty).is_some()
}

fn is_buyer(party: Node<'_>) -> bool {
    party.name() == cac::Party && party.inside(cac::AccountingCustomerParty).is_some()
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

fn greek_seller(facts: &Facts<'_>) -> bool {
    matches!(profile(facts).supplier.as_str(), "GR" | "EL")
}

fn greek_buyer(facts: &Facts<'_>) -> bool {
    matches!(profile(facts).customer.as_str(), "GR" | "EL")
}

fn segment(id: Node<'_>, number: usize) -> &str {
    id.text().split('|').nth(number).unwrap_or_default()
}

fn is_greek_vat(number: &str) -> bool {
    number.strip_prefix("EL").is_some_and(id::is_greek)
}

fn has_greek_vat_number(party: Node<'_>) -> bool {
    let mut numbers = tax_schemes(party, "VAT").filter_map(|scheme| scheme.text_at(COMPANY));
    let only = numbers.next().filter(|_| numbers.next().is_none());
    only.is_some_and(is_greek_vat)
}

fn greek_number_is_the_sellers(number: &str, facts: &Facts<'_>) -> bool {
    let own = |path| {
        let mut schemes = facts
            .root()
            .at(path)
            .filter(|scheme| scheme.says(p!(cac:TaxScheme/cbc:ID), "VAT"));
        schemes.any(|scheme| scheme.text_at(COMPANY).and_then(|id| id.get(2..11)) == Some(number))
    };
    id::is_greek(number)
        && (own(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme))
            || own(p!(cac:TaxRepresentativeParty/cac:PartyTaxScheme)))
}

fn greek_date_is_the_issue_date(day: &str, facts: &Facts<'_>) -> bool {
    let issued: Vec<&str> = facts
        .root()
        .text_at(p!(cbc:IssueDate))
        .unwrap_or_default()
        .split('-')
        .collect();
    let written: Vec<&str> = day.split('/').collect();
    matches!((&issued[..], &written[..]), ([y, m, d], [day, month, year]) if y == year && m == month && d == day)
}

fn described(invoice: Node<'_>, text: &str) -> usize {
    invoice
        .at(p!(cac:AdditionalDocumentReference))
        .filter(|reference| reference.says(DESCRIPTION, text))
        .count()
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

fn has_type(invoice: Node<'_>, types: &[&str]) -> bool {
    invoice.clean_one_of(p!(cbc:InvoiceTypeCode), types) || invoice.clean_one_of(p!(cbc:CreditNoteTypeCode), types)
}

fn uses_vat(invoice: Node<'_>, facts: &Facts<'_>) -> bool {
    const CODES: [&str; 8] = ["S", "Z", "E", "AE", "K", "G", "L", "M"];
    invoice
        .at(p!(cac:AllowanceCharge))
        .any(|node| node.says_one_of(p!(cac:TaxCategory/cbc:ID), &CODES))
        || facts
            .document
            .all(cac::ClassifiedTaxCategory)
            .any(|category| category.says_one_of(p!(cbc:ID), &CODES))
}

fn has_sepa(invoice: Node<'_>) -> bool {
    let sepa = |id: Node<'_>| id.scheme() == Some("SEPA");
    invoice
        .at(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyIdentification/cbc:ID))
        .any(sepa)
        || invoice.at(p!(cac:PayeeParty/cac:PartyIdentification/cbc:ID)).any(sepa)
}
