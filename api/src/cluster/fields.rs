//! Which fields of a custom resource are ours: what server-side apply has to be told again, so that it keeps them. And
//! which are somebody else's: to leave those out takes nothing away.

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

/// Fields that a patch would take away and somebody else keeps: by whom, and where.
pub fn foreign<K: Resource<DynamicType = ()> + Serialize>(
    resource: &K,
    manager: &str,
    patch: &Value,
) -> Vec<(String, String)> {
    let value = serde_json::to_value(resource).unwrap_or_default();
    let mut found = Vec::new();
    for entry in resource.meta().managed_fields.iter().flatten() {
        let owner = entry.manager.as_deref().unwrap_or("somebody");
        // Also what came through `scale`.
        let of_spec = entry.subresource.as_deref() != Some("status");
        if let Some(fields) = entry.fields_v1.as_ref().filter(|_| of_spec && owner != manager) {
            let mut places = Vec::new();
            taken(patch, &value["spec"], &fields.0["f:spec"], ".spec", &mut places);
            found.extend(places.into_iter().map(|place| (owner.to_owned(), place)));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where a patch has null for what is there and is named by a set of fields.
fn taken(patch: &Value, value: &Value, owned: &Value, place: &str, places: &mut Vec<String>) {
    for (name, inner) in patch.as_object().into_iter().flatten() {
        let owned = &owned[format!("f:{name}").as_str()];
        let (value, place) = (&value[name.as_str()], format!("{place}.{name}"));
        if owned.is_null() || value.is_null() {
            continue;
        }
        match inner {
            Value::Null => places.push(place),
            inner => taken(inner, value, owned, &place, places),
        }
    }
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
    fn what_somebody_else_keeps_isnt_taken_away() {
        let owns = |manager: &str, fields: Value| json!({ "manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": fields } });
        let network: LedgerNetwork = serde_json::from_value(json!({
            "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "contracts", "namespace": "acme", "managedFields": [
                owns("kubectl", json!({ "f:deletionPolicy": {}, "f:limits": { "f:blockActions": {} } })),
                owns("muniment-api", json!({ "f:preventDeletion": {} })),
                { "manager": "operator", "operation": "Apply", "subresource": "status", "fieldsType": "FieldsV1",
                    "fieldsV1": { "f:spec": { "f:preventDeletion": {} } } },
            ] },
            "spec": { "templates": [{ "name": "notarization" }], "deletionPolicy": "Delete", "preventDeletion": true,
                "limits": { "blockActions": 5000 } },
        }))
        .unwrap();
        let found = |patch: Value| foreign(&network, "muniment-api", &patch);
        let by_kubectl = |place: &str| vec![("kubectl".to_owned(), place.to_owned())];
        assert_eq!(
            found(json!({ "deletionPolicy": null })),
            by_kubectl(".spec.deletionPolicy")
        );
        assert_eq!(found(json!({ "limits": null })), by_kubectl(".spec.limits"));
        assert_eq!(
            found(json!({ "limits": { "blockActions": null } })),
            by_kubectl(".spec.limits.blockActions")
        );
        for ours in [
            json!({ "preventDeletion": null, "displayName": null, "limits": { "blockBytes": null } }),
            json!({ "deletionPolicy": "Retain" }),
        ] {
            assert_eq!(found(ours), []);
        }
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
