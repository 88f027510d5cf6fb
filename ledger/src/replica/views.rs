//! Committed state as the executor and the tree read it.

use super::ReadError;
use crate::state::tree::{Cache, TreeStore};
use crate::state::{
    GOVERNANCE_KEY, Governance, MEMBERS, StateError, StateRead, TEMPLATES, TemplateEntry, source_key, template_key,
};
use crate::store::{StoreError, View};
use crate::transaction::TransactionId;
use crate::wire::{GovernanceView, TemplateView};

fn failed(error: StoreError) -> StateError {
    StateError(error.into())
}

fn parsed<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(bytes).map_err(|error| ReadError(error.into()))
}

/// How the network decides about itself.
pub fn governance(view: &View) -> Result<GovernanceView, ReadError> {
    let missing = || StoreError::Inconsistent("the state has no governance policy".to_owned());
    let policy: Governance = parsed(&view.state(GOVERNANCE_KEY)?.ok_or_else(missing)?)?;
    Ok(GovernanceView {
        height: view.height()?.unwrap_or(0),
        threshold: policy.threshold,
        members: values(view, MEMBERS)?,
        templates: values(view, TEMPLATES)?,
    })
}

/// A revision of a template.
pub fn template(view: &View, name: &str, revision: Option<u32>) -> Result<Option<TemplateView>, ReadError> {
    let Some(entry) = view.state(&template_key(name))? else {
        return Ok(None);
    };
    let TemplateEntry { name, revision: newest } = parsed(&entry)?;
    let revision = revision.unwrap_or(newest);
    let Some(source) = view.state(&source_key(&name, revision))? else {
        return Ok(None);
    };
    Ok(Some(TemplateView {
        height: view.height()?.unwrap_or(0),
        source: String::from_utf8(source).map_err(|error| ReadError(error.into()))?,
        name,
        revision,
        newest,
    }))
}

fn values<T: serde::de::DeserializeOwned>(view: &View, kind: &[u8]) -> Result<Vec<T>, ReadError> {
    view.states(kind)?.iter().map(|(_, bytes)| parsed(bytes)).collect()
}

/// State of one moment.
pub struct StateView<'a>(pub &'a View);

impl StateRead for StateView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.state(key).map_err(failed)
    }

    fn seen(&self, id: &TransactionId) -> Result<bool, StateError> {
        self.0.transaction(&id.0).map(|height| height.is_some()).map_err(failed)
    }
}

/// Tree and state of one moment, with the upper levels of the tree in memory if given.
pub struct TreeView<'a> {
    /// Stored nodes and values.
    pub view: &'a View,
    /// Upper levels.
    pub cache: Option<&'a Cache>,
}

impl TreeStore for TreeView<'_> {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.view.node(key).map_err(failed)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.view.state(key).map_err(failed)
    }

    fn cache(&self) -> Option<&Cache> {
        self.cache
    }
}
