//! Changes of the validator set: when they take effect, what is refused, and that nothing is ever used twice.

use muniment_ledger::execute::governance::TEMPLATE;
use muniment_ledger::state::{VALIDATORS_KEY, Validators, set_height};
use muniment_ledger::wire::Outcome;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Ledger, genesis, key, single};

fn network() -> Ledger {
    Ledger::new(&genesis(&[(
        "notarization",
        1,
        muniment_ledger::templates::NOTARIZATION,
    )]))
}

fn validator(name: &str, seed: u8) -> Value {
    let hex = |n: u8| hex::encode(key(seed + n).verifying_key().to_bytes());
    json!({ "name": name, "consensus": hex(0), "notary": hex(1), "cose": hex(2) })
}

fn govern(ledger: &mut Ledger, actions: Vec<(&str, Value)>) -> Vec<Outcome> {
    let mut block = Vec::new();
    for (action, input) in actions {
        let mut common = ledger.common(&key(1), action);
        common.template = TEMPLATE.to_owned();
        block.push(ledger.admit(single(common, &key(1), input, None)).unwrap());
    }
    ledger.block(&block).outcomes.concat()
}

fn one(ledger: &mut Ledger, action: &str, input: Value) -> Outcome {
    govern(ledger, vec![(action, input)]).remove(0)
}

fn code(outcome: &Outcome) -> (&str, &str) {
    match outcome {
        Outcome::Rejected { code, pointer, .. } => (code, pointer),
        Outcome::Accepted { .. } => ("", ""),
    }
}

fn sets(ledger: &Ledger) -> Validators {
    serde_json::from_slice(&ledger.tree.state.0[VALIDATORS_KEY]).unwrap()
}

fn names(ledger: &Ledger, height: u64) -> Vec<String> {
    sets(ledger).at(height).iter().map(|one| one.name.clone()).collect()
}

#[test]
fn a_change_decides_the_second_height_after_it() {
    let mut ledger = network();
    assert_eq!(
        code(&one(&mut ledger, "addValidator", validator("validator-4", 40))),
        ("", "")
    );
    assert_eq!(ledger.height, 1);
    assert_eq!((names(&ledger, 2).len(), names(&ledger, 3).len()), (4, 5));
    assert_eq!(names(&ledger, 3)[4], "validator-4");
    // The next block may decide the next change, and what both changed is kept by height.
    assert_eq!(
        code(&one(&mut ledger, "removeValidator", json!({ "name": "validator-0" }))),
        ("", "")
    );
    assert_eq!((names(&ledger, 3).len(), names(&ledger, 4).len()), (5, 4));
    let kept: Vec<u64> = ledger.tree.state.0.keys().filter_map(|key| set_height(key)).collect();
    assert_eq!(kept, [3, 4]);
}

#[test]
fn one_change_a_block() {
    let mut ledger = network();
    let both = vec![
        ("addValidator", validator("validator-4", 40)),
        ("addValidator", validator("validator-5", 50)),
    ];
    let outcomes = govern(&mut ledger, both);
    assert_eq!(code(&outcomes[0]), ("", ""));
    assert_eq!(code(&outcomes[1]), ("VALIDATORS_CHANGING", "/action"));
}

#[test]
fn refusals_have_their_codes() {
    let mut ledger = network();
    let member = hex::encode(key(2).verifying_key().to_bytes());
    let mut of_member = validator("validator-4", 40);
    of_member["notary"] = json!(member);
    let mut twice = validator("validator-4", 40);
    twice["cose"] = twice["notary"].clone();
    let cases = [
        (
            "addValidator",
            validator("validator-3", 40),
            "ALREADY_USED",
            "/input/name",
        ),
        (
            "addValidator",
            validator("validator-4", 104),
            "ALREADY_USED",
            "/input/consensus",
        ),
        ("addValidator", of_member, "ALREADY_USED", "/input/notary"),
        ("addValidator", twice, "INVALID_INPUT", "/input"),
        ("addValidator", validator("Validator 4", 40), "INVALID_INPUT", "/input"),
        (
            "addValidator",
            json!({ "name": "validator-4" }),
            "INVALID_INPUT",
            "/input",
        ),
        (
            "removeValidator",
            json!({ "name": "validator-9" }),
            "NO_SUCH_VALIDATOR",
            "/input/name",
        ),
        (
            "removeValidator",
            json!({ "name": "validator-0" }),
            "TOO_FEW_VALIDATORS",
            "/input/name",
        ),
    ];
    for (action, input, want, pointer) in cases {
        let outcome = one(&mut ledger, action, input.clone());
        assert_eq!(code(&outcome), (want, pointer), "{action} {input}");
    }
}

#[test]
fn nothing_of_a_removed_validator_comes_back() {
    let mut ledger = network();
    let gone = validator("validator-4", 40);
    assert_eq!(code(&one(&mut ledger, "addValidator", gone.clone())), ("", ""));
    assert_eq!(
        code(&one(&mut ledger, "removeValidator", json!({ "name": "validator-4" }))),
        ("", "")
    );
    // The change is long in force.
    govern(&mut ledger, vec![]);
    govern(&mut ledger, vec![]);
    assert_eq!(
        code(&one(&mut ledger, "addValidator", gone.clone())),
        ("ALREADY_USED", "/input/name")
    );
    let mut renamed = gone.clone();
    renamed["name"] = json!("validator-5");
    assert_eq!(
        code(&one(&mut ledger, "addValidator", renamed)),
        ("ALREADY_USED", "/input/consensus")
    );
    let mut mixed = validator("validator-5", 50);
    mixed["consensus"] = gone["cose"].clone();
    assert_eq!(
        code(&one(&mut ledger, "addValidator", mixed)),
        ("ALREADY_USED", "/input/consensus")
    );
    let member = muniment_receipts::key::SignerKey::ed25519(&key(41).verifying_key().to_bytes());
    let as_member = one(
        &mut ledger,
        "addMember",
        json!({ "key": member.to_string(), "name": "x" }),
    );
    assert_eq!(code(&as_member), ("INVALID_INPUT", "/input/key"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn sets_change_by_one_and_never_fall_below_four(steps in prop::collection::vec((any::<bool>(), 0usize..8), 1..30)) {
        let mut ledger = network();
        let mut seed = 116u8;
        for (add, at) in steps {
            let before: Vec<String> = sets(&ledger).next.iter().map(|one| one.name.clone()).collect();
            let height = ledger.height + 1;
            let outcome = if add && seed < 240 {
                seed += 4;
                one(&mut ledger, "addValidator", validator(&format!("validator-{seed}"), seed))
            } else {
                one(&mut ledger, "removeValidator", json!({ "name": before[at % before.len()] }))
            };
            let after = sets(&ledger);
            prop_assert!(after.next.len() >= 4);
            if matches!(outcome, Outcome::Accepted { .. }) {
                prop_assert_eq!(after.from, height + 2);
                prop_assert_eq!(after.next.len().abs_diff(before.len()), 1);
                let now: Vec<String> = after.now.iter().map(|one| one.name.clone()).collect();
                prop_assert_eq!(now, before);
            } else {
                prop_assert_eq!(after.next.len(), before.len());
            }
        }
    }
}
