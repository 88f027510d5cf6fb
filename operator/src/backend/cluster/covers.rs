//! Whether an object in the cluster is already as it is wanted. Pure.
//!
//! The API server adds defaults and bookkeeping, so an object is as wanted when everything that is wanted is in it.

use serde_json::Value;

/// Whether `live` says everything that `wanted` says.
pub fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            live.get(key)
                .map_or_else(|| is_empty(wanted), |live| covers(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (Value::Null, wanted) => is_empty(wanted),
        (live, wanted) => live == wanted,
    }
}

/// The API server leaves empty things out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_bookkeeping_are_no_difference() {
        let wanted = json!({ "spec": { "ports": [{ "port": 1 }], "egress": [], "selector": { "a": {} } } });
        let live =
            json!({ "status": {}, "spec": { "ports": [{ "port": 1, "protocol": "TCP" }], "type": "ClusterIP" } });
        assert!(covers(&live, &wanted));
    }

    #[test]
    fn what_was_changed_by_hand_is_one() {
        let wanted = json!({ "spec": { "replicas": 4, "ports": [{ "port": 1 }] } });
        for live in [
            json!({ "spec": { "replicas": 2, "ports": [{ "port": 1 }] } }),
            json!({ "spec": { "replicas": 4, "ports": [{ "port": 1 }, { "port": 2 }] } }),
            json!({ "spec": { "replicas": 4, "ports": [] } }),
            json!({ "spec": { "ports": [{ "port": 1 }] } }),
            json!({}),
        ] {
            assert!(!covers(&live, &wanted), "{live}");
        }
    }
}
