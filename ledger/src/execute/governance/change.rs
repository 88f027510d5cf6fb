//! The changes that members can decide on, and what each does to the state.

use muniment_receipts::genesis::ValidatorKeys;
use serde_json::{Map, Value};

use super::super::overlay::Overlay;
use super::super::reject::Reject;
use super::input::Input;
use super::{Judged, accept, members, templates, validators};
use crate::block::Hash;
use crate::state::Governance;

/// A state key with its new value, or none when it is removed.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// Names of the changes, as actions.
pub const ACTIONS: [&str; 7] = [
    "addMember",
    "removeMember",
    "replaceKey",
    "setThreshold",
    templates::PUBLISH,
    "addValidator",
    "removeValidator",
];

/// What a change may look at when it takes effect.
pub struct Moment<'a> {
    /// State before it.
    pub overlay: &'a Overlay<'a>,
    /// How the network decides.
    pub policy: &'a Governance,
    /// Log index of the action that decides it.
    pub leaf: u64,
    /// Height of its block.
    pub height: u64,
    /// What came beside the proposal's statement.
    pub attachment: Option<&'a [u8]>,
}

/// A change, read from the input of its action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new member.
    AddMember {
        /// Its signer key.
        key: String,
        /// Its name.
        name: String,
    },
    /// A member goes.
    RemoveMember {
        /// Its signer key.
        key: String,
    },
    /// A member signs with another key from now on.
    ReplaceKey {
        /// The key it has.
        key: String,
        /// The key it gets.
        new_key: String,
    },
    /// Another number of members must agree from now on.
    SetThreshold {
        /// How many.
        threshold: u32,
    },
    /// A template's next revision.
    PublishTemplate {
        /// Name of the template.
        name: String,
        /// The revision.
        revision: u32,
        /// SHA-256 of the source.
        sha256: Hash,
    },
    /// One more validator.
    AddValidator(ValidatorKeys),
    /// A validator goes.
    RemoveValidator {
        /// Its name.
        name: String,
    },
}

impl Change {
    /// Reads a change. Judges its form only.
    pub fn read(action: &str, input: &Map<String, Value>) -> Result<Self, Reject> {
        let mut input = Input::from(input.clone());
        let change = match action {
            "addMember" => Self::AddMember {
                key: input.text("key")?,
                name: members::name(input.text("name")?)?,
            },
            "removeMember" => Self::RemoveMember {
                key: input.text("key")?,
            },
            "replaceKey" => Self::ReplaceKey {
                key: input.text("key")?,
                new_key: input.text("newKey")?,
            },
            "setThreshold" => Self::SetThreshold {
                threshold: members::threshold(input.number("threshold")?)?,
            },
            templates::PUBLISH => Self::PublishTemplate {
                name: input.text("name")?,
                revision: templates::revision(input.number("revision")?)?,
                sha256: templates::digest(&input.text("sha256")?)?,
            },
            "addValidator" => Self::AddValidator(ValidatorKeys {
                name: input.text("name")?,
                consensus: input.text("consensus")?,
                notary: input.text("notary")?,
                cose: input.text("cose")?,
            }),
            "removeValidator" => Self::RemoveValidator {
                name: input.text("name")?,
            },
            _ => return Err(Reject::new("UNKNOWN_ACTION", "there is no such change", "/action")),
        };
        input.finish()?;
        Ok(change)
    }

    /// What it writes, if it can take effect now.
    pub fn effects(&self, moment: &Moment<'_>) -> Judged<Vec<Write>> {
        let Moment {
            overlay,
            policy,
            leaf,
            height,
            attachment,
        } = *moment;
        match self {
            Self::AddMember { key, name } => members::add(overlay, policy, key, name, leaf),
            Self::RemoveMember { key } => members::remove(overlay, policy, key),
            Self::ReplaceKey { key, new_key } => members::replace(overlay, key, new_key, leaf),
            Self::SetThreshold { threshold } => members::set_threshold(policy, *threshold),
            Self::PublishTemplate { name, revision, .. } => {
                let missing = || Reject::new("BAD_ATTACHMENT", "the template's source is missing", "/source");
                let source = accept!(attachment.ok_or_else(missing));
                templates::publish(overlay, name, *revision, source)
            }
            Self::AddValidator(validator) => validators::add(overlay, height, validator),
            Self::RemoveValidator { name } => validators::remove(overlay, height, name),
        }
    }
}
