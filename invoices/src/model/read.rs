//! What both readers of the model share.

use std::cell::RefCell;

use rust_decimal::Decimal;

use super::{Identifier, Invoice, cii_read, ubl_read};
use crate::syntax::Syntax;
use crate::xml::{Document, Limits, Name, Node, Path, Unreadable, at, decimal, trim};

/// A value that the model cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// XPath of the element.
    pub location: String,
    /// Its line.
    pub line: u32,
    /// Its text.
    pub value: String,
}

/// Reads the model from a document. What is no number becomes a problem and stays absent.
#[must_use]
pub fn model(document: &Document<'_>, syntax: Syntax) -> (Invoice, Vec<Problem>) {
    let source = Source {
        problems: RefCell::default(),
    };
    let invoice = match syntax {
        Syntax::Cii => cii_read::read(document.root(), &source),
        Syntax::UblInvoice | Syntax::UblCreditNote => ubl_read::read(document.root(), &source),
    };
    (invoice, source.problems.into_inner())
}

/// Reads an invoice from bytes of either syntax into the model.
///
/// # Errors
/// The bytes are not an invoice that can be read.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<(Invoice, Vec<Problem>), Unreadable> {
    let document = crate::xml::read(bytes, limits)?;
    let syntax = Syntax::of(&document)?;
    Ok(model(&document, syntax))
}

/// Takes values out of elements and keeps the problems.
pub(super) struct Source {
    problems: RefCell<Vec<Problem>>,
}

impl Source {
    /// A number at a path.
    pub(super) fn number(&self, node: Node<'_>, path: Path) -> Option<Decimal> {
        let node = node.first(path)?;
        let value = decimal(node.text());
        if value.is_none() {
            let value = trim(node.text()).chars().take(80).collect();
            self.problems.borrow_mut().push(Problem {
                location: node.location(),
                line: node.line(),
                value,
            });
        }
        value
    }
}

/// The text of an element without white space around it.
pub(super) fn value(node: Node<'_>) -> String {
    trim(node.text()).to_owned()
}

/// The text at a path; `None` if there is none or it is empty.
pub(super) fn text(node: Node<'_>, path: Path) -> Option<String> {
    node.first(path).map(value).filter(|value| !value.is_empty())
}

/// The text at a path; empty without any.
pub(super) fn required(node: Node<'_>, path: Path) -> String {
    text(node, path).unwrap_or_default()
}

pub(super) fn attribute(node: Node<'_>, name: Name) -> Option<String> {
    node.attribute(name)
        .map(|value| trim(value).to_owned())
        .filter(|value| !value.is_empty())
}

pub(super) fn identifier(node: Node<'_>) -> Identifier {
    Identifier {
        id: value(node),
        scheme: attribute(node, at::schemeID),
    }
}

/// The identifier at a path, if it is not empty.
pub(super) fn identifier_at(node: Node<'_>, path: Path) -> Option<Identifier> {
    node.first(path)
        .map(identifier)
        .filter(|identifier| !identifier.id.is_empty())
}

/// A group, unless nothing is in it.
pub(super) fn group<T: Default + PartialEq>(group: T) -> Option<T> {
    (group != T::default()).then_some(group)
}
