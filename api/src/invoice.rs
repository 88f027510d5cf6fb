//! Electronic invoices as records: a document is judged, its amounts become the input of the template
//! `electronic-invoice`, and the document itself is kept beside the ledger.
//!
//! Pure: no store, no network, no clock. The rules of the standard are the crate `invoices`'; who may do what to an
//! invoice is the template's.

pub mod access;
pub mod action;
pub mod amount;
pub mod input;
pub mod judge;
pub mod kept;
pub mod row;

/// Template that invoices are records of.
pub const TEMPLATE: &str = "electronic-invoice";

/// Regions of the template with their states.
pub const REGIONS: &[(&str, &[&str])] = &[
    (
        "document",
        &[
            "Issued",
            "PartlyCredited",
            "FullyCredited",
            "Replaced",
            "VoidRequested",
            "Void",
            "CreditNote",
        ],
    ),
    (
        "approval",
        &[
            "None",
            "Received",
            "InProcess",
            "UnderQuery",
            "ConditionallyAccepted",
            "Accepted",
            "Rejected",
            "PaidReported",
        ],
    ),
    (
        "settlement",
        &["Open", "PartlyPaid", "Paid", "Overpaid", "Refunded", "Closed"],
    ),
    (
        "encumbrance",
        &["Free", "PledgeOffered", "Pledged", "Assigned", "Released", "Enforced"],
    ),
    (
        "reimbursement",
        &["Unclaimed", "Locked", "PartlyReimbursed", "Reimbursed"],
    ),
    (
        "authority",
        &[
            "NotDue",
            "Due",
            "Overdue",
            "Submitted",
            "Cleared",
            "Reported",
            "Refused",
            "CancelSent",
            "Cancelled",
        ],
    ),
];
