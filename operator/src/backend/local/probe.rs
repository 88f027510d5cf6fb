//! Looks at nodes again and again, and tells what changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::log::Events;
use super::running::Running;
use crate::backend::{NodeObservation, NodeState, Observation};
use crate::event::{Event, What};
use crate::quorum::ValidatorCount;

/// Between looks while all is well. Each look costs a few requests on connections that are kept open.
const CALM: Duration = Duration::from_secs(2);
/// Between looks just after something changed.
const BUSY: Duration = Duration::from_millis(50);
/// Between looks while something has been wrong for longer than [`FRESH`].
const ILL: Duration = Duration::from_millis(500);
const FRESH: Duration = Duration::from_secs(10);

/// What a change of is worth a wake-up.
fn essence(node: &NodeObservation) -> (NodeState, bool, bool, u32, Option<String>) {
    (
        node.state,
        node.votes(),
        node.ready(),
        node.restarts,
        node.revision.clone(),
    )
}

/// What a change of is worth looking closely for a while. Not the process's state: a validator that dies again and
/// again would be looked at closely without end.
fn duty(node: &NodeObservation) -> (bool, bool) {
    (node.votes(), node.ready())
}

fn same<T: PartialEq>(before: Option<&Observation>, seen: &Observation, of: fn(&NodeObservation) -> T) -> bool {
    before.is_some_and(|b| b.nodes.iter().map(of).eq(seen.nodes.iter().map(of)))
}

/// Watches a network until it is dropped.
pub(super) async fn watch(running: Arc<Running>, events: Events, wake: watch::Sender<u64>) {
    let mut before: Option<Observation> = None;
    let mut quorum = false;
    let mut changed_at = Instant::now();
    loop {
        let seen = running.look().await;
        if !same(before.as_ref(), &seen, duty) {
            changed_at = Instant::now();
        }
        if !same(before.as_ref(), &seen, essence) {
            tell_nodes(&running, before.as_ref(), &seen, &events);
            quorum = tell_quorum(&seen, quorum, &events);
            wake.send_modify(|n| *n += 1);
        }
        let well = seen.nodes.iter().all(NodeObservation::ready);
        before = Some(seen);
        let pause = match (well, changed_at.elapsed() < FRESH) {
            (true, _) => CALM,
            (false, true) => BUSY,
            (false, false) => ILL,
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = running.changed.notified() => {}
        }
    }
}

fn tell_nodes(running: &Running, before: Option<&Observation>, seen: &Observation, events: &Events) {
    for (index, node) in seen.nodes.iter().enumerate() {
        let was = before.is_some_and(|b| b.nodes[index].ready());
        let what = match (was, node.ready(), &node.answer) {
            (false, true, Some(answer)) => {
                let after = running
                    .since(&node.name)
                    .map(|since| since.elapsed())
                    .unwrap_or_default();
                What::Ready {
                    height: answer.height,
                    after,
                }
            }
            // The end of a process is told by its supervisor.
            (true, false, _) if node.revision.is_some() => What::NotReady,
            _ => continue,
        };
        events.tell(Event {
            network: seen.network.clone(),
            validator: Some(node.name.clone()),
            what,
        });
    }
}

fn tell_quorum(seen: &Observation, before: bool, events: &Events) -> bool {
    let count = ValidatorCount::of(seen.nodes.len());
    let ready = seen.nodes.iter().filter(|n| n.ready()).count();
    let now = ready >= count.quorum() as usize;
    let (quorum, of) = (count.quorum(), count.get());
    let what = match (before, now) {
        (false, true) => What::QuorumReady { ready, quorum, of },
        (true, false) => What::QuorumLost { ready, quorum, of },
        _ => return now,
    };
    events.tell(Event {
        network: seen.network.clone(),
        validator: None,
        what,
    });
    now
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::NetworkRef;
    use muniment_crds::{NetworkName, TenantName};
    use muniment_ledger::wire::NodeStatus;

    fn seen(state: NodeState, restarts: u32, voting: Option<bool>) -> Observation {
        let answer = voting.map(|voting| NodeStatus {
            network: String::new(),
            name: String::new(),
            version: String::new(),
            height: 0,
            state_root: String::new(),
            log_size: 0,
            time: 0,
            peers: Vec::new(),
            validators: 1,
            quorum: 1,
            mempool: 0,
            voting,
            ready: voting,
        });
        let node = NodeObservation {
            name: "validator-0".to_owned(),
            member: true,
            state,
            revision: None,
            restarts,
            last_exit: None,
            answer,
        };
        Observation {
            network: NetworkRef {
                tenant: TenantName::new("demo").unwrap(),
                name: NetworkName::new("notary").unwrap(),
            },
            id: None,
            nodes: vec![node],
            certificates: None,
            membership: None,
            ballot: None,
            left_over: Vec::new(),
        }
    }

    #[test]
    fn dying_again_and_again_is_told_but_not_looked_at_closely() {
        let dead = seen(NodeState::BackingOff, 3, None);
        for next in [
            seen(NodeState::Starting, 3, None),
            seen(NodeState::BackingOff, 4, None),
            seen(NodeState::Running, 3, Some(false)),
        ] {
            assert!(same(Some(&dead), &next, duty) && !same(Some(&dead), &next, essence));
        }
        assert!(!same(Some(&dead), &seen(NodeState::Running, 3, Some(true)), duty));
        assert!(!same(None, &dead, duty));
    }
}
