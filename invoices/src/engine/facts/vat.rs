//! VAT categories in use, and sums of net amounts by category and rate.

mod cii;
mod ubl;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

pub(super) use cii::cii;
pub(super) use ubl::ubl;

use crate::xml::boolean;

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
