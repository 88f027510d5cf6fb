//! One element as rules see it: children by path, text and attributes, and the XPath casts.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;

use super::path::{Walk, first};
use super::tree::Element;
use super::{Document, Name, Namespace, at, boolean, decimal, double};

/// An element of a document.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    id: u32,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.location())
    }
}

impl<'d> Node<'d> {
    pub(super) fn new<'a: 'd>(document: &'d Document<'a>, id: u32) -> Self {
        Self { document, id }
    }

    fn element(self) -> &'d Element {
        &self.document.elements[self.id as usize]
    }

    pub(crate) fn document(self) -> &'d Document<'d> {
        self.document
    }

    pub(crate) fn id(self) -> usize {
        self.id as usize
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> Name {
        self.element().name
    }

    pub(crate) fn parent(self) -> Option<Self> {
        (self.id != 0).then(|| Self {
            id: self.element().parent,
            ..self
        })
    }

    /// The parent, if it has this name.
    pub(crate) fn inside(self, name: Name) -> Option<Self> {
        self.parent().filter(|parent| parent.name() == name)
    }

    /// Whether the names above it are these, the nearest last.
    pub(crate) fn under(self, names: &[Name]) -> bool {
        let mut node = self;
        names.iter().rev().all(|name| {
            node.inside(*name).is_some_and(|parent| {
                node = parent;
                true
            })
        })
    }

    pub(crate) fn has_ancestor(self, name: Name) -> bool {
        std::iter::successors(self.parent(), |node| node.parent()).any(|node| node.name() == name)
    }

    pub(crate) fn is_root(self) -> bool {
        self.id == 0
    }

    pub(crate) fn first_child(self) -> Option<Self> {
        (self.id + 1 < self.element().end).then(|| Self {
            id: self.id + 1,
            ..self
        })
    }

    /// Where its descendants start and end.
    pub(super) fn inner(self) -> (u32, u32) {
        (self.id + 1, self.element().end)
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let (mut at, end) = self.inner();
        std::iter::from_fn(move || {
            let child = (at < end).then_some(Self { id: at, ..self })?;
            at = child.element().end;
            Some(child)
        })
    }

    /// Elements at the end of a path below it.
    pub(crate) fn at(self, path: &'d [Name]) -> Walk<'d> {
        Walk::new(self, path)
    }

    pub(crate) fn first(self, path: &'d [Name]) -> Option<Self> {
        first(self.document, self.id, path).map(|id| Self { id, ..self })
    }

    pub(crate) fn has(self, path: &'d [Name]) -> bool {
        self.first(path).is_some()
    }

    pub(crate) fn count(self, path: &'d [Name]) -> usize {
        self.at(path).count()
    }

    /// Text without the note that a rule read it.
    pub(super) fn raw(self) -> &'d str {
        self.document.slice(self.element().text)
    }

    /// Its text; of an element with children, the text before the first child.
    #[must_use]
    pub fn text(self) -> &'d str {
        self.document.note(self.id, None);
        self.raw()
    }

    /// `normalize-space(.)`.
    pub(crate) fn clean(self) -> Cow<'d, str> {
        normalize(self.text())
    }

    pub(crate) fn attribute(self, name: Name) -> Option<&'d str> {
        self.document.note(self.id, Some(name));
        self.document.attribute(self.id, name)
    }

    /// Text of the first element at a path.
    pub(crate) fn text_at(self, path: &'d [Name]) -> Option<&'d str> {
        self.first(path).map(Self::text)
    }

    /// `normalize-space(path)`: empty where there is nothing.
    pub(crate) fn clean_at(self, path: &'d [Name]) -> Cow<'d, str> {
        self.first(path).map(Self::clean).unwrap_or_default()
    }

    /// `normalize-space(path) != ''`.
    pub(crate) fn filled(self, path: &'d [Name]) -> bool {
        !self.clean_at(path).is_empty()
    }

    /// Some element at the path has a text.
    pub(crate) fn any_filled(self, path: &'d [Name]) -> bool {
        self.at(path).any(|node| !node.clean().is_empty())
    }

    /// Some element at the path has exactly this text.
    pub(crate) fn says(self, path: &'d [Name], text: &str) -> bool {
        self.at(path).any(|node| node.text() == text)
    }

    /// Some element at the path has one of these texts.
    pub(crate) fn says_one_of(self, path: &'d [Name], texts: &[&str]) -> bool {
        self.at(path).any(|node| texts.contains(&node.text()))
    }

    /// `normalize-space(path)` is one of these.
    pub(crate) fn clean_one_of(self, path: &'d [Name], texts: &[&str]) -> bool {
        texts.contains(&&*self.clean_at(path))
    }

    pub(crate) fn decimal(self) -> Option<Decimal> {
        decimal(self.text())
    }

    pub(crate) fn double(self) -> Option<f64> {
        double(self.text())
    }

    /// `xs:decimal(path)`: `None` without such an element or without a number in it.
    pub(crate) fn decimal_at(self, path: &'d [Name]) -> Option<Decimal> {
        self.first(path)?.decimal()
    }

    pub(crate) fn double_at(self, path: &'d [Name]) -> Option<f64> {
        self.first(path)?.double()
    }

    /// Some element at the path is this boolean.
    pub(crate) fn is(self, path: &'d [Name], value: bool) -> bool {
        self.at(path).any(|node| boolean(node.text()) == Some(value))
    }

    /// Sum of `xs:decimal` over the path; `None` if one is no number.
    pub(crate) fn sum(self, path: &'d [Name]) -> Option<Decimal> {
        self.at(path)
            .try_fold(Decimal::ZERO, |sum, node| sum.checked_add(node.decimal()?))
    }

    /// Sum as XPath sums untyped values: in binary.
    pub(crate) fn double_sum(self, path: &'d [Name]) -> Option<f64> {
        self.at(path).try_fold(0.0, |sum, node| Some(sum + node.double()?))
    }

    /// At most two decimals in the element at the path, or none there.
    pub(crate) fn cents_at(self, path: &'d [Name]) -> bool {
        self.text_at(path).is_none_or(super::two_decimals)
    }

    pub(crate) fn scheme(self) -> Option<&'d str> {
        self.attribute(at::schemeID)
    }

    /// Its name as the document writes it.
    pub(crate) fn written(self) -> &'d str {
        let rest = &self.document.source[self.element().position as usize + 1..];
        let end = rest.find(|letter: char| letter.is_ascii_whitespace() || letter == '>' || letter == '/');
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Its name with the prefix that the standard uses.
    pub(crate) fn label(self) -> String {
        let written = self.written();
        let local = written.rsplit_once(':').map_or(written, |(_, local)| local);
        match self.name().namespace() {
            Namespace::Other => written.to_owned(),
            space if space.prefix().is_empty() => local.to_owned(),
            space => format!("{}:{local}", space.prefix()),
        }
    }

    /// Line of its start tag.
    #[must_use]
    pub fn line(self) -> u32 {
        self.document.line(self.element().position)
    }

    /// XPath of it, with a number where siblings have the same name.
    #[must_use]
    pub fn location(self) -> String {
        let Some(parent) = self.parent() else {
            return format!("/{}", self.label());
        };
        let mut location = parent.location();
        location.push('/');
        location.push_str(&self.label());
        if let (ordinal, 2..) = self.document.ordinal(self.id) {
            location.push_str(&format!("[{ordinal}]"));
        }
        location
    }
}

/// Without white space at both ends, as XML defines white space.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// `normalize-space()`.
pub(crate) fn normalize(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte > b' ') {
        return Cow::Borrowed(text);
    }
    let text = trim(text);
    let bytes = text.as_bytes();
    let odd =
        bytes.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r')) || bytes.windows(2).any(|two| two == b"  ");
    if !odd {
        return Cow::Borrowed(text);
    }
    let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}
