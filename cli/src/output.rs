//! How results are written: tables for people, JSON for programs. Data goes to stdout, talk goes to stderr.

use std::io::{IsTerminal, Write};

use crate::error::{Failure, Result};

/// Shape of what goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: JSON documents, indented.
    Json,
    /// For programs: JSON documents, one on each line.
    Jsonl,
}

/// Where and how a command writes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Chosen format.
    pub format: Format,
}

impl Output {
    /// True for `-o json` and `-o jsonl`.
    pub fn json(self) -> bool {
        self.format != Format::Table
    }

    /// A line of data on stdout.
    pub fn line(self, text: impl AsRef<str>) -> Result<()> {
        write_stdout(text.as_ref())
    }

    /// A JSON document on stdout, indented unless it is to be one line.
    pub fn document(self, value: &impl serde::Serialize) -> Result<()> {
        write_stdout(&self.document_text(value)?)
    }

    /// The text of [`Self::document`].
    pub fn document_text(self, value: &impl serde::Serialize) -> Result<String> {
        match self.format {
            Format::Jsonl => serde_json::to_string(value),
            Format::Table | Format::Json => serde_json::to_string_pretty(value),
        }
        .map_err(|error| not_json(&error))
    }

    /// A JSON document on one line of stdout.
    pub fn json_line(self, value: &impl serde::Serialize) -> Result<()> {
        write_stdout(&serde_json::to_string(value).map_err(|error| not_json(&error))?)
    }

    /// A document on stdout, byte for byte.
    pub fn bytes(self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Talk for the person at the terminal; nothing in JSON mode.
    pub fn say(self, text: impl AsRef<str>) {
        if !self.json() {
            // A closed stderr is no reason to fail.
            let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
        }
    }

    /// Whether somebody is there who can be asked.
    pub fn can_ask(self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks the person at the terminal; only a yes is one.
    pub fn ask(self, question: &str) -> Result<bool> {
        let failed = |error: std::io::Error| Failure::new("io", format!("no answer can be read: {error}"), "use --yes");
        let mut stderr = std::io::stderr().lock();
        write!(stderr, "{question} [y/N] ")
            .and_then(|()| stderr.flush())
            .map_err(failed)?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(failed)?;
        Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
    }

    /// Shows a failure of the whole command.
    pub fn fail(self, failure: &Failure) {
        let text = if self.json() {
            failure.to_json().to_string()
        } else {
            format!("error: {failure}")
        };
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn not_json(error: &serde_json::Error) -> Failure {
    Failure::new("output", format!("the answer can't be written as JSON: {error}"), "")
}

fn write_stdout(text: &str) -> Result<()> {
    written(writeln!(std::io::stdout().lock(), "{text}"))
}

fn written(outcome: std::io::Result<()>) -> Result<()> {
    outcome.map_err(|error| {
        // `muniment … | head` closes the pipe: that is the reader's choice.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        Failure::new(
            "output",
            format!("stdout can't be written: {error}"),
            "check where the output goes",
        )
    })
}

/// True when progress may be drawn and colours may be used on stderr.
pub fn fancy() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Columns padded to the widest cell. The first row is the heading.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}", width = *width))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

/// Milliseconds since the Unix epoch as RFC 3339 in UTC.
pub fn rfc3339(milliseconds: u64) -> String {
    // 9999-12-31: the last moment RFC 3339 can name; beyond it the formatter would panic.
    const LAST: u64 = 253_402_300_799_999;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(milliseconds.min(LAST));
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["NAME", "HEIGHT"], ["validator-0", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "NAME         HEIGHT\nvalidator-0  7");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
