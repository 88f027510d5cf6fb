//! `RecordTemplate`: a kind of record that a tenant's networks can be made with.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// A record template, as its file says.
// Columns have attributes of the same names; the lint takes them for one.
#[allow(clippy::duplicated_attributes)]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "muniment.dev",
    version = "v1alpha1",
    kind = "RecordTemplate",
    plural = "recordtemplates",
    shortname = "rt",
    category = "muniment",
    namespaced,
    status = "RecordTemplateStatus",
    derive = "PartialEq",
    doc = "A kind of record that a tenant's networks can be made with.",
    printcolumn(name = "Template", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision"),
    printcolumn(
        name = "Valid",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Valid')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordTemplateSpec {
    /// The template's YAML, at most 64 KiB. It is judged by the same code that ledgers run; the condition `Valid` says
    /// what is wrong and in which line.
    #[schemars(length(min = 1, max = 65_536))]
    pub source: String,
}

/// What is known of a template.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordTemplateStatus {
    /// `metadata.generation` this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Name in the source; by it networks refer to the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Revision in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// SHA-256 of the source, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
