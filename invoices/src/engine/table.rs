//! The tables of the syntax bindings: hundreds of rules of the form "this element stands here at most so often".
//! One walk below a context counts for all of its rows at once.

use std::collections::HashMap;

use super::Severity;
use crate::xml::{Name, Namespace, Node};

/// One row: how often something may stand below a context.
pub(crate) struct Row {
    pub id: &'static str,
    pub severity: Severity,
    least: usize,
    most: usize,
    pub message: String,
    pub fix: String,
}

/// A row that does not hold for an element.
pub(crate) struct Breach<'d> {
    pub row: &'static Row,
    pub count: usize,
    /// The first element that counts.
    pub first: Option<Node<'d>>,
}

/// Where a walk goes from an element: to which steps, and which rows count there.
#[derive(Default)]
struct Step {
    children: Vec<(Name, usize)>,
    counts: Vec<usize>,
    attributes: Vec<(Name, usize)>,
}

/// A row that looks in the whole document: element names from above to below, and an attribute.
struct Anywhere {
    row: usize,
    path: Vec<Name>,
    attribute: Option<Name>,
}

/// The rows about one context.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    /// A tree of steps; the context is the first.
    steps: Vec<Step>,
    anywhere: Vec<Anywhere>,
}

/// The sections of a table file.
#[derive(Default)]
pub(crate) struct Tables(HashMap<&'static str, Table>);

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

    /// Rows that do not hold for a context element. `counts` is room that is used again for each element.
    pub(crate) fn judge<'d>(&'static self, node: Node<'d>, counts: &mut Vec<u32>) -> Vec<Breach<'d>> {
        let mut breaches = Vec::new();
        if self.rows.is_empty() {
            return breaches;
        }
        counts.clear();
        counts.resize(self.rows.len(), 0);
        if let Some(first) = self.steps.first()
            && !(first.children.is_empty() && first.attributes.is_empty())
        {
            self.walk(node, 0, &mut |row, _| counts[row] += 1);
        }
        for rule in &self.anywhere {
            counts[rule.row] = rule.count(node).0 as u32;
        }
        for (number, (row, count)) in self.rows.iter().zip(&*counts).enumerate() {
            let count = *count as usize;
            if count < row.least || count > row.most {
                breaches.push(Breach {
                    row,
                    count,
                    first: self.first(node, number),
                });
            }
        }
        breaches
    }

    /// The first element that counts for a row.
    fn first<'d>(&self, node: Node<'d>, number: usize) -> Option<Node<'d>> {
        let mut first = self
            .anywhere
            .iter()
            .find(|rule| rule.row == number)
            .and_then(|rule| rule.count(node).1);
        self.walk(node, 0, &mut |row, element| {
            if row == number {
                first.get_or_insert(element);
            }
        });
        first
    }

    /// Meets everything that counts for some row.
    fn walk<'d>(&self, node: Node<'d>, at: usize, meet: &mut impl FnMut(usize, Node<'d>)) {
        let step = &self.steps[at];
        for (attribute, row) in &step.attributes {
            if node.attribute(*attribute).is_some() {
                meet(*row, node);
            }
        }
        if step.children.is_empty() {
            return;
        }
        for child in node.children() {
            let name = child.name();
            if let Some((_, next)) = step.children.iter().find(|(known, _)| *known == name) {
                for row in &self.steps[*next].counts {
                    meet(*row, child);
                }
                self.walk(child, *next, meet);
            }
        }
    }
}

impl Anywhere {
    fn count<'d>(&self, node: Node<'d>) -> (usize, Option<Node<'d>>) {
        let document = node.document();
        let Some((last, above)) = self.path.split_last() else {
            let count = self
                .attribute
                .map_or(0, |attribute| document.attribute_count(attribute));
            return (count, None);
        };
        if self
            .attribute
            .is_some_and(|attribute| document.attribute_count(attribute) == 0)
        {
            return (0, None);
        }
        let fits = |node: &Node<'d>| {
            node.under(above)
                && self
                    .attribute
                    .is_none_or(|attribute| node.attribute(attribute).is_some())
        };
        let mut found = document.all(*last).filter(fits);
        let first = found.next();
        (usize::from(first.is_some()) + found.count(), first)
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
