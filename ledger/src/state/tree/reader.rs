//! How the tree reads its nodes: upper levels from memory, the rest from the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Version};

use super::{NodeBatch, TreeStore, node_key};

/// Levels kept in memory: 1 + 16 + 256 + 4,096 nodes at most, about 5 MB.
const CACHED_NIBBLES: usize = 3;

/// The newest node of each path in the upper levels. Never wrong, only incomplete: an entry counts only for exactly
/// its version, and versions are decided heights, which never change.
#[derive(Debug, Default)]
pub struct Cache(Mutex<HashMap<u16, (Version, Node)>>);

impl Cache {
    /// Takes over the upper levels of a version that is now stored.
    pub fn adopt(&self, batch: &NodeBatch) {
        let newer = batch
            .upper
            .iter()
            .map(|(place, version, node)| (*place, (*version, node.clone())));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(newer);
    }

    fn get(&self, key: &NodeKey) -> Option<Node> {
        let place = place(key)?;
        let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes
            .get(&place)
            .filter(|(version, _)| *version == key.version())
            .map(|(_, node)| node.clone())
    }
}

/// Number of a path in the upper levels: its nibbles behind a leading one, so that paths of different length differ.
pub fn place(key: &NodeKey) -> Option<u16> {
    let path = key.nibble_path();
    (path.num_nibbles() <= CACHED_NIBBLES).then(|| {
        path.nibbles()
            .fold(1, |place, nibble| place << 4 | u16::from(u8::from(nibble)))
    })
}

/// One call's view of the tree.
pub struct Reader<'a> {
    pub store: &'a dyn TreeStore,
    /// Value under the one key that is proven; the tree itself keeps only its hash.
    pub value: Option<OwnedValue>,
}

impl TreeReader for Reader<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        if let Some(node) = self.store.cache().and_then(|cache| cache.get(key)) {
            return Ok(Some(node));
        }
        let Some(bytes) = self.store.node(&node_key(key)).map_err(anyhow::Error::new)? else {
            return Ok(None);
        };
        Ok(Some(borsh::from_slice(&bytes)?))
    }

    fn get_value_option(&self, _: Version, _: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.value.clone())
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored from its leaves")
    }
}
