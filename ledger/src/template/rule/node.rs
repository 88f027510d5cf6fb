//! An expression as it is evaluated: CEL's syntax tree with its names looked up and its macros recognised, once per template.
//!
//! Owns what of CEL can be evaluated at all, which is no less than what `check` lets through.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, MapExpr};

/// The variables there are, by place.
pub const VARIABLES: [&str; 9] = [
    "id",
    "record",
    "input",
    "tx",
    "block",
    "refs",
    "counters",
    "variables",
    "item",
];

/// A part of an expression.
#[derive(Debug)]
pub enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Self>),
    /// Names are told apart by `check`.
    Object(Vec<(String, Self)>),
    /// Place in [`VARIABLES`].
    Variable(usize),
    /// Variable of a macro, counted from the outermost.
    Local(usize),
    Select(Box<Self>, String),
    Has(Box<Self>, String),
    If(Box<[Self; 3]>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    Binary(Binary, Box<[Self; 2]>),
    Call(Function, Vec<Self>),
    Loop(Box<Loop>),
}

/// Operators that look at both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Index,
}

/// Functions. The arguments of a method come before what it is called on, because they are evaluated first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Not,
    Negate,
    Size,
    StartsWith,
    EndsWith,
    Contains,
    String,
    Sum,
    Min,
    Max,
    Sha256,
    /// Has no value: `check` knows names, and not which of them are methods.
    Unknown,
}

/// A macro over a list.
#[derive(Debug)]
pub struct Loop {
    pub over: Node,
    pub each: Each,
}

/// What a macro does with each item.
#[derive(Debug)]
pub enum Each {
    All(Node),
    Exists(Node),
    ExistsOne(Node),
    /// `map` and `filter`: items for which the condition holds, if there is one.
    Collect {
        when: Option<Node>,
        item: Node,
    },
}

impl Node {
    /// The node of an expression; none when nothing can evaluate it.
    pub fn of(expression: &Expr) -> Option<Self> {
        Lower { locals: Vec::new() }.node(expression)
    }
}

struct Lower<'e> {
    /// Names of the macros' variables around.
    locals: Vec<&'e str>,
}

impl<'e> Lower<'e> {
    fn node(&mut self, expression: &'e Expr) -> Option<Node> {
        Some(match expression {
            Expr::Unspecified | Expr::Struct(_) => return None,
            Expr::Literal(literal) => match literal {
                LiteralValue::Null => Node::Null,
                LiteralValue::Boolean(value) => Node::Bool(*value.inner()),
                LiteralValue::Int(value) => Node::Int(*value.inner()),
                LiteralValue::String(text) => Node::Text(text.inner().to_owned()),
                _ => return None,
            },
            Expr::Ident(name) => match self.locals.iter().rposition(|known| known == name) {
                Some(place) => Node::Local(place),
                None => Node::Variable(VARIABLES.iter().position(|known| known == name)?),
            },
            Expr::Select(select) => {
                let of = Box::new(self.node(&select.operand.expr)?);
                match select.test {
                    true => Node::Has(of, select.field.clone()),
                    false => Node::Select(of, select.field.clone()),
                }
            }
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => Node::List(self.nodes(list.elements.iter().map(|item| &item.expr))?),
            Expr::Map(map) => self.object(map)?,
            Expr::Comprehension(comprehension) => self.each(comprehension)?,
        })
    }

    fn nodes(&mut self, expressions: impl Iterator<Item = &'e Expr>) -> Option<Vec<Node>> {
        expressions.map(|expression| self.node(expression)).collect()
    }

    fn object(&mut self, map: &'e MapExpr) -> Option<Node> {
        let members = map.entries.iter().map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => match &entry.key.expr {
                Expr::Literal(LiteralValue::String(name)) => {
                    Some((name.inner().to_owned(), self.node(&entry.value.expr)?))
                }
                _ => None,
            },
            EntryExpr::StructField(_) => None,
        });
        members.collect::<Option<_>>().map(Node::Object)
    }

    fn call(&mut self, call: &'e CallExpr) -> Option<Node> {
        let target = call.target.iter().map(|target| &target.expr);
        let parts = self.nodes(call.args.iter().map(|argument| &argument.expr).chain(target))?;
        let name = call.func_name.as_str();
        Some(match (name, binary(name)) {
            ("_?_:_", _) => Node::If(parts.try_into().ok()?),
            ("_&&_", _) => Node::And(parts.try_into().ok()?),
            ("_||_", _) => Node::Or(parts.try_into().ok()?),
            (_, Some(operator)) => Node::Binary(operator, parts.try_into().ok()?),
            _ => Node::Call(function(name, call.target.is_some(), parts.len()), parts),
        })
    }

    /// `all`, `exists`, `exists_one`, `map` and `filter`, told apart by what the parser makes of them.
    fn each(&mut self, comprehension: &'e ComprehensionExpr) -> Option<Node> {
        let ComprehensionExpr {
            iter_range,
            iter_var,
            accu_init,
            loop_step,
            ..
        } = comprehension;
        let Expr::Call(step) = &loop_step.expr else {
            return None;
        };
        let over = self.node(&iter_range.expr)?;
        self.locals.push(iter_var);
        let parts: Vec<&Expr> = step.args.iter().map(|part| &part.expr).collect();
        let each = match (&accu_init.expr, step.func_name.as_str(), parts.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(_)), "_&&_", [_, holds]) => Each::All(self.node(holds)?),
            (Expr::Literal(LiteralValue::Boolean(_)), "_||_", [_, holds]) => Each::Exists(self.node(holds)?),
            (Expr::Literal(LiteralValue::Int(_)), "_?_:_", [holds, ..]) => Each::ExistsOne(self.node(holds)?),
            (Expr::List(_), "_+_", [_, Expr::List(one)]) => Each::Collect {
                when: None,
                item: self.node(&one.elements.first()?.expr)?,
            },
            (Expr::List(_), "_?_:_", [when, Expr::Call(add), _]) => match &add.args.get(1)?.expr {
                Expr::List(one) => Each::Collect {
                    when: Some(self.node(when)?),
                    item: self.node(&one.elements.first()?.expr)?,
                },
                _ => return None,
            },
            _ => return None,
        };
        self.locals.pop();
        Some(Node::Loop(Box::new(Loop { over, each })))
    }
}

fn binary(name: &str) -> Option<Binary> {
    Some(match name {
        "_+_" => Binary::Add,
        "_-_" => Binary::Subtract,
        "_*_" => Binary::Multiply,
        "_/_" => Binary::Divide,
        "_%_" => Binary::Remainder,
        "_==_" => Binary::Equal,
        "_!=_" => Binary::NotEqual,
        "_<_" => Binary::Less,
        "_<=_" => Binary::AtMost,
        "_>_" => Binary::Greater,
        "_>=_" => Binary::AtLeast,
        "@in" => Binary::In,
        "_[_]" => Binary::Index,
        _ => return None,
    })
}

/// As CEL declares them: `size` is a function and a method, what asks a string is a method, the rest are functions.
fn function(name: &str, method: bool, parts: usize) -> Function {
    match (name, method, parts) {
        ("!_", false, 1) => Function::Not,
        ("-_", false, 1) => Function::Negate,
        ("size", _, 1) => Function::Size,
        ("startsWith", true, 2) => Function::StartsWith,
        ("endsWith", true, 2) => Function::EndsWith,
        ("contains", true, 2) => Function::Contains,
        ("string", false, 1) => Function::String,
        ("sum", false, 1) => Function::Sum,
        ("min", false, 2) => Function::Min,
        ("max", false, 2) => Function::Max,
        ("sha256", false, 1) => Function::Sha256,
        _ => Function::Unknown,
    }
}
