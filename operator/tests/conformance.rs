//! What every backend promises, held over each of them: the memory twin, child processes of a stand-in node, and objects
//! of a stand-in cluster.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/harness.rs"]
mod harness;

use harness::{
    ClusterHarness, Governed, Harness, LocalHarness, MemoryHarness, SharedHarness, SharedMemoryHarness, network, until,
};
use muniment_crds::{DeletionPolicy, Placement, ValidatorAction};
use muniment_operator::{Backend, NodeState, Observation, Removal, scale};

macro_rules! over {
    ($backend:ident, $harness:ident, $($case:ident),* $(,)?) => {
        mod $backend {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($harness::new().await).await;
            })*
        }
    };
}

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        over!(memory, MemoryHarness, a_supervisor_that_comes_back_finds_everything, $($case),*);
        over!(local, LocalHarness, a_supervisor_that_comes_back_finds_everything, $($case),*);
        // Pods go on while the operator is away.
        over!(cluster, ClusterHarness, an_operator_that_comes_back_finds_the_network_running, $($case),*);
        over!(shared, SharedHarness, an_operator_that_comes_back_finds_the_network_running, $($case),*);
        over!(shared_memory, SharedMemoryHarness, a_supervisor_that_comes_back_finds_everything, $($case),*);
    };
}

conformance!(
    apply_is_idempotent_and_reaches_ready,
    ready_is_the_nodes_own_answer,
    a_killed_node_comes_back,
    settings_roll_one_by_one,
    a_roll_holds_without_a_quorum_to_spare,
    removal_ends_and_is_idempotent,
    orphans_are_listed,
    a_sealed_genesis_stays,
    a_network_stays_where_it_was_made,
    an_unknown_network_is_none,
    nothing_is_applied_before_it_is_allocated,
);

over!(
    governed_memory,
    MemoryHarness,
    validators_join_and_leave_one_after_another,
    a_change_that_isnt_wanted_any_more_is_forgotten
);
over!(
    governed_cluster,
    ClusterHarness,
    validators_join_and_leave_one_after_another,
    a_change_that_isnt_wanted_any_more_is_forgotten
);

fn all_ready(seen: &Observation) -> bool {
    seen.nodes.iter().all(|n| n.ready())
}

/// Applies until all nodes are ready with the wanted revision.
async fn ready<H: Harness>(harness: &H) -> Observation {
    let plan = harness.plan().await;
    until("all nodes are ready", || async {
        let seen = harness.backend().apply(&plan).await.unwrap();
        let fresh = seen.nodes.iter().all(|n| n.revision.as_ref() == Some(&plan.revision));
        (all_ready(&seen) && fresh).then_some(seen)
    })
    .await
}

async fn observe<H: Harness>(harness: &H) -> Observation {
    harness.backend().observe(&network()).await.unwrap().unwrap()
}

async fn apply_is_idempotent_and_reaches_ready<H: Harness>(harness: H) {
    let first = ready(&harness).await;
    let plan = harness.plan().await;
    assert_eq!(first.id.as_deref(), Some(plan.network.id.as_str()));
    assert_eq!(first.nodes.len(), 4);
    for _ in 0..3 {
        assert_eq!(harness.plan().await, plan);
        let again = harness.backend().apply(&plan).await.unwrap();
        assert!(all_ready(&again));
        assert!(again.nodes.iter().all(|n| n.restarts == 0), "{again:?}");
    }
    assert_eq!(harness.backend().list().await.unwrap(), [network()]);
    harness.stop().await;
}

async fn ready_is_the_nodes_own_answer<H: Harness>(harness: H) {
    ready(&harness).await;
    harness.hold("validator-1", true);
    let seen = until("validator-1 says that it doesn't vote", || async {
        Some(observe(&harness).await).filter(|s| !s.nodes[1].votes())
    })
    .await;
    assert!(seen.nodes[1].revision.is_some(), "its process runs all the same");
    assert!(seen.nodes[0].ready());
    harness.hold("validator-1", false);
    until("all are ready", || async {
        Some(observe(&harness).await).filter(all_ready)
    })
    .await;
    harness.stop().await;
}

async fn a_killed_node_comes_back<H: Harness>(harness: H) {
    ready(&harness).await;
    harness.kill("validator-2");
    let seen = until("validator-2 is back", || async {
        Some(observe(&harness).await).filter(|s| all_ready(s) && s.nodes[2].restarts == 1)
    })
    .await;
    assert!(
        seen.nodes[2]
            .last_exit
            .as_deref()
            .is_some_and(|e| e.contains("signal 9")),
        "{seen:?}"
    );
    assert!(
        seen.nodes
            .iter()
            .filter(|n| n.name != "validator-2")
            .all(|n| n.restarts == 0),
        "{seen:?}"
    );
    harness.stop().await;
}

async fn a_supervisor_that_comes_back_finds_everything<H: Harness>(harness: H) {
    let before = ready(&harness).await;
    let (facts, plan) = (harness.facts().await, harness.plan().await);
    let harness = harness.restart().await;
    let at_rest = observe(&harness).await;
    assert_eq!(at_rest.id, before.id);
    assert!(
        at_rest
            .nodes
            .iter()
            .all(|n| n.state == NodeState::Stopped && !n.votes()),
        "{at_rest:?}"
    );
    assert_eq!(harness.facts().await, facts, "same ports, same keys, same genesis");
    assert_eq!(harness.plan().await, plan);
    ready(&harness).await;
    harness.stop().await;
}

async fn an_operator_that_comes_back_finds_the_network_running<H: Harness>(harness: H) {
    let before = ready(&harness).await;
    let (facts, plan) = (harness.facts().await, harness.plan().await);
    let harness = harness.restart().await;
    assert_eq!(observe(&harness).await, before, "nothing was touched");
    assert_eq!(harness.facts().await, facts, "same addresses, same keys, same genesis");
    assert_eq!(harness.plan().await, plan);
    assert_eq!(ready(&harness).await, before);
    harness.stop().await;
}

async fn settings_roll_one_by_one<H: Harness>(mut harness: H) {
    ready(&harness).await;
    let old = harness.plan().await.revision;
    harness.block_actions(2000);
    let plan = harness.plan().await;
    assert_ne!(plan.revision, old, "a change of limits is another revision");
    until("all nodes run with the new revision", || async {
        let seen = harness.backend().apply(&plan).await.unwrap();
        let voting = seen.nodes.iter().filter(|n| n.votes()).count();
        assert!(voting >= 3, "the roll broke the quorum: {seen:?}");
        let fresh = seen.nodes.iter().all(|n| n.revision.as_ref() == Some(&plan.revision));
        (fresh && all_ready(&seen)).then_some(())
    })
    .await;
    let seen = observe(&harness).await;
    assert!(
        seen.nodes.iter().all(|n| n.restarts == 0),
        "our own restarts don't count: {seen:?}"
    );
    harness.assert_settings(&seen, 2000);
    harness.stop().await;
}

async fn a_roll_holds_without_a_quorum_to_spare<H: Harness>(mut harness: H) {
    ready(&harness).await;
    let old = harness.plan().await.revision;
    harness.hold("validator-3", true);
    until("validator-3 doesn't vote", || async {
        Some(observe(&harness).await).filter(|s| !s.nodes[3].votes())
    })
    .await;
    harness.block_actions(2000);
    let plan = harness.plan().await;
    // The one that doesn't vote is restarted, and still doesn't: the others must stay as they are.
    until("validator-3 runs with the new revision", || async {
        let seen = harness.backend().apply(&plan).await.unwrap();
        (seen.nodes[3].revision.as_ref() == Some(&plan.revision)).then_some(())
    })
    .await;
    for _ in 0..20 {
        let seen = harness.backend().apply(&plan).await.unwrap();
        assert!(
            seen.nodes[..3].iter().all(|n| n.revision.as_ref() == Some(&old)),
            "{seen:?}"
        );
    }
    harness.hold("validator-3", false);
    ready(&harness).await;
    harness.stop().await;
}

async fn removal_ends_and_is_idempotent<H: Harness>(harness: H) {
    assert_eq!(
        harness
            .backend()
            .remove(&network(), DeletionPolicy::Delete)
            .await
            .unwrap(),
        Removal::Done,
        "nothing to remove"
    );
    ready(&harness).await;
    let id = harness.plan().await.network.id;
    until("the network is removed", || async {
        (harness
            .backend()
            .remove(&network(), DeletionPolicy::Delete)
            .await
            .unwrap()
            == Removal::Done)
            .then_some(())
    })
    .await;
    assert_eq!(
        harness
            .backend()
            .remove(&network(), DeletionPolicy::Delete)
            .await
            .unwrap(),
        Removal::Done
    );
    assert_eq!(harness.backend().observe(&network()).await.unwrap(), None);
    assert!(harness.backend().list().await.unwrap().is_empty());
    assert_ne!(
        harness.plan().await.network.id,
        id,
        "a network of the same name is another network"
    );
    harness.stop().await;
}

async fn orphans_are_listed<H: Harness>(harness: H) {
    ready(&harness).await;
    let harness = harness.restart().await;
    // Nothing was applied by this supervisor: it is wanted by nobody, and still known.
    assert_eq!(harness.backend().list().await.unwrap(), [network()]);
    until("the orphan is removed", || async {
        (harness
            .backend()
            .remove(&network(), DeletionPolicy::Delete)
            .await
            .unwrap()
            == Removal::Done)
            .then_some(())
    })
    .await;
    assert!(harness.backend().list().await.unwrap().is_empty());
    harness.stop().await;
}

async fn a_sealed_genesis_stays<H: Harness>(mut harness: H) {
    ready(&harness).await;
    let id = harness.plan().await.network.id;
    harness.another_member();
    let plan = harness.plan().await;
    assert_eq!(plan.network.id, id);
    assert_eq!(plan.deferred[0].field, "spec.members");
    let mut forged = plan.clone();
    forged.network.genesis.created_at += 1;
    forged.revision = "forged".to_owned();
    let error = harness.backend().apply(&forged).await.unwrap_err();
    assert!(error.to_string().contains("is sealed as"), "{error}");
    assert!(all_ready(&observe(&harness).await), "the refused plan changed nothing");
    harness.stop().await;
}

async fn a_network_stays_where_it_was_made<H: Harness>(mut harness: H) {
    ready(&harness).await;
    let facts = harness.facts().await;
    let (here, elsewhere) = match harness.wish().spec.placement {
        Placement::Dedicated => (Placement::Dedicated, Placement::Shared),
        Placement::Shared => (Placement::Shared, Placement::Dedicated),
    };
    harness.wish().spec.placement = elsewhere;
    let error = harness.backend().allocate(&harness.validated()).await.unwrap_err();
    assert!(error.to_string().contains("spec.placement"), "{error}");
    assert!(all_ready(&observe(&harness).await), "it runs on where it is");
    harness.wish().spec.placement = here;
    assert_eq!(harness.facts().await, facts);
    harness.stop().await;
}

/// Keeps the network, and lets the ledger decide what is asked of it, until there are as many as wanted and all is quiet.
/// Answers what was decided.
async fn governed<H: Governed>(harness: &H) -> Vec<String> {
    let mut decided = Vec::new();
    for _ in 0..200 {
        let plan = harness.plan().await;
        let seen = harness.backend().apply(&plan).await.unwrap();
        let members = seen.membership.as_ref().map_or(4, |membership| membership.now.len());
        let voting = seen.nodes.iter().filter(|n| n.votes()).count();
        assert!(voting > members * 2 / 3, "the quorum was taken down: {seen:?}");
        let fresh = seen.nodes.iter().all(|n| n.revision.as_ref() == Some(&plan.revision));
        match scale::next(&plan, &seen) {
            scale::Step::Done if fresh && all_ready(&seen) => return decided,
            scale::Step::Ask(change) => {
                let node = plan.network.nodes.iter().find(|node| node.name == change.name).unwrap();
                let joins = change.action == ValidatorAction::AddValidator;
                harness.decide(&node.keys, joins);
                decided.push(format!("{}{}", if joins { "+" } else { "-" }, change.name));
            }
            scale::Step::Done | scale::Step::Hold { .. } => {}
        }
    }
    panic!("never quiet; decided {decided:?}");
}

fn running(seen: &Observation) -> Vec<&str> {
    seen.nodes.iter().map(|node| node.name.as_str()).collect()
}

async fn validators_join_and_leave_one_after_another<H: Governed>(mut harness: H) {
    ready(&harness).await;
    let before = harness.facts().await;
    harness.validators(7);
    assert_eq!(
        governed(&harness).await,
        ["+validator-4", "+validator-5", "+validator-6"]
    );
    let seven = harness.facts().await;
    assert_eq!(
        seven.seats[..4],
        before.seats[..],
        "who was there keeps keys and places"
    );
    harness.validators(4);
    assert_eq!(
        governed(&harness).await,
        ["-validator-0", "-validator-1", "-validator-2"]
    );
    let seen = observe(&harness).await;
    let four = ["validator-3", "validator-4", "validator-5", "validator-6"];
    assert_eq!(running(&seen), four);
    assert!(all_ready(&seen));
    // What comes next has a name that was never used, and so has it after a restart of whoever keeps the network.
    let harness = {
        let mut harness = harness.restart().await;
        harness.validators(5);
        harness
    };
    assert_eq!(governed(&harness).await, ["+validator-7"]);
    assert_eq!(
        harness.facts().await.seats[..4],
        seven.seats[3..],
        "same keys as before"
    );
    assert!(governed(&harness).await.is_empty(), "and then it is quiet");
    harness.stop().await;
}

async fn a_change_that_isnt_wanted_any_more_is_forgotten<H: Governed>(mut harness: H) {
    ready(&harness).await;
    harness.validators(6);
    let plan = harness.plan().await;
    harness.backend().apply(&plan).await.unwrap();
    let keys: Vec<_> = plan.network.nodes[4..].iter().map(|node| node.keys.clone()).collect();
    harness.validators(4);
    assert!(governed(&harness).await.is_empty());
    assert_eq!(running(&observe(&harness).await).len(), 4);
    // They come with the keys that were made for them, which the network may have heard of.
    harness.validators(6);
    assert_eq!(governed(&harness).await, ["+validator-4", "+validator-5"]);
    let now: Vec<_> = harness.facts().await.seats[4..]
        .iter()
        .map(|seat| seat.keys.clone())
        .collect();
    assert_eq!(now, keys);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_validators_that_left_are_named_and_go_only_when_that_is_wanted_and_safe() {
    let mut harness = ClusterHarness::new().await;
    ready(&harness).await;
    for count in [7, 4] {
        harness.validators(count);
        governed(&harness).await;
    }
    let gone = [
        "data-notary-validator-0",
        "data-notary-validator-1",
        "data-notary-validator-2",
    ];
    assert_eq!(ready(&harness).await.left_over, gone);
    harness.wish().spec.storage.when_scaled = DeletionPolicy::Delete;
    harness.hold("validator-5", true);
    let plan = harness.plan().await;
    let seen = harness.backend().apply(&plan).await.unwrap();
    assert_eq!(seen.left_over, gone, "one of the others isn't ready");
    assert_eq!(harness.cluster.names("persistentvolumeclaims").len(), 7);
    harness.hold("validator-5", false);
    assert!(ready(&harness).await.left_over.is_empty());
    let stay: Vec<String> = (3..7).map(|number| format!("data-notary-validator-{number}")).collect();
    assert_eq!(harness.cluster.names("persistentvolumeclaims"), stay);
    assert!(
        harness.cluster.get("secrets", "notary-validator-0-keys").is_some(),
        "keys stay"
    );
    harness.stop().await;
}

async fn an_unknown_network_is_none<H: Harness>(harness: H) {
    assert_eq!(harness.backend().observe(&network()).await.unwrap(), None);
    assert!(harness.backend().list().await.unwrap().is_empty());
    harness.stop().await;
}

async fn nothing_is_applied_before_it_is_allocated<H: Harness>(harness: H) {
    let other = H::new_plan_from_elsewhere().await;
    let error = harness.backend().apply(&other).await.unwrap_err();
    assert!(error.to_string().contains("allocate before"), "{error}");
    harness.stop().await;
}
