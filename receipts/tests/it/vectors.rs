//! Finds and reads vector files.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

/// Path of a vector file or folder of `notary/`, or a note on the terminal that it is not there.
pub fn path(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let root = std::env::var_os("MUNIMENT_VECTORS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = root.join("notary").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("MUNIMENT_VECTORS_WANTED").is_none(),
        "no vectors at {}",
        path.display()
    );
    // Not by a print macro: libtest would keep it back, because the test passes.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: no vectors at {}; set MUNIMENT_VECTORS to run this test",
        path.display()
    );
    None
}

/// Text of a vector file.
pub fn text(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(path(name)?).unwrap())
}

/// A JSON file.
pub fn json(name: &str) -> Option<Value> {
    Some(serde_json::from_str(&text(name)?).unwrap())
}

/// A file with one JSON value a line.
pub fn lines(name: &str) -> Option<Vec<Value>> {
    Some(
        text(name)?
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// Hex text of a field.
pub fn hex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}
