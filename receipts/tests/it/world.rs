//! A network in a few lines: keys, genesis, blocks, cosignatures and receipts, without an engine.

use ed25519_dalek::{Signer, SigningKey};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::genesis::{GENESIS_TYPE, Genesis, GenesisTemplate, Member, ValidatorKeys, validators_hash};
use muniment_receipts::key::SignerKey;
use muniment_receipts::leaf::{self, Marker, Outcome};
use muniment_receipts::merkle::{Frontier, Hash, leaf_hash};
use muniment_receipts::receipt::{Disclosure, Receipt, ReceiptParts};
use muniment_receipts::statement::{BatchHeader, Common, Item, Statement, items_root};
use muniment_receipts::trust::{Cosignature, TrustRoot, ValidatorSet};
use muniment_receipts::{cose, cosignature};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub const START: u64 = 1_767_225_600_000;

pub struct Keys {
    pub consensus: SigningKey,
    pub notary: SigningKey,
    pub cose: SigningKey,
}

pub struct World {
    pub keys: Vec<Keys>,
    pub trust: TrustRoot,
    pub member: SigningKey,
    pub frontier: Frontier,
    pub height: u64,
    pub next: Option<Vec<ValidatorKeys>>,
}

pub struct Block {
    pub first: u64,
    pub height: u64,
    pub time: u64,
    pub leaves: Vec<Vec<u8>>,
    pub paths: Vec<Vec<Hash>>,
    pub checkpoint: Checkpoint,
    pub cosignatures: Vec<Cosignature>,
}

pub fn signing_key(seed: &str) -> SigningKey {
    SigningKey::from_bytes(&Sha256::digest(seed).into())
}

pub fn keys(name: &str) -> Keys {
    let key = |duty: &str| signing_key(&format!("{name} {duty}"));
    Keys {
        consensus: key("consensus"),
        notary: key("notary"),
        cose: key("cose"),
    }
}

pub fn public(name: &str, keys: &Keys) -> ValidatorKeys {
    let hex = |key: &SigningKey| hex::encode(key.verifying_key().as_bytes());
    ValidatorKeys {
        name: name.to_owned(),
        consensus: hex(&keys.consensus),
        notary: hex(&keys.notary),
        cose: hex(&keys.cose),
    }
}

pub fn genesis(validators: usize) -> (Vec<Keys>, Genesis, SigningKey) {
    let member = signing_key("member");
    let keys: Vec<Keys> = (0..validators)
        .map(|index| keys(&format!("validator-{index}")))
        .collect();
    let genesis = Genesis {
        kind: GENESIS_TYPE.to_owned(),
        name: "demo/notary".to_owned(),
        created_at: START,
        validators: (0..)
            .zip(&keys)
            .map(|(index, keys)| public(&format!("validator-{index}"), keys))
            .collect(),
        members: vec![Member {
            name: "Demo".to_owned(),
            key: SignerKey::ed25519(member.verifying_key().as_bytes()).to_string(),
        }],
        templates: vec![GenesisTemplate {
            name: "notarization".to_owned(),
            revision: 1,
            source: "kind: RecordTemplate\n".to_owned(),
        }],
        governance_threshold: 1,
    };
    (keys, genesis, member)
}

pub fn document() -> [u8; 32] {
    Sha256::digest("the document").into()
}

pub fn salted() -> Disclosure {
    Disclosure::Salted {
        salt: Sha256::digest("salt").into(),
    }
}

pub fn outcome(seed: u32) -> Outcome {
    Outcome {
        record: Sha256::digest(seed.to_be_bytes()).into(),
        version: 1,
        also: Vec::new(),
    }
}

pub fn input(disclosure: &Disclosure, document: &[u8; 32]) -> Map<String, Value> {
    let value = hex::encode(disclosure.commitment(document));
    let Value::Object(input) = json!({"digests": [{"alg": "sha-256", "value": value}], "mode": disclosure.mode()})
    else {
        unreachable!()
    };
    input
}

impl World {
    pub fn new(validators: usize) -> Self {
        let (keys, genesis, member) = genesis(validators);
        let trust = TrustRoot::new(genesis).unwrap();
        Self {
            keys,
            trust,
            member,
            frontier: Frontier::new(),
            height: 0,
            next: None,
        }
    }

    pub fn common(&self) -> Common {
        Common {
            action: "deposit".to_owned(),
            network: *self.trust.network(),
            nonce: [7; 16],
            revision: 1,
            signer: SignerKey::ed25519(self.member.verifying_key().as_bytes()),
            template: "notarization".to_owned(),
            valid_until: START + 600_000,
        }
    }

    /// Leaf of one deposit of a document.
    pub fn deposit(&self, disclosure: &Disclosure, document: &[u8; 32]) -> Vec<u8> {
        let statement = Statement::new(self.common(), input(disclosure, document), None)
            .canonical()
            .unwrap();
        let signature = self.member.sign(&statement).to_bytes();
        leaf::single(&statement, &signature, &outcome(0))
    }

    /// Leaves of a batch of deposits.
    pub fn batch(&self, count: u32) -> Vec<Vec<u8>> {
        let item = |index: u32| {
            let digest = Sha256::digest(index.to_be_bytes()).into();
            Item {
                input: input(&salted(), &digest),
                record: None,
            }
            .canonical()
            .unwrap()
        };
        let items: Vec<Vec<u8>> = (0..count).map(item).collect();
        let header = BatchHeader::new(self.common(), count, items_root(&items))
            .canonical()
            .unwrap();
        let signature = self.member.sign(&header).to_bytes();
        let accepted: Vec<_> = (0..count).map(|index| (index, outcome(index))).collect();
        leaf::batch_items(&header, &signature, &items, &accepted)
    }

    pub fn set(&self) -> &ValidatorSet {
        self.trust.validators_at(self.height + 1)
    }

    /// Appends a block with these leaves, and its marker; all validators cosign.
    pub fn block(&mut self, mut leaves: Vec<Vec<u8>>) -> Block {
        let next = self.next.take();
        let set = self.set();
        let next = next.unwrap_or_else(|| set.validators().to_vec());
        let marker = Marker {
            block: Sha256::digest(self.height.to_be_bytes()).into(),
            height: self.height + 1,
            network: *self.trust.network(),
            next_validators: validators_hash(&next).unwrap(),
            state_root: [9; 32],
            time: START + self.height * 1_000,
            validators: *set.hash(),
        };
        leaves.push(leaf::marker(&marker));
        let first = self.frontier.size();
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let growth = self.frontier.extension(&hashes);
        let paths = (first..growth.size()).map(|index| growth.path(index)).collect();
        self.frontier = growth.frontier();
        self.height += 1;
        let checkpoint = Checkpoint::new(self.trust.network(), self.frontier.size(), self.frontier.root());
        let cosignatures = self.cosign(&checkpoint, marker.time / 1_000);
        Block {
            first,
            height: self.height,
            time: marker.time,
            leaves,
            paths,
            checkpoint,
            cosignatures,
        }
    }

    pub fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Vec<Cosignature> {
        let sign = |(validator, keys): (u16, &Keys)| {
            let signature = keys.notary.sign(&cosignature::message(time, checkpoint)).to_bytes();
            Cosignature {
                validator,
                time,
                signature,
            }
        };
        (0..).zip(&self.keys).map(sign).collect()
    }

    pub fn cose_receipt(&self, block: &Block, validator: usize, index: usize) -> Vec<u8> {
        let checkpoint = &block.checkpoint;
        let signature = self.keys[validator]
            .cose
            .sign(&cose::tbs(checkpoint.size, &checkpoint.root))
            .to_bytes();
        let leaf = block.first + index as u64;
        cose::encode_receipt(checkpoint.size, leaf, &block.paths[index], &signature).unwrap()
    }

    /// Receipt of the block's leaf at `index`.
    pub fn receipt(&self, block: &Block, index: usize) -> Receipt {
        let set = self.trust.validators_at(block.height);
        let leaf = &block.leaves[index];
        let last = block.leaves.len() - 1;
        Receipt::build(ReceiptParts {
            network: self.trust.network(),
            height: block.height,
            record: &leaf::Leaf::parse(leaf).unwrap().outcome().unwrap().record,
            leaf,
            index: block.first + index as u64,
            path: &block.paths[index],
            note: &set.note(&block.checkpoint, &block.cosignatures).unwrap(),
            marker: &block.leaves[last],
            marker_path: &block.paths[last],
        })
    }

    /// A world some blocks old, and the receipt of a salted deposit in its last block.
    pub fn with_receipt() -> (Self, Receipt) {
        let mut world = Self::new(4);
        for count in [1, 2, 5] {
            let leaves = world.batch(count);
            world.block(leaves);
        }
        let mut leaves = world.batch(3);
        leaves.push(world.deposit(&salted(), &document()));
        let block = world.block(leaves);
        let mut receipt = world.receipt(&block, 3);
        receipt.disclosure = Some(salted());
        (world, receipt)
    }
}
