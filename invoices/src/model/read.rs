//! What both readers of the model share.

use std::cell::RefCell;

use rust_decimal::Decimal;

use super::{Identifier, Invoice, cii_read, ubl_read};
use crate::syntax::Syntax;
use crate::xml::{Document, Limits, Name, Node, Path, Unreadable, at, decimal, p, trim};

/// A value that the model cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// XPath of the element.
    pub location: String,
    /// Its line.
    pub line: u32,
    /// Its text.
    pub value: String,
    /// Why not, as the end of a sentence about the value.
    pub reason: &'static str,
}

/// Reads the model from a document. What is no number, or an amount in another currency than the invoice's, becomes a
/// problem and stays absent.
#[must_use]
pub fn model(document: &Document<'_>, syntax: Syntax) -> (Invoice, Vec<Problem>) {
    let currency: Path = match syntax {
        Syntax::Cii => p!(rsm:SupplyChainTradeTransaction/ram:ApplicableHeaderTradeSettlement/ram:InvoiceCurrencyCode),
        Syntax::UblInvoice | Syntax::UblCreditNote => p!(cbc:DocumentCurrencyCode),
    };
    let source = Source {
        currency: text(document.root(), currency),
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
    /// Currency of the invoice.
    currency: Option<String>,
    problems: RefCell<Vec<Problem>>,
}

impl Source {
    /// A number at a path; an amount is one of the invoice's currency.
    pub(super) fn number(&self, node: Node<'_>, path: Path) -> Option<Decimal> {
        self.amount(node.first(path)?)
    }

    /// A number; if it says its currency, that of the invoice.
    pub(super) fn amount(&self, node: Node<'_>) -> Option<Decimal> {
        let currency = node.attribute(at::currencyID).map(trim);
        if currency.is_some_and(|currency| self.currency.as_deref().is_some_and(|own| own != currency)) {
            self.problem(node, "is not in the currency of the invoice");
            return None;
        }
        self.foreign(node)
    }

    /// A number in any currency.
    pub(super) fn foreign(&self, node: Node<'_>) -> Option<Decimal> {
        let value = decimal(node.text());
        if value.is_none() {
            self.problem(node, "is no number");
        }
        value
    }

    fn problem(&self, node: Node<'_>, reason: &'static str) {
        let mut value: String = trim(node.text()).chars().take(80).collect();
        if let Some(currency) = node.attribute(at::currencyID) {
            value.extend(std::iter::once(' ').chain(trim(currency).chars().take(10)));
        }
        self.problems.borrow_mut().push(Problem {
            location: node.location(),
            line: node.line(),
            value,
            reason,
        });
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
