//! A network in memory: the state, the clock and the parties of one case. Blocks go through the same admission and the
//! same executor as on a validator; only consensus, storage and the log are left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use muniment_receipts::chain;
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, GenesisTemplate, Member};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, StatementError, items_root};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::cases::{Call, Names, Suite};
use crate::block::{HEADER_VERSION, Hash, Header};
use crate::execute::{self, Execution, Params, Prepared};
use crate::state::{MemoryState, Record, StateRead, genesis_state, record_key};
use crate::template::Template;
use crate::transaction::Transaction;
use crate::wire::Outcome;

/// First line of what a party's key is made of. The keys are no secret: they sign nothing outside of cases.
const KEY_DOMAIN: &str = "muniment.dev/cases/v1\n";
/// How long a transaction of a case is valid, milliseconds.
const VALIDITY: u64 = 60_000;
/// Time from one block to the next, milliseconds.
const BLOCK_TIME: u64 = 1_000;

/// What an accepted action did to a record.
pub struct Step {
    /// The action.
    pub action: String,
    /// Is it a record that the action refers to, rather than the one it acts on?
    pub referred: bool,
    /// The record before it, if it was there.
    pub before: Option<Record>,
    /// The record after it.
    pub after: Record,
}

/// The network of one case.
pub struct World {
    state: MemoryState,
    params: Params,
    keys: BTreeMap<String, SigningKey>,
    template: (String, u32),
    records: BTreeMap<String, Hash>,
    height: u64,
    time: u64,
    log_size: u64,
    nonce: u64,
    /// How often the present step was taken before.
    count: u32,
}

impl Names for World {
    fn record(&self, name: &str) -> Option<String> {
        self.records.get(name).map(hex::encode)
    }

    fn member(&self, name: &str) -> Option<String> {
        self.keys.get(name).map(|key| signer(key).to_string())
    }

    fn time(&self) -> u64 {
        self.time
    }

    fn count(&self) -> u32 {
        self.count
    }
}

impl World {
    /// A fresh network with the template and the members of a suite.
    pub fn new(source: &str, template: &Template, suite: &Suite) -> Result<Self, String> {
        let parties = suite.members.iter().chain(&suite.strangers);
        let keys: BTreeMap<_, _> = parties.map(|name| (name.clone(), key(name))).collect();
        let members = keys.iter().filter(|(name, _)| suite.members.contains(name));
        let genesis = Genesis {
            kind: GENESIS_TYPE.to_owned(),
            name: "cases/cases".to_owned(),
            created_at: suite.start,
            validators: Vec::new(),
            members: members
                .map(|(name, key)| Member {
                    name: name.clone(),
                    key: signer(key).to_string(),
                })
                .collect(),
            templates: vec![GenesisTemplate {
                name: template.name.clone(),
                revision: template.revision,
                source: source.to_owned(),
            }],
            governance_threshold: 1,
        };
        let mut state = MemoryState::default();
        state.apply(&genesis_state(&genesis).map_err(|error| chain(&error))?);
        Ok(Self {
            state,
            params: Params { network: [0; 32] },
            keys,
            template: (template.name.clone(), template.revision),
            records: BTreeMap::new(),
            height: 0,
            time: suite.start,
            log_size: 0,
            nonce: 0,
            count: 0,
        })
    }

    /// Names a record for later steps.
    pub fn name(&mut self, name: &str, record: Hash) {
        self.records.insert(name.to_owned(), record);
    }

    /// Says how often the present step was taken before.
    pub fn count(&mut self, count: u32) {
        self.count = count;
    }

    /// Moves block time on.
    pub fn wait(&mut self, milliseconds: u64) {
        self.time = self.time.saturating_add(milliseconds);
    }

    /// A record as it is now.
    pub fn record_now(&self, id: &Hash) -> Result<Option<Record>, String> {
        record(&self.state, id)
    }

    /// Executes calls as one block. Answers what it did, and what became of each record on the way.
    pub fn block(&mut self, calls: &[Call]) -> Result<(Execution, Vec<Step>), String> {
        let mut transactions = Vec::with_capacity(calls.len());
        for call in calls {
            let transaction = self.sign(call)?;
            let prepared = execute::admission(transaction, &self.params).map_err(|refusal| refusal.message)?;
            transactions.push(Arc::new(prepared));
        }
        let mut steps = Vec::new();
        let mut before = self.state.clone();
        // What a transaction finds is what those before it in the block left: they are executed without it.
        for (index, call) in calls.iter().enumerate() {
            let (part, state) = self.execute(transactions.get(..=index).unwrap_or_default())?;
            let outcomes = part.outcomes.last().map_or(&[][..], Vec::as_slice);
            for outcome in outcomes {
                if let Outcome::Accepted { record: id, also, .. } = outcome {
                    steps.extend(step(&call.action, id, false, &before, &state)?);
                    for (id, _) in also {
                        steps.extend(step(&call.action, id, true, &before, &state)?);
                    }
                }
            }
            before = state;
        }
        let (execution, state) = self.execute(&transactions)?;
        self.state = state;
        self.height += 1;
        self.log_size += execution.leaves.len() as u64 + 1;
        self.time = self.time.saturating_add(BLOCK_TIME);
        Ok((execution, steps))
    }

    /// The state after these transactions, which is not kept.
    fn execute(&self, transactions: &[Arc<Prepared>]) -> Result<(Execution, MemoryState), String> {
        let execution = execute::execute(&self.state, &self.header(), transactions, &self.params);
        let execution = execution.map_err(|error| chain(&error))?;
        let mut state = self.state.clone();
        state.apply(&execution.changes);
        Ok((execution, state))
    }

    fn header(&self) -> Header {
        Header {
            version: HEADER_VERSION,
            network: self.params.network,
            height: self.height + 1,
            parent: [0; 32],
            time: self.time,
            transactions_root: [0; 32],
            transactions: 0,
            parent_log_size: self.log_size,
            parent_log_root: [0; 32],
            parent_state_root: [0; 32],
            validators: [0; 32],
            next_validators: [0; 32],
        }
    }

    fn sign(&mut self, call: &Call) -> Result<Transaction, String> {
        let items = call
            .items
            .iter()
            .map(|item| {
                let gone = |name: String| format!("the record `{name}` was never made");
                let input = match item.input.resolve(self).map_err(gone)? {
                    Value::Object(input) => input,
                    _ => return Err("`input` must be an object".to_owned()),
                };
                let record = item.on.as_ref().map(|on| self.id(on)).transpose()?;
                Ok((input, record))
            })
            .collect::<Result<Vec<_>, String>>()?;
        let key = self.keys.get(&call.by).cloned();
        let key = key.ok_or_else(|| format!("there is no party `{}`", call.by))?;
        let common = self.common(call, &key);
        sign(call.batch, common, items, &key).map_err(|error| chain(&error))
    }

    /// The id that a value resolves to.
    pub fn id(&self, data: &super::cases::Data) -> Result<Hash, String> {
        let gone = |name: String| format!("the record `{name}` was never made");
        let value = data.resolve(self).map_err(gone)?;
        let mut id = Hash::default();
        let text = value.as_str().unwrap_or_default();
        hex::decode_to_slice(text, &mut id).map_err(|_| format!("{value} is no record id"))?;
        Ok(id)
    }

    fn common(&mut self, call: &Call, key: &SigningKey) -> Common {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        Common {
            action: call.action.clone(),
            network: self.params.network,
            nonce,
            revision: self.template.1,
            signer: signer(key),
            template: self.template.0.clone(),
            valid_until: self.time.saturating_add(VALIDITY),
        }
    }
}

fn record(state: &MemoryState, id: &Hash) -> Result<Option<Record>, String> {
    let bytes = state.get(&record_key(id)).map_err(|error| chain(&error))?;
    let record = bytes.map(|bytes| Record::parse(&bytes)).transpose();
    record.map_err(|error| chain(&error))
}

fn step(
    action: &str,
    id: &Hash,
    referred: bool,
    before: &MemoryState,
    after: &MemoryState,
) -> Result<Option<Step>, String> {
    let before = record(before, id)?;
    Ok(record(after, id)?.map(|after| Step {
        action: action.to_owned(),
        referred,
        before,
        after,
    }))
}

fn sign(
    batch: bool,
    common: Common,
    items: Vec<(Map<String, Value>, Option<Hash>)>,
    key: &SigningKey,
) -> Result<Transaction, StatementError> {
    if batch {
        let items = items
            .into_iter()
            .map(|(input, record)| Item { input, record }.canonical());
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let header = BatchHeader::new(common, count, items_root(&items)).canonical()?;
        return Ok(Transaction::Batch {
            signature: key.sign(&header).to_bytes(),
            header,
            items,
        });
    }
    let (input, record) = items.into_iter().next().unwrap_or_default();
    let statement = Statement::new(common, input, record).canonical()?;
    Ok(Transaction::Single {
        signature: key.sign(&statement).to_bytes(),
        statement,
    })
}

/// A party's key follows from its name, so that ids in cases stay the same from run to run.
fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest([KEY_DOMAIN, name].concat()).into())
}

fn signer(key: &SigningKey) -> SignerKey {
    SignerKey::ed25519(key.verifying_key().as_bytes())
}
