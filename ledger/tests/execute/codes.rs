//! Every refusal of admission and every rejection of the executor, by its code.

use muniment_ledger::execute::leaves;
use muniment_ledger::state::{Record, record_key};
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::Outcome;
use serde_json::{Value, json};

use super::support::{Ledger, batch, batch_of, deposit, genesis, key, signer, single};

/// Code, pointer and record of the only outcome.
fn rejected(outcome: &Outcome) -> (&str, &str, Option<[u8; 32]>) {
    match outcome {
        Outcome::Rejected {
            code,
            pointer,
            record,
            message,
        } => {
            assert!(!message.is_empty());
            (code, pointer, *record)
        }
        Outcome::Accepted { .. } => panic!("accepted: {outcome:?}"),
    }
}

fn accepted(outcome: &Outcome) -> ([u8; 32], u32, u64) {
    match outcome {
        Outcome::Accepted {
            record, version, leaf, ..
        } => (*record, *version, *leaf),
        Outcome::Rejected { .. } => panic!("{outcome:?}"),
    }
}

/// Runs one action in a block of its own.
fn act(ledger: &mut Ledger, signer: u8, action: &str, input: Value, record: Option<[u8; 32]>) -> Outcome {
    let common = ledger.common(&key(signer), action);
    let prepared = ledger.admit(single(common, &key(signer), input, record)).unwrap();
    let before = ledger.records();
    let execution = ledger.block(&[prepared]);
    if matches!(execution.outcomes[0][0], Outcome::Rejected { .. }) {
        assert_eq!(ledger.records(), before, "a rejected action changed something");
        assert!(execution.leaves.is_empty() && execution.history.is_empty() && execution.changes.is_empty());
    }
    execution.outcomes[0][0].clone()
}

#[test]
fn deposit_withdraw_and_supersede_leave_the_records_they_should() {
    let mut ledger = Ledger::notary();
    let (first, version, leaf) = accepted(&act(&mut ledger, 1, "deposit", deposit(1), None));
    assert_eq!((version, leaf), (1, 0));
    let (second, _, leaf) = accepted(&act(&mut ledger, 1, "deposit", deposit(2), None));
    assert_eq!(leaf, 2, "the marker of the first block lies between");
    let by = json!({ "by": hex::encode(second) });
    assert_eq!(
        accepted(&act(&mut ledger, 1, "supersede", by, Some(first))),
        (first, 2, 4)
    );
    let withdrawn = act(&mut ledger, 1, "withdraw", json!({ "reason": "typo" }), Some(second));
    assert_eq!(accepted(&withdrawn), (second, 2, 6));
    let record = |id| Record::parse(&ledger.tree.state.0[&record_key(&id)]).unwrap();
    assert_eq!(record(first).regions["document"], "Superseded");
    assert_eq!(record(first).fields["supersededBy"], json!(hex::encode(second)));
    assert_eq!(record(second).regions["document"], "Withdrawn");
    assert_eq!(record(second).fields["reason"], json!("typo"));
    assert_eq!(
        (
            record(first).created_height,
            record(first).updated_height,
            record(first).version
        ),
        (1, 3, 2)
    );
}

#[test]
fn rejections_of_an_action_have_their_codes() {
    let mut ledger = Ledger::notary();
    let (id, ..) = accepted(&act(&mut ledger, 1, "deposit", deposit(1), None));
    let mut check = |who: u8, action: &str, input: Value, record, want: (&str, &str, Option<[u8; 32]>)| {
        let outcome = act(&mut ledger, who, action, input.clone(), record);
        assert_eq!(rejected(&outcome), want, "{action} {input}");
    };
    check(1, "deposit", deposit(1), None, ("DUPLICATE", "/input", Some(id)));
    check(1, "deposit", deposit(2), Some(id), ("MALFORMED", "/record", None));
    check(1, "withdraw", json!({}), None, ("MALFORMED", "/record", None));
    check(
        1,
        "withdraw",
        json!({}),
        Some([7; 32]),
        ("NO_SUCH_RECORD", "/record", Some([7; 32])),
    );
    check(2, "withdraw", json!({}), Some(id), ("NOT_ALLOWED", "/signer", Some(id)));
    check(1, "burn", json!({}), Some(id), ("UNKNOWN_ACTION", "/action", None));
    check(
        1,
        "supersede",
        json!({ "by": hex::encode(id) }),
        Some(id),
        ("SUPERSEDES_ITSELF", "/input", Some(id)),
    );
    check(9, "deposit", deposit(3), None, ("NOT_A_MEMBER", "/signer", None));
    let mut unknown = deposit(4);
    unknown["colour"] = json!("red");
    check(1, "deposit", unknown, None, ("UNKNOWN_FIELD", "/input/colour", None));
    let mut short = deposit(4);
    short["digests"][0]["value"] = json!("abc");
    check(
        1,
        "deposit",
        short,
        None,
        ("INVALID_INPUT", "/input/digests/0/value", None),
    );
    let mut upper = deposit(4);
    upper["digests"][0]["value"] = json!("A".repeat(64));
    check(
        1,
        "deposit",
        upper,
        None,
        ("INVALID_INPUT", "/input/digests/0/value", None),
    );
    let mut alg = deposit(4);
    alg["digests"][0]["alg"] = json!("md5");
    check(1, "deposit", alg, None, ("INVALID_INPUT", "/input/digests/0/alg", None));
    let mut twice = deposit(4);
    twice["digests"] = json!([twice["digests"][0], twice["digests"][0]]);
    check(
        1,
        "deposit",
        twice,
        None,
        ("INVALID_INPUT", "/input/digests/1/alg", None),
    );
    check(
        1,
        "deposit",
        json!({ "mode": "plain" }),
        None,
        ("INVALID_INPUT", "/input", None),
    );
    let mut long = deposit(4);
    long["subject"] = json!("x".repeat(257));
    check(1, "deposit", long, None, ("INVALID_INPUT", "/input/subject", None));
    assert_eq!(accepted(&act(&mut ledger, 1, "withdraw", json!({}), Some(id))).1, 2);
    assert_eq!(
        rejected(&act(&mut ledger, 1, "withdraw", json!({}), Some(id))),
        ("WRONG_STATE", "/record", Some(id))
    );
    assert!(matches!(
        act(&mut ledger, 2, "deposit", deposit(1), None),
        Outcome::Accepted { .. }
    ));
}

#[test]
fn rejections_of_a_whole_transaction_reject_each_action() {
    let mut ledger = Ledger::notary();
    let two = || vec![(deposit(1), None), (deposit(2), None)];
    let mut check = |code: &str, change: &dyn Fn(&mut muniment_receipts::statement::Common, u64)| {
        let mut common = ledger.common(&key(1), "deposit");
        change(&mut common, ledger.time);
        let prepared = ledger.admit(batch(common, &key(1), two())).unwrap();
        let execution = ledger.block(std::slice::from_ref(&prepared));
        assert_eq!(execution.outcomes[0].len(), 2);
        for outcome in &execution.outcomes[0] {
            assert_eq!(rejected(outcome).0, code);
        }
        assert!(execution.leaves.is_empty() && execution.changes.is_empty());
    };
    check("EXPIRED", &|common, time| common.valid_until = time - 1);
    check("VALIDITY_TOO_LONG", &|common, time| common.valid_until = time + 600_001);
    check("UNKNOWN_TEMPLATE", &|common, _| common.template = "invoice".to_owned());
    check("WRONG_REVISION", &|common, _| common.revision = 2);
    check("UNKNOWN_ACTION", &|common, _| common.action = "burn".to_owned());
    let mut common = ledger.common(&key(1), "deposit");
    common.valid_until = ledger.time + 600_000;
    let prepared = ledger.admit(batch(common, &key(1), two())).unwrap();
    assert!(
        ledger.block(&[prepared]).outcomes[0]
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Accepted { .. }))
    );
}

#[test]
fn admissible_says_early_what_the_executor_would_say() {
    let mut ledger = Ledger::notary();
    let mut code = |who: u8, change: &dyn Fn(&mut muniment_receipts::statement::Common, u64)| {
        let mut common = ledger.common(&key(who), "deposit");
        change(&mut common, ledger.time);
        let prepared = ledger.admit(single(common, &key(who), deposit(1), None)).unwrap();
        ledger.admissible(&prepared).err().map(|refusal| refusal.code)
    };
    assert_eq!(code(1, &|_, _| {}), None);
    assert_eq!(code(9, &|_, _| {}), Some("NOT_A_MEMBER"));
    assert_eq!(code(1, &|common, time| common.valid_until = time - 1), Some("EXPIRED"));
    assert_eq!(
        code(1, &|common, _| common.template = "x".to_owned()),
        Some("UNKNOWN_TEMPLATE")
    );
    assert_eq!(code(1, &|common, _| common.revision = 7), Some("WRONG_REVISION"));
    assert_eq!(
        code(1, &|common, _| common.action = "x".to_owned()),
        Some("UNKNOWN_ACTION")
    );
}

#[test]
fn a_transaction_is_decided_once() {
    let mut ledger = Ledger::notary();
    let common = ledger.common(&key(1), "deposit");
    let prepared = ledger.admit(single(common, &key(1), deposit(1), None)).unwrap();
    let execution = ledger.block(&[prepared.clone(), prepared.clone()]);
    assert!(matches!(execution.outcomes[0][0], Outcome::Accepted { .. }));
    assert_eq!(rejected(&execution.outcomes[1][0]).0, "REPLAYED");
    assert_eq!(execution.transactions, [prepared.id()]);
    let later = ledger.block(&[prepared]);
    assert_eq!(rejected(&later.outcomes[0][0]).0, "REPLAYED");
    assert!(later.transactions.is_empty());
}

#[test]
fn one_bad_item_leaves_the_others_of_its_batch_alone() {
    let mut ledger = Ledger::notary();
    let item = |input: Value| serde_json::to_vec(&json!({ "input": input })).unwrap();
    let mut bad = deposit(2);
    bad["mode"] = json!("secret");
    let items = vec![
        item(deposit(1)),
        item(bad),
        b"{ \"input\": {} }".to_vec(),
        item(deposit(1)),
        item(deposit(3)),
    ];
    let common = ledger.common(&key(1), "deposit");
    let transaction = batch_of(common, &key(1), items);
    let execution = ledger.block(&[ledger.admit(transaction.clone()).unwrap()]);
    let outcomes = &execution.outcomes[0];
    let (first, _, leaf) = accepted(&outcomes[0]);
    assert_eq!(leaf, 0);
    assert_eq!(rejected(&outcomes[1]), ("INVALID_INPUT", "/input/mode", None));
    assert_eq!(rejected(&outcomes[2]).0, "MALFORMED");
    assert_eq!(rejected(&outcomes[3]), ("DUPLICATE", "/input", Some(first)));
    assert_eq!(accepted(&outcomes[4]).2, 1);
    assert_eq!(execution.leaves.len(), 2);
    assert_eq!(leaves(&[transaction], &execution.outcomes), execution.leaves);
}

#[test]
fn admission_refuses_by_code() {
    let mut ledger = Ledger::notary();
    let good = single(ledger.common(&key(1), "deposit"), &key(1), deposit(1), None);
    let Transaction::Single { statement, signature } = good.clone() else {
        panic!()
    };
    let code = |ledger: &Ledger, transaction| ledger.admit(transaction).err().map(|refusal| refusal.code);
    assert_eq!(code(&ledger, good), None);
    let mut flipped = signature;
    flipped[3] ^= 1;
    let bad = Transaction::Single {
        statement: statement.clone(),
        signature: flipped,
    };
    assert_eq!(code(&ledger, bad), Some("BAD_SIGNATURE"));
    let spaced = [b" ".as_slice(), &statement].concat();
    assert_eq!(
        code(
            &ledger,
            Transaction::Single {
                statement: spaced,
                signature
            }
        ),
        Some("MALFORMED")
    );
    let huge = Transaction::Single {
        statement: vec![b'1'; 4_097],
        signature,
    };
    assert_eq!(code(&ledger, huge), Some("TOO_LARGE"));
    let mut foreign = ledger.common(&key(1), "deposit");
    foreign.network = [9; 32];
    assert_eq!(
        code(&ledger, single(foreign, &key(1), deposit(1), None)),
        Some("WRONG_NETWORK")
    );
    let two = vec![(deposit(1), None), (deposit(2), None)];
    let Transaction::Batch {
        header,
        signature,
        items,
    } = batch(ledger.common(&key(1), "deposit"), &key(1), two)
    else {
        panic!()
    };
    let batch = |items: Vec<Vec<u8>>| Transaction::Batch {
        header: header.clone(),
        signature,
        items,
    };
    assert_eq!(code(&ledger, batch(items.clone())), None);
    assert_eq!(code(&ledger, batch(items[..1].to_vec())), Some("BAD_BATCH"));
    assert_eq!(code(&ledger, batch(Vec::new())), Some("BAD_BATCH"));
    assert_eq!(
        code(&ledger, batch(vec![items[1].clone(), items[0].clone()])),
        Some("BAD_BATCH")
    );
    assert_eq!(
        code(&ledger, batch(vec![items[0].clone(), vec![b'1'; 4_097]])),
        Some("TOO_LARGE")
    );
}

#[test]
fn unique_keys_name_the_holder_and_follow_the_record() {
    let yaml = r##"
apiVersion: muniment.dev/v1alpha1
kind: RecordTemplate
metadata: { name: asset }
spec:
  revision: 1
  fields:
    type: object
    additionalProperties: false
    required: [serial, owner]
    properties:
      serial: { type: string, maxLength: 20 }
      owner: { type: string, maxLength: 80 }
      tag: { type: string, maxLength: 20 }
      shelf: { type: string, maxLength: 20 }
  identity: [input.serial]
  unique:
    - { name: tag, values: [fields.tag] }
    - { name: shelf, values: [creator, fields.shelf], code: SHELF_FULL, message: something of yours is on this shelf }
  roles: { owner: { from: fields.owner } }
  actions:
    register:
      creates: true
      by: [anyMember]
      input:
        type: object
        additionalProperties: false
        required: [serial]
        properties:
          { serial: { $ref: "#/fields/serial" }, tag: { $ref: "#/fields/tag" }, shelf: { $ref: "#/fields/shelf" } }
      require:
        - { rule: "!has(input.tag) || input.tag != input.serial", code: TAG_IS_SERIAL, message: choose another tag }
        - { rule: "block.time > 0 && tx.validUntil >= block.time && size(tx.signer) > 8", code: NEVER, message: never }
      set: { serial: input.serial, tag: input.tag, shelf: input.shelf, owner: tx.signer }
    retag:
      by: [owner]
      input:
        type: object
        additionalProperties: false
        properties: { tag: { $ref: "#/fields/tag" } }
      require:
        - { rule: "record.fields.tag != input.tag", code: SAME_TAG, message: it has this tag already }
      set: { tag: input.tag }
"##;
    let mut ledger = Ledger::new(&genesis(&[("asset", 1, yaml)]));
    let mut act = |who: u8, action: &str, input: Value, record: Option<[u8; 32]>| {
        let mut common = ledger.common(&key(who), action);
        common.template = "asset".to_owned();
        let prepared = ledger.admit(single(common, &key(who), input, record)).unwrap();
        ledger.block(&[prepared]).outcomes[0][0].clone()
    };
    let (a, ..) = accepted(&act(1, "register", json!({ "serial": "a", "tag": "t1" }), None));
    let (b, ..) = accepted(&act(2, "register", json!({ "serial": "b" }), None));
    assert_eq!(
        rejected(&act(1, "register", json!({ "serial": "a" }), None)).0,
        "DUPLICATE"
    );
    let taken = act(2, "register", json!({ "serial": "c", "tag": "t1" }), None);
    assert_eq!(rejected(&taken), ("DUPLICATE", "/input", Some(a)));
    assert_eq!(
        rejected(&act(1, "register", json!({ "serial": "d", "tag": "d" }), None)).0,
        "TAG_IS_SERIAL"
    );
    assert_eq!(
        rejected(&act(1, "retag", json!({ "tag": "t1" }), Some(a))).0,
        "SAME_TAG"
    );
    assert_eq!(rejected(&act(1, "retag", json!({}), Some(a))).0, "RULE_UNDEFINED");
    assert_eq!(
        rejected(&act(2, "retag", json!({ "tag": "t3" }), Some(a))).0,
        "NOT_ALLOWED"
    );
    assert_eq!(
        rejected(&act(2, "retag", json!({ "tag": "t1" }), Some(b))).0,
        "RULE_UNDEFINED",
        "b has no tag"
    );
    accepted(&act(1, "retag", json!({ "tag": "t2" }), Some(a)));
    let (c, ..) = accepted(&act(2, "register", json!({ "serial": "c", "tag": "t1" }), None));
    assert_eq!(
        rejected(&act(1, "retag", json!({ "tag": "t1" }), Some(a))),
        ("DUPLICATE", "/input", Some(c))
    );
    // A key of each creator: others have their own.
    let put = |serial: &str| json!({ "serial": serial, "shelf": "left" });
    let (mine, ..) = accepted(&act(1, "register", put("e"), None));
    accepted(&act(2, "register", put("f"), None));
    let full = act(1, "register", put("g"), None);
    assert_eq!(rejected(&full), ("SHELF_FULL", "/input", Some(mine)));
    assert_eq!(signer(&key(1)).to_string().len(), 51);
}
