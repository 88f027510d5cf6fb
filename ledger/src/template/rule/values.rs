//! What expressions are evaluated on: JSON as CEL values, and CEL values back as JSON.
//!
//! Converts only what an action's expressions name (of `input`: what they read), once per action, and borrows the texts. Integers
//! only: whatever an expression could make beside them (there is nothing that the checker lets through) has no JSON here.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::{Context, ExecutionError, Value as Cel};
use serde_json::Value;

use super::{ENV, Expression, Rule};

/// Most parts and bytes of text that a variable's value may have.
const MAX_MADE: usize = 256 * 1024;

/// An expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An integer would leave 64 bits, or a variable would grow beyond bounds.
    Overflow,
    /// Division by zero, a missing optional field, an index out of bounds.
    Undefined,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It doesn't hold.
    No,
    /// It has no value: counts as refusal.
    Fault(Fault),
}

/// A value that expressions can be given.
pub struct Given<'v>(Box<dyn Val + 'v>);

impl<'v> Given<'v> {
    fn new(value: impl Val + 'v) -> Self {
        Self(Box::new(value))
    }

    /// An object with these members.
    pub fn object(members: impl IntoIterator<Item = (&'v str, Self)>) -> Self {
        let members = members.into_iter().map(|(name, value)| (name.into(), value.0));
        Self::new(CelMap::from(members.collect::<HashMap<CelMapKey<'v>, _>>()))
    }

    /// A list of these items.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::new(CelList::from(items.into_iter().map(|item| item.0).collect::<Vec<_>>()))
    }
}

impl From<String> for Given<'_> {
    fn from(text: String) -> Self {
        Self::new(CelString::from(text))
    }
}

impl<'v> From<&'v str> for Given<'v> {
    fn from(text: &'v str) -> Self {
        Self::new(CelString::from(text))
    }
}

impl From<bool> for Given<'_> {
    fn from(value: bool) -> Self {
        Self::new(CelBool::from(value))
    }
}

/// Heights, times and counts: always far below 2^53.
impl From<u64> for Given<'_> {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::new(CelNull), |number| Self::new(CelInt::from(number)))
    }
}

impl<'v> From<&'v Value> for Given<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::new(CelNull),
            Value::Bool(value) => Self::new(CelBool::from(*value)),
            // Schemas and strict parsing admit integers within ±(2^53 - 1) only.
            Value::Number(number) => match number.as_i64() {
                Some(number) => Self::new(CelInt::from(number)),
                None => Self::new(CelNull),
            },
            Value::String(text) => text.as_str().into(),
            Value::Array(items) => Self::list(items.iter().map(Self::from)),
            Value::Object(members) => Self::object(members.iter().map(|(name, value)| (name.as_str(), value.into()))),
        }
    }
}

/// Variables with their values.
pub struct Values<'p, 'v> {
    context: Context<'p, 'v>,
    /// `variables`, as far as they are computed.
    made: CelMap<'v>,
}

impl Default for Values<'_, '_> {
    fn default() -> Self {
        Self {
            context: Context::with_env(ENV.clone()),
            made: CelMap::default(),
        }
    }
}

impl<'v> Values<'_, 'v> {
    /// Gives a variable its value.
    pub fn set(&mut self, name: &str, value: impl Into<Given<'v>>) {
        self.context.add_variable_as_val(name, value.into().0);
    }

    /// Computes the next of `variables`.
    ///
    /// # Errors
    /// When it has no value.
    pub fn make(&mut self, name: &'v str, expression: &Expression) -> Result<(), Fault> {
        let value = self.run(expression)?.into_owned();
        // Values made of values made before could double each time.
        if weigh(value.as_ref(), MAX_MADE).is_none() {
            return Err(Fault::Overflow);
        }
        let mut made = std::mem::take(&mut self.made).into_inner();
        made.insert(name.into(), value);
        self.made = made.into();
        self.set("variables", Given::new(self.made.clone()));
        Ok(())
    }

    /// These values with one more on top.
    pub fn with(&self, name: &str, value: impl Into<Given<'v>>) -> Values<'_, 'v> {
        let mut inner = self.context.new_inner_scope();
        inner.add_variable_as_val(name, value.into().0);
        Values {
            context: inner,
            made: CelMap::default(),
        }
    }

    /// The value of an expression. `None` when it isn't one that JSON here can hold.
    ///
    /// # Errors
    /// When it has no value.
    pub fn value(&self, expression: &Expression) -> Result<Option<Value>, Fault> {
        self.run(expression).map(|value| to_json(value.as_ref()))
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// When it has no value.
    pub fn holds(&self, expression: &Expression) -> Result<bool, Fault> {
        let value = self.run(expression)?;
        let holds = value.downcast_ref::<CelBool>().map(|holds| *holds.inner());
        holds.ok_or(Fault::Undefined)
    }

    /// First rule that doesn't hold, in order.
    pub fn first_failed<'r>(&self, rules: &'r [Rule]) -> Option<(&'r Rule, Held)> {
        rules.iter().find_map(|rule| match self.holds(&rule.expression) {
            Ok(true) => None,
            Ok(false) => Some((rule, Held::No)),
            Err(fault) => Some((rule, Held::Fault(fault))),
        })
    }

    fn run<'e>(&'e self, expression: &'e Expression) -> Result<CowVal<'e, 'v>, Fault> {
        Cel::resolve_val(expression.program.expression(), &self.context).map_err(|error| match error {
            ExecutionError::Overflow(..) => Fault::Overflow,
            _ => Fault::Undefined,
        })
    }
}

/// What is left of a budget of parts and bytes of text; none when the value is above it.
fn weigh(value: &dyn Val, budget: usize) -> Option<usize> {
    let left = budget.checked_sub(1)?;
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        left.checked_sub(text.inner().len())
    } else if let Some(items) = value.downcast_ref::<CelList<'_>>() {
        items
            .inner()
            .iter()
            .try_fold(left, |left, item| weigh(item.as_ref(), left))
    } else if let Some(members) = value.downcast_ref::<CelMap<'_>>() {
        let mut values = members.inner().values();
        values.try_fold(left, |left, item| weigh(item.as_ref(), left))
    } else {
        Some(left)
    }
}

/// The order of a hash map is lost here: JSON objects are sorted by name.
fn to_json(value: &dyn Val) -> Option<Value> {
    if let Some(value) = value.downcast_ref::<CelInt>() {
        Some(Value::from(*value.inner()))
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        Some(Value::from(text.inner()))
    } else if let Some(value) = value.downcast_ref::<CelBool>() {
        Some(Value::from(*value.inner()))
    } else if let Some(items) = value.downcast_ref::<CelList<'_>>() {
        let items = items.inner().iter().map(|item| to_json(item.as_ref()));
        items.collect::<Option<_>>().map(Value::Array)
    } else if let Some(members) = value.downcast_ref::<CelMap<'_>>() {
        let members = members.inner().iter().map(|(name, value)| match name {
            CelMapKey::String(name) => Some((name.inner().to_owned(), to_json(value.as_ref())?)),
            _ => None,
        });
        members.collect::<Option<_>>().map(Value::Object)
    } else {
        value.downcast_ref::<CelNull>().map(|_| Value::Null)
    }
}
