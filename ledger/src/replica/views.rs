//! Committed state as the executor and the tree read it.

use crate::state::tree::{Cache, TreeStore};
use crate::state::{StateError, StateRead};
use crate::store::{StoreError, View};
use crate::transaction::TransactionId;

fn failed(error: StoreError) -> StateError {
    StateError(error.into())
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
