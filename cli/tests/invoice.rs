//! `muniment invoice` as a user starts it: exit codes, what goes where, many files, bad input.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "invoice/large.rs"]
mod large;
#[path = "invoice/made.rs"]
mod made;
#[path = "invoice/vectors.rs"]
mod vectors;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The JSON form of a small invoice.
const DRAFT: &str = r#"{
  "number": "2026-1", "issueDate": "2026-11-24", "typeCode": "380", "currency": "EUR", "dueDate": "2026-12-24",
  "specification": "urn:cen.eu:en16931:2017",
  "seller": { "name": "Seller", "vatId": "DE123456789", "address": { "city": "Berlin", "country": "DE" } },
  "buyer": { "name": "Buyer", "address": { "city": "Paris", "country": "FR" } },
  "lines": [{ "quantity": "3", "unit": "C62", "price": { "net": "12.50" }, "category": "S", "rate": "19", "item": { "name": "Chair" } }]
}"#;

fn muniment(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muniment"));
    command.arg("invoice").args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    muniment(arguments).output().unwrap()
}

fn with_stdin(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = muniment(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses early closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    out(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A folder with a valid invoice, one with a wrong total, and a file that is none.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let made = with_stdin(&["make", "--from", "-"], DRAFT.as_bytes());
        assert_eq!(code(&made), 0, "{}", err(&made));
        let valid = out(&made);
        assert!(valid.contains(">44.63<"));
        folder.put("valid.xml", &valid);
        folder.put("invalid.xml", &valid.replace(">44.63<", ">44.64<"));
        folder.put("broken.xml", "<Invoice>\n  <a>\n</Invoice>");
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
}

#[test]
fn the_exit_code_tells_valid_invalid_and_unreadable_apart() {
    let folder = Folder::new();
    let [valid, invalid, broken] = ["valid.xml", "invalid.xml", "broken.xml"].map(|name| folder.path(name));
    for (files, expected) in [
        (&[&valid][..], 0),
        (&[&valid, &invalid], 1),
        (&[&valid, &broken], 2),
        (&[&broken, &invalid], 2),
    ] {
        let arguments: Vec<&str> = std::iter::once("check")
            .chain(files.iter().map(|file| file.as_str()))
            .collect();
        assert_eq!(code(&run(&arguments)), expected, "{files:?}");
    }
    for usage in [
        &["check"][..],
        &["check", "--profile", "ubl", &valid],
        &["convert", &valid],
        &["make"],
    ] {
        assert_eq!(code(&run(usage)), 2, "{usage:?}");
    }
    assert_eq!(code(&run(&["check", &folder.path("none.xml")])), 2);
    assert_eq!(code(&run(&["check", folder.0.path().to_str().unwrap()])), 2);
}

#[test]
fn json_has_the_members_that_are_promised() {
    let folder = Folder::new();
    let file = folder.path("invalid.xml");
    let report: Value = serde_json::from_slice(&run(&["check", &file, "-o", "json"]).stdout).unwrap();
    let members: Vec<&String> = report.as_object().unwrap().keys().collect();
    let mut expected = ["file", "syntax", "profile", "valid", "findings", "exact"];
    expected.sort_unstable();
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(report["file"], file.as_str());
    assert_eq!(
        (&report["syntax"], &report["profile"]),
        (&"UBL-Invoice".into(), &"en16931".into())
    );
    assert_eq!(
        (&report["valid"], &report["exact"]["valid"]),
        (&false.into(), &false.into())
    );
    let finding = &report["findings"][0];
    for member in ["rule", "set", "severity", "message", "term", "location", "fix"] {
        assert!(
            finding[member].as_str().is_some_and(|text| !text.is_empty()),
            "{member}: {finding}"
        );
    }
    assert_eq!(
        (&finding["rule"], &finding["severity"]),
        (&"BR-CO-15".into(), &"fatal".into())
    );
    assert!(finding["line"].as_u64().unwrap() > 1 && !finding["values"].as_array().unwrap().is_empty());
}

#[test]
fn profiles_add_their_rules() {
    let folder = Folder::new();
    let valid = folder.path("valid.xml");
    for (profile, rule) in [("xrechnung", "BR-DE-15"), ("peppol", "PEPPOL-EN16931-R003")] {
        let answer = run(&["check", &valid, "--profile", profile, "-o", "jsonl"]);
        assert_eq!(code(&answer), 1, "{profile}");
        assert!(
            out(&answer).contains(&format!("\"rule\":\"{rule}\",\"set\":\"{profile}\"")),
            "{}",
            out(&answer)
        );
    }
}

#[test]
fn an_unreadable_file_is_one_sentence_and_the_others_are_judged() {
    let folder = Folder::new();
    let [valid, broken] = ["valid.xml", "broken.xml"].map(|name| folder.path(name));
    let answer = run(&["check", &broken, &valid]);
    let told = err(&answer);
    assert!(
        told.contains(&format!("error: {broken}: line 3: this is not well-formed XML")),
        "{told}"
    );
    assert!(told.contains("\n  next: mend the XML there"), "{told}");
    assert!(out(&answer).starts_with(&format!("{valid}: valid")), "{}", out(&answer));

    let answer = run(&["check", &broken, &valid, "-o", "jsonl"]);
    let reports = lines(&answer);
    assert_eq!((code(&answer), reports.len()), (2, 2));
    assert_eq!(reports[0]["file"], broken.as_str());
    assert_eq!(reports[0]["error"]["code"], "xml_malformed");
    assert_eq!(
        (&reports[0]["valid"], &reports[1]["valid"]),
        (&false.into(), &true.into())
    );
    assert!(
        answer.stderr.is_empty(),
        "in JSON modes all is on stdout: {}",
        err(&answer)
    );
}

#[test]
fn thousands_of_files_are_told_in_the_order_of_the_list() {
    let folder = Folder::new();
    let (valid, invalid) = (folder.path("valid.xml"), folder.path("invalid.xml"));
    let mut list = String::new();
    for number in 0..3_000 {
        let name = folder.path(&format!("{}.xml", (number * 7_919) % 3_000));
        std::fs::copy(if number % 3 == 0 { &invalid } else { &valid }, &name).unwrap();
        list += &format!("{name}\n");
    }
    folder.put("list", &list);
    let from_file = run(&["check", "--files-from", &folder.path("list"), "-o", "jsonl"]);
    let from_stdin = with_stdin(&["check", "--files-from", "-", "-o", "jsonl"], list.as_bytes());
    for answer in [from_file, from_stdin] {
        assert_eq!(code(&answer), 1);
        let reports = lines(&answer);
        let named: Vec<&str> = reports.iter().map(|report| report["file"].as_str().unwrap()).collect();
        assert_eq!(named, list.lines().collect::<Vec<_>>());
        let invalid = reports.iter().filter(|report| report["valid"] == false).count();
        assert_eq!(invalid, 1_000);
    }
    let table = run(&["check", "--files-from", &folder.path("list")]);
    assert!(err(&table).contains("3000 documents") && err(&table).contains("2000 valid, 1000 invalid, 0 unreadable"));
}
