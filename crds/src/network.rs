//! `LedgerNetwork`: one ledger of a tenant, kept by several validators.

mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use status::{DisplayStatus, LedgerNetworkStatus, NodeStatus, ValidatorAction, ValidatorChange, ValidatorsStatus};

/// Fewest validators: with fewer than four, one lost or lying validator stops or breaks the network.
pub const MIN_VALIDATORS: u32 = 4;

/// Most validators: each cosigns every block, so receipts grow with them.
pub const MAX_VALIDATORS: u32 = 31;

/// What a network should be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muniment.dev",
    version = "v1alpha1",
    kind = "LedgerNetwork",
    plural = "ledgernetworks",
    shortname = "ln",
    category = "muniment",
    namespaced,
    status = "LedgerNetworkStatus",
    scale(spec_replicas_path = ".spec.validators.count", status_replicas_path = ".status.validators.desired"),
    derive = "PartialEq",
    doc = "One ledger of a tenant, kept by several validators.",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.display.ready"),
    printcolumn(name = "Height", type_ = "integer", json_path = ".status.height"),
    printcolumn(name = "Quorum", type_ = "string", json_path = ".status.display.quorum"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Placement", type_ = "string", json_path = ".spec.placement", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.networkId) || self.spec.templates == oldSelf.spec.templates")
        .message("spec.templates are sealed in the genesis; create a network with the templates you want").field_path(".spec.templates"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.networkId) || self.spec.members == oldSelf.spec.members")
        .message("spec.members are sealed in the genesis; create a network with the members you want").field_path(".spec.members"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.networkId) || self.spec.placement == oldSelf.spec.placement")
        .message("spec.placement can't be changed once the genesis is sealed; create a network with the placement you want").field_path(".spec.placement"),
    validation = Rule::new("self.spec.placement != 'Shared' || self.spec.validators.count == 4")
        .message("a shared network has 4 validators, one on each host; set spec.validators.count to 4, or spec.placement to Dedicated").field_path(".spec.validators.count"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.networkId) || (has(self.spec.storage.className) == has(oldSelf.spec.storage.className) && (!has(self.spec.storage.className) || self.spec.storage.className == oldSelf.spec.storage.className))")
        .message("spec.storage.className can't be changed once there are volumes; create a network with the class you want").field_path(".spec.storage.className"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be 1 to 40 lowercase letters, digits and hyphens, start with a letter and not end with a hyphen; choose such a name")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LedgerNetworkSpec {
    /// Who keeps the ledger.
    #[serde(default)]
    pub validators: ValidatorsSpec,
    /// Where its validators run: pods of its own, or the hosts that it shares with others. Can't be changed.
    #[serde(default)]
    pub placement: Placement,
    /// Record templates in force from the first block, at least one.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub templates: Vec<TemplateRef>,
    /// Parties that may sign transactions from the first block, besides the tenant's own key.
    #[serde(default)]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub members: Vec<MemberSpec>,
    /// Limits of every node; what is absent is chosen by the software version. May be changed at any time: nodes are
    /// restarted one after another.
    #[serde(default)]
    pub limits: NetworkLimits,
    /// How much of a machine each validator gets. May be changed at any time: validators are restarted one after
    /// another. Without meaning in shared placement, where the hosts' size is the platform's matter, and where validators
    /// are processes on one machine.
    #[serde(default)]
    pub size: NodeSize,
    /// Where each validator keeps its data. Without meaning in shared placement: there it lies on the hosts' volumes.
    #[serde(default)]
    pub storage: StorageSpec,
    /// Whether the network runs. A hibernated one keeps its data and its keys, and takes no writes.
    #[serde(default)]
    pub desired_state: DesiredState,
    /// What becomes of keys, genesis and data when the network is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// While true, a deletion of the network waits until this is set to false.
    #[serde(default)]
    pub prevent_deletion: bool,
}

/// Where the validators of a network run.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// Each in a pod of its own, in the tenant's namespace.
    #[default]
    Dedicated,
    /// One in each of the platform's four hosts, among validators of other networks. Costs a small part of a dedicated
    /// network and starts faster; always has 4 validators.
    Shared,
}

impl Placement {
    /// As in the description.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dedicated => "Dedicated",
            Self::Shared => "Shared",
        }
    }
}

/// How much of a machine a validator gets.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeSize {
    /// 0.1 cores and 192 MiB asked for, at most 512 MiB.
    #[default]
    Small,
    /// 0.5 cores and 512 MiB asked for, at most 1 GiB.
    Medium,
    /// 2 cores and 2 GiB asked for, at most 4 GiB.
    Large,
}

/// Where each validator keeps its data.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0")
        .message("spec.storage.size can't shrink; keep it or choose a larger one").field_path(".size")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StorageSpec {
    /// Size of each validator's volume, e.g. `10Gi`. May grow where the storage class allows it.
    #[serde(default = "default_storage")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,8}(Mi|Gi|Ti)$')")
        .message("a size must be a whole number of Mi, Gi or Ti, e.g. `10Gi`"))]
    pub size: String,
    /// Storage class; the cluster's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// What becomes of the volume claim of a validator that has left the network, once it has stopped and all others are
    /// ready. Its keys are kept in any case, and it never comes back.
    #[serde(default)]
    pub when_scaled: DeletionPolicy,
}

fn default_storage() -> String {
    "2Gi".to_owned()
}

impl Default for StorageSpec {
    fn default() -> Self {
        Self {
            size: default_storage(),
            class_name: None,
            when_scaled: DeletionPolicy::Retain,
        }
    }
}

/// Whether a network runs.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DesiredState {
    /// It runs.
    #[default]
    Running,
    /// No validator runs; everything is kept.
    Hibernated,
}

/// What becomes of keys, genesis and data of something that is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// They stay. A network of the same name goes on with them.
    #[default]
    Retain,
    /// They are deleted, for ever.
    Delete,
}

/// Who keeps the ledger.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidatorsSpec {
    /// How many validators, 4 to 31. With n of them the network goes on while at most (n-1)/3 are lost. May be changed
    /// at any time: they join and leave one after another, each by a decision of the network itself.
    #[serde(default = "default_count")]
    #[x_kube(validation = Rule::new("self >= 4 && self <= 31")
        .message("spec.validators.count must be from 4 to 31: fewer than 4 survive no failure; use 4, 7 or 10"))]
    pub count: u32,
}

fn default_count() -> u32 {
    MIN_VALIDATORS
}

impl Default for ValidatorsSpec {
    fn default() -> Self {
        Self { count: default_count() }
    }
}

/// A record template by name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateRef {
    /// Template name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("a template name is 1 to 40 lowercase letters, digits and hyphens, starts with a letter and doesn't end with a hyphen; use the name in the template's file"))]
    pub name: String,
    /// Revision of it, from 1; the newest that is shipped when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub revision: Option<u32>,
}

/// A party that may sign transactions.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberSpec {
    /// Name for people, unique in the network.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Public key: `ed25519:` and 43, or `p256:` and 44 characters of unpadded base64url.
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^(ed25519:[A-Za-z0-9_-]{43}|p256:[A-Za-z0-9_-]{44})$')")
        .message("a member's key is `ed25519:` and 43, or `p256:` and 44 characters of unpadded base64url; write the public key so"))]
    pub key: String,
}

/// Limits of every node; absent ones are chosen by the software version.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkLimits {
    /// Most transaction bytes in one block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 65536 && self <= 16000000")
        .message("spec.limits.blockBytes must be from 65536 (64 KiB) to 16000000 (16 MB)"))]
    pub block_bytes: Option<u64>,
    /// Most actions in one block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1000 && self <= 20000")
        .message("spec.limits.blockActions must be from 1000 (one full batch) to 20000"))]
    pub block_actions: Option<u64>,
    /// Memory that a node gives to waiting transactions, as it estimates it: bytes, their parsed form and bookkeeping.
    /// One signer gets at most a quarter of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 33554432 && self <= 1073741824")
        .message("spec.limits.mempoolBytes must be from 33554432 (32 MiB) to 1073741824 (1 GiB)"))]
    pub mempool_bytes: Option<u64>,
    /// Milliseconds a proposer is waited for in the first round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 10 && self <= 60000")
        .message("spec.limits.proposeTimeoutMillis must be from 10 to 60000"))]
    pub propose_timeout_millis: Option<u64>,
    /// Milliseconds votes are waited for in the first round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 10 && self <= 60000")
        .message("spec.limits.voteTimeoutMillis must be from 10 to 60000"))]
    pub vote_timeout_millis: Option<u64>,
    /// Milliseconds between heartbeat blocks of an idle network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1000 && self <= 86400000")
        .message("spec.limits.heartbeatMillis must be from 1000 (a second) to 86400000 (a day)"))]
    pub heartbeat_millis: Option<u64>,
}
