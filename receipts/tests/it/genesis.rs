//! What a genesis must be.

use std::error::Error;

use muniment_receipts::genesis::{
    Genesis, GenesisError, MAX_GENESIS, MAX_MEMBERS, MAX_TEMPLATE_SOURCE, MAX_TEMPLATES, MAX_VALIDATORS,
};

use crate::world::{genesis, signing_key};

fn refused(change: impl FnOnce(&mut Genesis)) -> String {
    let (_, mut genesis, _) = genesis(4);
    change(&mut genesis);
    let error = genesis.validate().expect_err("must be refused");
    assert!(Genesis::parse(&genesis.canonical().unwrap()).is_err());
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn a_good_one_passes_in_any_spelling() {
    let (_, good, _) = genesis(4);
    let canonical = good.canonical().unwrap();
    assert_eq!(Genesis::parse(&canonical).unwrap(), good);
    let pretty = serde_json::to_vec_pretty(&good).unwrap();
    assert_eq!(
        Genesis::parse(&pretty).unwrap().network_id().unwrap(),
        good.network_id().unwrap()
    );
    let mut long = canonical.clone();
    long.resize(MAX_GENESIS, b' ');
    assert_eq!(Genesis::parse(&long).unwrap(), good);
    long.push(b' ');
    assert!(matches!(Genesis::parse(&long), Err(GenesisError::TooLong(_))));
    let unknown = String::from_utf8(canonical).unwrap().replacen('{', "{\"a\":1,", 1);
    assert!(matches!(Genesis::parse(unknown.as_bytes()), Err(GenesisError::Json(_))));
}

#[test]
fn each_mistake_is_named() {
    let hex = |seed: &str| hex::encode(signing_key(seed).verifying_key().as_bytes());
    // The identity, and a point with a small-order component: the order-2 point plus a good one is easiest as bytes of
    // CCTV; here the known points of order 1, 2 and 8 must do, the vectors test the rest.
    let one = format!("01{}", "00".repeat(31));
    let two = format!("ec{}7f", "ff".repeat(30));
    let eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".to_owned();
    let cases: Vec<(&str, String)> = vec![
        ("/type", refused(|g| g.kind = "muniment.dev/genesis/v2".into())),
        ("/name", refused(|g| g.name = "Demo".into())),
        ("/name", refused(|g| g.name = "a/".into())),
        ("/createdAt", refused(|g| g.created_at = 1 << 53)),
        ("/validators", refused(|g| g.validators.clear())),
        (
            "/validators",
            refused(|g| {
                for index in 4..=MAX_VALIDATORS {
                    let name = format!("more-{index}");
                    g.validators
                        .push(crate::world::public(&name, &crate::world::keys(&name)));
                }
            }),
        ),
        (
            "/validators/1/name",
            refused(|g| g.validators[1].name = "validator-0".into()),
        ),
        (
            "/validators/1/name",
            refused(|g| g.validators[1].name = "Validator".into()),
        ),
        ("/validators/1/name", refused(|g| g.validators[1].name = "-a".into())),
        ("/validators/1/name", refused(|g| g.validators[1].name = "none".into())),
        (
            "/validators/1/name",
            refused(|g| g.validators[1].name = "validators".into()),
        ),
        ("/validators/1/name", refused(|g| g.validators[1].name = "a".repeat(64))),
        (
            "/validators/2/cose",
            refused(|g| g.validators[2].cose = g.validators[0].notary.clone()),
        ),
        ("/validators/2/notary", refused(|g| g.validators[2].notary.truncate(62))),
        (
            "/validators/2/notary",
            refused(|g| g.validators[2].notary = g.validators[2].notary.to_uppercase()),
        ),
        (
            "/validators/0/consensus",
            refused(|g| g.validators[0].consensus = one.clone()),
        ),
        (
            "/validators/0/consensus",
            refused(|g| g.validators[0].consensus = two.clone()),
        ),
        (
            "/validators/0/consensus",
            refused(|g| g.validators[0].consensus = eight.clone()),
        ),
        ("/members/0/key", refused(|g| g.members[0].key = "ed25519:".into())),
        (
            "/members/0/key",
            refused(|g| {
                let key = hex::decode(&g.validators[0].cose).unwrap();
                g.members[0].key = format!("ed25519:{}", muniment_receipts::encoding::base64url(key));
            }),
        ),
        ("/members/1/key", refused(|g| g.members.push(g.members[0].clone()))),
        (
            // Before any key is unpacked: else this would be about /members/1/key.
            "/members",
            refused(|g| g.members = vec![g.members[0].clone(); MAX_MEMBERS + 1]),
        ),
        (
            "/templates",
            refused(|g| g.templates = vec![g.templates[0].clone(); MAX_TEMPLATES + 1]),
        ),
        (
            "/templates/0/source",
            refused(|g| g.templates[0].source = " ".repeat(MAX_TEMPLATE_SOURCE + 1)),
        ),
        ("/templates/0/name", refused(|g| g.templates[0].name = "a b".into())),
        ("/templates/0/revision", refused(|g| g.templates[0].revision = 0)),
        ("/templates/1", refused(|g| g.templates.push(g.templates[0].clone()))),
        ("/governanceThreshold", refused(|g| g.governance_threshold = 0)),
        ("/governanceThreshold", refused(|g| g.governance_threshold = 2)),
    ];
    for (field, message) in cases {
        assert!(
            message.starts_with(&format!("{field}: ")),
            "{field} is not named: {message}"
        );
    }
    assert_ne!(hex("a"), hex("b"));
}

#[test]
fn what_could_not_be_read_again_is_not_valid() {
    let (_, mut genesis, _) = genesis(4);
    let template = genesis.templates[0].clone();
    // Each alone is within its limits, and so is their number.
    genesis.templates = (1..=200)
        .map(|revision| {
            let mut one = template.clone();
            (one.revision, one.source) = (revision, "#".repeat(MAX_TEMPLATE_SOURCE));
            one
        })
        .collect();
    assert!(matches!(genesis.validate(), Err(GenesisError::TooLong(size)) if size > MAX_GENESIS));
    genesis.templates.truncate(100);
    genesis.validate().unwrap();
    Genesis::parse(&genesis.canonical().unwrap()).unwrap();
}
