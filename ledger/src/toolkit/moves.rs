//! The state machine of a template as plain data: which action moves which region from where to where.

use crate::template::{Action, Region, Template};

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
    let targets = action.to.iter().filter(|(name, _)| *name == region.name);
    let mut targets: Vec<&str> = targets.map(|(_, state)| state.as_str()).collect();
    if action.creates && targets.is_empty() {
        targets.push(&region.initial);
    }
    let from = if action.creates {
        Some(Vec::new())
    } else {
        let states = action.from.iter().find(|(name, _)| *name == region.name);
        states.map(|(_, states)| states.iter().map(String::as_str).collect())
    };
    targets
        .into_iter()
        .map(|to| Move {
            region: &region.name,
            action: &action.name,
            from: from.clone(),
            to,
        })
        .collect()
}
