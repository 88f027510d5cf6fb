//! How much memory a transaction takes while it waits.
//!
//! Owns the estimate only. Parsed JSON can be eighty times as large as its text, so bytes on the wire say little.

use serde_json::Value;

use super::prepare::{Part, Prepared};

/// Beside its parts: ids, keys, and its places in the mempool.
const TRANSACTION: usize = 512;
/// What an allocation costs beyond what was asked for.
const BLOCK: usize = 16;
/// One node of the B-tree that `serde_json` keeps an object's members in (room for eleven), with its share of the
/// nodes above. Beyond eleven members nodes are about half full.
const NODE: usize = 736;
const NODE_ROOM: usize = 11;
const NODE_FILL: usize = 5;

impl Prepared {
    /// Bytes of memory that it takes, estimated from above. Measured with a counting allocator against deposits, deep
    /// nesting, many small objects, wide objects, arrays and long texts: 0 to 25 % too high, 50 % for wide objects.
    pub fn held(&self) -> usize {
        let hashes = size_of_val(self.item_hashes.as_slice());
        TRANSACTION + self.transaction.size() + hashes + self.parts.iter().map(part).sum::<usize>()
    }
}

fn part(part: &Part) -> usize {
    // The bytes of an item lie in an allocation of their own.
    let own = size_of::<Part>() + size_of::<Vec<u8>>() + BLOCK;
    own + match part {
        Part::Read { input, .. } => tree(input),
        Part::Unreadable(message) => message.len() + BLOCK,
    }
}

/// What a parsed value points to. As deep as the parser allows, which is bounded.
fn tree(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + BLOCK,
        Value::Array(values) if values.is_empty() => 0,
        Value::Array(values) => {
            let room = values.len().next_power_of_two().max(4);
            room * size_of::<Value>() + BLOCK + values.iter().map(tree).sum::<usize>()
        }
        Value::Object(members) => {
            let nodes = match members.len() {
                few @ 0..=NODE_ROOM => few.min(1),
                many => many.div_ceil(NODE_FILL),
            };
            let member = |(name, value): (&String, &Value)| name.len() + BLOCK + tree(value);
            nodes * NODE + members.iter().map(member).sum::<usize>()
        }
    }
}
