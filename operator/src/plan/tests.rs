use muniment_crds::{NetworkName, NodeSize, TenantName};
use muniment_receipts::genesis::GenesisTemplate;

use super::*;

fn wanted(count: u32) -> ValidatedNetwork {
    ValidatedNetwork {
        network: NetworkRef {
            tenant: TenantName::new("demo").unwrap(),
            name: NetworkName::new("notary").unwrap(),
        },
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

fn facts(count: u16) -> Facts {
    let seat = |index: u16| Seat {
        keys: ValidatorKeys {
            name: format!("validator-{index}"),
            consensus: format!("c{index}"),
            notary: format!("n{index}"),
            cose: format!("s{index}"),
        },
        api: SocketAddr::from(([127, 0, 0, 1], 8411 + 2 * index)),
        consensus: SocketAddr::from(([127, 0, 0, 1], 8412 + 2 * index)),
        api_url: format!("http://127.0.0.1:{}", 8411 + 2 * index),
        consensus_host: format!("127.0.0.1:{}", 8412 + 2 * index),
    };
    Facts {
        created_at: 7,
        seats: (0..count).map(seat).collect(),
        sealed: None,
        roster: None,
    }
}

#[test]
fn everyone_knows_all_others_and_not_itself() {
    let plan = plan(&wanted(4), &facts(4)).unwrap().network;
    assert_eq!(plan.nodes.len(), 4);
    for node in &plan.nodes {
        let mut names: Vec<&str> = node.peers.iter().map(|p| p.name.as_str()).collect();
        assert!(!names.contains(&node.name.as_str()));
        names.push(&node.name);
        names.sort_unstable();
        assert_eq!(names, ["validator-0", "validator-1", "validator-2", "validator-3"]);
    }
    assert_eq!(plan.genesis.governance_threshold, 1);
    assert_eq!(plan.id, hex::encode(plan.genesis.network_id().unwrap()));
}

#[test]
fn the_revision_names_exactly_what_runs() {
    let first = plan(&wanted(4), &facts(4)).unwrap();
    assert_eq!(first, plan(&wanted(4), &facts(4)).unwrap());
    let mut other = wanted(4);
    other.generation = Some(9);
    assert_eq!(first.revision, plan(&other, &facts(4)).unwrap().revision);
    other.limits.block_actions += 1;
    let changed = plan(&other, &facts(4)).unwrap();
    assert_ne!(first.revision, changed.revision);
    assert_eq!(first.network.id, changed.network.id);
}

#[test]
fn a_sealed_genesis_stays_and_differences_are_named() {
    let mut facts = facts(4);
    let first = plan(&wanted(4), &facts).unwrap();
    facts.sealed = Some(first.network.genesis.clone());
    assert_eq!(plan(&wanted(4), &facts).unwrap(), first);
    let mut other = wanted(7);
    other.templates[0].revision = 2;
    other.members[0].key = "ed25519:y".into();
    let again = plan(&other, &facts).unwrap();
    assert_eq!((&again.network, &again.revision), (&first.network, &first.revision));
    assert_eq!(again.wanted.get(), 4, "who can't bring it about doesn't try");
    let told: Vec<String> = again.deferred.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "spec.validators.count is fixed at 4 by its genesis",
            "spec.templates is fixed by its genesis",
            "spec.members is fixed by its genesis"
        ]
    );
}

#[test]
fn where_validators_may_join_and_leave_all_that_have_a_place_run() {
    let mut facts = facts(4);
    let first = plan(&wanted(4), &facts).unwrap();
    facts.sealed = Some(first.network.genesis.clone());
    facts.seats = self::facts(7).seats;
    let mut roster = Roster::first(4);
    (4..7).for_each(|number| roster.note(number, crate::roster::Standing::New));
    facts.roster = Some(roster);
    let grown = plan(&wanted(7), &facts).unwrap();
    assert_eq!(grown.network.id, first.network.id);
    assert_eq!(
        (grown.network.nodes.len(), grown.wanted.get(), grown.members().get()),
        (7, 7, 4)
    );
    assert!(grown.network.nodes.iter().all(|node| node.peers.len() == 6));
    assert_ne!(grown.revision, first.revision, "those who run learn of the new ones");
    assert!(grown.deferred.is_empty());
    facts.seats.drain(..3);
    let shrunk = plan(&wanted(4), &facts).unwrap();
    assert_eq!(shrunk.network.nodes[0].name, "validator-3");
    facts.seats[0].keys.cose = "new".into();
    assert!(
        plan(&wanted(4), &facts)
            .unwrap_err()
            .to_string()
            .contains("validator-3")
    );
}

#[test]
fn who_signs_must_be_a_member_of_the_sealed_genesis() {
    let wanted = wanted(4);
    let sealed = plan(&wanted, &facts(4)).unwrap().network.genesis;
    check_signers(&wanted.network, &wanted.members, &sealed).unwrap();
    let mut stranger = wanted.members.clone();
    stranger[0].key = "ed25519:new".into();
    let error = check_signers(&wanted.network, &stranger, &sealed)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`demo`") && error.contains("muniment.db"), "{error}");
}

#[test]
fn other_keys_than_the_sealed_ones_are_refused() {
    let mut facts = facts(4);
    facts.sealed = Some(plan(&wanted(4), &facts).unwrap().network.genesis);
    facts.seats[2].keys.notary = "new".into();
    let error = plan(&wanted(4), &facts).unwrap_err().to_string();
    assert!(error.contains("validator-2") && error.contains("backup"), "{error}");
}

#[test]
fn a_plan_survives_json() {
    let plan = plan(&wanted(4), &facts(4)).unwrap().network;
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<NetworkPlan>(&text).unwrap(), plan);
}
