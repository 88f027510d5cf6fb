//! Variables of an action with their values, and what becomes of its expressions and rules.

use std::rc::Rc;

use serde_json::Value;

pub use super::data::Data;
use super::data::Object;
pub use super::evaluate::Fault;
use super::evaluate::{MAX_WORK, Scope};
use super::node::VARIABLES;
use super::{Expression, Rule};

/// Most parts and bytes of text that a variable's value may have.
const MAX_MADE: usize = 256 * 1024;

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It doesn't hold.
    No,
    /// It has no value: counts as refusal.
    Fault(Fault),
}

/// Variables with their values.
#[derive(Clone, Default)]
pub struct Values<'v> {
    known: [Option<Data<'v>>; VARIABLES.len()],
}

impl<'v> Values<'v> {
    /// Gives a variable its value. There are no others than those that `node` knows.
    pub fn set(&mut self, name: &str, value: impl Into<Data<'v>>) {
        if let Some(known) = self.place(name) {
            *known = Some(value.into());
        }
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<Data<'v>>> {
        let place = VARIABLES.iter().position(|known| *known == name)?;
        self.known.get_mut(place)
    }

    /// Computes the next of `variables`.
    ///
    /// # Errors
    /// When it has no value.
    pub fn make(&mut self, name: &'v str, expression: &'v Expression) -> Result<(), Fault> {
        let value = Scope::new(&self.known).value(&expression.node)?;
        // Values made of values made before could double each time.
        if value.weigh(MAX_MADE).is_none() {
            return Err(Fault::Overflow);
        }
        let made = self.place("variables").ok_or(Fault::Undefined)?;
        match made {
            Some(Data::Object(Object::Made(made))) => Rc::make_mut(made).push((name, value)),
            _ => *made = Some(Data::object([(name, value)])),
        }
        Ok(())
    }

    /// These values with one more on top.
    #[must_use]
    pub fn with(&self, name: &str, value: impl Into<Data<'v>>) -> Self {
        let mut more = self.clone();
        more.set(name, value);
        more
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// When it has no value.
    pub fn value(&self, expression: &Expression) -> Result<Value, Fault> {
        let value = Scope::new(&self.known).value(&expression.node)?;
        // What is shared while it is evaluated is written out in JSON.
        value.weigh(MAX_WORK).ok_or(Fault::Overflow)?;
        Ok(value.to_json())
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// When it has no value.
    pub fn holds(&self, expression: &Expression) -> Result<bool, Fault> {
        match Scope::new(&self.known).value(&expression.node)? {
            Data::Bool(holds) => Ok(holds),
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
}
