//! The command line without a server: usage, errors and exit codes. (Also makes cargo build the binary that the
//! scenarios in `tests/` start.)
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

fn muniment(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muniment"));
    for name in ["CONTEXT", "SERVER", "API_KEY", "TENANT", "NETWORK"] {
        command.env_remove(format!("MUNIMENT_{name}"));
    }
    command.env("XDG_CONFIG_HOME", home).args(arguments).output().unwrap()
}

fn told(output: &Output) -> (i32, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn bad_usage_exits_with_2() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["unknown"][..],
        &["verify"],
        &["notarize"],
        &["notarize", "--batch-size", "1001", "x"],
        &["records", "list", "--limit", "201"],
    ] {
        assert_eq!(told(&muniment(home.path(), arguments)).0, 2, "{arguments:?}");
    }
}

/// A pipe, a cron job or a closed stdin is no consent.
#[test]
fn nothing_is_erased_for_good_where_nobody_can_be_asked() {
    let home = tempfile::tempdir().unwrap();
    let (code, text) = told(&muniment(home.path(), &["invoice", "erase", &"ab".repeat(32)]));
    assert_eq!(code, 2);
    assert!(text.contains("nothing was erased") && text.contains("--yes"), "{text}");
}

#[test]
fn a_missing_server_is_one_sentence_and_a_next_step() {
    let home = tempfile::tempdir().unwrap();
    let (code, text) = told(&muniment(home.path(), &["network", "status"]));
    assert_eq!(code, 2);
    assert!(
        text.starts_with("error: no server is known") && text.contains("\n  next: start a network with `muniment dev`")
    );

    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = format!("http://127.0.0.1:{port}");
    let (code, text) = told(&muniment(
        home.path(),
        &["--server", &server, "--api-key", "mnk_x", "network", "status"],
    ));
    assert_eq!(code, 1);
    assert!(text.contains(&server) && text.contains("next: "), "{text}");
}

#[test]
fn what_the_environment_gives_is_no_part_of_the_usage() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muniment"));
    command.env("MUNIMENT_API_KEY", "mnk_x").env("MUNIMENT_TENANT", "demo");
    let (code, text) = told(&command.args(["invoice", "dispute", "ab"]).output().unwrap());
    assert_eq!(code, 2);
    assert!(
        text.contains("Usage: muniment invoice dispute --reason <CODE> <ID>"),
        "{text}"
    );
}

#[test]
fn a_list_without_a_server_ends_with_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = format!("http://{nobody}");
    let named = [
        "--server",
        &server,
        "--api-key",
        "mnk_x",
        "--tenant",
        "t",
        "--network",
        "n",
    ];
    for list in [&["invoice", "list"][..], &["records", "list"]] {
        let (code, text) = told(&muniment(home.path(), &[&named[..], list].concat()));
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("can't be reached") && text.contains("muniment dev"),
            "{text}"
        );
    }
}

#[test]
fn a_page_is_as_long_as_the_server_allows() {
    let home = tempfile::tempdir().unwrap();
    let (code, text) = told(&muniment(home.path(), &["records", "list", "--limit", "201"]));
    assert_eq!(code, 2);
    assert!(text.contains("--limit") && text.contains("1..=200"), "{text}");
    // The longest page is not refused here: what is missing is a server.
    let (_, text) = told(&muniment(home.path(), &["records", "list", "--limit", "200"]));
    assert!(text.starts_with("error: no server is known"), "{text}");
}

#[test]
fn two_documents_for_one_receipt_are_refused_before_anything_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    for folder in ["one", "two"] {
        std::fs::create_dir(path(folder)).unwrap();
        std::fs::write(path(&format!("{folder}/contract.pdf")), folder).unwrap();
    }
    let (one, two, out) = (path("one/contract.pdf"), path("two/contract.pdf"), path("out"));
    let (code, text) = told(&muniment(home.path(), &["notarize", "--out", &out, &one, &two]));
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(&one) && text.contains(&two), "{text}");
}

#[test]
fn errors_are_json_in_json_mode() {
    let home = tempfile::tempdir().unwrap();
    let (_, text) = told(&muniment(home.path(), &["-o", "json", "network", "status"]));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["error"]["code"], "no_context");
    assert!(value["error"]["next"].is_string());
}

#[test]
fn verify_names_a_missing_receipt_and_fails_on_what_is_none() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("contract.pdf");
    std::fs::write(&file, "words").unwrap();
    let (code, text) = told(&muniment(home.path(), &["verify", file.to_str().unwrap()]));
    assert_eq!(code, 2);
    assert!(
        text.contains("contract.pdf has no receipt") && text.contains("muniment notarize"),
        "{text}"
    );

    std::fs::write(home.path().join("contract.pdf.receipt"), "{}").unwrap();
    let output = muniment(home.path(), &["-o", "json", "verify", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (report["overall"].as_str(), report["verdicts"][0]["check"].as_str()),
        (Some("fail"), Some("receipt"))
    );
}
