//! Writers that keep writing through the API whatever happens, and remember what they were promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use muniment_receipts::receipt::{Disclosure, Receipt};
use muniment_receipts::verify::{Outcome, Verifier};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::api::{Api, deposit, digest};

/// One promise: this digest is in this record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// SHA-256 that was deposited.
    pub digest: String,
    /// Record id of the answer.
    pub record: String,
    /// Receipt of the answer.
    pub receipt: String,
}

/// Running writers.
pub struct Load {
    writers: JoinSet<Vec<Promise>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    patience: Duration,
}

impl Load {
    /// Starts writers. Each writes one deposit after the other and repeats it, with the same idempotency key, until it
    /// has a final answer: refusing to give up is how a client behaves.
    pub fn start(api: &Api, writers: usize) -> Self {
        Self::patient(api, writers, crate::poll::LIMIT)
    }

    /// The same with writers that wait longer for each answer.
    pub fn patient(api: &Api, writers: usize, patience: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let mut set = JoinSet::new();
        for _ in 0..writers {
            let (api, stop, done) = (api.clone(), stop.clone(), done.clone());
            set.spawn(async move {
                let mut promises = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    promises.push(write(&api, patience).await);
                    done.fetch_add(1, Ordering::Relaxed);
                }
                promises
            });
        }
        Self {
            writers: set,
            stop,
            done,
            patience,
        }
    }

    /// Final writes so far.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes are final: the system goes on.
    pub async fn progress(&self, more: usize) {
        let wanted = self.done() + more;
        crate::poll::within(self.patience, "writes go on", || {
            std::future::ready((self.done() >= wanted).then_some(()))
        })
        .await;
    }

    /// Ends the writers after their present write, and answers all promises.
    ///
    /// # Panics
    /// When a writer panicked.
    pub async fn finish(mut self) -> Vec<Promise> {
        self.stop.store(true, Ordering::Relaxed);
        let mut promises = Vec::new();
        while let Some(one) = self.writers.join_next().await {
            promises.extend(one.unwrap());
        }
        promises
    }
}

/// One deposit until it is final.
async fn write(api: &Api, patience: Duration) -> Promise {
    let digest = digest();
    let key = uuid::Uuid::now_v7().to_string();
    crate::poll::within(patience, "a deposit is final", || async {
        let headers = [("prefer", "wait=10"), ("idempotency-key", key.as_str())];
        let body = deposit(&digest).to_string();
        let answer = match api
            .request(Method::POST, &api.url("/notarizations"), &headers, Some(body))
            .await
        {
            Ok(answer) => answer,
            Err(_) => return None,
        };
        match answer.status.as_u16() {
            200 | 201 => Some(Promise {
                digest: digest.clone(),
                record: answer.body["id"].as_str().expect("an id").to_owned(),
                receipt: answer.body["receipt"].as_str().expect("a receipt").to_owned(),
            }),
            // Accepted but not final, or told to come again.
            202 | 429 | 502 | 503 | 504 => None,
            _ => panic!("a good deposit was refused: {answer:?}"),
        }
    })
    .await
}

/// Asserts that every promise is kept: one record per digest, the promised one, with the same digest on every
/// validator, and a receipt that holds.
///
/// # Panics
/// When one is broken.
pub async fn check(world: &dyn crate::world::World, promises: &[Promise]) {
    let api = world.api();
    // The search is a projection of the ledger that says how far it is.
    let tip = crate::world::agreement(world).await.height;
    crate::poll::until("the search has caught up", || async {
        let found = api.get(&format!("/notarizations?digest={}", digest())).await;
        (found.body["height"].as_u64()? >= tip).then_some(())
    })
    .await;
    for promise in promises {
        let found = api.get(&format!("/notarizations?digest={}", promise.digest)).await;
        let records = found.body["records"].as_array().unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!(records.len(), 1, "{} is there {} times", promise.digest, records.len());
        assert_eq!(records[0]["id"], promise.record.as_str());
    }
    let mut all: Vec<&str> = promises.iter().map(|promise| promise.record.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), promises.len(), "two promises name the same record");
    check_receipts(world, promises);
    for validator in world.validators() {
        let node = world.node(&validator);
        for promise in promises.iter().step_by(1 + promises.len() / 200) {
            let id: [u8; 32] = hex::decode(&promise.record).unwrap().try_into().unwrap();
            let view = node
                .record(&id)
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("{validator} has no {promise:?}"));
            assert_eq!(view.record["fields"]["digests"][0]["value"], promise.digest.as_str());
        }
    }
}

/// Every receipt that was handed out passes every check, and is about the promised record and digest.
fn check_receipts(world: &dyn crate::world::World, promises: &[Promise]) {
    let trust = world.trust();
    let verifier = Verifier::with(trust.clone(), Some(*trust.network()));
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = u64::try_from(since.as_millis()).unwrap();
    for promise in promises {
        let mut receipt = Receipt::parse(promise.receipt.as_bytes()).unwrap();
        // Ours to say: the deposits are plain, so the digest on the ledger is the document's.
        receipt.disclosure = Some(Disclosure::Plain);
        let document = hex::decode(&promise.digest).unwrap().try_into().unwrap();
        let report = verifier.verify(&receipt.encode(), Some(document), now);
        assert_eq!(report.overall, Outcome::Pass, "{promise:?}: {report:#?}");
        let statement = report.statement.expect("a receipt that passes tells what was stated");
        assert_eq!(statement.record, promise.record);
        assert_eq!(report.cosigned.len(), trust.validators_at(receipt.height).quorum());
    }
}
