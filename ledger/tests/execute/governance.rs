//! Governance: every code, and random histories on which the executor and a plain model must agree.

use std::collections::{BTreeMap, BTreeSet};

use muniment_ledger::execute::governance::{REGION, TEMPLATE};
use muniment_ledger::state::{GOVERNANCE_KEY, Governance, MemberEntry, Record, record_key};
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::Outcome;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Ledger, batch, deposit, genesis, key, signer, single};

const DAY: u64 = 24 * 3_600_000;

fn network(threshold: u32) -> Ledger {
    let notary = ("notarization", 1, muniment_ledger::templates::NOTARIZATION);
    let mut genesis = genesis(&[notary]);
    genesis.governance_threshold = threshold;
    Ledger::new(&genesis)
}

fn text(seed: u8) -> String {
    signer(&key(seed)).to_string()
}

fn statement(ledger: &mut Ledger, who: u8, action: &str, input: Value, record: Option<[u8; 32]>) -> Transaction {
    let mut common = ledger.common(&key(who), action);
    common.template = TEMPLATE.to_owned();
    single(common, &key(who), input, record)
}

/// Runs one governance action in a block of its own, and holds what must hold after every block.
fn govern(ledger: &mut Ledger, who: u8, action: &str, input: Value, record: Option<[u8; 32]>) -> Outcome {
    let transaction = statement(ledger, who, action, input, record);
    let prepared = ledger.admit(transaction).unwrap();
    let execution = ledger.block(&[prepared]);
    let outcome = execution.outcomes[0][0].clone();
    if matches!(outcome, Outcome::Rejected { .. }) {
        assert!(execution.changes.is_empty() && execution.leaves.is_empty());
    }
    sound(ledger);
    outcome
}

/// At least one member, no more must agree than there are, and the number of members is what it says.
fn sound(ledger: &Ledger) -> (Governance, BTreeMap<String, MemberEntry>) {
    let state = &ledger.tree.state.0;
    let policy: Governance = serde_json::from_slice(&state[GOVERNANCE_KEY]).unwrap();
    let members: BTreeMap<String, MemberEntry> = state
        .iter()
        .filter(|(key, _)| key[0] == b'm')
        .map(|(key, value)| {
            let name = String::from_utf8(key[1..].to_vec()).unwrap();
            (name, serde_json::from_slice(value).unwrap())
        })
        .collect();
    assert_eq!(policy.members as usize, members.len());
    assert!(policy.threshold >= 1 && policy.threshold <= policy.members.max(1));
    assert!(!members.is_empty());
    assert!(members.iter().all(|(key, entry)| *key == entry.key));
    (policy, members)
}

fn accepted(outcome: &Outcome) -> [u8; 32] {
    match outcome {
        Outcome::Accepted { record, .. } => *record,
        Outcome::Rejected { .. } => panic!("{outcome:?}"),
    }
}

fn code(outcome: &Outcome) -> (&str, &str) {
    match outcome {
        Outcome::Rejected {
            code, pointer, message, ..
        } => {
            assert!(!message.is_empty());
            (code, pointer)
        }
        Outcome::Accepted { .. } => panic!("accepted"),
    }
}

fn state_of(ledger: &Ledger, id: &[u8; 32]) -> String {
    Record::parse(&ledger.tree.state.0[&record_key(id)]).unwrap().regions[REGION].clone()
}

fn add(seed: u8) -> Value {
    json!({ "key": text(seed), "name": format!("member-{seed}") })
}

#[test]
fn with_a_threshold_of_one_a_change_takes_effect_at_once() {
    let mut ledger = network(1);
    let stranger = single(ledger.common(&key(4), "deposit"), &key(4), deposit(1), None);
    let stranger = ledger.admit(stranger).unwrap();
    assert_eq!(ledger.admissible(&stranger).unwrap_err().code, "NOT_A_MEMBER");
    let id = accepted(&govern(&mut ledger, 1, "addMember", add(4), None));
    assert_eq!(state_of(&ledger, &id), "enacted");
    ledger.admissible(&stranger).unwrap();
    assert!(matches!(
        ledger.block(&[stranger]).outcomes[0][0],
        Outcome::Accepted { .. }
    ));
    accepted(&govern(&mut ledger, 4, "removeMember", json!({ "key": text(1) }), None));
    let (policy, members) = sound(&ledger);
    assert_eq!(policy.members, 3);
    assert!(!members.contains_key(&text(1)) && members[&text(4)].name == "member-4");
    let gone = statement(&mut ledger, 1, "addMember", add(5), None);
    let gone = ledger.admit(gone).unwrap();
    assert_eq!(ledger.admissible(&gone).unwrap_err().code, "NOT_A_MEMBER");
    assert_eq!(code(&ledger.block(&[gone]).outcomes[0][0]), ("NOT_A_MEMBER", "/signer"));
}

#[test]
fn a_change_is_in_force_for_the_next_transaction_of_the_same_block() {
    let mut ledger = network(1);
    let one = statement(&mut ledger, 1, "addMember", add(4), None);
    let two = single(ledger.common(&key(4), "deposit"), &key(4), deposit(1), None);
    let three = statement(&mut ledger, 1, "removeMember", json!({ "key": text(4) }), None);
    let four = single(ledger.common(&key(4), "deposit"), &key(4), deposit(2), None);
    let block: Vec<_> = [one, two, three, four]
        .into_iter()
        .map(|one| ledger.admit(one).unwrap())
        .collect();
    let outcomes = ledger.block(&block).outcomes;
    assert!(
        outcomes[..3]
            .iter()
            .all(|one| matches!(one[0], Outcome::Accepted { .. })),
        "{outcomes:?}"
    );
    assert_eq!(code(&outcomes[3][0]), ("NOT_A_MEMBER", "/signer"));
}

#[test]
fn a_member_that_removes_itself_in_a_batch_can_do_no_more_in_it() {
    let mut ledger = network(1);
    let mut common = ledger.common(&key(1), "removeMember");
    common.template = TEMPLATE.to_owned();
    let items = [1, 2].map(|seed| (json!({ "key": text(seed) }), None)).to_vec();
    let prepared = ledger.admit(batch(common, &key(1), items)).unwrap();
    let outcomes = ledger.block(&[prepared]).outcomes;
    accepted(&outcomes[0][0]);
    assert_eq!(code(&outcomes[0][1]), ("NOT_A_MEMBER", "/signer"));
    assert_eq!(sound(&ledger).0.members, 2);
}

#[test]
fn two_of_three_must_agree_and_a_removed_members_approval_is_gone_for_good() {
    let mut ledger = network(2);
    let id = accepted(&govern(&mut ledger, 1, "addMember", add(4), None));
    assert_eq!(state_of(&ledger, &id), "open");
    assert_eq!(
        code(&govern(&mut ledger, 1, "approve", json!({}), Some(id))),
        ("ALREADY_APPROVED", "/record")
    );
    // The proposer is removed and comes back: its approval doesn't.
    for (action, input) in [("removeMember", json!({ "key": text(1) })), ("addMember", add(1))] {
        let other = accepted(&govern(&mut ledger, 2, action, input, None));
        accepted(&govern(&mut ledger, 3, "approve", json!({}), Some(other)));
        assert_eq!(state_of(&ledger, &other), "enacted");
    }
    accepted(&govern(&mut ledger, 2, "approve", json!({}), Some(id)));
    assert_eq!(state_of(&ledger, &id), "open");
    accepted(&govern(&mut ledger, 3, "approve", json!({}), Some(id)));
    assert_eq!(state_of(&ledger, &id), "enacted");
    assert!(sound(&ledger).1.contains_key(&text(4)));
    assert_eq!(
        code(&govern(&mut ledger, 1, "approve", json!({}), Some(id))),
        ("WRONG_STATE", "/record")
    );
    assert_eq!(
        code(&govern(&mut ledger, 1, "withdraw", json!({}), Some(id))),
        ("WRONG_STATE", "/record")
    );
}

#[test]
fn a_proposal_with_enough_approvals_after_the_threshold_fell_needs_one_more_word_only() {
    let mut ledger = network(3);
    let id = accepted(&govern(&mut ledger, 1, "addMember", add(4), None));
    accepted(&govern(&mut ledger, 2, "approve", json!({}), Some(id)));
    let lower = accepted(&govern(&mut ledger, 1, "setThreshold", json!({ "threshold": 2 }), None));
    for who in [2, 3] {
        accepted(&govern(&mut ledger, who, "approve", json!({}), Some(lower)));
    }
    assert_eq!(state_of(&ledger, &id), "open");
    accepted(&govern(&mut ledger, 2, "approve", json!({}), Some(id)));
    assert_eq!(state_of(&ledger, &id), "enacted");
}

#[test]
fn a_proposal_is_judged_again_when_it_is_decided() {
    let mut ledger = network(2);
    let first = accepted(&govern(&mut ledger, 1, "addMember", add(4), None));
    let second = accepted(&govern(&mut ledger, 2, "addMember", add(4), None));
    accepted(&govern(&mut ledger, 2, "approve", json!({}), Some(first)));
    let again = govern(&mut ledger, 1, "approve", json!({}), Some(second));
    assert_eq!(code(&again), ("ALREADY_A_MEMBER", "/input/key"));
    assert_eq!(state_of(&ledger, &second), "open");
    let foreign = govern(&mut ledger, 1, "withdraw", json!({}), Some(second));
    assert_eq!(code(&foreign), ("NOT_ALLOWED", "/signer"));
    accepted(&govern(&mut ledger, 2, "withdraw", json!({}), Some(second)));
    assert_eq!(state_of(&ledger, &second), "withdrawn");
}

#[test]
fn a_proposal_ends() {
    let mut ledger = network(2);
    let now = ledger.time;
    for (expires, good) in [(now, false), (now + 1_000 + 30 * DAY, false), (now + DAY, true)] {
        let mut input = add(4);
        input["expires"] = json!(expires);
        let outcome = govern(&mut ledger, 1, "addMember", input, None);
        if good {
            let id = accepted(&outcome);
            ledger.time = now + DAY;
            accepted(&govern(&mut ledger, 1, "setThreshold", json!({ "threshold": 2 }), None));
            ledger.time = now + DAY + 1;
            let late = govern(&mut ledger, 2, "approve", json!({}), Some(id));
            assert_eq!(code(&late), ("PROPOSAL_EXPIRED", "/record"));
        } else {
            assert_eq!(code(&outcome), ("INVALID_INPUT", "/input/expires"));
            ledger.time = now;
        }
    }
}

/// Action, input, code and place of a refusal.
type Refused = (&'static str, Value, &'static str, &'static str);

fn refused_members() -> Vec<Refused> {
    let validator = signer(&key(101)).to_string();
    vec![
        (
            "addMember",
            json!({ "key": text(2), "name": "again" }),
            "ALREADY_A_MEMBER",
            "/input/key",
        ),
        (
            "addMember",
            json!({ "key": validator, "name": "v" }),
            "INVALID_INPUT",
            "/input/key",
        ),
        (
            "addMember",
            json!({ "key": "ed25519:AAAA", "name": "v" }),
            "INVALID_INPUT",
            "/input/key",
        ),
        (
            "addMember",
            json!({ "key": format!("ed25519:{}", "A".repeat(43)), "name": "v" }),
            "INVALID_INPUT",
            "/input/key",
        ),
        (
            "addMember",
            json!({ "key": text(4), "name": "" }),
            "INVALID_INPUT",
            "/input/name",
        ),
        (
            "addMember",
            json!({ "key": text(4), "name": " x" }),
            "INVALID_INPUT",
            "/input/name",
        ),
        (
            "addMember",
            json!({ "key": text(4), "name": "a\u{7}" }),
            "INVALID_INPUT",
            "/input/name",
        ),
        (
            "addMember",
            json!({ "key": text(4), "name": "x".repeat(101) }),
            "INVALID_INPUT",
            "/input/name",
        ),
        ("addMember", json!({ "key": text(4) }), "INVALID_INPUT", "/input"),
        (
            "addMember",
            json!({ "key": text(4), "name": "x", "role": "king" }),
            "UNKNOWN_FIELD",
            "/input/role",
        ),
    ]
}

fn refused_others() -> Vec<Refused> {
    vec![
        (
            "removeMember",
            json!({ "key": text(9) }),
            "NO_SUCH_MEMBER",
            "/input/key",
        ),
        (
            "replaceKey",
            json!({ "key": text(9), "newKey": text(4) }),
            "NO_SUCH_MEMBER",
            "/input/key",
        ),
        (
            "replaceKey",
            json!({ "key": text(1), "newKey": text(2) }),
            "ALREADY_A_MEMBER",
            "/input/newKey",
        ),
        (
            "setThreshold",
            json!({ "threshold": 0 }),
            "INVALID_INPUT",
            "/input/threshold",
        ),
        (
            "setThreshold",
            json!({ "threshold": 4 }),
            "THRESHOLD_OUT_OF_RANGE",
            "/input/threshold",
        ),
        (
            "setThreshold",
            json!({ "threshold": "2" }),
            "INVALID_INPUT",
            "/input/threshold",
        ),
        ("setThreshold", json!({}), "INVALID_INPUT", "/input/threshold"),
        ("approve", json!({}), "MALFORMED", "/record"),
        ("crown", json!({}), "UNKNOWN_ACTION", "/action"),
    ]
}

#[test]
fn every_refusal_has_its_code_and_place() {
    let mut ledger = network(1);
    let p256 = "p256:A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW";
    for (action, input, want, pointer) in refused_members().into_iter().chain(refused_others()) {
        let outcome = govern(&mut ledger, 1, action, input.clone(), None);
        assert_eq!(code(&outcome), (want, pointer), "{action} {input}");
    }
    let nowhere = govern(&mut ledger, 1, "approve", json!({}), Some([7; 32]));
    assert_eq!(code(&nowhere), ("NO_SUCH_RECORD", "/record"));
    let named = govern(&mut ledger, 1, "addMember", add(4), Some([7; 32]));
    assert_eq!(code(&named), ("MALFORMED", "/record"));
    accepted(&govern(
        &mut ledger,
        1,
        "addMember",
        json!({ "key": p256, "name": "a browser" }),
        None,
    ));
    // A record of another template is no proposal.
    let common = ledger.common(&key(1), "deposit");
    let prepared = ledger.admit(single(common, &key(1), deposit(1), None)).unwrap();
    let record = accepted(&ledger.block(&[prepared]).outcomes[0][0]);
    let wrong = govern(&mut ledger, 1, "approve", json!({}), Some(record));
    assert_eq!(code(&wrong), ("NO_SUCH_RECORD", "/record"));
    let mut common = ledger.common(&key(1), "addMember");
    (common.template, common.revision) = (TEMPLATE.to_owned(), 2);
    let prepared = ledger.admit(single(common, &key(1), add(5), None)).unwrap();
    assert_eq!(ledger.admissible(&prepared).unwrap_err().code, "WRONG_REVISION");
    assert_eq!(
        code(&ledger.block(&[prepared]).outcomes[0][0]),
        ("WRONG_REVISION", "/revision")
    );
}

#[test]
fn the_last_member_and_those_who_must_agree_stay() {
    let mut ledger = network(2);
    for _ in 0..1 {
        let id = accepted(&govern(&mut ledger, 1, "removeMember", json!({ "key": text(3) }), None));
        accepted(&govern(&mut ledger, 2, "approve", json!({}), Some(id)));
    }
    let short = govern(&mut ledger, 1, "removeMember", json!({ "key": text(2) }), None);
    assert_eq!(code(&short), ("THRESHOLD_OUT_OF_RANGE", "/input/key"));
    let id = accepted(&govern(&mut ledger, 1, "setThreshold", json!({ "threshold": 1 }), None));
    accepted(&govern(&mut ledger, 2, "approve", json!({}), Some(id)));
    accepted(&govern(&mut ledger, 1, "removeMember", json!({ "key": text(2) }), None));
    let last = govern(&mut ledger, 1, "removeMember", json!({ "key": text(1) }), None);
    assert_eq!(code(&last), ("LAST_MEMBER", "/input/key"));
    accepted(&govern(
        &mut ledger,
        1,
        "replaceKey",
        json!({ "key": text(1), "newKey": text(5) }),
        None,
    ));
    let old = govern(&mut ledger, 1, "addMember", add(6), None);
    assert_eq!(code(&old), ("NOT_A_MEMBER", "/signer"));
    accepted(&govern(&mut ledger, 5, "addMember", add(6), None));
}

#[test]
fn a_replayed_approval_counts_once() {
    let mut ledger = network(3);
    let id = accepted(&govern(&mut ledger, 1, "addMember", add(4), None));
    let approval = statement(&mut ledger, 2, "approve", json!({}), Some(id));
    let approval = ledger.admit(approval).unwrap();
    let outcomes = ledger.block(&[approval.clone(), approval.clone()]).outcomes;
    accepted(&outcomes[0][0]);
    assert_eq!(code(&outcomes[1][0]).0, "REPLAYED");
    assert_eq!(code(&ledger.block(&[approval]).outcomes[0][0]).0, "REPLAYED");
    assert_eq!(state_of(&ledger, &id), "open");
}

/// One attempt. Members are seeds 1 to 6, proposals by number.
#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Remove(u8),
    Replace(u8, u8),
    Threshold(u32),
    Approve(usize),
    Withdraw(usize),
}

fn step() -> impl Strategy<Value = (u8, Step)> {
    let member = 1u8..=6;
    let what = prop_oneof![
        member.clone().prop_map(Step::Add),
        member.clone().prop_map(Step::Remove),
        (member.clone(), member.clone()).prop_map(|(one, two)| Step::Replace(one, two)),
        (1u32..=4).prop_map(Step::Threshold),
        (0usize..8).prop_map(Step::Approve),
        (0usize..8).prop_map(Step::Approve),
        (0usize..8).prop_map(Step::Approve),
        (0usize..8).prop_map(Step::Withdraw),
    ];
    (member, what)
}

#[derive(Clone, Debug)]
struct Open {
    by: u8,
    change: Step,
    /// Membership numbers, not keys: a new membership under an old key is another one.
    approvals: BTreeSet<u32>,
    open: bool,
}

/// The rules once more, over memberships that each have a number of their own.
#[derive(Default)]
struct Model {
    members: BTreeMap<u8, u32>,
    next: u32,
    threshold: usize,
    proposals: Vec<Open>,
}

impl Model {
    fn join(&mut self, who: u8) {
        self.next += 1;
        self.members.insert(who, self.next);
    }

    fn possible(&self, change: &Step) -> bool {
        let known = |who: &u8| self.members.contains_key(who);
        match change {
            Step::Add(who) => !known(who),
            Step::Remove(who) => known(who) && self.members.len() > self.threshold,
            Step::Replace(one, two) => known(one) && !known(two),
            Step::Threshold(n) => *n as usize <= self.members.len(),
            Step::Approve(_) | Step::Withdraw(_) => false,
        }
    }

    fn enact(&mut self, change: &Step) {
        match change {
            Step::Add(who) => self.join(*who),
            Step::Remove(who) => drop(self.members.remove(who)),
            Step::Replace(one, two) => {
                self.members.remove(one);
                self.join(*two);
            }
            Step::Threshold(n) => self.threshold = *n as usize,
            Step::Approve(_) | Step::Withdraw(_) => {}
        }
    }

    /// Whether it is accepted.
    fn step(&mut self, who: u8, step: &Step) -> bool {
        let Some(&me) = self.members.get(&who) else {
            return false;
        };
        match step {
            Step::Withdraw(at) => match self.proposals.get_mut(*at) {
                Some(one) if one.open && one.by == who => {
                    one.open = false;
                    true
                }
                _ => false,
            },
            Step::Approve(at) => {
                let Some(one) = self.proposals.get(*at).filter(|one| one.open).cloned() else {
                    return false;
                };
                let present: BTreeSet<u32> = self.members.values().copied().collect();
                let mut approvals: BTreeSet<u32> = one.approvals.intersection(&present).copied().collect();
                let again = !approvals.insert(me);
                let enough = approvals.len() >= self.threshold;
                if again && !enough || enough && !self.possible(&one.change) {
                    return false;
                }
                if enough {
                    self.enact(&one.change);
                }
                let kept = &mut self.proposals[*at];
                (kept.approvals, kept.open) = (approvals, !enough);
                true
            }
            change => {
                if !self.possible(change) {
                    return false;
                }
                let enough = self.threshold <= 1;
                if enough {
                    self.enact(change);
                }
                let (change, approvals) = (change.clone(), [me].into());
                self.proposals.push(Open {
                    by: who,
                    change,
                    approvals,
                    open: !enough,
                });
                true
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn executor_and_model_agree(threshold in 1u32..=3, steps in prop::collection::vec(step(), 1..60)) {
        let mut ledger = network(threshold);
        let mut model = Model { threshold: threshold as usize, ..Model::default() };
        (1..=3).for_each(|who| model.join(who));
        let mut ids = Vec::new();
        for (who, step) in &steps {
            let id = |at: &usize| Some(ids.get(*at).copied().unwrap_or([9; 32]));
            let (action, input, record) = match step {
                Step::Add(seed) => ("addMember", add(*seed), None),
                Step::Remove(seed) => ("removeMember", json!({ "key": text(*seed) }), None),
                Step::Replace(one, two) => ("replaceKey", json!({ "key": text(*one), "newKey": text(*two) }), None),
                Step::Threshold(n) => ("setThreshold", json!({ "threshold": n }), None),
                Step::Approve(at) => ("approve", json!({}), id(at)),
                Step::Withdraw(at) => ("withdraw", json!({}), id(at)),
            };
            let outcome = govern(&mut ledger, *who, action, input, record);
            let good = model.step(*who, step);
            prop_assert_eq!(matches!(outcome, Outcome::Accepted { .. }), good, "{:?} {:?}: {:?}", who, step, outcome);
            if let (Outcome::Accepted { record, .. }, None) = (&outcome, record) {
                ids.push(*record);
            }
            let (policy, members) = sound(&ledger);
            prop_assert_eq!(policy.threshold as usize, model.threshold);
            let wanted: BTreeSet<String> = model.members.keys().map(|who| text(*who)).collect();
            prop_assert_eq!(members.into_keys().collect::<BTreeSet<_>>(), wanted);
            for (id, one) in ids.iter().zip(&model.proposals) {
                prop_assert_eq!(state_of(&ledger, id) == "open", one.open);
            }
        }
    }
}
