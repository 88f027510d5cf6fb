//! Payment, VAT, allowances and charges, and totals as CII.

use super::*;

pub(super) fn settlement(invoice: &Invoice) -> Part {
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
    parts.extend(invoice.preceding.iter().map(preceding));
    parts.push(group(
        "ram:ReceivableSpecifiedTradeAccountingAccount",
        [optional("ram:ID", invoice.accounting.as_ref())],
    ));
    group("ram:ApplicableHeaderTradeSettlement", parts)
}

fn preceding(preceding: &Preceding) -> Part {
    let issued = group(
        "ram:FormattedIssueDateTime",
        [date("qdt:DateTimeString", preceding.date.as_ref())],
    );
    group(
        "ram:InvoiceReferencedDocument",
        [text("ram:IssuerAssignedID", preceding.number.as_str()), issued],
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
                account.and_then(creditor_account),
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

/// The schema wants the name after an IBAN, and before any other number.
fn creditor_account(account: &Account) -> Part {
    let name = optional("ram:AccountName", account.name.as_ref());
    let numbers = if is_iban(&account.id) {
        [text("ram:IBANID", account.id.as_str()), name]
    } else {
        [name, text("ram:ProprietaryID", account.id.as_str())]
    };
    group("ram:PayeePartyCreditorFinancialAccount", numbers)
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

pub(super) fn period(period: Option<&Period>) -> Part {
    let period = period?;
    group(
        "ram:BillingSpecifiedPeriod",
        [
            group("ram:StartDateTime", [date("udt:DateTimeString", period.start.as_ref())]),
            group("ram:EndDateTime", [date("udt:DateTimeString", period.end.as_ref())]),
        ],
    )
}

pub(super) fn adjustment(node: &Adjustment, charge: &str) -> Part {
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
