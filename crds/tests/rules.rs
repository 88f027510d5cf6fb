//! Accept and reject: what the Kubernetes API server would say, from the generated schema alone.
//!
//! Structure is checked by a JSON Schema validator, `x-kubernetes-validations` by a CEL interpreter; neither
//! knows our types.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use cel::extractors::This;
use cel::{Context, Program, Value as Cel};
use serde_json::{Value, json};

fn schema(kind: &str) -> Value {
    let definitions = muniment_crds::definitions().unwrap();
    let found = definitions.iter().find(|d| d.crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(found.crd.spec.versions[0].schema.as_ref().unwrap()).unwrap()["openAPIV3Schema"].clone()
}

/// Fills in defaults as the API server does before it validates.
fn fill(schema: &Value, value: &mut Value) {
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object_mut()) {
        for (name, property) in properties {
            if let (None, Some(default)) = (object.get(name), property.get("default")) {
                object.insert(name.clone(), default.clone());
            }
            if let Some(inner) = object.get_mut(name) {
                fill(property, inner);
            }
        }
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array_mut()) {
        list.iter_mut().for_each(|item| fill(items, item));
    }
}

fn holds(rule: &str, value: &Value, old: Option<&Value>) -> bool {
    let program = Program::compile(rule).unwrap();
    let mut context = Context::default();
    let _ = context.add_function("matches", |This(text): This<Arc<String>>, pattern: Arc<String>| {
        regex::Regex::new(&pattern).unwrap().is_match(&text)
    });
    // What the API server's quantity library gives, in bytes.
    let _ = context.add_function("quantity", |text: Arc<String>| {
        i64::try_from(muniment_crds::bytes(&text).unwrap()).unwrap()
    });
    let _ = context.add_function("compareTo", |This(left): This<i64>, right: i64| left.cmp(&right) as i64);
    context.add_variable("self", value.clone()).unwrap();
    if let Some(old) = old {
        context.add_variable("oldSelf", old.clone()).unwrap();
    }
    match program.execute(&context) {
        Ok(Cel::Bool(holds)) => holds,
        other => panic!("{rule} gave {other:?} for {value}"),
    }
}

fn walk(schema: &Value, value: &Value, old: Option<&Value>, messages: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let text = rule["rule"].as_str().unwrap();
        let skip = text.contains("oldSelf") && old.is_none();
        if !skip && !holds(text, value, old) {
            messages.push(rule["message"].as_str().unwrap().to_owned());
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            walk(property, inner, old.and_then(|o| o.get(name)), messages);
        }
    }
    if let Some(items) = schema.get("items") {
        value
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|item| walk(items, item, None, messages));
    }
}

fn review(kind: &str, mut value: Value, old: Option<Value>) -> Result<(), Vec<String>> {
    let schema = schema(kind);
    fill(&schema, &mut value);
    let mut messages: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&value)
        .map(|e| e.to_string())
        .collect();
    if messages.is_empty() {
        let old = old.map(|mut old| {
            fill(&schema, &mut old);
            old
        });
        walk(&schema, &value, old.as_ref(), &mut messages);
    }
    if messages.is_empty() { Ok(()) } else { Err(messages) }
}

fn network(spec: Value) -> Value {
    json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": "notary", "namespace": "demo" }, "spec": spec })
}

fn notarization() -> Value {
    json!({ "templates": [{ "name": "notarization" }] })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut spec = json!({ "validators": { "count": 4 }, "templates": [{ "name": "notarization" }],
                           "members": [], "limits": {} });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap()[key] = value;
    network(spec)
}

fn refused(value: Value, words: &str) {
    let messages = review("LedgerNetwork", value.clone(), None).expect_err("was accepted");
    assert!(
        messages.iter().any(|m| m.contains(words)),
        "{value}: {messages:?} doesn't say {words:?}"
    );
}

#[test]
fn the_short_form_is_complete() {
    review("LedgerNetwork", network(notarization()), None).unwrap();
    let short = json!({ "validators": { "count": 4 }, "templates": [{ "name": "notarization" }] });
    review("LedgerNetwork", network(short.clone()), None).unwrap();
    let parsed: muniment_crds::LedgerNetwork = serde_json::from_value(network(short)).unwrap();
    assert_eq!(parsed.spec.validators.count, 4);
    assert!(parsed.spec.members.is_empty());
}

#[test]
fn defaults_of_types_and_schema_agree() {
    let mut filled = network(notarization());
    fill(&schema("LedgerNetwork"), &mut filled);
    let parsed: muniment_crds::LedgerNetwork = serde_json::from_value(network(notarization())).unwrap();
    assert_eq!(serde_json::to_value(parsed.spec).unwrap(), filled["spec"]);
}

#[test]
fn a_full_network_is_accepted() {
    let spec = json!({
        "validators": { "count": 7 },
        "templates": [{ "name": "notarization", "revision": 1 }],
        "members": [{ "name": "acme", "key": format!("ed25519:{}", "A".repeat(43)) },
                    { "name": "other", "key": format!("p256:{}", "A".repeat(44)) }],
        "limits": { "blockBytes": 1048576, "blockActions": 5000, "mempoolBytes": 33554432,
                    "proposeTimeoutMillis": 300, "voteTimeoutMillis": 150, "heartbeatMillis": 600000 }
    });
    review("LedgerNetwork", network(spec), None).unwrap();
}

#[test]
fn bad_networks_are_refused_with_the_fix() {
    for count in [0, 1, 3, 32] {
        refused(with("/validators/count", json!(count)), "use 4, 7 or 10");
    }
    refused(with("/validators/count", json!(-4)), "minimum");
    refused(with("/validators/count", json!("4")), "integer");
    refused(with("/templates", json!([])), "less than 1 item");
    refused(network(json!({})), "\"templates\" is a required property");
    refused(
        with("/templates", json!([{ "name": "Notarization" }])),
        "use the name in the template's file",
    );
    refused(
        with("/templates", json!([{ "name": "notarization", "revision": 0 }])),
        "minimum of 1",
    );
    refused(
        with("/members", json!([{ "name": "acme", "key": "ed25519:short" }])),
        "write the public key so",
    );
    refused(
        with(
            "/members",
            json!([{ "name": "", "key": format!("ed25519:{}", "A".repeat(43)) }]),
        ),
        "shorter than 1",
    );
    refused(with("/limits", json!({ "blockBytes": 1 })), "64 KiB");
    refused(with("/limits", json!({ "blockActions": 1 })), "one full batch");
    refused(with("/limits", json!({ "heartbeatMillis": 1 })), "a day");
    refused(with("/limits", json!({ "proposeTimeoutMillis": 1 })), "10 to 60000");
    refused(with("/limits", json!({ "voteTimeoutMillis": 90000 })), "10 to 60000");
    refused(
        with("/limits", json!({ "blockBytes": 4194304, "mempoolBytes": 2097152 })),
        "32 MiB",
    );
    let mut named = network(notarization());
    for name in ["a.b", "a-", &"x".repeat(41)] {
        named["metadata"]["name"] = json!(name);
        refused(named.clone(), "choose such a name");
    }
}

#[test]
fn what_is_sealed_cant_be_changed_but_limits_and_the_count_can() {
    let mut sealed = with("/validators/count", json!(4));
    sealed["status"] = json!({ "networkId": "00" });
    let update = |old: &Value, mut new: Value| {
        new["status"] = old["status"].clone();
        review("LedgerNetwork", new, Some(old.clone()))
    };
    update(&sealed, sealed.clone()).unwrap();
    update(&sealed, with("/limits", json!({ "blockActions": 2000 }))).unwrap();
    let mut unsealed = sealed.clone();
    unsealed["status"] = json!({});
    update(&sealed, with("/validators/count", json!(7))).expect("validators join and leave");
    let messages = update(&sealed, with("/validators/count", json!(3))).expect_err("was accepted");
    assert!(messages[0].contains("must be from 4 to 31"), "{messages:?}");
    for new in [
        with("/templates", json!([{ "name": "other" }])),
        with(
            "/members",
            json!([{ "name": "acme", "key": format!("ed25519:{}", "A".repeat(43)) }]),
        ),
    ] {
        update(&unsealed, new.clone()).expect("what isn't sealed yet can be corrected");
        let messages = update(&sealed, new).expect_err("was accepted");
        assert!(messages[0].contains("sealed in the genesis"), "{messages:?}");
    }
}

#[test]
fn a_shared_network_has_four_validators_and_stays_shared() {
    let shared = |count: u32| {
        network(json!({ "placement": "Shared", "validators": { "count": count },
                                              "templates": [{ "name": "notarization" }] }))
    };
    review("LedgerNetwork", shared(4), None).unwrap();
    refused(
        shared(7),
        "set spec.validators.count to 4, or spec.placement to Dedicated",
    );
    refused(with("/placement", json!("Elsewhere")), "Elsewhere");
    let mut sealed = shared(4);
    sealed["status"] = json!({ "networkId": "00" });
    let mut dedicated = network(notarization());
    dedicated["status"] = sealed["status"].clone();
    let messages = review("LedgerNetwork", dedicated.clone(), Some(sealed.clone())).expect_err("was accepted");
    assert!(
        messages[0].contains("create a network with the placement you want"),
        "{messages:?}"
    );
    review("LedgerNetwork", sealed, Some(dedicated)).expect_err("nor the other way");
}

#[test]
fn storage_grows_and_stays_in_its_class() {
    let mut old = with("/storage", json!({ "size": "10Gi", "className": "fast" }));
    let update_of = |old: &Value, storage: Value| {
        let mut new = with("/storage", storage);
        new["status"] = old["status"].clone();
        review("LedgerNetwork", new, Some(old.clone()))
    };
    old["status"] = json!({});
    update_of(&old, json!({ "size": "10Gi", "className": "slow" })).expect("no volume is there yet");
    old["status"] = json!({ "networkId": "00" });
    let update = |storage: Value| update_of(&old, storage);
    update(json!({ "size": "10240Mi", "className": "fast" })).unwrap();
    update(json!({ "size": "1Ti", "className": "fast" })).unwrap();
    for (storage, words) in [
        (json!({ "size": "9Gi", "className": "fast" }), "can't shrink"),
        (json!({ "className": "fast" }), "can't shrink"),
        (json!({ "size": "10Gi", "className": "slow" }), "can't be changed"),
        (json!({ "size": "10Gi" }), "can't be changed"),
    ] {
        let messages = update(storage).expect_err("was accepted");
        assert!(messages[0].contains(words), "{messages:?}");
    }
    refused(
        with("/storage", json!({ "size": "10" })),
        "whole number of Mi, Gi or Ti",
    );
    refused(with("/size", json!("Huge")), "Huge");
    refused(with("/desiredState", json!("Paused")), "Paused");
}

#[test]
fn quotas_of_tenants() {
    let tenant = |quota: Value| json!({ "metadata": { "name": "acme" }, "spec": { "quota": quota } });
    review(
        "Tenant",
        tenant(json!({ "networks": 3, "validators": 12, "storage": "40Gi" })),
        None,
    )
    .unwrap();
    review("Tenant", tenant(json!({ "networks": 0 })), None).unwrap();
    for (quota, words) in [
        (json!({ "storage": "40" }), "whole number of Mi"),
        (json!({ "networks": -1 }), "minimum"),
        (json!({ "networks": 10_001 }), "maximum"),
    ] {
        let messages = review("Tenant", tenant(quota), None).expect_err("was accepted");
        assert!(messages.iter().any(|m| m.contains(words)), "{messages:?}");
    }
}

#[test]
fn tenants() {
    let tenant = |name: &str| json!({ "metadata": { "name": name }, "spec": { "displayName": "Acme" } });
    for name in ["demo", "a", &"x".repeat(40)] {
        review("Tenant", tenant(name), None).unwrap();
    }
    for name in ["default", "kube-system", "muniment-system"] {
        assert!(review("Tenant", tenant(name), None).unwrap_err()[0].contains("kept for the system"));
    }
    for name in ["Demo", "a.b", "1a", "a-", &"x".repeat(41)] {
        assert!(review("Tenant", tenant(name), None).unwrap_err()[0].contains("choose such a name"));
    }
}

#[test]
fn unknown_fields_are_named_when_read() {
    let mut value = network(notarization());
    value["spec"]["validatorz"] = json!({});
    let error = serde_json::from_value::<muniment_crds::LedgerNetwork>(value)
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `validatorz`"), "{error}");
}

#[test]
fn every_message_names_a_fix_and_every_list_is_bounded() {
    fn visit(schema: &Value, path: &str, in_status: bool) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            assert!(
                rule["message"]
                    .as_str()
                    .is_some_and(|m| m.contains("must") || m.contains(';')),
                "{path}"
            );
        }
        if schema["type"] == "array" && !in_status {
            assert!(
                schema["maxItems"].is_u64(),
                "{path} has no maxItems: CEL cost is refused"
            );
        }
        assert!(schema.get("additionalProperties").is_none(), "{path} isn't structural");
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            visit(property, &format!("{path}/{name}"), in_status || name == "status");
        }
        if let Some(items) = schema.get("items") {
            visit(items, path, in_status);
        }
    }
    for kind in ["Tenant", "LedgerNetwork", "RecordTemplate", "NetworkBackup"] {
        visit(&schema(kind), kind, false);
    }
}
