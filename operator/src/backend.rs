//! Where networks run: the contract that every backend keeps, and what it reports.
//!
//! Owns the trait, the observation and the errors. `tests/conformance.rs` holds every backend to it.

pub mod cluster;
pub mod local;
pub mod memory;

use std::net::SocketAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use muniment_crds::{DeletionPolicy, Placement};
use muniment_ledger::tls::TlsError;
use muniment_ledger::wire::NodeStatus;
use thiserror::Error;
use tokio::sync::watch;

use crate::certificates::{CertificateError, Outlook};
use crate::membership::Membership;
use crate::network::NetworkRef;
use crate::plan::{Facts, Plan};
use crate::validate::ValidatedNetwork;

/// Runs networks.
///
/// What every backend guarantees:
/// - **Idempotent**: each call may be repeated at any time, also after a crash in the middle of it. A call that finds
///   everything in place writes nothing.
/// - **Never waits** for something to become ready or to go away; it answers what is seen now. Waiting is the
///   caller's, woken by [`Backend::wakeups`].
/// - **Ready is the node's own answer**, never "was started".
/// - **Keys before genesis**: no genesis is sealed before the keys it names are durable; keys and a sealed genesis are
///   never replaced.
/// - **Where it was made it stays**: what was sealed with one placement is refused with another.
/// - **Quorum gate**: `apply` restarts running nodes one at a time and only as [`crate::roll`] allows.
/// - **The ledger decides who its validators are**: one that isn't in the set runs without voting; one in the set is
///   never stopped for good. Names and keys of those who left are kept and never used again.
/// - **Errors are values**; no call panics. [`BackendError::retry`] says whether trying again can help.
///
/// What it doesn't guarantee: that two processes of one node never overlap for a moment (nodes must claim their folder
/// themselves), or that every wake-up means a change.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Allocates what a plan needs and only a backend can choose: keys, addresses, the time of creation.
    async fn allocate(&self, network: &ValidatedNetwork) -> Result<Facts, BackendError>;

    /// Brings a network closer to its plan: seals the genesis, writes settings, starts what doesn't run, and takes at
    /// most one step of a rolling restart.
    async fn apply(&self, plan: &Plan) -> Result<Observation, BackendError>;

    /// What is seen now, freshly asked from the nodes. `None`: there is no such network.
    async fn observe(&self, network: &NetworkRef) -> Result<Option<Observation>, BackendError>;

    /// Renews what is due of a network's certificates, whatever its description says by now, and answers what is to come
    /// of them. `None` where there are none. Makes no new keys, and so restarts nobody.
    async fn renew(&self, _network: &NetworkRef) -> Result<Option<Outlook>, BackendError> {
        Ok(None)
    }

    /// Stops a network; what becomes of its keys, genesis and data is `data`. `Done` also when there is no such network.
    async fn remove(&self, network: &NetworkRef, data: DeletionPolicy) -> Result<Removal, BackendError>;

    /// Every network that is here, wanted or not: what isn't wanted is an orphan.
    async fn list(&self) -> Result<Vec<NetworkRef>, BackendError>;

    /// Changes when it is worth looking again. Carries no data.
    fn wakeups(&self) -> watch::Receiver<u64>;
}

/// Progress of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing is left.
    Done,
    /// Under way; ask again after a wake-up.
    Pending,
}

/// What is seen of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Which network.
    pub network: NetworkRef,
    /// Network id, hex, once the genesis is sealed.
    pub id: Option<String>,
    /// The nodes, in the order of the plan.
    pub nodes: Vec<NodeObservation>,
    /// What is to come of the certificates, where nodes have some.
    pub certificates: Option<Outlook>,
    /// Who the validators are, as a node proves it; `None` when none answers.
    pub membership: Option<Membership>,
    /// The open proposal of the change of validators that comes next, if there is one.
    pub ballot: Option<Ballot>,
    /// Volume claims of validators that left the network.
    pub left_over: Vec<String>,
}

/// A proposal that waits for members to approve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Record id of the proposal.
    pub proposal: String,
    /// Approvals it has.
    pub approvals: usize,
    /// Approvals it needs.
    pub threshold: u32,
}

/// What is seen of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeObservation {
    /// Validator name.
    pub name: String,
    /// In the validator set, as far as is known.
    pub member: bool,
    /// Of its process.
    pub state: NodeState,
    /// Revision of the plan it runs with, if it runs.
    pub revision: Option<String>,
    /// Restarts that weren't ours, since the supervisor started.
    pub restarts: u32,
    /// How it last ended and what it last said.
    pub last_exit: Option<String>,
    /// Its own answer, if it answers.
    pub answer: Option<NodeStatus>,
}

impl NodeObservation {
    /// Takes part in consensus, by its own answer.
    pub fn votes(&self) -> bool {
        self.answer.as_ref().is_some_and(|a| a.voting)
    }

    /// Votes and sees a quorum, by its own answer.
    pub fn ready(&self) -> bool {
        self.answer.as_ref().is_some_and(|a| a.voting && a.ready)
    }
}

/// State of a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Doesn't run and isn't to run.
    Stopped,
    /// Runs but hasn't answered yet.
    Starting,
    /// Runs and answers.
    Running,
    /// Ended by itself and is started again soon.
    BackingOff,
    /// Does its part, as its platform says, and doesn't answer us.
    Unreachable,
}

impl NodeState {
    /// As shown in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::BackingOff => "BackingOff",
            Self::Unreachable => "Unreachable",
        }
    }
}

/// A backend couldn't do what was asked.
#[derive(Debug, Error)]
pub enum BackendError {
    /// A file or folder can't be used.
    #[error("{} can't be {what}", .path.display())]
    File {
        /// What was tried, e.g. `written`.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file says something that can't be.
    #[error("{} is damaged: {problem}; put it back from a backup", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Keys of a sealed genesis are gone.
    #[error(
        "the keys of validator `{validator}` of {network} are gone ({} is missing) and its genesis is sealed; \
         put it back from a backup",
        .path.display()
    )]
    KeysLost {
        /// Network.
        network: NetworkRef,
        /// Validator name.
        validator: String,
        /// Missing file, or Secret.
        path: PathBuf,
    },
    /// No port is free.
    #[error("no {wanted} free ports were found from {first} on; stop what uses them or choose another first port")]
    Ports {
        /// How many are needed.
        wanted: usize,
        /// Where the search began.
        first: u16,
    },
    /// A port of a validator is somebody else's.
    #[error(
        "port {} of {validator} in {network} is taken by another program; \
         stop the program that listens on {address}, then start again", .address.port()
    )]
    PortTaken {
        /// Network.
        network: NetworkRef,
        /// Validator name.
        validator: String,
        /// The address it was given when the network was made.
        address: SocketAddr,
    },
    /// The Kubernetes API server couldn't or wouldn't.
    #[error("{what} can't be {verb}")]
    Cluster {
        /// What was tried, e.g. `written`.
        verb: &'static str,
        /// Kind, namespace and name.
        what: String,
        /// Why.
        #[source]
        source: cluster::ApiFailure,
    },
    /// An object of the cluster says something that can't be.
    #[error("{what} can't be used: {problem}; {fix}")]
    Object {
        /// Kind, namespace and name.
        what: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: &'static str,
    },
    /// A network is to be shared, and there are no hosts.
    #[error(
        "{network} is to be shared and there are no hosts here; install the chart with hosts.enabled=true, or make the \
         network with spec.placement Dedicated"
    )]
    NoHosts {
        /// Network.
        network: NetworkRef,
    },
    /// A shared network sits in hosts that this operator doesn't have any more.
    #[error(
        "{network} sits in the platform's hosts, and they are switched off here: its validators run on there as they are, \
         and nothing of it is watched, changed or taken away; install the chart with hosts.enabled=true again"
    )]
    HostsOff {
        /// Network.
        network: NetworkRef,
    },
    /// The network was made with another placement, and is still there.
    #[error(
        "{network} was made with spec.placement {0} and its ledger is kept there; set spec.placement to {0} to go on \
         with it, or give the new network another name", .sealed.as_str()
    )]
    OtherPlacement {
        /// Network.
        network: NetworkRef,
        /// As it was made.
        sealed: Placement,
    },
    /// The hosts have no room.
    #[error("the hosts have no room for {network}: {why}; remove a shared network, or use spec.placement Dedicated")]
    HostsFull {
        /// Network.
        network: NetworkRef,
        /// What is used up.
        why: String,
    },
    /// A planned genesis isn't the sealed one.
    #[error("{network} is sealed as {sealed}, but the plan says {planned}; plan again from what is allocated")]
    OtherGenesis {
        /// Network.
        network: NetworkRef,
        /// Network id that is sealed.
        sealed: String,
        /// Network id of the plan.
        planned: String,
    },
    /// `apply` without `allocate`.
    #[error("nothing is allocated for {network}; allocate before applying a plan")]
    NotAllocated {
        /// Network.
        network: NetworkRef,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The HTTP client can't be made, or its certificate can't be used.
    #[error("the nodes can't be asked")]
    HttpClient(#[from] TlsError),
    /// A certificate can't be made.
    #[error("the certificates of {what} can't be made")]
    Certificates {
        /// Whose.
        what: String,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// The backend is being stopped.
    #[error("the backend is stopping")]
    Stopping,
    /// A trust root or genesis can't be written.
    #[error("the trust root of {network} can't be made")]
    TrustRoot {
        /// Network.
        network: NetworkRef,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BackendError {
    /// Whether trying again can help without a change by a person.
    pub fn retry(&self) -> bool {
        matches!(
            self,
            Self::File { .. }
                | Self::Ports { .. }
                | Self::PortTaken { .. }
                | Self::Random(_)
                | Self::HttpClient(_)
                | Self::Certificates { .. }
                | Self::OtherGenesis { .. }
                | Self::NoHosts { .. }
                | Self::HostsOff { .. }
                | Self::HostsFull { .. }
                | Self::Cluster { .. }
        )
    }
}
