//! The state machine of a template as plain data: which action moves which region from where to where.

use crate::template::{Action, Case, Change, Region, Template};

/// One way to move a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move<'t> {
    /// Region.
    pub region: &'t str,
    /// Action.
    pub action: &'t str,
    /// States it may start in; none means any. Empty for new records.
    pub from: Option<Vec<&'t str>>,
    /// State after it.
    pub to: &'t str,
}

/// All moves, in the order of regions, actions and states as the template declares them.
pub fn moves(template: &Template) -> Vec<Move<'_>> {
    template
        .regions
        .iter()
        .flat_map(|region| of(template, region))
        .collect()
}

/// The moves of one region.
pub fn of<'t>(template: &'t Template, region: &'t Region) -> Vec<Move<'t>> {
    template.actions.iter().flat_map(|action| by(action, region)).collect()
}

fn by<'t>(action: &'t Action, region: &'t Region) -> Vec<Move<'t>> {
    let mut own = targets(&action.change, region);
    let always = |(name, cases): &(String, Vec<Case>)| {
        *name == region.name && cases.last().is_some_and(|case| case.when.is_none())
    };
    if action.creates && !action.change.to.iter().any(always) {
        own.push(&region.initial);
    }
    let from = match action.creates {
        true => Some(Vec::new()),
        false => allowed(&action.from, region),
    };
    let mut moves = made(action, region, &from, own);
    for reference in &action.refs {
        let from = allowed(&reference.from, region);
        moves.extend(made(action, region, &from, targets(&reference.change, region)));
    }
    moves
}

fn made<'t>(action: &'t Action, region: &'t Region, from: &Option<Vec<&'t str>>, to: Vec<&'t str>) -> Vec<Move<'t>> {
    let to = to.into_iter().map(|to| Move {
        region: &region.name,
        action: &action.name,
        from: from.clone(),
        to,
    });
    to.collect()
}

/// States that a change may bring about.
fn targets<'t>(change: &'t Change, region: &Region) -> Vec<&'t str> {
    let cases = change.to.iter().filter(|(name, _)| *name == region.name);
    cases
        .flat_map(|(_, cases)| cases)
        .map(|case| case.state.as_str())
        .collect()
}

fn allowed<'t>(from: &'t [(String, Vec<String>)], region: &Region) -> Option<Vec<&'t str>> {
    let states = from.iter().find(|(name, _)| *name == region.name);
    states.map(|(_, states)| states.iter().map(String::as_str).collect())
}
