//! CEL expressions, and the rules made of them that an action must satisfy.
//!
//! Owns compiling: the crate `cel` parses, `check` says what is let through, `node` makes of it what `evaluate` evaluates.

mod data;
mod evaluate;
mod node;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
pub mod values;

use std::sync::LazyLock;

use cel::{Env, ParseErrors};

use self::node::Node;
use super::TemplateError;
use super::check::{Checker, Shape};
use super::yaml::At;

/// Longest rule in bytes.
const MAX_SOURCE: usize = 1_024;
/// Deepest nesting of brackets in a rule.
const MAX_BRACKETS: usize = 16;
/// Most words and signs in a rule: the parser and the checker recurse once per operator, so this bounds their stack.
const MAX_TOKENS: usize = 256;

/// Only parses: macros are taken apart, and what functions there are `check` says.
static ENV: LazyLock<Env> = LazyLock::new(Env::stdlib);

/// One compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// Code of the refusal.
    pub code: String,
    /// Sentence of the refusal.
    pub message: String,
    /// The condition.
    pub expression: Expression,
}

/// Which variables expressions name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// `id`
    pub id: bool,
    /// `record`
    pub record: bool,
    /// `input`
    pub input: bool,
    /// `tx`
    pub tx: bool,
    /// `block`
    pub block: bool,
    /// `refs`
    pub refs: bool,
    /// `counters`
    pub counters: bool,
    /// `variables` or `item`: made from the others while the action is judged.
    pub made: bool,
}

impl Uses {
    /// What either names.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            id: self.id || other.id,
            record: self.record || other.record,
            input: self.input || other.input,
            tx: self.tx || other.tx,
            block: self.block || other.block,
            refs: self.refs || other.refs,
            counters: self.counters || other.counters,
            made: self.made || other.made,
        }
    }
}

impl Rule {
    /// Compiles one entry of `require`, whose variables have the given shapes.
    pub fn compile(at: At<'_>, variables: &[(&str, Shape)]) -> Result<Self, TemplateError> {
        at.only(&["rule", "code", "message"])?;
        let code = at.need("code", code)?;
        let message = at.need("message", message)?;
        let expression = at.need("rule", |at| {
            let expression = Expression::compile(at, variables)?;
            if !matches!(expression.shape, Shape::Bool | Shape::Any) {
                return Err(at.error(format!(
                    "a rule must be true or false, this one is {}: compare it with something",
                    expression.shape
                )));
            }
            Ok(expression)
        })?;
        Ok(Self {
            code,
            message,
            expression,
        })
    }
}

/// A code of a refusal.
pub(super) fn code(at: At<'_>) -> Result<String, TemplateError> {
    let code = at.text()?;
    let good = code
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !good || code.is_empty() || code.len() > 64 {
        return Err(at.error(format!("`{code}` is no code: use up to 64 of A-Z, 0-9 and `_`")));
    }
    Ok(code.to_owned())
}

/// The sentence of a refusal.
pub(super) fn message(at: At<'_>) -> Result<String, TemplateError> {
    let text = at.text()?;
    if text.len() > 256 {
        return Err(at.error("a message may have at most 256 bytes"));
    }
    Ok(text.to_owned())
}

/// A compiled CEL expression.
#[derive(Debug)]
pub struct Expression {
    /// What is evaluated.
    node: Node,
    /// Variables that it names.
    pub uses: Uses,
    /// What kind of value it has.
    pub shape: Shape,
    /// Most evaluation steps it can take.
    pub cost: u64,
}

impl Expression {
    /// Compiles and checks the expression that stands at `at`, over variables of the given shapes.
    pub fn compile(at: At<'_>, variables: &[(&str, Shape)]) -> Result<Self, TemplateError> {
        let source = at.text()?;
        check_source(source).map_err(|message| at.error(message))?;
        let program = ENV.compile(source).map_err(|errors| not_cel(at, source, &errors))?;
        let (shape, cost) = Checker::new(variables)
            .expression(program.expression())
            .map_err(|mistake| {
                let offset = program
                    .source_info()
                    .offset_for(mistake.node)
                    .map_or(0, |(start, _)| start);
                at.error_in(offset as usize, mistake.message)
            })?;
        let references = program.references();
        let uses = Uses {
            id: references.has_variable("id"),
            record: references.has_variable("record"),
            input: references.has_variable("input"),
            tx: references.has_variable("tx"),
            block: references.has_variable("block"),
            refs: references.has_variable("refs"),
            counters: references.has_variable("counters"),
            made: references.has_variable("variables") || references.has_variable("item"),
        };
        let node = Node::of(&program.expression().expr).ok_or_else(|| at.error("this part of CEL is not supported"))?;
        Ok(Self {
            node,
            uses,
            shape,
            cost,
        })
    }
}

fn not_cel(at: At<'_>, source: &str, errors: &ParseErrors) -> TemplateError {
    let Some(first) = errors.errors.first() else {
        return at.error("this is not CEL");
    };
    // Lines count from 1, columns are bytes from 1 within the line.
    let (line, column) = first.pos;
    let before = usize::try_from(line - 1).unwrap_or(0);
    let lines: usize = source.split_inclusive('\n').take(before).map(str::len).sum();
    let offset = lines + usize::try_from(column - 1).unwrap_or(0);
    let message = first.msg.lines().next().unwrap_or("syntax error");
    at.error_in(offset, format!("this is not CEL: {message}"))
}

/// Bounds the work of the parser before it runs.
fn check_source(source: &str) -> Result<(), String> {
    if source.trim().is_empty() {
        return Err("there is no expression: write one, such as `input.amount > 0`".to_owned());
    }
    if source.len() > MAX_SOURCE {
        return Err(format!("a rule may have at most {MAX_SOURCE} bytes"));
    }
    let mut depth = 0usize;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACKETS {
            return Err(format!("brackets may be nested at most {MAX_BRACKETS} deep"));
        }
    }
    if tokens(source) > MAX_TOKENS {
        return Err(format!(
            "a rule may have at most {MAX_TOKENS} words and signs; split it into several rules"
        ));
    }
    Ok(())
}

/// Words (runs of letters, digits and `_`) and single other characters but blanks. Never less than CEL's own tokens
/// outside quotes; text in quotes counts too, which only makes the bound stricter.
fn tokens(source: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut inside = false;
    source
        .chars()
        .filter(|&c| {
            let starts = !(c.is_whitespace() || inside && word(c));
            inside = word(c);
            starts
        })
        .count()
}
