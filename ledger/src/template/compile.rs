//! From YAML to a [`Template`]: the sections of `spec`, and how they must fit together.

use std::collections::BTreeMap;

use super::check::Shape;
use super::rule::{self, Rule};
use super::schema::{self, Named, Schema, check_name};
use super::yaml::{self, At, Path, Run};
use super::{Action, MAX_SOURCE, Region, Role, Source, Template, TemplateError, Unique};

/// Most actions, regions, unique keys, states of a region and rules of an action.
const MAX_PARTS: usize = 64;
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
        "deadlines",
        "validators",
    ]));
    for later in ["deadlines", "validators"] {
        parts.keep(at.get(later, |at| {
            Err::<(), _>(at.key_error(format!("`{later}` is not yet supported: remove this section")))
        }));
    }
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
    // The actions are judged by all of these: what is wrong here would be told again at every use.
    parts.settle()?;
    let declared = Declared {
        fields: &fields,
        named: &named,
        roles: &roles,
        regions: &regions,
    };
    let mut actions = at.need("actions", |at| at.entries(|name, at| declared.action(name, at)))?;
    if actions.len() > MAX_PARTS || regions.len() > MAX_PARTS {
        return Err(at.error(format!(
            "there may be at most {MAX_PARTS} actions and {MAX_PARTS} regions"
        )));
    }
    actions.sort_by(|a, b| a.name.cmp(&b.name));
    if !actions.iter().any(|action| action.creates) {
        return Err(at.error("no action has `creates: true`, so there could never be a record"));
    }
    let identity = at.need("identity", |at| at.each(|at| identity(at, &actions)))?;
    if identity.is_empty() {
        return Err(at.error("`identity` must name at least one value, e.g. [creator, input.reference]"));
    }
    Ok(Template {
        name,
        revision: revision.unwrap_or_default(),
        identity,
        unique,
        regions,
        actions,
        fields,
    })
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
            other => match other
                .strip_prefix("fields.")
                .map(|field| (field, fields.property(field)))
            {
                Some((field, Some(property))) if matches!(property.schema, Schema::Text(_)) => {
                    Ok(Role::Field(field.to_owned()))
                }
                _ => Err(at.error(format!(
                    "`{other}` can't be a role: use creator, anyMember, or fields.NAME of a string field"
                ))),
            },
        })?;
        Ok((name.to_owned(), role))
    })?;
    Ok(roles.into_iter().collect())
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
    at.only(&["name", "values"])?;
    let name = at.need("name", |at| {
        let name = at.text()?;
        check_name(name, at)?;
        Ok(name.to_owned())
    })?;
    let fields = at.need("values", |at| {
        at.each(|at| {
            let path = at.text()?;
            path.strip_prefix("fields.")
                .filter(|field| fields.property(field).is_some())
                .map(str::to_owned)
                .ok_or_else(|| {
                    at.error(format!(
                        "`{path}` can't be unique: write fields.NAME with an existing NAME"
                    ))
                })
        })
    })?;
    if fields.is_empty() {
        return Err(at.error("a unique key needs at least one value"));
    }
    Ok(Unique { name, fields })
}

fn identity(at: At<'_>, actions: &[Action]) -> Result<Source, TemplateError> {
    let source = match at.text()? {
        "creator" => return Ok(Source::Creator),
        text => input_path(at, text)?,
    };
    for action in actions.iter().filter(|action| action.creates) {
        resolve(at, &action.input, &source, true).map_err(|error| TemplateError {
            message: format!("{} (action `{}`)", error.message, action.name),
            ..error
        })?;
    }
    Ok(source)
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

/// What the actions refer to.
struct Declared<'a> {
    fields: &'a Schema,
    named: &'a Named,
    roles: &'a BTreeMap<String, Role>,
    regions: &'a [Region],
}

impl Declared<'_> {
    fn action(&self, name: &str, at: At<'_>) -> Result<Action, TemplateError> {
        check_name(name, at)?;
        let mut parts = at.parts();
        parts.keep(at.only(&["description", "creates", "by", "input", "from", "to", "require", "set"]));
        let creates = parts.keep(at.get("creates", |at| at.bool())).flatten().unwrap_or(false);
        let by = parts.keep(at.need("by", |at| at.each(|at| self.role(at, creates))));
        if by.as_ref().is_some_and(Vec::is_empty) {
            parts.keep::<()>(Err(
                at.error("`by` is empty, so nobody could ever do this; use e.g. [anyMember]")
            ));
        }
        let input = parts.keep(at.get("input", |at| schema::object(at, self.named)));
        let from = parts.keep(at.get("from", |at| self.from(at, creates)));
        let to = parts.keep(at.get("to", |at| {
            at.entries(|name, at| Ok((name.to_owned(), state(at, &self.region(name, at)?.states)?)))
        }));
        let Some(input) = input else {
            // Rules and `set` speak of the input.
            parts.settle()?;
            return Err(at.error("`input` can't be used"));
        };
        let input = input.unwrap_or(Schema::Object(Vec::new()));
        let variables = self.variables(creates, &input);
        let require = parts
            .keep(at.get("require", |at| at.each(|at| Rule::compile(at, &variables))))
            .flatten()
            .unwrap_or_default();
        if require.len() > MAX_PARTS {
            parts.keep::<()>(Err(at.error(format!("an action may have at most {MAX_PARTS} rules"))));
        }
        let set = parts.keep(at.get("set", |at| at.entries(|field, at| self.set(field, at, &input))));
        if let (Some(set), true) = (&set, creates) {
            parts.keep(self.complete(at, set.as_deref().unwrap_or_default(), &input));
        }
        parts.settle()?;
        Ok(Action {
            name: name.to_owned(),
            creates,
            by: by.unwrap_or_default(),
            uses: rule::uses(&require),
            input,
            from: from.flatten().unwrap_or_default(),
            to: to.flatten().unwrap_or_default(),
            require,
            set: set.flatten().unwrap_or_default(),
        })
    }

    fn from(&self, at: At<'_>, creates: bool) -> Result<Vec<(String, Vec<String>)>, TemplateError> {
        if creates {
            return Err(at.key_error("an action that creates a record starts from nothing: remove `from`"));
        }
        at.entries(|name, at| {
            let region = self.region(name, at)?;
            Ok((name.to_owned(), at.each(|at| state(at, &region.states))?))
        })
    }

    fn role(&self, at: At<'_>, creates: bool) -> Result<(String, Role), TemplateError> {
        let name = at.text()?;
        let role = match name {
            "anyMember" => Role::AnyMember,
            _ => self.roles.get(name).cloned().ok_or_else(|| {
                let known: Vec<_> = self.roles.keys().map(String::as_str).chain(["anyMember"]).collect();
                at.error(format!("unknown role `{name}`; there are: {}", known.join(", ")))
            })?,
        };
        if creates && role != Role::AnyMember {
            return Err(at.error("before the record exists it has neither creator nor fields: use anyMember here"));
        }
        Ok((name.to_owned(), role))
    }

    fn region(&self, name: &str, at: At<'_>) -> Result<&Region, TemplateError> {
        self.regions.iter().find(|region| region.name == name).ok_or_else(|| {
            let known: Vec<_> = self.regions.iter().map(|region| region.name.as_str()).collect();
            at.key_error(format!("unknown region `{name}`; there are: {}", known.join(", ")))
        })
    }

    fn set(&self, field: &str, at: At<'_>, input: &Schema) -> Result<(String, Source), TemplateError> {
        let Some(property) = self.fields.property(field) else {
            return Err(at.key_error(format!("there is no field `{field}` in spec.fields")));
        };
        let text = at.text()?;
        let source = match text {
            "tx.signer" => Source::Signer,
            "block.height" => Source::Height,
            "block.time" => Source::Time,
            _ => input_path(at, text)?,
        };
        let fits = match &source {
            Source::Input(_) => *resolve(at, input, &source, false)?.0 == property.schema,
            Source::Height | Source::Time => matches!(&property.schema, Schema::Int { min, max, choices }
                if *min <= 0 && *max == schema::MAX_INT && choices.is_empty()),
            Source::Signer | Source::Creator => matches!(&property.schema, Schema::Text(text)
                if text.min <= 40 && text.max >= 64 && text.pattern.is_none() && text.choices.is_empty()),
        };
        if !fits {
            return Err(at.error(format!(
                "`{text}` and the field `{field}` allow different values; use `$ref: \"#/fields/{field}\"` in the input \
                 (a signer key needs a plain string of maxLength 64 or more, heights and times an unbounded integer)"
            )));
        }
        Ok((field.to_owned(), source))
    }

    /// A new record must have all required fields whatever the input is.
    fn complete(&self, at: At<'_>, set: &[(String, Source)], input: &Schema) -> Result<(), TemplateError> {
        let Schema::Object(fields) = self.fields else {
            return Ok(());
        };
        for field in fields.iter().filter(|field| field.required) {
            let always = match set.iter().find(|(name, _)| *name == field.name) {
                Some((_, source)) => resolve(at, input, source, false)?.1,
                None => false,
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

    fn variables(&self, creates: bool, input: &Schema) -> Vec<(&'static str, Shape)> {
        let object = |fields: &[(&str, Shape)]| {
            Shape::Object(
                fields
                    .iter()
                    .map(|(name, shape)| ((*name).to_owned(), shape.clone()))
                    .collect(),
            )
        };
        let mut variables = vec![
            ("input", Shape::from(input)),
            (
                "tx",
                object(&[
                    ("nonce", Shape::Text),
                    ("signer", Shape::Text),
                    ("validUntil", Shape::Int),
                ]),
            ),
            ("block", object(&[("height", Shape::Int), ("time", Shape::Int)])),
        ];
        if !creates {
            let regions = self
                .regions
                .iter()
                .map(|region| (region.name.clone(), Shape::Text))
                .collect();
            variables.push((
                "record",
                object(&[
                    ("createdHeight", Shape::Int),
                    ("createdTime", Shape::Int),
                    ("creator", Shape::Text),
                    ("fields", Shape::from(self.fields)),
                    ("id", Shape::Text),
                    ("regions", Shape::Object(regions)),
                    ("revision", Shape::Int),
                    ("template", Shape::Text),
                    ("updatedHeight", Shape::Int),
                    ("updatedTime", Shape::Int),
                    ("version", Shape::Int),
                ]),
            ));
        }
        variables
    }
}
