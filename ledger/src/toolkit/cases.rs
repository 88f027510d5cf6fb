//! Cases: what a template shall do, written as YAML.
//!
//! Owns the format and everything that can be wrong with it before it runs. The format is in `docs/templates.md`.

mod data;
mod read;

use std::collections::BTreeMap;

pub use data::{Data, Names};

use crate::template::{Template, TemplateError};

/// All cases of a template.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Parties that are members of the network, by name.
    pub members: Vec<String>,
    /// Parties that aren't.
    pub strangers: Vec<String>,
    /// Block time of the first block, milliseconds.
    pub start: u64,
    /// The cases; each begins on a fresh network.
    pub cases: Vec<Case>,
}

/// One story.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name.
    pub name: String,
    /// Line in the source.
    pub line: u64,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One step of it.
#[derive(Clone, Debug)]
pub enum Step {
    /// So many blocks, each with these transactions.
    Block {
        /// How many blocks.
        times: u32,
        /// What is in each of them.
        calls: Vec<Call>,
    },
    /// Block time moves on by so many milliseconds, with an empty block at the end.
    Wait(u64),
    /// Looks at a record.
    Look {
        /// Line in the source.
        line: u64,
        /// Its name.
        record: String,
        /// What it must be like.
        shape: Shape,
    },
}

/// One transaction: an action, or the same action several times.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who signs.
    pub by: String,
    /// The action.
    pub action: String,
    /// Under one signature?
    pub batch: bool,
    /// Its items; exactly one unless it is a batch.
    pub items: Vec<Item>,
}

/// One action.
#[derive(Clone, Debug)]
pub struct Item {
    /// Line in the source.
    pub line: u64,
    /// Its input.
    pub input: Data,
    /// Record it acts on.
    pub on: Option<Data>,
    /// Name for the record, for later steps.
    pub name: Option<String>,
    /// Code of the refusal; none means that it must be accepted.
    pub code: Option<String>,
    /// Record that the refusal must name.
    pub about: Option<Data>,
    /// What the record must be like after the block.
    pub shape: Shape,
}

/// What a record must be like. What isn't named may be anything.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// States of regions.
    pub states: BTreeMap<String, String>,
    /// Fields; none means that the record must not have the field.
    pub fields: BTreeMap<String, Option<Data>>,
    /// Its version.
    pub version: Option<i64>,
}

impl Shape {
    /// Is nothing expected?
    pub fn is_empty(&self) -> bool {
        self.states.is_empty() && self.fields.is_empty() && self.version.is_none()
    }
}

impl Suite {
    /// Reads cases for a template.
    ///
    /// # Errors
    /// Everything that is wrong with them, in the order of the source.
    pub fn read(source: &str, template: &Template) -> Result<Self, Vec<TemplateError>> {
        read::suite(source, template)
    }
}
