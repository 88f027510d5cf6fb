//! `muniment template`: record templates, offline. Reads and writes files; what a template is, the ledger knows.

mod check;
mod diagram;
pub mod publish;
mod test;
mod text;

use std::path::Path;

use muniment_ledger::template::{MAX_SOURCE, TemplateError};

use crate::error::{Failure, Result};
use crate::files;
use crate::files::Shown;
use crate::output::Output;

/// Checks, tests and draws record templates. Needs no server.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Says everything that is wrong with templates. Exit code 0: all can be used, 1: some can't, 2: some can't be read.
    Check(check::Args),
    /// Runs a template's cases on the executor of the validators, and shows what they cover.
    Test(test::Args),
    /// Draws the states of a template and what leads from one to the other.
    Diagram(diagram::Args),
    /// Puts a template, or its next revision, in force on the network. Needs the server.
    Publish(publish::Args),
}

/// Runs the command. The answer is the exit code.
pub fn run(command: Command, output: Output) -> Result<u8> {
    match command {
        Command::Check(args) => check::run(&args, output),
        Command::Test(args) => test::run(&args, output),
        Command::Diagram(args) => diagram::run(&args, output).map(|()| 0),
        Command::Publish(_) => Err(Failure::new("internal", "publishing needs the network", "")),
    }
}

/// How messages call a file.
fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_owned();
    }
    path.shown()
}

/// A text file that is not longer than `limit`.
fn read(path: &Path, limit: usize) -> Result<String> {
    let Some(bytes) = files::read_bounded(path, limit)? else {
        let message = format!("{} is longer than {limit} bytes", name(path));
        return Err(Failure::usage("too_large", message, "is this the right file?"));
    };
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("{} is not UTF-8: {error}", name(path));
        Failure::usage("not_utf8", message, "save it as UTF-8")
    })
}

/// The source of a template.
fn read_template(path: &Path) -> Result<String> {
    read(path, MAX_SOURCE)
}

/// A file that can't be used for what was asked, with all that is wrong with it.
fn unusable(path: &Path, source: &str, code: &str, mistakes: &[TemplateError]) -> Failure {
    Failure::usage(
        code,
        format!("{} can't be used\n{}", name(path), text::mistakes(source, mistakes)),
        "mend what is named; `muniment template check` looks at a template alone",
    )
}
