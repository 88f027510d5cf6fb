//! Table files into tables.

use std::collections::HashMap;

use super::{Anywhere, Row, Step, Table, Tables};
use crate::engine::Severity;
use crate::xml::{Name, Namespace};

impl Tables {
    /// Reads a table file. Rows that are not in the form of the file are left out; a test counts them.
    pub(crate) fn read(text: &'static str) -> Self {
        let mut tables = HashMap::new();
        let mut section = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                tables.insert(
                    section,
                    Table {
                        steps: vec![Step::default()],
                        ..Table::default()
                    },
                );
            } else if let Some(table) = tables.get_mut(section)
                && !line.starts_with('#')
            {
                table.add(line);
            }
        }
        Self(tables)
    }

    pub(crate) fn section(&'static self, name: &str) -> &'static Table {
        static EMPTY: Table = Table {
            rows: Vec::new(),
            steps: Vec::new(),
            anywhere: Vec::new(),
        };
        self.0.get(name).unwrap_or(&EMPTY)
    }

    /// Ids of all rows.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &'static str> {
        self.0.values().flat_map(|table| table.rows.iter().map(|row| row.id))
    }
}

impl Table {
    fn add(&mut self, line: &'static str) {
        let mut words = line.split_whitespace();
        let (Some(id), Some(severity), Some(range), Some(path)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        let severity = if severity == "fatal" {
            Severity::Fatal
        } else {
            Severity::Warning
        };
        let (least, most) = range.split_once("..").unwrap_or((range, range));
        let (Ok(least), Ok(most)) = (least.parse(), most.parse()) else {
            return;
        };
        let (message, fix) = texts(path, least, most);
        let row = self.rows.len();
        self.rows.push(Row {
            id,
            severity,
            least,
            most,
            message,
            fix,
        });
        match path.strip_prefix("//") {
            Some(path) => {
                let (path, attribute) = split_attribute(path);
                let path = path.map(names).unwrap_or_default();
                self.anywhere.push(Anywhere { row, path, attribute });
            }
            None => {
                for path in alternatives(path) {
                    self.plant(&path, row);
                }
            }
        }
    }

    fn plant(&mut self, path: &str, row: usize) {
        let (path, attribute) = split_attribute(path);
        let mut at = 0;
        for name in path.map(names).unwrap_or_default() {
            let known = self.steps[at]
                .children
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, step)| *step);
            at = known.unwrap_or_else(|| {
                self.steps.push(Step::default());
                let new = self.steps.len() - 1;
                self.steps[at].children.push((name, new));
                new
            });
        }
        match attribute {
            Some(attribute) => self.steps[at].attributes.push((attribute, row)),
            None => self.steps[at].counts.push(row),
        }
    }
}

/// Element names of a path, written `prefix:Local`.
fn names(path: &str) -> Vec<Name> {
    let steps = path.split('/').filter_map(|step| step.split_once(':'));
    steps
        .map(|(prefix, local)| Name::of(Namespace::of_prefix(prefix), local))
        .collect()
}

/// The elements of a path and the attribute at its end.
fn split_attribute(path: &str) -> (Option<&str>, Option<Name>) {
    let attribute = |name: &str| Name::of(Namespace::Attribute, name);
    if let Some(name) = path.strip_prefix('@') {
        return (None, Some(attribute(name)));
    }
    match path.split_once("/@") {
        Some((elements, name)) => (Some(elements), Some(attribute(name))),
        None => (Some(path), None),
    }
}

/// `(a|b)/c` means `a/c` or `b/c`.
fn alternatives(path: &str) -> Vec<String> {
    match path.strip_prefix('(').and_then(|path| path.split_once(")/")) {
        Some((choices, rest)) => choices.split('|').map(|choice| format!("{choice}/{rest}")).collect(),
        None => vec![path.to_owned()],
    }
}

/// Message and advice of a row.
fn texts(path: &str, least: usize, most: usize) -> (String, String) {
    match (least, most) {
        (0, 0) => (
            format!("{path} has no place in an EN 16931 invoice in this syntax."),
            format!("Leave out {path}; carry the information in a business term of the standard or as an attachment."),
        ),
        (0, 1) => (
            format!("{path} stands here at most once."),
            format!("Keep one {path} and drop or merge the others."),
        ),
        (0, _) => (
            format!("{path} stands here at most {most} times."),
            format!("Keep {most} of {path} and drop or merge the others."),
        ),
        _ => (
            format!("{path} stands here exactly once."),
            format!("Write {path} exactly once."),
        ),
    }
}
