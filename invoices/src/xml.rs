//! Reads XML into a compact tree that rules can walk. Owns hardening (no DTD, no entities, bounded depth, size and
//! attributes), encodings, namespaces and positions. It knows element names but nothing of what they mean.

mod encoding;
mod names;
mod node;
mod number;
mod path;
mod reader;
mod scan;
mod tree;

pub(crate) use encoding::allowed;
pub(crate) use names::{Hashing, at};
pub use names::{Name, Namespace};
pub(crate) use names::{cac, cbc, cn, inv, ram, rsm, udt};
pub use node::Node;
pub(crate) use node::{normalize, trim};
pub(crate) use number::{boolean, date, decimal, double, retained, round, round_cents, two_decimals};
pub(crate) use path::{Path, p};
pub use reader::read;
pub use tree::Document;

/// Bounds that a document must keep to; a larger one is refused before it costs anything.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the document as it came.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Elements of the whole document.
    pub elements: usize,
    /// Firings of rules that a report may have; a rule may fire on each element, and its report is longer than that.
    pub findings: usize,
}

impl Limits {
    /// Wide enough for an invoice of 100,000 lines, narrow enough that the worst document costs less than a gigabyte.
    pub const DEFAULT: Self = Self {
        bytes: 128 << 20,
        depth: 64,
        attributes: 64,
        elements: 8 << 20,
        findings: 1 << 19,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a document cannot be read. Each has a code that stays the same.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The bytes are not well-formed XML.
    #[error("line {line}: this is not well-formed XML: {reason}")]
    Malformed {
        /// Line of the first mistake.
        line: u32,
        /// What the parser found.
        reason: String,
    },
    /// A document type declaration, which could define entities.
    #[error("line {line}: document type declarations (DTD) are refused")]
    Doctype {
        /// Line of the declaration.
        line: u32,
    },
    /// A reference to an entity that XML itself does not define.
    #[error("line {line}: the entity &{name}; is refused")]
    Entity {
        /// Line of the reference.
        line: u32,
        /// Name of the entity.
        name: String,
    },
    /// The encoding is none that is read here, or the bytes are not in it.
    #[error("{0}")]
    Encoding(String),
    /// A bound is crossed.
    #[error("the document has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Well-formed, but not an invoice.
    #[error("the root element {0} is not that of an invoice")]
    NotAnInvoice(String),
}

impl Unreadable {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "XML_MALFORMED",
            Self::Doctype { .. } => "XML_DOCTYPE",
            Self::Entity { .. } => "XML_ENTITY",
            Self::Encoding(_) => "XML_ENCODING",
            Self::TooLarge { .. } => "XML_TOO_LARGE",
            Self::NotAnInvoice(_) => "NOT_AN_INVOICE",
        }
    }
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "mend the XML there, or export the invoice again",
            Self::Doctype { .. } => "remove the DOCTYPE; an invoice needs none",
            Self::Entity { .. } => "write the character itself in place of the entity",
            Self::Encoding(_) => "save the document as UTF-8 and declare it so",
            Self::TooLarge { .. } => "split the invoice, or take attachments out of it",
            Self::NotAnInvoice(_) => {
                "give a UBL 2.1 Invoice or CreditNote or a CII CrossIndustryInvoice, in its own namespace"
            }
        }
    }
}
