//! The state machine of a template as plain data: which action moves which region from where to where.

use crate::template::{Action, Case, Region, Template};

/// One way to move a region.
#[derive(Clone, Debug)]
pub struct Move<'t> {
    /// Region.
    pub region: &'t str,
    /// Action.
    pub action: &'t Action,
    /// Name of the reference whose record moves; none for the record that is acted on.
    pub of: Option<&'t str>,
    /// Where it starts.
    pub from: From<'t>,
    /// State after it.
    pub to: &'t str,
    /// Does it depend on a condition?
    pub conditional: bool,
}

/// Where a move starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From<'t> {
    /// A new record.
    New,
    /// Any state.
    Any,
    /// One of these.
    States(Vec<&'t str>),
}

/// All moves, in the order of regions, actions and cases.
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
    let from = if action.creates {
        From::New
    } else {
        start(&action.from, region)
    };
    let mut own = ways(action, None, region, &from, cases(&action.change.to, region));
    // Where no case holds, a new record has the first state.
    let always = cases(&action.change.to, region)
        .last()
        .is_some_and(|case| case.when.is_none());
    if action.creates && !always {
        let conditional = !own.is_empty();
        own.push(Move {
            region: &region.name,
            action,
            of: None,
            from,
            to: &region.initial,
            conditional,
        });
    }
    let others = action.refs.iter().flat_map(|one| {
        let from = start(&one.from, region);
        ways(action, Some(&one.name), region, &from, cases(&one.change.to, region))
    });
    own.into_iter().chain(others).collect()
}

fn cases<'t>(to: &'t [(String, Vec<Case>)], region: &Region) -> &'t [Case] {
    let own = to.iter().find(|(name, _)| *name == region.name);
    own.map_or(&[], |(_, cases)| cases)
}

/// States of a region that a list of conditions admits.
pub fn start<'t>(from: &'t [(String, Vec<String>)], region: &Region) -> From<'t> {
    let own = from.iter().find(|(name, _)| *name == region.name);
    own.map_or(From::Any, |(_, states)| {
        From::States(states.iter().map(String::as_str).collect())
    })
}

fn ways<'t>(
    action: &'t Action,
    of: Option<&'t str>,
    region: &'t Region,
    from: &From<'t>,
    cases: &'t [Case],
) -> Vec<Move<'t>> {
    let conditional = cases.iter().any(|case| case.when.is_some());
    let ways = cases.iter().map(|case| Move {
        region: &region.name,
        action,
        of,
        from: from.clone(),
        to: &case.state,
        conditional,
    });
    ways.collect()
}
