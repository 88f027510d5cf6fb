//! `muniment template check`: everything that is wrong with templates, at once.

use std::path::{Path, PathBuf};

use muniment_ledger::template::{Template, TemplateError};
use muniment_ledger::toolkit::advice::Advice;
use muniment_ledger::toolkit::{advice, inventory};
use serde::Serialize;

use super::{name, read_template, text};
use crate::error::Result;
use crate::output::Output;

/// Says everything that is wrong with templates.
#[derive(clap::Args)]
pub struct Args {
    /// Templates; `-` is stdin.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What is said of one template.
#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<inventory::Inventory>,
    mistakes: Vec<TemplateError>,
    advice: Vec<Advice>,
}

/// Runs the command. The answer is the exit code: 0 all can be used, 1 some can't, 2 some can't be read.
pub fn run(args: &Args, output: Output) -> Result<u8> {
    let mut code = 0;
    for path in &args.files {
        let source = match read_template(path) {
            Ok(source) => source,
            Err(failure) => {
                output.fail(&failure);
                code = 2;
                continue;
            }
        };
        let valid = check(path, &source, output)?;
        code = code.max(u8::from(!valid));
    }
    Ok(code)
}

fn check(path: &Path, source: &str, output: Output) -> Result<bool> {
    let file = name(path);
    let verdict = match Template::check(source) {
        Ok(template) => Verdict {
            file: &file,
            valid: true,
            template: Some(inventory::inventory(&template)),
            mistakes: Vec::new(),
            advice: advice(&template),
        },
        Err(mistakes) => Verdict {
            file: &file,
            valid: false,
            template: None,
            mistakes,
            advice: Vec::new(),
        },
    };
    if output.json() {
        output.document(&verdict)?;
    } else {
        output.line(told(source, &verdict))?;
    }
    Ok(verdict.valid)
}

fn told(source: &str, verdict: &Verdict<'_>) -> String {
    let mut lines = Vec::new();
    match &verdict.template {
        Some(template) => lines.push(format!("{}: good · {template}", verdict.file)),
        None => {
            let count = verdict.mistakes.len();
            let s = if count == 1 { "" } else { "s" };
            lines.push(format!("{}: {count} mistake{s}", verdict.file));
            lines.push(text::mistakes(source, &verdict.mistakes));
        }
    }
    for advice in &verdict.advice {
        lines.push(format!("  advice: {}: {}", advice.path, advice.message));
    }
    lines.join("\n")
}
