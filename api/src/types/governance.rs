//! Shapes of governance: members, proposals, templates.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A member: a party that may sign in the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Signer key, `ed25519:…` or `p256:…`.
    pub key: String,
    /// Name.
    pub name: String,
}

/// The members of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// Height this answer is true for.
    pub height: u64,
    /// How many members must agree to a change of the network.
    pub threshold: u32,
    /// By key.
    pub members: Vec<Member>,
}

/// Body of `POST …/members`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberRequest {
    /// Signer key, `ed25519:…` or `p256:…`.
    pub key: String,
    /// Name, 1 to 100 characters.
    pub name: String,
    /// Milliseconds since the Unix epoch up to which it can be approved; without it 7 days, at most 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Body of `POST …/proposals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProposalRequest {
    /// Which change.
    pub action: String,
    /// Its input. `expires` (milliseconds since the Unix epoch) may be added.
    #[schema(value_type = Object)]
    pub input: serde_json::Value,
}

/// A member's agreement to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Signer key.
    pub key: String,
}

/// A change that was proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Record id; its receipts are those of the record.
    pub id: String,
    /// Which change.
    pub action: String,
    /// Its input.
    #[schema(value_type = Object)]
    pub input: serde_json::Value,
    /// `open`, `enacted`, `withdrawn` or `expired`.
    pub state: String,
    /// Signer key of who proposed it.
    pub proposer: String,
    /// Who has approved it, the proposer among them.
    pub approvals: Vec<Approval>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; up to then it can be approved.
    pub expires_at: String,
    /// Height of the last step.
    pub height: u64,
}

/// A page of proposals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalPage {
    /// Height this answer is true for.
    pub height: u64,
    /// The proposals, ascending by id.
    pub proposals: Vec<Proposal>,
    /// Pass as `after` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A template in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateInForce {
    /// Name.
    pub name: String,
    /// Revision that new records live by; older records keep theirs.
    pub revision: u32,
}

/// The templates of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplatesInForce {
    /// Height this answer is true for.
    pub height: u64,
    /// By name.
    pub templates: Vec<TemplateInForce>,
}

/// Body of `POST …/templates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateRequest {
    /// YAML source of the `RecordTemplate`, byte for byte; at most 64 KiB. Name and revision are those in it.
    pub source: String,
    /// Milliseconds since the Unix epoch up to which it can be approved; without it 7 days, at most 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// A revision of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSource {
    /// Height this answer is true for.
    pub height: u64,
    /// Name.
    pub name: String,
    /// Revision.
    pub revision: u32,
    /// Whether new records live by it.
    pub newest: bool,
    /// SHA-256 of the source, hex.
    pub sha256: String,
    /// YAML source.
    pub source: String,
}
