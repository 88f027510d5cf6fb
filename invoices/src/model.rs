//! The semantic model of EN 16931: an invoice by its business terms, whatever the syntax. It is also the JSON form.
//!
//! Field names are plain words; the documentation of each names its business term. Decimals are texts in JSON.

mod cii_read;
mod cii_write;
mod read;
mod ubl_read;
mod ubl_write;
mod write;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use line::{Attribute, Classification, Item, Line, Price};
pub use parties::{Address, Contact, Delivery, Party, Payee, Representative};
pub use read::{Problem, model, parse};

use crate::codes;
use crate::syntax::Syntax;

/// Declares a group of business terms: absent members stay out of the JSON form.
macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
            #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
            pub struct $name {
                $(
                    $(#[$field_doc])*
                    #[serde(skip_serializing_if = "absent")]
                    pub $field: $kind,
                )*
            }
        )*
    };
}

// After the macro that it uses.
mod line;
mod parties;

/// Whether a member has nothing to say.
fn absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

groups! {
    /// An invoice or credit note.
    Invoice {
        /// BT-1 Invoice number.
        number: String,
        /// BT-2 Issue date, `YYYY-MM-DD`.
        issue_date: String,
        /// BT-3 Type code, such as 380 or 381.
        type_code: String,
        /// BT-5 Currency of the invoice.
        currency: String,
        /// BT-6 Currency in which VAT is accounted.
        tax_currency: Option<String>,
        /// BT-7 Date on which VAT becomes accountable.
        tax_point_date: Option<String>,
        /// BT-8 What determines that date, as a code of UNTDID 2005.
        tax_point_code: Option<String>,
        /// BT-9 Date on which payment is due.
        due_date: Option<String>,
        /// BT-10 Reference of the buyer.
        buyer_reference: Option<String>,
        /// BT-11 Project.
        project: Option<String>,
        /// BT-12 Contract.
        contract: Option<String>,
        /// BT-13 Purchase order.
        purchase_order: Option<String>,
        /// BT-14 Sales order.
        sales_order: Option<String>,
        /// BT-15 Receiving advice.
        receiving_advice: Option<String>,
        /// BT-16 Despatch advice.
        despatch_advice: Option<String>,
        /// BT-17 Tender or lot.
        tender: Option<String>,
        /// BT-18 Invoiced object.
        object: Option<Identifier>,
        /// BT-19 Account of the buyer to book on.
        accounting: Option<String>,
        /// BT-20 Payment terms.
        payment_terms: Option<String>,
        /// BG-1 Notes.
        notes: Vec<Note>,
        /// BT-23 Business process.
        process: Option<String>,
        /// BT-24 Specification that the invoice follows.
        specification: String,
        /// BG-3 Preceding invoices.
        preceding: Vec<Preceding>,
        /// BG-4 Seller.
        seller: Party,
        /// BG-7 Buyer.
        buyer: Party,
        /// BG-10 Payee, if not the seller.
        payee: Option<Payee>,
        /// BG-11 Tax representative of the seller.
        representative: Option<Representative>,
        /// BG-13 Delivery.
        delivery: Option<Delivery>,
        /// BG-14 Period.
        period: Option<Period>,
        /// BG-16 Payment instructions.
        payment: Option<Payment>,
        /// BG-20 Allowances of the document.
        allowances: Vec<Adjustment>,
        /// BG-21 Charges of the document.
        charges: Vec<Adjustment>,
        /// BG-22 Totals.
        totals: Totals,
        /// BG-23 VAT breakdown.
        vat: Vec<Vat>,
        /// BG-24 Supporting documents.
        documents: Vec<Supporting>,
        /// BG-25 Lines.
        lines: Vec<Line>,
    }
    /// An identifier with the scheme that it is of.
    Identifier {
        /// The identifier.
        id: String,
        /// Code of the scheme.
        scheme: Option<String>,
    }
    /// BG-1 A note.
    Note {
        /// BT-21 Code of its subject.
        subject: Option<String>,
        /// BT-22 Its text.
        text: String,
    }
    /// BG-3 A preceding invoice.
    Preceding {
        /// BT-25 Its number.
        number: String,
        /// BT-26 Its date.
        date: Option<String>,
    }
    /// BG-14, BG-26 A period.
    Period {
        /// First day.
        start: Option<String>,
        /// Last day.
        end: Option<String>,
    }
    /// BG-16 Payment instructions.
    Payment {
        /// BT-81 Code of the means.
        code: String,
        /// BT-82 Text.
        text: Option<String>,
        /// BT-83 Remittance information.
        remittance: Option<String>,
        /// BG-17 Credit transfers.
        accounts: Vec<Account>,
        /// BG-18 Payment card.
        card: Option<Card>,
        /// BG-19 Direct debit.
        debit: Option<Debit>,
    }
    /// BG-17 An account to transfer to.
    Account {
        /// BT-84 IBAN or account number.
        id: String,
        /// BT-85 Name of the account.
        name: Option<String>,
        /// BT-86 Bank.
        bank: Option<String>,
    }
    /// BG-18 A payment card.
    Card {
        /// BT-87 Number.
        number: String,
        /// BT-88 Holder.
        holder: Option<String>,
    }
    /// BG-19 A direct debit.
    Debit {
        /// BT-89 Mandate.
        mandate: Option<String>,
        /// BT-90 Creditor identifier of the bank.
        creditor: Option<String>,
        /// BT-91 Account to debit.
        account: Option<String>,
    }
    /// BG-20, BG-21, BG-27, BG-28 An allowance or charge.
    Adjustment {
        /// BT-92, BT-99, BT-136, BT-141 Amount.
        amount: Option<Decimal>,
        /// BT-93, BT-100, BT-137, BT-142 Base.
        base: Option<Decimal>,
        /// BT-94, BT-101, BT-138, BT-143 Percentage.
        percent: Option<Decimal>,
        /// BT-95, BT-102 VAT category; of the document only.
        category: Option<String>,
        /// BT-96, BT-103 VAT rate; of the document only.
        rate: Option<Decimal>,
        /// BT-97, BT-104, BT-139, BT-144 Reason.
        reason: Option<String>,
        /// BT-98, BT-105, BT-140, BT-145 Code of the reason.
        reason_code: Option<String>,
    }
    /// BG-22 Totals.
    Totals {
        /// BT-106 Sum of lines.
        lines: Option<Decimal>,
        /// BT-107 Sum of allowances.
        allowances: Option<Decimal>,
        /// BT-108 Sum of charges.
        charges: Option<Decimal>,
        /// BT-109 Total without VAT.
        net: Option<Decimal>,
        /// BT-110 Total VAT.
        vat: Option<Decimal>,
        /// BT-111 Total VAT in the currency in which it is accounted.
        vat_in_tax_currency: Option<Decimal>,
        /// BT-112 Total with VAT.
        gross: Option<Decimal>,
        /// BT-113 Paid before.
        paid: Option<Decimal>,
        /// BT-114 Rounding.
        rounding: Option<Decimal>,
        /// BT-115 Due for payment.
        due: Option<Decimal>,
    }
    /// BG-23 VAT of a category and rate.
    Vat {
        /// BT-116 Base.
        base: Option<Decimal>,
        /// BT-117 VAT.
        vat: Option<Decimal>,
        /// BT-118 Category.
        category: String,
        /// BT-119 Rate.
        rate: Option<Decimal>,
        /// BT-120 Reason for an exemption.
        reason: Option<String>,
        /// BT-121 Code of the reason.
        reason_code: Option<String>,
    }
    /// BG-24 A supporting document.
    Supporting {
        /// BT-122 Reference.
        id: String,
        /// BT-123 Description.
        description: Option<String>,
        /// BT-124 Where it lies.
        url: Option<String>,
        /// BT-125 The document itself.
        attachment: Option<Attachment>,
    }
    /// BT-125 An attached document.
    Attachment {
        /// Kind, as a MIME type.
        mime: String,
        /// File name.
        filename: String,
        /// Content in Base64.
        content: String,
    }
}

impl Invoice {
    /// Whether the type is one of a credit note.
    #[must_use]
    pub fn is_credit_note(&self) -> bool {
        codes::CREDIT_NOTE_TYPES.has(&self.type_code)
    }

    /// Whether it takes the place of an earlier one by its type (UNTDID 1001: 384, 472).
    #[must_use]
    pub fn is_correction(&self) -> bool {
        matches!(self.type_code.as_str(), "384" | "472")
    }

    /// As UBL 2.1 Invoice or CreditNote, by the type code.
    #[must_use]
    pub fn to_ubl(&self) -> String {
        ubl_write::write(self)
    }

    /// As CII D16B.
    #[must_use]
    pub fn to_cii(&self) -> String {
        cii_write::write(self)
    }

    /// In a syntax; UBL decides between its two documents by the type code.
    #[must_use]
    pub fn to_xml(&self, syntax: Syntax) -> String {
        match syntax {
            Syntax::Cii => self.to_cii(),
            Syntax::UblInvoice | Syntax::UblCreditNote => self.to_ubl(),
        }
    }
}
