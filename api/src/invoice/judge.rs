//! Reads a submitted invoice and judges it: by the official rules, and by exact arithmetic. Only what passes both may go
//! to the ledger.

use muniment_invoices::{
    Difference, Invoice, Limits, MakeError, Options, Profile, Report, Severity, Syntax, Unreadable, check_with_model,
    complete, fits_ubl,
};

use super::kept::{Form, Kept, digest};
use crate::problem::ApiError;
use crate::types::Finding;

/// Largest document that is taken.
pub const MAX_DOCUMENT: usize = 16 << 20;
/// Most findings of one answer; the report tells all of what was taken.
const MAX_FINDINGS: usize = 100;

/// A submitted document.
pub enum Source {
    /// UBL or CII.
    Xml(Vec<u8>),
    /// The JSON form with the bytes that it came in.
    Json(Box<Invoice>, Vec<u8>),
}

/// An invoice that passed.
pub struct Judged {
    /// Its model.
    pub invoice: Invoice,
    /// What is to be kept.
    pub kept: Kept,
    /// SHA-256 of the original; the ledger has it.
    pub content: [u8; 32],
    /// Rule sets it was judged by, with their versions.
    pub rule_set: &'static str,
}

/// The JSON form out of a body. A number is given with [`numbered`] where it isn't there yet.
///
/// # Errors
/// 422 `not_the_json_form` or `character_not_allowed`.
pub fn json_form(bytes: &[u8]) -> Result<Source, ApiError> {
    let invoice = muniment_invoices::read_form(bytes).map_err(|error| unmade(&error))?;
    Ok(Source::Json(Box::new(invoice), bytes.to_vec()))
}

/// The JSON form with a number. The original is then what is made here: that is what the number stands in.
///
/// # Errors
/// When it has no JSON.
pub fn numbered(mut invoice: Invoice, number: &str) -> Result<Source, ApiError> {
    number.clone_into(&mut invoice.number);
    let original = muniment_invoices::to_json(&invoice).map_err(ApiError::internal)?;
    Ok(Source::Json(Box::new(invoice), original.into_bytes()))
}

/// Judges a document.
///
/// # Errors
/// 422 with a code of the reader (`xml_malformed` and its kin, `not_the_json_form`), `not_valid` or `not_exact` with the
/// findings.
pub fn judge(source: Source, profile: Profile) -> Result<Judged, ApiError> {
    let options = Options {
        profile,
        limits: Limits {
            bytes: MAX_DOCUMENT,
            ..Limits::DEFAULT
        },
        ..Options::default()
    };
    let (form, original, made) = match source {
        Source::Xml(bytes) => (None, bytes, None),
        Source::Json(invoice, bytes) => {
            let invoice = complete(*invoice).map_err(|error| unmade(&error))?;
            fits_ubl(&invoice).map_err(|error| unmade(&error))?;
            (Some(Form::Json), bytes, Some(invoice.to_ubl().into_bytes()))
        }
    };
    let xml = made.as_deref().unwrap_or(&original);
    let (report, invoice) = check_with_model(xml, &options).map_err(|error| unreadable(&error))?;
    passes(&report)?;
    let form = form.unwrap_or(match report.syntax {
        Syntax::Cii => Form::Cii,
        Syntax::UblInvoice | Syntax::UblCreditNote => Form::Ubl,
    });
    let report = serde_json::to_vec(&report).map_err(ApiError::internal)?;
    Ok(Judged {
        invoice,
        content: digest(&original),
        kept: Kept {
            form,
            original,
            made,
            report,
            salt: None,
        },
        rule_set: rule_set(profile),
    })
}

/// As the ledger names what a verdict is by; the template knows the same.
fn rule_set(profile: Profile) -> &'static str {
    match profile {
        Profile::En16931 => "en16931/1.3.16",
        Profile::XRechnung => "en16931/1.3.16 xrechnung/3.0-2.5.0",
        Profile::Peppol => "en16931/1.3.16 peppol-bis-billing/3",
    }
}

fn passes(report: &Report) -> Result<(), ApiError> {
    let fatal = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Fatal);
    let count = fatal.count();
    if count > 0 {
        let findings: Vec<Finding> = report.findings.iter().map(finding).collect();
        let detail = format!(
            "the invoice breaks {count} rule{}; mend what `findings` says and send it again, nothing was recorded",
            if count == 1 { "" } else { "s" }
        );
        return Err(ApiError::invoice("not_valid", "The invoice isn't valid", detail).found(worst(findings)));
    }
    match &report.exact {
        Some(exact) if !exact.valid => {
            let findings = exact.differences.iter().map(difference).take(MAX_FINDINGS).collect();
            let detail = "the official rules let the amounts pass, but they aren't exactly what the others make them, and \
                          the ledger takes exact amounts only; mend what `findings` says and send it again";
            Err(ApiError::invoice("not_exact", "The amounts aren't exact", detail).found(findings))
        }
        _ => Ok(()),
    }
}

/// The fatal ones first, and not too many.
fn worst(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| finding.severity != "fatal");
    findings.truncate(MAX_FINDINGS);
    findings
}

fn finding(of: &muniment_invoices::Finding) -> Finding {
    Finding {
        rule: of.rule.to_string(),
        set: word(&of.set),
        severity: word(&of.severity),
        message: of.message.to_string(),
        term: of.term.to_string(),
        location: of.location.clone(),
        line: of.line,
        values: of.values.clone(),
        fix: of.fix.to_string(),
    }
}

fn difference(of: &Difference) -> Finding {
    let value =
        |value: &Option<rust_decimal::Decimal>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    Finding {
        rule: "exact".to_owned(),
        set: "exact".to_owned(),
        severity: "fatal".to_owned(),
        message: format!("it must be {}", of.rule),
        term: of.term.clone(),
        location: of.place.clone(),
        line: 0,
        values: vec![
            format!("expected {}", value(&of.expected)),
            format!("found {}", value(&of.found)),
        ],
        fix: "compute the amount from the others, rounded once to two decimals, half away from zero".to_owned(),
    }
}

/// A unit variant as reports write it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

fn unreadable(error: &Unreadable) -> ApiError {
    let detail = format!("{error}; {}", error.fix());
    ApiError::invoice(error.code(), "The invoice can't be read", detail)
}

fn unmade(error: &MakeError) -> ApiError {
    let detail = format!("{error}; {}", error.fix());
    ApiError::invoice(error.code(), "No invoice can be made of this", detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_template_pins_the_rule_sets_that_are_judged_by() {
        let template: serde_json::Value = serde_yaml::from_str(muniment_ledger::templates::ELECTRONIC_INVOICE).unwrap();
        let verdict = &template["spec"]["fields"]["properties"]["verdict"];
        let pinned = &verdict["properties"]["ruleSet"]["enum"];
        let own = [Profile::En16931, Profile::XRechnung, Profile::Peppol].map(rule_set);
        assert_eq!(*pinned, serde_json::json!(own));
    }
}
