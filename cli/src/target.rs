//! Where a made document goes: stdout, or a file that is not overwritten unless asked.

use std::path::PathBuf;

use crate::error::Result;
use crate::files;
use crate::files::Shown;
use crate::output::Output;

/// Where a made document goes.
#[derive(clap::Args)]
pub struct Target {
    /// File to write [default: stdout].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file if it is there already.
    #[arg(long, requires = "out")]
    force: bool,
}

impl Target {
    /// Writes a document to where it was asked for.
    pub fn deliver(&self, document: &[u8], output: Output) -> Result<()> {
        let Some(path) = &self.out else {
            return output.bytes(document);
        };
        files::write_new(path, document, self.force)?;
        if output.json() {
            return output.document(&serde_json::json!({ "file": path.to_string_lossy() }));
        }
        output.say(format!("wrote {}", path.shown()));
        Ok(())
    }
}
