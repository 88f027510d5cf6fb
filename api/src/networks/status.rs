//! How a network does: its validators' own answers, asked at most once a second however many ask.

use muniment_ledger::wire::NodeStatus;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::runtime::Network;
use crate::types::{self, NetworkNode};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);
/// Blocks that a validator may lie behind the highest and still keep up.
const BEHIND: u64 = 5;

/// The last answer.
#[derive(Default)]
pub struct Cached(Option<(Instant, types::Network)>);

impl Network {
    /// The network as its callers see it. `restarts` come from whoever supervises the validators.
    pub async fn status(&self, restarts: &BTreeMap<String, u32>) -> types::Network {
        let mut cached = self.status.lock().await;
        if let Some((at, answer)) = &cached.0
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answers: Vec<(String, Option<NodeStatus>)> = self
            .client()
            .status()
            .await
            .into_iter()
            .map(|(name, status)| (name, status.ok()))
            .collect();
        let trust = self.trust();
        let set = trust.newest();
        let answer = judge(
            (&self.entry.tenant, &self.entry.name, hex::encode(self.entry.id)),
            (set.validators().len(), set.quorum()),
            answers,
            restarts,
        );
        cached.0 = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn judge(
    (tenant, name, id): (&str, &str, String),
    (validators, quorum): (usize, usize),
    answers: Vec<(String, Option<NodeStatus>)>,
    restarts: &BTreeMap<String, u32>,
) -> types::Network {
    let height = answers
        .iter()
        .filter_map(|(_, status)| Some(status.as_ref()?.height))
        .max()
        .unwrap_or(0);
    let nodes: Vec<NetworkNode> = answers
        .into_iter()
        .map(|(name, status)| {
            let restarts = restarts.get(&name).copied().unwrap_or(0);
            let Some(status) = status else {
                return down(name, restarts);
            };
            let keeps_up = status.voting && status.height + BEHIND >= height;
            NetworkNode {
                name,
                state: if keeps_up { "Ready" } else { "CatchingUp" }.to_owned(),
                height: status.height,
                state_root: status.state_root,
                peers: status.peers.iter().filter(|peer| peer.connected).count(),
                version: status.version,
                restarts,
            }
        })
        .collect();
    let ready = nodes.iter().filter(|node| node.state == "Ready").count();
    let state = match ready {
        0 if height == 0 => "Pending",
        ready if ready < quorum => "Stalled",
        ready if ready < validators => "Degraded",
        _ => "Running",
    };
    types::Network {
        tenant: tenant.to_owned(),
        name: name.to_owned(),
        id,
        state: state.to_owned(),
        height,
        ready,
        validators,
        quorum,
        quorum_holds: ready >= quorum,
        nodes,
    }
}

fn down(name: String, restarts: u32) -> NetworkNode {
    NetworkNode {
        name,
        state: "Down".to_owned(),
        height: 0,
        state_root: String::new(),
        peers: 0,
        version: String::new(),
        restarts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(height: u64, voting: bool) -> Option<NodeStatus> {
        Some(NodeStatus {
            network: String::new(),
            name: String::new(),
            version: "0".to_owned(),
            height,
            state_root: String::new(),
            log_size: 0,
            time: 0,
            peers: Vec::new(),
            validators: 4,
            quorum: 3,
            mempool: 0,
            voting,
            ready: true,
        })
    }

    fn state(nodes: [Option<NodeStatus>; 4]) -> (String, bool) {
        let answers = nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| (format!("v{index}"), node))
            .collect();
        let judged = judge(("t", "n", String::new()), (4, 3), answers, &BTreeMap::new());
        (judged.state, judged.quorum_holds)
    }

    #[test]
    fn states_follow_the_nodes() {
        assert_eq!(
            state([node(9, true), node(9, true), node(9, true), node(8, true)]),
            ("Running".to_owned(), true)
        );
        assert_eq!(
            state([node(9, true), node(9, true), node(9, true), None]),
            ("Degraded".to_owned(), true)
        );
        assert_eq!(
            state([node(90, true), node(90, true), node(90, true), node(9, true)]).0,
            "Degraded"
        );
        assert_eq!(
            state([node(9, true), node(9, true), None, None]),
            ("Stalled".to_owned(), false)
        );
        assert_eq!(state([node(9, true), node(9, true), node(9, false), None]).0, "Stalled");
        assert_eq!(state([None, None, None, None]).0, "Pending");
    }
}
