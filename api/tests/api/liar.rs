//! One validator lies, lags or forgets: nobody is told anything wrong, and the others do the work.

use super::support::{NETWORK, World, answer, deposit};
use muniment_ledger::block::Hash;
use muniment_ledger::replica::memory::MemoryReplica;
use muniment_ledger::replica::{ReadError, Replica, Tip};
use muniment_ledger::transaction::{Transaction, TransactionId};
use muniment_ledger::wire::{
    Admission, Cosigned, FinalBlock, GovernanceView, HistoryEntry, LeafProof, Outcome, RecordPage, RecordView,
    StateProof, TemplateView, TransactionStatus,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, watch};

type Lie = Box<dyn Fn(&Liar, FinalBlock) -> FinalBlock + Send + Sync>;
pub type Judge = Box<dyn Fn(&Transaction) -> Admission + Send + Sync>;

/// A replica that tells what it wants.
pub struct Liar {
    honest: Arc<MemoryReplica>,
    /// What it makes of a block.
    block: Lie,
    /// What it says of a submission, which it then keeps to itself.
    pub admission: Option<Judge>,
    /// Where it says that the leaf is whose index this is.
    pub place: fn(u64) -> u64,
    /// What it says of every transaction.
    pub status: Option<TransactionStatus>,
    /// It never has heard of any block.
    behind: bool,
    pub seen: Mutex<Vec<Transaction>>,
}

impl Liar {
    pub fn new(honest: Arc<MemoryReplica>) -> Self {
        Self {
            honest,
            block: Box::new(|_, block| block),
            admission: None,
            place: |leaf| leaf,
            status: None,
            behind: false,
            seen: Mutex::default(),
        }
    }

    /// Says that it took what it throws away.
    pub fn forgetful(honest: Arc<MemoryReplica>) -> Self {
        let taken = |transaction: &Transaction| Admission::Accepted {
            id: transaction.id().to_string(),
        };
        Self {
            admission: Some(Box::new(taken)),
            ..Self::new(honest)
        }
    }
}

impl Replica for Liar {
    fn network(&self) -> Hash {
        self.honest.network()
    }
    fn genesis(&self) -> &[u8] {
        self.honest.genesis()
    }
    fn admit(&self, transactions: Vec<Transaction>) -> Vec<Admission> {
        let Some(admission) = &self.admission else {
            return self.honest.admit(transactions);
        };
        let admissions = transactions.iter().map(admission).collect();
        self.seen.lock().unwrap().extend(transactions);
        admissions
    }
    fn tip(&self) -> Tip {
        if self.behind { Tip::default() } else { self.honest.tip() }
    }
    fn watch_final(&self) -> watch::Receiver<u64> {
        if self.behind {
            watch::channel(0).1
        } else {
            self.honest.watch_final()
        }
    }
    fn final_block(&self, height: u64) -> Result<Option<FinalBlock>, ReadError> {
        let block = self.honest.final_block(height)?;
        Ok(block.map(|block| (self.block)(self, block)))
    }
    fn transaction(&self, id: &TransactionId) -> Result<TransactionStatus, ReadError> {
        if self.behind {
            return Ok(TransactionStatus::Unknown);
        }
        match &self.status {
            Some(status) => Ok(status.clone()),
            None => self.honest.transaction(id),
        }
    }
    fn record(&self, id: &Hash) -> Result<Option<RecordView>, ReadError> {
        if self.behind {
            return Ok(None);
        }
        let view = self.honest.record(id)?;
        Ok(view.map(|view| RecordView {
            leaf: (self.place)(view.leaf),
            ..view
        }))
    }
    fn records(&self, template: Option<&str>, after: Option<&Hash>, limit: usize) -> Result<RecordPage, ReadError> {
        if self.behind {
            let (height, records, next) = (0, Vec::new(), None);
            return Ok(RecordPage { height, records, next });
        }
        self.honest.records(template, after, limit)
    }
    fn history(&self, id: &Hash, after: u32, limit: usize) -> Result<Vec<HistoryEntry>, ReadError> {
        if self.behind {
            return Ok(Vec::new());
        }
        let mut steps = self.honest.history(id, after, limit)?;
        steps.iter_mut().for_each(|step| step.leaf = (self.place)(step.leaf));
        Ok(steps)
    }
    fn state_proof(&self, id: &Hash) -> Result<StateProof, ReadError> {
        let mut proof = self.honest.state_proof(id)?;
        if self.behind {
            (proof.height, proof.value) = (0, None);
        }
        Ok(proof)
    }
    fn template(&self, name: &str, revision: Option<u32>) -> Result<Option<TemplateView>, ReadError> {
        self.honest.template(name, revision)
    }
    fn trust_root(&self) -> Result<Vec<u8>, ReadError> {
        Replica::trust_root(&*self.honest)
    }
    fn governance(&self) -> Result<GovernanceView, ReadError> {
        self.honest.governance()
    }
    fn leaf_proof(&self, index: u64) -> Result<Option<LeafProof>, ReadError> {
        if self.behind {
            return Ok(None);
        }
        // A proof of another leaf: a receipt for something that wasn't asked for.
        let other = if index == 0 { 1 } else { index - 1 };
        let proof = self.honest.leaf_proof(other)?;
        Ok(proof.map(|proof| LeafProof { index, ..proof }))
    }
    fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        self.honest.checkpoint()
    }
    fn subtree(&self, level: u8, index: u64) -> Result<Option<Hash>, ReadError> {
        self.honest.subtree(level, index)
    }
    fn leaves(&self, from: u64, count: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        self.honest.leaves(from, count)
    }
    fn add_cosignatures(&self, cosigned: Vec<Cosigned>) {
        self.honest.add_cosignatures(cosigned);
    }
    fn cosignatures(&self, from: u64, to: u64) -> Result<Vec<Cosigned>, ReadError> {
        self.honest.cosignatures(from, to)
    }
    fn own_cosignatures(&self) -> broadcast::Receiver<Cosigned> {
        self.honest.own_cosignatures()
    }
    fn want_block(&self) {
        self.honest.want_block();
    }

    fn mempool(&self) -> (usize, usize) {
        self.honest.mempool()
    }
    fn voting(&self) -> bool {
        true
    }
    fn quorum(&self) -> (usize, usize) {
        // One of one, so that its node asks no peers.
        (1, 1)
    }
}

pub async fn accept(world: &World, number: u64) -> String {
    let request = world
        .request(Method::POST, &format!("{NETWORK}/notarizations"))
        .json(&deposit(number));
    let (status, operation) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{operation}");
    format!("/v1/operations/{}", operation["id"].as_str().unwrap())
}

fn refused(id: TransactionId) -> Admission {
    Admission::Refused {
        id: id.to_string(),
        code: "NOT_A_MEMBER".to_owned(),
        message: "go away".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_padded_block_settles_nothing_and_a_dropped_write_goes_elsewhere() {
    let world = World::among(|honest| {
        let mut liar = Liar::forgetful(honest);
        liar.block = Box::new(|liar, mut block| {
            // What it was given, as refused; and a time at which all would be expired.
            let seen = liar.seen.lock().unwrap().clone();
            let refusal = |one: &Transaction| {
                let refusal = Outcome::Rejected {
                    code: "NOT_A_MEMBER".to_owned(),
                    message: "go away".to_owned(),
                    pointer: String::new(),
                    record: None,
                };
                vec![refusal; one.actions()]
            };
            block.outcomes.extend(seen.iter().map(refusal));
            block.transactions.extend(seen);
            block.header.transactions = u32::try_from(block.transactions.len()).unwrap();
            block.header.time += 3_600_000;
            block.certificate.block = block.header.hash();
            block
        });
        Arc::new(liar)
    })
    .await;
    let mut operations = Vec::new();
    for number in 0..5 {
        operations.push(accept(&world, number).await);
    }
    world.replica.heartbeat();
    for operation in operations {
        let operation = world.finished(&operation).await;
        assert_eq!(operation["phase"], "succeeded", "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_is_not_the_networks() {
    let refusing = |honest| {
        let mut liar = Liar::new(honest);
        liar.admission = Some(Box::new(|one| refused(one.id())));
        Arc::new(liar) as Arc<dyn Replica>
    };
    let world = World::among(refusing).await;
    let (status, made) = world.notarize(1).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_block_is_looked_at() {
    let naming = |honest: Arc<MemoryReplica>| {
        let mut liar = Liar::new(honest);
        liar.admission = Some(Box::new(|one| Admission::Known {
            id: one.id().to_string(),
            height: Some(1),
        }));
        Arc::new(liar) as Arc<dyn Replica>
    };
    let world = World::among(naming).await;
    world.replica.heartbeat();
    let (status, made) = world.notarize(1).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_checkpoint_again_stops_nothing() {
    let world = World::among(|honest| {
        let mut liar = Liar::new(honest);
        liar.block = Box::new(|liar, mut block| {
            if block.header.height > 1 {
                let old = liar.honest.final_block(1).unwrap().unwrap();
                (block.log_size, block.log_root) = (old.log_size, old.log_root);
                block.cosignatures = old.cosignatures;
            }
            block
        });
        Arc::new(liar)
    })
    .await;
    for number in 0..5 {
        let (status, made) = world.notarize(number).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }
    // Heavy blocks are judged on another thread: a panic there must not pass for the end.
    let items: Vec<_> = (100..300).map(deposit).collect();
    let request = world.post(&format!("{NETWORK}/notarizations:batch"), &json!({ "items": items }));
    let (status, batch) = answer(request.send().await.unwrap()).await;
    assert_eq!((status, &batch["accepted"]), (StatusCode::OK, &json!(200)), "{batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_made_only_of_a_proof_that_holds() {
    let world = World::among(|honest| Arc::new(Liar::new(honest))).await;
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(world.notarize(number).await.1);
    }
    for one in &made {
        let path = format!("{NETWORK}/records/{}/receipt", one["id"].as_str().unwrap());
        let receipt = world.get(&path).send().await.unwrap().text().await.unwrap();
        assert_eq!(Some(receipt.as_str()), one["receipt"].as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_behind_is_passed_over() {
    let world = World::among(|honest| {
        let mut liar = Liar::new(honest);
        liar.behind = true;
        Arc::new(liar)
    })
    .await;
    let operation = accept(&world, 1).await;
    let finished = world.finished(&operation).await;
    let record = finished["items"][0]["id"].as_str().unwrap();
    // Whoever answered last is asked first; so often that it was the one behind at times.
    for _ in 0..8 {
        for path in [
            operation.clone(),
            format!("{NETWORK}/records/{record}"),
            format!("{NETWORK}/records/{record}/history"),
            format!("{NETWORK}/records/{record}/receipt"),
        ] {
            let response = world.get(&path).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{path}");
        }
        let (_, page) = answer(world.get(&format!("{NETWORK}/records")).send().await.unwrap()).await;
        assert_eq!(page["records"].as_array().unwrap().len(), 1);
        let path = format!("{NETWORK}/records/{record}/proof");
        let (_, proof) = answer(world.get(&path).send().await.unwrap()).await;
        assert!(proof["value"].is_string(), "{proof}");
    }
}
