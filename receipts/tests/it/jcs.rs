//! Canonical JSON: the reader accepts exactly RFC 8785 within our limits.

use std::fmt::Write as _;

use muniment_receipts::jcs;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::vectors;

#[test]
fn accepts_canonical_and_nothing_else() {
    for good in [
        "{}",
        "[]",
        "null",
        "true",
        "-1",
        "9007199254740991",
        r#"{"a":1,"b":[{},"é\n\u001f/"]}"#,
        r#""\"\\\b\f""#,
    ] {
        assert!(jcs::parse(good.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        "",
        " {}",
        "{} ",
        "{}\n",
        "{ }",
        "[1, 2]",
        "1.0",
        "1e3",
        "-0",
        "01",
        "9007199254740992",
        "-9007199254740992",
        "0.5",
        r#"{"a":1,"a":1}"#,
        r#"{"b":1,"a":1}"#,
        r#""\u00e9""#,
        r#""\/""#,
        r#""\u001F""#,
        r#""\u000a""#,
        "{}{}",
        "[1,]",
        "nul",
        "'a'",
        "18446744073709551616",
        "1e400",
    ] {
        assert!(jcs::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(jcs::parse(b"\"\xff\"").is_err());
    assert!(jcs::parse("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn keys_are_ordered_by_utf16() {
    // U+10000 is a surrogate pair in UTF-16 and so comes before U+FFFF, unlike in UTF-8.
    let text = "{\"a\":1,\"\u{10000}\":2,\"\u{ffff}\":3}";
    let value = jcs::parse(text.as_bytes()).unwrap();
    assert_eq!(jcs::to_vec(&value).unwrap(), text.as_bytes());
    assert!(jcs::parse("{\"\u{ffff}\":3,\"\u{10000}\":2}".as_bytes()).is_err());
}

#[test]
fn writing_refuses_what_reading_refuses() {
    for bad in [
        json!(0.5),
        json!([u64::MAX]),
        json!({"a": 9_007_199_254_740_992_u64}),
        json!(i64::MIN),
    ] {
        assert!(jcs::to_vec(&bad).is_err(), "{bad}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_the_canonicalizer(value in value()) {
        let expected = serde_json_canonicalizer::to_vec(&value).unwrap();
        prop_assert_eq!(jcs::to_vec(&value).unwrap(), expected.clone());
        prop_assert_eq!(jcs::parse(&expected).unwrap(), value);
    }

    #[test]
    fn a_changed_byte_is_refused_or_another_value(value in value(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut text = jcs::to_vec(&value).unwrap();
        let at = at.index(text.len());
        text[at] ^= 1_u8 << bit;
        if let Ok(other) = jcs::parse(&text) {
            prop_assert_ne!(&other, &value);
            prop_assert_eq!(jcs::to_vec(&other).unwrap(), text);
        }
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = jcs::parse(&bytes);
    }
}

#[test]
fn published_triples() {
    for name in ["arrays", "french", "values"] {
        let Some(input) = vectors::json(&format!("jcs/input/{name}.json")) else {
            return;
        };
        let output = vectors::text(&format!("jcs/output/{name}.json")).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&input).unwrap(), output, "{name}");
        let hex = vectors::text(&format!("jcs/outhex/{name}.txt")).unwrap();
        let bytes = hex::decode(hex.split_whitespace().collect::<String>()).unwrap();
        assert_eq!(bytes, output.as_bytes(), "{name}");
        // Floats are beyond our limits; the rest must come through.
        assert_eq!(jcs::to_vec(&input).ok(), (name != "values").then_some(bytes), "{name}");
    }
}

/// The number rules of the canonicalizer that we rely on, to 100,000 lines.
#[test]
fn es6_numbers() {
    let Some(file) = vectors::json("jcs/es6_numbers.json") else {
        return;
    };
    let fixed = file["static_u64_hex"].as_array().unwrap();
    let fixed = fixed
        .iter()
        .map(|hex| u64::from_str_radix(hex.as_str().unwrap(), 16).unwrap());
    let serial = (0..2_000).map(|step| 0x0010_0000_0000_0000_u64 + step);
    let mut block = [0; 32];
    let mut position = 4;
    let random = std::iter::repeat_with(move || {
        if position == 4 {
            block = Sha256::digest(block).into();
            position = 0;
        }
        let number = u64::from_le_bytes(block[position * 8..][..8].try_into().unwrap());
        position += 1;
        number
    });
    let random = random.filter(|bits| *bits << 1 != 0 && f64::from_bits(*bits).is_finite());
    let mut sums = file["checksums"].as_array().unwrap().iter();
    let mut sum = sums.next();
    let mut hasher = Sha256::new();
    let mut line = String::new();
    for (count, bits) in (1_u64..=100_000).zip(fixed.chain(serial).chain(random)) {
        line.clear();
        let number = serde_json_canonicalizer::to_string(&f64::from_bits(bits)).unwrap();
        writeln!(line, "{bits:x},{number}").unwrap();
        hasher.update(&line);
        if let Some(expected) = sum.filter(|sum| sum["lines"] == count) {
            assert_eq!(
                hex::encode(hasher.clone().finalize()),
                expected["sha256"].as_str().unwrap(),
                "{count} lines"
            );
            sum = sums.next();
        }
    }
    assert!(sum.is_none(), "all three checksums were reached");
}
