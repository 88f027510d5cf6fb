//! One process: started, listened to, ended.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::log::LogFile;
use crate::process::signal;

/// How long a process may take to stop by itself.
const GRACE: Duration = Duration::from_secs(3);
/// How long the rest of its output is waited for once it has ended.
const DRAIN: Duration = Duration::from_millis(200);
/// Longer lines are cut into pieces.
const LINE: u64 = 16 * 1024;
/// Longest last words.
const WORDS: usize = 300;

/// What is run.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// Program.
    pub(super) program: PathBuf,
    /// First arguments.
    pub(super) arguments: Vec<OsString>,
    /// The node's folder.
    pub(super) folder: PathBuf,
}

/// A running process. Killed when it is dropped.
pub(super) struct Child {
    process: tokio::process::Child,
    /// Process id.
    pub(super) pid: u32,
    /// The node ends when this is closed: see [`crate::process::exit_with_parent`].
    _lifeline: Option<ChildStdin>,
    said: Arc<Mutex<Option<String>>>,
    output: JoinSet<()>,
}

impl Child {
    /// Starts a process whose output goes to `log`.
    pub(super) fn start(launch: &Launch, log: &Arc<Mutex<LogFile>>) -> std::io::Result<Self> {
        let mut process = Command::new(&launch.program)
            .args(&launch.arguments)
            .arg("--config")
            .arg(&launch.folder)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .current_dir(&launch.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal goes to the whole group; stopping nodes is ours to do, in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let said = Arc::default();
        let mut output = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            output.spawn(pump(stdout, Arc::clone(log), None));
        }
        if let Some(stderr) = process.stderr.take() {
            output.spawn(pump(stderr, Arc::clone(log), Some(Arc::clone(&said))));
        }
        let pid = process.id().unwrap_or_default();
        // Taken out because waiting for a process closes its standard input.
        let lifeline = process.stdin.take();
        Ok(Self {
            process,
            pid,
            _lifeline: lifeline,
            said,
            output,
        })
    }

    /// Waits until it has ended; says how and what it last wrote to stderr.
    pub(super) async fn ended(&mut self) -> (String, Option<String>) {
        let how = match self.process.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("unknown: {error}"),
        };
        let drain = async { while self.output.join_next().await.is_some() {} };
        // A grandchild may hold the pipe open; its words don't matter.
        let _ = timeout(DRAIN, drain).await;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
        (how, said)
    }

    /// SIGTERM, and SIGKILL when that isn't enough.
    pub(super) async fn stop(&mut self) {
        // The number stays ours until the process is waited for.
        if self.process.id().is_some() {
            signal(self.pid, Signal::TERM);
        }
        if timeout(GRACE, self.process.wait()).await.is_err()
            && let Err(error) = self.process.kill().await
        {
            tracing::warn!(
                pid = self.pid,
                error = &error as &dyn std::error::Error,
                "process can't be killed"
            );
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "unknown end".to_owned(),
    }
}

/// Moves lines from a process into its log.
async fn pump(input: impl AsyncRead + Unpin, log: Arc<Mutex<LogFile>>, said: Option<Arc<Mutex<Option<String>>>>) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut input).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let Some(said) = &said {
            remember(said, &line);
        }
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        let written = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        if let Err(error) = written {
            // The pipe is emptied all the same: a full one would stop the node.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "log of a node can't be written"
            );
        }
    }
}

fn remember(said: &Mutex<Option<String>>, line: &[u8]) {
    let text: String = String::from_utf8_lossy(line).trim().chars().take(WORDS).collect();
    if !text.is_empty() {
        *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// Where the log of a node is.
pub(super) fn log_path(data: &Path, network: &crate::network::NetworkRef, validator: &str) -> PathBuf {
    data.join("logs")
        .join(format!("{}-{}-{validator}.log", network.tenant, network.name))
}
