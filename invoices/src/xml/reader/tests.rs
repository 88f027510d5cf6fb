//! What is read here and what the library reads is the same, or refused for the same reason.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::{Limits, Node};
use super::*;

const SEEDS: [&str; 4] = [
    include_str!("../../../fuzz/seeds/ubl/credit.xml"),
    include_str!("../../../fuzz/seeds/ubl/small.xml"),
    include_str!("../../../fuzz/seeds/cii/credit.xml"),
    include_str!("../../../fuzz/seeds/cii/small.xml"),
];

/// Everything that a rule could see, or the code of the refusal.
fn seen(text: &str, plain: bool) -> Result<Vec<String>, String> {
    let document = parse(Cow::Borrowed(text), &Limits::DEFAULT, plain).map_err(|error| error.code().to_owned())?;
    let attributes = |node: Node<'_>| {
        let element = &document.elements[node.id()];
        let first = element.first_attribute as usize;
        let attributes = &document.attributes[first..first + element.attributes as usize];
        attributes
            .iter()
            .map(|attribute| format!("{:?} {:?}", attribute.name, document.slice(attribute.value)))
            .collect::<Vec<_>>()
    };
    Ok(document
        .elements()
        .map(|node| {
            format!(
                "{:?} {:?} {} {:?} {:?}",
                node.name(),
                node.raw(),
                node.location(),
                node.inner(),
                attributes(node)
            )
        })
        .collect())
}

fn agree(text: &str) {
    assert_eq!(seen(text, true), seen(text, false), "{text}");
}

#[test]
fn seeds_are_read_alike() {
    for text in SEEDS {
        agree(text);
        assert!(seen(text, true).is_ok());
        agree(&text.replace('\n', "\r\n"));
    }
}

#[test]
fn what_is_not_plain_is_read_alike() {
    for (text, readable) in [
        ("<a/>", true),
        ("<a />", true),
        ("<a\n></a\n>", true),
        ("<a b = '1'/>", true),
        ("<a b='1'c='2'/>", true),
        ("<a b='&lt;'>&amp;<![CDATA[<]]></a>", true),
        ("<\u{e4}>\u{e4}</\u{e4}>", true),
        (
            "<a xmlns='urn:x' xmlns:p='urn:y'><p:b xmlns:p='urn:z'/><p:b/></a>",
            true,
        ),
        ("<?xml version='1.0'?><!-- c --><a/><?p i?>", true),
        ("<a b='1' b='2'/>", false),
        ("<a unknown='1' unknown='2'/>", false),
        ("<a b='<'/>", false),
        ("<a><b></a></b>", false),
        ("<a></a></a>", false),
        ("</a>", false),
        ("<p:a/>", false),
        ("<a p:b='1'", false),
        ("<a><?xml version='1.0'?></a>", false),
        ("<a>", false),
        ("<", false),
        ("<a", false),
        ("<a/>&amp;", false),
        ("<a>&", false),
    ] {
        agree(text);
        assert_eq!(seen(text, true).is_ok(), readable, "{text}: {:?}", seen(text, true));
    }
}

proptest! {
    #[test]
    fn changed_documents_are_read_alike(
        seed in 0_usize..4,
        at in any::<prop::sample::Index>(),
        put in "[<>/&;='\"! ?a:\\[\\]\n\r\\-]{0,3}",
        cut in 0_usize..3,
    ) {
        let text = SEEDS[seed];
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        let place = at.get(&places);
        let rest: String = text[*place..].chars().skip(cut).collect();
        agree(&format!("{}{put}{rest}", &text[..*place]));
    }
}
