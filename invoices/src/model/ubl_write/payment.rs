//! Payment as UBL.

use super::*;

/// One payment means for each account, and one at least.
pub(super) fn payment(invoice: &Invoice, credit: bool) -> Vec<Part> {
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
                        payment.text.as_deref().filter(|_| first),
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
