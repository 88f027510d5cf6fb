//! C2SP `tlog-policy`: who must have cosigned a checkpoint before it counts.
//!
//! Owns the syntax, the judgement over named witnesses, and the one policy text that follows from a validator set.
//!
//! Our own verification needs no policy file: it goes by the trust root. Reading and judging policies ([`Policy`]) is
//! here for third parties who hold a receipt of this crate to a policy of their own, and to prove by other people's
//! vectors that what [`derive`] writes means what we say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::note::VerifierKey;

/// Names a validator must not have, because a policy gives them a meaning.
pub const RESERVED: [&str; 4] = ["none", "any", "all", GROUP];
/// Group of all validators in a derived policy.
const GROUP: &str = "validators";
/// Most logs, witnesses or groups that are read.
const MAX_LINES: usize = 1_024;

/// A policy can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// One line is wrong.
    #[error("policy line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Exactly one quorum line is needed.
    #[error("a policy needs exactly one `quorum` line")]
    Quorum,
}

/// A group of witnesses or groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many members must have witnessed.
    pub threshold: usize,
    /// Their names.
    pub members: Vec<String>,
}

/// A policy, taken apart. Names are kept as text; the format's opaque non-UTF-8 names are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Accepted logs; empty when they are known otherwise.
    pub logs: Vec<VerifierKey>,
    /// Witness keys by policy name.
    pub witnesses: BTreeMap<String, VerifierKey>,
    /// Groups by policy name.
    pub groups: BTreeMap<String, Group>,
    /// Name of a witness or group; `None` when no cosignature is needed.
    pub quorum: Option<String>,
}

/// Validators that must cosign: more than two thirds.
pub fn quorum(validators: usize) -> usize {
    validators * 2 / 3 + 1
}

/// The policy text of a validator set, given as (name, verifier key) in set order. There is no log line: a network's
/// log has no key of its own, its origin is known from the trust root.
pub fn derive<'a>(validators: impl IntoIterator<Item = (&'a str, VerifierKey)>) -> String {
    let (mut text, mut names, mut count) = (String::new(), String::new(), 0);
    for (name, vkey) in validators {
        // Writing to a string can't fail.
        let _ = writeln!(text, "witness {name} {vkey}");
        let _ = write!(names, " {name}");
        count += 1;
    }
    let _ = writeln!(text, "group {GROUP} {}{names}", quorum(count));
    let _ = writeln!(text, "quorum {GROUP}");
    text
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// When a line is wrong, names another that is not defined above it, or repeats a name or key.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        for (number, line) in text.split('\n').enumerate() {
            let fail = |reason| PolicyError::Line {
                line: number + 1,
                reason,
            };
            if number > MAX_LINES {
                return Err(fail("too many lines"));
            }
            if line.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
                return Err(fail("control characters are not allowed"));
            }
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            reader.line(&words).map_err(fail)?;
        }
        if text.is_empty() || !text.ends_with('\n') {
            let line = text.split('\n').count();
            return Err(PolicyError::Line {
                line,
                reason: "the last line is not closed",
            });
        }
        if reader.quorums == 1 {
            Ok(reader.policy)
        } else {
            Err(PolicyError::Quorum)
        }
    }

    /// Whether the quorum rule holds when exactly the witnesses for which `cosigned` is true have cosigned.
    pub fn satisfied(&self, cosigned: impl Fn(&str) -> bool) -> bool {
        let Some(quorum) = &self.quorum else { return true };
        let mut met = BTreeMap::new();
        for name in self.witnesses.keys() {
            met.insert(name.as_str(), cosigned(name));
        }
        // Groups name only what stands above them, so each round settles at least one more; a name that is missing
        // can't occur in a parsed policy and counts as not met.
        for _ in 0..self.groups.len() {
            for (name, group) in &self.groups {
                let count = group
                    .members
                    .iter()
                    .filter(|member| met.get(member.as_str()) == Some(&true))
                    .count();
                met.insert(name, count >= group.threshold);
            }
        }
        met.get(quorum.as_str()).copied().unwrap_or(false)
    }
}

#[derive(Default)]
struct Reader {
    policy: Policy,
    used: BTreeSet<String>,
    quorums: usize,
}

impl Reader {
    fn line(&mut self, words: &[&str]) -> Result<(), &'static str> {
        match words {
            ["log", vkey] | ["log", vkey, _] => self.log(vkey),
            ["witness", name, vkey] | ["witness", name, vkey, _] => self.witness(name, vkey),
            ["group", name, threshold, members @ ..] => self.group(name, threshold, members),
            ["quorum", "none"] => self.quorum(None),
            ["quorum", name] if self.defined(name) => self.quorum(Some((*name).to_owned())),
            ["quorum", _] => Err("the quorum names what no line above defines"),
            _ => Err("expected `log`, `witness`, `group` or `quorum` with their words"),
        }
    }

    fn defined(&self, name: &str) -> bool {
        self.policy.witnesses.contains_key(name) || self.policy.groups.contains_key(name)
    }

    fn quorum(&mut self, name: Option<String>) -> Result<(), &'static str> {
        self.quorums += 1;
        self.policy.quorum = name;
        Ok(())
    }

    fn log(&mut self, vkey: &str) -> Result<(), &'static str> {
        let vkey: VerifierKey = vkey.parse().map_err(|_| "the log's key is not a verifier key")?;
        if self.policy.logs.iter().any(|log| log.key == vkey.key) {
            return Err("the same log key twice");
        }
        self.policy.logs.push(vkey);
        Ok(())
    }

    fn name(&self, name: &str) -> Result<String, &'static str> {
        if name == "none" || self.defined(name) {
            return Err("the name is taken");
        }
        Ok(name.to_owned())
    }

    fn witness(&mut self, name: &str, vkey: &str) -> Result<(), &'static str> {
        let name = self.name(name)?;
        let vkey: VerifierKey = vkey.parse().map_err(|_| "the witness's key is not a verifier key")?;
        if self.policy.witnesses.values().any(|witness| witness.key == vkey.key) {
            return Err("the same witness key twice");
        }
        self.policy.witnesses.insert(name, vkey);
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), &'static str> {
        let name = self.name(name)?;
        if members.is_empty() {
            return Err("a group needs members");
        }
        for member in members {
            if !self.defined(member) {
                return Err("the group names what no line above defines");
            }
            if !self.used.insert((*member).to_owned()) {
                return Err("a name may be a member only once");
            }
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number => number
                .parse()
                .map_err(|_| "the threshold is not `any`, `all` or a number")?,
        };
        if threshold == 0 || threshold > members.len() {
            return Err("the threshold must lie between 1 and the number of members");
        }
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.policy.groups.insert(name, Group { threshold, members });
        Ok(())
    }
}
