//! Which of the three documents it is.

use serde::{Deserialize, Serialize};

use crate::xml::{Document, Unreadable, cn, inv, rsm};

/// The syntaxes of EN 16931.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Syntax {
    /// UBL 2.1 Invoice.
    #[serde(rename = "UBL-Invoice")]
    UblInvoice,
    /// UBL 2.1 CreditNote.
    #[serde(rename = "UBL-CreditNote")]
    UblCreditNote,
    /// UN/CEFACT CII D16B.
    #[serde(rename = "CII")]
    Cii,
}

impl Syntax {
    /// By the root element.
    ///
    /// # Errors
    /// The root is none of the three.
    pub fn of(document: &Document<'_>) -> Result<Self, Unreadable> {
        match document.root().name() {
            inv::Invoice => Ok(Self::UblInvoice),
            cn::CreditNote => Ok(Self::UblCreditNote),
            rsm::CrossIndustryInvoice => Ok(Self::Cii),
            _ => Err(Unreadable::NotAnInvoice(document.root().written().to_owned())),
        }
    }

    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UblInvoice => "UBL-Invoice",
            Self::UblCreditNote => "UBL-CreditNote",
            Self::Cii => "CII",
        }
    }
}
