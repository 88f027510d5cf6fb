//! `muniment invoice check`: many documents at once, on all cores, told in the order in which they were named.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use muniment_invoices::{Options, Profile, Report};
use tokio::sync::Semaphore;

use super::text;
use crate::error::{Failure, Result};
use crate::files;
use crate::output::Output;
use crate::progress::Progress;

/// Documents that are judged or wait for their turn to be told, for each core. It bounds memory, and lets the others
/// go on while a large one takes its time.
const AHEAD: usize = 16;

/// Longest list of files.
const LONGEST_LIST: usize = 1 << 30;

/// Judges invoices in UBL or CII.
#[derive(clap::Args)]
pub struct Args {
    /// Invoices; `-` is stdin.
    #[arg(value_name = "FILE", required_unless_present = "files_from")]
    files: Vec<PathBuf>,
    /// Judge the files that LIST names, too, one on each line; `-` is stdin.
    #[arg(long, value_name = "LIST")]
    files_from: Option<PathBuf>,
    /// What the invoices shall conform to.
    #[arg(long, value_enum, default_value = "en16931")]
    profile: ProfileName,
    /// The files are parts of invoices: let the exact arithmetic judge only what is there.
    #[arg(long)]
    fragment: bool,
}

/// Names of the profiles on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ProfileName {
    /// The European standard alone.
    En16931,
    /// The German XRechnung 3.0 with its extension.
    Xrechnung,
    /// Peppol BIS Billing 3.
    Peppol,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::En16931 => Self::En16931,
            ProfileName::Xrechnung => Self::XRechnung,
            ProfileName::Peppol => Self::Peppol,
        }
    }
}

/// What JSON says of one document.
#[derive(serde::Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

/// What JSON says of one that can't be read: the same members, as far as there is anything to say.
#[derive(serde::Serialize)]
struct Unread<'a> {
    file: &'a str,
    syntax: Option<&'a str>,
    profile: Profile,
    valid: bool,
    findings: [&'a str; 0],
    error: serde_json::Value,
}

/// What became of one document.
enum Verdict {
    Valid(String),
    Invalid(String),
    Unreadable(Failure),
}

/// How many there were of each.
#[derive(Default)]
struct Counts {
    valid: usize,
    invalid: usize,
    unreadable: usize,
}

/// Runs the command. The answer is the exit code: 0 all valid, 1 some invalid, 2 some could not be judged.
pub async fn run(args: Args, output: Output) -> Result<u8> {
    let mut paths = args.files;
    if let Some(list) = &args.files_from {
        paths.extend(listed(list)?);
    }
    let options = Options {
        profile: args.profile.into(),
        fragment: args.fragment,
        ..Options::default()
    };
    let (total, start) = (paths.len(), std::time::Instant::now());
    let progress = Progress::new(total, output);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let free = Arc::new(Semaphore::new(cores));
    let mut verdicts = futures::stream::iter(paths)
        .map(|path| {
            let free = free.clone();
            async move {
                let core = free.acquire_owned().await;
                let document = path.clone();
                let judged = tokio::task::spawn_blocking(move || {
                    let _core = core;
                    judge(&document, &options, output)
                });
                let verdict = judged
                    .await
                    .unwrap_or_else(|error| Verdict::Unreadable(stopped(&path, &error)));
                (path, verdict)
            }
        })
        .buffered(cores * AHEAD);
    let mut counts = Counts::default();
    while let Some((path, verdict)) = verdicts.next().await {
        counts.add(&verdict);
        progress.data(|| tell(&path, verdict, options.profile, output))?;
        progress.step();
    }
    progress.finish();
    if total > 1 {
        output.say(counts.summary(start.elapsed()));
    }
    Ok(counts.exit_code())
}

/// Names of files, one on each line.
fn listed(list: &Path) -> Result<Vec<PathBuf>> {
    use std::os::unix::ffi::OsStrExt;
    let Some(text) = files::read_bounded(list, LONGEST_LIST)? else {
        return Err(Failure::usage(
            "list_too_long",
            format!("the list {} is longer than a gigabyte", super::name(list)),
            "split it",
        ));
    };
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let names = lines.filter(|line| !line.is_empty());
    Ok(names
        .map(|line| PathBuf::from(std::ffi::OsStr::from_bytes(line)))
        .collect())
}

fn judge(path: &Path, options: &Options, output: Output) -> Verdict {
    let judged = super::read(path).and_then(|bytes| {
        muniment_invoices::check(&bytes, options).map_err(|error| super::unreadable(path, &bytes, &error))
    });
    let told = judged.and_then(|report| {
        let file = path.to_string_lossy();
        let text = if output.json() {
            output.document_text(&Line {
                file: &file,
                report: &report,
            })?
        } else {
            text::report(&super::name(path), &report)
        };
        Ok((report.valid, text))
    });
    match told {
        Ok((true, text)) => Verdict::Valid(text),
        Ok((false, text)) => Verdict::Invalid(text),
        Err(failure) => Verdict::Unreadable(failure),
    }
}

/// The judge itself failed; the other documents are still judged.
fn stopped(path: &Path, error: &tokio::task::JoinError) -> Failure {
    Failure::new(
        "internal",
        format!("{}: the program failed to judge it: {error}", super::name(path)),
        "report this as a bug, with the file",
    )
}

fn tell(path: &Path, verdict: Verdict, profile: Profile, output: Output) -> Result<()> {
    let failure = match verdict {
        Verdict::Valid(text) | Verdict::Invalid(text) => return output.line(text),
        Verdict::Unreadable(failure) => failure,
    };
    if !output.json() {
        output.fail(&failure);
        return Ok(());
    }
    output.document(&Unread {
        file: &path.to_string_lossy(),
        syntax: None,
        profile,
        valid: false,
        findings: [],
        error: failure.to_json()["error"].take(),
    })
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Valid(_) => self.valid += 1,
            Verdict::Invalid(_) => self.invalid += 1,
            Verdict::Unreadable(_) => self.unreadable += 1,
        }
    }

    /// A document that could not be judged weighs more than an invalid one: 0 and 1 mean that all were judged.
    fn exit_code(&self) -> u8 {
        match self {
            Self { unreadable: 1.., .. } => 2,
            Self { invalid: 1.., .. } => 1,
            _ => 0,
        }
    }

    fn summary(&self, time: std::time::Duration) -> String {
        format!(
            "{} documents in {:.1} s: {} valid, {} invalid, {} unreadable",
            self.valid + self.invalid + self.unreadable,
            time.as_secs_f64(),
            self.valid,
            self.invalid,
            self.unreadable
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_name_a_line_whatever_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a b.xml\r\n\n-c.xml\nlast.xml").unwrap();
        assert_eq!(
            listed(file.path()).unwrap(),
            ["a b.xml", "-c.xml", "last.xml"].map(PathBuf::from)
        );
    }

    #[test]
    fn what_could_not_be_judged_weighs_most() {
        let code = |valid, invalid, unreadable| {
            Counts {
                valid,
                invalid,
                unreadable,
            }
            .exit_code()
        };
        assert_eq!(
            [
                code(1, 0, 0),
                code(1, 1, 0),
                code(1, 1, 1),
                code(1, 0, 1),
                code(0, 0, 0)
            ],
            [0, 1, 2, 2, 0]
        );
    }
}
