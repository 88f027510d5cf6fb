//! The model as UBL. The order of elements is that of the UBL schemas.

use super::write::{Part, document, group, number, optional, text, with};
use super::*;

pub(super) fn write(invoice: &Invoice) -> String {
    let credit = invoice.is_credit_note();
    let (name, namespace) = if credit {
        (
            "CreditNote",
            "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
        )
    } else {
        ("Invoice", "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2")
    };
    let mut parts = header(invoice, credit);
    parts.extend(references(invoice, credit));
    parts.extend(parties(invoice));
    parts.extend(payment(invoice, credit));
    let currency = &invoice.currency;
    parts.extend(invoice.allowances.iter().map(|node| adjustment(node, false, currency)));
    parts.extend(invoice.charges.iter().map(|node| adjustment(node, true, currency)));
    parts.extend(vat(invoice));
    parts.push(totals(invoice));
    parts.extend(invoice.lines.iter().map(|node| line(node, credit, currency)));
    let root = with(group(name, parts), "xmlns", Some(namespace));
    let root = with(
        root,
        "xmlns:cac",
        Some("urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"),
    );
    document(with(
        root,
        "xmlns:cbc",
        Some("urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"),
    ))
}

fn header(invoice: &Invoice, credit: bool) -> Vec<Part> {
    let note = |note: &Note| match &note.subject {
        Some(subject) => text("cbc:Note", format!("#{subject}#{}", note.text)),
        None => text("cbc:Note", note.text.as_str()),
    };
    let tax_point = optional("cbc:TaxPointDate", invoice.tax_point_date.as_ref());
    let mut parts = vec![
        text("cbc:CustomizationID", invoice.specification.as_str()),
        optional("cbc:ProfileID", invoice.process.as_ref()),
        text("cbc:ID", invoice.number.as_str()),
        text("cbc:IssueDate", invoice.issue_date.as_str()),
    ];
    let notes = invoice.notes.iter().map(note);
    if credit {
        parts.push(tax_point);
        parts.push(text("cbc:CreditNoteTypeCode", invoice.type_code.as_str()));
        parts.extend(notes);
    } else {
        parts.push(optional("cbc:DueDate", invoice.due_date.as_ref()));
        parts.push(text("cbc:InvoiceTypeCode", invoice.type_code.as_str()));
        parts.extend(notes);
        parts.push(tax_point);
    }
    parts.extend([
        text("cbc:DocumentCurrencyCode", invoice.currency.as_str()),
        optional("cbc:TaxCurrencyCode", invoice.tax_currency.as_ref()),
        optional("cbc:AccountingCost", invoice.accounting.as_ref()),
        optional("cbc:BuyerReference", invoice.buyer_reference.as_ref()),
        group("cac:InvoicePeriod", {
            let mut parts = period(invoice.period.as_ref());
            parts.push(optional("cbc:DescriptionCode", invoice.tax_point_code.as_ref()));
            parts
        }),
        order(invoice),
    ]);
    parts
}

fn order(invoice: &Invoice) -> Part {
    let none = "NA".to_owned();
    let number = invoice
        .purchase_order
        .as_ref()
        .or(invoice.sales_order.as_ref().map(|_| &none));
    group(
        "cac:OrderReference",
        [
            optional("cbc:ID", number),
            optional("cbc:SalesOrderID", invoice.sales_order.as_ref()),
        ],
    )
}

fn period(period: Option<&Period>) -> Vec<Part> {
    let Some(period) = period else { return Vec::new() };
    vec![
        optional("cbc:StartDate", period.start.as_ref()),
        optional("cbc:EndDate", period.end.as_ref()),
    ]
}

fn references(invoice: &Invoice, credit: bool) -> Vec<Part> {
    let reference = |name, id: Option<&String>| group(name, [optional("cbc:ID", id)]);
    let mut parts: Vec<Part> = invoice.preceding.iter().map(preceding).collect();
    parts.push(reference(
        "cac:DespatchDocumentReference",
        invoice.despatch_advice.as_ref(),
    ));
    parts.push(reference(
        "cac:ReceiptDocumentReference",
        invoice.receiving_advice.as_ref(),
    ));
    let tender = reference("cac:OriginatorDocumentReference", invoice.tender.as_ref());
    let contract = reference("cac:ContractDocumentReference", invoice.contract.as_ref());
    let typed = |id: &Identifier, kind| {
        let number = with(text("cbc:ID", id.id.as_str()), "schemeID", id.scheme.as_deref());
        group(
            "cac:AdditionalDocumentReference",
            [number, text("cbc:DocumentTypeCode", kind)],
        )
    };
    let mut additional: Vec<Part> = invoice.object.iter().map(|object| typed(object, "130")).collect();
    additional.extend(invoice.documents.iter().map(supporting));
    if credit {
        let project = invoice.project.iter().map(|id| Identifier {
            id: id.clone(),
            scheme: None,
        });
        additional.extend(project.map(|id| typed(&id, "50")));
        parts.push(contract);
        parts.extend(additional);
        parts.push(tender);
    } else {
        parts.push(tender);
        parts.push(contract);
        parts.extend(additional);
        parts.push(reference("cac:ProjectReference", invoice.project.as_ref()));
    }
    parts
}

fn preceding(preceding: &Preceding) -> Part {
    let reference = [
        text("cbc:ID", preceding.number.as_str()),
        optional("cbc:IssueDate", preceding.date.as_ref()),
    ];
    group(
        "cac:BillingReference",
        [group("cac:InvoiceDocumentReference", reference)],
    )
}

fn supporting(document: &Supporting) -> Part {
    let object = document.attachment.as_ref().and_then(|attachment| {
        // An attachment without content keeps its element: a space is no content either.
        let content = if attachment.content.is_empty() {
            " "
        } else {
            &attachment.content
        };
        let object = with(
            text("cbc:EmbeddedDocumentBinaryObject", content),
            "mimeCode",
            Some(&attachment.mime),
        );
        with(object, "filename", Some(&attachment.filename))
    });
    let url = group("cac:ExternalReference", [optional("cbc:URI", document.url.as_ref())]);
    group(
        "cac:AdditionalDocumentReference",
        [
            text("cbc:ID", document.id.as_str()),
            optional("cbc:DocumentDescription", document.description.as_ref()),
            group("cac:Attachment", [object, url]),
        ],
    )
}

fn identifier(name: &'static str, id: Option<&Identifier>) -> Part {
    let id = id?;
    with(text(name, id.id.as_str()), "schemeID", id.scheme.as_deref())
}

fn parties(invoice: &Invoice) -> Vec<Part> {
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

fn party(party: &Party, creditor: Option<&Identifier>) -> Part {
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

fn tax_scheme(id: &str, scheme: &str) -> Part {
    group(
        "cac:PartyTaxScheme",
        [
            text("cbc:CompanyID", id),
            group("cac:TaxScheme", [text("cbc:ID", scheme)]),
        ],
    )
}

fn address(name: &'static str, address: &Address) -> Part {
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

fn payee(payee: &Payee, creditor: Option<&Identifier>) -> Part {
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

fn representative(party: &Representative) -> Part {
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

fn delivery(delivery: &Delivery) -> Part {
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

/// One payment means for each account, and one at least.
fn payment(invoice: &Invoice, credit: bool) -> Vec<Part> {
    let none = Payment::default();
    let due = invoice.due_date.as_ref().filter(|_| credit);
    let payment = invoice.payment.as_ref().unwrap_or(&none);
    let number = payment.accounts.len().max(1);
    let mut parts: Vec<Part> = (0..number)
        .map(|place| {
            let first = place == 0;
            let debit = payment.debit.as_ref().filter(|_| first);
            group(
                "cac:PaymentMeans",
                [
                    with(
                        text("cbc:PaymentMeansCode", payment.code.as_str()),
                        "name",
                        payment.text.as_deref(),
                    ),
                    optional("cbc:PaymentDueDate", due),
                    optional("cbc:PaymentID", payment.remittance.as_ref()),
                    payment.card.as_ref().filter(|_| first).and_then(card),
                    payment.accounts.get(place).and_then(account),
                    debit.and_then(mandate),
                ],
            )
        })
        .collect();
    parts.push(group(
        "cac:PaymentTerms",
        [optional("cbc:Note", invoice.payment_terms.as_ref())],
    ));
    parts
}

fn card(card: &Card) -> Part {
    group(
        "cac:CardAccount",
        [
            text("cbc:PrimaryAccountNumberID", card.number.as_str()),
            text("cbc:NetworkID", "NA"),
            optional("cbc:HolderName", card.holder.as_ref()),
        ],
    )
}

fn account(account: &Account) -> Part {
    group(
        "cac:PayeeFinancialAccount",
        [
            text("cbc:ID", account.id.as_str()),
            optional("cbc:Name", account.name.as_ref()),
            group(
                "cac:FinancialInstitutionBranch",
                [optional("cbc:ID", account.bank.as_ref())],
            ),
        ],
    )
}

fn mandate(debit: &Debit) -> Part {
    let account = group(
        "cac:PayerFinancialAccount",
        [optional("cbc:ID", debit.account.as_ref())],
    );
    group(
        "cac:PaymentMandate",
        [optional("cbc:ID", debit.mandate.as_ref()), account],
    )
}

fn amount(name: &'static str, value: Option<Decimal>, currency: &str) -> Part {
    with(number(name, value), "currencyID", Some(currency))
}

fn category(name: &'static str, code: &str, rate: Option<Decimal>, reason: [Option<&String>; 2]) -> Part {
    if code.is_empty() && rate.is_none() && reason == [None, None] {
        return None;
    }
    group(
        name,
        [
            text("cbc:ID", code),
            number("cbc:Percent", rate),
            optional("cbc:TaxExemptionReasonCode", reason[1]),
            optional("cbc:TaxExemptionReason", reason[0]),
            group("cac:TaxScheme", [text("cbc:ID", "VAT")]),
        ],
    )
}

fn adjustment(node: &Adjustment, charge: bool, currency: &str) -> Part {
    group(
        "cac:AllowanceCharge",
        [
            text("cbc:ChargeIndicator", if charge { "true" } else { "false" }),
            optional("cbc:AllowanceChargeReasonCode", node.reason_code.as_ref()),
            optional("cbc:AllowanceChargeReason", node.reason.as_ref()),
            number("cbc:MultiplierFactorNumeric", node.percent),
            amount("cbc:Amount", node.amount, currency),
            amount("cbc:BaseAmount", node.base, currency),
            category(
                "cac:TaxCategory",
                node.category.as_deref().unwrap_or_default(),
                node.rate,
                [None, None],
            ),
        ],
    )
}

fn vat(invoice: &Invoice) -> Vec<Part> {
    let currency = &invoice.currency;
    let mut parts = vec![amount("cbc:TaxAmount", invoice.totals.vat, currency)];
    parts.extend(invoice.vat.iter().map(|vat| {
        group(
            "cac:TaxSubtotal",
            [
                amount("cbc:TaxableAmount", vat.base, currency),
                amount("cbc:TaxAmount", vat.vat, currency),
                category(
                    "cac:TaxCategory",
                    &vat.category,
                    vat.rate,
                    [vat.reason.as_ref(), vat.reason_code.as_ref()],
                ),
            ],
        )
    }));
    let other = amount(
        "cbc:TaxAmount",
        invoice.totals.vat_in_tax_currency,
        invoice.tax_currency.as_deref().unwrap_or_default(),
    );
    vec![group("cac:TaxTotal", parts), group("cac:TaxTotal", [other])]
}

fn totals(invoice: &Invoice) -> Part {
    let (totals, currency) = (&invoice.totals, &invoice.currency);
    group(
        "cac:LegalMonetaryTotal",
        [
            amount("cbc:LineExtensionAmount", totals.lines, currency),
            amount("cbc:TaxExclusiveAmount", totals.net, currency),
            amount("cbc:TaxInclusiveAmount", totals.gross, currency),
            amount("cbc:AllowanceTotalAmount", totals.allowances, currency),
            amount("cbc:ChargeTotalAmount", totals.charges, currency),
            amount("cbc:PrepaidAmount", totals.paid, currency),
            amount("cbc:PayableRoundingAmount", totals.rounding, currency),
            amount("cbc:PayableAmount", totals.due, currency),
        ],
    )
}

fn line(line: &Line, credit: bool, currency: &str) -> Part {
    let quantity = if credit {
        "cbc:CreditedQuantity"
    } else {
        "cbc:InvoicedQuantity"
    };
    let object = line.object.as_ref().and_then(|object| {
        group(
            "cac:DocumentReference",
            [identifier("cbc:ID", Some(object)), text("cbc:DocumentTypeCode", "130")],
        )
    });
    let mut parts = vec![
        text("cbc:ID", line.id.as_str()),
        optional("cbc:Note", line.note.as_ref()),
        with(number(quantity, line.quantity), "unitCode", Some(&line.unit)),
        amount("cbc:LineExtensionAmount", line.net, currency),
        optional("cbc:AccountingCost", line.accounting.as_ref()),
        group("cac:InvoicePeriod", period(line.period.as_ref())),
        group(
            "cac:OrderLineReference",
            [optional("cbc:LineID", line.order_line.as_ref())],
        ),
        object,
    ];
    parts.extend(line.allowances.iter().map(|node| adjustment(node, false, currency)));
    parts.extend(line.charges.iter().map(|node| adjustment(node, true, currency)));
    parts.push(item(line));
    parts.push(price(&line.price, currency));
    group(
        if credit {
            "cac:CreditNoteLine"
        } else {
            "cac:InvoiceLine"
        },
        parts,
    )
}

fn item(line: &Line) -> Part {
    let item = &line.item;
    let id = |name, id: Option<&String>| group(name, [optional("cbc:ID", id)]);
    let mut parts = vec![
        optional("cbc:Description", item.description.as_ref()),
        text("cbc:Name", item.name.as_str()),
        id("cac:BuyersItemIdentification", item.buyer_id.as_ref()),
        id("cac:SellersItemIdentification", item.seller_id.as_ref()),
        group(
            "cac:StandardItemIdentification",
            [identifier("cbc:ID", item.standard_id.as_ref())],
        ),
        group(
            "cac:OriginCountry",
            [optional("cbc:IdentificationCode", item.origin.as_ref())],
        ),
    ];
    parts.extend(item.classifications.iter().map(|code| {
        let part = with(
            text("cbc:ItemClassificationCode", code.code.as_str()),
            "listID",
            code.scheme.as_deref(),
        );
        group(
            "cac:CommodityClassification",
            [with(part, "listVersionID", code.version.as_deref())],
        )
    }));
    parts.push(category(
        "cac:ClassifiedTaxCategory",
        &line.category,
        line.rate,
        [None, None],
    ));
    parts.extend(item.attributes.iter().map(|attribute| {
        group(
            "cac:AdditionalItemProperty",
            [
                text("cbc:Name", attribute.name.as_str()),
                text("cbc:Value", attribute.value.as_str()),
            ],
        )
    }));
    group("cac:Item", parts)
}

fn price(price: &Price, currency: &str) -> Part {
    let discount = if price.discount.is_some() || price.gross.is_some() {
        // UBL wants an amount beside the gross price; the readers take zero as none.
        let less = price.discount.or(Some(Decimal::ZERO));
        group(
            "cac:AllowanceCharge",
            [
                text("cbc:ChargeIndicator", "false"),
                amount("cbc:Amount", less, currency),
                amount("cbc:BaseAmount", price.gross, currency),
            ],
        )
    } else {
        None
    };
    group(
        "cac:Price",
        [
            amount("cbc:PriceAmount", price.net, currency),
            with(
                number("cbc:BaseQuantity", price.base),
                "unitCode",
                price.base_unit.as_deref(),
            ),
            discount,
        ],
    )
}
