//! Static checks of a CEL expression: what it may name, that it is deterministic, and what it may cost.
//!
//! Owns the allowed part of CEL: no doubles, no unsigned integers, no maps or structs, no iteration over anything but
//! lists of bounded length, only listed functions. Runs once per template, never on the hot path.

use std::collections::BTreeMap;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr};

use super::schema::Schema;

/// Most evaluation steps of one rule in the worst case.
const MAX_COST: u64 = 20_000;
/// Most nodes of a rule's syntax tree after macros are expanded.
const MAX_NODES: usize = 400;

/// Operators and functions a rule may use.
const FUNCTIONS: [&str; 23] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "size",
    "startsWith",
    "endsWith",
    "contains",
];

/// What is known of a value before it is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Nothing is known.
    Any,
    /// null
    Null,
    /// A boolean.
    Bool,
    /// An integer.
    Int,
    /// A string.
    Text,
    /// A list of at most so many items.
    List(Box<Shape>, u64),
    /// An object with exactly these fields (some perhaps absent).
    Object(BTreeMap<String, Shape>),
}

impl From<&Schema> for Shape {
    fn from(schema: &Schema) -> Self {
        match schema {
            Schema::Object(properties) => Self::Object(
                properties
                    .iter()
                    .map(|property| (property.name.clone(), Self::from(&property.schema)))
                    .collect(),
            ),
            Schema::Array(array) => {
                let item = match (&array.items, array.prefix.as_slice()) {
                    (Some(items), []) => Self::from(items.as_ref()),
                    (None, [first, rest @ ..]) if rest.iter().all(|other| Self::from(other) == Self::from(first)) => {
                        Self::from(first)
                    }
                    _ => Self::Any,
                };
                Self::List(Box::new(item), array.max as u64)
            }
            Schema::Text(_) => Self::Text,
            Schema::Int { .. } => Self::Int,
            Schema::Bool(_) => Self::Bool,
        }
    }
}

/// Walks one expression.
pub struct Checker {
    scope: Vec<(String, Shape)>,
    nodes: usize,
}

/// What a walk found: shape and worst-case steps.
type Found = Result<(Shape, u64), String>;

impl Checker {
    /// A checker for expressions over `variables`.
    pub fn new(variables: &[(&'static str, Shape)]) -> Self {
        Self {
            scope: variables
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), shape.clone()))
                .collect(),
            nodes: 0,
        }
    }

    /// Checks a whole rule and says what kind of value it has.
    pub fn rule(mut self, expression: &IdedExpr) -> Result<Shape, String> {
        let (shape, cost) = self.walk(expression)?;
        if cost > MAX_COST {
            return Err(format!(
                "this rule could take {cost} steps, allowed are {MAX_COST}: nest fewer loops or lower `maxItems`"
            ));
        }
        Ok(shape)
    }

    fn walk(&mut self, expression: &IdedExpr) -> Found {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("a rule may have at most {MAX_NODES} parts"));
        }
        match &expression.expr {
            Expr::Unspecified => Err("an expression is missing".to_owned()),
            Expr::Literal(literal) => literal_shape(literal).map(|shape| (shape, 1)),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    return Err("optional list items are not supported".to_owned());
                }
                self.list(&list.elements)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Map(_) => Err("map literals are not supported: maps have no order".to_owned()),
            Expr::Struct(_) => Err("struct literals are not supported".to_owned()),
        }
    }

    fn ident(&self, name: &str) -> Found {
        if let Some((_, shape)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Ok((shape.clone(), 1));
        }
        let known: Vec<_> = self
            .scope
            .iter()
            .map(|(known, _)| known.as_str())
            .filter(|n| !n.starts_with('@'))
            .collect();
        Err(format!("unknown variable `{name}`; known here: {}", known.join(", ")))
    }

    fn select(&mut self, select: &SelectExpr) -> Found {
        let (operand, cost) = self.walk(&select.operand)?;
        let shape = match operand {
            Shape::Object(mut fields) => match fields.remove(&select.field) {
                Some(shape) => shape,
                None => {
                    let known: Vec<_> = fields.into_keys().collect();
                    return Err(format!(
                        "there is no field `{}`; there are: {}",
                        select.field,
                        known.join(", ")
                    ));
                }
            },
            Shape::Any => Shape::Any,
            _ => return Err(format!("`.{}` is asked of something that has no fields", select.field)),
        };
        Ok((if select.test { Shape::Bool } else { shape }, cost + 1))
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Found {
        let mut cost = 1;
        let mut item: Option<Shape> = None;
        for element in elements {
            let (shape, more) = self.walk(element)?;
            cost += more;
            item = Some(match item {
                None => shape,
                Some(before) if before == shape => before,
                Some(_) => Shape::Any,
            });
        }
        Ok((
            Shape::List(Box::new(item.unwrap_or(Shape::Any)), elements.len() as u64),
            cost,
        ))
    }

    fn call(&mut self, call: &CallExpr) -> Found {
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            return Err(format!(
                "the function `{}` is not supported; besides operators and the macros has, all, exists, exists_one, \
                 map and filter there are: size, startsWith, endsWith, contains",
                call.func_name
            ));
        }
        let mut shapes = Vec::with_capacity(call.args.len() + 1);
        let mut cost = 1u64;
        for part in call.target.iter().map(AsRef::as_ref).chain(&call.args) {
            let (shape, more) = self.walk(part)?;
            cost = cost.saturating_add(more);
            // Comparing, joining or searching lists looks at every item.
            if let Shape::List(_, max) = &shape {
                cost = cost.saturating_add(*max);
            }
            shapes.push(shape);
        }
        Ok((call_shape(&call.func_name, shapes), cost))
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Found {
        let (range, range_cost) = self.walk(&comprehension.iter_range)?;
        let Shape::List(item, max) = range else {
            return Err(
                "all, exists, exists_one, map and filter work on lists of bounded length only: \
                        anything else has no fixed order or size"
                    .to_owned(),
            );
        };
        if comprehension.iter_var2.is_some() {
            return Err("macros with two variables are not supported".to_owned());
        }
        let (start, start_cost) = self.walk(&comprehension.accu_init)?;
        let accumulated = match start {
            // map() and filter() collect at most one item per step.
            Shape::List(..) => Shape::List(Box::new(Shape::Any), max),
            other => other,
        };
        let depth = self.scope.len();
        self.scope.push((comprehension.accu_var.clone(), accumulated));
        self.scope.push((comprehension.iter_var.clone(), *item));
        let (_, condition) = self.walk(&comprehension.loop_cond)?;
        let (_, step) = self.walk(&comprehension.loop_step)?;
        let (result, last) = self.walk(&comprehension.result)?;
        self.scope.truncate(depth);
        let loops = condition.saturating_add(step).saturating_mul(max);
        let cost = loops
            .saturating_add(range_cost)
            .saturating_add(start_cost)
            .saturating_add(last);
        Ok((result, cost))
    }
}

fn literal_shape(literal: &LiteralValue) -> Result<Shape, String> {
    match literal {
        LiteralValue::Boolean(_) => Ok(Shape::Bool),
        LiteralValue::Int(_) => Ok(Shape::Int),
        LiteralValue::String(_) => Ok(Shape::Text),
        LiteralValue::Null => Ok(Shape::Null),
        LiteralValue::Double(_) => {
            Err("floating-point numbers are not allowed: use an integer in a small unit".to_owned())
        }
        LiteralValue::UInt(_) => Err("unsigned literals such as 1u are not supported: write 1".to_owned()),
        LiteralValue::Bytes(_) => Err("byte literals are not supported".to_owned()),
    }
}

fn call_shape(function: &str, shapes: Vec<Shape>) -> Shape {
    let mut shapes = shapes.into_iter();
    match function {
        "_&&_"
        | "_||_"
        | "!_"
        | "_==_"
        | "_!=_"
        | "_>=_"
        | "_<=_"
        | "_>_"
        | "_<_"
        | "@in"
        | "@not_strictly_false"
        | "startsWith"
        | "endsWith"
        | "contains" => Shape::Bool,
        "size" | "_-_" | "_*_" | "_/_" | "_%_" | "-_" => Shape::Int,
        "_[_]" => match shapes.next() {
            Some(Shape::List(item, _)) => *item,
            _ => Shape::Any,
        },
        "_+_" => match (shapes.next(), shapes.next()) {
            (Some(Shape::List(a, first)), Some(Shape::List(b, second))) => Shape::List(
                if a == b { a } else { Box::new(Shape::Any) },
                first.saturating_add(second),
            ),
            (Some(a), Some(b)) if a == b => a,
            _ => Shape::Any,
        },
        "_?_:_" => match (shapes.nth(1), shapes.next()) {
            (Some(a), Some(b)) if a == b => a,
            _ => Shape::Any,
        },
        _ => Shape::Any,
    }
}
