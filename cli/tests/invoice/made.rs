//! Documents that are made: converted, rendered, and out of the JSON form.

use serde_json::Value;

use super::{DRAFT, Folder, code, err, out, run, with_stdin};

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
    for mistyped in [
        folder.path("valid.xml.recipt"),
        "REC-1".to_owned(),
        folder.path("broken.xml"),
    ] {
        let refused = run(&["render", &valid, "--to", "html", "--receipt", &mistyped]);
        assert!(code(&refused) != 0 && refused.stdout.is_empty(), "{mistyped}");
        assert!(err(&refused).contains(&mistyped), "{}", err(&refused));
    }
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
            DRAFT.replace("\"2026-11-24\"", "\"2026-02-31\""),
            "issueDate (BT-2) is \"2026-02-31\", which is no day of the calendar",
        ),
        (
            DRAFT.replace("\"2026-12-24\"", "\"20261224\""),
            "dueDate (BT-9) is \"20261224\"",
        ),
        (
            DRAFT.replace("\"3\"", "1.5"),
            "lines[0].quantity: invalid type: floating point `1.5`, expected a number as text, such as \"12.50\"",
        ),
        (
            DRAFT.replace("Chair", "Ch\\u0001air"),
            "lines[0].item.name has the character U+0001",
        ),
        (DRAFT.replace("\"380\"", "\"381\""), "dueDate (BT-9): in UBL"),
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
