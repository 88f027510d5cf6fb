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
pub mod native;
pub mod rule;
pub mod schema;
pub mod validate;
pub mod yaml;

use std::fmt;

use native::Native;
use rule::{Expression, Rule, Uses};
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
    /// What makes a record's id, unless its action says otherwise.
    pub identity: Vec<Source>,
    /// Further unique keys.
    pub unique: Vec<Unique>,
    /// Gapless numbers.
    pub counters: Vec<Counter>,
    /// Independent state machines, sorted by name.
    pub regions: Vec<Region>,
    /// Actions and deadlines, sorted by name.
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

/// A unique key over fields: no two records of the template have the same values, or none of two creators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Name, shown in refusals.
    pub name: String,
    /// Names of the fields.
    pub fields: Vec<String>,
    /// The record's creator is one of the values: only records of the same creator are told apart.
    pub per_creator: bool,
    /// The values belong to the first creator who used them, for good, instead of to one record.
    pub by_creator: bool,
    /// Code and sentence of the refusal, if the template has its own.
    pub refusal: Option<(String, String)>,
}

/// Gapless numbers, one row for each combination of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Name.
    pub name: String,
    /// What a row belongs to.
    pub per: Vec<Source>,
    /// What the next one sees as `previous`: a string of the input, empty where it is absent.
    pub link: Option<Source>,
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

/// As people call it in a sentence.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Creator => formatter.write_str("creator"),
            Self::Signer => formatter.write_str("signer"),
            Self::Input(path) => formatter.write_str(&path.join(".")),
            Self::Height => formatter.write_str("height"),
            Self::Time => formatter.write_str("time"),
        }
    }
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
    /// Signer keys that fields of the record hold: a path through objects and lists.
    Field(Vec<String>),
}

/// A role that may do an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// As the template writes it: `issuer`, or `invoice.issuer` of a referenced record.
    pub name: String,
    /// Referenced record whose role it is, or list of them, in all of which it must be had; none for the record acted on.
    pub of: Option<String>,
    /// The role.
    pub role: Role,
}

/// A new state of a region, perhaps only in some case.
#[derive(Debug)]
pub struct Case {
    /// When; always if none.
    pub when: Option<Expression>,
    /// The state.
    pub state: String,
}

/// A new value of a field.
#[derive(Debug)]
pub enum Assign {
    /// Copied. A source that is absent from the input leaves the field as it was.
    Copy(Source),
    /// Computed; must fit the field's schema. Null removes the field.
    Compute(Expression),
    /// Written in the template.
    Constant(Value),
    /// The field is removed.
    Remove,
}

/// What an action makes of a record.
#[derive(Debug, Default)]
pub struct Change {
    /// New states of regions: of each the first case that holds.
    pub to: Vec<(String, Vec<Case>)>,
    /// Fields to write, in the order in which they are judged.
    pub set: Vec<(String, Assign)>,
    /// Places in `set`, sorted by field.
    pub sorted: Vec<usize>,
}

impl Change {
    /// Nothing is changed?
    pub fn is_empty(&self) -> bool {
        self.to.is_empty() && self.set.is_empty()
    }
}

/// Another record of the template that an action reads, and perhaps changes.
#[derive(Debug)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// Path of the record id, or the ids, in the input.
    pub record: Vec<String>,
    /// A list of records?
    pub many: bool,
    /// For each named region the states in which the action is allowed.
    pub from: Vec<(String, Vec<String>)>,
    /// What becomes of it.
    pub change: Change,
}

/// One action.
#[derive(Debug)]
pub struct Action {
    /// Name.
    pub name: String,
    /// Does it make a new record?
    pub creates: bool,
    /// Is it a deadline? Then it may be raised once block time is above this value, in milliseconds.
    pub after: Option<Expression>,
    /// What makes the id of a record that it creates, if not the template's identity.
    pub identity: Option<Vec<Source>>,
    /// Who may; one of them suffices.
    pub by: Vec<By>,
    /// Its input; always an object schema.
    pub input: Schema,
    /// Paths of the input that hold keys of members.
    pub members: Vec<Vec<String>>,
    /// Other records.
    pub refs: Vec<Reference>,
    /// For each named region the states in which the action is allowed.
    pub from: Vec<(String, Vec<String>)>,
    /// Native checks.
    pub validate: Vec<&'static Native>,
    /// The counter that it moves on, as an index into the template's.
    pub counts: Option<usize>,
    /// Named values, computed in order.
    pub variables: Vec<(String, Expression)>,
    /// Rules, all of which must hold.
    pub require: Vec<Rule>,
    /// What becomes of the record.
    pub change: Change,
    /// Variables that its expressions name.
    pub uses: Uses,
    /// Has it any expressions?
    pub computes: bool,
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
