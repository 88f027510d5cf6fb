//! What a template consists of, in a few numbers and names.

use std::fmt;

use serde::Serialize;

use crate::template::Template;

/// The parts of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Name.
    pub name: String,
    /// Revision.
    pub revision: u32,
    /// Names of its actions.
    pub actions: Vec<String>,
    /// Names of its regions.
    pub regions: Vec<String>,
    /// Number of its rules.
    pub rules: usize,
}

/// Counts the parts.
pub fn inventory(template: &Template) -> Inventory {
    Inventory {
        name: template.name.clone(),
        revision: template.revision,
        actions: template.actions.iter().map(|action| action.name.clone()).collect(),
        regions: template.regions.iter().map(|region| region.name.clone()).collect(),
        rules: template.actions.iter().map(|action| action.require.len()).sum(),
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} revision {} · {} · {} · {}",
            self.name,
            self.revision,
            count(self.actions.len(), "action"),
            count(self.regions.len(), "region"),
            count(self.rules, "rule")
        )
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
