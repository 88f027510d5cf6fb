//! Publishing templates: what travels beside the statement, what is refused, and which records live by which revision.

use muniment_ledger::execute::governance::TEMPLATE;
use muniment_ledger::state::{Record, attachment_key, record_key, source_key};
use muniment_ledger::template::MAX_SOURCE;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::Outcome;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{Ledger, batch, genesis, key, single};

fn source(revision: u32, word: &str) -> String {
    format!(
        "apiVersion: muniment.dev/v1alpha1
kind: RecordTemplate
metadata: {{ name: notes }}
spec:
  revision: {revision}
  fields:
    type: object
    additionalProperties: false
    properties: {{ note: {{ type: string, maxLength: 100 }} }}
  identity: [creator, input.note]
  regions: {{ note: {{ initial: {word}, states: [{word}, Gone] }} }}
  roles: {{ owner: {{ from: creator }} }}
  actions:
    write:
      creates: true
      by: [anyMember]
      input:
        type: object
        additionalProperties: false
        required: [note]
        properties: {{ note: {{ type: string, maxLength: 100 }} }}
      set: {{ note: input.note }}
    drop:
      by: [owner]
      input: {{ type: object, additionalProperties: false }}
      from: {{ note: [{word}] }}
      to: {{ note: Gone }}
"
    )
}

fn network(threshold: u32) -> Ledger {
    let mut genesis = genesis(&[("notarization", 1, muniment_ledger::templates::NOTARIZATION)]);
    genesis.governance_threshold = threshold;
    Ledger::new(&genesis)
}

fn publishing(ledger: &mut Ledger, name: &str, revision: u32, source: &str) -> Transaction {
    let mut common = ledger.common(&key(1), "publishTemplate");
    common.template = TEMPLATE.to_owned();
    let input = json!({ "name": name, "revision": revision, "sha256": hex::encode(Sha256::digest(source)) });
    let Transaction::Single { statement, signature } = single(common, &key(1), input, None) else {
        unreachable!()
    };
    let attachment = source.as_bytes().to_vec();
    Transaction::Attached {
        statement,
        signature,
        attachment,
    }
}

fn run(ledger: &mut Ledger, transaction: Transaction) -> Outcome {
    let prepared = ledger.admit(transaction).unwrap();
    ledger.block(&[prepared]).outcomes[0][0].clone()
}

fn publish(ledger: &mut Ledger, name: &str, revision: u32, source: &str) -> Outcome {
    let transaction = publishing(ledger, name, revision, source);
    run(ledger, transaction)
}

fn note(ledger: &mut Ledger, action: &str, revision: u32, input: Value, record: Option<[u8; 32]>) -> Outcome {
    let mut common = ledger.common(&key(2), action);
    (common.template, common.revision) = ("notes".to_owned(), revision);
    run(ledger, single(common, &key(2), input, record))
}

fn accepted(outcome: &Outcome) -> [u8; 32] {
    match outcome {
        Outcome::Accepted { record, .. } => *record,
        Outcome::Rejected { .. } => panic!("{outcome:?}"),
    }
}

fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Rejected { code, .. } => code,
        Outcome::Accepted { .. } => panic!("accepted"),
    }
}

#[test]
fn new_records_use_the_newest_revision_and_old_ones_keep_theirs() {
    let mut ledger = network(1);
    assert_eq!(
        code(&note(&mut ledger, "write", 1, json!({ "note": "a" }), None)),
        "UNKNOWN_TEMPLATE"
    );
    accepted(&publish(&mut ledger, "notes", 1, &source(1, "Written")));
    let old = accepted(&note(&mut ledger, "write", 1, json!({ "note": "a" }), None));
    assert_eq!(
        code(&publish(&mut ledger, "notes", 1, &source(1, "Again"))),
        "WRONG_REVISION"
    );
    assert_eq!(
        code(&publish(&mut ledger, "notes", 3, &source(3, "Later"))),
        "WRONG_REVISION"
    );
    accepted(&publish(&mut ledger, "notes", 2, &source(2, "Noted")));
    assert_eq!(
        code(&note(&mut ledger, "write", 1, json!({ "note": "b" }), None)),
        "WRONG_REVISION"
    );
    let new = accepted(&note(&mut ledger, "write", 2, json!({ "note": "b" }), None));
    accepted(&note(&mut ledger, "drop", 1, json!({}), Some(old)));
    accepted(&note(&mut ledger, "drop", 2, json!({}), Some(new)));
    let revision = |id| Record::parse(&ledger.tree.state.0[&record_key(&id)]).unwrap().revision;
    assert_eq!((revision(old), revision(new)), (1, 2));
}

#[test]
fn a_template_and_its_first_record_can_be_in_one_block() {
    let mut ledger = network(1);
    let one = publishing(&mut ledger, "notes", 1, &source(1, "Written"));
    let mut common = ledger.common(&key(2), "write");
    common.template = "notes".to_owned();
    let two = single(common, &key(2), json!({ "note": "a" }), None);
    let block: Vec<_> = [one, two].into_iter().map(|one| ledger.admit(one).unwrap()).collect();
    let outcomes = ledger.block(&block).outcomes;
    for one in outcomes {
        accepted(&one[0]);
    }
}

#[test]
fn what_a_source_says_must_be_what_was_signed() {
    let mut ledger = network(1);
    for (name, revision, text) in [
        ("notes", 1, "kind: [".to_owned()),
        ("notes", 2, source(1, "Written")),
        ("other", 1, source(1, "Written")),
        ("notarization", 2, source(2, "Written")),
    ] {
        assert_eq!(
            code(&publish(&mut ledger, name, revision, &text)),
            "INVALID_TEMPLATE",
            "{name} {revision}"
        );
    }
}

#[test]
fn nobody_can_strip_or_swap_or_smuggle_what_travels_beside_a_statement() {
    let mut ledger = network(1);
    let good = publishing(&mut ledger, "notes", 1, &source(1, "Written"));
    let Transaction::Attached {
        statement,
        signature,
        attachment,
    } = good.clone()
    else {
        unreachable!()
    };
    let refusal = |ledger: &Ledger, one: Transaction| ledger.admit(one).unwrap_err().code;
    let stripped = Transaction::Single {
        statement: statement.clone(),
        signature,
    };
    assert_eq!(refusal(&ledger, stripped), "BAD_ATTACHMENT");
    let mut other = attachment;
    other.push(b' ');
    let swapped = Transaction::Attached {
        statement,
        signature,
        attachment: other,
    };
    assert_eq!(refusal(&ledger, swapped), "BAD_ATTACHMENT");
    let large = publishing(&mut ledger, "notes", 1, &"#".repeat(MAX_SOURCE + 1));
    assert_eq!(refusal(&ledger, large), "TOO_LARGE");
    let common = ledger.common(&key(1), "deposit");
    let Transaction::Single { statement, signature } = single(common, &key(1), super::support::deposit(1), None) else {
        unreachable!()
    };
    let smuggled = Transaction::Attached {
        statement,
        signature,
        attachment: b"a film".to_vec(),
    };
    assert_eq!(refusal(&ledger, smuggled), "BAD_ATTACHMENT");
    let mut common = ledger.common(&key(1), "publishTemplate");
    common.template = TEMPLATE.to_owned();
    let many = batch(
        common,
        &key(1),
        vec![(json!({ "name": "notes", "revision": 1, "sha256": "00" }), None)],
    );
    assert_eq!(refusal(&ledger, many), "BAD_ATTACHMENT");
    accepted(&run(&mut ledger, good));
}

#[test]
fn a_source_waits_in_the_state_until_its_proposal_is_decided() {
    let mut ledger = network(2);
    let decide = |ledger: &mut Ledger, who: u8, action: &str, id| {
        let mut common = ledger.common(&key(who), action);
        common.template = TEMPLATE.to_owned();
        run(ledger, single(common, &key(who), json!({}), Some(id)))
    };
    let first = accepted(&publish(&mut ledger, "notes", 1, &source(1, "Written")));
    let second = accepted(&publish(&mut ledger, "notes", 1, &source(1, "Noted")));
    assert!(ledger.tree.state.0.contains_key(&attachment_key(&first)));
    accepted(&decide(&mut ledger, 2, "approve", first));
    assert!(!ledger.tree.state.0.contains_key(&attachment_key(&first)));
    assert_eq!(
        ledger.tree.state.0[&source_key("notes", 1)],
        source(1, "Written").into_bytes()
    );
    assert_eq!(code(&decide(&mut ledger, 2, "approve", second)), "WRONG_REVISION");
    // When its time is over, any member may clear it away.
    assert_eq!(code(&decide(&mut ledger, 3, "withdraw", second)), "NOT_ALLOWED");
    ledger.time += 8 * 24 * 3_600_000;
    accepted(&decide(&mut ledger, 3, "withdraw", second));
    assert!(!ledger.tree.state.0.contains_key(&attachment_key(&second)));
}
