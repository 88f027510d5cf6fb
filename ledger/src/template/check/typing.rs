//! Types of operators and functions: what they take and what comes out.
//!
//! What CEL would refuse while it runs, or always answer with `false`, is refused when the template is compiled.

use super::Shape;
use crate::template::schema::MAX_TEXT;

/// The shape of a call's value. The target of `target.function(…)` counts as its first argument.
pub fn call(function: &str, arguments: &[Shape]) -> Result<Shape, String> {
    use Shape::{Bool, Int};
    match (function, arguments) {
        ("_&&_" | "_||_" | "!_" | "@not_strictly_false", _) => each(function, arguments, &Bool).map(|()| Bool),
        ("_-_" | "_*_" | "_/_" | "_%_" | "-_", _) => each(function, arguments, &Int).map(|()| Int),
        ("_+_", [a, b]) => plus(a, b),
        ("_==_" | "_!=_", [a, b]) => equal(function, a, b).map(|()| Bool),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => order(function, a, b).map(|()| Bool),
        ("@in", [item, list]) => contained(item, list).map(|()| Bool),
        ("_[_]", [list, index]) => item(list, index),
        ("_?_:_", [condition, yes, no]) => {
            if !condition.meets(&Bool) {
                return Err(format!("before `?` stands {condition}: it must be true or false"));
            }
            Ok(yes.clone().join(no.clone()))
        }
        ("size", [of]) => match of {
            Shape::Text(_) | Shape::List(..) | Shape::Object(_) | Shape::Any => Ok(Int),
            other => Err(format!(
                "`size` is asked of {other}; only strings and lists have a size"
            )),
        },
        ("string", [of]) => match of {
            Shape::Text(bytes) => Ok(Shape::Text(*bytes)),
            Int => Ok(Shape::Text(INT_BYTES)),
            Shape::Any => Ok(Shape::Text(MOST_BYTES)),
            other => Err(format!("`string` is asked of {other}; it takes an integer")),
        },
        ("min" | "max", [_, _]) => each(function, arguments, &Int).map(|()| Int),
        ("sum", [list]) => match list {
            Shape::List(item, _) if item.meets(&Int) => Ok(Int),
            Shape::Any => Ok(Int),
            other => Err(format!("`sum` adds up a list of integers, not {other}")),
        },
        ("sha256", [_]) => each(function, arguments, &TEXT).map(|()| Shape::Text(64)),
        ("startsWith" | "endsWith" | "contains", [_, _]) => each(function, arguments, &TEXT).map(|()| Bool),
        ("min" | "max", _) => Err(format!(
            "`{function}` takes two integers, such as `{function}(input.amount, 100)`"
        )),
        _ => Err(format!(
            "`{function}` doesn't take so many arguments ({})",
            arguments.len()
        )),
    }
}

/// A text of which nothing else is known.
const TEXT: Shape = Shape::Text(MOST_BYTES);
/// Most bytes of any text in a record or input.
const MOST_BYTES: u64 = MAX_TEXT as u64 * 4;
/// Most characters of an integer.
const INT_BYTES: u64 = 20;

/// `a + b` for `_+_`.
fn sign(function: &str) -> &str {
    function.trim_matches('_')
}

fn each(function: &str, arguments: &[Shape], wanted: &Shape) -> Result<(), String> {
    match arguments.iter().find(|shape| !shape.meets(wanted)) {
        None => Ok(()),
        Some(other) => Err(format!(
            "`{}` works on {}, not on {other}",
            sign(function),
            plural(wanted)
        )),
    }
}

fn plural(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "truth values",
        Shape::Int => "integers",
        _ => "strings",
    }
}

fn plus(a: &Shape, b: &Shape) -> Result<Shape, String> {
    match (a, b) {
        (Shape::List(first, most), Shape::List(second, more)) => Ok(Shape::List(
            Box::new(first.as_ref().clone().join(second.as_ref().clone())),
            most.saturating_add(*more),
        )),
        (Shape::Text(a), Shape::Text(b)) => Ok(Shape::Text(a.saturating_add(*b))),
        (Shape::Any, Shape::Text(known)) | (Shape::Text(known), Shape::Any) => {
            Ok(Shape::Text(known.saturating_add(MOST_BYTES)))
        }
        (Shape::Any, known) | (known, Shape::Any) if plain(known) => Ok(known.clone()),
        // Of unknown length: nothing may be iterated over it.
        (Shape::Any, Shape::Any | Shape::List(..)) | (Shape::List(..), Shape::Any) => Ok(Shape::Any),
        (a, b) if a == b && plain(a) => Ok(a.clone()),
        (a, b) => Err(format!(
            "`+` adds integers or joins two strings or two lists, not {a} and {b}"
        )),
    }
}

fn plain(shape: &Shape) -> bool {
    matches!(shape, Shape::Int | Shape::Text(_))
}

fn equal(function: &str, a: &Shape, b: &Shape) -> Result<(), String> {
    if a.meets(b) || matches!(a, Shape::Null) || matches!(b, Shape::Null) {
        return Ok(());
    }
    Err(format!(
        "`{}` compares {a} with {b}: they are never equal",
        sign(function)
    ))
}

fn order(function: &str, a: &Shape, b: &Shape) -> Result<(), String> {
    let ordered = |shape: &Shape| plain(shape) || matches!(shape, Shape::Any);
    if a.meets(b) && ordered(a) && ordered(b) {
        return Ok(());
    }
    Err(format!(
        "`{}` compares two integers or two strings, not {a} and {b}",
        sign(function)
    ))
}

fn contained(item: &Shape, list: &Shape) -> Result<(), String> {
    match list {
        Shape::Any => Ok(()),
        Shape::Object(_) if item.meets(&TEXT) => Ok(()),
        Shape::List(known, _) if item.meets(known) => Ok(()),
        Shape::List(known, _) => Err(format!(
            "`in` looks for {item} in a list whose items are {}",
            known.as_ref()
        )),
        other => Err(format!("`in` looks into a list, not into {other}")),
    }
}

fn item(list: &Shape, index: &Shape) -> Result<Shape, String> {
    match list {
        Shape::List(item, _) if index.meets(&Shape::Int) => match item.as_ref() {
            Shape::Never => Ok(Shape::Any),
            known => Ok(known.clone()),
        },
        Shape::Object(_) if index.meets(&TEXT) => Ok(Shape::Any),
        Shape::Any => Ok(Shape::Any),
        Shape::List(..) => Err(format!("an item of a list is named by its number, not by {index}")),
        other => Err(format!("`[…]` is asked of {other}, which has no items")),
    }
}
