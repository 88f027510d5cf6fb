//! What expressions read of `input`, so that only this is made into CEL values, and is found by its whole name.
//!
//! Owns the walk over an expression's tree, once per template, and giving values for it, once per action.

use std::collections::{BTreeMap, BTreeSet};

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, SelectExpr};
use serde_json::Value;

use super::values::{Given, Values};

/// The variable.
const INPUT: &str = "input";

/// Parts of `input`. CEL looks for a variable of the longest name first: of `input.totals.due`, before it asks `input`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// It is named by itself.
    whole: bool,
    /// Paths that are read.
    values: BTreeSet<Path>,
    /// Paths of objects, with the members of which `has` asks whether they are there.
    tests: BTreeMap<Path, BTreeSet<String>>,
}

/// Members from `input` downwards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Path {
    /// As CEL looks for it.
    name: String,
    members: Vec<String>,
}

impl Path {
    fn new(members: Vec<String>) -> Self {
        let names = std::iter::once(INPUT).chain(members.iter().map(String::as_str));
        Self {
            name: names.collect::<Vec<_>>().join("."),
            members,
        }
    }

    fn of<'v>(&self, input: &'v Value) -> Option<&'v Value> {
        self.members.iter().try_fold(input, |value, name| value.get(name))
    }
}

impl Reads {
    /// What an expression reads.
    pub fn of(expression: &IdedExpr) -> Self {
        let mut reads = Self::default();
        reads.walk(&expression.expr);
        reads
    }

    /// Adds what others read.
    pub fn add(&mut self, others: &Self) {
        self.whole |= others.whole;
        self.values.extend(others.values.iter().cloned());
        for (path, members) in &others.tests {
            let known = self.tests.entry(path.clone()).or_default();
            known.extend(members.iter().cloned());
        }
    }

    /// Gives values for all that is read. What the input doesn't have stays unknown, as it would be in all of it.
    pub fn give<'v>(&'v self, values: &mut Values<'_, 'v>, input: &'v Value) {
        if self.whole {
            values.set(INPUT, input);
            return;
        }
        values.set(INPUT, Given::object([]));
        for (path, members) in &self.tests {
            let Some(Value::Object(there)) = path.of(input) else {
                continue;
            };
            let there = members.iter().filter(|name| there.contains_key(*name));
            values.set(
                &path.name,
                Given::object(there.map(|name| (name.as_str(), true.into()))),
            );
        }
        // After the tests: where both ask, all of it is there.
        for path in &self.values {
            if let Some(value) = path.of(input) {
                values.set(&path.name, value);
            }
        }
    }

    fn walk(&mut self, expression: &Expr) {
        match expression {
            Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Ident(name) => self.whole |= name == INPUT,
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => {
                let parts = call.target.iter().map(AsRef::as_ref).chain(&call.args);
                parts.for_each(|part| self.walk(&part.expr));
            }
            Expr::List(list) => list.elements.iter().for_each(|item| self.walk(&item.expr)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.key.expr);
                        self.walk(&entry.value.expr);
                    }
                }
            }
            Expr::Comprehension(one) => {
                let parts = [
                    &one.iter_range,
                    &one.accu_init,
                    &one.loop_cond,
                    &one.loop_step,
                    &one.result,
                ];
                parts.iter().for_each(|part| self.walk(&part.expr));
            }
        }
    }

    fn select(&mut self, select: &SelectExpr) {
        let (mut members, mut of) = (Vec::new(), &select.operand.expr);
        while let Expr::Select(inner) = of
            && !inner.test
        {
            members.push(inner.field.clone());
            of = &inner.operand.expr;
        }
        if !matches!(of, Expr::Ident(name) if name == INPUT) {
            return self.walk(of);
        }
        members.reverse();
        if select.test {
            let tests = self.tests.entry(Path::new(members)).or_default();
            tests.insert(select.field.clone());
        } else {
            members.push(select.field.clone());
            self.values.insert(Path::new(members));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{ENV, Expression, Uses};
    use super::*;
    use crate::template::check::Shape;
    use crate::template::rule::values::Fault;
    use serde_json::json;

    fn expression(source: &str) -> Expression {
        let program = ENV.compile(source).unwrap();
        Expression {
            reads: Reads::of(program.expression()),
            program,
            uses: Uses::default(),
            shape: Shape::Any,
            cost: 0,
        }
    }

    const SOURCES: &[&str] = &[
        "input.a",
        "input.a + 1",
        "input.a * 9223372036854775807",
        "has(input.a)",
        "has(input.b) && has(input.b.c)",
        "has(input.b.c)",
        "has(input.b.c.x)",
        "has(input.b.d) ? input.b.d[0] : 0",
        "input.b",
        "input.b == {'c': 'x', 'd': [1, 2]}",
        "input.b.c",
        "input.b.c.x",
        "input.b.c == true",
        "has(input.b.c) && input.b.c == 'x'",
        "!has(input.b) || input.b.d == [1, 2]",
        "size(input.list)",
        "input.list.map(one, one.n)",
        "input.list.exists(input, input.n == 3)",
        "input.list.all(one, has(one.n) && has(input.a))",
        "input.list[0].n",
        "[input.a, 2]",
        "{'a': input.a}",
        "input.nothing.at.all",
        "has(input.nothing.at.all)",
        "input.a.b",
        "other.a",
        "item.n + input.a",
    ];
    const WHOLE: &[&str] = &["input == {}", "size([input])", "[input].all(one, has(one.a))"];

    fn inputs() -> Vec<Value> {
        vec![
            json!({}),
            json!({ "a": 1, "b": { "c": "x", "d": [1, 2] }, "list": [{ "n": 3 }, { "n": 4 }] }),
            json!({ "a": -7, "b": {}, "list": [] }),
            json!({ "a": null, "b": { "c": null, "d": [] }, "list": [{}] }),
            json!({ "a": { "b": 1 }, "b": { "c": { "x": 2 } } }),
            json!({ "b": null, "list": null, "nothing": { "at": {} } }),
            json!({ "b": 5, "nothing": { "at": { "all": 1 } } }),
            json!({ "a": true, "b": [{ "c": 1 }], "list": [{ "n": null }] }),
        ]
    }

    /// Evaluates each expression where all of the input is known and where only what all of them read is.
    fn same(sources: &[&str]) {
        let expressions: Vec<Expression> = sources.iter().map(|source| expression(source)).collect();
        let mut reads = Reads::default();
        expressions.iter().for_each(|one| reads.add(&one.reads));
        let (other, item) = (json!({ "a": 8 }), json!({ "n": 9 }));
        for input in &inputs() {
            let (mut whole, mut parts) = (Values::default(), Values::default());
            whole.set(INPUT, input);
            reads.give(&mut parts, input);
            for values in [&mut whole, &mut parts] {
                values.set("other", &other);
            }
            for (source, expression) in sources.iter().zip(&expressions) {
                let at = || format!("{source} of {input}");
                assert_eq!(whole.value(expression), parts.value(expression), "{}", at());
                let (whole, parts) = (whole.with("item", &item), parts.with("item", &item));
                assert_eq!(
                    whole.value(expression),
                    parts.value(expression),
                    "{} with an item",
                    at()
                );
            }
        }
    }

    #[test]
    fn parts_are_as_good_as_the_whole() {
        SOURCES.iter().chain(WHOLE).for_each(|source| same(&[source]));
        // What one expression asks for must not be seen by another.
        for first in SOURCES {
            SOURCES.iter().for_each(|second| same(&[first, second]));
        }
        same(SOURCES);
        same(&[SOURCES, WHOLE].concat());
    }

    #[test]
    fn only_what_is_read_is_given() {
        let reads = expression("has(input.b.c) && input.b.d == [1] || input.list.all(one, one.n > 0)").reads;
        let names: Vec<&str> = reads.values.iter().map(|path| path.name.as_str()).collect();
        assert_eq!(names, ["input.b.d", "input.list"]);
        let tests: Vec<&str> = reads.tests.keys().map(|path| path.name.as_str()).collect();
        assert_eq!(tests, ["input.b"]);
        assert!(!reads.whole && expression("input == {}").reads.whole);
        let input = json!({});
        let absent = expression("input.a");
        let mut values = Values::default();
        absent.reads.give(&mut values, &input);
        assert_eq!(values.value(&absent), Err(Fault::Undefined));
    }
}
