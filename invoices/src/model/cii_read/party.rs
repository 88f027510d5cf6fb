//! Parties and delivery out of CII.

use super::*;

pub(super) fn registration(node: Node<'_>, scheme: &str) -> Option<String> {
    node.at(p!(ram:SpecifiedTaxRegistration/ram:ID))
        .find(|id| id.scheme() == Some(scheme))
        .map(value)
        .filter(|id| !id.is_empty())
}

pub(super) fn party(node: Node<'_>) -> Party {
    let ids = node.at(p!(ram:ID)).chain(node.at(p!(ram:GlobalID))).map(identifier);
    let mut ids: Vec<Identifier> = ids.filter(|id| !id.id.is_empty()).collect();
    ids.sort_by_key(|id| id.scheme.is_some());
    Party {
        name: required(node, p!(ram:Name)),
        trading_name: text(node, p!(ram:SpecifiedLegalOrganization/ram:TradingBusinessName)),
        ids,
        registration: identifier_at(node, p!(ram:SpecifiedLegalOrganization/ram:ID)),
        vat_id: registration(node, "VA"),
        tax_id: registration(node, "FC"),
        legal_info: text(node, p!(ram:Description)),
        address_id: identifier_at(node, p!(ram:URIUniversalCommunication/ram:URIID)),
        address: node.first(p!(ram:PostalTradeAddress)).map(address).and_then(group),
        contact: node.first(p!(ram:DefinedTradeContact)).map(contact).and_then(group),
    }
}

fn address(node: Node<'_>) -> Address {
    Address {
        line1: text(node, p!(ram:LineOne)),
        line2: text(node, p!(ram:LineTwo)),
        line3: text(node, p!(ram:LineThree)),
        city: text(node, p!(ram:CityName)),
        post_code: text(node, p!(ram:PostcodeCode)),
        subdivision: text(node, p!(ram:CountrySubDivisionName)),
        country: required(node, p!(ram:CountryID)),
    }
}

fn contact(node: Node<'_>) -> Contact {
    Contact {
        name: text(node, p!(ram:PersonName)).or_else(|| text(node, p!(ram:DepartmentName))),
        telephone: text(node, p!(ram:TelephoneUniversalCommunication/ram:CompleteNumber)),
        email: text(node, p!(ram:EmailURIUniversalCommunication/ram:URIID)),
    }
}

pub(super) fn representative(node: Node<'_>) -> Representative {
    Representative {
        name: required(node, p!(ram:Name)),
        vat_id: registration(node, "VA").unwrap_or_default(),
        address: node.first(p!(ram:PostalTradeAddress)).map(address).and_then(group),
    }
}

pub(super) fn delivery_into(node: Node<'_>, invoice: &mut Invoice) {
    let party = node.first(p!(ram:ShipToTradeParty));
    let location =
        party.and_then(|party| identifier_at(party, p!(ram:GlobalID)).or_else(|| identifier_at(party, p!(ram:ID))));
    invoice.delivery = group(Delivery {
        name: party.and_then(|party| text(party, p!(ram:Name))),
        location,
        date: date(
            node,
            p!(ram:ActualDeliverySupplyChainEvent/ram:OccurrenceDateTime/udt:DateTimeString),
        ),
        address: party
            .and_then(|party| party.first(p!(ram:PostalTradeAddress)))
            .map(address)
            .and_then(group),
    });
    invoice.despatch_advice = text(node, p!(ram:DespatchAdviceReferencedDocument/ram:IssuerAssignedID));
    invoice.receiving_advice = text(node, p!(ram:ReceivingAdviceReferencedDocument/ram:IssuerAssignedID));
}
