//! The model as UBL. The order of elements is that of the UBL schemas.

mod line;
mod party;
mod payment;
use self::line::*;
use self::party::*;
use self::payment::*;
use super::write::{Part, document, group, number, optional, root, text, with};
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
    let root = with(root(name, parts), "xmlns", Some(namespace));
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
