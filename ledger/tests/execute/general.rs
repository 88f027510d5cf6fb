//! What the engine offers any template, on a small one: shares of a pot, split, merged and counted.

use muniment_ledger::state::{Record, record_key};
use muniment_ledger::template::Template;
use muniment_ledger::wire::Outcome;
use serde_json::{Value, json};

use super::support::{Ledger, genesis, key, signer, single};

const POT: &str = r##"apiVersion: muniment.dev/v1alpha1
kind: RecordTemplate
metadata: { name: pot }
spec:
  revision: 1
  fields:
    type: object
    additionalProperties: false
    required: [owner, amount, number, parts]
    properties:
      owner: { type: string, maxLength: 64 }
      amount: { type: integer, minimum: 0, maximum: 1000 }
      number: { type: integer, minimum: 1 }
      label: { type: string, maxLength: 20 }
      until: { type: integer }
      parts: { type: array, maxItems: 3, items: { type: string, maxLength: 64 } }
  identity: [creator, input.label]
  unique:
    - { name: label, values: [fields.label], holder: creator, code: NOT_YOUR_LABEL, message: this label is another's }
  counters:
    pots: { per: [creator], link: input.label }
  roles: { owner: { from: fields.owner } }
  regions: { pot: { initial: Full, states: [Full, Partial, Empty] } }
  actions:
    fill:
      creates: true
      by: [anyMember]
      counts: pots
      input:
        type: object
        additionalProperties: false
        required: [label, amount]
        properties: { label: { $ref: "#/fields/label" }, amount: { $ref: "#/fields/amount" } }
      set:
        owner: tx.signer
        amount: input.amount
        label: input.label
        number: counters.pots.next
        parts: "[counters.pots.previous]"
    split:
      creates: true
      by: [from.owner]
      members: [input.owner]
      identity: [input.from, input.name]
      input:
        type: object
        additionalProperties: false
        required: [from, name, amount, owner]
        properties:
          from: { type: string, maxLength: 64 }
          name: { type: string, maxLength: 20 }
          owner: { $ref: "#/fields/owner" }
          amount: { type: integer, minimum: 1, maximum: 1000 }
      variables: { left: refs.from.fields.amount - input.amount }
      require:
        - { rule: variables.left >= 0, code: TOO_MUCH, message: there is not so much in it }
      refs:
        from:
          record: input.from
          from: { pot: [Full, Partial] }
          to: { pot: [{ when: variables.left == 0, state: Empty }, { state: Partial }] }
          set: { amount: variables.left, parts: "refs.from.fields.parts + [id]" }
      set: { owner: input.owner, amount: input.amount, number: 1, parts: "[]" }
    merge:
      creates: true
      by: [from.owner]
      identity: [input.name]
      input:
        type: object
        additionalProperties: false
        required: [name, from]
        properties:
          name: { type: string, maxLength: 20 }
          from: { type: array, minItems: 1, maxItems: 3, uniqueItems: true, items: { type: string, maxLength: 64 } }
      refs:
        from:
          record: input.from
          from: { pot: [Full, Partial] }
          to: { pot: Empty }
          set: { amount: "item.fields.amount - item.fields.amount" }
      set: { owner: tx.signer, amount: "sum(refs.from.map(r, r.fields.amount))", number: 1, parts: input.from }
    pour:
      by: [owner]
      input:
        type: object
        additionalProperties: false
        required: [into, amount]
        properties: { into: { type: string, maxLength: 64 }, amount: { type: integer } }
      refs:
        into:
          record: input.into
          set: { amount: refs.into.fields.amount + input.amount }
      set: { amount: record.fields.amount - input.amount }
    lease:
      by: [owner]
      input:
        type: object
        additionalProperties: false
        required: [until]
        properties: { until: { $ref: "#/fields/until" } }
      set: { until: input.until }
    compute:
      by: [owner]
      input:
        type: object
        additionalProperties: false
        required: [times]
        properties: { times: { type: integer } }
      set: { amount: 9007199254740991 * input.times * input.times / (input.times - 1) }
  deadlines:
    end:
      after: record.fields.until
      set: { until: null }
"##;

struct World(Ledger);

impl World {
    fn new() -> Self {
        Self(Ledger::new(&genesis(&[("pot", 1, POT)])))
    }

    fn act(&mut self, party: u8, action: &str, input: Value, record: Option<[u8; 32]>) -> Outcome {
        let common = self.0.common_of("pot", &key(party), action);
        let prepared = self.0.admit(single(common, &key(party), input, record)).unwrap();
        let before = self.0.tree.state.clone();
        let execution = self.0.block(&[prepared]);
        let outcome = execution.outcomes[0][0].clone();
        if matches!(outcome, Outcome::Rejected { .. }) {
            assert_eq!(self.0.tree.state, before, "a rejected action changed something");
        }
        outcome
    }

    fn ok(&mut self, party: u8, action: &str, input: Value, record: Option<[u8; 32]>) -> [u8; 32] {
        match self.act(party, action, input, record) {
            Outcome::Accepted { record, .. } => record,
            refused => panic!("{action}: {refused:?}"),
        }
    }

    fn no(&mut self, party: u8, action: &str, input: Value, record: Option<[u8; 32]>, wanted: (&str, &str)) {
        match self.act(party, action, input, record) {
            Outcome::Rejected {
                code, pointer, message, ..
            } => {
                assert_eq!((code.as_str(), pointer.as_str()), wanted, "{action}: {message}");
            }
            accepted => panic!("{action}: {accepted:?}"),
        }
    }

    fn fill(&mut self, party: u8, label: &str, amount: i64) -> [u8; 32] {
        self.ok(party, "fill", json!({ "label": label, "amount": amount }), None)
    }

    fn record(&self, id: [u8; 32]) -> Record {
        Record::parse(&self.0.tree.state.0[&record_key(&id)]).unwrap()
    }

    fn amount(&self, id: [u8; 32]) -> i64 {
        self.record(id).fields["amount"].as_i64().unwrap()
    }
}

fn name(party: u8) -> String {
    signer(&key(party)).to_string()
}

#[test]
fn a_part_is_taken_from_another_record_in_the_same_action() {
    let mut world = World::new();
    let pot = world.fill(1, "a", 10);
    let split = |name: &str, amount: i64, to: u8| {
        let owner = if to == 9 { "nobody".to_owned() } else { self::name(to) };
        json!({ "from": hex::encode(pot), "name": name, "amount": amount, "owner": owner })
    };
    world.no(2, "split", split("x", 1, 2), None, ("NOT_ALLOWED", "/signer"));
    world.no(1, "split", split("x", 11, 2), None, ("TOO_MUCH", "/input"));
    world.no(1, "split", split("x", 1, 9), None, ("NOT_A_MEMBER", "/input/owner"));
    let part = world.ok(1, "split", split("x", 4, 2), None);
    assert_eq!((world.amount(pot), world.amount(part)), (6, 4));
    assert_eq!(world.record(pot).regions["pot"], "Partial");
    assert_eq!(world.record(pot).version, 2);
    world.no(1, "split", split("x", 1, 2), None, ("DUPLICATE", "/input"));
    world.ok(1, "split", split("y", 5, 2), None);
    // Bounds of a list hold for computed values, too: the first entry is the counter's link.
    world.no(1, "split", split("z", 1, 2), None, ("RESULT_INVALID", "/input"));
    let second = world.fill(1, "b", 3);
    let all = json!({ "from": hex::encode(second), "name": "x", "amount": 3, "owner": name(2) });
    world.ok(1, "split", all.clone(), None);
    assert_eq!(world.record(second).regions["pot"], "Empty");
    let more = json!({ "from": hex::encode(second), "name": "y", "amount": 3, "owner": name(2) });
    world.no(1, "split", more, None, ("WRONG_STATE", "/input/from"));
}

#[test]
fn a_list_of_records_is_read_and_changed_together() {
    let mut world = World::new();
    let pots = [world.fill(1, "a", 10), world.fill(1, "b", 20)];
    let other = world.fill(2, "c", 5);
    let from = |pots: &[[u8; 32]]| pots.iter().map(hex::encode).collect::<Vec<_>>();
    let merge = |pots: &[[u8; 32]]| json!({ "name": "all", "from": from(pots) });
    world.no(1, "merge", merge(&[pots[0], other]), None, ("NOT_ALLOWED", "/signer"));
    world.no(
        1,
        "merge",
        merge(&[pots[0], pots[0]]),
        None,
        ("INVALID_INPUT", "/input/from/1"),
    );
    world.no(
        1,
        "merge",
        merge(&[pots[0], [7; 32]]),
        None,
        ("NO_SUCH_RECORD", "/input/from"),
    );
    let all = world.ok(1, "merge", merge(&pots), None);
    assert_eq!(world.amount(all), 30);
    for pot in pots {
        assert_eq!(
            (world.amount(pot), world.record(pot).regions["pot"].as_str()),
            (0, "Empty")
        );
    }
}

#[test]
fn a_record_is_not_changed_twice_by_one_action() {
    let mut world = World::new();
    let (pot, other) = (world.fill(1, "a", 10), world.fill(2, "b", 10));
    let pour = |into: [u8; 32], amount: i64| json!({ "into": hex::encode(into), "amount": amount });
    world.no(1, "pour", pour(pot, 1), Some(pot), ("SAME_RECORD", "/input/into"));
    world.ok(1, "pour", pour(other, 4), Some(pot));
    assert_eq!((world.amount(pot), world.amount(other)), (6, 14));
    world.no(1, "pour", pour(other, 7), Some(pot), ("RESULT_INVALID", "/input"));
    world.no(1, "pour", pour(other, -991), Some(pot), ("RESULT_INVALID", "/input"));
}

#[test]
fn arithmetic_is_checked() {
    let mut world = World::new();
    let pot = world.fill(1, "a", 10);
    let compute = |n: i64| json!({ "times": n });
    world.no(1, "compute", compute(1 << 20), Some(pot), ("OVERFLOW", "/input"));
    world.no(1, "compute", compute(1), Some(pot), ("RULE_UNDEFINED", "/input"));
    world.no(1, "compute", compute(2), Some(pot), ("RESULT_INVALID", "/input"));
    world.ok(1, "compute", compute(0), Some(pot));
    assert_eq!(world.amount(pot), 0);
}

#[test]
fn values_belong_to_who_used_them_first_and_counters_are_gapless() {
    let mut world = World::new();
    let first = world.fill(1, "a", 1);
    let fill = |label: &str| json!({ "label": label, "amount": 1 });
    world.no(2, "fill", fill("a"), None, ("NOT_YOUR_LABEL", "/input"));
    world.no(1, "fill", fill("a"), None, ("DUPLICATE", "/input"));
    let second = world.fill(1, "b", 1);
    let others = world.fill(2, "c", 1);
    let told = |id| {
        (
            world.record(id).fields["number"].clone(),
            world.record(id).fields["parts"].clone(),
        )
    };
    assert_eq!(told(first), (json!(1), json!([""])));
    assert_eq!(told(second), (json!(2), json!(["a"])));
    assert_eq!(told(others), (json!(1), json!([""])));
}

#[test]
fn deadlines_are_raised_by_anyone_once_they_have_passed() {
    let mut world = World::new();
    let pot = world.fill(1, "a", 1);
    world.no(2, "end", json!({}), Some(pot), ("RULE_UNDEFINED", "/input"));
    let until = world.0.time + 10_000;
    world.ok(1, "lease", json!({ "until": until }), Some(pot));
    world.no(2, "end", json!({}), Some(pot), ("NOT_DUE", "/action"));
    world.0.time = until;
    world.no(2, "end", json!({}), Some(pot), ("NOT_DUE", "/action"));
    world.ok(2, "end", json!({}), Some(pot));
    assert!(!world.record(pot).fields.contains_key("until"));
}

/// What can't be right is told when the template is compiled.
#[test]
fn the_compiler_refuses_what_could_not_run() {
    for (from, to, message) in [
        ("by: [from.owner]", "by: [form.owner]", "is not in `refs`"),
        ("by: [from.owner]", "by: [owner]", "before the record exists"),
        ("counts: pots", "counts: pans", "unknown counter"),
        ("link: input.label", "link: input.amount", "must be a string"),
        (
            "record: input.into",
            "record: input.amount",
            "a reference needs a record id",
        ),
        ("uniqueItems: true, ", "", "a reference needs a record id"),
        (
            "after: record.fields.until",
            "after: \"'soon'\"",
            "must be a block time",
        ),
        (
            "set: { until: null }",
            "set: { owner: null }",
            "is required, so it can't be removed",
        ),
        (
            "set: { until: null }",
            "set: { until: \"'soon'\" }",
            "this is a string, but the field `until` is an integer",
        ),
        ("set: { until: null }", "set: { amount: 1001 }", "can't have this value"),
        (
            "{ when: variables.left == 0, state: Empty }, { state: Partial }",
            "{ state: Partial }, { state: Empty }",
            "only the last",
        ),
        ("variables: { left:", "variables: { rest:", "no field `left`"),
        ("members: [input.owner]", "members: [input.amount]", "signer key"),
        ("holder: creator", "holder: nobody", "record or creator"),
        ("values: [fields.label]", "values: [creator]", "at least one field"),
        (
            "values: [fields.label]",
            "values: [creator, fields.label]",
            "would refuse nobody",
        ),
        (
            "identity: [input.from, input.name]",
            "identity: []",
            "at least one value",
        ),
        (
            "maxItems: 3, items: { type: string, maxLength: 64 }",
            "maxItems: 1000, items: { type: string, maxLength: 99 }",
            "could grow to",
        ),
        ("    end:\n", "    pour:\n", "both an action and a deadline"),
    ] {
        assert!(POT.contains(from), "{from}");
        let error = Template::compile(&POT.replacen(from, to, 1)).expect_err(to);
        assert!(error.message.contains(message), "{to}: {error}");
    }
}
