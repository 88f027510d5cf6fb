//! What an action makes of records: `to`, `set`, and the records it refers to (`refs`).

use serde_json::Value;

use super::action::Declared;
use super::shapes::Shapes;
use super::{input_path, resolve, state};
use crate::template::check::Shape;
use crate::template::rule::values::Values;
use crate::template::rule::{Expression, Uses};
use crate::template::schema::{self, Property, Schema, check_name};
use crate::template::validate::validate;
use crate::template::yaml::{At, Yaml};
use crate::template::{Assign, Case, Change, Reference, Source, TemplateError};

/// Most records in a list of references, and most references of an action.
pub const MAX_REFS: usize = 32;
/// Most cases of one region in `to`.
const MAX_CASES: usize = 16;

impl Declared<'_> {
    /// The records an action refers to, yet without what becomes of them.
    pub fn refs(&self, at: At<'_>, input: &Schema) -> Result<Vec<Reference>, TemplateError> {
        let refs = at.entries(|name, at| {
            check_name(name, at)?;
            at.only(&["description", "record", "from", "to", "set"])?;
            let (record, many) = at.need("record", |at| reference(at, input))?;
            let from = at.get("from", |at| self.states(at))?;
            Ok(Reference {
                name: name.to_owned(),
                record,
                many,
                from: from.unwrap_or_default(),
                change: Change::default(),
            })
        })?;
        let records: usize = refs.iter().map(|one| if one.many { MAX_REFS } else { 1 }).sum();
        if records > 2 * MAX_REFS {
            return Err(at.error(format!(
                "an action may refer to at most {} records, a list counting as {MAX_REFS}",
                2 * MAX_REFS
            )));
        }
        Ok(refs)
    }

    /// What becomes of the records that an action refers to.
    pub fn ref_changes(
        &self,
        at: At<'_>,
        refs: &mut [Reference],
        input: &Schema,
        shapes: &Shapes<'_>,
    ) -> Result<(), TemplateError> {
        at.entries(|name, at| {
            let Some(one) = refs.iter_mut().find(|one| one.name == name) else {
                return Ok(());
            };
            let mut shapes = shapes.clone();
            if one.many {
                shapes.push(("item", self.record()));
            }
            one.change = self.change(at, input, &shapes)?;
            Ok(())
        })
        .map(drop)
    }

    /// `to` and `set` of an action or of a reference.
    pub fn change(&self, at: At<'_>, input: &Schema, shapes: &Shapes<'_>) -> Result<Change, TemplateError> {
        let mut parts = at.parts();
        let to = parts.keep(at.get("to", |at| {
            at.entries(|name, at| {
                let region = self.region(name, at)?;
                Ok((name.to_owned(), cases(at, &region.states, shapes)?))
            })
        }));
        let set = parts.keep(at.get("set", |at| {
            at.entries(|field, at| Ok((field.to_owned(), self.assign(field, at, input, shapes)?)))
        }));
        parts.settle()?;
        let set: Vec<(String, Assign)> = set.flatten().unwrap_or_default();
        let mut sorted: Vec<usize> = (0..set.len()).collect();
        sorted.sort_by_key(|place| set.get(*place).map(|(field, _)| field));
        Ok(Change {
            to: to.flatten().unwrap_or_default(),
            set,
            sorted,
        })
    }

    fn assign(&self, field: &str, at: At<'_>, input: &Schema, shapes: &Shapes<'_>) -> Result<Assign, TemplateError> {
        let Some(property) = self.fields.property(field) else {
            return Err(at.key_error(format!("there is no field `{field}` in spec.fields")));
        };
        match &at.node.value {
            Yaml::Null if property.required => {
                Err(at.error(format!("the field `{field}` is required, so it can't be removed")))
            }
            Yaml::Null => Ok(Assign::Remove),
            Yaml::Int(value) => constant(at, property, Value::from(*value)),
            Yaml::Bool(value) => constant(at, property, Value::from(*value)),
            _ => match source(at, input)? {
                Some(source) => copy(at, property, source, input),
                None => compute(at, property, shapes),
            },
        }
    }
}

/// Path of a reference in the input, and whether it is a list.
fn reference(at: At<'_>, input: &Schema) -> Result<(Vec<String>, bool), TemplateError> {
    let source = input_path(at, at.text()?)?;
    let many = match resolve(at, input, &source, false)?.0 {
        Schema::Text(_) => Some(false),
        Schema::Array(array) => {
            let texts = matches!(array.items.as_deref(), Some(Schema::Text(_))) && array.prefix.is_empty();
            (texts && array.unique && array.max <= MAX_REFS).then_some(true)
        }
        _ => None,
    };
    match (source, many) {
        (Source::Input(path), Some(many)) => Ok((path, many)),
        _ => Err(at.error(format!(
            "a reference needs a record id, or a list of them with `uniqueItems: true` and `maxItems` up to {MAX_REFS}"
        ))),
    }
}

fn cases(at: At<'_>, states: &[String], shapes: &Shapes<'_>) -> Result<Vec<Case>, TemplateError> {
    if !matches!(at.node.value, Yaml::List(_)) {
        let state = state(at, states)?;
        return Ok(vec![Case { when: None, state }]);
    }
    let cases = at.each(|at| {
        at.only(&["when", "state"])?;
        let when = at.get("when", |at| condition(at, shapes))?;
        let state = at.need("state", |at| state(at, states))?;
        Ok(Case { when, state })
    })?;
    let always = cases.iter().position(|case| case.when.is_none());
    if cases.is_empty() || cases.len() > MAX_CASES || always.is_some_and(|index| index + 1 < cases.len()) {
        return Err(at.error(format!(
            "1 to {MAX_CASES} cases stand here; only the last may be without `when`, none after it could ever hold"
        )));
    }
    Ok(cases)
}

fn condition(at: At<'_>, shapes: &Shapes<'_>) -> Result<Expression, TemplateError> {
    let expression = Expression::compile(at, shapes)?;
    if expression.shape.meets(&Shape::Bool) {
        return Ok(expression);
    }
    Err(at.error(format!(
        "a condition must be true or false, this one is {}",
        expression.shape
    )))
}

fn constant(at: At<'_>, property: &Property, value: Value) -> Result<Assign, TemplateError> {
    match validate(&property.schema, &value) {
        Ok(()) => Ok(Assign::Constant(value)),
        Err(invalid) => Err(at.error(format!(
            "the field `{}` can't have this value: it {}",
            property.name, invalid.message
        ))),
    }
}

/// A plain path; anything else is an expression.
fn source(at: At<'_>, input: &Schema) -> Result<Option<Source>, TemplateError> {
    let text = at.text()?;
    let plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
    };
    Ok(match text {
        "tx.signer" => Some(Source::Signer),
        "block.height" => Some(Source::Height),
        "block.time" => Some(Source::Time),
        _ if text.starts_with("input.") && plain(text) => {
            let source = input_path(at, text)?;
            resolve(at, input, &source, false)?;
            Some(source)
        }
        _ => None,
    })
}

fn copy(at: At<'_>, property: &Property, source: Source, input: &Schema) -> Result<Assign, TemplateError> {
    let fits = match &source {
        Source::Input(_) => property.schema.admits(resolve(at, input, &source, false)?.0),
        Source::Height | Source::Time => matches!(&property.schema, Schema::Int { min, max, choices }
            if *min <= 0 && *max == schema::MAX_INT && choices.is_empty()),
        Source::Signer | Source::Creator => matches!(&property.schema, Schema::Text(text)
            if text.min <= 40 && text.max >= 64 && text.pattern.is_none() && text.choices.is_empty()),
    };
    if fits {
        return Ok(Assign::Copy(source));
    }
    let (text, field) = (at.text()?, &property.name);
    Err(at.error(format!(
        "`{text}` and the field `{field}` allow different values; use `$ref: \"#/fields/{field}\"` in the input (a signer \
         key needs a plain string of maxLength 64 or more, heights and times an unbounded integer)"
    )))
}

fn compute(at: At<'_>, property: &Property, shapes: &Shapes<'_>) -> Result<Assign, TemplateError> {
    let expression = Expression::compile(at, shapes)?;
    let wanted = Shape::from(&property.schema);
    if expression.shape.meets(&wanted) || expression.shape == Shape::Null && !property.required {
        return Ok(settled(&expression, property).map_or(Assign::Compute(expression), Assign::Constant));
    }
    Err(at.error(format!(
        "this is {}, but the field `{}` is {wanted}",
        expression.shape, property.name
    )))
}

/// The value of an expression over no variables, such as an empty list, if it is one that the field can have.
fn settled(expression: &Expression, property: &Property) -> Option<Value> {
    if expression.uses != Uses::default() {
        return None;
    }
    let value = Values::default().value(expression).ok()?;
    validate(&property.schema, &value).is_ok().then_some(value)
}

impl Change {
    /// Expressions in it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let cases = self.to.iter().flat_map(|(_, cases)| cases);
        let computed = self.set.iter().filter_map(|(_, assign)| match assign {
            Assign::Compute(expression) => Some(expression),
            _ => None,
        });
        cases.filter_map(|case| case.when.as_ref()).chain(computed)
    }
}
