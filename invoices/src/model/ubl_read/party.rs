//! Parties and delivery out of UBL.

use super::*;

fn is_vat(scheme: &Node<'_>) -> bool {
    scheme.clean_at(p!(cac:TaxScheme/cbc:ID)).eq_ignore_ascii_case("VAT")
}

pub(super) fn party(node: Node<'_>) -> Party {
    let is_creditor = |id: &Identifier| id.scheme.as_deref() == Some("SEPA");
    let mut ids: Vec<Identifier> = node
        .at(p!(cac:PartyIdentification/cbc:ID))
        .map(identifier)
        .filter(|id| !id.id.is_empty() && !is_creditor(id))
        .collect();
    ids.sort_by_key(|id| id.scheme.is_some());
    let tax = |vat: bool| {
        node.at(p!(cac:PartyTaxScheme))
            .find(|scheme| is_vat(scheme) == vat)
            .and_then(|scheme| text(scheme, p!(cbc:CompanyID)))
    };
    Party {
        name: required(node, p!(cac:PartyLegalEntity/cbc:RegistrationName)),
        trading_name: text(node, p!(cac:PartyName/cbc:Name)),
        ids,
        registration: identifier_at(node, p!(cac:PartyLegalEntity/cbc:CompanyID)),
        vat_id: tax(true),
        tax_id: tax(false),
        legal_info: text(node, p!(cac:PartyLegalEntity/cbc:CompanyLegalForm)),
        address_id: identifier_at(node, p!(cbc:EndpointID)),
        address: node.first(p!(cac:PostalAddress)).map(address).and_then(group),
        contact: node.first(p!(cac:Contact)).map(contact).and_then(group),
    }
}

fn address(node: Node<'_>) -> Address {
    Address {
        line1: text(node, p!(cbc:StreetName)),
        line2: text(node, p!(cbc:AdditionalStreetName)),
        line3: text(node, p!(cac:AddressLine/cbc:Line)),
        city: text(node, p!(cbc:CityName)),
        post_code: text(node, p!(cbc:PostalZone)),
        subdivision: text(node, p!(cbc:CountrySubentity)),
        country: required(node, p!(cac:Country/cbc:IdentificationCode)),
    }
}

fn contact(node: Node<'_>) -> Contact {
    Contact {
        name: text(node, p!(cbc:Name)),
        telephone: text(node, p!(cbc:Telephone)),
        email: text(node, p!(cbc:ElectronicMail)),
    }
}

pub(super) fn payee(node: Node<'_>) -> Payee {
    let mut ids = node.at(p!(cac:PartyIdentification/cbc:ID)).map(identifier);
    Payee {
        name: required(node, p!(cac:PartyName/cbc:Name)),
        id: ids.find(|id| !id.id.is_empty() && id.scheme.as_deref() != Some("SEPA")),
        registration: identifier_at(node, p!(cac:PartyLegalEntity/cbc:CompanyID)),
    }
}

pub(super) fn representative(node: Node<'_>) -> Representative {
    Representative {
        name: required(node, p!(cac:PartyName/cbc:Name)),
        vat_id: required(node, p!(cac:PartyTaxScheme/cbc:CompanyID)),
        address: node.first(p!(cac:PostalAddress)).map(address).and_then(group),
    }
}

pub(super) fn delivery(node: Node<'_>) -> Delivery {
    Delivery {
        name: text(node, p!(cac:DeliveryParty/cac:PartyName/cbc:Name)),
        location: identifier_at(node, p!(cac:DeliveryLocation/cbc:ID)),
        date: text(node, p!(cbc:ActualDeliveryDate)),
        address: node
            .first(p!(cac:DeliveryLocation/cac:Address))
            .map(address)
            .and_then(group),
    }
}
