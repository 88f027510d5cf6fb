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
        let reached = self.reached(document);
        let alive = self.alive(&reached, document);
        let steps = kept(&reached, &alive);
        let mut concerns: Vec<bool> = self.rows.iter().map(|row| row.least > 0).collect();
        for rule in &self.anywhere {
            concerns[rule.row] = true;
        }
        for step in &steps {
            let step = &self.steps[step.step];
            for row in step.counts.iter().chain(step.attributes.iter().map(|(_, row)| row)) {
                concerns[*row] = true;
            }
        }
        Live {
            table: self,
            steps,
            rows: (0..self.rows.len()).filter(|row| concerns[*row]).collect(),
        }
    }

    /// Steps to names that the document has, from above to below, those of one parent side by side: few of many.
    fn reached(&self, document: &Document<'_>) -> Vec<LiveStep> {
        let start = |name: Name, step: usize| LiveStep {
            name,
            step,
            first: 0,
            end: 0,
        };
        let mut reached = Vec::new();
        reached.extend((!self.steps.is_empty()).then(|| start(document.root().name(), 0)));
        let mut at = 0;
        while at < reached.len() {
            let first = reached.len();
            let children = self.steps[reached[at].step].children.iter();
            let there = children.filter(|(name, _)| document.all(*name).len() > 0);
            reached.extend(there.map(|(name, step)| start(*name, *step)));
            (reached[at].first, reached[at].end) = (first, reached.len());
            at += 1;
        }
        reached
    }

    /// At which of these, or below, something counts for a row.
    fn alive(&self, reached: &[LiveStep], document: &Document<'_>) -> Vec<bool> {
        let counts = |step: &Step| {
            let mut attributes = step.attributes.iter();
            !step.counts.is_empty() || attributes.any(|(name, _)| document.attribute_count(*name) > 0)
        };
        let mut alive = vec![false; reached.len()];
        // Children come after their parents.
        for (number, at) in reached.iter().enumerate().rev() {
            alive[number] = counts(&self.steps[at.step]) || alive[at.first..at.end].contains(&true);
        }
        alive
    }
}

/// The first of them, and those that are alive, in the same order.
fn kept(reached: &[LiveStep], alive: &[bool]) -> Vec<LiveStep> {
    // How many are kept before each.
    let mut places = Vec::with_capacity(reached.len() + 1);
    let mut place = 0;
    for number in 0..=reached.len() {
        places.push(place);
        place += usize::from(number == 0 || alive.get(number) == Some(&true));
    }
    let keep = |(number, _): &(usize, &LiveStep)| *number == 0 || alive[*number];
    let moved = |(_, step): (usize, &LiveStep)| LiveStep {
        name: step.name,
        step: step.step,
        first: places[step.first],
        end: places[step.end],
    };
    reached.iter().enumerate().filter(keep).map(moved).collect()
}

impl Live {
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
