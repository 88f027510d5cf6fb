//! The custom resource definitions as they are installed.
//!
//! Owns what has to be put right after generation, and the header of the YAML files.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;
use thiserror::Error;

use crate::{LedgerNetwork, NetworkBackup, RecordTemplate, Tenant};

/// A definition that can't be written. A defect of this crate, found by its tests.
#[derive(Debug, Error)]
pub enum DefinitionError {
    /// Not expressible as JSON.
    #[error("custom resource definition can't be made")]
    Json(#[from] serde_json::Error),
    /// Not expressible as YAML.
    #[error("custom resource definition can't be written as YAML")]
    Yaml(#[from] serde_yaml::SerializeError),
}

/// One definition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// File name beside this crate.
    pub file: &'static str,
    /// What is installed.
    pub crd: CustomResourceDefinition,
}

impl Definition {
    /// The file's text.
    ///
    /// # Errors
    /// When the definition can't be written; a defect of this crate.
    pub fn yaml(&self) -> Result<String, DefinitionError> {
        let head = "# Generated: UPDATE_CRDS=1 cargo test -p muniment-crds --test drift\n";
        Ok(format!(
            "{head}{}",
            serde_yaml::to_string(&serde_json::to_value(&self.crd)?)?
        ))
    }
}

/// Every definition of the group.
///
/// # Errors
/// When one can't be made; a defect of this crate.
pub fn definitions() -> Result<Vec<Definition>, DefinitionError> {
    [
        ("tenants.yaml", Tenant::crd()),
        ("ledgernetworks.yaml", LedgerNetwork::crd()),
        ("recordtemplates.yaml", RecordTemplate::crd()),
        ("networkbackups.yaml", NetworkBackup::crd()),
    ]
    .into_iter()
    .map(|(file, crd)| {
        let mut value = serde_json::to_value(&crd)?;
        known_formats(&mut value);
        Ok(Definition {
            file,
            crd: serde_json::from_value(value)?,
        })
    })
    .collect()
}

/// Drops `format: uint32` and `uint64`: Kubernetes knows no such formats and warns at every apply.
fn known_formats(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|f| f.starts_with("uint"))
            {
                object.remove("format");
            }
            object.values_mut().for_each(known_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(known_formats),
        _ => {}
    }
}
