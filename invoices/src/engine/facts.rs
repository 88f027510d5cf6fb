//! What several rules need to know of a document, found once when the first asks: VAT categories in use, sums per
//! category and rate, identifiers of the parties. Without it, each VAT breakdown would look at each line again.

mod vat;

use std::cell::OnceCell;

use crate::syntax::Syntax;
use crate::xml::{Document, Node, at, p, ram};
pub(crate) use vat::{Category, Of, VatSums};

/// Which identifiers the parties have.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parties {
    /// Seller VAT or tax registration identifier.
    pub seller_tax: bool,
    /// Seller VAT identifier.
    pub seller_vat: bool,
    /// VAT identifier of the seller's tax representative.
    pub representative_vat: bool,
    /// Buyer VAT identifier.
    pub buyer_vat: bool,
    /// Buyer legal registration identifier.
    pub buyer_legal: bool,
}

/// Facts of one document, each found when first asked for.
pub(crate) struct Facts<'d> {
    pub document: &'d Document<'d>,
    pub syntax: Syntax,
    vat: OnceCell<VatSums>,
    parties: OnceCell<Parties>,
    units: OnceCell<bool>,
    pub profile: OnceCell<crate::rules::ProfileFacts>,
}

impl<'d> Facts<'d> {
    pub(crate) fn new(document: &'d Document<'d>, syntax: Syntax) -> Self {
        Self {
            document,
            syntax,
            vat: OnceCell::new(),
            parties: OnceCell::new(),
            units: OnceCell::new(),
            profile: OnceCell::new(),
        }
    }

    pub(crate) fn root(&self) -> Node<'d> {
        self.document.root()
    }

    pub(crate) fn vat(&self) -> &VatSums {
        self.vat.get_or_init(|| match self.syntax {
            Syntax::Cii => vat::cii(self.document),
            Syntax::UblInvoice | Syntax::UblCreditNote => vat::ubl(self.document),
        })
    }

    /// Whether some billed quantity of CII has a unit.
    pub(crate) fn units(&self, find: impl FnOnce() -> bool) -> bool {
        *self.units.get_or_init(find)
    }

    pub(crate) fn parties(&self) -> Parties {
        *self.parties.get_or_init(|| match self.syntax {
            Syntax::Cii => cii_parties(self.document),
            Syntax::UblInvoice | Syntax::UblCreditNote => ubl_parties(self.document),
        })
    }
}

/// `cac:TaxScheme/normalize-space(upper-case(cbc:ID)) = 'VAT'`.
pub(crate) fn vat_scheme(node: Node<'_>) -> bool {
    node.at(p!(cac:TaxScheme))
        .any(|scheme| scheme.clean_at(p!(cbc:ID)).eq_ignore_ascii_case("VAT"))
}

fn ubl_parties<'d>(document: &'d Document<'d>) -> Parties {
    let mut parties = Parties::default();
    let root = document.root();
    for scheme in root.at(p!(cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme)) {
        if scheme.has(p!(cbc:CompanyID)) {
            parties.seller_tax = true;
            parties.seller_vat |= vat_scheme(scheme);
        }
    }
    let vat = |scheme: Node<'d>| scheme.has(p!(cbc:CompanyID)) && vat_scheme(scheme);
    parties.representative_vat = root.at(p!(cac:TaxRepresentativeParty/cac:PartyTaxScheme)).any(vat);
    parties.buyer_vat = root
        .at(p!(cac:AccountingCustomerParty/cac:Party/cac:PartyTaxScheme))
        .any(vat);
    parties.buyer_legal = root.has(p!(cac:AccountingCustomerParty/cac:Party/cac:PartyLegalEntity/cbc:CompanyID));
    parties
}

fn cii_parties<'d>(document: &'d Document<'d>) -> Parties {
    let mut parties = Parties::default();
    let ids = |party: Node<'d>| {
        party
            .at(p!(ram:SpecifiedTaxRegistration/ram:ID))
            .map(|id| id.attribute(at::schemeID))
    };
    for scheme in document.all(ram::SellerTradeParty).flat_map(ids) {
        parties.seller_tax |= matches!(scheme, Some("VA" | "FC"));
        parties.seller_vat |= scheme == Some("VA");
    }
    let vat = |scheme: Option<&str>| scheme == Some("VA");
    parties.representative_vat = document
        .all(ram::SellerTaxRepresentativeTradeParty)
        .flat_map(ids)
        .any(vat);
    parties.buyer_vat = document.all(ram::BuyerTradeParty).flat_map(ids).any(vat);
    parties.buyer_legal = document
        .all(ram::BuyerTradeParty)
        .any(|party| party.has(p!(ram:SpecifiedLegalOrganization/ram:ID)));
    parties
}
