//! The model as CII. The order of elements is that of the CII schemas.

mod line;
mod party;
mod settlement;
use self::line::*;
use self::party::*;
use self::settlement::*;
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
