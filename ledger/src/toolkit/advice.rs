//! Advice: what a template may contain, but hardly means.

use serde::Serialize;

use super::moves::{self, From};
use crate::template::Template;
use crate::template::schema::{Property, Schema};

/// Something that is allowed and most likely not wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Where, such as `spec.regions.document`.
    pub path: String,
    /// What and how to mend it.
    pub message: String,
}

/// Looks for states that nothing leads to, actions that can never happen and fields that nothing fills.
pub fn advice(template: &Template) -> Vec<Advice> {
    [states(template), actions(template), fields(template)].concat()
}

/// States of a region that some chain of moves ends in. Rules are not looked at.
fn reachable<'t>(template: &'t Template, region: &'t crate::template::Region) -> Vec<&'t str> {
    let moves = moves::of(template, region);
    let mut reached: Vec<&str> = Vec::new();
    loop {
        let next = moves.iter().find(|step| {
            let starts = match &step.from {
                From::New | From::Any => true,
                From::States(from) => from.iter().any(|state| reached.contains(state)),
            };
            starts && !reached.contains(&step.to)
        });
        match next {
            Some(step) => reached.push(step.to),
            None => return reached,
        }
    }
}

fn states(template: &Template) -> Vec<Advice> {
    let unreached = template.regions.iter().flat_map(|region| {
        let reached = reachable(template, region);
        let lost = region
            .states
            .iter()
            .filter(move |state| !reached.contains(&state.as_str()));
        lost.map(|state| Advice {
            path: format!("spec.regions.{}.states", region.name),
            message: format!(
                "nothing ever leads to the state `{state}`: add it to the `to` of an action, or remove it"
            ),
        })
    });
    unreached.collect()
}

fn actions(template: &Template) -> Vec<Advice> {
    let stuck = template.actions.iter().flat_map(|action| {
        action.from.iter().filter_map(|(name, from)| {
            let region = template.regions.iter().find(|region| region.name == *name)?;
            let reached = reachable(template, region);
            if from.iter().any(|state| reached.contains(&state.as_str())) {
                return None;
            }
            Some(Advice {
                path: format!("spec.actions.{}.from.{name}", action.name),
                message: format!("the action can never happen: `{name}` is never {}", from.join(" or ")),
            })
        })
    });
    stuck.collect()
}

fn fields(template: &Template) -> Vec<Advice> {
    let Schema::Object(properties) = &template.fields else {
        return Vec::new();
    };
    let set = |name: &str| {
        template.actions.iter().any(|action| {
            let changes = std::iter::once(&action.change).chain(action.refs.iter().map(|one| &one.change));
            let mut set = changes.flat_map(|change| &change.set);
            set.any(|(field, _)| field == name)
        })
    };
    // Some fields only lend their schema to inputs, which name them with `$ref`.
    let lent = |field: &Property| {
        template
            .actions
            .iter()
            .any(|action| contains(&action.input, &field.schema))
    };
    let empty = properties.iter().filter(|field| !set(&field.name) && !lent(field));
    empty
        .map(|field| Advice {
            path: format!("spec.fields.properties.{}", field.name),
            message: "no action ever sets this field: add it to a `set`, or remove it".to_owned(),
        })
        .collect()
}

fn contains(schema: &Schema, wanted: &Schema) -> bool {
    schema == wanted
        || match schema {
            Schema::Object(properties) => properties.iter().any(|property| contains(&property.schema, wanted)),
            Schema::Array(array) => array
                .prefix
                .iter()
                .chain(array.items.as_deref())
                .any(|item| contains(item, wanted)),
            _ => false,
        }
}
