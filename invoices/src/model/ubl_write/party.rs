//! Parties and delivery as UBL.

use super::*;

pub(super) fn identifier(name: &'static str, id: Option<&Identifier>) -> Part {
    let id = id?;
    with(text(name, id.id.as_str()), "schemeID", id.scheme.as_deref())
}

pub(super) fn parties(invoice: &Invoice) -> Vec<Part> {
    let creditor = invoice
        .payment
        .as_ref()
        .and_then(|payment| payment.debit.as_ref()?.creditor.as_ref());
    let creditor = creditor.map(|id| Identifier {
        id: id.clone(),
        scheme: Some("SEPA".to_owned()),
    });
    // The creditor is who is paid: the payee where there is one.
    let (of_payee, of_seller) = if invoice.payee.is_some() {
        (creditor.as_ref(), None)
    } else {
        (None, creditor.as_ref())
    };
    vec![
        group("cac:AccountingSupplierParty", [party(&invoice.seller, of_seller)]),
        group("cac:AccountingCustomerParty", [party(&invoice.buyer, None)]),
        invoice.payee.as_ref().and_then(|node| payee(node, of_payee)),
        invoice.representative.as_ref().and_then(representative),
        invoice.delivery.as_ref().and_then(delivery),
    ]
}

pub(super) fn party(party: &Party, creditor: Option<&Identifier>) -> Part {
    let mut parts = vec![identifier("cbc:EndpointID", party.address_id.as_ref())];
    let ids = party.ids.iter().chain(creditor);
    parts.extend(ids.map(|id| group("cac:PartyIdentification", [identifier("cbc:ID", Some(id))])));
    parts.push(group(
        "cac:PartyName",
        [optional("cbc:Name", party.trading_name.as_ref())],
    ));
    parts.push(
        party
            .address
            .as_ref()
            .and_then(|node| address("cac:PostalAddress", node)),
    );
    parts.extend(party.vat_id.iter().map(|id| tax_scheme(id, "VAT")));
    parts.extend(party.tax_id.iter().map(|id| tax_scheme(id, "FC")));
    parts.push(group(
        "cac:PartyLegalEntity",
        [
            text("cbc:RegistrationName", party.name.as_str()),
            identifier("cbc:CompanyID", party.registration.as_ref()),
            optional("cbc:CompanyLegalForm", party.legal_info.as_ref()),
        ],
    ));
    parts.push(party.contact.as_ref().and_then(|contact| {
        group(
            "cac:Contact",
            [
                optional("cbc:Name", contact.name.as_ref()),
                optional("cbc:Telephone", contact.telephone.as_ref()),
                optional("cbc:ElectronicMail", contact.email.as_ref()),
            ],
        )
    }));
    group("cac:Party", parts)
}

pub(super) fn tax_scheme(id: &str, scheme: &str) -> Part {
    group(
        "cac:PartyTaxScheme",
        [
            text("cbc:CompanyID", id),
            group("cac:TaxScheme", [text("cbc:ID", scheme)]),
        ],
    )
}

pub(super) fn address(name: &'static str, address: &Address) -> Part {
    group(
        name,
        [
            optional("cbc:StreetName", address.line1.as_ref()),
            optional("cbc:AdditionalStreetName", address.line2.as_ref()),
            optional("cbc:CityName", address.city.as_ref()),
            optional("cbc:PostalZone", address.post_code.as_ref()),
            optional("cbc:CountrySubentity", address.subdivision.as_ref()),
            group("cac:AddressLine", [optional("cbc:Line", address.line3.as_ref())]),
            group(
                "cac:Country",
                [text("cbc:IdentificationCode", address.country.as_str())],
            ),
        ],
    )
}

pub(super) fn payee(payee: &Payee, creditor: Option<&Identifier>) -> Part {
    let ids = payee.id.iter().chain(creditor);
    let mut parts: Vec<Part> = ids
        .map(|id| group("cac:PartyIdentification", [identifier("cbc:ID", Some(id))]))
        .collect();
    parts.push(group("cac:PartyName", [text("cbc:Name", payee.name.as_str())]));
    parts.push(group(
        "cac:PartyLegalEntity",
        [identifier("cbc:CompanyID", payee.registration.as_ref())],
    ));
    group("cac:PayeeParty", parts)
}

pub(super) fn representative(party: &Representative) -> Part {
    group(
        "cac:TaxRepresentativeParty",
        [
            group("cac:PartyName", [text("cbc:Name", party.name.as_str())]),
            party
                .address
                .as_ref()
                .and_then(|node| address("cac:PostalAddress", node)),
            if party.vat_id.is_empty() {
                None
            } else {
                tax_scheme(&party.vat_id, "VAT")
            },
        ],
    )
}

pub(super) fn delivery(delivery: &Delivery) -> Part {
    let location = [
        identifier("cbc:ID", delivery.location.as_ref()),
        delivery.address.as_ref().and_then(|node| address("cac:Address", node)),
    ];
    let party = group("cac:PartyName", [optional("cbc:Name", delivery.name.as_ref())]);
    group(
        "cac:Delivery",
        [
            optional("cbc:ActualDeliveryDate", delivery.date.as_ref()),
            group("cac:DeliveryLocation", location),
            group("cac:DeliveryParty", [party]),
        ],
    )
}
