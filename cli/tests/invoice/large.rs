//! What is no invoice, too large, or grows: told in one sentence, in bounded memory.

use std::process::{Command, Output};

use super::{DRAFT, Folder, err, lines, run};

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
