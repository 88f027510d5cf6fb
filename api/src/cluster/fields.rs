//! Which fields of a custom resource are ours: what server-side apply has to be told again, so that it keeps them.

use kube::Resource;
use serde::Serialize;
use serde_json::{Map, Value};

/// The part of `spec` that a field manager keeps, as it is now.
pub fn kept<K: Resource<DynamicType = ()> + Serialize>(resource: &K, manager: &str) -> Value {
    let value = serde_json::to_value(resource).unwrap_or_default();
    let entries = resource.meta().managed_fields.iter().flatten();
    let applied = entries.filter(|entry| {
        entry.manager.as_deref() == Some(manager)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    });
    let mut own = Value::Object(Map::new());
    for entry in applied {
        let owned = entry.fields_v1.as_ref().map(|fields| &fields.0["f:spec"]);
        if let Some(owned) = owned.filter(|owned| owned.is_object()) {
            own = merge(own, &part(&value["spec"], owned));
        }
    }
    own
}

/// What of a value is named by a set of fields. A list is taken whole as soon as anything in it is ours: its elements are
/// named by keys, and to give some back would change the others.
fn part(value: &Value, owned: &Value) -> Value {
    let (Some(fields), Some(owned)) = (value.as_object(), owned.as_object()) else {
        return value.clone();
    };
    let named: Map<String, Value> = owned
        .iter()
        .filter_map(|(name, inner)| {
            let name = name.strip_prefix("f:")?;
            Some((name.to_owned(), part(fields.get(name)?, inner)))
        })
        .collect();
    // `{}` or `.` alone: the whole value is one field.
    if named.is_empty() {
        value.clone()
    } else {
        Value::Object(named)
    }
}

/// RFC 7396: fields of the patch replace those of the value, null removes.
pub fn merge(mut value: Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else {
        return patch.clone();
    };
    if !value.is_object() {
        value = Value::Object(Map::new());
    }
    if let Some(fields) = value.as_object_mut() {
        for (name, inner) in patch {
            if inner.is_null() {
                fields.remove(name);
            } else {
                let old = fields.remove(name).unwrap_or(Value::Null);
                fields.insert(name.clone(), merge(old, inner));
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use muniment_crds::LedgerNetwork;
    use serde_json::json;

    #[test]
    fn only_our_own_fields_are_told_again() {
        let network: LedgerNetwork = serde_json::from_value(json!({
            "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "contracts", "namespace": "acme", "managedFields": [
                { "manager": "muniment-api", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:spec": { "f:validators": { "f:count": {} }, "f:templates": { "k:{\"name\":\"notarization\"}": { ".": {} } } } } },
                { "manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:spec": { "f:limits": { "f:blockActions": {} } } } },
            ] },
            "spec": {
                "validators": { "count": 7 }, "templates": [{ "name": "notarization" }],
                "limits": { "blockActions": 5000 },
            },
        }))
        .unwrap();
        assert_eq!(
            kept(&network, "muniment-api"),
            json!({ "validators": { "count": 7 }, "templates": [{ "name": "notarization" }] })
        );
        assert_eq!(kept(&network, "nobody"), json!({}));
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let value = json!({ "a": { "b": 1, "c": 2 }, "d": [1] });
        assert_eq!(
            merge(value, &json!({ "a": { "b": null, "e": 3 }, "d": [2] })),
            json!({ "a": { "c": 2, "e": 3 }, "d": [2] })
        );
    }
}
