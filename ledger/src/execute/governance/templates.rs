//! Publishing revisions of templates.
//!
//! A template is larger than a statement may be. So the statement names the source's SHA-256, and the source travels
//! beside it in the transaction ([`Transaction::Attached`](crate::transaction::Transaction::Attached)). Owns the rule
//! which transactions have one; while a proposal is open its source waits in the state.

use muniment_receipts::chain;
use muniment_receipts::encoding::from_hex_exact;
use muniment_receipts::statement::Common;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::super::overlay::Overlay;
use super::super::prepare::Refusal;
use super::super::reject::Reject;
use super::change::Write;
use super::{Judged, TEMPLATE, accept};
use crate::block::Hash;
use crate::state::{TemplateEntry, canonical, source_key, template_key};
use crate::template::{MAX_SOURCE, Template};

/// The action that publishes a template.
pub const PUBLISH: &str = "publishTemplate";

/// Refuses a transaction that has an attachment and needs none, or needs one and has none or another one. Part of what
/// makes a block valid: whoever passes a transaction on can't strip it of what its signer meant.
///
/// # Errors
/// `BAD_ATTACHMENT` or `TOO_LARGE`.
pub fn admit(common: &Common, input: &Map<String, Value>, attachment: Option<&[u8]>) -> Result<(), Refusal> {
    let refuse = |code, message: &str| {
        let message = message.to_owned();
        Err(Refusal { code, message })
    };
    let wanted = common.template == TEMPLATE && common.action == PUBLISH;
    match (wanted, attachment) {
        (false, None) => Ok(()),
        (false, Some(_)) => refuse("BAD_ATTACHMENT", "this action takes nothing beside its statement"),
        (true, None) => refuse(
            "BAD_ATTACHMENT",
            "the template's source must be sent beside the statement",
        ),
        (true, Some(source)) if source.len() > MAX_SOURCE => {
            refuse("TOO_LARGE", "a template's source has at most 65,536 bytes")
        }
        (true, Some(source)) => {
            let named = input.get("sha256").and_then(Value::as_str).and_then(from_hex_exact);
            if named == Some(<[u8; 32]>::from(Sha256::digest(source))) {
                return Ok(());
            }
            refuse(
                "BAD_ATTACHMENT",
                "`sha256` is not that of the source beside the statement",
            )
        }
    }
}

/// `name` and `revision` of the input.
pub fn revision(number: Option<u64>) -> Result<u32, Reject> {
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| {
        let message = "`revision` must be a whole number from 1; it is the one in the source";
        Reject::new("INVALID_INPUT", message, "/input/revision")
    })
}

/// A SHA-256.
pub fn digest(text: &str) -> Result<Hash, Reject> {
    from_hex_exact(text).ok_or_else(|| {
        let message = "`sha256` must be the source's SHA-256, 64 lowercase hex characters";
        Reject::new("INVALID_INPUT", message, "/input/sha256")
    })
}

/// Puts a revision in force: new records are made by it from now on, those that are there keep theirs.
pub fn publish(overlay: &Overlay<'_>, name: &str, revision: u32, source: &[u8]) -> Judged<Vec<Write>> {
    let invalid = |message: String| Reject::new("INVALID_TEMPLATE", message, "/source");
    let text = accept!(std::str::from_utf8(source).map_err(|_| invalid("the source is not UTF-8".to_owned())));
    let template = accept!(Template::compile(text).map_err(|error| invalid(chain(&error))));
    if template.name != name || template.revision != revision {
        let message = format!(
            "the source is of `{}` revision {}, the statement says `{name}` revision {revision}",
            template.name, template.revision
        );
        return Ok(Err(invalid(message)));
    }
    let latest = overlay.template_entry(name)?.map_or(0, |entry| entry.revision);
    if latest.checked_add(1) != Some(revision) {
        let message = format!(
            "the next revision of `{name}` is {}, not {revision}",
            u64::from(latest) + 1
        );
        return Ok(Err(Reject::new("WRONG_REVISION", message, "/input/revision")));
    }
    let entry = TemplateEntry {
        name: name.to_owned(),
        revision,
    };
    Ok(Ok(vec![
        (source_key(name, revision), Some(source.to_vec())),
        (template_key(name), Some(canonical(&entry)?)),
    ]))
}
