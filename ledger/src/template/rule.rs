//! Rules: CEL expressions that an action must satisfy.
//!
//! Owns compiling (with `check`), and evaluation on JSON values. JSON is converted to CEL values only for the
//! variables that a rule names.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ParseErrors, Program, Value as Cel};
use serde_json::Value;

use super::TemplateError;
use super::check::{Checker, Shape};
use super::yaml::At;

/// Longest rule in bytes.
const MAX_SOURCE: usize = 1_024;
/// Deepest nesting of brackets in a rule.
const MAX_BRACKETS: usize = 16;
/// Most words and signs in a rule: the parser and the checker recurse once per operator, so this bounds their stack.
const MAX_TOKENS: usize = 256;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// One compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// Code of the refusal.
    pub code: String,
    /// Sentence of the refusal.
    pub message: String,
    expression: Expression,
}

/// Which variables a set of rules names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// `record`
    pub record: bool,
    /// `input`
    pub input: bool,
    /// `tx`
    pub tx: bool,
    /// `block`
    pub block: bool,
}

/// Values for the variables. All are objects.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The record before the action; null when the action creates it.
    pub record: &'a Value,
    /// Input of the action.
    pub input: &'a Value,
    /// Signer, nonce and validUntil of the transaction.
    pub tx: &'a Value,
    /// Height and time of the block.
    pub block: &'a Value,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It holds.
    Yes,
    /// It doesn't.
    No,
    /// It has no value, such as a division by zero or a missing optional field: counts as refusal.
    Undefined,
}

impl Rule {
    /// Compiles one entry of `require`, whose variables have the given shapes.
    pub fn compile(at: At<'_>, variables: &[(&'static str, Shape)]) -> Result<Self, TemplateError> {
        at.only(&["rule", "code", "message"])?;
        let code = at.need("code", |at| {
            let code = at.text()?;
            let good = code
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if !good || code.is_empty() || code.len() > 64 {
                return Err(at.error(format!("`{code}` is no code: use up to 64 of A-Z, 0-9 and `_`")));
            }
            Ok(code.to_owned())
        })?;
        let message = at.need("message", |at| {
            let text = at.text()?;
            if text.len() > 256 {
                return Err(at.error("a message may have at most 256 bytes"));
            }
            Ok(text.to_owned())
        })?;
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

/// A compiled CEL expression.
#[derive(Debug)]
pub struct Expression {
    /// The program to run.
    pub program: Program,
    /// Variables that it names.
    pub uses: Uses,
    /// What kind of value it has.
    pub shape: Shape,
}

impl Expression {
    /// Compiles and checks the expression that stands at `at`, over variables of the given shapes.
    pub fn compile(at: At<'_>, variables: &[(&'static str, Shape)]) -> Result<Self, TemplateError> {
        let source = at.text()?;
        check_source(source).map_err(|message| at.error(message))?;
        let program = ENV.compile(source).map_err(|errors| not_cel(at, source, &errors))?;
        let shape = Checker::new(variables)
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
            record: references.has_variable("record"),
            input: references.has_variable("input"),
            tx: references.has_variable("tx"),
            block: references.has_variable("block"),
        };
        drop(references);
        Ok(Self { program, uses, shape })
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

/// Union of what `rules` name, so that each variable is converted at most once per action.
pub fn uses(rules: &[Rule]) -> Uses {
    rules.iter().fold(Uses::default(), |all, rule| Uses {
        record: all.record || rule.expression.uses.record,
        input: all.input || rule.expression.uses.input,
        tx: all.tx || rule.expression.uses.tx,
        block: all.block || rule.expression.uses.block,
    })
}

/// First rule that doesn't hold, in order.
pub fn first_failed<'r>(rules: &'r [Rule], uses: Uses, scope: Scope<'_>) -> Option<(&'r Rule, Held)> {
    if rules.is_empty() {
        return None;
    }
    let mut context = Context::with_env(ENV.clone());
    let named = [
        (uses.record, "record", scope.record),
        (uses.input, "input", scope.input),
        (uses.tx, "tx", scope.tx),
        (uses.block, "block", scope.block),
    ];
    for (used, name, value) in named {
        if used {
            context.add_variable_from_value(name, to_cel(value));
        }
    }
    rules.iter().find_map(|rule| {
        let held = match rule.expression.program.execute(&context) {
            Ok(Cel::Bool(true)) => return None,
            Ok(Cel::Bool(false)) => Held::No,
            Ok(_) | Err(_) => Held::Undefined,
        };
        Some((rule, held))
    })
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
            let entries: std::collections::HashMap<String, Cel> =
                map.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            Cel::from(entries)
        }
    }
}
