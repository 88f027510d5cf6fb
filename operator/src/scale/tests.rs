use std::net::SocketAddr;

use muniment_crds::{NetworkName, NodeSize, TenantName};
use muniment_ledger::config::Limits;
use muniment_receipts::genesis::{GenesisTemplate, Member};

use super::*;
use crate::backend::NodeState;
use crate::backend::memory::answer;
use crate::network::NetworkRef;
use crate::plan::{Facts, Seat, plan};
use crate::roster::{self, Roster, Standing};
use crate::validate::{Hosting, ValidatedNetwork};

fn keys(number: u32) -> ValidatorKeys {
    let key = |duty: &str| format!("{duty}{number}");
    ValidatorKeys {
        name: roster::name(number),
        consensus: key("c"),
        notary: key("n"),
        cose: key("s"),
    }
}

fn network() -> NetworkRef {
    NetworkRef {
        tenant: TenantName::new("demo").unwrap(),
        name: NetworkName::new("notary").unwrap(),
    }
}

fn wish(count: u32) -> ValidatedNetwork {
    ValidatedNetwork {
        network: network(),
        generation: None,
        validators: ValidatorCount::new(count).unwrap(),
        templates: vec![GenesisTemplate {
            name: "notarization".into(),
            revision: 1,
            source: "source".into(),
        }],
        members: vec![Member {
            name: "demo".into(),
            key: "ed25519:x".into(),
        }],
        limits: Limits::default(),
        hosting: Hosting {
            placement: muniment_crds::Placement::Dedicated,
            size: NodeSize::Small,
            storage: 2 << 30,
            storage_text: "2Gi".into(),
            storage_class: None,
            when_scaled: muniment_crds::DeletionPolicy::Retain,
            run: true,
        },
    }
}

/// A network that was made with four validators and now runs these.
fn planned(wanted: u32, roster: &Roster) -> Plan {
    let seat = |number| Seat {
        keys: keys(number),
        api: SocketAddr::from(([0, 0, 0, 0], 8410)),
        consensus: SocketAddr::from(([0, 0, 0, 0], 8420)),
        api_url: format!("http://{number}"),
        consensus_host: number.to_string(),
    };
    let mut facts = Facts {
        created_at: 1,
        seats: (0..4).map(seat).collect(),
        sealed: None,
        roster: Some(Roster::first(4)),
    };
    facts.sealed = Some(plan(&wish(4), &facts).unwrap().network.genesis);
    facts.seats = roster.range(wanted).map(seat).collect();
    facts.roster = Some(roster.clone());
    plan(&wish(wanted), &facts).unwrap()
}

/// All planned nodes run and are at one height, and those of the set vote.
fn seen(plan: &Plan, set: &[u32], left: &[u32]) -> Observation {
    let membership = Membership {
        from: 1,
        now: set.iter().map(|number| keys(*number)).collect(),
        left: left.iter().map(|number| keys(*number)).collect(),
    };
    let node = |node: &NodePlan| {
        let votes = membership.has(&node.keys);
        NodeObservation {
            name: node.name.clone(),
            member: votes,
            state: NodeState::Running,
            revision: Some(plan.revision.clone()),
            restarts: 0,
            last_exit: None,
            answer: Some(answer("id", &node.name, set.len(), votes, votes)),
        }
    };
    Observation {
        network: network(),
        id: Some("id".into()),
        nodes: plan.network.nodes.iter().map(node).collect(),
        membership: Some(membership.clone()),
        ballot: None,
        left_over: Vec::new(),
        certificates: None,
    }
}

fn growing() -> (Plan, Observation) {
    let mut roster = Roster::first(4);
    (4..7).for_each(|number| roster.note(number, Standing::New));
    let plan = planned(7, &roster);
    let seen = seen(&plan, &[0, 1, 2, 3], &[]);
    (plan, seen)
}

fn held(plan: &Plan, seen: &Observation) -> (&'static str, String) {
    match next(plan, seen) {
        Step::Hold { reason, why } => (reason, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_lowest_new_one_joins_when_all_is_well() {
    let (plan, seen) = growing();
    let Step::Ask(change) = next(&plan, &seen) else {
        panic!()
    };
    assert_eq!(
        (change.action, change.name.as_str()),
        (ValidatorAction::AddValidator, "validator-4")
    );
    assert_eq!(
        (
            change.consensus.as_deref(),
            change.notary.as_deref(),
            change.cose.as_deref()
        ),
        (Some("c4"), Some("n4"), Some("s4"))
    );
    let seen = super::tests::seen(&plan, &[0, 1, 2, 3, 4], &[]);
    let Step::Ask(change) = next(&plan, &seen) else {
        panic!()
    };
    assert_eq!(change.name, "validator-5");
}

#[test]
fn a_new_one_waits_until_it_runs_has_caught_up_and_is_known() {
    let (plan, well) = growing();
    let mut starts = well.clone();
    starts.nodes[4].answer = None;
    assert_eq!(held(&plan, &starts).1, "validator-4 starts");
    let mut behind = well.clone();
    for node in &mut behind.nodes[..4] {
        node.answer.as_mut().unwrap().height = 100;
    }
    assert_eq!(
        held(&plan, &behind).1,
        "validator-4 catches up: it is at height 1 of 100"
    );
    let mut unknown = well;
    unknown.nodes[2].revision = Some("old".into());
    assert!(held(&plan, &unknown).1.contains("restarted first"));
}

#[test]
fn the_larger_set_must_have_its_quorum_without_the_new_one() {
    let (plan, mut seen) = growing();
    seen.nodes[1].answer.as_mut().unwrap().voting = false;
    assert_eq!(
        held(&plan, &seen),
        (
            reason::QUORUM_GATE,
            "with validator-4 there are 5 validators and 4 of them have to vote; 3 others do now".to_owned()
        )
    );
}

#[test]
fn the_lowest_one_leaves_if_those_who_stay_are_a_quorum() {
    let plan = planned(4, &Roster::first(7));
    let mut seen = seen(&plan, &[0, 1, 2, 3, 4, 5, 6], &[]);
    let Step::Ask(change) = next(&plan, &seen) else {
        panic!()
    };
    assert_eq!(
        (change.action, change.name.as_str()),
        (ValidatorAction::RemoveValidator, "validator-0")
    );
    assert_eq!(change.consensus, None);
    for node in &mut seen.nodes[5..] {
        node.answer.as_mut().unwrap().voting = false;
    }
    let (reason, why) = held(&plan, &seen);
    assert_eq!(reason, reason::QUORUM_GATE);
    assert_eq!(
        why,
        "without validator-0 there are 6 validators and 5 of them have to vote; 4 others do now"
    );
    // The one that leaves doesn't vote itself: nothing is lost with it.
    seen.nodes[5].answer.as_mut().unwrap().voting = true;
    seen.nodes[0].answer.as_mut().unwrap().voting = false;
    assert!(matches!(next(&plan, &seen), Step::Ask(_)));
}

#[test]
fn who_left_isnt_asked_for_again_and_is_stopped_before_all_is_done() {
    let plan = planned(4, &Roster::first(5));
    let after = seen(&plan, &[1, 2, 3, 4], &[0]);
    assert!(held(&plan, &after).1.contains("taken over"));
    let mut roster = Roster::first(5);
    roster.note(0, Standing::Left);
    let plan = planned(4, &roster);
    assert_eq!(next(&plan, &seen(&plan, &[1, 2, 3, 4], &[0])), Step::Done);
    let plan = planned(5, &roster);
    let Step::Ask(change) = next(&plan, &seen(&plan, &[1, 2, 3, 4], &[0])) else {
        panic!()
    };
    assert_eq!(change.name, "validator-5");
}

#[test]
fn a_foreign_validator_with_the_next_name_is_said() {
    let (plan, mut seen) = growing();
    let mut foreign = keys(4);
    foreign.cose = "other".into();
    seen.membership.as_mut().unwrap().now.push(foreign);
    assert!(
        held(&plan, &seen)
            .1
            .contains("another validator with the name validator-4")
    );
}

#[test]
fn without_an_answer_nothing_is_asked() {
    let (plan, mut seen) = growing();
    seen.membership = None;
    assert!(held(&plan, &seen).1.contains("no validator says"));
    let plan = planned(4, &Roster::first(4));
    seen.nodes.truncate(4);
    assert_eq!(next(&plan, &seen), Step::Done);
}
