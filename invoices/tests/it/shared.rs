//! Finds the vectors and takes documents out of test sets.

use std::path::PathBuf;

use muniment_invoices::{Set, Syntax};
use serde_json::Value;

/// One case of the manifest.
pub struct Case {
    pub id: String,
    pub family: String,
    pub syntax: String,
    pub set: Set,
    pub bytes: Vec<u8>,
    /// Rule, polarity, count.
    pub expect: Vec<(String, String, Option<u64>)>,
    /// Rule, flag, count.
    pub fired: Vec<(String, String, u64)>,
}

/// The folder of the vectors, or a note on stderr that it is not there.
pub fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var_os("MUNIMENT_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = root.join("vectors/einvoice");
    if path.join("manifest.jsonl").exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("MUNIMENT_VECTORS_WANTED").is_none(),
        "no vectors at {}",
        path.display()
    );
    eprintln!(
        "SKIPPED: no vectors at {}; set MUNIMENT_SHARED to run this test",
        path.display()
    );
    None
}

/// All cases of the manifest.
pub fn cases() -> Option<Vec<Case>> {
    let folder = folder()?;
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    Some(
        manifest
            .lines()
            .map(|line| case(&folder, &serde_json::from_str(line).unwrap()))
            .collect(),
    )
}

fn case(folder: &std::path::Path, row: &Value) -> Case {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let file = text("file");
    let bytes = std::fs::read(folder.join(&file)).unwrap();
    let bytes = match row["test"].as_u64() {
        Some(number) => child(&bytes, number as usize),
        None => bytes,
    };
    let entry = |value: &Value| {
        (
            value[0].as_str().unwrap().to_owned(),
            value[1].as_str().unwrap().to_owned(),
        )
    };
    Case {
        id: text("id"),
        family: file.split('/').next().unwrap().to_owned(),
        syntax: text("syntax"),
        set: if text("artefact").starts_with("xrechnung") {
            Set::XRechnung
        } else {
            Set::En16931
        },
        bytes,
        expect: row["expect"].as_array().unwrap().iter().map(expected).collect(),
        fired: row["fired"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| {
                let (rule, flag) = entry(value);
                (rule, flag, value[2].as_u64().unwrap())
            })
            .collect(),
    }
}

fn expected(value: &Value) -> (String, String, Option<u64>) {
    let field = |name: &str| value[name].as_str().unwrap().to_owned();
    (field("rule"), field("polarity"), value["count"].as_u64())
}

/// The document inside a test of a test set: the only child of the n-th `test` that is no `assert`.
fn child(bytes: &[u8], number: usize) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut depth, mut tests, mut start) = (0, 0, None);
    loop {
        let at = reader.buffer_position() as usize;
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(tag) => {
                depth += 1;
                let local = tag.local_name().as_ref().to_owned();
                if depth == 2 && local == "test" {
                    tests += 1;
                }
                if depth == 3 && tests == number + 1 && local != "assert" {
                    start = Some(at);
                }
            }
            quick_xml::events::Event::End(_) => {
                depth -= 1;
                if let (Some(start), 2) = (start, depth) {
                    return bytes[start..reader.buffer_position() as usize].to_vec();
                }
            }
            quick_xml::events::Event::Eof => panic!("no test {number}"),
            _ => {}
        }
    }
}

/// Whole documents: cases that are files of their own and no fragments.
pub fn whole(cases: &[Case]) -> impl Iterator<Item = &Case> {
    cases.iter().filter(|case| !case.family.ends_with("unit"))
}

/// The syntax by its name.
pub fn syntax(name: &str) -> Syntax {
    [Syntax::UblInvoice, Syntax::UblCreditNote, Syntax::Cii]
        .into_iter()
        .find(|syntax| syntax.name() == name)
        .unwrap()
}
