//! The sentence of each rule: what it asks for, which business terms it is about, what to do. In our own words.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a person reads about a rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleText {
    /// Business terms and groups.
    pub term: &'static str,
    /// What the rule asks for.
    pub message: &'static str,
    /// What to do if it fires.
    pub fix: &'static str,
}

/// One rule a line: id, terms, sentence, advice; separated by `|`.
const TEXTS: [&str; 3] = [
    include_str!("../../data/rules-en16931.txt"),
    include_str!("../../data/rules-xrechnung.txt"),
    include_str!("../../data/rules-peppol.txt"),
];

static CATALOG: LazyLock<HashMap<&'static str, RuleText>> = LazyLock::new(|| {
    let lines = TEXTS
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

fn read(line: &'static str) -> Option<(&'static str, RuleText)> {
    let mut parts = line.splitn(4, '|').map(str::trim);
    let (id, term, message) = (parts.next()?, parts.next()?, parts.next()?);
    Some((
        id,
        RuleText {
            term,
            message,
            fix: parts.next().unwrap_or_default(),
        },
    ))
}

/// The sentence of a rule; rules of the syntax tables make their own and have none here.
#[must_use]
pub fn rule_text(id: &str) -> RuleText {
    const NONE: RuleText = RuleText {
        term: "",
        message: "",
        fix: "",
    };
    CATALOG.get(id).copied().unwrap_or(NONE)
}
