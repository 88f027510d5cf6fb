//! What became of each file, for people and for programs.

use std::path::{Path, PathBuf};

use super::super::name;
use super::desk::Desk;
use crate::error::Result;
use crate::evidence::Facts;
use crate::files::Shown;
use crate::files::Source;

/// A registered file.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Record id.
    pub id: String,
    /// Block height.
    pub height: u64,
    /// Block time.
    pub time: String,
    /// The numbered document's file, where a number was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<PathBuf>,
    /// The receipt's file.
    pub receipt: PathBuf,
    /// The document was registered before.
    pub already: bool,
}

impl Done {
    pub fn of(facts: Facts, source: &Source, already: bool) -> Self {
        Self {
            id: facts.record,
            height: facts.height,
            time: facts.time,
            document: None,
            receipt: source.receipt.clone(),
            already,
        }
    }
}

impl Desk {
    /// Says what became of a file.
    pub fn show(&self, file: &Path, done: Done) -> Result<()> {
        if self.output.json() {
            return self
                .output
                .document(&serde_json::json!({ "file": name(file), "done": done }));
        }
        let mut lines = vec![
            name(file),
            format!("  id        {}", done.id),
            format!("  height    {} at {}", done.height, done.time),
        ];
        lines.extend(done.document.map(|path| format!("  document  {}", path.shown())));
        lines.push(format!("  receipt   {}", done.receipt.shown()));
        if done.already {
            lines.push("  note      it was registered before; the receipt is of that record".to_owned());
        }
        self.output.line(lines.join("\n"))
    }

    /// The same of one of many: a failure doesn't end the others.
    pub fn tell(&self, file: &Path, done: Result<Done>) -> Result<bool> {
        match done {
            Ok(done) => self.show(file, done).map(|()| true),
            Err(failure) => {
                if self.output.json() {
                    self.output
                        .document(&serde_json::json!({ "file": name(file), "error": failure.to_json()["error"] }))?;
                } else {
                    self.output.say(format!("{}: {failure}", name(file)));
                }
                Ok(false)
            }
        }
    }
}
