//! `muniment template test`: cases on the executor of the validators, offline.

use std::path::{Path, PathBuf};

use muniment_ledger::template::Template;
use muniment_ledger::toolkit::{Report, Suite, run as run_cases};
use serde::Serialize;

use super::{name, read, read_template, text, unusable};
use crate::error::Result;
use crate::output::Output;

/// Largest file of cases, in bytes.
const MAX_CASES: usize = 4 * 1024 * 1024;

/// Runs a template's cases on the executor of the validators, and shows what they cover.
#[derive(clap::Args)]
pub struct Args {
    /// The template.
    file: PathBuf,
    /// Its cases [default: NAME.cases.yaml beside NAME.yaml].
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Fail, too, when less than so many per cent of the template are covered.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100), default_value_t = 0)]
    coverage: u8,
}

/// What JSON says of a run.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    cases_file: &'a str,
    passed: bool,
    percent: usize,
    #[serde(flatten)]
    report: &'a Report,
}

/// Runs the command. The answer is the exit code: 0 all passed, 1 something failed or too little is covered.
pub fn run(args: &Args, output: Output) -> Result<u8> {
    let source = read_template(&args.file)?;
    let template =
        Template::check(&source).map_err(|mistakes| unusable(&args.file, &source, "bad_template", &mistakes))?;
    let path = args.cases.clone().unwrap_or_else(|| beside(&args.file));
    let cases = read(&path, MAX_CASES)?;
    let suite = Suite::read(&cases, &template).map_err(|mistakes| unusable(&path, &cases, "bad_cases", &mistakes))?;
    let report = run_cases(&source, &template, &suite);
    let percent = report.coverage.percent();
    let enough = percent >= usize::from(args.coverage);
    if output.json() {
        output.document(&Line {
            file: &name(&args.file),
            cases_file: &name(&path),
            passed: report.passed() && enough,
            percent,
            report: &report,
        })?;
    } else {
        output.line(text::report(&report))?;
        if !enough {
            output.say(format!("less than the wanted {} % are covered", args.coverage));
        }
    }
    Ok(u8::from(!report.passed() || !enough))
}

/// `notes.cases.yaml` for `notes.yaml`.
fn beside(template: &Path) -> PathBuf {
    let stem = template.file_stem().unwrap_or_default().to_string_lossy();
    template.with_file_name(format!("{stem}.cases.yaml"))
}
