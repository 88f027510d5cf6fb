//! The quorum gate: which node may be restarted next. Pure.
//!
//! No step takes the voting validators below the quorum, one goes at a time, and the next goes only when the last
//! has caught up.

use crate::backend::{NodeObservation, NodeState};
use crate::quorum::ValidatorCount;

/// What a rolling restart may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All running nodes run with the wanted revision.
    Done,
    /// Restart this one.
    Restart(String),
    /// Nothing now; says why, with the numbers.
    Hold(String),
}

/// Decides the next step towards `revision`.
pub fn next(nodes: &[NodeObservation], revision: &str, validators: ValidatorCount) -> Step {
    let stale: Vec<&NodeObservation> = nodes
        .iter()
        .filter(|n| n.revision.as_deref().is_some_and(|r| r != revision))
        .collect();
    if stale.is_empty() {
        return Step::Done;
    }
    // Whether it votes nobody can tell us, so nothing may be taken away.
    if let Some(node) = nodes.iter().find(|n| n.member && n.state == NodeState::Unreachable) {
        return Step::Hold(format!(
            "{} is ready by its own word but doesn't answer the operator; {} are to be restarted",
            node.name,
            stale.len()
        ));
    }
    // A node that doesn't vote takes nothing away; new settings may be just what it needs.
    if let Some(node) = stale.iter().find(|n| !n.votes()) {
        return Step::Restart(node.name.clone());
    }
    // A validator that is being made anew has no revision yet.
    let coming = |n: &NodeObservation| n.revision.is_none() && n.state == NodeState::Starting;
    let fresh =
        |n: &&NodeObservation| n.revision.as_deref() == Some(revision) || n.state == NodeState::BackingOff || coming(n);
    // One that isn't in the set never votes: nobody waits for it.
    if let Some(node) = nodes.iter().filter(|n| n.member).filter(fresh).find(|n| !n.ready()) {
        return Step::Hold(format!(
            "{} is catching up; {} more are to be restarted",
            node.name,
            stale.len()
        ));
    }
    let voting = nodes.iter().filter(|n| n.votes()).count();
    let quorum = validators.quorum() as usize;
    if voting <= quorum {
        return Step::Hold(format!(
            "{voting} of {validators} validators vote and {quorum} are needed; {} can't be restarted",
            stale[0].name
        ));
    }
    Step::Restart(stale[0].name.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::memory::answer;
    use proptest::prelude::*;

    fn node(index: usize, revision: Option<&str>, voting: bool, ready: bool) -> NodeObservation {
        NodeObservation {
            name: format!("validator-{index}"),
            member: true,
            state: if revision.is_some() {
                NodeState::Running
            } else {
                NodeState::BackingOff
            },
            revision: revision.map(str::to_owned),
            restarts: 0,
            last_exit: None,
            answer: revision.map(|_| answer("id", "validator-0", 4, voting, ready)),
        }
    }

    #[test]
    fn goes_one_by_one_and_waits_for_each() {
        let four = ValidatorCount::new(4).unwrap();
        let all = |revisions: [&str; 4]| -> Vec<_> {
            revisions
                .iter()
                .enumerate()
                .map(|(i, r)| node(i, Some(r), true, true))
                .collect()
        };
        assert_eq!(next(&all(["a"; 4]), "a", four), Step::Done);
        assert_eq!(next(&all(["a"; 4]), "b", four), Step::Restart("validator-0".into()));
        let mut mixed = all(["b", "a", "a", "a"]);
        assert_eq!(next(&mixed, "b", four), Step::Restart("validator-1".into()));
        mixed[0] = node(0, Some("b"), false, false);
        assert!(matches!(next(&mixed, "b", four), Step::Hold(why) if why.contains("validator-0 is catching up")));
    }

    #[test]
    fn one_that_is_being_made_anew_is_waited_for() {
        let seven = ValidatorCount::new(7).unwrap();
        let mut nodes: Vec<_> = (0..7).map(|i| node(i, Some("a"), true, true)).collect();
        nodes[0] = node(0, None, false, false);
        nodes[0].state = NodeState::Starting;
        assert!(matches!(next(&nodes, "b", seven), Step::Hold(why) if why.contains("validator-0 is catching up")));
    }

    #[test]
    fn touches_nothing_while_it_cant_see() {
        let four = ValidatorCount::new(4).unwrap();
        let mut nodes: Vec<_> = (0..4).map(|i| node(i, Some("a"), false, false)).collect();
        for node in &mut nodes {
            (node.state, node.answer) = (NodeState::Unreachable, None);
        }
        assert!(matches!(next(&nodes, "b", four), Step::Hold(why) if why.contains("doesn't answer the operator")));
        assert_eq!(next(&nodes, "a", four), Step::Done);
    }

    #[test]
    fn holds_when_one_is_lost_and_helps_one_that_doesnt_vote() {
        let four = ValidatorCount::new(4).unwrap();
        let mut nodes: Vec<_> = (0..4).map(|i| node(i, Some("a"), true, true)).collect();
        nodes[3] = node(3, None, false, false);
        nodes[3].state = NodeState::Stopped;
        assert!(
            matches!(next(&nodes, "b", four), Step::Hold(why) if why.contains("3 of 4") && why.contains("3 are needed"))
        );
        nodes[3] = node(3, Some("a"), false, false);
        assert_eq!(next(&nodes, "b", four), Step::Restart("validator-3".into()));
    }

    proptest! {
        #[test]
        fn never_takes_a_voter_below_the_quorum(states in prop::collection::vec((0..3_u8, any::<bool>(), any::<bool>()), 4..12)) {
            let nodes: Vec<_> = states.iter().enumerate().map(|(i, (revision, voting, ready))| {
                node(i, [Some("a"), Some("b"), None][usize::from(*revision)], *voting, *ready)
            }).collect();
            let count = ValidatorCount::new(u32::try_from(nodes.len()).unwrap()).unwrap();
            let voting = nodes.iter().filter(|n| n.votes()).count();
            if let Step::Restart(name) = next(&nodes, "b", count) {
                let chosen = nodes.iter().find(|n| n.name == name).unwrap();
                prop_assert_eq!(chosen.revision.as_deref(), Some("a"));
                prop_assert!(!chosen.votes() || voting > count.quorum() as usize);
            }
        }
    }
}
