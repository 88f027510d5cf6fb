//! Custom resources of the API group `muniment.dev/v1alpha1`: types, validation rules, names and conditions.
//!
//! Owns the group's schema; the generated YAML lies beside this crate as `crds/*.yaml`, so that
//! `kubectl apply -f crds/` works. Has no client, no async, and no default that the schema doesn't state too.
//!
//! The YAML is regenerated with `UPDATE_CRDS=1 cargo test -p muniment-crds --test drift`.

mod backup;
pub mod condition;
mod definition;
mod name;
mod network;
mod size;
mod template;
mod tenant;

pub use backup::{NetworkBackup, NetworkBackupSpec, NetworkBackupStatus};
pub use definition::{Definition, DefinitionError, definitions};
pub use k8s_openapi::jiff;
pub use kube::core::ObjectMeta;
pub use name::{MAX_NAME, NameError, NameProblem, NetworkName, TemplateName, TenantName};
pub use network::{
    DeletionPolicy, DesiredState, DisplayStatus, LedgerNetwork, LedgerNetworkSpec, LedgerNetworkStatus, MAX_VALIDATORS,
    MIN_VALIDATORS, MemberSpec, NetworkLimits, NodeSize, NodeStatus, Placement, StorageSpec, TemplateRef,
    ValidatorAction, ValidatorChange, ValidatorsSpec, ValidatorsStatus,
};
pub use size::{SizeError, bytes, canonical};
pub use template::{RecordTemplate, RecordTemplateSpec, RecordTemplateStatus};
pub use tenant::{Tenant, TenantDisplay, TenantQuota, TenantSpec, TenantStatus, TenantUsage};

/// API group of every kind here.
pub const GROUP: &str = "muniment.dev";

/// Version of every kind here.
pub const VERSION: &str = "v1alpha1";
