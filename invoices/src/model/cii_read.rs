//! CII into the model.

mod line;
mod party;
use self::line::*;
use self::party::*;
use super::read::{Source, attribute, group, identifier, identifier_at, required, text, value};
use super::*;
use crate::xml::{Node, Path, at, p, ram};

pub(super) fn read(root: Node<'_>, source: &Source) -> Invoice {
    let mut invoice = Invoice {
        number: required(root, p!(rsm:ExchangedDocument/ram:ID)),
        issue_date: date(root, p!(rsm:ExchangedDocument/ram:IssueDateTime/udt:DateTimeString)).unwrap_or_default(),
        type_code: required(root, p!(rsm:ExchangedDocument/ram:TypeCode)),
        notes: root
            .at(p!(rsm:ExchangedDocument/ram:IncludedNote))
            .map(note)
            .filter_map(group)
            .collect(),
        process: text(
            root,
            p!(rsm:ExchangedDocumentContext/ram:BusinessProcessSpecifiedDocumentContextParameter/ram:ID),
        ),
        specification: required(
            root,
            p!(rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID),
        ),
        ..Invoice::default()
    };
    if let Some(agreement) = root.first(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeAgreement)) {
        agreement_into(agreement, &mut invoice);
    }
    if let Some(delivery) = root.first(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeDelivery)) {
        delivery_into(delivery, &mut invoice);
    }
    if let Some(settlement) = root.first(p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement)) {
        settlement_into(settlement, &mut invoice, source);
    }
    let lines = root.at(p!(rsm:SupplyChainTradeTransaction/ram:IncludedSupplyChainTradeLineItem));
    invoice.lines = lines.map(|node| line(node, source)).collect();
    invoice
}

/// A date of format 102 as `YYYY-MM-DD`; others as they are.
fn date(node: Node<'_>, path: Path) -> Option<String> {
    let written = text(node, path)?;
    let plain = written.len() == 8 && written.bytes().all(|byte| byte.is_ascii_digit());
    Some(if plain {
        format!("{}-{}-{}", &written[..4], &written[4..6], &written[6..])
    } else {
        written
    })
}

fn note(node: Node<'_>) -> Note {
    Note {
        subject: text(node, p!(ram:SubjectCode)),
        text: required(node, p!(ram:Content)),
    }
}

fn agreement_into(node: Node<'_>, invoice: &mut Invoice) {
    invoice.buyer_reference = text(node, p!(ram:BuyerReference));
    invoice.seller = node.first(p!(ram:SellerTradeParty)).map(party).unwrap_or_default();
    invoice.buyer = node.first(p!(ram:BuyerTradeParty)).map(party).unwrap_or_default();
    invoice.representative = node
        .first(p!(ram:SellerTaxRepresentativeTradeParty))
        .map(representative)
        .and_then(group);
    invoice.sales_order = text(node, p!(ram:SellerOrderReferencedDocument/ram:IssuerAssignedID));
    invoice.purchase_order = text(node, p!(ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID));
    invoice.contract = text(node, p!(ram:ContractReferencedDocument/ram:IssuerAssignedID));
    invoice.project = text(node, p!(ram:SpecifiedProcuringProject/ram:ID));
    for document in node.at(p!(ram:AdditionalReferencedDocument)) {
        match &*document.clean_at(p!(ram:TypeCode)) {
            "50" => invoice.tender = text(document, p!(ram:IssuerAssignedID)),
            "130" => invoice.object = object(document),
            _ => invoice.documents.push(Supporting {
                id: required(document, p!(ram:IssuerAssignedID)),
                description: text(document, p!(ram:Name)),
                url: text(document, p!(ram:URIID)),
                attachment: document.first(p!(ram:AttachmentBinaryObject)).map(attachment),
            }),
        }
    }
}

fn object(document: Node<'_>) -> Option<Identifier> {
    let id = text(document, p!(ram:IssuerAssignedID))?;
    Some(Identifier {
        id,
        scheme: text(document, p!(ram:ReferenceTypeCode)),
    })
}

fn attachment(node: Node<'_>) -> Attachment {
    Attachment {
        mime: attribute(node, at::mimeCode).unwrap_or_default(),
        filename: attribute(node, at::filename).unwrap_or_default(),
        content: value(node),
    }
}

fn settlement_into(node: Node<'_>, invoice: &mut Invoice, source: &Source) {
    invoice.currency = required(node, p!(ram:InvoiceCurrencyCode));
    invoice.tax_currency = text(node, p!(ram:TaxCurrencyCode));
    invoice.tax_point_date = date(node, p!(ram:ApplicableTradeTax/ram:TaxPointDate/udt:DateString));
    invoice.tax_point_code = text(node, p!(ram:ApplicableTradeTax/ram:DueDateTypeCode)).map(point_code);
    invoice.due_date = date(
        node,
        p!(ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime/udt:DateTimeString),
    );
    invoice.payment_terms = text(node, p!(ram:SpecifiedTradePaymentTerms/ram:Description));
    invoice.accounting = text(node, p!(ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID));
    invoice.period = node.first(p!(ram:BillingSpecifiedPeriod)).map(period).and_then(group);
    invoice.payee = node.first(p!(ram:PayeeTradeParty)).map(payee).and_then(group);
    invoice.payment = payment(node);
    invoice.allowances = adjustments(node, source, false);
    invoice.charges = adjustments(node, source, true);
    invoice.vat = node
        .at(p!(ram:ApplicableTradeTax))
        .map(|node| vat(node, source))
        .filter_map(group)
        .collect();
    let preceding = |node: Node<'_>| Preceding {
        number: required(node, p!(ram:IssuerAssignedID)),
        date: node
            .first(p!(ram:FormattedIssueDateTime))
            .and_then(Node::first_child)
            .and_then(day),
    };
    invoice.preceding = node
        .at(p!(ram:InvoiceReferencedDocument))
        .map(preceding)
        .filter_map(group)
        .collect();
    invoice.totals = totals(node, invoice, source);
}

/// A date element of the qualified data types.
fn day(node: Node<'_>) -> Option<String> {
    let written = value(node);
    let plain = written.len() == 8 && written.bytes().all(|byte| byte.is_ascii_digit());
    let shown = if plain {
        format!("{}-{}-{}", &written[..4], &written[4..6], &written[6..])
    } else {
        written
    };
    (!shown.is_empty()).then_some(shown)
}

/// UNTDID 2475 to the codes of UNTDID 2005 that mean the same.
fn point_code(code: String) -> String {
    match code.as_str() {
        "5" => "3".to_owned(),
        "29" => "35".to_owned(),
        "72" => "432".to_owned(),
        _ => code,
    }
}

fn period(node: Node<'_>) -> Period {
    Period {
        start: date(node, p!(ram:StartDateTime/udt:DateTimeString)),
        end: date(node, p!(ram:EndDateTime/udt:DateTimeString)),
    }
}

fn payee(node: Node<'_>) -> Payee {
    Payee {
        name: required(node, p!(ram:Name)),
        id: identifier_at(node, p!(ram:GlobalID)).or_else(|| identifier_at(node, p!(ram:ID))),
        registration: identifier_at(node, p!(ram:SpecifiedLegalOrganization/ram:ID)),
    }
}

fn payment(node: Node<'_>) -> Option<Payment> {
    let account = |means: Node<'_>| {
        let number = text(means, p!(ram:PayeePartyCreditorFinancialAccount/ram:IBANID));
        group(Account {
            id: number
                .or_else(|| text(means, p!(ram:PayeePartyCreditorFinancialAccount/ram:ProprietaryID)))
                .unwrap_or_default(),
            name: text(means, p!(ram:PayeePartyCreditorFinancialAccount/ram:AccountName)),
            bank: text(means, p!(ram:PayeeSpecifiedCreditorFinancialInstitution/ram:BICID)),
        })
    };
    let card = |card: Node<'_>| Card {
        number: required(card, p!(ram:ID)),
        holder: text(card, p!(ram:CardholderName)),
    };
    group(Payment {
        code: required(node, p!(ram:SpecifiedTradeSettlementPaymentMeans/ram:TypeCode)),
        text: text(node, p!(ram:SpecifiedTradeSettlementPaymentMeans/ram:Information)),
        remittance: text(node, p!(ram:PaymentReference)),
        accounts: node
            .at(p!(ram:SpecifiedTradeSettlementPaymentMeans))
            .filter_map(account)
            .collect(),
        card: node
            .first(p!(ram:SpecifiedTradeSettlementPaymentMeans/ram:ApplicableTradeSettlementFinancialCard))
            .map(card)
            .and_then(group),
        debit: group(Debit {
            mandate: text(node, p!(ram:SpecifiedTradePaymentTerms/ram:DirectDebitMandateID)),
            creditor: text(node, p!(ram:CreditorReferenceID)),
            account: text(
                node,
                p!(ram:SpecifiedTradeSettlementPaymentMeans/ram:PayerPartyDebtorFinancialAccount/ram:IBANID),
            ),
        }),
    })
}

fn adjustments(node: Node<'_>, source: &Source, charge: bool) -> Vec<Adjustment> {
    let all = node.at(p!(ram:SpecifiedTradeAllowanceCharge));
    let read = |node: Node<'_>| Adjustment {
        amount: source.number(node, p!(ram:ActualAmount)),
        base: source.number(node, p!(ram:BasisAmount)),
        percent: source.number(node, p!(ram:CalculationPercent)),
        category: text(node, p!(ram:CategoryTradeTax/ram:CategoryCode)),
        rate: source.number(node, p!(ram:CategoryTradeTax/ram:RateApplicablePercent)),
        reason: text(node, p!(ram:Reason)),
        reason_code: text(node, p!(ram:ReasonCode)),
    };
    all.filter(|node| node.is(p!(ram:ChargeIndicator/udt:Indicator), charge))
        .map(read)
        .filter_map(group)
        .collect()
}

fn vat(node: Node<'_>, source: &Source) -> Vat {
    Vat {
        base: source.number(node, p!(ram:BasisAmount)),
        vat: source.number(node, p!(ram:CalculatedAmount)),
        category: required(node, p!(ram:CategoryCode)),
        rate: source.number(node, p!(ram:RateApplicablePercent)),
        reason: text(node, p!(ram:ExemptionReason)),
        reason_code: text(node, p!(ram:ExemptionReasonCode)),
    }
}

fn totals(node: Node<'_>, invoice: &Invoice, source: &Source) -> Totals {
    let Some(totals) = node.first(p!(ram:SpecifiedTradeSettlementHeaderMonetarySummation)) else {
        return Totals::default();
    };
    let total = |path| source.number(totals, path);
    let mut result = Totals {
        lines: total(p!(ram:LineTotalAmount)),
        allowances: total(p!(ram:AllowanceTotalAmount)),
        charges: total(p!(ram:ChargeTotalAmount)),
        net: total(p!(ram:TaxBasisTotalAmount)),
        vat: None,
        vat_in_tax_currency: None,
        gross: total(p!(ram:GrandTotalAmount)),
        paid: total(p!(ram:TotalPrepaidAmount)),
        rounding: total(p!(ram:RoundingAmount)),
        due: total(p!(ram:DuePayableAmount)),
    };
    for amount in totals.children().filter(|node| node.name() == ram::TaxTotalAmount) {
        let currency = attribute(amount, at::currencyID);
        let other = invoice.tax_currency.is_some()
            && currency == invoice.tax_currency
            && invoice.tax_currency.as_deref() != Some(&invoice.currency);
        if other && result.vat_in_tax_currency.is_none() {
            result.vat_in_tax_currency = source.foreign(amount);
        } else if !other && result.vat.is_none() {
            result.vat = source.amount(amount);
        }
    }
    result
}
