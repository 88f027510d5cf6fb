//! What happens to networks, for people: one readable line per event.

use std::fmt;
use std::time::Duration;

use crate::network::NetworkRef;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Network.
    pub network: NetworkRef,
    /// Validator, if it is about one.
    pub validator: Option<String>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A process was started.
    Started {
        /// Process id.
        pid: u32,
    },
    /// A process couldn't be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// A process of an earlier run was still there and was stopped.
    OrphanStopped {
        /// Process id.
        pid: u32,
    },
    /// A process ended by itself.
    Exited {
        /// Signal or exit code.
        how: String,
        /// The last line it wrote to stderr.
        said: Option<String>,
    },
    /// It is started again soon.
    Restarting {
        /// In this time.
        after: Duration,
    },
    /// A process is restarted by us, with other settings.
    Rolling,
    /// A process was stopped by us.
    Stopped,
    /// A node says that it is ready.
    Ready {
        /// Its height.
        height: u64,
        /// Since its process was started.
        after: Duration,
    },
    /// A node isn't ready any more but runs.
    NotReady,
    /// Fewer nodes than the quorum are ready: writes wait.
    QuorumLost {
        /// Ready nodes.
        ready: usize,
        /// Needed.
        quorum: u32,
        /// In the set.
        of: u32,
    },
    /// A quorum of nodes is ready.
    QuorumReady {
        /// Ready nodes.
        ready: usize,
        /// Needed.
        quorum: u32,
        /// In the set.
        of: u32,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.network)?;
        if let Some(validator) = &self.validator {
            write!(f, " {validator}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid } => write!(f, "started as process {pid}"),
            Self::NotStarted { why } => write!(f, "can't be started: {why}"),
            Self::OrphanStopped { pid } => write!(f, "process {pid} of an earlier run was still there; stopped"),
            Self::Exited { how, said: Some(said) } => write!(f, "ended ({how}); last words: {said}"),
            Self::Exited { how, said: None } => write!(f, "ended ({how})"),
            Self::Restarting { after } => write!(f, "restarting in {} ms", after.as_millis()),
            Self::Rolling => f.write_str("restarting with new settings"),
            Self::Stopped => f.write_str("stopped"),
            Self::Ready { height, after } => write!(f, "ready at height {height} after {} ms", after.as_millis()),
            Self::NotReady => f.write_str("not ready"),
            Self::QuorumLost { ready, quorum, of } => {
                write!(
                    f,
                    "quorum lost: {ready} of {of} validators are ready, {quorum} are needed; writes wait"
                )
            }
            Self::QuorumReady { ready, quorum, of } => {
                write!(f, "quorum of {quorum}: {ready} of {of} validators are ready")
            }
        }
    }
}
