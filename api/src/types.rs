//! Shapes of the management API (`/v1`), shared by the server and the CLI. JSON is camelCase; times are RFC 3339 UTC
//! unless the field says milliseconds; hashes and ids are lowercase hex.

mod governance;
mod invoices;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use governance::*;
pub use invoices::{
    Finding, Invoice, InvoiceBatchRequest, InvoiceItem, InvoicePage, InvoiceRecord, InvoiceStates, InvoiceStep,
};

/// Most records of one page of a list.
pub const LARGEST_PAGE: u16 = 200;

/// RFC 9457 problem: the body of every 4xx and 5xx answer, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `about:blank#<code>`-style identifier: `https://muniment.dev/errors/<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short, the same for each code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code, lower snake case, e.g. `unknown_field`.
    pub code: String,
    /// What happened, where, and how to fix it.
    pub detail: String,
    /// JSON pointer into the request body, when one place is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The record the refusal is about: for `duplicate` the earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What was found in a document that isn't taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Id of this request, also in the `x-request-id` header and the log.
    pub request_id: String,
}

/// A digest of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Digest {
    /// `sha-256` (required once per deposit) or `sha-512`.
    pub alg: String,
    /// Lowercase hex.
    pub value: String,
}

/// One deposit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotarizationRequest {
    /// Digests of one document. In salted mode the value is SHA-256(salt || document digest).
    pub digests: Vec<Digest>,
    /// `plain` or `salted`; the server never sees a salt.
    pub mode: String,
    /// Document size in bytes, if the depositor wants it on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Media type, if the depositor wants it on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Depositor's own reference, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Up to 1,000 deposits in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotarizationBatchRequest {
    /// The deposits; each is judged by itself.
    #[schema(value_type = Vec<NotarizationRequest>)]
    pub items: Vec<serde_json::Value>,
}

/// One action that creates a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRequest {
    /// Template of the network.
    pub template: String,
    /// Action of it that creates a record.
    pub action: String,
    /// Its input, as the template's schema wants it.
    #[schema(value_type = Object)]
    pub input: serde_json::Map<String, serde_json::Value>,
    /// Revision of the template; without it the one in force for new records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
}

/// Up to 1,000 actions of one kind in one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordBatchRequest {
    /// Template of the network.
    pub template: String,
    /// Action of it, the same for all items.
    pub action: String,
    /// Revision of the template; without it the one in force for new records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The actions; each is judged by itself.
    #[schema(value_type = Vec<RecordItem>)]
    pub items: Vec<serde_json::Value>,
}

/// One action of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordItem {
    /// Input of the action.
    #[schema(value_type = Object)]
    pub input: serde_json::Map<String, serde_json::Value>,
    /// The record acted on; absent when the action creates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// One action on a record that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionRequest {
    /// Its input, as the template's schema wants it.
    #[schema(value_type = Object)]
    pub input: serde_json::Map<String, serde_json::Value>,
}

/// A transaction that the party signed itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedTransactionRequest {
    /// Exact JCS statement or batch header as text.
    pub statement: String,
    /// Signature over these bytes, standard base64 of 64 bytes.
    pub signature: String,
    /// Items of a batch, exact JCS text each; absent for a single action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<String>>,
}

/// A step of a record that is final, with its receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Record id.
    pub id: String,
    /// Version of the record that the step made, from 1.
    pub version: u32,
    /// Transaction id.
    pub transaction: String,
    /// Block height.
    pub height: u64,
    /// Block time, RFC 3339 with milliseconds.
    pub time: String,
    /// Index of the leaf in the network's log.
    pub leaf: u64,
    /// Names of the validators whose cosignatures the receipt carries.
    pub signed_by: Vec<String>,
    /// The receipt file, byte for byte (`muniment.dev/receipt/v1`).
    pub receipt: String,
}

/// Outcome of one action of a request, in request order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "status", rename_all = "camelCase")]
pub enum ItemOutcome {
    /// On the ledger, with its receipt.
    Accepted(Recorded),
    /// Not on the ledger. Nothing changed.
    #[serde(rename_all = "camelCase")]
    Rejected {
        /// Stable code.
        code: String,
        /// What, where, how to fix.
        detail: String,
        /// JSON pointer into the item.
        pointer: String,
        /// For a duplicate: the earlier record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<String>,
        /// What was found in a document that isn't taken.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
    },
}

/// Long work. Answered with 202 and `Location: /v1/operations/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// `op_…`.
    pub id: String,
    /// `pending` (durably accepted, not final yet), `succeeded` or `failed`.
    pub phase: String,
    /// RFC 3339.
    pub created_at: String,
    /// Outcomes per item once decided; empty while pending.
    pub items: Vec<ItemOutcome>,
}

/// Outcomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedBatch {
    /// Operation id of this batch.
    pub operation: String,
    /// Number of accepted items.
    pub accepted: usize,
    /// Number of rejected items.
    pub rejected: usize,
    /// One entry per item, in request order.
    pub items: Vec<ItemOutcome>,
}

/// A network as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Tenant.
    pub tenant: String,
    /// Name.
    pub name: String,
    /// Network id.
    pub id: String,
    /// `Running`, `Degraded` (quorum holds, not all up), `Stalled` (no quorum) or `Pending`.
    pub state: String,
    /// Highest height any validator reports.
    pub height: u64,
    /// Validators that answer and keep up.
    pub ready: usize,
    /// Validators wanted.
    pub validators: usize,
    /// Signatures needed.
    pub quorum: usize,
    /// Whether `ready >= quorum`.
    pub quorum_holds: bool,
    /// Each validator's own answer.
    pub nodes: Vec<NetworkNode>,
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkNode {
    /// Name.
    pub name: String,
    /// `Ready`, `CatchingUp` or `Down`.
    pub state: String,
    /// Height.
    pub height: u64,
    /// State root after that height.
    pub state_root: String,
    /// Peers connected, self not counted.
    pub peers: usize,
    /// Software version.
    pub version: String,
    /// Times the supervisor has started it again, where that is known.
    pub restarts: u32,
}

/// Body of `POST /v1/verify`: nothing is stored, no credentials needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyRequest {
    /// The receipt file as text.
    pub receipt: String,
    /// The trust root as text. Without it the server's own roots are tried, and the answer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<String>,
    /// SHA-256 of the document, hex. Without it the document verdict is inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// A new API key; the secret is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// `key_…`.
    pub id: String,
    /// Party that it acts for; absent for the tenant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// Display name.
    pub name: String,
    /// First characters, to recognise it by.
    pub prefix: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, absent when it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// `mnk_…`; present only in the answer that creates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A page of API keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyPage {
    /// The keys, ascending by id.
    pub keys: Vec<ApiKey>,
    /// Pass as `after` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Body of `POST /v1/tenants` and `POST …/networks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRequest {
    /// Name: 1 to 40 lowercase letters, digits and hyphens.
    pub name: String,
    /// What is wanted: the `spec` of the custom resource `Tenant` or `LedgerNetwork`.
    #[schema(value_type = Object)]
    pub spec: serde_json::Value,
}

/// Body of `POST …/api-keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyRequest {
    /// Display name, 1 to 64 characters.
    pub name: String,
    /// Party that the key shall act for; without it, the tenant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// RFC 3339 UTC; without it the key doesn't expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Body of `POST …/parties`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartyRequest {
    /// Name: 1 to 40 lower case letters, digits and hyphens, such as `bank`.
    pub name: String,
}

/// Somebody on whose behalf the tenant signs, with a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Party {
    /// Name, unique in the tenant.
    pub name: String,
    /// The key that signs for it, `ed25519:…`: what becomes a member of a network.
    pub signer: String,
    /// RFC 3339.
    pub created_at: String,
}

/// A page of parties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyPage {
    /// The parties, ascending by name.
    pub parties: Vec<Party>,
    /// Pass as `after` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Whoami {
    /// Tenant.
    pub tenant: String,
    /// Party that the API key acts for; absent for the tenant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// API key id.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// The key that signs what is asked for with this API key, `ed25519:…`.
    pub signer: String,
}

/// A record as of a height.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Height this answer is true for.
    pub height: u64,
    /// The record; the network's state root commits to its canonical JSON.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
    /// Log index of the leaf that made the present version.
    pub leaf: u64,
}

/// A page of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordPage {
    /// Height this answer is true for.
    pub height: u64,
    /// Records, ascending by id.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<serde_json::Value>,
    /// Pass as `after` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One step in a record's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Record version, from 1.
    pub version: u32,
    /// Action.
    pub action: String,
    /// Signer key.
    pub signer: String,
    /// Block height.
    pub height: u64,
    /// Block time, RFC 3339.
    pub time: String,
    /// Log index; `…/receipt?version=` gives its receipt.
    pub leaf: u64,
}

/// Proof that a record is in a state, or that there is none, as of a height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// Height.
    pub height: u64,
    /// State root, hex; the block marker of `height` carries the same.
    pub state_root: String,
    /// State key, hex.
    pub key: String,
    /// SHA-256 of the record's canonical JSON, hex; absent when there is no such record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Proof bytes, hex (docs/formats.md).
    pub proof: String,
}

/// A leaf's COSE receipts (RFC 9942), one per validator, at least a quorum of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoseReceipts {
    /// The bytes whose RFC 6962 leaf hash the receipts are about, base64.
    pub leaf: String,
    /// In the order of the validator set.
    pub receipts: Vec<CoseReceipt>,
}

/// One validator's COSE receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoseReceipt {
    /// Name of the validator.
    pub validator: String,
    /// Its Ed25519 COSE key, hex, as the trust root has it.
    pub public_key: String,
    /// Tagged COSE_Sign1 with the inclusion proof, payload detached (the root), base64.
    pub receipt: String,
}

/// Answer of `POST /v1/verify`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyAnswer {
    /// Whose trust root judged: `request`, `server`, or `none` when the server knows no such network.
    pub trust_root: String,
    /// Separate verdicts, the overall result and what was stated.
    #[schema(value_type = Object)]
    pub report: muniment_receipts::verify::Report,
}

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `muniment`.
    pub name: String,
    /// Software version.
    pub version: String,
}
