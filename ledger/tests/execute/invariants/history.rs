//! Attempts of several parties, in blocks, and what came of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use muniment_ledger::execute::Prepared;
use muniment_ledger::state::tree::{MemoryTree, prove, verify_proof};
use muniment_ledger::state::{Record, record_key};
use muniment_ledger::wire::Outcome;
use muniment_receipts::leaf::Leaf;
use muniment_receipts::merkle::{Frontier, leaf_hash, verify_inclusion};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::attempts::{Attempt, make};
use super::model::Model;
use crate::invoice::world::*;
use crate::support::key;

/// Guards that lie outside the template, and can be taken out here.
#[derive(Clone, Copy, Default)]
pub struct Settings {
    /// The node forgets which transactions it has decided.
    pub forgetful: bool,
    /// A second replica goes by its own clock.
    pub own_clock: bool,
    /// The log loses a bit of a leaf.
    pub flipped: bool,
    /// No second replica and no proofs: where a rule of the template is looked at, they would say nothing.
    pub lean: bool,
}

/// What came of a history.
#[derive(Default)]
pub struct Found {
    /// Invariants that were broken, and how.
    pub broken: Vec<(u8, String)>,
    /// Names of the accepted actions.
    pub accepted: BTreeSet<String>,
}

struct Call {
    party: u8,
    action: &'static str,
    input: Value,
    record: Option<Id>,
    prepared: Arc<Prepared>,
}

/// Runs a history on two replicas and holds what was accepted against the model.
pub fn run(template: &str, attempts: &[Attempt], settings: Settings) -> Found {
    let mut run = Run::new(template, settings);
    let mut block = Vec::new();
    for attempt in attempts {
        let Some(call) = run.call(attempt) else { continue };
        if attempt.replay {
            run.earlier.push(call.prepared.clone());
        }
        block.push(call);
        if let Some(hours) = attempt.wait {
            run.block(std::mem::take(&mut block));
            run.world.wait(u64::from(hours) * 3_600_000);
        }
    }
    run.block(block);
    run.found
}

/// Action, party and input. The first document is what it is about; `wait` lets so many hours pass.
pub type Step = (&'static str, u8, Value);

/// Runs these actions, each in a block of its own, and holds what was accepted against the model.
pub fn play(template: &str, steps: &[Step]) -> Found {
    let lean = Settings {
        lean: true,
        ..Settings::default()
    };
    let mut run = Run::new(template, lean);
    for (action, party, input) in steps {
        if *action == "wait" {
            run.world.wait(input.as_u64().unwrap() * 3_600_000);
            continue;
        }
        let mut input = input.clone();
        if *action == "credit" {
            input["invoice"] = Value::from(hex::encode(run.documents[0]));
        }
        let creates = matches!(*action, "issue" | "credit" | "replace");
        let record = run.documents.first().copied().filter(|_| !creates);
        let transaction = run.world.sign(&key(*party), action, input.clone(), record);
        let Ok(prepared) = run.world.ledger.admit(transaction) else {
            continue;
        };
        run.block(vec![Call {
            party: *party,
            action,
            input,
            record,
            prepared,
        }]);
    }
    run.found
}

struct Run {
    world: World,
    twin: World,
    settings: Settings,
    model: Model,
    found: Found,
    documents: Vec<Id>,
    frontier: Frontier,
    earlier: Vec<Arc<Prepared>>,
}

impl Run {
    fn new(template: &str, settings: Settings) -> Self {
        Self {
            world: World::with_template(template),
            twin: World::with_template(template),
            settings,
            model: Model::default(),
            found: Found::default(),
            documents: Vec::new(),
            frontier: Frontier::new(),
            earlier: Vec::new(),
        }
    }

    /// Makes an attempt of the numbers: mostly what could succeed, by whom it could.
    fn call(&mut self, attempt: &Attempt) -> Option<Call> {
        let count = self.documents.len();
        let target = self
            .documents
            .get(usize::from(attempt.document) % count.max(1))
            .copied();
        let record = target.map(|id| self.world.record(id));
        let (action, party, input) = make(attempt, record.as_ref(), target, self.world.ledger.time);
        // One in eight is tried by somebody else.
        let stranger = attempt.party.is_multiple_of(8) && count > 0;
        let party = if stranger { 1 + attempt.choice % 8 } else { party };
        let creates = matches!(action, "issue" | "credit" | "replace");
        let record = target.filter(|_| !creates);
        if !creates && record.is_none() {
            return None;
        }
        let transaction = self.world.sign(&key(party), action, input.clone(), record);
        let prepared = self.world.ledger.admit(transaction).ok()?;
        Some(Call {
            party,
            action,
            input,
            record,
            prepared,
        })
    }

    fn block(&mut self, calls: Vec<Call>) {
        let mut transactions: Vec<_> = calls.iter().map(|call| call.prepared.clone()).collect();
        // In this block again, and in later ones.
        let replays = self.earlier.len().saturating_sub(6);
        self.earlier.drain(..replays);
        transactions.extend(self.earlier.iter().cloned());
        if self.settings.forgetful {
            self.world.ledger.decided.clear();
        }
        let before: Vec<(Id, Record)> = self.documents.iter().map(|id| (*id, self.world.record(*id))).collect();
        let (time, first) = (self.world.ledger.time, self.world.ledger.log_size);
        let execution = self.world.ledger.block(&transactions);
        for (call, outcomes) in calls.iter().zip(&execution.outcomes) {
            self.outcome(call, &outcomes[0], time);
        }
        for outcomes in execution.outcomes.iter().skip(calls.len()) {
            let code = match &outcomes[0] {
                Outcome::Rejected { code, .. } => code.as_str(),
                Outcome::Accepted { .. } => "accepted",
            };
            if code == "accepted" || code != "REPLAYED" && !self.settings.forgetful {
                self.broken(14, format!("a replay was {code}"));
            }
        }
        self.immutable(&before);
        self.model_agrees();
        if !self.settings.lean {
            self.twin(&transactions, time);
            self.proofs(&execution.leaves, first);
        }
    }

    fn broken(&mut self, invariant: u8, how: String) {
        self.found.broken.push((invariant, how));
    }

    fn outcome(&mut self, call: &Call, outcome: &Outcome, time: u64) {
        match outcome {
            Outcome::Accepted { record, .. } => {
                self.found.accepted.insert(call.action.to_owned());
                if call.record.is_none() {
                    self.documents.push(*record);
                }
                let broken = self.model.accepted(call.party, call.action, &call.input, *record, time);
                self.found.broken.extend(broken);
            }
            Outcome::Rejected {
                code, message, record, ..
            } => {
                // A refusal tells of another record nothing but its id.
                let other = record
                    .filter(|id| Some(*id) != call.record)
                    .and_then(|id| self.model.secret(&id));
                if other.is_some_and(|secret| message.contains(&secret)) {
                    self.broken(16, format!("{code} tells {message}"));
                }
            }
        }
    }

    /// What was issued never changes.
    fn immutable(&mut self, before: &[(Id, Record)]) {
        for (id, old) in before {
            let new = self.world.record(*id);
            let fixed = [
                "content",
                "totals",
                "number",
                "supplier",
                "recipient",
                "counter",
                "previous",
                "verdict",
            ];
            if let Some(field) = fixed
                .iter()
                .find(|field| old.fields.get(**field) != new.fields.get(**field))
            {
                self.broken(3, format!("`{field}` of {} changed", new.id));
            }
        }
    }

    /// The model knows the accepted inputs only; the record must say the same.
    fn model_agrees(&mut self) {
        let documents = std::mem::take(&mut self.documents);
        for id in &documents {
            let record = self.world.record(*id);
            let broken = self.model.agrees(*id, &record);
            self.found.broken.extend(broken);
        }
        self.documents = documents;
    }

    /// Another replica comes to the same state from the same block.
    fn twin(&mut self, transactions: &[Arc<Prepared>], time: u64) {
        let clock = u64::from(self.settings.own_clock && !transactions.is_empty());
        self.twin.ledger.time = time + clock;
        if self.settings.forgetful {
            self.twin.ledger.decided.clear();
        }
        self.twin.ledger.block(transactions);
        if self.twin.ledger.root != self.world.ledger.root {
            self.broken(15, format!("roots differ at height {}", self.world.ledger.height));
        }
        self.twin.ledger.root = self.world.ledger.root;
    }

    /// Every accepted action is provable: its leaf in the log, and the record it made in the state.
    fn proofs(&mut self, leaves: &[Vec<u8>], first: u64) {
        let mut hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        hashes.push(leaf_hash(&first.to_be_bytes()));
        let growth = self.frontier.extension(&hashes);
        let (size, root) = (growth.size(), growth.root());
        for (index, leaf) in (first..).zip(leaves) {
            let mut leaf = leaf.clone();
            if self.settings.flipped {
                leaf[30] ^= 1;
            }
            let path = growth.path(index);
            let included = verify_inclusion(&leaf_hash(&leaf), index, size, &path, &root).is_ok();
            let told = Leaf::parse(&leaf)
                .ok()
                .and_then(|leaf| leaf.outcome().map(|outcome| outcome.record));
            let proven =
                told.is_some_and(|record| in_state(&self.world.ledger.tree, self.world.ledger.height, &record));
            if !included || !proven {
                self.broken(17, format!("leaf {index} isn't proven"));
            }
        }
        self.frontier = growth.frontier();
    }
}

fn in_state(tree: &MemoryTree, version: u64, record: &Id) -> bool {
    let key = record_key(record);
    let Ok(proven) = prove(tree, version, &key) else {
        return false;
    };
    let value = tree.state.0.get(&key).map(|bytes| <Id>::from(Sha256::digest(bytes)));
    value.is_some() && proven.value == value && verify_proof(&proven.root, &key, value.as_ref(), &proven.proof).is_ok()
}
