//! What a user reads when something did not work: one sentence, and the next step.
//!
//! Owns the shape of CLI errors and their exit codes. Library errors become one of these at the edge, with their
//! chain of causes joined into the sentence.

use crate::files::Shown;
use std::fmt::{self, Display};
use std::process::ExitCode;

use muniment_api::types::Finding;
pub use muniment_receipts::chain;

/// Result of a command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command ended, by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The work was done and the answer is no, or the work failed.
    Failed,
    /// The command line, a file it names or the environment can't be used as given.
    Usage,
}

/// An error as it is shown.
#[derive(Debug)]
pub struct Failure {
    /// Class, decides the exit code.
    pub class: Class,
    /// Stable code, lower snake case.
    pub code: String,
    /// One sentence: what failed, where, why.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// What was found in a document, when that is why.
    pub findings: Vec<Finding>,
}

impl Failure {
    /// The work failed.
    pub fn new(code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            class: Class::Failed,
            code: code.to_owned(),
            message: message.into(),
            next: next.into(),
            findings: Vec::new(),
        }
    }

    /// The command can't be run as it was given.
    pub fn usage(code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            class: Class::Usage,
            ..Self::new(code, message, next)
        }
    }

    /// Exit code: 1 for failed, 2 for usage.
    pub fn exit_code(&self) -> ExitCode {
        match self.class {
            Class::Failed => ExitCode::from(1),
            Class::Usage => ExitCode::from(2),
        }
    }

    /// The error as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        let mut error = serde_json::json!({ "code": self.code, "message": self.message, "next": self.next });
        if !self.findings.is_empty() {
            error["findings"] = serde_json::json!(self.findings);
        }
        serde_json::json!({ "error": error })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for Finding {
            rule,
            term,
            line,
            message,
            values,
            fix,
            ..
        } in &self.findings
        {
            // What no line says is about several of them.
            let place = if *line > 0 {
                format!(" (line {line})")
            } else {
                String::new()
            };
            write!(f, "\n  {rule} {term}{place}: {message}")?;
            if !values.is_empty() {
                write!(f, "\n    values: {}", values.join(", "))?;
            }
            write!(f, "\n    fix: {fix}")?;
        }
        if !self.next.is_empty() {
            write!(f, "\n  next: {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// An I/O error on a path.
pub fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    let next = match error.kind() {
        std::io::ErrorKind::NotFound => "check the path",
        std::io::ErrorKind::PermissionDenied => "check who owns the path and its permissions",
        std::io::ErrorKind::StorageFull => "free some disk space and run the same command again",
        std::io::ErrorKind::ReadOnlyFilesystem => "choose a folder on a writable file system",
        _ => "check the path and the disk",
    };
    Failure::new("io", format!("{what} {}: {error}", path.shown()), next)
}

/// An I/O error on a path that the command line or the environment names: bad usage.
pub fn named(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure {
        class: Class::Usage,
        ..io(what, path, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_sentence_and_a_next_step() {
        let failure = Failure::usage("no_context", "no server is known", "start one with `muniment dev`");
        assert_eq!(
            failure.to_string(),
            "no server is known\n  next: start one with `muniment dev`"
        );
        assert_eq!(failure.to_json()["error"]["code"], "no_context");
    }

    #[test]
    fn a_finding_says_where_and_what_was_seen() {
        let finding = |line: u32, values: &[&str]| Finding {
            rule: "exact".to_owned(),
            set: "exact".to_owned(),
            severity: "fatal".to_owned(),
            message: "it must be the sum".to_owned(),
            term: "BT-106".to_owned(),
            location: String::new(),
            line,
            values: values.iter().map(|&value| value.to_owned()).collect(),
            fix: "add".to_owned(),
        };
        let failure = Failure {
            findings: vec![finding(0, &["expected 3.00", "found 2.99"]), finding(7, &[])],
            ..Failure::new("not_exact", "no", "")
        };
        assert_eq!(
            failure.to_string(),
            "no\n  exact BT-106: it must be the sum\n    values: expected 3.00, found 2.99\n    fix: add\n  exact BT-106 (line 7): \
             it must be the sum\n    fix: add"
        );
    }
}
