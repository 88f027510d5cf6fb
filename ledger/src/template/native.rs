//! Native checks: what a rule in CEL could not say, or not at a bearable price. A template names them in `validators`,
//! an action in `validate`.
//!
//! A check is a pure function of the action's input: no clock, no floats, no state, no iteration without a bound. Once
//! published it never changes its verdict on any input, because every node must come to the same one for ever: another
//! verdict is another name.

mod en16931;

use serde_json::Value;

/// A native check.
#[derive(Debug)]
pub struct Native {
    /// Name in the template.
    pub name: &'static str,
    /// Properties that the input must always have, as paths.
    pub needs: &'static [&'static str],
    /// All codes that it can find.
    pub codes: &'static [&'static str],
    /// The check. The input has passed the action's schema.
    pub check: fn(&Value) -> Result<(), Finding>,
}

/// Why an input doesn't pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong and how to mend it.
    pub message: String,
    /// JSON pointer relative to the input.
    pub pointer: String,
}

/// All checks there are.
pub static ALL: [Native; 1] = [en16931::CHECK];

/// A check by name.
pub fn find(name: &str) -> Option<&'static Native> {
    ALL.iter().find(|native| native.name == name)
}
