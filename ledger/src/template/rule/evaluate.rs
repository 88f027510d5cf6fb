//! Evaluation of expressions. A pure function of the expression and its variables, without anything that has no order.
//!
//! Owns the meaning of CEL's operators, macros and functions here, which is that of the crate `cel` (the tests hold the two
//! against each other). The crate is the parser; its own evaluator copies and boxes every part of every value.

use std::rc::Rc;

use muniment_receipts::encoding::hex;
use sha2::{Digest, Sha256};

use super::data::{Data, List, Text};
use super::node::{Binary, Each, Function, Loop, Node, VARIABLES};

/// An expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An integer would leave 64 bits, or a variable would grow beyond bounds.
    Overflow,
    /// Division by zero, a missing optional field, an index out of bounds.
    Undefined,
}

type Evaluated<'x> = Result<Data<'x>, Fault>;

/// Parts and bytes of text that an expression may make and look at. `check` bounds those whose shape it knows far below.
pub const MAX_WORK: usize = 4 * 1024 * 1024;

/// What names stand for, while one expression is evaluated.
pub struct Scope<'s, 'x> {
    variables: &'s [Option<Data<'x>>; VARIABLES.len()],
    locals: Vec<Data<'x>>,
    /// Of [`MAX_WORK`].
    left: usize,
}

impl<'s, 'x> Scope<'s, 'x> {
    pub fn new(variables: &'s [Option<Data<'x>>; VARIABLES.len()]) -> Self {
        let (locals, left) = (Vec::new(), MAX_WORK);
        Self {
            variables,
            locals,
            left,
        }
    }

    fn spend(&mut self, work: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(work).ok_or(Fault::Overflow)?;
        Ok(())
    }

    /// The value of an expression.
    pub fn value(&mut self, node: &'x Node) -> Evaluated<'x> {
        match node {
            Node::Null => Ok(Data::Null),
            Node::Bool(value) => Ok(Data::Bool(*value)),
            Node::Int(value) => Ok(Data::Int(*value)),
            Node::Text(text) => Ok(text.as_str().into()),
            Node::Variable(place) => known(self.variables.get(*place).and_then(Option::as_ref)),
            Node::Local(place) => known(self.locals.get(*place)),
            Node::Select(of, field) => match self.value(of)? {
                Data::Object(object) => object.get(field).ok_or(Fault::Undefined),
                _ => Err(Fault::Undefined),
            },
            Node::Has(of, field) => match self.value(of)? {
                Data::Object(object) => Ok(Data::Bool(object.get(field).is_some())),
                _ => Err(Fault::Undefined),
            },
            Node::List(items) => {
                self.spend(items.len())?;
                let items = items.iter().map(|item| self.value(item));
                Ok(Data::List(List::Made(Rc::new(items.collect::<Result<_, _>>()?))))
            }
            Node::Object(members) => self.object(members),
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                let chosen = if self.truth(condition)? { yes } else { no };
                self.value(chosen)
            }
            Node::And(parts) => self.decided(parts, false),
            Node::Or(parts) => self.decided(parts, true),
            Node::Binary(operator, parts) => {
                let [a, b] = &**parts;
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.binary(*operator, &a, &b)
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Loop(each) => self.each(each),
        }
    }

    fn truth(&mut self, node: &'x Node) -> Result<bool, Fault> {
        truth(&self.value(node)?)
    }

    fn object(&mut self, members: &'x [(String, Node)]) -> Evaluated<'x> {
        self.spend(members.len())?;
        let members = members
            .iter()
            .map(|(name, value)| Ok((name.as_str(), self.value(value)?)));
        Ok(Data::object(members.collect::<Result<Vec<_>, _>>()?))
    }

    /// `&&`, which a false side decides, and `||`, which a true one does: whatever fault the left side has then.
    fn decided(&mut self, [left, right]: &'x [Node; 2], by: bool) -> Evaluated<'x> {
        let left = self.truth(left);
        if left == Ok(by) {
            return Ok(Data::Bool(by));
        }
        match (left, self.value(right)?) {
            (_, Data::Bool(right)) if right == by => Ok(Data::Bool(by)),
            (Ok(_), Data::Bool(right)) => Ok(Data::Bool(right)),
            (Ok(_), _) => Err(Fault::Undefined),
            (Err(fault), _) => Err(fault),
        }
    }

    fn binary(&mut self, operator: Binary, a: &Data<'x>, b: &Data<'x>) -> Evaluated<'x> {
        match (operator, a, b) {
            (Binary::Equal, a, b) => Ok(Data::Bool(self.equal(a, b)?)),
            (Binary::NotEqual, a, b) => Ok(Data::Bool(!self.equal(a, b)?)),
            (Binary::In, item, Data::List(list)) => self.contained(item, list),
            (Binary::Index, Data::List(list), Data::Int(index)) => {
                let index = usize::try_from(*index).ok();
                index.and_then(|index| list.get(index)).ok_or(Fault::Undefined)
            }
            (_, a, b) => {
                self.spend(length(a) + length(b))?;
                binary(operator, a, b)
            }
        }
    }

    fn equal(&mut self, a: &Data<'x>, b: &Data<'x>) -> Result<bool, Fault> {
        a.equals(b, &mut self.left).ok_or(Fault::Overflow)
    }

    fn contained(&mut self, item: &Data<'x>, list: &List<'x>) -> Evaluated<'x> {
        for known in list.iter() {
            if self.equal(&known, item)? {
                return Ok(Data::Bool(true));
            }
        }
        Ok(Data::Bool(false))
    }

    fn call(&mut self, function: Function, arguments: &'x [Node]) -> Evaluated<'x> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.value(argument)?;
            self.spend(length(&value))?;
            values.push(value);
        }
        match (function, values.as_slice()) {
            (Function::Not, [Data::Bool(value)]) => Ok(Data::Bool(!value)),
            (Function::Negate, [Data::Int(value)]) => integer(value.checked_neg()),
            (Function::Size, [of]) => size(of),
            (Function::StartsWith, [Data::Text(part), Data::Text(text)]) => {
                Ok(Data::Bool(text.as_str().starts_with(part.as_str())))
            }
            (Function::EndsWith, [Data::Text(part), Data::Text(text)]) => {
                Ok(Data::Bool(text.as_str().ends_with(part.as_str())))
            }
            (Function::Contains, [Data::Text(part), Data::Text(text)]) => {
                Ok(Data::Bool(text.as_str().contains(part.as_str())))
            }
            (Function::String, [Data::Text(text)]) => Ok(Data::Text(text.clone())),
            (Function::String, [Data::Int(value)]) => Ok(value.to_string().into()),
            (Function::String, [Data::Bool(value)]) => Ok(value.to_string().into()),
            (Function::Sum, [Data::List(items)]) => sum(items),
            (Function::Min, [Data::Int(a), Data::Int(b)]) => Ok(Data::Int(*a.min(b))),
            (Function::Max, [Data::Int(a), Data::Int(b)]) => Ok(Data::Int(*a.max(b))),
            (Function::Sha256, [Data::Text(text)]) => Ok(hex(&Sha256::digest(text.as_str()).into()).into()),
            _ => Err(Fault::Undefined),
        }
    }

    fn each(&mut self, Loop { over, each }: &'x Loop) -> Evaluated<'x> {
        let Data::List(items) = self.value(over)? else {
            return Err(Fault::Undefined);
        };
        self.spend(items.len())?;
        match each {
            Each::All(holds) => self.until(&items, holds, false),
            Each::Exists(holds) => self.until(&items, holds, true),
            Each::ExistsOne(holds) => self.one(&items, holds),
            Each::Collect { when, item } => self.collect(&items, when.as_ref(), item),
        }
    }

    fn with(&mut self, item: Data<'x>, node: &'x Node) -> Evaluated<'x> {
        self.locals.push(item);
        let value = self.value(node);
        self.locals.pop();
        value
    }

    /// The first item that decides does so, whatever faults those before it have.
    fn until(&mut self, items: &List<'x>, holds: &'x Node, by: bool) -> Evaluated<'x> {
        let mut fault = None;
        for item in items.iter() {
            match self.with(item, holds).and_then(|value| truth(&value)) {
                Ok(held) if held == by => return Ok(Data::Bool(by)),
                Ok(_) => {}
                Err(found) => fault = Some(found),
            }
        }
        fault.map_or(Ok(Data::Bool(!by)), Err)
    }

    fn one(&mut self, items: &List<'x>, holds: &'x Node) -> Evaluated<'x> {
        let mut held = 0usize;
        for item in items.iter() {
            held += usize::from(truth(&self.with(item, holds)?)?);
        }
        Ok(Data::Bool(held == 1))
    }

    fn collect(&mut self, items: &List<'x>, when: Option<&'x Node>, item: &'x Node) -> Evaluated<'x> {
        let mut collected = Vec::with_capacity(items.len());
        for one in items.iter() {
            let wanted = match when {
                Some(when) => truth(&self.with(one.clone(), when)?)?,
                None => true,
            };
            if wanted {
                collected.push(self.with(one, item)?);
            }
        }
        Ok(Data::List(List::Made(Rc::new(collected))))
    }
}

fn known<'x>(value: Option<&Data<'x>>) -> Evaluated<'x> {
    value.cloned().ok_or(Fault::Undefined)
}

fn truth(value: &Data<'_>) -> Result<bool, Fault> {
    match value {
        Data::Bool(value) => Ok(*value),
        _ => Err(Fault::Undefined),
    }
}

fn integer<'x>(value: Option<i64>) -> Evaluated<'x> {
    value.map(Data::Int).ok_or(Fault::Overflow)
}

/// Parts or bytes of text that it takes to look at a value itself, not at what is in it.
fn length(value: &Data<'_>) -> usize {
    match value {
        Data::Text(text) => text.as_str().len(),
        Data::List(items) => items.len(),
        Data::Object(object) => object.len(),
        Data::Null | Data::Bool(_) | Data::Int(_) => 1,
    }
}

fn binary<'x>(operator: Binary, a: &Data<'x>, b: &Data<'x>) -> Evaluated<'x> {
    match (operator, a, b) {
        (Binary::Less | Binary::AtMost | Binary::Greater | Binary::AtLeast, a, b) => ordered(operator, a, b),
        (Binary::Add, Data::Text(a), Data::Text(b)) => {
            let text: Rc<str> = [a.as_str(), b.as_str()].concat().into();
            Ok(Data::Text(Text::Made(text)))
        }
        (Binary::Add, Data::List(a), Data::List(b)) => Ok(Data::list(a.iter().chain(b.iter()))),
        (Binary::Divide | Binary::Remainder, Data::Int(_), Data::Int(0)) => Err(Fault::Undefined),
        (Binary::Add, Data::Int(a), Data::Int(b)) => integer(a.checked_add(*b)),
        (Binary::Subtract, Data::Int(a), Data::Int(b)) => integer(a.checked_sub(*b)),
        (Binary::Multiply, Data::Int(a), Data::Int(b)) => integer(a.checked_mul(*b)),
        (Binary::Divide, Data::Int(a), Data::Int(b)) => integer(a.checked_div(*b)),
        (Binary::Remainder, Data::Int(a), Data::Int(b)) => integer(a.checked_rem(*b)),
        (Binary::In, Data::Text(name), Data::Object(object)) => Ok(Data::Bool(object.get(name.as_str()).is_some())),
        // Names are texts: numbers and truth values could be some in CEL, but none is here.
        (Binary::In, Data::Int(_) | Data::Bool(_), Data::Object(_)) => Ok(Data::Bool(false)),
        (Binary::Index, Data::Object(object), Data::Text(name)) => object.get(name.as_str()).ok_or(Fault::Undefined),
        _ => Err(Fault::Undefined),
    }
}

fn ordered<'x>(operator: Binary, a: &Data<'x>, b: &Data<'x>) -> Evaluated<'x> {
    let order = match (a, b) {
        (Data::Int(a), Data::Int(b)) => a.cmp(b),
        (Data::Text(a), Data::Text(b)) => a.as_str().cmp(b.as_str()),
        (Data::Bool(a), Data::Bool(b)) => a.cmp(b),
        _ => return Err(Fault::Undefined),
    };
    Ok(Data::Bool(match operator {
        Binary::Less => order.is_lt(),
        Binary::AtMost => order.is_le(),
        Binary::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn size<'x>(of: &Data<'x>) -> Evaluated<'x> {
    let size = match of {
        Data::Text(text) => text.as_str().chars().count(),
        Data::List(items) => items.len(),
        Data::Object(object) => object.len(),
        _ => return Err(Fault::Undefined),
    };
    integer(i64::try_from(size).ok())
}

fn sum<'x>(items: &List<'x>) -> Evaluated<'x> {
    let total = items.iter().try_fold(0i64, |total, item| match item {
        Data::Int(item) => total.checked_add(item).ok_or(Fault::Overflow),
        _ => Err(Fault::Undefined),
    });
    total.map(Data::Int)
}
