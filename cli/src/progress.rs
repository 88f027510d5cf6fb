//! A bar on a terminal, a line now and then elsewhere.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Result;
use crate::output::{Output, fancy};

/// Plain lines are at least this far apart.
const EVERY: Duration = Duration::from_secs(5);

/// Progress over a known number of files. Silent for a single file.
pub struct Progress {
    bar: ProgressBar,
    plain: bool,
    output: Output,
    last: Mutex<Instant>,
}

impl Progress {
    /// Starts at zero. A bar tears nothing in JSON mode either: it is on stderr, and only on a terminal.
    pub fn new(total: usize, output: Output) -> Self {
        let drawn = total > 1 && fancy();
        let bar = if drawn {
            ProgressBar::new(total as u64)
        } else {
            ProgressBar::hidden()
        };
        bar.set_length(total as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files  {per_sec}  {eta} left") {
            bar.set_style(style);
        }
        Self {
            bar,
            plain: total > 1 && !drawn,
            output,
            last: Mutex::new(Instant::now()),
        }
    }

    /// One file more is through.
    pub fn step(&self) {
        self.bar.inc(1);
        let Ok(mut last) = self.last.lock() else { return };
        if self.plain && last.elapsed() >= EVERY {
            *last = Instant::now();
            self.output.say(format!(
                "{}/{} files",
                self.bar.position(),
                self.bar.length().unwrap_or(0)
            ));
        }
    }

    /// Writes data without tearing the bar.
    pub fn data(&self, write: impl FnOnce() -> Result<()>) -> Result<()> {
        self.bar.suspend(write)
    }

    /// A remark without tearing the bar.
    pub fn talk(&self, text: &str) {
        self.bar.suspend(|| self.output.say(text));
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
