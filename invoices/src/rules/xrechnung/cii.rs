//! XRechnung bound to CII.

use std::borrow::Cow;

use rust_decimal::Decimal;

use crate::codes;
use crate::engine::{Facts, Pattern, Rule, context, rules};
use crate::rules::cii::{in_header, in_line, in_transaction};
use crate::rules::peppol::cii as peppol;
use crate::rules::shared::{
    XRECHNUNG, XRECHNUNG_CVD, XRECHNUNG_EXTENSION, discounts_are_statements, file_names_are_unique, is_absolute_url,
    is_email, is_empty, is_iban, is_telephone, profile,
};
use crate::xml::{Node, Path, at, normalize, p, ram, rsm};

pub(super) const PATTERNS: &[Pattern] = &[peppol::XRECHNUNG, EMPTY, GROSS_PRICE, GERMAN, EXTENSION, VEHICLES];

const EMPTY: Pattern = &[
    context!([] if |node, _| is_empty(node) && node.name() != ram::ApplicableHeaderTradeDelivery; rules! {
        "PEPPOL-EN16931-R008", Fatal, |_, _| false;
    }),
];

const GROSS_PRICE: Pattern = &[context!([ram:GrossPriceProductTradePrice] if is_gross_price; rules! {
    "PEPPOL-EN16931-R044", Fatal, |price, _| !price.has(p!(ram:AppliedTradeAllowanceCharge/ram:ActualAmount))
        || price.says(p!(ram:AppliedTradeAllowanceCharge/ram:ChargeIndicator/udt:Indicator), "false");
    "PEPPOL-EN16931-R046", Fatal, |price, _| !price.has(p!(ram:ChargeAmount)) || net_is_gross_less_allowance(price);
})];

const GERMAN: Pattern = &[
    context!([rsm:CrossIndustryInvoice] if |node, _| node.is_root(); DOCUMENT),
    context!([rsm:ExchangedDocumentContext] if |node, _| node.parent().is_some_and(Node::is_root); rules! {
        "BR-DE-21", Warning, |context, _| context.says_one_of(p!(ram:GuidelineSpecifiedDocumentContextParameter/ram:ID), &[XRECHNUNG, XRECHNUNG_EXTENSION, XRECHNUNG_CVD]);
    }),
    context!([ram:SellerTradeParty] if |node, _| in_header(node, ram::ApplicableHeaderTradeAgreement); rules! {
        "BR-DE-2", Fatal, |seller, _| seller.has(p!(ram:DefinedTradeContact));
    }),
    context!([ram:PostalTradeAddress] if |node, _| of_seller(node); rules! {
        "BR-DE-3", Fatal, |address, _| address.any_filled(p!(ram:CityName));
        "BR-DE-4", Fatal, |address, _| address.any_filled(p!(ram:PostcodeCode));
    }),
    context!([ram:DefinedTradeContact] if |node, _| of_seller(node); rules! {
        "BR-DE-5", Fatal, |contact, _| contact.any_filled(p!(ram:PersonName)) || contact.any_filled(p!(ram:DepartmentName));
        "BR-DE-6", Fatal, |contact, _| contact.any_filled(p!(ram:TelephoneUniversalCommunication/ram:CompleteNumber));
        "BR-DE-7", Fatal, |contact, _| contact.any_filled(p!(ram:EmailURIUniversalCommunication/ram:URIID));
        "BR-DE-27", Warning, |contact, _| is_telephone(&contact.clean_at(p!(ram:TelephoneUniversalCommunication/ram:CompleteNumber)));
        "BR-DE-28", Warning, |contact, _| is_email(&contact.clean_at(p!(ram:EmailURIUniversalCommunication/ram:URIID)));
    }),
    context!([ram:PostalTradeAddress] if |node, _| node.inside(ram::BuyerTradeParty).is_some_and(|party| in_header(party, ram::ApplicableHeaderTradeAgreement)); rules! {
        "BR-DE-8", Fatal, |address, _| address.any_filled(p!(ram:CityName));
        "BR-DE-9", Fatal, |address, _| address.any_filled(p!(ram:PostcodeCode));
    }),
    context!([ram:AdditionalReferencedDocument] if |node, _| in_header(node, ram::ApplicableHeaderTradeAgreement) && node.says(p!(ram:TypeCode), "916"); rules! {
        "BR-TMP-2", Warning, |document, _| document.text_at(p!(ram:URIID)).is_none_or(is_absolute_url);
    }),
    context!([ram:PostalTradeAddress] if |node, _| node.inside(ram::ShipToTradeParty).is_some_and(|party| in_header(party, ram::ApplicableHeaderTradeDelivery)); rules! {
        "BR-DE-10", Fatal, |address, _| address.any_filled(p!(ram:CityName));
        "BR-DE-11", Fatal, |address, _| address.any_filled(p!(ram:PostcodeCode));
    }),
    context!([ram:SpecifiedTradeSettlementPaymentMeans] if |node, _| pays_by(node, &["30", "58"]); rules! {
        "BR-DE-19", Warning, |means, _| !pays_by(means, &["58"]) || is_iban(means.text_at(p!(ram:PayeePartyCreditorFinancialAccount/ram:IBANID)).unwrap_or_default());
        "BR-DE-23-a", Fatal, |means, _| means.has(p!(ram:PayeePartyCreditorFinancialAccount));
        "BR-DE-23-b", Fatal, |means, _| !means.has(p!(ram:ApplicableTradeSettlementFinancialCard)) && !is_direct_debit(means);
    }),
    context!([ram:SpecifiedTradeSettlementPaymentMeans] if |node, _| pays_by(node, &["48", "54", "55"]); rules! {
        "BR-DE-24-a", Fatal, |means, _| means.has(p!(ram:ApplicableTradeSettlementFinancialCard));
        "BR-DE-24-b", Fatal, |means, _| !means.has(p!(ram:PayeePartyCreditorFinancialAccount)) && !is_direct_debit(means);
    }),
    context!([ram:SpecifiedTradeSettlementPaymentMeans] if |node, _| pays_by(node, &["59"]); rules! {
        "BR-DE-20", Warning, |means, _| is_iban(means.text_at(p!(ram:PayerPartyDebtorFinancialAccount/ram:IBANID)).unwrap_or_default());
        "BR-DE-25-a", Fatal, |means, _| is_direct_debit(means);
        "BR-DE-25-b", Fatal, |means, _| !means.has(p!(ram:PayeePartyCreditorFinancialAccount)) && !means.has(p!(ram:PayeeSpecifiedCreditorFinancialInstitution))
            && !means.has(p!(ram:PayerSpecifiedDebtorFinancialInstitution)) && !means.has(p!(ram:ApplicableTradeSettlementFinancialCard));
    }),
    context!([ram:ApplicableTradeTax] if |node, _| in_header(node, ram::ApplicableHeaderTradeSettlement); rules! {
        "BR-DE-14", Fatal, |tax, _| tax.any_filled(p!(ram:RateApplicablePercent));
    }),
    context!([rsm:SupplyChainTradeTransaction] if |node, _| node.parent().is_some_and(Node::is_root); rules! {
        "BR-DE-TMP-32", Information, |transaction, _| says_when_delivered(transaction);
    }),
    context!([ram:IncludedSupplyChainTradeLineItem] if |node, _| in_transaction(node); rules! {
        "BR-TMP-3", Fatal, |line, _| base_quantities_agree(line);
    }),
];

const MANDATE: Path = p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:SpecifiedTradePaymentTerms/ram:DirectDebitMandateID);
const CREDITOR: Path = p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:CreditorReferenceID);
const DEBTOR: Path = p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:SpecifiedTradeSettlementPaymentMeans/ram:PayerPartyDebtorFinancialAccount/ram:IBANID);

const DOCUMENT: &[Rule] = rules! {
    "BR-DE-30", Fatal, |invoice, _| !(invoice.has(MANDATE) || invoice.has(CREDITOR) || invoice.has(DEBTOR)) || (invoice.has(MANDATE) || invoice.has(DEBTOR)) && invoice.has(CREDITOR);
    "BR-DE-31", Fatal, |invoice, _| !(invoice.has(MANDATE) || invoice.has(CREDITOR) || invoice.has(DEBTOR)) || (invoice.has(MANDATE) || invoice.has(CREDITOR)) && invoice.has(DEBTOR);
    "BR-DE-1", Fatal, |invoice, _| invoice.has(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:SpecifiedTradeSettlementPaymentMeans));
    "BR-DE-15", Fatal, |invoice, _| invoice.any_filled(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:BuyerReference));
    "BR-DE-16", Fatal, |invoice, _| !charges_vat(invoice) || seller_has_tax_number(invoice);
    "BR-DE-17", Warning, |invoice, _| invoice.clean_one_of(p!(rsm:ExchangedDocument/ram:TypeCode), &["326", "380", "384", "389", "381", "875", "876", "877"]);
    "BR-DE-18", Fatal, |invoice, _| discounts_are_statements(&payment_terms(invoice));
    "BR-DE-22", Fatal, |_, facts| attachments_have_unique_names(facts);
    "BR-DE-26", Warning, |invoice, _| !invoice.clean_one_of(p!(rsm:ExchangedDocument/ram:TypeCode), &["384"])
        || invoice.has(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:InvoiceReferencedDocument));
};

const EXTENSION: Pattern = &[
    context!([ram:AssociatedDocumentLineDocument] if |node, facts| in_line(node) && profile(facts).extension; rules! {
        "BR-DEX-15", Warning, |_, facts| facts.document.all(ram::ParentLineID).len() == 0;
    }),
    context!([ram:GlobalID] if |id, facts| profile(facts).extension && codes_of_cii::is_party_identifier(id, facts); rules! {
        "BR-DEX-04", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([ram:ID] if |id, facts| profile(facts).extension && codes_of_cii::is_registration(id, facts); rules! {
        "BR-DEX-05", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([ram:GlobalID] if |id, facts| profile(facts).extension && codes_of_cii::is_item_identifier(id, facts); rules! {
        "BR-DEX-06", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([ram:URIID] if |id, facts| profile(facts).extension && codes_of_cii::is_address(id, facts); rules! {
        "BR-DEX-07", Fatal, |id, _| codes::ADDRESSES.has(id.scheme().unwrap_or_default()) || is_health_application(id);
    }),
    context!([ram:GlobalID] if |id, facts| profile(facts).extension && codes_of_cii::is_location(id, facts); rules! {
        "BR-DEX-08", Fatal, |id, _| is_extended_scheme(id);
    }),
    context!([ram:AttachmentBinaryObject] if |_, facts| profile(facts).extension; rules! {
        "BR-DEX-01", Fatal, |object, _| object.attribute(at::mimeCode).is_some_and(|kind| kind == "application/xml" || codes::MIME_TYPES.contains(&kind));
    }),
];

const VEHICLES: Pattern = &[
    context!([rsm:SupplyChainTradeTransaction] if |node, facts| node.parent().is_some_and(Node::is_root) && profile(facts).vehicles; rules! {
        "BR-DE-CVD-03", Fatal, |transaction, _| transaction.at(p!(ram:IncludedSupplyChainTradeLineItem/ram:SpecifiedTradeProduct)).any(|product| vehicle_codes(product) > 0 && vehicle_kinds(product) > 0);
    }),
    context!([ram:SpecifiedTradeProduct] if is_vehicle; rules! {
        "BR-DE-CVD-06-b", Fatal, |product, _| vehicle_kinds(product) == 0 || vehicle_codes(product) == 1;
        "BR-DE-CVD-06-a", Fatal, |product, _| vehicle_codes(product) == 0 || vehicle_kinds(product) == 1;
    }),
    context!([ram:ClassCode] if |code, facts| code.inside(ram::DesignatedProductClassification).and_then(Node::parent).is_some_and(|product| is_vehicle(product, facts)); rules! {
        "BR-TMP-CVD-01", Fatal, |code, _| list(code) == "CVD" || codes::CLASSIFICATIONS.has(&list(code));
        "BR-DE-CVD-04", Fatal, |code, _| list(code) != "CVD" || ["M1", "M2", "M3", "N1", "N2", "N3"].contains(&&*code.clean());
    }),
    context!([ram:ApplicableProductCharacteristic] if |node, facts| node.says(p!(ram:Description), "cva") && node.parent().is_some_and(|product| is_vehicle(product, facts)); rules! {
        "BR-DE-CVD-05", Fatal, |characteristic, _| characteristic.clean_one_of(p!(ram:Value), &["clean", "zero-emission", "other"]);
    }),
    context!([ram:ApplicableHeaderTradeAgreement] if |node, facts| in_transaction(node) && profile(facts).vehicles; rules! {
        "BR-DE-CVD-01", Fatal, |agreement, _| agreement.any_filled(p!(ram:ContractReferencedDocument/ram:IssuerAssignedID));
        "BR-DE-CVD-02", Fatal, |agreement, _| agreement.at(p!(ram:AdditionalReferencedDocument)).any(|document| document.clean_at(p!(ram:TypeCode)) == "50" && document.filled(p!(ram:IssuerAssignedID)));
    }),
];

use crate::rules::cii::codes as codes_of_cii;

fn is_gross_price(price: Node<'_>, _: &Facts<'_>) -> bool {
    price.under(&[
        rsm::SupplyChainTradeTransaction,
        ram::IncludedSupplyChainTradeLineItem,
        ram::SpecifiedLineTradeAgreement,
    ])
}

fn net_is_gross_less_allowance(price: Node<'_>) -> bool {
    let net = price
        .parent()
        .and_then(|agreement| agreement.decimal_at(p!(ram:NetPriceProductTradePrice/ram:ChargeAmount)));
    let allowance = price
        .decimal_at(p!(ram:AppliedTradeAllowanceCharge/ram:ActualAmount))
        .unwrap_or(Decimal::ZERO);
    let expected = price
        .decimal_at(p!(ram:ChargeAmount))
        .and_then(|gross| gross.checked_sub(allowance));
    net.is_some() && net == expected
}

fn of_seller(node: Node<'_>) -> bool {
    node.inside(ram::SellerTradeParty)
        .is_some_and(|party| in_header(party, ram::ApplicableHeaderTradeAgreement))
}

fn pays_by(means: Node<'_>, codes: &[&str]) -> bool {
    in_header(means, ram::ApplicableHeaderTradeSettlement) && means.clean_one_of(p!(ram:TypeCode), codes)
}

/// Mandate, creditor or debited account: what makes up a direct debit.
fn is_direct_debit(means: Node<'_>) -> bool {
    let header = means.parent().is_some_and(|settlement| {
        settlement.has(p!(ram:SpecifiedTradePaymentTerms/ram:DirectDebitMandateID))
            || settlement.has(p!(ram:CreditorReferenceID))
    });
    header || means.has(p!(ram:PayerPartyDebtorFinancialAccount/ram:IBANID))
}

/// The artefact asks for lines alone: its condition for allowances and charges can never be true.
fn charges_vat(invoice: Node<'_>) -> bool {
    let tax = p!(rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem/ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:TypeCode);
    let code = p!(rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem/ram:SpecifiedLineTradeSettlement/ram:ApplicableTradeTax/ram:CategoryCode);
    invoice.says(tax, "VAT") && invoice.says_one_of(code, &["S", "Z", "E", "AE", "K", "G", "L", "M"])
}

fn seller_has_tax_number(invoice: Node<'_>) -> bool {
    let id = p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTradeParty/ram:SpecifiedTaxRegistration/ram:ID);
    let is_number =
        |id: Node<'_>| matches!(&*normalize(id.scheme().unwrap_or_default()), "VA" | "FC") && !id.clean().is_empty();
    invoice.at(id).any(is_number)
        || invoice.has(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement/ram:SellerTaxRepresentativeTradeParty))
}

fn payment_terms(invoice: Node<'_>) -> Vec<&str> {
    let terms = invoice
        .at(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:SpecifiedTradePaymentTerms));
    terms.filter_map(|terms| terms.text_at(p!(ram:Description))).collect()
}

fn attachments_have_unique_names(facts: &Facts<'_>) -> bool {
    let documents = facts.document.all(ram::AdditionalReferencedDocument);
    file_names_are_unique(documents.filter_map(|document| {
        let name = document
            .first(p!(ram:AttachmentBinaryObject))?
            .attribute(at::filename)?;
        Some((document.parent()?.id(), name))
    }))
}

fn says_when_delivered(transaction: Node<'_>) -> bool {
    transaction.has(p!(ram:ApplicableHeaderTradeDelivery/ram:ActualDeliverySupplyChainEvent/ram:OccurrenceDateTime))
        || transaction.has(p!(ram:ApplicableHeaderTradeSettlement/ram:BillingSpecifiedPeriod))
        || transaction
            .at(p!(ram:IncludedSupplyChainTradeLineItem))
            .all(|line| line.has(p!(ram:SpecifiedLineTradeSettlement/ram:BillingSpecifiedPeriod)))
}

/// Base quantity and unit are the same at gross and net price, where both have them.
fn base_quantities_agree(line: Node<'_>) -> bool {
    let gross = line.first(p!(ram:SpecifiedLineTradeAgreement/ram:GrossPriceProductTradePrice/ram:BasisQuantity));
    let net = line.first(p!(ram:SpecifiedLineTradeAgreement/ram:NetPriceProductTradePrice/ram:BasisQuantity));
    let Some((gross, net)) = gross.zip(net) else {
        return true;
    };
    let units = gross.attribute(at::unitCode).zip(net.attribute(at::unitCode));
    gross.text() == net.text() && units.is_none_or(|(gross, net)| gross == net)
}

fn is_health_application(id: Node<'_>) -> bool {
    ["XR01", "XR02", "XR03"].contains(&&*normalize(id.scheme().unwrap_or_default()))
}

fn is_extended_scheme(id: Node<'_>) -> bool {
    codes::SCHEMES.has(id.scheme().unwrap_or_default()) || is_health_application(id)
}

fn is_vehicle(product: Node<'_>, facts: &Facts<'_>) -> bool {
    product.name() == ram::SpecifiedTradeProduct && profile(facts).vehicles && in_line(product)
}

fn vehicle_codes(product: Node<'_>) -> usize {
    let codes = product.at(p!(ram:DesignatedProductClassification/ram:ClassCode));
    codes.filter(|code| code.attribute(at::listID) == Some("CVD")).count()
}

fn vehicle_kinds(product: Node<'_>) -> usize {
    product
        .at(p!(ram:ApplicableProductCharacteristic))
        .filter(|node| node.says(p!(ram:Description), "cva"))
        .count()
}

fn list(code: Node<'_>) -> Cow<'_, str> {
    normalize(code.attribute(at::listID).unwrap_or_default())
}
