//! VAT categories and sums of a UBL document.

use super::{Category, Of, VatSums, collect, collect_some, kind};
use crate::engine::facts::vat_scheme;
use crate::xml::{Document, Node, cac, p};

/// `normalize-space(cbc:ID)` of a tax category.
fn category(node: Node<'_>) -> Category {
    Category::of(&node.clean_at(p!(cbc:ID)))
}

pub(in crate::engine::facts) fn ubl<'d>(document: &'d Document<'d>) -> VatSums {
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
        if vat {
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
