//! The model as CII. The order of elements is that of the CII schemas.

mod line;
mod party;
use self::line::*;
use self::party::*;
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
