//! Our schema subset means what JSON Schema 2020-12 says: compared with the `jsonschema` crate.

use muniment_ledger::template::schema;
use muniment_ledger::template::validate::validate;
use muniment_ledger::template::yaml::{At, Path, Run, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0usize..3, 0usize..6).prop_map(|(min, max)| json!({ "type": "string", "minLength": min, "maxLength": max })),
        Just(json!({ "type": "string", "maxLength": 8, "pattern": "^[a-c]+$" })),
        Just(json!({ "type": "string", "enum": ["a", "bc"] })),
        (-3i64..3, -3i64..3).prop_map(|(min, max)| json!({ "type": "integer", "minimum": min, "maximum": max })),
        Just(json!({ "type": "integer", "enum": [1, 2] })),
        Just(json!({ "type": "boolean" })),
        Just(json!({ "type": "boolean", "const": true })),
    ]
}

fn schema_of(inner: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Value> {
    let object = prop::collection::btree_map("[a-d]", (inner.clone(), any::<bool>()), 0..4).prop_map(|properties| {
        let required: Vec<_> = properties
            .iter()
            .filter(|(_, (_, r))| *r)
            .map(|(name, _)| name.clone())
            .collect();
        let properties: serde_json::Map<_, _> = properties
            .into_iter()
            .map(|(name, (schema, _))| (name, schema))
            .collect();
        json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
    });
    let array = (
        prop::collection::vec(inner.clone(), 0..2),
        prop::option::of(inner),
        0usize..3,
        0usize..4,
        any::<bool>(),
    )
        .prop_map(|(prefix, items, min, max, unique)| {
            let mut schema = json!({ "type": "array", "minItems": min, "maxItems": max, "uniqueItems": unique });
            if !prefix.is_empty() {
                schema["prefixItems"] = json!(prefix);
            }
            schema["items"] = items.unwrap_or(json!(false));
            schema
        });
    prop_oneof![object, array]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-cä]{0,4}".prop_map(Value::from),
        (-4i64..5).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Values that often fit a schema.
fn fitting(schema: &Value) -> BoxedStrategy<Value> {
    let good: BoxedStrategy<Value> = match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let parts: Vec<_> = properties
                .into_iter()
                .map(|(name, schema)| {
                    prop::option::weighted(0.8, fitting(&schema)).prop_map(move |v| (name.clone(), v))
                })
                .collect();
            parts
                .prop_map(|parts| Value::Object(parts.into_iter().filter_map(|(n, v)| Some((n, v?))).collect()))
                .boxed()
        }
        Some("array") => {
            let items = schema.get("items").filter(|items| items.is_object()).cloned();
            let prefix: Vec<_> = schema["prefixItems"]
                .as_array()
                .into_iter()
                .flatten()
                .map(fitting)
                .collect();
            let rest = items.map_or(Just(Vec::new()).boxed(), |items| {
                prop::collection::vec(fitting(&items), 0..4).boxed()
            });
            (prefix, rest)
                .prop_map(|(prefix, rest)| Value::Array(prefix.into_iter().chain(rest).collect()))
                .boxed()
        }
        Some("string") => "[a-cä]{0,6}".prop_map(Value::from).boxed(),
        Some("integer") => (-4i64..4).prop_map(Value::from).boxed(),
        _ => any::<bool>().prop_map(Value::from).boxed(),
    };
    prop_oneof![9 => good, 1 => value()].boxed()
}

fn case() -> impl Strategy<Value = (Value, Value)> {
    let schema = leaf().prop_recursive(3, 12, 4, |inner| schema_of(inner).boxed());
    schema
        .prop_map(|schema| {
            json!({ "type": "object", "additionalProperties": false, "required": [], "properties": { "x": schema } })
        })
        .prop_flat_map(|schema| {
            let values = fitting(&schema);
            (Just(schema), values)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_jsonschema_crate((schema, value) in case()) {
        let oracle = jsonschema::draft202012::new(&schema).unwrap();
        let node = parse(&schema.to_string()).unwrap();
        let source = schema.to_string();
        let run = Run::new(&source);
        let compiled = schema::object(At { node: &node, path: &Path::Top, run: &run }, &schema::Named::new()).unwrap();
        let found = validate(&compiled, &value);
        prop_assert_eq!(found.is_ok(), oracle.is_valid(&value), "{:?}", found);
        if let Err(invalid) = found {
            // A pointer to a missing property's object or to a value that is there.
            prop_assert!(value.pointer(&invalid.pointer).is_some(), "{:?}", invalid);
        }
    }
}
