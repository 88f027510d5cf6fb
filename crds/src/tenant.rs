//! `Tenant`: whom networks belong to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::DeletionPolicy;

/// A party whose networks, people and keys are kept apart from every other's.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muniment.dev",
    version = "v1alpha1",
    kind = "Tenant",
    plural = "tenants",
    shortname = "tn",
    category = "muniment",
    status = "TenantStatus",
    derive = "PartialEq",
    doc = "A party whose networks, people and keys are kept apart from every other's.",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Networks", type_ = "string", json_path = ".status.display.networks"),
    printcolumn(name = "Display name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be 1 to 40 lowercase letters, digits and hyphens, start with a letter and not end with a hyphen; choose such a name"),
    validation = Rule::new("self.metadata.name != 'default' && !self.metadata.name.startsWith('kube-') && !self.metadata.name.startsWith('muniment')")
        .message("metadata.name `default`, `kube-…` and `muniment…` are kept for the system; choose another name")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSpec {
    /// Name for people; the resource's own name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub display_name: Option<String>,
    /// Most of what the tenant may have; absent is without limit.
    #[serde(default)]
    pub quota: TenantQuota,
    /// While true, everything of the tenant can be read and nothing be written. Its networks run and keep their data.
    #[serde(default)]
    pub suspended: bool,
    /// What becomes of the namespace with the tenant's networks when the tenant is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// While true, a deletion of the tenant waits until this is set to false.
    #[serde(default)]
    pub prevent_deletion: bool,
}

/// Most of what a tenant may have.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantQuota {
    /// Networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    pub networks: Option<u32>,
    /// Validators over all networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000))]
    pub validators: Option<u32>,
    /// Volumes over all validators, e.g. `40Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,8}(Mi|Gi|Ti)$')")
        .message("a size must be a whole number of Mi, Gi or Ti, e.g. `40Gi`"))]
    pub storage: Option<String>,
}

/// What is known of a tenant.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// `metadata.generation` this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// In one word: `Active`, `Suspended`, `Pending` or `Deleting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Public key that signs for the tenant, written by the management API, which keeps the private half. It is a
    /// member of every network of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// What the tenant has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TenantUsage>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<TenantDisplay>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a tenant has.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantUsage {
    /// Networks.
    #[serde(default)]
    pub networks: u32,
    /// Validators over all networks.
    #[serde(default)]
    pub validators: u32,
    /// Bytes of volumes over all validators.
    #[serde(default)]
    pub storage_bytes: u64,
}

/// Numbers as they are shown in a table.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantDisplay {
    /// Networks and the quota, e.g. `2/3`, or `2` without one.
    #[serde(default)]
    pub networks: String,
}
