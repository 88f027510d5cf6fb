//! One action or deadline, and how its parts must fit what the template declares.

use std::collections::BTreeMap;

use super::shapes::Shapes;
use super::{MAX_PARTS, identity_source, input_path, items, resolve, state};
use crate::template::check::Shape;
use crate::template::native::Native;
use crate::template::rule::{Expression, Rule, Uses};
use crate::template::schema::{self, Named, Schema, check_name};
use crate::template::yaml::At;
use crate::template::{Action, Assign, By, Change, Counter, Reference, Region, Role, Source, TemplateError};

/// Most evaluation steps of all expressions of an action in the worst case.
const MAX_COST: u64 = 200_000;

const KEYS: [&str; 15] = [
    "description",
    "creates",
    "identity",
    "by",
    "input",
    "members",
    "refs",
    "from",
    "after",
    "validate",
    "counts",
    "variables",
    "require",
    "to",
    "set",
];

/// What the actions refer to.
pub struct Declared<'a> {
    pub fields: &'a Schema,
    pub named: &'a Named,
    pub roles: &'a BTreeMap<String, Role>,
    pub regions: &'a [Region],
    pub counters: &'a [Counter],
    pub natives: Vec<&'static Native>,
}

impl Declared<'_> {
    /// Compiles an action, or a deadline.
    pub fn action(&self, name: &str, at: At<'_>, deadline: bool) -> Result<Action, TemplateError> {
        check_name(name, at)?;
        let mut parts = at.parts();
        parts.keep(at.only(&KEYS));
        let creates = parts.keep(at.get("creates", |at| at.bool())).flatten().unwrap_or(false);
        let input = parts.keep(at.get("input", |at| schema::object(at, self.named)));
        let from = parts.keep(at.get("from", |at| match creates {
            true => Err(at.key_error("an action that creates a record starts from nothing: remove `from`")),
            false => self.states(at),
        }));
        let Some(input) = input else {
            // Everything else speaks of the input.
            parts.settle()?;
            return Err(at.error("`input` can't be used"));
        };
        let input = input.unwrap_or(Schema::Object(Vec::new()));
        let refs = parts.keep(at.get("refs", |at| self.refs(at, &input)));
        let counts = parts.keep(at.get("counts", |at| self.counter(at, &input))).flatten();
        parts.settle()?;
        let mut refs = refs.flatten().unwrap_or_default();
        let by = parts.keep(self.by(at, creates, deadline, &refs));
        let members = parts.keep(at.get("members", |at| at.each(|at| member(at, &input))));
        let validate = parts.keep(at.get("validate", |at| at.each(|at| self.native(at, &input))));
        let identity = parts.keep(at.get("identity", |at| own_identity(at, creates, &input)));
        let shapes = self.shapes(
            creates,
            &input,
            &refs,
            counts.and_then(|index| self.counters.get(index)),
        );
        let variables = parts.keep(at.get("variables", |at| variables(at, &shapes)));
        let Some(variables) = variables else {
            // Everything below may name them.
            parts.settle()?;
            return Err(at.error("`variables` can't be used"));
        };
        let variables = variables.unwrap_or_default();
        let shapes = with_variables(shapes, &variables);
        let after = parts.keep(after(at, deadline, &shapes));
        let require = parts.keep(at.get("require", |at| at.each(|at| Rule::compile(at, &shapes))));
        let change = parts.keep(self.change(at, &input, &shapes));
        parts.keep(at.get("refs", |at| self.ref_changes(at, &mut refs, &input, &shapes)));
        if let (Some(change), true) = (&change, creates) {
            parts.keep(self.complete(at, change, &input));
        }
        parts.settle()?;
        let mut action = Action {
            name: name.to_owned(),
            creates,
            after: after.flatten(),
            identity: identity.flatten(),
            by: by.unwrap_or_default(),
            input,
            members: members.flatten().unwrap_or_default(),
            refs,
            from: from.flatten().unwrap_or_default(),
            validate: validate.flatten().unwrap_or_default(),
            counts,
            variables,
            require: require.flatten().unwrap_or_default(),
            change: change.unwrap_or_default(),
            uses: Uses::default(),
            computes: false,
        };
        bounded(at, &mut action)?;
        Ok(action)
    }

    /// For each named region the states in which something is allowed.
    pub fn states(&self, at: At<'_>) -> Result<Vec<(String, Vec<String>)>, TemplateError> {
        at.entries(|name, at| {
            let region = self.region(name, at)?;
            Ok((name.to_owned(), at.each(|at| state(at, &region.states))?))
        })
    }

    /// A declared region.
    pub fn region(&self, name: &str, at: At<'_>) -> Result<&Region, TemplateError> {
        self.regions.iter().find(|region| region.name == name).ok_or_else(|| {
            let known = names(self.regions.iter().map(|region| region.name.as_str()));
            at.key_error(format!("unknown region `{name}`; there are: {known}"))
        })
    }

    fn by(&self, at: At<'_>, creates: bool, deadline: bool, refs: &[Reference]) -> Result<Vec<By>, TemplateError> {
        let by = at.get("by", |at| {
            let by = at.each(|at| self.role(at, creates, refs))?;
            if by.is_empty() {
                return Err(at.error("`by` is empty, so nobody could ever do this; use e.g. [anyMember]"));
            }
            Ok(by)
        })?;
        let anyone = || By {
            name: "anyMember".to_owned(),
            of: None,
            role: Role::AnyMember,
        };
        match by {
            Some(by) => Ok(by),
            None if deadline => Ok(vec![anyone()]),
            None => Err(at.error("the key `by` is missing")),
        }
    }

    fn role(&self, at: At<'_>, creates: bool, refs: &[Reference]) -> Result<By, TemplateError> {
        let name = at.text()?;
        let (of, role) = match name.split_once('.') {
            Some((of, role)) => (Some(of), role),
            None => (None, name),
        };
        if let Some(of) = of
            && !refs.iter().any(|one| one.name == of)
        {
            let known = names(refs.iter().map(|one| one.name.as_str()));
            return Err(at.error(format!("`{of}` is not in `refs`; there are: {known}")));
        }
        let role = match role {
            "anyMember" => Role::AnyMember,
            _ => self.roles.get(role).cloned().ok_or_else(|| {
                let known = names(self.roles.keys().map(String::as_str).chain(["anyMember"]));
                at.error(format!("unknown role `{role}`; there are: {known}"))
            })?,
        };
        if creates && of.is_none() && role != Role::AnyMember {
            return Err(at.error(
                "before the record exists it has neither creator nor fields: use anyMember here, or REF.ROLE of a record in \
                 `refs`",
            ));
        }
        let (name, of) = (name.to_owned(), of.map(str::to_owned));
        Ok(By { name, of, role })
    }

    fn counter(&self, at: At<'_>, input: &Schema) -> Result<usize, TemplateError> {
        let name = at.text()?;
        let mut counters = self.counters.iter().enumerate();
        let Some((index, counter)) = counters.find(|(_, counter)| counter.name == name) else {
            let known = names(self.counters.iter().map(|counter| counter.name.as_str()));
            return Err(at.error(format!("unknown counter `{name}`; there are: {known}")));
        };
        for source in &counter.per {
            resolve(at, input, source, true)?;
        }
        if let Some(link) = &counter.link
            && !matches!(resolve(at, input, link, false)?.0, Schema::Text(_))
        {
            return Err(at.error(format!(
                "the link of the counter `{name}` must be a string of the input"
            )));
        }
        Ok(index)
    }

    fn native(&self, at: At<'_>, input: &Schema) -> Result<&'static Native, TemplateError> {
        let name = at.text()?;
        let Some(native) = self.natives.iter().find(|native| native.name == name) else {
            return Err(at.error(format!("name `{name}` in `spec.validators` first")));
        };
        for path in native.needs {
            let source = Source::Input(path.split('.').map(str::to_owned).collect());
            resolve(at, input, &source, true).map_err(|error| TemplateError {
                message: format!("{} (the check `{name}` needs it)", error.message),
                ..error
            })?;
        }
        Ok(native)
    }

    /// A new record must have all required fields whatever the input is.
    fn complete(&self, at: At<'_>, change: &Change, input: &Schema) -> Result<(), TemplateError> {
        let Schema::Object(fields) = self.fields else {
            return Ok(());
        };
        for field in fields.iter().filter(|field| field.required) {
            let always = match change.set.iter().find(|(name, _)| *name == field.name) {
                Some((_, Assign::Copy(source))) => resolve(at, input, source, false)?.1,
                Some((_, Assign::Remove)) | None => false,
                Some(_) => true,
            };
            if !always {
                return Err(at.error(format!(
                    "the field `{}` is required, so `set` must give it a value that every input has",
                    field.name
                )));
            }
        }
        Ok(())
    }
}

fn names<'n>(known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<_> = known.collect();
    match known.as_slice() {
        [] => "none".to_owned(),
        _ => known.join(", "),
    }
}

fn own_identity(at: At<'_>, creates: bool, input: &Schema) -> Result<Vec<Source>, TemplateError> {
    if !creates {
        return Err(at.key_error("only an action that creates a record gives it an identity: remove `identity`"));
    }
    let sources = at.each(|at| {
        let source = identity_source(at)?;
        resolve(at, input, &source, true)?;
        Ok(source)
    })?;
    if sources.is_empty() {
        return Err(at.error("`identity` must name at least one value, e.g. [creator, input.reference]"));
    }
    Ok(sources)
}

/// A path of the input that holds a key of a member, or a list of them.
fn member(at: At<'_>, input: &Schema) -> Result<Vec<String>, TemplateError> {
    let source = input_path(at, at.text()?)?;
    let schema = resolve(at, input, &source, false)?.0;
    match source {
        Source::Input(path) if matches!(items(schema), Schema::Text(_)) => Ok(path),
        _ => Err(at.error("a member is named by its signer key: a string, or a list of strings")),
    }
}

fn after(at: At<'_>, deadline: bool, shapes: &Shapes<'_>) -> Result<Option<Expression>, TemplateError> {
    if !deadline {
        return at.get("after", |at| {
            Err(at.key_error("only a deadline has `after`: move this action to `spec.deadlines`"))
        });
    }
    if at.get("creates", |at| at.bool())? == Some(true) {
        return Err(at.error("a deadline belongs to a record that is there: remove `creates`"));
    }
    at.need("after", |at| {
        let expression = Expression::compile(at, shapes)?;
        if expression.shape.meets(&Shape::Int) {
            return Ok(Some(expression));
        }
        let found = &expression.shape;
        Err(at.error(format!("`after` must be a block time in milliseconds, this is {found}")))
    })
}

fn variables(at: At<'_>, shapes: &Shapes<'_>) -> Result<Vec<(String, Expression)>, TemplateError> {
    let mut known = Vec::new();
    at.entries(|name, at| {
        check_name(name, at)?;
        let shapes = with_variables(shapes.clone(), &known);
        known.push((name.to_owned(), Expression::compile(at, &shapes)?));
        Ok(())
    })?;
    if known.len() > MAX_PARTS {
        return Err(at.error(format!("an action may have at most {MAX_PARTS} variables")));
    }
    Ok(known)
}

fn with_variables<'a>(mut shapes: Shapes<'a>, variables: &[(String, Expression)]) -> Shapes<'a> {
    if !variables.is_empty() {
        let known = variables
            .iter()
            .map(|(name, value)| (name.clone(), value.shape.clone()));
        shapes.push(("variables", Shape::Object(known.collect())));
    }
    shapes
}

/// Notes what all expressions of an action name, and bounds what they cost together.
fn bounded(at: At<'_>, action: &mut Action) -> Result<(), TemplateError> {
    if action.require.len() > MAX_PARTS {
        return Err(at.error(format!("an action may have at most {MAX_PARTS} rules")));
    }
    let (mut uses, mut cost) = (Uses::default(), 0u64);
    let mut computes = false;
    let mut note = |expression: &Expression, times: usize| {
        computes = true;
        uses = uses.and(expression.uses);
        cost = cost.saturating_add(expression.cost.saturating_mul(times as u64));
    };
    let rules = action.require.iter().map(|rule| &rule.expression);
    let variables = action.variables.iter().map(|(_, expression)| expression);
    let own = action.change.expressions().chain(&action.after);
    rules
        .chain(variables)
        .chain(own)
        .for_each(|expression| note(expression, 1));
    for one in &action.refs {
        let times = if one.many { super::change::MAX_REFS } else { 1 };
        one.change.expressions().for_each(|expression| note(expression, times));
    }
    if cost > MAX_COST {
        return Err(at.error(format!(
            "the expressions of this action could take {cost} steps together, allowed are {MAX_COST}: lower `maxItems`, or \
             split the action"
        )));
    }
    (action.uses, action.computes) = (uses, computes);
    Ok(())
}
