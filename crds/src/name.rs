//! Names that become parts of other names: host names, folders, labels, the log's origin.
//!
//! Owns their one rule (a DNS label of at most [`MAX_NAME`] characters that starts with a letter). The same rule
//! stands in the schema as a CEL rule, for the Kubernetes API server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest name in characters: names derived from a tenant and a suffix still fit the 63 of a DNS label.
pub const MAX_NAME: usize = 40;

/// A name that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} name {name:?} can't be used: {problem}")]
pub struct NameError {
    /// What was to be named, e.g. `network`.
    pub kind: &'static str,
    /// The name as given.
    pub name: String,
    /// What is wrong and how to put it right.
    pub problem: NameProblem,
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameProblem {
    /// No characters.
    #[error("it is empty; give it 1 to {MAX_NAME} characters")]
    Empty,
    /// More than [`MAX_NAME`] characters.
    #[error("it is longer than {MAX_NAME} characters; shorten it")]
    TooLong,
    /// First character isn't a letter.
    #[error("it must start with a lowercase letter")]
    Start,
    /// Last character is a hyphen.
    #[error("it must end with a lowercase letter or a digit")]
    End,
    /// A character that isn't allowed.
    #[error("use lowercase letters, digits and hyphens only, {0:?} isn't one")]
    Character(char),
    /// Kept for the system.
    #[error("`default`, `kube-…` and `muniment…` are kept for the system; choose another")]
    Reserved,
}

fn check(name: &str) -> Result<(), NameProblem> {
    let first = name.chars().next().ok_or(NameProblem::Empty)?;
    if let Some(bad) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(NameProblem::Character(bad));
    }
    if name.len() > MAX_NAME {
        return Err(NameProblem::TooLong);
    }
    if !first.is_ascii_lowercase() {
        return Err(NameProblem::Start);
    }
    if name.ends_with('-') {
        return Err(NameProblem::End);
    }
    Ok(())
}

fn check_tenant(name: &str) -> Result<(), NameProblem> {
    check(name)?;
    if name == "default" || name.starts_with("kube-") || name.starts_with("muniment") {
        return Err(NameProblem::Reserved);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks a name.
            ///
            /// # Errors
            /// When it breaks the rule of this module.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                match $check(&name) {
                    Ok(()) => Ok(Self(name)),
                    Err(problem) => Err(NameError { kind: $kind, name, problem }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// Name of a tenant; also the namespace of its networks.
    TenantName,
    "tenant",
    check_tenant
);
name!(
    /// Name of a ledger network within its tenant.
    NetworkName,
    "network",
    check
);
name!(
    /// Name of a record template.
    TemplateName,
    "template",
    check
);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dns_labels() {
        for name in ["a", "demo", "a1", "a-b-c", &"x".repeat(MAX_NAME)] {
            assert_eq!(NetworkName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let problem = |name: &str| NetworkName::new(name).unwrap_err().problem;
        assert_eq!(problem(""), NameProblem::Empty);
        assert_eq!(problem(&"x".repeat(MAX_NAME + 1)), NameProblem::TooLong);
        assert_eq!(problem("1a"), NameProblem::Start);
        assert_eq!(problem("-a"), NameProblem::Start);
        assert_eq!(problem("a-"), NameProblem::End);
        assert_eq!(problem("A"), NameProblem::Character('A'));
        assert_eq!(problem("a.b"), NameProblem::Character('.'));
        assert_eq!(problem("../etc"), NameProblem::Character('.'));
        assert_eq!(problem("ä"), NameProblem::Character('ä'));
    }

    #[test]
    fn keeps_system_names_from_tenants() {
        for name in ["default", "kube-system", "muniment", "muniment-system"] {
            assert_eq!(
                TenantName::new(name).unwrap_err().problem,
                NameProblem::Reserved,
                "{name}"
            );
            NetworkName::new(name).unwrap();
        }
    }

    #[test]
    fn is_checked_when_read() {
        let error = serde_json::from_str::<TenantName>("\"Demo\"").unwrap_err().to_string();
        assert!(error.contains("lowercase letters"), "{error}");
    }
}
