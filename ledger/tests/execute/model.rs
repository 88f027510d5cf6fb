//! Notarization as plain Rust, and random histories on which template and model must agree.

use std::collections::BTreeMap;

use muniment_ledger::state::{Record, record_key};
use muniment_ledger::wire::Outcome;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Ledger, batch, deposit, key, single};

/// One attempt of a member.
#[derive(Clone, Debug)]
enum Step {
    Deposit {
        who: u8,
        document: u64,
        subject: Option<String>,
        good: bool,
    },
    Withdraw {
        who: u8,
        target: u64,
        of: u8,
        reason: Option<String>,
    },
    Supersede {
        who: u8,
        target: u64,
        of: u8,
        by: u64,
    },
}

/// A deposit as the model keeps it.
#[derive(Clone, Debug, PartialEq)]
struct Deposit {
    state: &'static str,
    version: u32,
    created: u64,
    updated: u64,
    fields: BTreeMap<String, Value>,
}

#[derive(Default)]
struct Model {
    /// By depositor and document.
    deposits: BTreeMap<(u8, u64), Deposit>,
}

impl Model {
    /// The expected code, or the new version.
    fn step(&mut self, step: &Step, height: u64) -> Result<u32, &'static str> {
        match step {
            Step::Deposit { good: false, .. } => Err("UNKNOWN_FIELD"),
            Step::Deposit {
                who, document, subject, ..
            } => {
                if self.deposits.contains_key(&(*who, *document)) {
                    return Err("DUPLICATE");
                }
                let mut fields = BTreeMap::new();
                fields.insert("digests".to_owned(), deposit(*document)["digests"].clone());
                fields.insert("mode".to_owned(), json!("plain"));
                fields.extend(subject.iter().map(|s| ("subject".to_owned(), json!(s))));
                let new = Deposit {
                    state: "Deposited",
                    version: 1,
                    created: height,
                    updated: height,
                    fields,
                };
                self.deposits.insert((*who, *document), new);
                Ok(1)
            }
            Step::Withdraw {
                who,
                target,
                of,
                reason,
            } => {
                let record = self.reach(*who, *of, *target)?;
                record.state = "Withdrawn";
                record
                    .fields
                    .extend(reason.iter().map(|r| ("reason".to_owned(), json!(r))));
                record.updated = height;
                Ok(record.version)
            }
            Step::Supersede { who, target, of, by } => {
                if self.deposits.contains_key(&(*of, *target)) && who == of && by == target {
                    // The state is judged before the rule.
                    let state = self.deposits[&(*of, *target)].state;
                    return Err(if state == "Deposited" {
                        "SUPERSEDES_ITSELF"
                    } else {
                        "WRONG_STATE"
                    });
                }
                let by = hex::encode(id(*of, *by));
                let record = self.reach(*who, *of, *target)?;
                record.state = "Superseded";
                record.fields.insert("supersededBy".to_owned(), json!(by));
                record.updated = height;
                Ok(record.version)
            }
        }
    }

    fn reach(&mut self, who: u8, of: u8, target: u64) -> Result<&mut Deposit, &'static str> {
        let record = self.deposits.get_mut(&(of, target)).ok_or("NO_SUCH_RECORD")?;
        if who != of {
            return Err("NOT_ALLOWED");
        }
        if record.state != "Deposited" {
            return Err("WRONG_STATE");
        }
        record.version += 1;
        Ok(record)
    }
}

/// Record id, from the text of the format.
fn id(who: u8, document: u64) -> [u8; 32] {
    use sha2::Digest;
    let signer = super::support::signer(&key(who));
    let text = format!(
        "muniment.dev/record/v1\n{{\"identity\":[\"{signer}\",[{{\"alg\":\"sha-256\",\"value\":\"{document:064x}\"}}]],\
         \"template\":\"notarization\"}}"
    );
    sha2::Sha256::digest(text.as_bytes()).into()
}

impl Step {
    fn signer(&self) -> u8 {
        match self {
            Self::Deposit { who, .. } | Self::Withdraw { who, .. } | Self::Supersede { who, .. } => *who,
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "deposit",
            Self::Withdraw { .. } => "withdraw",
            Self::Supersede { .. } => "supersede",
        }
    }

    fn input(&self) -> (Value, Option<[u8; 32]>) {
        match self {
            Self::Deposit {
                document,
                subject,
                good,
                ..
            } => {
                let mut input = deposit(*document);
                if let Some(subject) = subject {
                    input["subject"] = json!(subject);
                }
                if !good {
                    input["colour"] = json!("red");
                }
                (input, None)
            }
            Self::Withdraw { target, of, reason, .. } => (
                reason.as_ref().map_or(json!({}), |r| json!({ "reason": r })),
                Some(id(*of, *target)),
            ),
            Self::Supersede { target, of, by, .. } => {
                (json!({ "by": hex::encode(id(*of, *by)) }), Some(id(*of, *target)))
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 1u8..=2;
    let document = || 1u64..6;
    let text = || prop::option::of("[ -~äß€\u{1F512}\\n]{1,12}");
    prop_oneof![
        4 => (who(), document(), text(), prop::bool::weighted(0.9))
            .prop_map(|(who, document, subject, good)| Step::Deposit { who, document, subject, good }),
        1 => (who(), document(), who(), text())
            .prop_map(|(who, target, of, reason)| Step::Withdraw { who, target, of, reason }),
        1 => (who(), document(), who(), document())
            .prop_map(|(who, target, of, by)| Step::Supersede { who, target, of, by }),
    ]
}

/// Blocks of transactions of steps; steps of a transaction share signer and action.
fn history() -> impl Strategy<Value = Vec<Vec<Vec<Step>>>> {
    let transaction = prop::collection::vec(step(), 1..6).prop_map(|steps| {
        let (signer, action) = (steps[0].signer(), steps[0].action());
        steps
            .into_iter()
            .filter(|step| step.signer() == signer && step.action() == action)
            .collect::<Vec<_>>()
    });
    prop::collection::vec(prop::collection::vec(transaction, 0..5), 1..8)
}

fn transaction(ledger: &mut Ledger, steps: &[Step]) -> muniment_ledger::transaction::Transaction {
    let key = key(steps[0].signer());
    let common = ledger.common(&key, steps[0].action());
    match steps {
        [only] => {
            let (input, record) = only.input();
            single(common, &key, input, record)
        }
        _ => batch(common, &key, steps.iter().map(Step::input).collect()),
    }
}

fn check_records(ledger: &Ledger, model: &Model) {
    assert_eq!(ledger.records().len(), model.deposits.len());
    for ((who, document), wanted) in &model.deposits {
        let bytes = &ledger.tree.state.0[&record_key(&id(*who, *document))];
        let record = Record::parse(bytes).unwrap();
        let value: Value = serde_json::from_slice(bytes).unwrap();
        assert_eq!(
            serde_json_canonicalizer::to_vec(&value).unwrap(),
            *bytes,
            "stored records are canonical"
        );
        assert_eq!(record.canonical().unwrap(), *bytes);
        let found = Deposit {
            state: match record.regions["document"].as_str() {
                "Deposited" => "Deposited",
                "Withdrawn" => "Withdrawn",
                "Superseded" => "Superseded",
                other => panic!("{other}"),
            },
            version: record.version,
            created: record.created_height,
            updated: record.updated_height,
            fields: record.fields,
        };
        assert_eq!(found, *wanted);
        assert_eq!(record.creator, super::support::signer(&key(*who)).to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The engine running the template file and the model agree on every outcome and every record; a second replica
    /// that sees only the transactions' bytes gets the same execution and the same roots.
    #[test]
    fn the_template_does_what_the_model_does(blocks in history()) {
        let (mut ledger, mut replica) = (Ledger::notary(), Ledger::notary());
        let mut model = Model::default();
        for block in &blocks {
            let transactions: Vec<_> = block.iter().map(|steps| transaction(&mut ledger, steps)).collect();
            let prepared: Vec<_> = transactions.iter().map(|t| ledger.admit(t.clone()).unwrap()).collect();
            let execution = ledger.block(&prepared);
            let mut leaf = execution.history.first().map_or(0, |step| step.leaf);
            for (steps, outcomes) in block.iter().zip(&execution.outcomes) {
                prop_assert_eq!(steps.len(), outcomes.len());
                for (step, outcome) in steps.iter().zip(outcomes) {
                    match (model.step(step, ledger.height), outcome) {
                        (Ok(wanted), Outcome::Accepted { version, leaf: at, .. }) => {
                            prop_assert_eq!((wanted, leaf), (*version, *at));
                            leaf += 1;
                        }
                        (Err(wanted), Outcome::Rejected { code, .. }) => prop_assert_eq!(wanted, code),
                        (wanted, found) => prop_assert!(false, "{:?}: {:?} but {:?}", step, wanted, found),
                    }
                }
            }
            check_records(&ledger, &model);
            let bytes = borsh::to_vec(&transactions).unwrap();
            let again: Vec<muniment_ledger::transaction::Transaction> = borsh::from_slice(&bytes).unwrap();
            let prepared: Vec<_> = again.into_iter().map(|t| replica.admit(t).unwrap()).collect();
            prop_assert_eq!(&replica.block(&prepared), &execution);
            prop_assert_eq!(replica.root, ledger.root);
        }
    }

    /// However the same transactions are cut into blocks, the same leaves come in the same order, and the records are
    /// the same but for height and time.
    #[test]
    fn block_borders_change_nothing_but_heights(
        steps in prop::collection::vec(step(), 1..24),
        cut in prop::collection::vec(any::<bool>(), 24),
    ) {
        let mut author = Ledger::notary();
        let transactions: Vec<_> = steps.iter().map(|step| transaction(&mut author, std::slice::from_ref(step))).collect();
        let run = |borders: &dyn Fn(usize) -> bool| {
            let mut ledger = Ledger::notary();
            let (mut leaves, mut block) = (Vec::new(), Vec::new());
            for (index, transaction) in transactions.iter().enumerate() {
                block.push(ledger.admit(transaction.clone()).unwrap());
                if borders(index) || index + 1 == transactions.len() {
                    leaves.extend(ledger.block(&std::mem::take(&mut block)).leaves);
                }
            }
            let records: Vec<_> = ledger.records().into_values().map(|bytes| {
                let record = Record::parse(&bytes.unwrap()).unwrap();
                Record { created_height: 0, created_time: 0, updated_height: 0, updated_time: 0, ..record }
            }).collect();
            (leaves, records)
        };
        prop_assert_eq!(run(&|_| false), run(&|index| cut[index]));
    }
}
