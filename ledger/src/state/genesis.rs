//! The state before the first block, and the stored forms of what governance will change later.

use muniment_receipts::genesis::Genesis;
use serde::{Deserialize, Serialize};

use super::{Changes, GOVERNANCE_KEY, StateError, VALIDATORS_KEY, Validators, member_key, source_key, template_key};
use crate::template::{Template, TemplateError};

/// A member in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberEntry {
    /// Signer key.
    pub key: String,
    /// Display name.
    pub name: String,
    /// Log index of the action that made it a member with this key; none for a member of the genesis. Only approvals
    /// from there on count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub since: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is in force of a template: new records are made by this revision, older records keep theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateEntry {
    /// Template name.
    pub name: String,
    /// Latest revision.
    pub revision: u32,
}

/// How the network decides about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Governance {
    /// Number of members.
    pub members: u32,
    /// Members that must agree, 1 to `members`.
    pub threshold: u32,
    /// Form of this value: 1.
    pub version: u32,
}

/// A genesis that can't start a network.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// A template doesn't compile.
    #[error("template `{name}` revision {revision} of the genesis can't be used")]
    Template {
        /// Name in the genesis.
        name: String,
        /// Revision in the genesis.
        revision: u32,
        /// Why.
        #[source]
        source: TemplateError,
    },
    /// A template's source says something else than the genesis around it.
    #[error("template `{name}` revision {revision} of the genesis calls itself `{own}` revision {own_revision}")]
    Mismatch {
        /// Name in the genesis.
        name: String,
        /// Revision in the genesis.
        revision: u32,
        /// Name in the source.
        own: String,
        /// Revision in the source.
        own_revision: u32,
    },
    /// Something is there twice.
    #[error("{what} is in the genesis twice; remove one")]
    Twice {
        /// What.
        what: String,
    },
    /// A stored form can't be written.
    #[error("the genesis can't be stored")]
    Form(#[source] StateError),
}

/// A stored form as canonical JSON.
///
/// # Errors
/// Never for the forms of this module; kept because serialisation can.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| StateError(error.into()))
}

fn json<T: Serialize>(value: &T) -> Result<Option<Vec<u8>>, GenesisError> {
    canonical(value).map(Some).map_err(GenesisError::Form)
}

/// The state before height 1. Commit it to the tree as version 0.
///
/// # Errors
/// When a template doesn't compile or something is there twice.
pub fn genesis_state(genesis: &Genesis) -> Result<Changes, GenesisError> {
    let mut changes = Changes::new();
    let mut add = |key: Vec<u8>, what: String, value: Option<Vec<u8>>| match changes.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(GenesisError::Twice { what }),
    };
    let validators = Validators::new(genesis.validators.clone());
    add(
        VALIDATORS_KEY.to_vec(),
        "the validator set".to_owned(),
        json(&validators)?,
    )?;
    let governance = Governance {
        members: genesis.members.len() as u32,
        threshold: genesis.governance_threshold,
        version: 1,
    };
    add(
        GOVERNANCE_KEY.to_vec(),
        "the governance policy".to_owned(),
        json(&governance)?,
    )?;
    for member in &genesis.members {
        let entry = MemberEntry {
            key: member.key.clone(),
            name: member.name.clone(),
            since: 0,
        };
        add(
            member_key(&member.key),
            format!("the key of member `{}`", member.name),
            json(&entry)?,
        )?;
    }
    let mut latest = std::collections::BTreeMap::<&str, u32>::new();
    for template in &genesis.templates {
        let (name, revision) = (template.name.clone(), template.revision);
        let compiled = match Template::compile(&template.source) {
            Ok(compiled) => compiled,
            Err(source) => return Err(GenesisError::Template { name, revision, source }),
        };
        if compiled.name != name || compiled.revision != revision {
            let (own, own_revision) = (compiled.name, compiled.revision);
            return Err(GenesisError::Mismatch {
                name,
                revision,
                own,
                own_revision,
            });
        }
        let source = template.source.clone().into_bytes();
        add(
            source_key(&name, revision),
            format!("template `{name}` revision {revision}"),
            Some(source),
        )?;
        let newest = latest.entry(&template.name).or_default();
        *newest = revision.max(*newest);
    }
    for (name, revision) in latest {
        let entry = TemplateEntry {
            name: name.to_owned(),
            revision,
        };
        add(template_key(name), format!("template `{name}`"), json(&entry)?)?;
    }
    Ok(changes)
}
