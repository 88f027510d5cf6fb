//! UBL into the model.

mod line;
mod party;
use self::line::*;
use self::party::*;
use super::read::{Source, attribute, group, identifier, identifier_at, required, text, value};
use super::*;
use crate::xml::{Node, Path, at, p};

pub(super) fn read(root: Node<'_>, source: &Source) -> Invoice {
    let mut invoice = Invoice {
        number: required(root, p!(cbc:ID)),
        issue_date: required(root, p!(cbc:IssueDate)),
        type_code: text(root, p!(cbc:InvoiceTypeCode))
            .or_else(|| text(root, p!(cbc:CreditNoteTypeCode)))
            .unwrap_or_default(),
        currency: required(root, p!(cbc:DocumentCurrencyCode)),
        tax_currency: text(root, p!(cbc:TaxCurrencyCode)),
        tax_point_date: text(root, p!(cbc:TaxPointDate)),
        tax_point_code: text(root, p!(cac:InvoicePeriod/cbc:DescriptionCode)),
        due_date: text(root, p!(cbc:DueDate)).or_else(|| text(root, p!(cac:PaymentMeans/cbc:PaymentDueDate))),
        buyer_reference: text(root, p!(cbc:BuyerReference)),
        contract: text(root, p!(cac:ContractDocumentReference/cbc:ID)),
        sales_order: text(root, p!(cac:OrderReference/cbc:SalesOrderID)),
        receiving_advice: text(root, p!(cac:ReceiptDocumentReference/cbc:ID)),
        despatch_advice: text(root, p!(cac:DespatchDocumentReference/cbc:ID)),
        tender: text(root, p!(cac:OriginatorDocumentReference/cbc:ID)),
        accounting: text(root, p!(cbc:AccountingCost)),
        payment_terms: text(root, p!(cac:PaymentTerms/cbc:Note)),
        notes: notes(root),
        process: text(root, p!(cbc:ProfileID)),
        specification: required(root, p!(cbc:CustomizationID)),
        seller: root
            .first(p!(cac:AccountingSupplierParty/cac:Party))
            .map(party)
            .unwrap_or_default(),
        buyer: root
            .first(p!(cac:AccountingCustomerParty/cac:Party))
            .map(party)
            .unwrap_or_default(),
        payee: root.first(p!(cac:PayeeParty)).map(payee).and_then(group),
        representative: root
            .first(p!(cac:TaxRepresentativeParty))
            .map(representative)
            .and_then(group),
        delivery: root.first(p!(cac:Delivery)).map(delivery).and_then(group),
        period: root.first(p!(cac:InvoicePeriod)).map(period).and_then(group),
        payment: payment(root),
        allowances: adjustments(root, source, false),
        charges: adjustments(root, source, true),
        vat: breakdown(root, source),
        lines: lines(root, source),
        ..Invoice::default()
    };
    // An order reference needs an identifier in UBL; NA stands for none.
    let order = text(root, p!(cac:OrderReference/cbc:ID));
    invoice.purchase_order = order.filter(|order| order != "NA" || invoice.sales_order.is_none());
    invoice.totals = totals(root, source);
    documents(root, &mut invoice);
    invoice
}

fn notes(root: Node<'_>) -> Vec<Note> {
    root.at(p!(cbc:Note))
        .map(note)
        .filter(|note| !note.text.is_empty() || note.subject.is_some())
        .collect()
}

fn breakdown(root: Node<'_>, source: &Source) -> Vec<Vat> {
    root.at(p!(cac:TaxTotal))
        .filter(|total| !in_tax_currency(root, *total))
        .flat_map(|total| total.at(p!(cac:TaxSubtotal)))
        .map(|node| vat(node, source))
        .filter_map(group)
        .collect()
}

fn lines(root: Node<'_>, source: &Source) -> Vec<Line> {
    root.at(p!(cac:InvoiceLine))
        .chain(root.at(p!(cac:CreditNoteLine)))
        .map(|node| line(node, source))
        .collect()
}

/// `#AAI#text` is a note with a subject.
fn note(node: Node<'_>) -> Note {
    let text = value(node);
    let parts = text.strip_prefix('#').and_then(|rest| rest.split_once('#'));
    let is_code = |code: &str| {
        (1..=3).contains(&code.len())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    match parts.filter(|(subject, _)| is_code(subject)) {
        Some((subject, text)) => Note {
            subject: Some(subject.to_owned()),
            text: text.trim().to_owned(),
        },
        None => Note { subject: None, text },
    }
}

fn preceding(node: Node<'_>) -> Preceding {
    Preceding {
        number: required(node, p!(cbc:ID)),
        date: text(node, p!(cbc:IssueDate)),
    }
}

fn period(node: Node<'_>) -> Period {
    Period {
        start: text(node, p!(cbc:StartDate)),
        end: text(node, p!(cbc:EndDate)),
    }
}

fn payment(root: Node<'_>) -> Option<Payment> {
    let first = root.first(p!(cac:PaymentMeans));
    let code = first.and_then(|means| means.first(p!(cbc:PaymentMeansCode)));
    let mandate = text(root, p!(cac:PaymentMeans/cac:PaymentMandate/cbc:ID));
    let account = text(
        root,
        p!(cac:PaymentMeans/cac:PaymentMandate/cac:PayerFinancialAccount/cbc:ID),
    );
    let creditor = creditor(root);
    group(Payment {
        code: code.map(value).unwrap_or_default(),
        text: code.and_then(|code| attribute(code, at::name)),
        remittance: text(root, p!(cac:PaymentMeans/cbc:PaymentID)),
        accounts: root
            .at(p!(cac:PaymentMeans/cac:PayeeFinancialAccount))
            .map(account_of)
            .filter_map(group)
            .collect(),
        card: root
            .first(p!(cac:PaymentMeans/cac:CardAccount))
            .map(card)
            .and_then(group),
        debit: group(Debit {
            mandate,
            creditor,
            account,
        }),
    })
}

fn creditor(root: Node<'_>) -> Option<String> {
    let sepa = |path: Path| root.at(path).find(|id| id.scheme() == Some("SEPA")).map(value);
    sepa(p!(cac:PayeeParty/cac:PartyIdentification/cbc:ID))
        .or_else(|| sepa(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyIdentification/cbc:ID)))
}

fn account_of(node: Node<'_>) -> Account {
    Account {
        id: required(node, p!(cbc:ID)),
        name: text(node, p!(cbc:Name)),
        bank: text(node, p!(cac:FinancialInstitutionBranch/cbc:ID)),
    }
}

fn card(node: Node<'_>) -> Card {
    Card {
        number: required(node, p!(cbc:PrimaryAccountNumberID)),
        holder: text(node, p!(cbc:HolderName)),
    }
}

fn adjustments(node: Node<'_>, source: &Source, charge: bool) -> Vec<Adjustment> {
    let all = node
        .at(p!(cac:AllowanceCharge))
        .filter(|node| node.is(p!(cbc:ChargeIndicator), charge));
    let read = |node: Node<'_>| Adjustment {
        amount: source.number(node, p!(cbc:Amount)),
        base: source.number(node, p!(cbc:BaseAmount)),
        percent: source.number(node, p!(cbc:MultiplierFactorNumeric)),
        category: text(node, p!(cac:TaxCategory/cbc:ID)),
        rate: source.number(node, p!(cac:TaxCategory/cbc:Percent)),
        reason: text(node, p!(cbc:AllowanceChargeReason)),
        reason_code: text(node, p!(cbc:AllowanceChargeReasonCode)),
    };
    all.map(read).filter_map(group).collect()
}

fn vat(node: Node<'_>, source: &Source) -> Vat {
    Vat {
        base: source.number(node, p!(cbc:TaxableAmount)),
        vat: source.number(node, p!(cbc:TaxAmount)),
        category: required(node, p!(cac:TaxCategory/cbc:ID)),
        rate: source.number(node, p!(cac:TaxCategory/cbc:Percent)),
        reason: text(node, p!(cac:TaxCategory/cbc:TaxExemptionReason)),
        reason_code: text(node, p!(cac:TaxCategory/cbc:TaxExemptionReasonCode)),
    }
}

/// A total of VAT in the currency of accounting (BT-111), where that is another than the invoice's.
fn in_tax_currency(root: Node<'_>, total: Node<'_>) -> bool {
    let currency = total
        .first(p!(cbc:TaxAmount))
        .and_then(|amount| attribute(amount, at::currencyID));
    let accounting = text(root, p!(cbc:TaxCurrencyCode));
    accounting.is_some() && currency == accounting && accounting != text(root, p!(cbc:DocumentCurrencyCode))
}

fn totals(root: Node<'_>, source: &Source) -> Totals {
    let total = |path| source.number(root, path);
    let vat = root.at(p!(cac:TaxTotal)).find(|node| !in_tax_currency(root, *node));
    let other = root.at(p!(cac:TaxTotal)).find(|node| in_tax_currency(root, *node));
    Totals {
        lines: total(p!(cac:LegalMonetaryTotal/cbc:LineExtensionAmount)),
        allowances: total(p!(cac:LegalMonetaryTotal/cbc:AllowanceTotalAmount)),
        charges: total(p!(cac:LegalMonetaryTotal/cbc:ChargeTotalAmount)),
        net: total(p!(cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount)),
        vat: vat.and_then(|node| source.number(node, p!(cbc:TaxAmount))),
        vat_in_tax_currency: other
            .and_then(|node| node.first(p!(cbc:TaxAmount)))
            .and_then(|amount| source.foreign(amount)),
        gross: total(p!(cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount)),
        paid: total(p!(cac:LegalMonetaryTotal/cbc:PrepaidAmount)),
        rounding: total(p!(cac:LegalMonetaryTotal/cbc:PayableRoundingAmount)),
        due: total(p!(cac:LegalMonetaryTotal/cbc:PayableAmount)),
    }
}

/// Type 130 is the invoiced object; type 50 the project of a credit note; all others support the invoice.
fn documents(root: Node<'_>, invoice: &mut Invoice) {
    invoice.preceding = root
        .at(p!(cac:BillingReference/cac:InvoiceDocumentReference))
        .map(preceding)
        .filter_map(group)
        .collect();
    invoice.project = text(root, p!(cac:ProjectReference/cbc:ID));
    for node in root.at(p!(cac:AdditionalDocumentReference)) {
        match &*node.clean_at(p!(cbc:DocumentTypeCode)) {
            "130" => invoice.object = identifier_at(node, p!(cbc:ID)),
            "50" if invoice.project.is_none() => invoice.project = text(node, p!(cbc:ID)),
            _ => invoice.documents.push(Supporting {
                id: required(node, p!(cbc:ID)),
                description: text(node, p!(cbc:DocumentDescription)),
                url: text(node, p!(cac:Attachment/cac:ExternalReference/cbc:URI)),
                attachment: node
                    .first(p!(cac:Attachment/cbc:EmbeddedDocumentBinaryObject))
                    .map(attachment),
            }),
        }
    }
}

fn attachment(node: Node<'_>) -> Attachment {
    Attachment {
        mime: attribute(node, at::mimeCode).unwrap_or_default(),
        filename: attribute(node, at::filename).unwrap_or_default(),
        content: value(node),
    }
}
