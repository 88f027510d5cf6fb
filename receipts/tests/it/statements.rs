//! Statements, headers and items: one spelling, clear refusals.

use std::error::Error;

use muniment_receipts::statement::{BatchHeader, Item, MAX_STATEMENT, Statement, StatementError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{World, document, input, salted};

fn statement() -> Statement {
    Statement::new(World::new(1).common(), input(&salted(), &document()), Some([4; 32]))
}

#[test]
fn what_is_written_can_be_read() {
    let good = statement();
    let bytes = good.canonical().unwrap();
    assert_eq!(Statement::parse(&bytes).unwrap(), good);
    assert_eq!(bytes, serde_json_canonicalizer::to_vec(&good).unwrap());
    let header = BatchHeader::new(World::new(1).common(), 1_000, [5; 32]);
    let bytes = header.canonical().unwrap();
    assert_eq!(BatchHeader::parse(&bytes).unwrap(), header);
    let item = Item {
        input: input(&salted(), &document()),
        record: Some([6; 32]),
    };
    assert_eq!(Item::parse(&item.canonical().unwrap()).unwrap(), item);
    assert!(Statement::parse(&bytes).is_err() && BatchHeader::parse(&item.canonical().unwrap()).is_err());
}

/// The format, spelled out, so that a change of it can't go unseen.
#[test]
fn the_format_is_fixed() {
    let mut common = World::new(1).common();
    common.network = [0xab; 32];
    let network = "ab".repeat(32);
    let signer = common.signer.to_string();
    let valid_until = common.valid_until;
    let single = Statement::new(common.clone(), serde_json::Map::new(), None)
        .canonical()
        .unwrap();
    let expected = format!(
        r#"{{"action":"deposit","input":{{}},"network":"{network}","nonce":"BwcHBwcHBwcHBwcHBwcHBw","revision":1,"signer":"{signer}","template":"notarization","type":"muniment.dev/statement/v1","validUntil":{valid_until}}}"#
    );
    assert_eq!(String::from_utf8(single).unwrap(), expected);
    let header = BatchHeader::new(common, 2, [0; 32]).canonical().unwrap();
    let zeros = "00".repeat(32);
    let expected = format!(
        r#"{{"action":"deposit","items":2,"itemsRoot":"{zeros}","network":"{network}","nonce":"BwcHBwcHBwcHBwcHBwcHBw","revision":1,"signer":"{signer}","template":"notarization","type":"muniment.dev/batch/v1","validUntil":{valid_until}}}"#
    );
    assert_eq!(String::from_utf8(header).unwrap(), expected);
    let item = Item {
        input: serde_json::Map::new(),
        record: Some([1; 32]),
    }
    .canonical()
    .unwrap();
    assert_eq!(
        String::from_utf8(item).unwrap(),
        format!(r#"{{"input":{{}},"record":"{}"}}"#, "01".repeat(32))
    );
}

fn changed(field: &str, value: Option<Value>) -> Result<Statement, StatementError> {
    let mut json: Value = serde_json::from_slice(&statement().canonical().unwrap()).unwrap();
    let object = json.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(field.to_owned(), value),
        None => object.remove(field),
    };
    Statement::parse(&serde_json_canonicalizer::to_vec(&json).unwrap())
}

#[test]
fn every_field_is_judged() {
    let wrong = [
        ("action", json!(1)),
        ("input", json!([])),
        ("input", json!({"a": 0.5})),
        ("network", json!("AB".repeat(32))),
        ("network", json!("ab")),
        ("nonce", json!("BwcHBwcHBwcHBwcHBwcHBx")),
        ("nonce", json!("BwcHBwcHBwcHBwcHBwcHBw==")),
        ("record", json!(null)),
        ("revision", json!(-1)),
        ("revision", json!(4_294_967_296_u64)),
        ("signer", json!("ed25519:AA")),
        ("type", json!("muniment.dev/statement/v2")),
        ("validUntil", json!("1")),
        ("extra", json!(1)),
    ];
    for (field, value) in wrong {
        let error = changed(field, Some(value.clone())).expect_err(&format!("{field}: {value}"));
        let source = error.source().unwrap().to_string();
        assert!(
            source.contains(field) || value["a"] == 0.5,
            "{field}: {value}: {error}: {source}"
        );
    }
    for field in [
        "action",
        "input",
        "network",
        "nonce",
        "revision",
        "signer",
        "template",
        "type",
        "validUntil",
    ] {
        let error = changed(field, None).unwrap_err();
        assert_eq!(
            error.source().unwrap().to_string(),
            format!("field `{field}` is missing")
        );
    }
    assert!(changed("record", None).is_ok());
}

#[test]
fn the_limit_is_4_kib() {
    let with = |length: usize| {
        let mut statement = statement();
        statement
            .input
            .insert("text".to_owned(), Value::from("a".repeat(length)));
        statement
    };
    let room = MAX_STATEMENT - with(0).canonical().unwrap().len();
    let fits = with(room).canonical().unwrap();
    assert_eq!(fits.len(), MAX_STATEMENT);
    assert!(Statement::parse(&fits).is_ok());
    assert!(matches!(with(room + 1).canonical(), Err(StatementError::TooLong(4097))));
    let long = serde_json::to_vec(&with(room + 1)).unwrap();
    assert!(matches!(Statement::parse(&long), Err(StatementError::TooLong(4097))));
    assert!(
        with(room + 1)
            .canonical()
            .unwrap_err()
            .to_string()
            .starts_with("4097 bytes")
    );
}

#[test]
fn a_batch_has_1_to_1000_items() {
    for (items, fine) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
        let bytes = BatchHeader::new(World::new(1).common(), items, [5; 32])
            .canonical()
            .unwrap();
        assert_eq!(BatchHeader::parse(&bytes).is_ok(), fine, "{items}");
    }
}

proptest! {
    #[test]
    fn a_changed_byte_is_another_statement_or_none(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let good = statement();
        let mut bytes = good.canonical().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(other) = Statement::parse(&bytes) {
            prop_assert_ne!(&other, &good);
            prop_assert_eq!(other.canonical().unwrap(), bytes);
        }
    }
}
