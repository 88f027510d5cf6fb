//! `NetworkBackup`: one backup of a network. The type only: nothing makes backups yet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Which network is backed up.
// Columns have attributes of the same names; the lint takes them for one.
#[allow(clippy::duplicated_attributes)]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muniment.dev",
    version = "v1alpha1",
    kind = "NetworkBackup",
    plural = "networkbackups",
    shortname = "nb",
    category = "muniment",
    namespaced,
    status = "NetworkBackupStatus",
    derive = "PartialEq",
    doc = "One backup of a ledger network.",
    printcolumn(name = "Network", type_ = "string", json_path = ".spec.network"),
    printcolumn(name = "Height", type_ = "integer", json_path = ".status.height"),
    printcolumn(
        name = "Verified",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Verified')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("the spec of a NetworkBackup can't be changed; make another one")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkBackupSpec {
    /// Name of the network in the same namespace.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("spec.network must be the name of a LedgerNetwork in this namespace"))]
    pub network: String,
}

/// What is known of a backup.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkBackupStatus {
    /// `metadata.generation` this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Last block in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// Hash of that block, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// SHA-256 of the backup, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
