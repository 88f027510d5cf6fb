//! What expressions are evaluated on: variables as CEL values, and values back as JSON.
//!
//! Converts JSON only for the variables that an action's expressions name, once per action. Integers only: whatever an
//! expression could make beside them (there is nothing that the checker lets through) has no JSON here.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::Key;
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

/// Variables with their values.
pub struct Values<'p> {
    context: Context<'p, 'static>,
    /// `variables`, as far as they are computed.
    made: HashMap<String, Cel>,
}

impl Default for Values<'_> {
    fn default() -> Self {
        Self {
            context: Context::with_env(ENV.clone()),
            made: HashMap::new(),
        }
    }
}

impl Values<'_> {
    /// Gives a variable its value.
    pub fn set(&mut self, name: &str, value: &Value) {
        self.context.add_variable_from_value(name, to_cel(value));
    }

    /// Computes the next of `variables`.
    ///
    /// # Errors
    /// When it has no value.
    pub fn make(&mut self, name: &str, expression: &Expression) -> Result<(), Fault> {
        let value = self.run(expression)?;
        // Values made of values made before could double each time.
        if weigh(&value, MAX_MADE).is_none() {
            return Err(Fault::Overflow);
        }
        self.made.insert(name.to_owned(), value);
        self.context
            .add_variable_from_value("variables", Cel::from(self.made.clone()));
        Ok(())
    }

    /// These values with one more on top.
    pub fn with(&self, name: &str, value: &Value) -> Values<'_> {
        let mut inner = self.context.new_inner_scope();
        inner.add_variable_from_value(name, to_cel(value));
        Values {
            context: inner,
            made: HashMap::new(),
        }
    }

    /// The value of an expression. `None` when it isn't one that JSON here can hold.
    ///
    /// # Errors
    /// When it has no value.
    pub fn value(&self, expression: &Expression) -> Result<Option<Value>, Fault> {
        self.run(expression).map(|value| to_json(&value))
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// When it has no value.
    pub fn holds(&self, expression: &Expression) -> Result<bool, Fault> {
        match self.run(expression)? {
            Cel::Bool(holds) => Ok(holds),
            _ => Err(Fault::Undefined),
        }
    }

    /// First rule that doesn't hold, in order.
    pub fn first_failed<'r>(&self, rules: &'r [Rule]) -> Option<(&'r Rule, Held)> {
        rules.iter().find_map(|rule| match self.holds(&rule.expression) {
            Ok(true) => None,
            Ok(false) => Some((rule, Held::No)),
            Err(fault) => Some((rule, Held::Fault(fault))),
        })
    }

    fn run(&self, expression: &Expression) -> Result<Cel, Fault> {
        expression.program.execute(&self.context).map_err(|error| match error {
            ExecutionError::Overflow(..) => Fault::Overflow,
            _ => Fault::Undefined,
        })
    }
}

/// What is left of a budget of parts and bytes of text; none when the value is above it.
fn weigh(value: &Cel, budget: usize) -> Option<usize> {
    let left = budget.checked_sub(1)?;
    match value {
        Cel::String(text) => left.checked_sub(text.len()),
        Cel::List(items) => items.iter().try_fold(left, |left, item| weigh(item, left)),
        Cel::Map(map) => map.map.values().try_fold(left, |left, item| weigh(item, left)),
        _ => Some(left),
    }
}

fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        // Schemas and strict parsing admit integers within ±(2^53 - 1) only.
        Value::Number(number) => number.as_i64().map_or(Cel::Null, Cel::Int),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(map) => {
            let entries: HashMap<String, Cel> = map.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            Cel::from(entries)
        }
    }
}

/// The order of a hash map is lost here: JSON objects are sorted by name.
fn to_json(value: &Cel) -> Option<Value> {
    Some(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(value) => Value::from(*value),
        Cel::String(text) => Value::String(text.as_ref().clone()),
        Cel::List(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Cel::Map(map) => {
            let entry = |(key, value): (&Key, &Cel)| match key {
                Key::String(name) => Some((name.as_ref().clone(), to_json(value)?)),
                _ => None,
            };
            Value::Object(map.map.iter().map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
