//! What is seen of a validator in its host. Pure.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use muniment_ledger::wire::{NodeStatus, SeatState};

use super::seats::Files;
use crate::backend::cluster::observe;
use crate::backend::{NodeObservation, NodeState};
use crate::prober::SeatAnswer;

/// Everything that is known of one validator's seat.
pub struct View {
    /// Validator.
    pub name: String,
    /// Pod of its host.
    pub pod: Option<Pod>,
    /// What lies in the host's Secret.
    pub files: Files,
    /// What the host says.
    pub said: SeatAnswer,
    /// What the replica says.
    pub answer: Option<NodeStatus>,
}

impl View {
    /// Whether the host has yet to take over what lies in its Secret.
    pub fn is_in_transit(&self, seat: &str) -> bool {
        match &self.said {
            SeatAnswer::Silent => false,
            SeatAnswer::Free => !self.files.is_empty(),
            SeatAnswer::Taken(status) => self.files.settings(seat).as_ref() != Some(&status.settings),
        }
    }

    /// Whether the host runs these settings, whatever its Secret says by now.
    pub fn runs(&self, settings: Option<&str>) -> bool {
        match &self.said {
            SeatAnswer::Taken(status) => Some(status.settings.as_str()) == settings,
            SeatAnswer::Silent | SeatAnswer::Free => false,
        }
    }

    /// The validator as every backend reports it.
    pub fn node(&self, seat: &str) -> NodeObservation {
        let (state, last_exit) = self.state(seat);
        let (revision, restarts) = match &self.said {
            SeatAnswer::Taken(status) if !self.is_in_transit(seat) => (self.files.revision(seat), status.restarts),
            _ => (None, 0),
        };
        NodeObservation {
            name: self.name.clone(),
            member: true,
            state,
            revision,
            restarts,
            last_exit,
            // What it answers in transit is of the settings before: it is about to be restarted.
            answer: self.answer.clone().filter(|_| !self.is_in_transit(seat)),
        }
    }

    fn state(&self, seat: &str) -> (NodeState, Option<String>) {
        match &self.said {
            SeatAnswer::Taken(status) => {
                let state = match status.state {
                    _ if self.is_in_transit(seat) => NodeState::Starting,
                    SeatState::Running if self.answer.is_some() => NodeState::Running,
                    // Its host says that it runs; whether it votes nobody can tell us.
                    SeatState::Running => NodeState::Unreachable,
                    SeatState::Starting => NodeState::Starting,
                    SeatState::BackingOff => NodeState::BackingOff,
                };
                (state, status.last_exit.clone())
            }
            _ if self.files.is_empty() => (NodeState::Stopped, None),
            SeatAnswer::Free => (NodeState::Starting, None),
            SeatAnswer::Silent => self.host(),
        }
    }

    /// Of a validator whose host says nothing.
    fn host(&self) -> (NodeState, Option<String>) {
        let Some(pod) = &self.pod else {
            return (NodeState::Stopped, Some("its host isn't there".to_owned()));
        };
        let (state, why) = observe::state(pod, false);
        let name = pod.name_any();
        let why = why.map_or_else(
            || format!("its host {name} doesn't answer"),
            |why| format!("its host {name}: {why}"),
        );
        (state, Some(why))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::seats::Contents;
    use super::*;
    use k8s_openapi::ByteString;
    use muniment_ledger::wire::SeatStatus;

    fn files() -> Files {
        let contents = Contents {
            replica: b"{}".to_vec(),
            genesis: Vec::new(),
            keys: ByteString(Vec::new()),
            joined: false,
            revision: "r1".into(),
        };
        Files::taken("a.b", contents)
    }

    fn view(files: Files, said: SeatAnswer) -> View {
        View {
            name: "validator-0".into(),
            pod: None,
            files,
            said,
            answer: None,
        }
    }

    fn taken(settings: &str, state: SeatState) -> SeatAnswer {
        SeatAnswer::Taken(SeatStatus {
            settings: settings.into(),
            state,
            restarts: 2,
            last_exit: Some("damaged".into()),
        })
    }

    #[test]
    fn a_host_that_lags_behind_its_secret_is_waited_for() {
        let old = view(files(), taken("old", SeatState::Running));
        assert!(old.is_in_transit("a.b"));
        assert_eq!(
            (old.node("a.b").state, old.node("a.b").revision),
            (NodeState::Starting, None)
        );
        let free = view(files(), SeatAnswer::Free);
        assert!(free.is_in_transit("a.b"));
        assert_eq!(free.node("a.b").state, NodeState::Starting);
        let leaving = view(Files::default(), taken("old", SeatState::Running));
        assert!(leaving.is_in_transit("a.b"));
        assert_eq!(leaving.node("a.b").state, NodeState::Starting, "not gone yet");
    }

    #[test]
    fn a_seat_says_how_its_replica_is() {
        let settings = files().settings("a.b").unwrap();
        let failed = view(files(), taken(&settings, SeatState::BackingOff)).node("a.b");
        assert_eq!((failed.state, failed.restarts), (NodeState::BackingOff, 2));
        assert_eq!(failed.revision.as_deref(), Some("r1"));
        assert_eq!(failed.last_exit.as_deref(), Some("damaged"));
        let asleep = view(Files::default(), SeatAnswer::Free).node("a.b");
        assert_eq!((asleep.state, asleep.last_exit), (NodeState::Stopped, None));
        let lost = view(files(), SeatAnswer::Silent).node("a.b");
        assert_eq!(
            (lost.state, lost.last_exit.unwrap()),
            (NodeState::Stopped, "its host isn't there".to_owned())
        );
    }
}
