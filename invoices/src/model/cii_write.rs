//! The model as CII. The order of elements is that of the CII schemas.

use super::write::{Part, document, group, number, optional, text, with};
use super::*;

pub(super) fn write(invoice: &Invoice) -> String {
    let mut transaction: Vec<Part> = invoice.lines.iter().map(line).collect();
    transaction.push(agreement(invoice));
    // The schema wants the delivery even if it is empty.
    transaction.push(delivery(invoice).or_else(|| with(text("ram:ApplicableHeaderTradeDelivery", " "), "", None)));
    transaction.push(settlement(invoice));
    let parts = [
        context(invoice),
        exchanged(invoice),
        group("rsm:SupplyChainTradeTransaction", transaction),
    ];
    let root = with(
        group("rsm:CrossIndustryInvoice", parts),
        "xmlns:rsm",
        Some("urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"),
    );
    let root = with(
        root,
        "xmlns:ram",
        Some("urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"),
    );
    let root = with(
        root,
        "xmlns:udt",
        Some("urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"),
    );
    document(with(
        root,
        "xmlns:qdt",
        Some("urn:un:unece:uncefact:data:standard:QualifiedDataType:100"),
    ))
}

fn context(invoice: &Invoice) -> Part {
    group(
        "rsm:ExchangedDocumentContext",
        [
            group(
                "ram:BusinessProcessSpecifiedDocumentContextParameter",
                [optional("ram:ID", invoice.process.as_ref())],
            ),
            group(
                "ram:GuidelineSpecifiedDocumentContextParameter",
                [text("ram:ID", invoice.specification.as_str())],
            ),
        ],
    )
}

fn exchanged(invoice: &Invoice) -> Part {
    let mut parts = vec![
        text("ram:ID", invoice.number.as_str()),
        text("ram:TypeCode", invoice.type_code.as_str()),
        group(
            "ram:IssueDateTime",
            [date("udt:DateTimeString", Some(&invoice.issue_date))],
        ),
    ];
    parts.extend(invoice.notes.iter().map(|note| {
        group(
            "ram:IncludedNote",
            [
                text("ram:Content", note.text.as_str()),
                optional("ram:SubjectCode", note.subject.as_ref()),
            ],
        )
    }));
    group("rsm:ExchangedDocument", parts)
}

/// `YYYY-MM-DD` as format 102; what is no such date stays as it is.
fn date(name: &'static str, date: Option<&String>) -> Part {
    let date = date?;
    let plain = date.len() == 10
        && date.bytes().enumerate().all(|(place, byte)| {
            if matches!(place, 4 | 7) {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    with(
        text(name, if plain { date.replace('-', "") } else { date.clone() }),
        "format",
        Some("102"),
    )
}

fn identifier(name: &'static str, id: Option<&Identifier>) -> Part {
    let id = id?;
    with(text(name, id.id.as_str()), "schemeID", id.scheme.as_deref())
}

/// `ram:ID` without a scheme, `ram:GlobalID` with one.
fn party_identifier(id: &Identifier) -> Part {
    identifier(if id.scheme.is_some() { "ram:GlobalID" } else { "ram:ID" }, Some(id))
}

fn reference(name: &'static str, id: Option<&String>) -> Part {
    group(name, [optional("ram:IssuerAssignedID", id)])
}

fn agreement(invoice: &Invoice) -> Part {
    let mut parts = vec![
        optional("ram:BuyerReference", invoice.buyer_reference.as_ref()),
        party("ram:SellerTradeParty", &invoice.seller),
        party("ram:BuyerTradeParty", &invoice.buyer),
        invoice.representative.as_ref().and_then(representative),
        reference("ram:SellerOrderReferencedDocument", invoice.sales_order.as_ref()),
        reference("ram:BuyerOrderReferencedDocument", invoice.purchase_order.as_ref()),
        reference("ram:ContractReferencedDocument", invoice.contract.as_ref()),
    ];
    parts.extend(invoice.documents.iter().map(supporting));
    parts.extend(invoice.tender.iter().map(|id| {
        group(
            "ram:AdditionalReferencedDocument",
            [text("ram:IssuerAssignedID", id.as_str()), text("ram:TypeCode", "50")],
        )
    }));
    parts.extend(invoice.object.iter().map(object));
    parts.extend(invoice.project.iter().map(|id| {
        group(
            "ram:SpecifiedProcuringProject",
            [text("ram:ID", id.as_str()), text("ram:Name", "Project reference")],
        )
    }));
    group("ram:ApplicableHeaderTradeAgreement", parts)
}

fn object(id: &Identifier) -> Part {
    group(
        "ram:AdditionalReferencedDocument",
        [
            text("ram:IssuerAssignedID", id.id.as_str()),
            text("ram:TypeCode", "130"),
            optional("ram:ReferenceTypeCode", id.scheme.as_ref()),
        ],
    )
}

fn supporting(document: &Supporting) -> Part {
    let attachment = document.attachment.as_ref().and_then(|attachment| {
        let content = if attachment.content.is_empty() {
            " "
        } else {
            &attachment.content
        };
        with(
            with(
                text("ram:AttachmentBinaryObject", content),
                "mimeCode",
                Some(&attachment.mime),
            ),
            "filename",
            Some(&attachment.filename),
        )
    });
    group(
        "ram:AdditionalReferencedDocument",
        [
            text("ram:IssuerAssignedID", document.id.as_str()),
            optional("ram:URIID", document.url.as_ref()),
            text("ram:TypeCode", "916"),
            optional("ram:Name", document.description.as_ref()),
            attachment,
        ],
    )
}

fn registration(id: &str, scheme: &str) -> Part {
    group(
        "ram:SpecifiedTaxRegistration",
        [with(text("ram:ID", id), "schemeID", Some(scheme))],
    )
}

fn party(name: &'static str, party: &Party) -> Part {
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

fn contact(contact: &Contact) -> Part {
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

fn address(address: &Address) -> Part {
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

fn representative(party: &Representative) -> Part {
    group(
        "ram:SellerTaxRepresentativeTradeParty",
        [
            text("ram:Name", party.name.as_str()),
            party.address.as_ref().and_then(address),
            registration(&party.vat_id, "VA"),
        ],
    )
}

fn delivery(invoice: &Invoice) -> Part {
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

fn settlement(invoice: &Invoice) -> Part {
    let debit = invoice.payment.as_ref().and_then(|payment| payment.debit.as_ref());
    let mut parts = vec![
        optional(
            "ram:CreditorReferenceID",
            debit.and_then(|debit| debit.creditor.as_ref()),
        ),
        optional(
            "ram:PaymentReference",
            invoice.payment.as_ref().and_then(|payment| payment.remittance.as_ref()),
        ),
        optional("ram:TaxCurrencyCode", invoice.tax_currency.as_ref()),
        text("ram:InvoiceCurrencyCode", invoice.currency.as_str()),
        invoice.payee.as_ref().and_then(payee),
    ];
    parts.extend(invoice.payment.iter().flat_map(payment));
    parts.extend(taxes(invoice));
    parts.push(period(invoice.period.as_ref()));
    parts.extend(invoice.allowances.iter().map(|node| adjustment(node, "false")));
    parts.extend(invoice.charges.iter().map(|node| adjustment(node, "true")));
    parts.extend([
        group(
            "ram:SpecifiedTradePaymentTerms",
            [
                optional("ram:Description", invoice.payment_terms.as_ref()),
                group(
                    "ram:DueDateDateTime",
                    [date("udt:DateTimeString", invoice.due_date.as_ref())],
                ),
                optional(
                    "ram:DirectDebitMandateID",
                    debit.and_then(|debit| debit.mandate.as_ref()),
                ),
            ],
        ),
        totals(invoice),
    ]);
    parts.extend(invoice.preceding.iter().map(|preceding| {
        let issued = group(
            "ram:FormattedIssueDateTime",
            [date("qdt:DateTimeString", preceding.date.as_ref())],
        );
        group(
            "ram:InvoiceReferencedDocument",
            [text("ram:IssuerAssignedID", preceding.number.as_str()), issued],
        )
    }));
    parts.push(group(
        "ram:ReceivableSpecifiedTradeAccountingAccount",
        [optional("ram:ID", invoice.accounting.as_ref())],
    ));
    group("ram:ApplicableHeaderTradeSettlement", parts)
}

fn payee(payee: &Payee) -> Part {
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

/// One payment means for each account, and one at least.
fn payment(payment: &Payment) -> Vec<Part> {
    let one = |place: usize| {
        let first = place == 0;
        let account = payment.accounts.get(place);
        let debtor = payment
            .debit
            .as_ref()
            .filter(|_| first)
            .and_then(|debit| debit.account.as_ref());
        let card = payment.card.as_ref().filter(|_| first);
        let number = account.and_then(|account| {
            text(
                if is_iban(&account.id) {
                    "ram:IBANID"
                } else {
                    "ram:ProprietaryID"
                },
                account.id.as_str(),
            )
        });
        let name = account.and_then(|account| optional("ram:AccountName", account.name.as_ref()));
        let numbers = if number.as_ref().is_some() && !account.is_some_and(|account| is_iban(&account.id)) {
            [name, number]
        } else {
            [number, name]
        };
        group(
            "ram:SpecifiedTradeSettlementPaymentMeans",
            [
                text("ram:TypeCode", payment.code.as_str()),
                optional("ram:Information", payment.text.as_ref()),
                card.and_then(|card| {
                    let holder = optional("ram:CardholderName", card.holder.as_ref());
                    group(
                        "ram:ApplicableTradeSettlementFinancialCard",
                        [text("ram:ID", card.number.as_str()), holder],
                    )
                }),
                group("ram:PayerPartyDebtorFinancialAccount", [optional("ram:IBANID", debtor)]),
                group("ram:PayeePartyCreditorFinancialAccount", numbers),
                account.and_then(|account| {
                    group(
                        "ram:PayeeSpecifiedCreditorFinancialInstitution",
                        [optional("ram:BICID", account.bank.as_ref())],
                    )
                }),
            ],
        )
    };
    (0..payment.accounts.len().max(1)).map(one).collect()
}

/// Two letters and two digits at the start.
fn is_iban(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() > 4 && bytes[..2].iter().all(u8::is_ascii_uppercase) && bytes[2..4].iter().all(u8::is_ascii_digit)
}

/// The breakdown; the VAT point stands with its first entry.
fn taxes(invoice: &Invoice) -> Vec<Part> {
    let point_code = invoice.tax_point_code.as_ref().map(|code| match code.as_str() {
        "3" => "5".to_owned(),
        "35" => "29".to_owned(),
        "432" => "72".to_owned(),
        other => other.to_owned(),
    });
    let point_date = || {
        group(
            "ram:TaxPointDate",
            [date("udt:DateString", invoice.tax_point_date.as_ref())],
        )
    };
    let tax = |vat: &Vat, first: bool| {
        group(
            "ram:ApplicableTradeTax",
            [
                number("ram:CalculatedAmount", vat.vat),
                text("ram:TypeCode", "VAT"),
                optional("ram:ExemptionReason", vat.reason.as_ref()),
                number("ram:BasisAmount", vat.base),
                text("ram:CategoryCode", vat.category.as_str()),
                optional("ram:ExemptionReasonCode", vat.reason_code.as_ref()),
                if first { point_date() } else { None },
                optional("ram:DueDateTypeCode", point_code.as_ref().filter(|_| first)),
                number("ram:RateApplicablePercent", vat.rate),
            ],
        )
    };
    if invoice.vat.is_empty() && (invoice.tax_point_date.is_some() || point_code.is_some()) {
        return vec![tax(&Vat::default(), true)];
    }
    invoice
        .vat
        .iter()
        .enumerate()
        .map(|(place, vat)| tax(vat, place == 0))
        .collect()
}

fn period(period: Option<&Period>) -> Part {
    let period = period?;
    group(
        "ram:BillingSpecifiedPeriod",
        [
            group("ram:StartDateTime", [date("udt:DateTimeString", period.start.as_ref())]),
            group("ram:EndDateTime", [date("udt:DateTimeString", period.end.as_ref())]),
        ],
    )
}

fn adjustment(node: &Adjustment, charge: &str) -> Part {
    let tax = (node.category.is_some() || node.rate.is_some()).then(|| {
        group(
            "ram:CategoryTradeTax",
            [
                text("ram:TypeCode", "VAT"),
                optional("ram:CategoryCode", node.category.as_ref()),
                number("ram:RateApplicablePercent", node.rate),
            ],
        )
    });
    group(
        "ram:SpecifiedTradeAllowanceCharge",
        [
            group("ram:ChargeIndicator", [text("udt:Indicator", charge)]),
            number("ram:CalculationPercent", node.percent),
            number("ram:BasisAmount", node.base),
            number("ram:ActualAmount", node.amount),
            optional("ram:ReasonCode", node.reason_code.as_ref()),
            optional("ram:Reason", node.reason.as_ref()),
            tax.flatten(),
        ],
    )
}

fn totals(invoice: &Invoice) -> Part {
    let totals = &invoice.totals;
    let other = with(
        number("ram:TaxTotalAmount", totals.vat_in_tax_currency),
        "currencyID",
        invoice.tax_currency.as_deref(),
    );
    group(
        "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        [
            number("ram:LineTotalAmount", totals.lines),
            number("ram:ChargeTotalAmount", totals.charges),
            number("ram:AllowanceTotalAmount", totals.allowances),
            number("ram:TaxBasisTotalAmount", totals.net),
            with(
                number("ram:TaxTotalAmount", totals.vat),
                "currencyID",
                Some(&invoice.currency),
            ),
            other,
            number("ram:RoundingAmount", totals.rounding),
            number("ram:GrandTotalAmount", totals.gross),
            number("ram:TotalPrepaidAmount", totals.paid),
            number("ram:DuePayableAmount", totals.due),
        ],
    )
}

fn line(line: &Line) -> Part {
    let note = group("ram:IncludedNote", [optional("ram:Content", line.note.as_ref())]);
    group(
        "ram:IncludedSupplyChainTradeLineItem",
        [
            group(
                "ram:AssociatedDocumentLineDocument",
                [text("ram:LineID", line.id.as_str()), note],
            ),
            product(&line.item),
            price(line),
            group(
                "ram:SpecifiedLineTradeDelivery",
                [with(
                    number("ram:BilledQuantity", line.quantity),
                    "unitCode",
                    Some(&line.unit),
                )],
            ),
            line_settlement(line),
        ],
    )
}

fn product(item: &Item) -> Part {
    let mut parts = vec![
        identifier("ram:GlobalID", item.standard_id.as_ref()),
        optional("ram:SellerAssignedID", item.seller_id.as_ref()),
        optional("ram:BuyerAssignedID", item.buyer_id.as_ref()),
        text("ram:Name", item.name.as_str()),
        optional("ram:Description", item.description.as_ref()),
    ];
    parts.extend(item.attributes.iter().map(|attribute| {
        group(
            "ram:ApplicableProductCharacteristic",
            [
                text("ram:Description", attribute.name.as_str()),
                text("ram:Value", attribute.value.as_str()),
            ],
        )
    }));
    parts.extend(item.classifications.iter().map(|code| {
        let part = with(
            text("ram:ClassCode", code.code.as_str()),
            "listID",
            code.scheme.as_deref(),
        );
        group(
            "ram:DesignatedProductClassification",
            [with(part, "listVersionID", code.version.as_deref())],
        )
    }));
    parts.push(group(
        "ram:OriginTradeCountry",
        [optional("ram:ID", item.origin.as_ref())],
    ));
    group("ram:SpecifiedTradeProduct", parts)
}

fn price(line: &Line) -> Part {
    let price = &line.price;
    let discount = price.discount.and_then(|discount| {
        let indicator = group("ram:ChargeIndicator", [text("udt:Indicator", "false")]);
        group(
            "ram:AppliedTradeAllowanceCharge",
            [indicator, number("ram:ActualAmount", Some(discount))],
        )
    });
    group(
        "ram:SpecifiedLineTradeAgreement",
        [
            group(
                "ram:BuyerOrderReferencedDocument",
                [optional("ram:LineID", line.order_line.as_ref())],
            ),
            group(
                "ram:GrossPriceProductTradePrice",
                [number("ram:ChargeAmount", price.gross), discount],
            ),
            group(
                "ram:NetPriceProductTradePrice",
                [
                    number("ram:ChargeAmount", price.net),
                    with(
                        number("ram:BasisQuantity", price.base),
                        "unitCode",
                        price.base_unit.as_deref(),
                    ),
                ],
            ),
        ],
    )
}

fn line_settlement(line: &Line) -> Part {
    let tax = (!line.category.is_empty() || line.rate.is_some()).then(|| {
        group(
            "ram:ApplicableTradeTax",
            [
                text("ram:TypeCode", "VAT"),
                text("ram:CategoryCode", line.category.as_str()),
                number("ram:RateApplicablePercent", line.rate),
            ],
        )
    });
    let mut parts = vec![tax.flatten(), period(line.period.as_ref())];
    parts.extend(line.allowances.iter().map(|node| adjustment(node, "false")));
    parts.extend(line.charges.iter().map(|node| adjustment(node, "true")));
    parts.push(group(
        "ram:SpecifiedTradeSettlementLineMonetarySummation",
        [number("ram:LineTotalAmount", line.net)],
    ));
    parts.extend(line.object.iter().map(object));
    parts.push(group(
        "ram:ReceivableSpecifiedTradeAccountingAccount",
        [optional("ram:ID", line.accounting.as_ref())],
    ));
    group("ram:SpecifiedLineTradeSettlement", parts)
}
