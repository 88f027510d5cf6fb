//! From YAML to a [`Template`]: the sections of `spec`, and how they must fit together.

use std::collections::BTreeMap;

mod action;
mod change;
mod shapes;

use self::action::Declared;
use super::native::{self, Native};
use super::rule;
use super::schema::{self, Named, Schema, check_name};
use super::yaml::{self, At, Path, Run};
use super::{Action, Counter, MAX_SOURCE, Region, Role, Source, Template, TemplateError, Unique};

/// Most actions, regions, unique keys, states of a region and rules of an action.
const MAX_PARTS: usize = 64;
/// Most bytes of a record's fields, where actions compute values.
const MAX_RECORD: u64 = 512 * 1024;
/// Longest template name.
const MAX_NAME: usize = 63;

/// Compiles a document, or says everything that is wrong with it.
pub fn template(source: &str) -> Result<Template, Vec<TemplateError>> {
    let run = Run::new(source);
    let outcome = document(source, &run);
    run.finish(outcome)
}

fn document(source: &str, run: &Run<'_>) -> Result<Template, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError {
            path: String::new(),
            line: None,
            column: None,
            message: format!(
                "a template may have at most {MAX_SOURCE} bytes, this one has {}",
                source.len()
            ),
        });
    }
    let document = yaml::parse(source)?;
    let top = At {
        node: &document,
        path: &Path::Top,
        run,
    };
    let mut parts = top.parts();
    parts.keep(top.only(&["apiVersion", "kind", "metadata", "spec"]));
    parts.keep(top.need("apiVersion", |at| expect(at, "muniment.dev/v1alpha1")));
    parts.keep(top.need("kind", |at| expect(at, "RecordTemplate")));
    let name = parts.keep(top.need("metadata", |at| {
        at.only(&["name", "labels", "annotations"])?;
        at.need("name", template_name)
    }));
    let template = parts.keep(top.need("spec", |at| spec(at, name.unwrap_or_default())));
    parts.settle()?;
    template.ok_or_else(|| top.error("`spec` can't be used"))
}

fn expect(at: At<'_>, wanted: &str) -> Result<(), TemplateError> {
    let found = at.text()?;
    if found == wanted {
        return Ok(());
    }
    Err(at.error(format!("must be `{wanted}`, not `{found}`")))
}

fn template_name(at: At<'_>) -> Result<String, TemplateError> {
    let name = at.text()?;
    let good = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !good || name.is_empty() || name.len() > MAX_NAME || name.starts_with('-') || name.ends_with('-') {
        return Err(at.error(format!(
            "`{name}` is no template name: use up to {MAX_NAME} of a-z, 0-9 and `-`, no `-` at the ends"
        )));
    }
    Ok(name.to_owned())
}

fn spec(at: At<'_>, name: String) -> Result<Template, TemplateError> {
    let mut parts = at.parts();
    parts.keep(at.only(&[
        "revision",
        "fields",
        "identity",
        "unique",
        "roles",
        "regions",
        "actions",
        "counters",
        "deadlines",
        "validators",
    ]));
    let revision = parts.keep(at.need("revision", |at| {
        let revision = at.int()?;
        u32::try_from(revision)
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| at.error("a revision is a number from 1"))
    }));
    let fields = parts.keep(at.need("fields", |at| schema::object(at, &Named::new())));
    let regions = parts.keep(at.get("regions", regions)).flatten().unwrap_or_default();
    let Some(fields) = fields else {
        parts.settle()?;
        return Err(at.error("`fields` can't be used"));
    };
    let Schema::Object(properties) = &fields else {
        return Err(at.error("`fields` must be an object schema"));
    };
    let named: Named = properties.iter().map(|p| (p.name.clone(), p.schema.clone())).collect();
    let roles = parts
        .keep(at.get("roles", |at| roles(at, &fields)))
        .flatten()
        .unwrap_or_default();
    let unique = parts
        .keep(at.get("unique", |at| at.each(|at| unique(at, &fields))))
        .flatten()
        .unwrap_or_default();
    let counters = parts.keep(at.get("counters", counters)).flatten().unwrap_or_default();
    let natives = parts.keep(at.get("validators", |at| at.each(validator)));
    // The actions are judged by all of these: what is wrong here would be told again at every use.
    parts.settle()?;
    let declared = Declared {
        fields: &fields,
        named: &named,
        roles: &roles,
        regions: &regions,
        counters: &counters,
        natives: natives.flatten().unwrap_or_default(),
    };
    let mut actions = at.need("actions", |at| at.entries(|name, at| declared.action(name, at, false)))?;
    let deadlines = at.get("deadlines", |at| at.entries(|name, at| declared.action(name, at, true)))?;
    actions.extend(deadlines.unwrap_or_default());
    if actions.len() > MAX_PARTS || regions.len() > MAX_PARTS {
        return Err(at.error(format!(
            "there may be at most {MAX_PARTS} actions and {MAX_PARTS} regions"
        )));
    }
    actions.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some([twice, _]) = actions.array_windows().find(|[one, next]| one.name == next.name) {
        return Err(at.error(format!(
            "`{}` is both an action and a deadline: choose another name",
            twice.name
        )));
    }
    if !actions.iter().any(|action| action.creates) {
        return Err(at.error("no action has `creates: true`, so there could never be a record"));
    }
    bounded(at, &fields, &actions)?;
    let identity = at.need("identity", |at| at.each(|at| identity(at, &actions)))?;
    if identity.is_empty() {
        return Err(at.error("`identity` must name at least one value, e.g. [creator, input.reference]"));
    }
    Ok(Template {
        name,
        revision: revision.unwrap_or_default(),
        identity,
        unique,
        counters,
        regions,
        actions,
        fields,
    })
}

/// What is computed can grow from action to action, up to what its schema admits; each action reads and writes all of it.
fn bounded(at: At<'_>, fields: &Schema, actions: &[Action]) -> Result<(), TemplateError> {
    let computes = actions.iter().any(|action| action.computes);
    let most = fields.most_bytes();
    if computes && most > MAX_RECORD {
        return Err(at.error(format!(
            "a record could grow to {most} bytes, allowed are {MAX_RECORD} where values are computed: lower `maxItems` or \
             `maxLength` in `fields`"
        )));
    }
    Ok(())
}

fn roles(at: At<'_>, fields: &Schema) -> Result<BTreeMap<String, Role>, TemplateError> {
    let roles = at.entries(|name, at| {
        check_name(name, at)?;
        if name == "anyMember" {
            return Err(at.error("`anyMember` is built in; choose another name"));
        }
        at.only(&["from", "description"])?;
        let role = at.need("from", |at| match at.text()? {
            "creator" => Ok(Role::Creator),
            "anyMember" => Ok(Role::AnyMember),
            other => field_path(other, fields).map(Role::Field).ok_or_else(|| {
                at.error(format!(
                    "`{other}` can't be a role: use creator, anyMember, or fields.NAME that leads to strings"
                ))
            }),
        })?;
        Ok((name.to_owned(), role))
    })?;
    Ok(roles.into_iter().collect())
}

/// A path from `fields` through objects and lists to strings.
fn field_path(text: &str, fields: &Schema) -> Option<Vec<String>> {
    let path: Vec<_> = text.strip_prefix("fields.")?.split('.').map(str::to_owned).collect();
    let end = path
        .iter()
        .try_fold(fields, |schema, name| Some(&items(schema).property(name)?.schema))?;
    matches!(items(end), Schema::Text(_)).then_some(path)
}

/// What a list holds; a schema of anything else is itself.
fn items(schema: &Schema) -> &Schema {
    match schema {
        Schema::Array(array) if array.prefix.is_empty() => array.items.as_deref().unwrap_or(schema),
        _ => schema,
    }
}

fn regions(at: At<'_>) -> Result<Vec<Region>, TemplateError> {
    let mut regions = at.entries(|name, at| {
        check_name(name, at)?;
        at.only(&["initial", "states", "description"])?;
        let states = at.need("states", |at| {
            let states = at.each(|at| {
                let state = at.text()?;
                check_name(state, at)?;
                Ok(state.to_owned())
            })?;
            if states.len() > MAX_PARTS {
                return Err(at.error(format!("a region may have at most {MAX_PARTS} states")));
            }
            Ok(states)
        })?;
        let initial = at.need("initial", |at| state(at, &states))?;
        Ok(Region {
            name: name.to_owned(),
            initial,
            states,
        })
    })?;
    regions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(regions)
}

fn state(at: At<'_>, states: &[String]) -> Result<String, TemplateError> {
    let state = at.text()?;
    if states.iter().any(|known| known == state) {
        return Ok(state.to_owned());
    }
    Err(at.error(format!(
        "unknown state `{state}`; the region has: {}",
        states.join(", ")
    )))
}

fn unique(at: At<'_>, fields: &Schema) -> Result<Unique, TemplateError> {
    at.only(&["name", "description", "values", "holder", "code", "message"])?;
    let name = at.need("name", |at| {
        let name = at.text()?;
        check_name(name, at)?;
        Ok(name.to_owned())
    })?;
    let values = at.need("values", |at| {
        at.each(|at| match at.text()? {
            "creator" => Ok(None),
            path => path
                .strip_prefix("fields.")
                .filter(|field| fields.property(field).is_some())
                .map(|field| Some(field.to_owned()))
                .ok_or_else(|| {
                    at.error(format!(
                        "`{path}` can't be unique: write creator, or fields.NAME with an existing NAME"
                    ))
                }),
        })
    })?;
    let per_creator = values.contains(&None);
    let fields: Vec<String> = values.into_iter().flatten().collect();
    if fields.is_empty() {
        return Err(at.error("a unique key needs at least one field"));
    }
    let by_creator = at.get("holder", |at| match at.text()? {
        "record" => Ok(false),
        "creator" => Ok(true),
        other => Err(at.error(format!("`{other}` can't hold a unique key: use record or creator"))),
    })?;
    if per_creator && by_creator == Some(true) {
        return Err(
            at.error("a key of each creator that a creator holds would refuse nobody: leave one of the two out")
        );
    }
    let refusal = match at.get("code", rule::code)? {
        Some(code) => Some((code, at.need("message", rule::message)?)),
        None => None,
    };
    Ok(Unique {
        name,
        fields,
        per_creator,
        by_creator: by_creator.unwrap_or_default(),
        refusal,
    })
}

fn counters(at: At<'_>) -> Result<Vec<Counter>, TemplateError> {
    let counters = at.entries(|name, at| {
        check_name(name, at)?;
        at.only(&["description", "per", "link"])?;
        let per = at.need("per", |at| {
            at.each(|at| match at.text()? {
                "creator" => Ok(Source::Creator),
                "tx.signer" => Ok(Source::Signer),
                text => input_path(at, text),
            })
        })?;
        if per.is_empty() {
            return Err(at.error("`per` must name at least one value, e.g. [creator, input.series]"));
        }
        let link = at.get("link", |at| input_path(at, at.text()?))?;
        Ok(Counter {
            name: name.to_owned(),
            per,
            link,
        })
    })?;
    if counters.len() > MAX_PARTS {
        return Err(at.error(format!("there may be at most {MAX_PARTS} counters")));
    }
    Ok(counters)
}

fn validator(at: At<'_>) -> Result<&'static Native, TemplateError> {
    let name = at.text()?;
    native::find(name).ok_or_else(|| {
        let known: Vec<_> = native::ALL.iter().map(|native| native.name).collect();
        at.error(format!(
            "there is no native check `{name}`; there are: {}",
            known.join(", ")
        ))
    })
}

fn identity(at: At<'_>, actions: &[Action]) -> Result<Source, TemplateError> {
    let source = identity_source(at)?;
    let own = |action: &&Action| action.creates && action.identity.is_none();
    for action in actions.iter().filter(own) {
        resolve(at, &action.input, &source, true).map_err(|error| TemplateError {
            message: format!("{} (action `{}`)", error.message, action.name),
            ..error
        })?;
    }
    Ok(source)
}

fn identity_source(at: At<'_>) -> Result<Source, TemplateError> {
    match at.text()? {
        // Of a new record they are the same key.
        "creator" | "tx.signer" => Ok(Source::Creator),
        text => input_path(at, text),
    }
}

fn input_path(at: At<'_>, text: &str) -> Result<Source, TemplateError> {
    match text.strip_prefix("input.") {
        Some(path) if !path.is_empty() => Ok(Source::Input(path.split('.').map(str::to_owned).collect())),
        _ => Err(at.error(format!(
            "`{text}` names no value here; use input.NAME or another value allowed here"
        ))),
    }
}

/// Follows a path through a schema; with `required` every step must always be there. Also says whether it is.
fn resolve<'s>(
    at: At<'_>,
    input: &'s Schema,
    source: &Source,
    required: bool,
) -> Result<(&'s Schema, bool), TemplateError> {
    let Source::Input(path) = source else {
        return Ok((input, true));
    };
    let mut always = true;
    let mut schema = input;
    for name in path {
        let Some(property) = schema.property(name) else {
            return Err(at.error(format!("the input has no property `{}`", path.join("."))));
        };
        if required && !property.required {
            return Err(at.error(format!(
                "`{name}` must be listed under `required`: the record id is made of it"
            )));
        }
        always &= property.required;
        schema = &property.schema;
    }
    Ok((schema, always))
}
