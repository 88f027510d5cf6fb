//! What expressions work on: JSON where it lies, and what is made of it.
//!
//! Nothing of an input or a record is copied: texts, lists and objects are borrowed, what an expression makes is shared.
//! Integers only: schemas and strict parsing admit nothing beside those within ±(2^53 - 1).

use std::rc::Rc;

use serde_json::{Map, Value};

/// A value of an expression.
#[derive(Clone, Debug)]
pub enum Data<'v> {
    /// null
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(Text<'v>),
    /// A list.
    List(List<'v>),
    /// An object.
    Object(Object<'v>),
}

/// A string.
#[derive(Clone, Debug)]
pub enum Text<'v> {
    /// As it lies in JSON or in the template.
    There(&'v str),
    /// Made by an expression.
    Made(Rc<str>),
}

/// A list.
#[derive(Clone, Debug)]
pub enum List<'v> {
    /// As it lies in JSON.
    There(&'v [Value]),
    /// Made by an expression.
    Made(Rc<Vec<Data<'v>>>),
}

/// An object. Its members have no order that anything could see.
#[derive(Clone, Debug)]
pub enum Object<'v> {
    /// As it lies in JSON.
    There(&'v Map<String, Value>),
    /// Made by an expression, or of a record; no name is there twice.
    Made(Rc<Vec<(&'v str, Data<'v>)>>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::There(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'v> List<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::There(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Data<'v>> {
        match self {
            Self::There(items) => items.get(index).map(Data::from),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Data<'v>> {
        (0..self.len()).map_while(|index| self.get(index))
    }
}

impl<'v> Object<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::There(members) => members.len(),
            Self::Made(members) => members.len(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Data<'v>> {
        match self {
            Self::There(members) => members.get(name).map(Data::from),
            Self::Made(members) => {
                let member = members.iter().find(|(known, _)| *known == name);
                member.map(|(_, value)| value.clone())
            }
        }
    }

    fn members(&self) -> Vec<(&'v str, Data<'v>)> {
        match self {
            Self::There(members) => members
                .iter()
                .map(|(name, value)| (name.as_str(), value.into()))
                .collect(),
            Self::Made(members) => members.to_vec(),
        }
    }
}

impl<'v> Data<'v> {
    /// An object with these members, no name twice.
    pub fn object(members: impl IntoIterator<Item = (&'v str, Self)>) -> Self {
        Self::Object(Object::Made(Rc::new(members.into_iter().collect())))
    }

    /// A list of these items.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(List::Made(Rc::new(items.into_iter().collect())))
    }

    /// What is left of a budget of parts and bytes of text; none when the value is above it.
    pub(super) fn weigh(&self, budget: usize) -> Option<usize> {
        let left = budget.checked_sub(1)?;
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) => Some(left),
            Self::Text(text) => left.checked_sub(text.as_str().len()),
            Self::List(items) => items.iter().try_fold(left, |left, item| item.weigh(left)),
            Self::Object(object) => {
                let mut members = object.members().into_iter();
                members.try_fold(left, |left, (_, item)| item.weigh(left))
            }
        }
    }

    /// Are they equal? Values of different kinds never are. Each part and byte of text that is looked at is taken from a
    /// budget; none when it is spent.
    pub(super) fn equals(&self, other: &Self, budget: &mut usize) -> Option<bool> {
        *budget = budget.checked_sub(1)?;
        Some(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                *budget = budget.checked_sub(a.as_str().len())?;
                a.as_str() == b.as_str()
            }
            (Self::List(a), Self::List(b)) if a.len() == b.len() => {
                for (a, b) in a.iter().zip(b.iter()) {
                    if !a.equals(&b, budget)? {
                        return Some(false);
                    }
                }
                true
            }
            (Self::Object(a), Self::Object(b)) if a.len() == b.len() => {
                for (name, a) in a.members() {
                    match b.get(name) {
                        Some(b) if a.equals(&b, budget)? => {}
                        _ => return Some(false),
                    }
                }
                true
            }
            _ => false,
        })
    }

    /// As JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Int(value) => Value::from(*value),
            Self::Text(text) => Value::from(text.as_str()),
            Self::List(List::There(items)) => Value::Array(items.to_vec()),
            Self::List(List::Made(items)) => Value::Array(items.iter().map(Self::to_json).collect()),
            Self::Object(Object::There(members)) => Value::Object((*members).clone()),
            Self::Object(Object::Made(members)) => {
                let members = members.iter();
                Value::Object(
                    members
                        .map(|(name, value)| ((*name).to_owned(), value.to_json()))
                        .collect(),
                )
            }
        }
    }
}

impl From<String> for Data<'_> {
    fn from(text: String) -> Self {
        Self::Text(Text::Made(text.into()))
    }
}

impl<'v> From<&'v str> for Data<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Text::There(text))
    }
}

/// Heights, times and counts: always far below 2^53.
impl From<u64> for Data<'_> {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Null, Self::Int)
    }
}

impl<'v> From<&'v Value> for Data<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number.as_i64().map_or(Self::Null, Self::Int),
            Value::String(text) => text.as_str().into(),
            Value::Array(items) => Self::List(List::There(items)),
            Value::Object(members) => Self::Object(Object::There(members)),
        }
    }
}
