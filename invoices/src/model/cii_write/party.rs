//! Parties and delivery as CII.

use super::*;

pub(super) fn identifier(name: &'static str, id: Option<&Identifier>) -> Part {
    let id = id?;
    with(text(name, id.id.as_str()), "schemeID", id.scheme.as_deref())
}

/// `ram:ID` without a scheme, `ram:GlobalID` with one.
pub(super) fn party_identifier(id: &Identifier) -> Part {
    identifier(if id.scheme.is_some() { "ram:GlobalID" } else { "ram:ID" }, Some(id))
}

pub(super) fn registration(id: &str, scheme: &str) -> Part {
    group(
        "ram:SpecifiedTaxRegistration",
        [with(text("ram:ID", id), "schemeID", Some(scheme))],
    )
}

pub(super) fn party(name: &'static str, party: &Party) -> Part {
    let mut parts: Vec<Part> = party.ids.iter().map(party_identifier).collect();
    parts.extend([
        text("ram:Name", party.name.as_str()),
        optional("ram:Description", party.legal_info.as_ref()),
        group(
            "ram:SpecifiedLegalOrganization",
            [
                identifier("ram:ID", party.registration.as_ref()),
                optional("ram:TradingBusinessName", party.trading_name.as_ref()),
            ],
        ),
        party.contact.as_ref().and_then(contact),
        party.address.as_ref().and_then(address),
        group(
            "ram:URIUniversalCommunication",
            [identifier("ram:URIID", party.address_id.as_ref())],
        ),
    ]);
    parts.extend(party.vat_id.iter().map(|id| registration(id, "VA")));
    parts.extend(party.tax_id.iter().map(|id| registration(id, "FC")));
    group(name, parts)
}

pub(super) fn contact(contact: &Contact) -> Part {
    group(
        "ram:DefinedTradeContact",
        [
            optional("ram:PersonName", contact.name.as_ref()),
            group(
                "ram:TelephoneUniversalCommunication",
                [optional("ram:CompleteNumber", contact.telephone.as_ref())],
            ),
            group(
                "ram:EmailURIUniversalCommunication",
                [optional("ram:URIID", contact.email.as_ref())],
            ),
        ],
    )
}

pub(super) fn address(address: &Address) -> Part {
    group(
        "ram:PostalTradeAddress",
        [
            optional("ram:PostcodeCode", address.post_code.as_ref()),
            optional("ram:LineOne", address.line1.as_ref()),
            optional("ram:LineTwo", address.line2.as_ref()),
            optional("ram:LineThree", address.line3.as_ref()),
            optional("ram:CityName", address.city.as_ref()),
            text("ram:CountryID", address.country.as_str()),
            optional("ram:CountrySubDivisionName", address.subdivision.as_ref()),
        ],
    )
}

pub(super) fn representative(party: &Representative) -> Part {
    group(
        "ram:SellerTaxRepresentativeTradeParty",
        [
            text("ram:Name", party.name.as_str()),
            party.address.as_ref().and_then(address),
            registration(&party.vat_id, "VA"),
        ],
    )
}

pub(super) fn delivery(invoice: &Invoice) -> Part {
    let delivery = invoice.delivery.as_ref();
    let party = delivery.and_then(|delivery| {
        group(
            "ram:ShipToTradeParty",
            [
                delivery.location.as_ref().and_then(party_identifier),
                optional("ram:Name", delivery.name.as_ref()),
                delivery.address.as_ref().and_then(address),
            ],
        )
    });
    let day = delivery.and_then(|delivery| date("udt:DateTimeString", delivery.date.as_ref()));
    group(
        "ram:ApplicableHeaderTradeDelivery",
        [
            party,
            group(
                "ram:ActualDeliverySupplyChainEvent",
                [group("ram:OccurrenceDateTime", [day])],
            ),
            reference("ram:DespatchAdviceReferencedDocument", invoice.despatch_advice.as_ref()),
            reference(
                "ram:ReceivingAdviceReferencedDocument",
                invoice.receiving_advice.as_ref(),
            ),
        ],
    )
}

pub(super) fn payee(payee: &Payee) -> Part {
    group(
        "ram:PayeeTradeParty",
        [
            payee.id.as_ref().and_then(party_identifier),
            text("ram:Name", payee.name.as_str()),
            group(
                "ram:SpecifiedLegalOrganization",
                [identifier("ram:ID", payee.registration.as_ref())],
            ),
        ],
    )
}
