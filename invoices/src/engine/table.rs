//! The tables of the syntax bindings: hundreds of rules of the form "this element stands here at most so often".
//! One walk below a context counts for all of its rows at once.

use std::collections::HashMap;

use super::Severity;
use crate::xml::{Document, Name, Node};

mod read;

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

/// Where a walk goes from an element in one document: only to steps that something in it may meet.
struct LiveStep {
    name: Name,
    step: usize,
    /// Its children in the list of live steps.
    first: usize,
    end: usize,
}

/// A table for one document: without the rows that nothing in it can break, which are nearly all.
pub(crate) struct Live {
    table: &'static Table,
    steps: Vec<LiveStep>,
    rows: Vec<usize>,
}

/// How often a row counted, and where first.
pub(crate) type Count<'d> = (u32, Option<Node<'d>>);

/// The sections of a table file.
#[derive(Default)]
pub(crate) struct Tables(HashMap<&'static str, Table>);

impl Table {
    /// The part of it that concerns a document.
    pub(crate) fn live(&'static self, document: &Document<'_>) -> Live {
        let counted = |step: &Step| {
            let mut attributes = step.attributes.iter();
            !step.counts.is_empty() || attributes.any(|(name, _)| document.attribute_count(*name) > 0)
        };
        // Children come after their parents.
        let mut alive = vec![false; self.steps.len()];
        for (number, step) in self.steps.iter().enumerate().rev() {
            let mut children = step.children.iter();
            alive[number] =
                counted(step) || children.any(|(name, child)| alive[*child] && document.all(*name).len() > 0);
        }
        let mut live = Live {
            table: self,
            steps: Vec::new(),
            rows: Vec::new(),
        };
        let mut concerns: Vec<bool> = self.rows.iter().map(|row| row.least > 0).collect();
        for rule in &self.anywhere {
            concerns[rule.row] = true;
        }
        live.grow(&alive, document);
        for step in &live.steps {
            let step = &self.steps[step.step];
            for row in step.counts.iter().chain(step.attributes.iter().map(|(_, row)| row)) {
                concerns[*row] = true;
            }
        }
        live.rows = (0..self.rows.len()).filter(|row| concerns[*row]).collect();
        live
    }
}

impl Live {
    /// Lists the steps that are alive, those of one parent side by side.
    fn grow(&mut self, alive: &[bool], document: &Document<'_>) {
        let root = LiveStep {
            name: document.root().name(),
            step: 0,
            first: 0,
            end: 0,
        };
        self.steps.extend((!self.table.steps.is_empty()).then_some(root));
        let mut at = 0;
        while at < self.steps.len() {
            let first = self.steps.len();
            let children = &self.table.steps[self.steps[at].step].children;
            let children = children
                .iter()
                .filter(|(name, child)| alive[*child] && document.all(*name).len() > 0);
            self.steps.extend(children.map(|(name, step)| LiveStep {
                name: *name,
                step: *step,
                first: 0,
                end: 0,
            }));
            (self.steps[at].first, self.steps[at].end) = (first, self.steps.len());
            at += 1;
        }
    }

    /// Rows that do not hold for a context element. `counts` is room that is used again for each element.
    pub(crate) fn judge<'d>(&self, node: Node<'d>, counts: &mut Vec<Count<'d>>) -> Vec<Breach<'d>> {
        let mut breaches = Vec::new();
        if self.rows.is_empty() {
            return breaches;
        }
        counts.clear();
        counts.resize(self.table.rows.len(), (0, None));
        self.walk(node, 0, counts);
        for rule in &self.table.anywhere {
            counts[rule.row] = rule.count(node);
        }
        for number in &self.rows {
            let (row, (count, first)) = (&self.table.rows[*number], counts[*number]);
            let count = count as usize;
            if count < row.least || count > row.most {
                breaches.push(Breach { row, count, first });
            }
        }
        breaches
    }

    /// Counts everything below an element that counts for some row.
    fn walk<'d>(&self, node: Node<'d>, at: usize, counts: &mut [Count<'d>]) {
        let step = &self.steps[at];
        for (attribute, row) in &self.table.steps[step.step].attributes {
            if node.attribute(*attribute).is_some() {
                count(&mut counts[*row], node);
            }
        }
        if step.first == step.end {
            return;
        }
        let steps = &self.steps[step.first..step.end];
        for child in node.children() {
            let name = child.name();
            let Some(next) = steps.iter().position(|step| step.name == name) else {
                continue;
            };
            for row in &self.table.steps[steps[next].step].counts {
                count(&mut counts[*row], child);
            }
            self.walk(child, step.first + next, counts);
        }
    }
}

fn count<'d>(count: &mut Count<'d>, node: Node<'d>) {
    count.0 += 1;
    count.1.get_or_insert(node);
}

impl Anywhere {
    fn count<'d>(&self, node: Node<'d>) -> Count<'d> {
        let document = node.document();
        let Some((last, above)) = self.path.split_last() else {
            let count = self
                .attribute
                .map_or(0, |attribute| document.attribute_count(attribute));
            return (count as u32, None);
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
        ((usize::from(first.is_some()) + found.count()) as u32, first)
    }
}
