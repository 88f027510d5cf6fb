//! A small tree of elements to be written, in which groups without content vanish.

use std::borrow::Cow;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use rust_decimal::Decimal;

use crate::xml::allowed;

/// An element to be written, or nothing.
pub(super) type Part = Option<Xml>;

/// An element to be written.
pub(super) struct Xml {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Xml>,
}

/// An element with a text.
pub(super) fn text(name: &'static str, text: impl Into<String>) -> Part {
    let text = text.into();
    (!text.is_empty()).then(|| Xml {
        name,
        attributes: Vec::new(),
        text,
        children: Vec::new(),
    })
}

/// An element with a text that may be absent.
pub(super) fn optional(name: &'static str, value: Option<&String>) -> Part {
    text(name, value?.as_str())
}

/// An element with a number that may be absent.
pub(super) fn number(name: &'static str, value: Option<Decimal>) -> Part {
    text(name, value?.to_string())
}

/// An element with others inside; nothing if all of them are nothing.
pub(super) fn group(name: &'static str, children: impl IntoIterator<Item = Part>) -> Part {
    let children: Vec<Xml> = children.into_iter().flatten().collect();
    (!children.is_empty()).then(|| Xml {
        name,
        attributes: Vec::new(),
        text: String::new(),
        children,
    })
}

/// Adds an attribute, if both are there.
pub(super) fn with(part: Part, name: &'static str, value: Option<&str>) -> Part {
    let mut part = part?;
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        part.attributes.push((name, value.to_owned()));
    }
    Some(part)
}

/// The root element: written even if there is nothing in it.
pub(super) fn root(name: &'static str, children: impl IntoIterator<Item = Part>) -> Part {
    Some(Xml {
        name,
        attributes: Vec::new(),
        text: String::new(),
        children: children.into_iter().flatten().collect(),
    })
}

/// A text as XML can hold it: what JSON lets pass and XML does not becomes a replacement mark.
fn held(text: &str) -> Cow<'_, str> {
    if text.chars().all(allowed) {
        return Cow::Borrowed(text);
    }
    let shown = text
        .chars()
        .map(|character| if allowed(character) { character } else { '\u{FFFD}' });
    Cow::Owned(shown.collect())
}

/// The document with its declaration.
pub(super) fn document(root: Part) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // A vector takes everything, so writing cannot fail.
    let _ = writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    if let Some(root) = root {
        let _ = element(&mut writer, &root);
    }
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}

fn element(writer: &mut Writer<Vec<u8>>, xml: &Xml) -> std::io::Result<()> {
    let mut start = BytesStart::new(xml.name);
    for (name, value) in &xml.attributes {
        start.push_attribute((*name, &*held(value)));
    }
    writer.write_event(Event::Start(start))?;
    if xml.children.is_empty() {
        writer.write_event(Event::Text(BytesText::new(&held(&xml.text))))?;
    }
    for child in &xml.children {
        element(writer, child)?;
    }
    writer.write_event(Event::End(BytesEnd::new(xml.name)))
}
