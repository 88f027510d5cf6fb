//! Ledger networks from the wish to the running thing: validate → plan → apply → observe → status.
//!
//! [`validate`](mod@validate), [`plan`](mod@plan), [`roll`], [`scale`] and [`status`](mod@status) are pure. Effects are behind
//! [`Backend`]: [`backend::local`] runs child processes of our own binary, [`backend::cluster`] objects of a Kubernetes
//! cluster, [`backend::memory`] is the twin for tests. What is wanted comes from [`controller`], or in a cluster from
//! [`cluster`]. Decides no business rules.

pub mod backend;
pub mod catalog;
pub mod certificates;
pub mod cluster;
pub mod controller;
pub mod event;
mod keys;
pub mod membership;
pub mod network;
pub mod plan;
pub mod preview;
mod prober;
pub mod process;
pub mod quorum;
pub mod reconcile;
pub mod roll;
pub mod roster;
pub mod scale;
pub mod status;
pub mod validate;

pub use backend::cluster::{ClusterBackend, ClusterSettings, HostRestart};
pub use backend::local::{
    DataDir, DataDirError, Local, LocalBackend, LocalConfig, LogFile, NetworkEntry, NodeEntry, Ports,
};
pub use backend::memory::MemoryBackend;
pub use backend::{Backend, BackendError, Ballot, NodeObservation, NodeState, Observation, Removal};
pub use catalog::Catalog;
pub use controller::{Controller, Desired};
pub use event::{Event, What};
pub use membership::Membership;
pub use muniment_ledger::pid::{PidFile, PidFileError};
pub use network::NetworkRef;
pub use plan::{Deferred, Facts, NetworkPlan, NodePlan, Plan, PlanError, Seat, plan};
pub use preview::{Effect, Impact, in_dev, preview};
pub use process::exit_with_parent;
pub use quorum::ValidatorCount;
pub use reconcile::{ReconcileError, Reconciler};
pub use roster::{Roster, Standing};
pub use validate::{Hosting, ValidatedNetwork, ValidationError, Violation, validate};
