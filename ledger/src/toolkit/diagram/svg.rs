//! The picture as SVG: a column for each state, a row for each action with dots at the states it may start in and an
//! arrow to the state it ends in. So nothing ever crosses a label, however many states and actions there are.

use std::fmt::Write;

use quick_xml::escape::escape;

use crate::template::{Action, Region, Template};
use crate::toolkit::moves::{self, From};

const MARGIN: usize = 28;
const TITLE: usize = 44;
const REGION_TITLE: usize = 34;
const STATE_HEIGHT: usize = 32;
const ROW: usize = 44;
const GAP: usize = 34;
/// Width of a character, from above.
const CHARACTER: usize = 8;
const SMALLEST_COLUMN: usize = 116;

const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2933}\
.title{font-size:18px;font-weight:600}.region{font-size:15px;font-weight:600}.state{font-size:13px;font-weight:600;\
text-anchor:middle;fill:#12324a}.action{font-size:13px;font-weight:600}.by{font-size:11px;fill:#66788a}\
.box{fill:#e3f0fa;stroke:#2b6ca3;stroke-width:1.5}.final{fill:none;stroke:#2b6ca3;stroke-width:1}\
.life{stroke:#c3ced8;stroke-width:1;stroke-dasharray:3 4}.band{fill:#f6f8fa}.move{stroke:#2b6ca3;stroke-width:1.8;\
fill:none}.dot{fill:#2b6ca3}.only{fill:#fff;stroke:#8a99a8;stroke-width:1.5}.start{fill:#12324a}";

/// One line of a region's picture.
struct Row<'t> {
    action: &'t Action,
    /// How it is called here.
    label: String,
    /// Columns it may start in; none for new records.
    from: Vec<usize>,
    /// Columns it may end in; none when the region stays as it is.
    to: Vec<usize>,
}

/// Draws all regions below each other.
pub fn svg(template: &Template) -> String {
    let pictures: Vec<_> = template
        .regions
        .iter()
        .map(|region| Picture::new(template, region))
        .collect();
    let width = pictures.iter().map(Picture::width).max().unwrap_or(0).max(320) + 2 * MARGIN;
    let height: usize = pictures.iter().map(|picture| picture.height() + GAP).sum::<usize>() + TITLE + MARGIN;
    let name = format!("{} · revision {}", template.name, template.revision);
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path class=\"dot\" d=\"M0 0L10 5L0 10z\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{y}\">{title}</text>\n",
        title = escape(&name),
        y = MARGIN + 12,
    );
    let mut top = TITLE + MARGIN;
    for picture in &pictures {
        let _ = picture.draw(&mut text, top, width);
        top += picture.height() + GAP;
    }
    text.push_str("</svg>\n");
    text
}

/// The picture of one region.
struct Picture<'t> {
    region: &'t Region,
    rows: Vec<Row<'t>>,
    /// Width of the actions' names.
    gutter: usize,
    column: usize,
}

impl<'t> Picture<'t> {
    fn new(template: &'t Template, region: &'t Region) -> Self {
        let rows = rows(template, region);
        let longest = rows
            .iter()
            .map(|row| row.action.name.len().max(by(row.action).len() * 7 / 8))
            .max();
        let state = region.states.iter().map(String::len).max().unwrap_or(0);
        Self {
            region,
            rows,
            gutter: longest.unwrap_or(0) * CHARACTER + 36,
            column: (state * CHARACTER + 44).max(SMALLEST_COLUMN),
        }
    }

    fn width(&self) -> usize {
        self.gutter + self.region.states.len() * self.column
    }

    fn height(&self) -> usize {
        REGION_TITLE + STATE_HEIGHT + self.rows.len() * ROW + ROW / 2
    }

    fn x(&self, column: usize) -> usize {
        MARGIN + self.gutter + column * self.column + self.column / 2
    }

    fn draw(&self, text: &mut String, top: usize, width: usize) -> std::fmt::Result {
        let name = escape(&self.region.name);
        writeln!(
            text,
            "<g>\n<text class=\"region\" x=\"{MARGIN}\" y=\"{}\">{name}</text>",
            top + 16
        )?;
        let states = top + REGION_TITLE;
        let first = states + STATE_HEIGHT + ROW / 2;
        for index in (0..self.rows.len()).step_by(2) {
            let y = first + index * ROW - 2;
            writeln!(
                text,
                "<rect class=\"band\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{ROW}\" rx=\"6\"/>",
                MARGIN / 2,
                width - MARGIN
            )?;
        }
        for (column, state) in self.region.states.iter().enumerate() {
            self.state(text, column, state, states)?;
        }
        for (index, row) in self.rows.iter().enumerate() {
            self.row(text, row, first + index * ROW + ROW / 2)?;
        }
        writeln!(text, "</g>")
    }

    fn state(&self, text: &mut String, column: usize, state: &str, top: usize) -> std::fmt::Result {
        let (x, width) = (self.x(column), self.column - 24);
        let (left, bottom) = (x - width / 2, top + STATE_HEIGHT);
        let end = bottom + self.rows.len() * ROW + ROW / 2;
        writeln!(
            text,
            "<line class=\"life\" x1=\"{x}\" y1=\"{bottom}\" x2=\"{x}\" y2=\"{end}\"/>"
        )?;
        writeln!(
            text,
            "<rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{STATE_HEIGHT}\" rx=\"16\"/>"
        )?;
        // As everywhere in state diagrams: a second line around a state that nothing leads out of.
        let leaves = |row: &Row<'_>| row.from.contains(&column) && row.to.iter().any(|to| *to != column);
        if !self.rows.iter().any(leaves) {
            writeln!(
                text,
                "<rect class=\"final\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"19\"/>",
                left - 4,
                top - 4,
                width + 8,
                STATE_HEIGHT + 8
            )?;
        }
        writeln!(
            text,
            "<text class=\"state\" x=\"{x}\" y=\"{}\">{}</text>",
            top + 21,
            escape(state)
        )
    }

    fn row(&self, text: &mut String, row: &Row<'_>, y: usize) -> std::fmt::Result {
        let (name, by) = (escape(&row.label), by(row.action));
        writeln!(
            text,
            "<text class=\"action\" x=\"{MARGIN}\" y=\"{}\">{name}</text>",
            y - 2
        )?;
        writeln!(
            text,
            "<text class=\"by\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
            y + 13,
            escape(&by)
        )?;
        if row.to.is_empty() {
            return row
                .from
                .iter()
                .try_for_each(|column| self.dot(text, "only", *column, y));
        }
        if row.from.is_empty() {
            let start = MARGIN + self.gutter - 14;
            writeln!(text, "<circle class=\"start\" cx=\"{start}\" cy=\"{y}\" r=\"6\"/>")?;
            return row
                .to
                .iter()
                .try_for_each(|to| self.arrow(text, start + 6, self.x(*to), y));
        }
        for to in &row.to {
            // One line from the outermost state on each side; the states between are dots on it.
            let left = row.from.iter().filter(|from| *from < to).min();
            let right = row.from.iter().filter(|from| *from > to).max();
            for from in [left, right].into_iter().flatten() {
                self.arrow(text, self.x(*from), self.x(*to), y)?;
            }
            if row.from.contains(to) {
                self.again(text, *to, y)?;
            }
        }
        row.from.iter().try_for_each(|column| self.dot(text, "dot", *column, y))
    }

    /// A small loop: it may end where it starts.
    fn again(&self, text: &mut String, column: usize, y: usize) -> std::fmt::Result {
        let (x, y) = (self.x(column), y - 4);
        writeln!(
            text,
            "<path class=\"move\" d=\"M{x} {y}c-16 -16 16 -16 3 -3\" marker-end=\"url(#tip)\"/>"
        )
    }

    fn arrow(&self, text: &mut String, from: usize, to: usize, y: usize) -> std::fmt::Result {
        writeln!(
            text,
            "<path class=\"move\" d=\"M{from} {y}H{to}\" marker-end=\"url(#tip)\"/>"
        )
    }

    fn dot(&self, text: &mut String, class: &str, column: usize, y: usize) -> std::fmt::Result {
        writeln!(
            text,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{y}\" r=\"5\"/>",
            self.x(column)
        )
    }
}

/// Who may act, in short.
fn by(action: &Action) -> String {
    let names: Vec<_> = action.by.iter().map(|by| by.name.as_str()).collect();
    names.join(", ")
}

/// Actions that move a region, and those that only ask for a state of it.
fn rows<'t>(template: &'t Template, region: &'t Region) -> Vec<Row<'t>> {
    let column = |state: &str| region.states.iter().position(|known| known == state);
    let columns = |from: &From<'_>| -> Vec<usize> {
        match from {
            From::New => Vec::new(),
            From::Any => (0..region.states.len()).collect(),
            From::States(states) => states.iter().filter_map(|state| column(state)).collect(),
        }
    };
    let mut rows: Vec<Row<'t>> = Vec::new();
    for step in moves::of(template, region) {
        let (label, to) = (super::label(&step), column(step.to));
        match rows.last_mut().filter(|row| row.label == label) {
            Some(row) => row.to.extend(to),
            None => rows.push(Row {
                action: step.action,
                label,
                from: columns(&step.from),
                to: to.into_iter().collect(),
            }),
        }
    }
    for action in template.actions.iter().filter(|action| !action.creates) {
        let from = moves::start(&action.from, region);
        if from != From::Any && !rows.iter().any(|row| row.label == action.name) {
            rows.push(Row {
                action,
                label: action.name.clone(),
                from: columns(&from),
                to: Vec::new(),
            });
        }
    }
    // The order of a record's life: what makes it first, then by where it starts and ends.
    rows.sort_by_key(|row| {
        (
            !row.from.is_empty(),
            row.to.is_empty(),
            row.from.first().copied(),
            row.to.first().copied(),
        )
    });
    rows
}
