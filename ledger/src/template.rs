//! Record templates: small business ledgers written as YAML, compiled once and run by the executor.
//!
//! Owns the format (design: templates), what is refused in it, and the pure questions the executor asks of a compiled
//! template. Knows nothing of transactions, signatures or storage.
//!
//! ```yaml
//! apiVersion: muniment.dev/v1alpha1
//! kind: RecordTemplate
//! metadata: { name: notarization }
//! spec:
//!   revision: 1
//!   fields:                    # JSON Schema subset (`schema`)
//!     type: object
//!     additionalProperties: false
//!     properties: { note: { type: string, maxLength: 100 } }
//!   identity: [creator, input.note]      # makes the record id
//!   unique: [{ name: note, values: [fields.note] }]
//!   roles: { owner: { from: creator } }  # or fields.NAME, holding a signer key
//!   regions: { document: { initial: Deposited, states: [Deposited, Withdrawn] } }
//!   actions:
//!     deposit: { creates: true, by: [anyMember], input: {…}, set: { note: input.note } }
//!     withdraw: { by: [owner], from: { document: [Deposited] }, to: { document: Withdrawn } }
//! ```

pub mod check;
mod compile;
pub mod rule;
pub mod schema;
pub mod validate;
pub mod yaml;

use rule::{Rule, Uses};
use schema::Schema;
use serde_json::Value;

/// Largest template source in bytes.
pub const MAX_SOURCE: usize = 64 * 1024;

/// A template that can't be used, and where and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{}{path}{}{message}", self.place(), if path.is_empty() { "" } else { ": " })]
pub struct TemplateError {
    /// Path such as `spec.actions.deposit.by`; empty for the whole document.
    pub path: String,
    /// Line in the source, from 1.
    pub line: Option<u64>,
    /// Column in characters, from 1.
    pub column: Option<u64>,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl TemplateError {
    fn place(&self) -> String {
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: "),
            (Some(line), None) => format!("line {line}: "),
            _ => String::new(),
        }
    }
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    /// Name.
    pub name: String,
    /// Revision, from 1.
    pub revision: u32,
    /// Fields of a record; always an object schema.
    pub fields: Schema,
    /// What makes a record's id.
    pub identity: Vec<Source>,
    /// Further unique keys.
    pub unique: Vec<Unique>,
    /// Independent state machines, sorted by name.
    pub regions: Vec<Region>,
    /// Actions, sorted by name.
    pub actions: Vec<Action>,
}

/// One state machine of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Name.
    pub name: String,
    /// State of a new record.
    pub initial: String,
    /// All states.
    pub states: Vec<String>,
}

/// A unique key over fields: no two records of the template have the same values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Name, shown in refusals.
    pub name: String,
    /// Names of the fields.
    pub fields: Vec<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Key of the record's creator.
    Creator,
    /// Key of the action's signer.
    Signer,
    /// A property of the input, by its path.
    Input(Vec<String>),
    /// Height of the block.
    Height,
    /// Time of the block in milliseconds.
    Time,
}

impl Source {
    /// Follows an input path; other sources aren't in the input.
    pub fn in_input<'v>(&self, input: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Input(path) => path.iter().try_fold(input, |value, name| value.get(name)),
            _ => None,
        }
    }
}

/// Who may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Any member of the network.
    AnyMember,
    /// The record's creator.
    Creator,
    /// The signer key that a field of the record holds.
    Field(String),
}

/// One action.
#[derive(Debug)]
pub struct Action {
    /// Name.
    pub name: String,
    /// Does it make a new record?
    pub creates: bool,
    /// Who may; one of them suffices.
    pub by: Vec<(String, Role)>,
    /// Its input; always an object schema.
    pub input: Schema,
    /// For each named region the states in which the action is allowed.
    pub from: Vec<(String, Vec<String>)>,
    /// New states of regions.
    pub to: Vec<(String, String)>,
    /// Rules, all of which must hold.
    pub require: Vec<Rule>,
    /// Variables that the rules name.
    pub uses: Uses,
    /// Fields to write. A source that is absent from the input leaves its field as it was.
    pub set: Vec<(String, Source)>,
}

impl Template {
    /// Compiles a template from its YAML source. A pure function of the bytes.
    ///
    /// # Errors
    /// Names the place and what to change, for everything that can't run deterministically and in bounded time.
    pub fn compile(yaml: &str) -> Result<Self, TemplateError> {
        Self::check(yaml).map_err(|errors| {
            let nothing = TemplateError {
                path: String::new(),
                line: None,
                column: None,
                message: "this template can't be used".to_owned(),
            };
            errors.into_iter().next().unwrap_or(nothing)
        })
    }

    /// As [`Self::compile`], telling all mistakes that can be told apart, in the order of the source.
    ///
    /// # Errors
    /// At least one mistake.
    pub fn check(yaml: &str) -> Result<Self, Vec<TemplateError>> {
        compile::template(yaml)
    }

    /// An action by name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions
            .binary_search_by(|action| action.name.as_str().cmp(name))
            .ok()
            .and_then(|index| self.actions.get(index))
    }
}
