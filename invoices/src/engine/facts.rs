//! What several rules need to know of a document, found once when the first asks: VAT categories in use, sums per
//! category and rate, identifiers of the parties. Without it, each VAT breakdown would look at each line again.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::syntax::Syntax;
use crate::xml::{Document, Node, at, boolean, cac, p, ram};

/// VAT categories of UNTDID 5305 that have rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    S,
    Z,
    E,
    AE,
    K,
    G,
    O,
    L,
    M,
    B,
    Other,
}

impl Category {
    pub(crate) fn of(code: &str) -> Self {
        match code {
            "S" => Self::S,
            "Z" => Self::Z,
            "E" => Self::E,
            "AE" => Self::AE,
            "K" => Self::K,
            "G" => Self::G,
            "O" => Self::O,
            "L" => Self::L,
            "M" => Self::M,
            "B" => Self::B,
            _ => Self::Other,
        }
    }
}

/// How often each category stands somewhere.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts([u32; 11]);

impl Counts {
    fn add(&mut self, category: Category) {
        self.0[category as usize] += 1;
    }

    pub(crate) fn of(&self, category: Category) -> u32 {
        self.0[category as usize]
    }

    pub(crate) fn has(&self, category: Category) -> bool {
        self.of(category) > 0
    }

    /// Anything but this category.
    pub(crate) fn others(&self, category: Category) -> u32 {
        self.0.iter().sum::<u32>() - self.of(category)
    }
}

/// What a sum is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    InvoiceLine,
    CreditNoteLine,
    Charge,
    Allowance,
}

/// A sum that is nothing as soon as one of its parts is no number.
type Sum = Option<Decimal>;

/// VAT categories in use, and sums of net amounts.
#[derive(Default)]
pub(crate) struct VatSums {
    /// Lines, with and without the VAT scheme.
    pub lines: Counts,
    pub lines_any: Counts,
    /// Allowances and charges of any level with the VAT scheme, and of both without it.
    pub allowances: Counts,
    pub charges: Counts,
    pub adjustments_any: Counts,
    /// Allowances and charges of the document.
    pub document_allowances: Counts,
    pub document_charges: Counts,
    /// Tax categories anywhere but on lines.
    pub categories: Counts,
    /// VAT breakdown.
    pub breakdown: Counts,
    pub breakdown_any: Counts,
    plain: BTreeMap<(Of, Category), Sum>,
    rated: BTreeMap<(Of, Category, Decimal), Sum>,
    adjusted: BTreeSet<(Category, Decimal)>,
}

impl VatSums {
    /// Sum of a category; zero without any.
    pub(crate) fn sum(&self, of: Of, category: Category) -> Option<Decimal> {
        self.plain.get(&(of, category)).copied().unwrap_or(Some(Decimal::ZERO))
    }

    /// Sum of a category at a rate.
    pub(crate) fn sum_at(&self, of: Of, category: Category, rate: Decimal) -> Option<Decimal> {
        self.rated
            .get(&(of, category, rate))
            .copied()
            .unwrap_or(Some(Decimal::ZERO))
    }

    /// Whether anything of this kind has the category at the rate.
    pub(crate) fn any_at(&self, of: Of, category: Category, rate: Decimal) -> bool {
        self.rated.contains_key(&(of, category, rate))
    }

    /// Whether an allowance or charge of any level has the category at the rate.
    pub(crate) fn adjusted_at(&self, category: Category, rate: Decimal) -> bool {
        self.adjusted.contains(&(category, rate))
    }

    /// Adds an amount to the sums of all its categories and rates; most things have one of each.
    fn add(&mut self, of: Of, categories: &[Category], rates: &[Decimal], amount: Option<Sum>) {
        for (number, category) in categories.iter().enumerate() {
            if categories[..number].contains(category) {
                continue;
            }
            let plus = |sum: &mut Sum| {
                if let Some(amount) = amount {
                    *sum = sum.zip(amount).and_then(|(sum, amount)| sum.checked_add(amount));
                }
            };
            plus(self.plain.entry((of, *category)).or_insert(Some(Decimal::ZERO)));
            for (number, rate) in rates.iter().enumerate() {
                if !rates[..number].contains(rate) {
                    plus(self.rated.entry((of, *category, *rate)).or_insert(Some(Decimal::ZERO)));
                }
            }
        }
    }
}

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
            Syntax::Cii => cii(self.document),
            Syntax::UblInvoice | Syntax::UblCreditNote => ubl(self.document),
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

/// `normalize-space(cbc:ID)` of a tax category.
fn category(node: Node<'_>) -> Category {
    Category::of(&node.clean_at(p!(cbc:ID)))
}

fn ubl<'d>(document: &'d Document<'d>) -> VatSums {
    let mut sums = VatSums::default();
    ubl_counts(document, &mut sums);
    let root = document.root();
    for line in root.children() {
        let of = match line.name() {
            cac::InvoiceLine => Of::InvoiceLine,
            cac::CreditNoteLine => Of::CreditNoteLine,
            _ => continue,
        };
        let categories = p!(cac:Item/cac:ClassifiedTaxCategory);
        let rates = p!(cac:Item/cac:ClassifiedTaxCategory/cbc:Percent);
        let amount = line.first(p!(cbc:LineExtensionAmount)).map(Node::decimal);
        sums.add(
            of,
            &collect(line.at(categories).map(category)),
            &collect_some(line.at(rates).map(Node::decimal)),
            amount,
        );
    }
    for adjustment in document.all(cac::AllowanceCharge) {
        let categories = collect(adjustment.at(p!(cac:TaxCategory)).map(category));
        let rates = collect_some(adjustment.at(p!(cac:TaxCategory/cbc:Percent)).map(Node::decimal));
        for category in &categories {
            sums.adjusted.extend(rates.iter().map(|rate| (*category, *rate)));
        }
        if adjustment.parent() == Some(root) {
            let amount = adjustment.first(p!(cbc:Amount)).map(Node::decimal);
            if let Some(of) = kind(adjustment.text_at(p!(cbc:ChargeIndicator))) {
                sums.add(of, &categories, &rates, amount);
            }
        }
    }
    sums
}

fn ubl_counts<'d>(document: &'d Document<'d>, sums: &mut VatSums) {
    for node in document.all(cac::ClassifiedTaxCategory) {
        let category = category(node);
        sums.lines_any.add(category);
        if vat_scheme(node) {
            sums.lines.add(category);
        }
    }
    let root = document.root();
    for node in document.all(cac::TaxCategory) {
        let (category, vat) = (category(node), vat_scheme(node));
        if vat && node.has(p!(cbc:ID)) {
            sums.categories.add(category);
        }
        if node.under(&[cac::TaxTotal, cac::TaxSubtotal])
            && node.parent().and_then(Node::parent).and_then(Node::parent) == Some(root)
        {
            sums.breakdown_any.add(category);
            if vat {
                sums.breakdown.add(category);
            }
        }
        let Some(adjustment) = node.inside(cac::AllowanceCharge) else {
            continue;
        };
        sums.adjustments_any.add(category);
        if !vat {
            continue;
        }
        let of_document = adjustment.parent() == Some(root);
        let (anywhere, here) = match kind(adjustment.text_at(p!(cbc:ChargeIndicator))) {
            Some(Of::Charge) => (&mut sums.charges, &mut sums.document_charges),
            Some(_) => (&mut sums.allowances, &mut sums.document_allowances),
            None => continue,
        };
        anywhere.add(category);
        if of_document {
            here.add(category);
        }
    }
}

/// Charge or allowance, by the indicator.
fn kind(indicator: Option<&str>) -> Option<Of> {
    match boolean(indicator?) {
        Some(true) => Some(Of::Charge),
        Some(false) => Some(Of::Allowance),
        None => None,
    }
}

fn collect(categories: impl Iterator<Item = Category>) -> Vec<Category> {
    categories.take(64).collect()
}

fn collect_some(rates: impl Iterator<Item = Option<Decimal>>) -> Vec<Decimal> {
    rates.flatten().take(64).collect()
}

fn cii<'d>(document: &'d Document<'d>) -> VatSums {
    let mut sums = VatSums::default();
    let code = |node: Node<'d>| Category::of(node.text());
    for tax in document.all(ram::ApplicableTradeTax) {
        for category in tax.at(p!(ram:CategoryCode)).map(code) {
            if tax.inside(ram::SpecifiedLineTradeSettlement).is_some() {
                sums.lines.add(category);
            } else if tax.inside(ram::ApplicableHeaderTradeSettlement).is_some() {
                sums.breakdown.add(category);
            }
        }
    }
    for category in document
        .all(ram::CategoryTradeTax)
        .flat_map(|tax| tax.at(p!(ram:CategoryCode)))
        .map(code)
    {
        sums.categories.add(category);
    }
    for settlement in document.all(ram::SpecifiedLineTradeSettlement) {
        let categories = collect(settlement.at(p!(ram:ApplicableTradeTax/ram:CategoryCode)).map(code));
        let rates = p!(ram:ApplicableTradeTax/ram:RateApplicablePercent);
        let rates = collect_some(settlement.at(rates).map(Node::decimal));
        let amount = settlement.first(p!(ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount));
        sums.add(Of::InvoiceLine, &categories, &rates, amount.map(Node::decimal));
    }
    for adjustment in document.all(ram::SpecifiedTradeAllowanceCharge) {
        if adjustment.inside(ram::ApplicableHeaderTradeSettlement).is_none() {
            continue;
        }
        let categories = collect(adjustment.at(p!(ram:CategoryTradeTax/ram:CategoryCode)).map(code));
        let rates = p!(ram:CategoryTradeTax/ram:RateApplicablePercent);
        let rates = collect_some(adjustment.at(rates).map(Node::decimal));
        let amount = adjustment.first(p!(ram:ActualAmount)).map(Node::decimal);
        if let Some(of) = kind(adjustment.text_at(p!(ram:ChargeIndicator/udt:Indicator))) {
            sums.add(of, &categories, &rates, amount);
        }
    }
    sums
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
