//! The whole documents of the vectors, through the binary.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{lines, with_stdin};

/// The vectors lie beside the repository; without them there is nothing to compare with.
fn vectors() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let root = std::env::var_os("MUNIMENT_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let folder = root.join("vectors/einvoice");
    if folder.join("manifest.jsonl").exists() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no vectors at {}; set MUNIMENT_SHARED to run this test",
        folder.display()
    );
    None
}

/// The whole documents of the vectors through the binary give the findings that their labels name.
#[test]
fn whole_documents_fire_what_the_official_rules_fire() {
    let Some(folder) = vectors() else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let cases: Vec<Value> = manifest
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (artefact, profile) in [("en16931", "en16931"), ("xrechnung", "xrechnung")] {
        let whole: Vec<&Value> = cases
            .iter()
            .filter(|case| case["test"].is_null() && case["artefact"].as_str().unwrap().starts_with(artefact))
            .collect();
        assert!(!whole.is_empty());
        let files: Vec<String> = whole.iter().map(|case| path(&folder, &case["file"])).collect();
        let list = files.join("\n");
        let answer = with_stdin(
            &["check", "--files-from", "-", "--profile", profile, "-o", "jsonl"],
            list.as_bytes(),
        );
        let reports = lines(&answer);
        assert_eq!(reports.len(), whole.len());
        for (case, report) in whole.into_iter().zip(reports) {
            assert_eq!(fired(&report, profile), labelled(case), "{}", case["id"]);
        }
    }
}

fn path(folder: &Path, file: &Value) -> String {
    folder.join(file.as_str().unwrap()).to_str().unwrap().to_owned()
}

/// Rules of a set that fired, once for each firing.
fn fired(report: &Value, set: &str) -> Vec<String> {
    let findings = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["set"] == set);
    let mut rules: Vec<String> = findings
        .map(|finding| finding["rule"].as_str().unwrap().to_owned())
        .collect();
    rules.sort_unstable();
    rules
}

fn labelled(case: &Value) -> Vec<String> {
    let fired = case["fired"].as_array().unwrap().iter();
    let mut rules: Vec<String> = fired
        .flat_map(|entry| {
            std::iter::repeat_n(
                entry[0].as_str().unwrap().to_owned(),
                entry[2].as_u64().unwrap() as usize,
            )
        })
        .collect();
    rules.sort_unstable();
    rules
}
