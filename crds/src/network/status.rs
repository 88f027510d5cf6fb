//! What is known of a network, as its operator writes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of a network.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerNetworkStatus {
    /// `metadata.generation` this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// In one word: `Pending`, `Starting`, `Running`, `Degraded`, `NoQuorum`, `Hibernated`, `Refused` or `Deleting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// SHA-256 of the canonical genesis, 64 hex digits; absent until it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// Digest of the plan that is being kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Software version of the nodes; every one in use, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Highest block that a validator has executed.
    #[serde(default)]
    pub height: u64,
    /// When the first of its certificates expires; they are renewed at two thirds of their life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates_expire: Option<Time>,
    /// Validators by number.
    #[serde(default)]
    pub validators: ValidatorsStatus,
    /// The same for people.
    #[serde(default)]
    pub display: DisplayStatus,
    /// The change of validators that the network has to decide next, for whoever signs for the tenant to propose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator_change: Option<ValidatorChange>,
    /// Volume claims of validators that have left. They count against the tenant's quota; delete those you don't want any
    /// more, or set `spec.storage.whenScaled` to `Delete`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_over_claims: Vec<String>,
    /// Validators one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub nodes: Vec<NodeStatus>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A change of the validators, as the network's governance takes it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorChange {
    /// What is to become of the validator.
    pub action: ValidatorAction,
    /// Its name.
    pub name: String,
    /// Public consensus key of one that is added, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus: Option<String>,
    /// Public notary key of one that is added, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notary: Option<String>,
    /// Public COSE key of one that is added, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cose: Option<String>,
}

/// What is to become of a validator: the action of the governance statement.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ValidatorAction {
    /// It joins the set.
    AddValidator,
    /// It leaves the set, for ever.
    RemoveValidator,
}

impl ValidatorAction {
    /// Name of the action on the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddValidator => "addValidator",
            Self::RemoveValidator => "removeValidator",
        }
    }
}

/// Validators by number.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorsStatus {
    /// In the validator set.
    #[serde(default)]
    pub desired: u32,
    /// Ready by their own answer.
    #[serde(default)]
    pub ready: u32,
    /// Needed for a block.
    #[serde(default)]
    pub quorum: u32,
    /// How many more may be lost before writes wait; 0 also when they already wait.
    #[serde(default)]
    pub spare: u32,
}

/// Numbers as they are shown in a table.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisplayStatus {
    /// Ready and desired validators, e.g. `4/4`.
    #[serde(default)]
    pub ready: String,
    /// Quorum and desired validators, e.g. `3 of 4`.
    #[serde(default)]
    pub quorum: String,
}

/// One validator.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Validator name.
    pub name: String,
    /// In the validator set. One that isn't follows without voting: it is about to join, or has left.
    #[serde(default)]
    pub member: bool,
    /// Ready by its own answer.
    #[serde(default)]
    pub ready: bool,
    /// `Stopped`, `Starting`, `Running`, `BackingOff` or `Unreachable`.
    #[serde(default)]
    pub state: String,
    /// Last block it executed.
    #[serde(default)]
    pub height: u64,
    /// Restarts since the supervisor started.
    #[serde(default)]
    pub restarts: u32,
    /// How it last ended and what it last said, if it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
}
