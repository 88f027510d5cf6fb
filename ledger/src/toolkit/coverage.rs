//! Coverage: what cases have touched of a template, and what they have not.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::moves::{From, Move, moves};
use super::world::Step;
use crate::template::native::Native;
use crate::template::{Action, Template, Unique};
use crate::wire::Outcome;

/// Things to touch, and whether they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group(BTreeMap<String, bool>);

impl Group {
    fn new(labels: impl IntoIterator<Item = String>) -> Self {
        Self(labels.into_iter().map(|label| (label, false)).collect())
    }

    /// What isn't among the things of the template is no goal: nothing is added.
    fn touch(&mut self, label: &str) {
        if let Some(touched) = self.0.get_mut(label) {
            *touched = true;
        }
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.0.len()
    }

    /// How many were touched.
    pub fn covered(&self) -> usize {
        self.0.values().filter(|touched| **touched).count()
    }

    /// Those that were not.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, touched)| !**touched)
            .map(|(label, _)| label.as_str())
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut group = serializer.serialize_struct("Group", 3)?;
        group.serialize_field("covered", &self.covered())?;
        group.serialize_field("total", &self.total())?;
        group.serialize_field("missing", &self.missing().collect::<Vec<_>>())?;
        group.end()
    }
}

/// What cases have touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// States that some record was in.
    pub states: Group,
    /// Actions that were accepted.
    pub actions: Group,
    /// Ways from state to state.
    pub transitions: Group,
    /// Rules, each once holding and once refusing; unique keys with a code of their own, refusing.
    pub rules: Group,
    /// Deadlines, each once raised and once refused because it is too early.
    pub deadlines: Group,
    /// Codes of the native checks, each once refusing.
    pub checks: Group,
}

impl Coverage {
    /// Nothing touched yet.
    pub fn new(template: &Template) -> Self {
        let states = template.regions.iter().flat_map(|region| {
            let states = region.states.iter();
            states.map(|state| format!("{} {state}", region.name))
        });
        let (deadlines, actions): (Vec<_>, Vec<_>) = template.actions.iter().partition(|action| action.after.is_some());
        let rules = template.actions.iter().flat_map(|action| {
            let labels = (0..action.require.len()).flat_map(|index| [HOLDS, REFUSES].map(|how| (index, how)));
            labels.map(|(index, how)| rule_label(action, index, how))
        });
        let unique = template.unique.iter().filter_map(unique_label);
        let deadlines = deadlines
            .iter()
            .flat_map(|action| [RAISED, NOT_DUE].map(|how| deadline_label(action, how)));
        let checks = template.actions.iter().flat_map(|action| &action.validate);
        let checks = checks.flat_map(|native| native.codes.iter().map(|code| check_label(native, code)));
        Self {
            states: Group::new(states),
            actions: Group::new(actions.iter().map(|action| action.name.clone())),
            transitions: Group::new(moves(template).iter().flat_map(transition_labels)),
            rules: Group::new(rules.chain(unique)),
            deadlines: Group::new(deadlines),
            checks: Group::new(checks),
        }
    }

    /// The groups with their names.
    pub fn groups(&self) -> [(&'static str, &Group); 6] {
        [
            ("states", &self.states),
            ("actions", &self.actions),
            ("transitions", &self.transitions),
            ("rules", &self.rules),
            ("deadlines", &self.deadlines),
            ("checks", &self.checks),
        ]
    }

    /// Things touched and things there are.
    pub fn sum(&self) -> (usize, usize) {
        let groups = self.groups();
        let covered = groups.iter().map(|(_, group)| group.covered()).sum();
        (covered, groups.iter().map(|(_, group)| group.total()).sum())
    }

    /// Whole per cent, rounded down, so that 100 means everything.
    pub fn percent(&self) -> usize {
        let (covered, total) = self.sum();
        (covered * 100).checked_div(total).unwrap_or(100)
    }

    /// An outcome tells which rules held, and which one didn't.
    pub(super) fn outcome(&mut self, template: &Template, action: &str, outcome: &Outcome) {
        let Some(action) = template.action(action) else { return };
        let failed = match outcome {
            Outcome::Accepted { .. } => {
                self.actions.touch(&action.name);
                self.deadlines.touch(&deadline_label(action, RAISED));
                None
            }
            Outcome::Rejected { code, message, .. } => {
                if code == NOT_DUE {
                    self.deadlines.touch(&deadline_label(action, NOT_DUE));
                }
                for native in &action.validate {
                    self.checks.touch(&check_label(native, code));
                }
                let labels = template.unique.iter().filter(|unique| {
                    let refusal = unique.refusal.as_ref();
                    refusal.is_some_and(|(own, _)| own == code)
                });
                labels
                    .filter_map(unique_label)
                    .for_each(|label| self.rules.touch(&label));
                let same = |rule: &crate::template::rule::Rule| rule.code == *code && rule.message == *message;
                match action.require.iter().position(same) {
                    Some(index) => Some(index),
                    // Refused for something else than a rule.
                    None => return,
                }
            }
        };
        for index in 0..failed.unwrap_or(action.require.len()) {
            self.rules.touch(&rule_label(action, index, HOLDS));
        }
        if let Some(index) = failed {
            self.rules.touch(&rule_label(action, index, REFUSES));
        }
    }

    /// A record before and after an accepted action.
    pub(super) fn step(&mut self, template: &Template, step: &Step) {
        for (region, to) in &step.after.regions {
            self.states.touch(&format!("{region} {to}"));
            let from = step.before.as_ref().and_then(|before| before.regions.get(region));
            let Some(action) = template.action(&step.action) else {
                continue;
            };
            // Through which reference a record was changed isn't told; moves of two that look the same count as one.
            let names: Vec<Option<&str>> = match step.referred {
                true => action.refs.iter().map(|one| Some(one.name.as_str())).collect(),
                false => vec![None],
            };
            for of in names {
                let start = start_label(action, of, region);
                self.transitions.touch(&format!("{start} → {to}"));
                let from = from.map_or("new", String::as_str);
                self.transitions.touch(&format!("{start} {from} → {to}"));
                self.transitions.touch(&format!("{start} {from} →"));
            }
        }
    }
}

const HOLDS: &str = "holds";
const REFUSES: &str = "refuses";
const RAISED: &str = "raised";
const NOT_DUE: &str = "NOT_DUE";

fn start_label(action: &Action, of: Option<&str>, region: &str) -> String {
    match of {
        Some(of) => format!("{}: {region} of {of}", action.name),
        None => format!("{}: {region}", action.name),
    }
}

/// What has to be touched of a move. Where the new state hangs on a condition, not every state leads to every other one:
/// then each state has to be left, and each has to be reached.
fn transition_labels(step: &Move<'_>) -> Vec<String> {
    let start = start_label(step.action, step.of, step.region);
    let arrives = format!("{start} → {}", step.to);
    match (&step.from, step.conditional) {
        (From::New | From::Any, _) => vec![arrives],
        (From::States(from), false) => from
            .iter()
            .map(|from| format!("{start} {from} → {}", step.to))
            .collect(),
        (From::States(from), true) => {
            let leaves = from.iter().map(|from| format!("{start} {from} →"));
            leaves.chain([arrives]).collect()
        }
    }
}

fn deadline_label(action: &Action, how: &str) -> String {
    format!("{}: {how}", action.name)
}

fn check_label(native: &Native, code: &str) -> String {
    format!("{}: {code} {REFUSES}", native.name)
}

fn unique_label(unique: &Unique) -> Option<String> {
    let (code, _) = unique.refusal.as_ref()?;
    Some(format!("unique {}: {code} {REFUSES}", unique.name))
}

fn rule_label(action: &Action, index: usize, how: &str) -> String {
    let code = |index: usize| action.require.get(index).map_or("", |rule| rule.code.as_str());
    let own = code(index);
    let same = (0..action.require.len()).filter(|other| code(*other) == own).count();
    let number = if same > 1 {
        format!(" (rule {})", index + 1)
    } else {
        String::new()
    };
    format!("{}: {own}{number} {how}", action.name)
}
