//! Greek rules of Peppol.

use super::*;

pub(in crate::rules::peppol) const GREECE: Pattern = &[
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

pub(in crate::rules::peppol) const GREECE_BOTH: Pattern = &[
    context!([cac:Party] if |node, facts| is_buyer(node) && greek_seller(facts) && greek_buyer(facts); rules! { "GR-R-006", Fatal, |party, _| has_greek_vat_number(party); }),
    context!([cbc:EndpointID] if |node, facts| node.inside(cac::Party).is_some_and(is_buyer) && greek_seller(facts) && greek_buyer(facts); rules! {
        "GR-R-010", Fatal, |id, _| id.scheme() == Some("9933") && id::is_greek(id.text());
    }),
];
pub(super) const DESCRIPTION: Path = p!(cbc:DocumentDescription);

pub(super) fn greek_seller(facts: &Facts<'_>) -> bool {
    matches!(profile(facts).supplier.as_str(), "GR" | "EL")
}

pub(super) fn greek_buyer(facts: &Facts<'_>) -> bool {
    matches!(profile(facts).customer.as_str(), "GR" | "EL")
}

pub(super) fn segment(id: Node<'_>, number: usize) -> &str {
    id.text().split('|').nth(number).unwrap_or_default()
}

pub(super) fn is_greek_vat(number: &str) -> bool {
    number.strip_prefix("EL").is_some_and(id::is_greek)
}

pub(super) fn has_greek_vat_number(party: Node<'_>) -> bool {
    let mut numbers = tax_schemes(party, "VAT").filter_map(|scheme| scheme.text_at(COMPANY));
    let only = numbers.next().filter(|_| numbers.next().is_none());
    only.is_some_and(is_greek_vat)
}

pub(super) fn greek_number_is_the_sellers(number: &str, facts: &Facts<'_>) -> bool {
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

pub(super) fn greek_date_is_the_issue_date(day: &str, facts: &Facts<'_>) -> bool {
    let issued: Vec<&str> = facts
        .root()
        .text_at(p!(cbc:IssueDate))
        .unwrap_or_default()
        .split('-')
        .collect();
    let written: Vec<&str> = day.split('/').collect();
    matches!((&issued[..], &written[..]), ([y, m, d], [day, month, year]) if y == year && m == month && d == day)
}

pub(super) fn described(invoice: Node<'_>, text: &str) -> usize {
    invoice
        .at(p!(cac:AdditionalDocumentReference))
        .filter(|reference| reference.says(DESCRIPTION, text))
        .count()
}
