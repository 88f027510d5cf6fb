//! A toy application: transactions are bytes, blocks are lists of them, the disk is memory that outlives the engine.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use borsh::{BorshDeserialize, BorshSerialize};
use muniment_ledger::block::{Certificate, Hash};
use muniment_ledger::engine::{Application, Fatal, Validator, Verdict};
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ToyBlock {
    pub height: u64,
    pub parent: Hash,
    pub transactions: Vec<Vec<u8>>,
}

/// Told of each decided block.
pub type OnDecided = Box<dyn FnMut(&ToyBlock) + Send>;

#[derive(Default)]
pub struct Disk {
    pub blocks: HashMap<Hash, Vec<u8>>,
    pub decided: Vec<Certificate>,
    pub proposed: HashMap<(u64, u32), Hash>,
    pub pool: BTreeSet<Vec<u8>>,
    pub on_decided: Option<OnDecided>,
}

impl Disk {
    fn store(&mut self, block: &[u8]) -> Hash {
        let hash = Sha256::digest(block).into();
        self.blocks.entry(hash).or_insert_with(|| block.to_vec());
        hash
    }

    fn parent(&self) -> Hash {
        self.decided.last().map_or([0; 32], |certificate| certificate.block)
    }
}

/// Clones share the disk.
#[derive(Clone)]
pub struct Toy {
    disk: Arc<Mutex<Disk>>,
    validators: Arc<Vec<Validator>>,
    max_bytes: usize,
}

impl Toy {
    pub fn new(validators: &[Validator], max_bytes: usize) -> Self {
        Self {
            disk: Arc::default(),
            validators: Arc::new(validators.to_vec()),
            max_bytes,
        }
    }

    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    pub fn submit(&self, transaction: &[u8]) {
        self.disk().pool.insert(transaction.to_vec());
    }

    pub fn block_at(&self, height: u64) -> Option<ToyBlock> {
        let disk = self.disk();
        let certificate = disk.decided.get(usize::try_from(height).unwrap().checked_sub(1)?)?;
        Some(borsh::from_slice(&disk.blocks[&certificate.block]).unwrap())
    }

    pub fn transactions(&self) -> Vec<Vec<u8>> {
        (1..=self.tip())
            .flat_map(|height| self.block_at(height).unwrap().transactions)
            .collect()
    }

    pub fn hashes(&self) -> Vec<Hash> {
        self.disk()
            .decided
            .iter()
            .map(|certificate| certificate.block)
            .collect()
    }

    fn judge(&self, height: u64, block: &[u8]) -> Option<(Hash, Verdict)> {
        let parsed: ToyBlock = borsh::from_slice(block).ok()?;
        let mut disk = self.disk();
        let good = parsed.height == height && parsed.parent == disk.parent();
        Some((disk.store(block), if good { Verdict::Valid } else { Verdict::Invalid }))
    }
}

impl Application for Toy {
    fn tip(&self) -> u64 {
        self.disk().decided.len() as u64
    }

    fn lowest(&self) -> u64 {
        1
    }

    fn validators(&self, height: u64) -> Vec<Validator> {
        assert!(height <= self.tip() + 1, "validators of a height that isn't known yet");
        self.validators.to_vec()
    }

    fn propose(&mut self, height: u64, round: u32) -> Result<(Hash, Vec<u8>), Fatal> {
        let mut disk = self.disk();
        assert_eq!(height, disk.decided.len() as u64 + 1);
        if let Some(hash) = disk.proposed.get(&(height, round)) {
            return Ok((*hash, disk.blocks[hash].clone()));
        }
        let mut room = self.max_bytes;
        let transactions = disk
            .pool
            .iter()
            .take_while(|transaction| {
                let fits = transaction.len() + 4 <= room;
                room = room.saturating_sub(transaction.len() + 4);
                fits
            })
            .cloned()
            .collect();
        let block = borsh::to_vec(&ToyBlock {
            height,
            parent: disk.parent(),
            transactions,
        })
        .unwrap();
        let hash = disk.store(&block);
        disk.proposed.insert((height, round), hash);
        Ok((hash, block))
    }

    fn check(&mut self, height: u64, _: u32, _: bool, block: &[u8]) -> Result<Option<(Hash, Verdict)>, Fatal> {
        assert_eq!(height, self.tip() + 1);
        Ok(self.judge(height, block))
    }

    fn import(&mut self, height: u64, block: &[u8]) -> Result<Option<(Hash, Verdict)>, Fatal> {
        assert_eq!(height, self.tip() + 1);
        Ok(self.judge(height, block))
    }

    fn block(&self, hash: &Hash) -> Result<Option<Vec<u8>>, Fatal> {
        Ok(self.disk().blocks.get(hash).cloned())
    }

    fn decide(&mut self, certificate: Certificate) -> Result<bool, Fatal> {
        let mut disk = self.disk();
        let Some(bytes) = disk.blocks.get(&certificate.block) else {
            return Ok(false);
        };
        let block: ToyBlock = borsh::from_slice(bytes).unwrap();
        let tip = disk.decided.len() as u64;
        if certificate.height <= tip {
            assert_eq!(
                disk.decided[certificate.height as usize - 1].block,
                certificate.block,
                "two decisions"
            );
            return Ok(true);
        }
        assert_eq!(certificate.height, tip + 1, "gap");
        assert_eq!(block.parent, disk.parent());
        for transaction in &block.transactions {
            disk.pool.remove(transaction);
        }
        disk.decided.push(certificate);
        if let Some(mut hook) = disk.on_decided.take() {
            hook(&block);
            disk.on_decided = Some(hook);
        }
        Ok(true)
    }

    fn decided(&self, from: u64, to: u64, max_bytes: usize) -> Result<Vec<(Vec<u8>, Certificate)>, Fatal> {
        let disk = self.disk();
        let mut room = max_bytes;
        let mut blocks = Vec::new();
        for certificate in disk
            .decided
            .iter()
            .skip(from as usize - 1)
            .take((to - from + 1) as usize)
        {
            let block = disk.blocks[&certificate.block].clone();
            if block.len() > room && !blocks.is_empty() {
                break;
            }
            room = room.saturating_sub(block.len());
            blocks.push((block, certificate.clone()));
        }
        Ok(blocks)
    }

    fn has_work(&self) -> bool {
        !self.disk().pool.is_empty()
    }
}
