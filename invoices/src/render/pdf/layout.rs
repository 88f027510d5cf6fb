//! Lays a page out on sheets of A4: what stands where. Draws nothing.

use qrcodegen::QrCode;

use crate::render::font::Face;
use crate::render::page::{Page, Row, Section, Table};

/// Width of A4 in points.
pub(super) const WIDTH: f32 = 595.28;
/// Height of A4 in points.
pub(super) const HEIGHT: f32 = 841.89;
/// What stays free on each side.
pub(super) const MARGIN: f32 = 48.0;
/// Width that is written on.
pub(super) const ROOM: f32 = WIDTH - 2.0 * MARGIN;
/// Side of the QR code.
pub(super) const CODE: f32 = 90.0;
/// Space between columns.
const GAP: f32 = 6.0;

const TITLE: Style = Style {
    size: 18.0,
    bold: true,
    gray: 20,
};
const HEADING: Style = Style {
    size: 10.5,
    bold: true,
    gray: 20,
};
const TEXT: Style = Style {
    size: 9.0,
    bold: false,
    gray: 20,
};
const STRONG: Style = Style {
    size: 9.0,
    bold: true,
    gray: 20,
};
const SMALL: Style = Style {
    size: 7.5,
    bold: false,
    gray: 90,
};

/// How a text is written.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub size: f32,
    pub bold: bool,
    pub gray: u8,
}

impl Style {
    /// From one line to the next.
    fn height(self) -> f32 {
        self.size * 1.35
    }
}

/// The two faces.
pub(super) struct Faces {
    regular: Face,
    bold: Face,
}

impl Faces {
    pub fn new() -> Option<Self> {
        Some(Self {
            regular: Face::new(dejavu::sans_condensed::regular())?,
            bold: Face::new(dejavu::sans_condensed::bold())?,
        })
    }

    pub fn face(&self, style: Style) -> &Face {
        if style.bold { &self.bold } else { &self.regular }
    }
}

/// Something on a sheet. `y` is the upper edge, of a text the line that it stands on.
pub(super) enum Mark {
    Text { x: f32, y: f32, style: Style, text: String },
    Rule { y: f32, gray: u8 },
    Code { y: f32, code: QrCode },
}

/// Everything on one sheet.
pub(super) type Sheet = Vec<Mark>;

/// The sheets of a page.
pub(super) fn sheets(page: &Page, faces: &Faces) -> Vec<Sheet> {
    let mut layout = Layout {
        faces,
        title: &page.title,
        sheets: vec![Sheet::new()],
        y: MARGIN,
    };
    layout.paragraphs(std::slice::from_ref(&page.title), TITLE);
    layout.y += 6.0;
    layout.paragraphs(&page.facts, TEXT);
    for pair in page.parties.chunks(2) {
        layout.side_by_side(pair);
    }
    if let Some(notes) = &page.notes {
        layout.section(notes);
    }
    for table in &page.tables {
        layout.table(table);
    }
    if let Some(payment) = &page.payment {
        layout.section(payment);
    }
    if let Some(code) = &page.receipt {
        layout.code(code);
    }
    layout.sheets
}

/// A line of a cell or a column.
type Written = (String, Style);

struct Layout<'p> {
    faces: &'p Faces,
    title: &'p str,
    sheets: Vec<Sheet>,
    y: f32,
}

impl Layout<'_> {
    fn mark(&mut self, mark: Mark) {
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.push(mark);
        }
    }

    /// Goes to a new sheet if there is not so much room left; answers whether it did.
    fn need(&mut self, height: f32) -> bool {
        if self.y + height <= HEIGHT - MARGIN {
            return false;
        }
        self.sheets.push(Sheet::new());
        self.y = MARGIN;
        let head = format!("{}, page {}", self.title, self.sheets.len());
        let head = self.broken(&head, SMALL, ROOM).into_iter().next().unwrap_or_default();
        self.write(MARGIN, &head, SMALL);
        self.y += SMALL.height() + 8.0;
        true
    }

    fn broken(&self, text: &str, style: Style, room: f32) -> Vec<String> {
        self.faces.face(style).broken(text, style.size, room)
    }

    /// One line of text, here.
    fn write(&mut self, x: f32, text: &str, style: Style) {
        if !text.is_empty() {
            let y = self.y + style.size;
            self.mark(Mark::Text {
                x,
                y,
                style,
                text: text.to_owned(),
            });
        }
    }

    fn paragraphs(&mut self, texts: &[String], style: Style) {
        for line in texts
            .iter()
            .flat_map(|text| self.broken(text, style, ROOM))
            .collect::<Vec<_>>()
        {
            self.need(style.height());
            self.write(MARGIN, &line, style);
            self.y += style.height();
        }
    }

    fn heading(&mut self, text: &str, below: f32) {
        self.need(12.0 + HEADING.height() + below);
        self.y += 10.0;
        self.write(MARGIN, text, HEADING);
        self.y += HEADING.height() + 2.0;
    }

    fn section(&mut self, section: &Section) {
        self.heading(section.title, TEXT.height());
        self.paragraphs(&section.lines, TEXT);
    }

    /// Two sections in two columns.
    fn side_by_side(&mut self, pair: &[Section]) {
        let room = ROOM / 2.0 - GAP;
        let columns: Vec<Vec<Written>> = pair
            .iter()
            .map(|section| {
                let lines = section.lines.iter().flat_map(|line| self.broken(line, TEXT, room));
                let heading = (section.title.to_owned(), HEADING);
                std::iter::once(heading).chain(lines.map(|line| (line, TEXT))).collect()
            })
            .collect();
        self.need(HEADING.height() + 3.0 * TEXT.height());
        self.y += 10.0;
        let starts = [(MARGIN, false, room), (MARGIN + ROOM / 2.0, false, room)];
        self.columns(&columns, &starts, None);
    }

    /// Columns of lines beside each other, over as many sheets as they take; `head` is repeated on each.
    fn columns(&mut self, columns: &[Vec<Written>], places: &[(f32, bool, f32)], head: Option<&Table>) {
        let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..rows {
            let lines = || {
                columns
                    .iter()
                    .zip(places)
                    .filter_map(|(lines, place)| Some((lines.get(row)?, place)))
            };
            let height = lines().map(|((_, style), _)| style.height()).fold(0.0, f32::max);
            if self.need(height)
                && let Some(table) = head
            {
                self.head(table);
            }
            for ((text, style), (x, right, room)) in lines() {
                let width = self.faces.face(*style).width(text, style.size);
                let x = if *right { x + room - width } else { *x };
                self.write(x, text, *style);
            }
            self.y += height;
        }
    }

    /// Where the columns of a table start, whether they are written from the right, and how wide they are.
    fn places(table: &Table) -> Vec<(f32, bool, f32)> {
        let mut x = MARGIN;
        let place = |column: &crate::render::page::Column| {
            let start = x;
            let width = column.share * ROOM / 100.0;
            x += width;
            (start, column.right, width - GAP)
        };
        table.columns.iter().map(place).collect()
    }

    fn head(&mut self, table: &Table) {
        if table.columns.iter().all(|column| column.title.is_empty()) {
            return;
        }
        let places = Self::places(table);
        let titles = table.columns.iter().zip(&places);
        let columns: Vec<Vec<Written>> = titles
            .map(|(column, (_, _, room))| {
                let lines = self.broken(&column.title, STRONG, *room);
                lines.into_iter().map(|line| (line, STRONG)).collect()
            })
            .collect();
        self.columns(&columns, &places, None);
        self.rule(20);
    }

    fn rule(&mut self, gray: u8) {
        self.y += 1.5;
        self.mark(Mark::Rule { y: self.y, gray });
        self.y += 2.5;
    }

    fn table(&mut self, table: &Table) {
        self.heading(table.title, STRONG.height() + 2.0 * TEXT.height());
        self.head(table);
        let places = Self::places(table);
        for row in &table.rows {
            self.row(row, table, &places);
        }
    }

    fn row(&mut self, row: &Row, table: &Table, places: &[(f32, bool, f32)]) {
        let style = if row.strong { STRONG } else { TEXT };
        let cells = row.cells.iter().zip(places);
        let columns: Vec<Vec<Written>> = cells
            .map(|(cell, (_, _, room))| {
                let large = self
                    .broken(&cell.text, style, *room)
                    .into_iter()
                    .map(|line| (line, style));
                let small = if cell.small.is_empty() {
                    Vec::new()
                } else {
                    self.broken(&cell.small, SMALL, *room)
                };
                large.chain(small.into_iter().map(|line| (line, SMALL))).collect()
            })
            .collect();
        // A short row stays in one piece.
        let lines = columns.iter().map(Vec::len).max().unwrap_or(0);
        if lines <= 10 && self.need(lines as f32 * style.height() + 4.0) {
            self.head(table);
        }
        self.columns(&columns, places, Some(table));
        self.rule(210);
    }

    fn code(&mut self, code: &QrCode) {
        self.heading("Receipt", CODE);
        // Light space around it, which readers need.
        self.y += 4.0;
        self.mark(Mark::Code {
            y: self.y,
            code: code.clone(),
        });
        self.y += CODE;
    }
}
