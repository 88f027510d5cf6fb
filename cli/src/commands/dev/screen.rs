//! What the person at the terminal sees, and where the rest is logged.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use muniment_operator::{Event, LogFile, What};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::error::{Failure, Result, chain, io};
use crate::evidence::now;
use crate::output::{Output, rfc3339};

/// The terminal.
#[derive(Clone, Copy)]
pub struct Screen(Output);

impl Screen {
    /// Lines for people, or one JSON object each.
    pub fn new(output: Output) -> Self {
        Self(output)
    }

    /// One line.
    pub fn line(&self, text: &str) -> Result<()> {
        if self.0.json() {
            self.0
                .json_line(&serde_json::json!({ "time": rfc3339(now()), "message": text }))
        } else {
            self.0.line(text)
        }
    }

    /// One event, with the time of day (UTC, as in the logs).
    pub fn event(&self, text: &str) -> Result<()> {
        if self.0.json() {
            return self.line(text);
        }
        let time = rfc3339(now());
        self.line(&format!("{}  {text}", time.get(11..19).unwrap_or_default()))
    }

    /// Shows what happens, until nothing can happen any more. While `starting`, only what went wrong.
    pub async fn follow(&self, mut events: Receiver<Event>, starting: &AtomicBool) -> Result<()> {
        loop {
            match events.recv().await {
                Ok(event) if starting.load(Ordering::Relaxed) && expected(&event.what) => {}
                Ok(event) => self.event(&event.to_string())?,
                Err(RecvError::Lagged(missed)) => self.event(&format!("{missed} events were too fast to be shown"))?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// What happens at every start.
fn expected(what: &What) -> bool {
    matches!(
        what,
        What::Started { .. } | What::Ready { .. } | What::QuorumReady { .. }
    )
}

/// Writes this process's own log to `<logs>/api.log`, bounded as the validators' logs are; errors are also shown on
/// stderr.
///
/// # Errors
/// When the log can't be opened.
pub fn log_to(logs: &Path) -> Result<()> {
    let path = logs.join("api.log");
    std::fs::create_dir_all(logs).map_err(|error| io("can't make the folder", logs, &error))?;
    let file =
        LogFile::open(&path).map_err(|error| Failure::new("io", chain(&error), "check the path and the disk"))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let shown = fmt::layer()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_filter(EnvFilter::new("error"));
    tracing_subscriber::registry()
        .with(
            fmt::layer()
                .with_ansi(false)
                .with_writer(Mutex::new(file))
                .with_filter(filter),
        )
        .with(shown)
        .try_init()
        .map_err(|error| Failure::new("log", format!("the log can't be started: {error}"), ""))
}
