//! Shapes of invoices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One firing of one rule on one element of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Rule id, such as `BR-CO-15`.
    pub rule: String,
    /// `en16931`, `xrechnung`, `peppol`, or `exact` for an amount that the others don't make.
    pub set: String,
    /// `fatal`, `warning` or `information`.
    pub severity: String,
    /// What the rule asks for.
    pub message: String,
    /// Business terms, such as `BT-112`.
    pub term: String,
    /// XPath of the element.
    pub location: String,
    /// Its line; 0 where there is none.
    pub line: u32,
    /// Values that the rule looked at.
    pub values: Vec<String>,
    /// What to do.
    pub fix: String,
}

/// Up to 1,000 invoices in one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceBatchRequest {
    /// Who receives the invoices: a party of the tenant, the tenant, or a member's key. Like all parameters of a single
    /// invoice it may stand here for all, or with an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Rules: `en16931` (default), `xrechnung` or `peppol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Series of the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// `auto`: number them, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The documents; each is judged by itself.
    pub items: Vec<InvoiceItem>,
}

/// One document of a batch: `xml`, `json` or `invoice`, and any parameter of a single invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceItem {
    /// UBL or CII as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xml: Option<String>,
    /// The JSON form as a string; it is kept byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// The JSON form as a value; what is kept is written anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub invoice: Option<serde_json::Value>,
}

/// An invoice in a list. Amounts are decimal texts in its currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Record id.
    pub id: String,
    /// Key of who issued it.
    pub issuer: String,
    /// Seller's tax id, or a commitment to it.
    pub supplier: String,
    /// Key of who received it.
    pub recipient: String,
    /// Buyer's tax id, or a commitment to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<String>,
    /// Key of who is to be paid.
    pub payee: String,
    /// Series of the number.
    pub series: String,
    /// Number.
    pub number: String,
    /// Type code, such as 380.
    pub type_code: String,
    /// `YYYY-MM-DD`.
    pub issue_date: String,
    /// `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_date: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// Total with VAT.
    pub gross: String,
    /// Still owed.
    pub open: String,
    /// Record of the invoice that this credit note is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<String>,
    /// Record version.
    pub version: u32,
    /// State of each region.
    pub states: InvoiceStates,
}

/// States of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceStates {
    /// Whether it stands.
    pub document: String,
    /// What its recipient says.
    pub approval: String,
    /// What is paid.
    pub settlement: String,
    /// Who it is pledged or assigned to.
    pub encumbrance: String,
    /// Whether it was reimbursed to an employee.
    pub reimbursement: String,
    /// What the authority says.
    pub authority: String,
}

/// A page of invoices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoicePage {
    /// Height this answer is true for.
    pub height: u64,
    /// Invoices, the newest issue date first.
    pub invoices: Vec<Invoice>,
    /// Pass as `after` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An invoice as it is on the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceRecord {
    /// Height this answer is true for.
    pub height: u64,
    /// Log index of the leaf that made the present version.
    pub leaf: u64,
    /// Where the document is: `kept` here, `erased`, or `elsewhere`.
    pub document: String,
    /// The record; amounts in hundredths, times in milliseconds (docs/templates/electronic-invoice.md).
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
}

/// One step in an invoice's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceStep {
    /// Record version, from 1.
    pub version: u32,
    /// Action of the template.
    pub action: String,
    /// Signer key.
    pub signer: String,
    /// Block height.
    pub height: u64,
    /// Block time, RFC 3339.
    pub time: String,
    /// Log index.
    pub leaf: u64,
    /// Path of the step's receipt.
    pub receipt: String,
}
