//! Coverage: what cases have touched of a template, and what they have not.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::moves::moves;
use super::world::Step;
use crate::template::{Action, Template};
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
    /// Rules, each once holding and once refusing.
    pub rules: Group,
}

impl Coverage {
    /// Nothing touched yet.
    pub fn new(template: &Template) -> Self {
        let states = template.regions.iter().flat_map(|region| {
            let states = region.states.iter();
            states.map(|state| state_label(&region.name, state))
        });
        let transitions = moves(template).into_iter().flat_map(|step| {
            let label = |from: &str| transition_label(step.action, step.region, from, step.to);
            match step.from.as_deref() {
                None => vec![label(ANY)],
                Some([]) => vec![label(NEW)],
                Some(from) => from.iter().map(|from| label(from)).collect(),
            }
        });
        let rules = template.actions.iter().flat_map(|action| {
            let labels = (0..action.require.len()).flat_map(|index| [HOLDS, REFUSES].map(|how| (index, how)));
            labels.map(|(index, how)| rule_label(action, index, how))
        });
        Self {
            states: Group::new(states),
            actions: Group::new(template.actions.iter().map(|action| action.name.clone())),
            transitions: Group::new(transitions),
            rules: Group::new(rules),
        }
    }

    /// The groups with their names.
    pub fn groups(&self) -> [(&'static str, &Group); 4] {
        [
            ("states", &self.states),
            ("actions", &self.actions),
            ("transitions", &self.transitions),
            ("rules", &self.rules),
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
                None
            }
            Outcome::Rejected { code, message, .. } => {
                let same = |rule: &crate::template::rule::Rule| rule.code == *code && rule.message == *message;
                match action.require.iter().position(same) {
                    Some(index) => Some(index),
                    // Refused for something that is looked at before the rules.
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
    pub(super) fn step(&mut self, step: &Step) {
        for (region, to) in &step.after.regions {
            self.states.touch(&state_label(region, to));
            let from = step.before.as_ref().and_then(|before| before.regions.get(region));
            let from = from.map_or(NEW, String::as_str);
            self.transitions
                .touch(&transition_label(&step.action, region, from, to));
            self.transitions.touch(&transition_label(&step.action, region, ANY, to));
        }
    }
}

const ANY: &str = "any";
const NEW: &str = "new";
const HOLDS: &str = "holds";
const REFUSES: &str = "refuses";

fn state_label(region: &str, state: &str) -> String {
    format!("{region} {state}")
}

fn transition_label(action: &str, region: &str, from: &str, to: &str) -> String {
    format!("{action}: {region} {from} → {to}")
}

fn rule_label(action: &Action, index: usize, how: &str) -> String {
    let code = |index: usize| action.require.get(index).map_or("", |rule| rule.code.as_str());
    let own = code(index);
    let same = (0..action.require.len())
        .filter(|other| code(other.to_owned()) == own)
        .count();
    let number = if same > 1 {
        format!(" (rule {})", index + 1)
    } else {
        String::new()
    };
    format!("{}: {own}{number} {how}", action.name)
}
