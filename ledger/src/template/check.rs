//! Static checks of a CEL expression: what it may name, that it is deterministic, and what it may cost.
//!
//! Owns the allowed part of CEL: no doubles, no unsigned integers, no structs, maps only with literal names, no iteration
//! over anything but lists of bounded length, only listed functions. Runs once per template, never on the hot path.

mod shape;
mod typing;

pub use shape::Shape;

use std::borrow::Cow;
use std::collections::BTreeMap;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, MapExpr, SelectExpr};

use super::yaml::similar;

/// Most evaluation steps of one rule in the worst case.
const MAX_COST: u64 = 20_000;
/// Most nodes of a rule's syntax tree after macros are expanded.
const MAX_NODES: usize = 400;

/// Most parts of what is known of an object that an expression makes. Objects of objects double with each variable.
const MAX_PARTS: usize = 1_024;

/// Steps that a hash counts for: of a text of a statement's length it takes some microseconds.
const HASH_COST: u64 = 500;

/// Macros that look at each item of a list.
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "map", "filter"];

/// Operators and functions a rule may use.
const FUNCTIONS: [&str; 28] = [
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
    "string",
    "sum",
    "min",
    "max",
    "sha256",
];

/// Walks one expression.
pub struct Checker {
    scope: Vec<(String, Shape)>,
    nodes: usize,
}

/// What is wrong with an expression, and at which of its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Id of the node in the syntax tree.
    pub node: u64,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// What a walk found: shape and worst-case steps.
type Found = Result<(Shape, u64), Mistake>;

fn at(node: &IdedExpr) -> impl Fn(String) -> Mistake {
    let node = node.id;
    move |message| Mistake { node, message }
}

impl Checker {
    /// A checker for expressions over `variables`.
    pub fn new(variables: &[(&str, Shape)]) -> Self {
        Self {
            scope: variables
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), shape.clone()))
                .collect(),
            nodes: 0,
        }
    }

    /// Checks a whole expression and says what kind of value it has, and how many steps it takes at most.
    pub fn expression(mut self, expression: &IdedExpr) -> Result<(Shape, u64), Mistake> {
        let (shape, cost) = self.walk(expression)?;
        if cost > MAX_COST {
            return Err(at(expression)(format!(
                "this could take {cost} steps, allowed are {MAX_COST}: nest fewer loops or lower `maxItems`"
            )));
        }
        Ok((shape, cost))
    }

    fn walk(&mut self, node: &IdedExpr) -> Found {
        let wrong = at(node);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(wrong(format!("a rule may have at most {MAX_NODES} parts")));
        }
        match &node.expr {
            Expr::Unspecified => Err(wrong("an expression is missing".to_owned())),
            Expr::Literal(literal) => literal_shape(literal).map(|shape| (shape, 1)).map_err(wrong),
            Expr::Ident(name) => self.ident(name).map_err(wrong),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    return Err(wrong("optional list items are not supported".to_owned()));
                }
                self.list(&list.elements)
            }
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
            Expr::Map(map) => self.map(node, map),
            Expr::Struct(_) => Err(wrong("struct literals are not supported".to_owned())),
        }
    }

    fn ident(&self, name: &str) -> Result<(Shape, u64), String> {
        if let Some((_, shape)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Ok((shape.clone(), 1));
        }
        let known = self.scope.iter().map(|(known, _)| known.as_str());
        Err(unknown("variable", name, known.filter(|name| !name.starts_with('@'))))
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Found {
        // Where it lies, if it lies in a variable: what is known of all variables is too much to be copied for each.
        let (operand, cost) = match place(&self.scope, &select.operand.expr) {
            Some((shape, nodes)) => {
                self.nodes += nodes;
                (Cow::Borrowed(shape), nodes as u64)
            }
            None => {
                let (shape, cost) = self.walk(&select.operand)?;
                (Cow::Owned(shape), cost)
            }
        };
        let shape = match &*operand {
            Shape::Object(fields) => match fields.get(&select.field) {
                Some(shape) => shape.clone(),
                None => {
                    let known = fields.keys().map(String::as_str);
                    return Err(at(node)(unknown("field", &select.field, known)));
                }
            },
            Shape::Any => Shape::Any,
            other => {
                return Err(at(node)(format!(
                    "`.{}` is asked of {other}, which has no fields",
                    select.field
                )));
            }
        };
        Ok((if select.test { Shape::Bool } else { shape }, cost + 1))
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Found {
        let mut cost = 1;
        let mut item = Shape::Never;
        for element in elements {
            let (shape, more) = self.walk(element)?;
            cost += more;
            item = item.join(shape);
        }
        Ok((Shape::List(Box::new(item), elements.len() as u64), cost))
    }

    /// `{'name': value}`: the names must be literal, so that what can be asked of it is known.
    fn map(&mut self, node: &IdedExpr, map: &MapExpr) -> Found {
        let mut cost = 1;
        let mut fields = BTreeMap::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(at(node)("struct literals are not supported".to_owned()));
            };
            let Expr::Literal(LiteralValue::String(name)) = &entry.key.expr else {
                return Err(at(&entry.key)(
                    "write the names of a map as literal strings, e.g. {'amount': 1}".to_owned(),
                ));
            };
            if entry.optional {
                return Err(at(&entry.key)("optional entries are not supported".to_owned()));
            }
            let (shape, more) = self.walk(&entry.value)?;
            cost += more;
            if fields.insert(name.inner().to_owned(), shape).is_some() {
                return Err(at(&entry.key)(format!("`{}` is there twice", name.inner())));
            }
        }
        let parts: usize = fields.values().map(Shape::parts).sum();
        if parts > MAX_PARTS {
            return Err(at(node)(format!(
                "this object would have {parts} parts, allowed are {MAX_PARTS}: put fewer objects into one"
            )));
        }
        Ok((Shape::Object(fields), cost))
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Found {
        // A macro that is written as one has become something else by now.
        if MACROS.contains(&call.func_name.as_str()) {
            return Err(at(node)(format!(
                "`{0}` takes the name of an item and an expression about it, such as `input.names.{0}(name, name != '')`",
                call.func_name
            )));
        }
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            return Err(at(node)(format!(
                "the function `{}` is not supported; besides operators and the macros has, all, exists, exists_one, \
                 map and filter there are: size, startsWith, endsWith, contains, string, sum, min, max, sha256",
                call.func_name
            )));
        }
        let mut shapes = Vec::with_capacity(call.args.len() + 1);
        let mut cost = 1u64;
        for part in call.target.iter().map(AsRef::as_ref).chain(&call.args) {
            let (shape, more) = self.walk(part)?;
            cost = cost.saturating_add(more);
            // Comparing and searching looks at every item and byte; a list is joined without looking into its items.
            let looked_at = match (&shape, call.func_name.as_str()) {
                (_, "_==_" | "_!=_" | "@in") => shape.weight(),
                (Shape::List(_, max), _) => *max,
                (_, "_?_:_") => 0,
                _ => shape.weight(),
            };
            cost = cost.saturating_add(looked_at);
            shapes.push(shape);
        }
        if call.func_name == "sha256" {
            cost = cost.saturating_add(HASH_COST);
        }
        let shape = typing::call(&call.func_name, &shapes).map_err(at(node))?;
        Ok((shape, cost))
    }

    fn comprehension(&mut self, node: &IdedExpr, comprehension: &ComprehensionExpr) -> Found {
        let (range, range_cost) = self.walk(&comprehension.iter_range)?;
        let Shape::List(item, max) = range else {
            return Err(at(node)(format!(
                "all, exists, exists_one, map and filter work on lists of bounded length only, this is {range}: \
                 anything else has no fixed order or size"
            )));
        };
        if comprehension.iter_var.starts_with('.') {
            return Err(at(node)(format!(
                "`{}` can't name an item: leave out the dot",
                comprehension.iter_var
            )));
        }
        if comprehension.iter_var2.is_some() {
            return Err(at(node)("macros with two variables are not supported".to_owned()));
        }
        let (start, start_cost) = self.walk(&comprehension.accu_init)?;
        let accumulated = match start {
            // map() and filter() collect at most one item per step.
            Shape::List(item, _) => Shape::List(item, max),
            other => other,
        };
        let depth = self.scope.len();
        self.scope.push((comprehension.accu_var.clone(), accumulated.clone()));
        self.scope.push((comprehension.iter_var.clone(), *item));
        let (_, condition) = self.walk(&comprehension.loop_cond)?;
        let (collected, step) = self.walk(&comprehension.loop_step)?;
        if let Some((_, accumulator)) = self.scope.get_mut(depth) {
            *accumulator = match accumulated.join(collected) {
                Shape::List(item, _) => Shape::List(item, max),
                other => other,
            };
        }
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

/// The shape of a variable, or of a field that is known to be in one, with the nodes that name it: each is a step.
fn place<'s>(scope: &'s [(String, Shape)], expression: &Expr) -> Option<(&'s Shape, usize)> {
    match expression {
        Expr::Ident(name) => {
            let known = scope.iter().rev().find(|(known, _)| known == name);
            known.map(|(_, shape)| (shape, 1))
        }
        Expr::Select(select) if !select.test => match place(scope, &select.operand.expr)? {
            (Shape::Object(fields), nodes) => Some((fields.get(&select.field)?, nodes + 1)),
            _ => None,
        },
        _ => None,
    }
}

fn unknown<'k>(what: &str, name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let meant = similar(name, known.clone());
    let meant = meant
        .map(|meant| format!("; did you mean `{meant}`?"))
        .unwrap_or_default();
    let known: Vec<_> = known.collect();
    format!("there is no {what} `{name}`{meant} (there are: {})", known.join(", "))
}

fn literal_shape(literal: &LiteralValue) -> Result<Shape, String> {
    match literal {
        LiteralValue::Boolean(_) => Ok(Shape::Bool),
        LiteralValue::Int(_) => Ok(Shape::Int),
        LiteralValue::String(text) => Ok(Shape::Text(text.inner().len() as u64)),
        LiteralValue::Null => Ok(Shape::Null),
        LiteralValue::Double(_) => {
            Err("floating-point numbers are not allowed: use an integer in a small unit".to_owned())
        }
        LiteralValue::UInt(_) => Err("unsigned literals such as 1u are not supported: write 1".to_owned()),
        LiteralValue::Bytes(_) => Err("byte literals are not supported".to_owned()),
    }
}
