//! The second verdict: exact decimal arithmetic over the model. The official rules tolerate VAT that is off by almost
//! a unit; here every amount is what the others make it, rounded once, half away from zero, to two decimals.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::model::{Adjustment, Invoice, Line, Problem};

/// The exact verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exact {
    /// Every amount is exactly what the others make it.
    pub valid: bool,
    /// Amounts that are not.
    pub differences: Vec<Difference>,
}

/// An amount that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Business term.
    pub term: String,
    /// Where: a line, a VAT category, or the document.
    pub place: String,
    /// How it is computed.
    pub rule: String,
    /// What it should be; absent if it cannot be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Decimal>,
    /// What it is; absent if it is missing or no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Decimal>,
}

/// To two decimals, half away from zero.
#[must_use]
pub fn cents(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// Judges a model. Of a fragment only amounts are judged that are there and whose parts are there.
#[must_use]
pub fn exact(invoice: &Invoice, problems: &[Problem], fragment: bool) -> Exact {
    let mut judge = Judge {
        fragment,
        differences: Vec::new(),
    };
    for problem in problems {
        let rule = format!("{:?} {}", problem.value, problem.reason);
        judge.push(
            "",
            format!("{} (line {})", problem.location, problem.line),
            &rule,
            None,
            None,
        );
    }
    for line in &invoice.lines {
        judge.line(line);
    }
    for adjustment in invoice.allowances.iter().chain(&invoice.charges) {
        judge.percentage(adjustment, "document");
    }
    judge.vat(invoice);
    judge.totals(invoice);
    Exact {
        valid: judge.differences.is_empty(),
        differences: judge.differences,
    }
}

/// Whether a price can be for so many pieces (BT-149).
#[must_use]
pub fn counts(base: Decimal) -> bool {
    base > Decimal::ZERO
}

/// Quantity times price of one unit, less allowances, plus charges, rounded once.
#[must_use]
pub fn line_net(line: &Line) -> Option<Decimal> {
    let base = line.price.base.unwrap_or(Decimal::ONE);
    if !counts(base) {
        return None;
    }
    // Multiplied before it is divided, so that thirds stay exact as long as they can.
    let gross = line.quantity?.checked_mul(line.price.net?)?.checked_div(base)?;
    let net = gross
        .checked_sub(sum(&line.allowances)?)?
        .checked_add(sum(&line.charges)?)?;
    Some(cents(net))
}

/// Sum of amounts; `None` if one is missing.
#[must_use]
pub fn sum(adjustments: &[Adjustment]) -> Option<Decimal> {
    adjustments
        .iter()
        .try_fold(Decimal::ZERO, |sum, adjustment| sum.checked_add(adjustment.amount?))
}

/// Category and rate of VAT; without a rate it is zero.
pub type VatKey = (String, Decimal);

/// Bases by category and rate: lines less allowances plus charges.
#[must_use]
pub fn bases(invoice: &Invoice) -> Option<BTreeMap<VatKey, Decimal>> {
    let mut bases: BTreeMap<VatKey, Decimal> = BTreeMap::new();
    let mut add = |category: &str, rate: Option<Decimal>, amount: Decimal| {
        let base = bases
            .entry((category.to_owned(), rate.unwrap_or_default().normalize()))
            .or_default();
        *base = base.checked_add(amount)?;
        Some(())
    };
    for line in &invoice.lines {
        add(&line.category, line.rate, line.net?)?;
    }
    for (adjustments, sign) in [
        (&invoice.allowances, Decimal::NEGATIVE_ONE),
        (&invoice.charges, Decimal::ONE),
    ] {
        for adjustment in adjustments {
            add(
                adjustment.category.as_deref().unwrap_or_default(),
                adjustment.rate,
                adjustment.amount? * sign,
            )?;
        }
    }
    Some(bases)
}

/// Base times rate, to two decimals.
#[must_use]
pub fn vat_of(base: Decimal, rate: Decimal) -> Option<Decimal> {
    Some(cents(base.checked_mul(rate)?.checked_div(Decimal::ONE_HUNDRED)?))
}

struct Judge {
    fragment: bool,
    differences: Vec<Difference>,
}

impl Judge {
    fn push(&mut self, term: &str, place: String, rule: &str, expected: Option<Decimal>, found: Option<Decimal>) {
        self.differences.push(Difference {
            term: term.to_owned(),
            place,
            rule: rule.to_owned(),
            expected,
            found,
        });
    }

    /// An amount that must be there and must be what its parts make it.
    fn compare(&mut self, term: &str, place: &str, rule: &str, expected: Option<Decimal>, found: Option<Decimal>) {
        let judged = !self.fragment || expected.is_some() && found.is_some();
        if judged && (expected.is_none() || expected != found) {
            self.push(term, place.to_owned(), rule, expected, found);
        }
    }

    /// An amount that is zero where it is absent.
    fn compare_optional(&mut self, term: &str, rule: &str, expected: Option<Decimal>, found: Option<Decimal>) {
        let found = found.or_else(|| expected.filter(Decimal::is_zero));
        self.compare(term, "document", rule, expected, found);
    }

    fn percentage(&mut self, adjustment: &Adjustment, place: &str) {
        if let (Some(base), Some(percent)) = (adjustment.base, adjustment.percent) {
            self.compare(
                "amount",
                place,
                "base x percentage / 100",
                vat_of(base, percent),
                adjustment.amount,
            );
        }
    }

    fn line(&mut self, line: &Line) {
        let place = format!("line {}", line.id);
        match line.price.base.filter(|base| !counts(*base)) {
            Some(base) => self.push(
                "BT-149",
                place.clone(),
                "a base quantity is above zero",
                None,
                Some(base),
            ),
            None => self.compare(
                "BT-131",
                &place,
                "quantity x price / base quantity - allowances + charges",
                line_net(line),
                line.net,
            ),
        }
        if let (Some(gross), Some(discount)) = (line.price.gross, line.price.discount) {
            let net = gross.checked_sub(discount);
            self.compare("BT-146", &place, "gross price - discount", net, line.price.net);
        }
        for adjustment in line.allowances.iter().chain(&line.charges) {
            self.percentage(adjustment, &place);
        }
    }

    fn vat(&mut self, invoice: &Invoice) {
        let Some(mut bases) = bases(invoice) else {
            if !self.fragment {
                self.push(
                    "BT-116",
                    "document".to_owned(),
                    "amounts of lines, allowances or charges are missing",
                    None,
                    None,
                );
            }
            return;
        };
        for vat in &invoice.vat {
            let rate = vat.rate.unwrap_or_default().normalize();
            let place = format!("category {} at {rate} %", vat.category);
            let base = bases.remove(&(vat.category.clone(), rate)).unwrap_or_default();
            self.compare("BT-116", &place, "lines - allowances + charges", Some(base), vat.base);
            let expected = vat.base.and_then(|base| vat_of(base, rate));
            self.compare("BT-117", &place, "base x rate / 100", expected, vat.vat);
        }
        for ((category, rate), base) in bases {
            if !self.fragment && !category.is_empty() {
                self.push(
                    "BG-23",
                    format!("category {category} at {rate} %"),
                    "a VAT breakdown is missing",
                    Some(base),
                    None,
                );
            }
        }
    }

    fn totals(&mut self, invoice: &Invoice) {
        let totals = &invoice.totals;
        let lines = invoice
            .lines
            .iter()
            .try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.net?));
        self.compare("BT-106", "document", "sum of BT-131", lines, totals.lines);
        self.compare_optional("BT-107", "sum of BT-92", sum(&invoice.allowances), totals.allowances);
        self.compare_optional("BT-108", "sum of BT-99", sum(&invoice.charges), totals.charges);
        let zero = |value: Option<Decimal>| value.unwrap_or_default();
        let net = totals.lines.and_then(|lines| {
            lines
                .checked_sub(zero(totals.allowances))?
                .checked_add(zero(totals.charges))
        });
        self.compare("BT-109", "document", "BT-106 - BT-107 + BT-108", net, totals.net);
        let vat = invoice
            .vat
            .iter()
            .try_fold(Decimal::ZERO, |sum, vat| sum.checked_add(vat.vat?));
        self.compare_optional("BT-110", "sum of BT-117", vat, totals.vat);
        let gross = totals.net.and_then(|net| net.checked_add(zero(totals.vat)));
        self.compare("BT-112", "document", "BT-109 + BT-110", gross, totals.gross);
        let due = totals
            .gross
            .and_then(|gross| gross.checked_sub(zero(totals.paid))?.checked_add(zero(totals.rounding)));
        self.compare("BT-115", "document", "BT-112 - BT-113 + BT-114", due, totals.due);
    }
}
