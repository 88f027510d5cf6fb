//! `muniment invoice` as a user starts it: exit codes, what goes where, many files, bad input.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
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
fn what_is_no_xml_gets_its_own_advice() {
    let folder = Folder::new();
    for (name, text, code, next) in [
        ("form.json", DRAFT, "xml_malformed", "muniment invoice make"),
        ("page.pdf", "%PDF-1.7", "xml_malformed", "take the XML out of it"),
        ("empty.xml", "", "xml_malformed", "the file is empty"),
        (
            "order.xml",
            "<Order xmlns='urn:oasis:names:specification:ubl:schema:xsd:Order-2'/>",
            "not_an_invoice",
            "UBL 2.1",
        ),
        ("entity.xml", "<a>&xxe;</a>", "xml_entity", "the character itself"),
    ] {
        folder.put(name, text);
        let answer = run(&["check", &folder.path(name), "-o", "jsonl"]);
        let error = &lines(&answer)[0]["error"];
        assert_eq!(error["code"], code, "{name}");
        assert!(error["next"].as_str().unwrap().contains(next), "{name}: {error}");
    }
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

/// Runs with 1 GiB of address space: whoever lets input grow ends here with another code than 2.
fn in_a_gigabyte(file: &str) -> Output {
    let limited = "ulimit -v 1048576 && exec \"$0\" invoice check \"$1\" -o jsonl";
    Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_muniment"), file])
        .output()
        .unwrap()
}

#[test]
fn what_is_too_large_or_grows_is_refused_in_bounded_memory() {
    let folder = Folder::new();
    let huge = std::fs::File::create(folder.path("huge.xml")).unwrap();
    huge.set_len(200 << 20).unwrap();
    let mut laughs = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY lol0 \"lol\">");
    for level in 1..10 {
        laughs += &format!("<!ENTITY lol{level} \"{}\">", format!("&lol{};", level - 1).repeat(10));
    }
    folder.put("laughs.xml", &(laughs + "]><lolz>&lol9;</lolz>"));
    // As many elements as fit into the largest document.
    folder.put("dense.xml", &format!("<a>{}</a>", "<a/>".repeat(30 << 20)));
    folder.put("deep.xml", &"<a>".repeat(40 << 20));
    for (name, code) in [
        ("huge.xml", "xml_too_large"),
        ("laughs.xml", "xml_doctype"),
        ("dense.xml", "xml_too_large"),
        ("deep.xml", "xml_too_large"),
    ] {
        let answer = in_a_gigabyte(&folder.path(name));
        assert_eq!(answer.status.code(), Some(2), "{name}: {}", err(&answer));
        assert_eq!(lines(&answer)[0]["error"]["code"], code, "{name}");
    }
}

#[test]
fn an_invoice_survives_conversion_and_back() {
    let folder = Folder::new();
    let valid = folder.path("valid.xml");
    let cii = folder.path("cii.xml");
    assert_eq!(code(&run(&["convert", &valid, "--to", "cii", "--out", &cii])), 0);
    assert_eq!(code(&run(&["check", &cii])), 0);
    let back = run(&["convert", &cii, "--to", "ubl"]);
    assert_eq!(out(&back), std::fs::read_to_string(&valid).unwrap());
    let form = run(&["convert", &cii, "--to", "json"]);
    let again = with_stdin(&["make", "--from", "-"], &form.stdout);
    assert_eq!(out(&again), std::fs::read_to_string(&valid).unwrap(), "{}", err(&again));
}

#[test]
fn nothing_is_overwritten_unless_asked() {
    let folder = Folder::new();
    let (valid, taken) = (folder.path("valid.xml"), folder.path("taken.html"));
    folder.put("taken.html", "mine");
    let refused = run(&["render", &valid, "--to", "html", "--out", &taken]);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("is there already") && err(&refused).contains("--force"));
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
    assert_eq!(
        code(&run(&["render", &valid, "--to", "html", "--out", &taken, "--force"])),
        0
    );
    assert!(std::fs::read_to_string(&taken).unwrap().contains("44.63 EUR"));
}

#[test]
fn a_page_is_html_or_pdf() {
    let folder = Folder::new();
    let valid = folder.path("valid.xml");
    let html = run(&["render", &valid, "--to", "html", "--receipt", "https://example.org/r/1"]);
    assert!(code(&html) == 0 && out(&html).contains("<svg "));
    let pdf = run(&["render", &valid, "--to", "pdf"]);
    assert!(code(&pdf) == 0 && pdf.stdout.starts_with(b"%PDF-1.7"), "{}", err(&pdf));
}

#[test]
fn what_would_not_be_valid_is_not_made() {
    let made = |draft: &str| with_stdin(&["make", "--from", "-"], draft.as_bytes());
    let nameless = made(&DRAFT.replace("\"name\": \"Buyer\", ", ""));
    assert_eq!(code(&nameless), 1);
    assert!(
        nameless.stdout.is_empty() && err(&nameless).contains("BR-07"),
        "{}",
        err(&nameless)
    );
    for (draft, expected) in [
        (DRAFT.replace("issueDate", "issuedate"), "unknown field `issuedate`"),
        (
            DRAFT.replace("\"quantity\": \"3\", ", ""),
            "line 1: the quantity is missing",
        ),
        ("{".to_owned(), "line 1 column 1"),
    ] {
        let answer = made(&draft);
        assert_eq!(code(&answer), 2);
        assert!(
            err(&answer).contains("error: stdin: ") && err(&answer).contains(expected),
            "{}",
            err(&answer)
        );
        assert!(err(&answer).contains("\n  next: "));
    }
}

#[test]
fn the_schema_fits_what_convert_writes() {
    let schema: Value = serde_json::from_slice(&run(&["schema"]).stdout).unwrap();
    assert!(schema["properties"]["issueDate"].is_object() && schema["properties"]["lines"].is_object());
}

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
