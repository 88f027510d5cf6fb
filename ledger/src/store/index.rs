//! The index: everything derived from the block log, in one embedded database (fjall; why, is decision 13 in
//! docs/decisions.md).
//!
//! Owns the tables. Every height is committed atomically, mostly without syncing: after a crash the index is at an
//! older height and the blocks above it are executed again.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use borsh::{BorshDeserialize, BorshSerialize};
use fjall::compaction::Leveled;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch as WriteBatch, PersistMode, Readable, Snapshot,
};

use super::error::StoreError;
use super::log::Position;
use crate::block::Hash;
use crate::wire::{Cosigned, Outcome};

/// First byte of the state keys of records.
const RECORDS: &[u8] = b"r";
/// Format of the tables. 2: the authenticated map is stored in pages.
pub(super) const FORMAT: u8 = 2;
/// Most time and heights between two synced commits.
const SYNC_EVERY: Duration = Duration::from_secs(2);
const SYNC_HEIGHTS: u64 = 64;
/// Block cache and write buffers of one replica in bytes. Small on purpose: an idle replica costs almost nothing.
const CACHE: u64 = 8 * 1024 * 1024;
const MEMTABLE: u64 = 16 * 1024 * 1024;
/// So many write buffers' worth of files gather before they are merged into what lies below. Keys are hashes, so each
/// merge writes all below again; reads ask the filter of each file, which is in memory.
const GATHERED: u8 = 8;
/// Write buffers that are worth a file each when nothing is written any more.
const WORTH_FLUSHING: u64 = 1024 * 1024;
const JOURNAL: u64 = 128 * 1024 * 1024;

/// Where a decided block and its certificate lie in the block log.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Located {
    /// Offset and length of the block record.
    pub block: (u64, u32),
    /// Offset and length of the certificate record.
    pub certificate: (u64, u32),
    /// Block hash.
    pub hash: Hash,
}

impl Located {
    /// Position of the block record.
    pub fn block(&self) -> Position {
        Position {
            offset: self.block.0,
            length: self.block.1,
        }
    }

    /// Position of the certificate record.
    pub fn certificate(&self) -> Position {
        Position {
            offset: self.certificate.0,
            length: self.certificate.1,
        }
    }
}

/// What executing a block gave. Stored form, version 1.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockResult {
    /// Block time in milliseconds.
    pub time: u64,
    /// Per transaction, an outcome per action.
    pub outcomes: Vec<Vec<Outcome>>,
    /// Log size before the block.
    pub first_leaf: u64,
    /// Marker leaf bytes.
    pub marker: Vec<u8>,
    /// Log size after the block.
    pub log_size: u64,
    /// Log root after the block.
    pub log_root: Hash,
    /// State root after the block.
    pub state_root: Hash,
}

/// One step of a record's life as stored.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HistoryRow {
    /// Action name.
    pub action: String,
    /// Signer key.
    pub signer: String,
    /// Height.
    pub height: u64,
    /// Block time in milliseconds.
    pub time: u64,
    /// Log index.
    pub leaf: u64,
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Everything one height adds.
#[derive(Debug)]
pub struct Commit<'a> {
    /// Height; 0 for the genesis state.
    pub height: u64,
    /// Where the block lies; `None` for the genesis state.
    pub located: Option<Located>,
    /// Result; `None` for the genesis state.
    pub result: Option<&'a BlockResult>,
    /// Writes to the state.
    pub state: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Changed pages of the authenticated map.
    pub nodes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Pages that are no more.
    pub stale: Vec<Vec<u8>>,
    /// Record id, version and row.
    pub history: Vec<(Hash, u32, HistoryRow)>,
    /// Template and id of each new record.
    pub created: Vec<(String, Hash)>,
    /// Ids of the block's transactions.
    pub transactions: Vec<Hash>,
}

/// The open index.
pub struct Index {
    database: Database,
    tables: Arc<Tables>,
    /// When and at which height the last synced commit was.
    synced: Mutex<(Instant, u64)>,
}

/// The tables, each a keyspace. Integer keys are big-endian so that they sort as numbers.
struct Tables {
    /// `height`, `final`, `format`, and `hashed`: the height up to which the file of hashes was synced.
    meta: Keyspace,
    /// Height to [`Located`].
    blocks: Keyspace,
    /// Height to [`BlockResult`].
    results: Keyspace,
    /// First leaf of a block to its height.
    first_leaves: Keyspace,
    /// State key to value.
    state: Keyspace,
    /// Row of the authenticated map to page.
    nodes: Keyspace,
    /// Record id and version to [`HistoryRow`].
    history: Keyspace,
    /// Transaction id to height.
    transactions: Keyspace,
    /// Template name, 0 and record id to nothing: the records of a template.
    templates: Keyspace,
    /// Height and validator to [`Cosigned`].
    cosignatures: Keyspace,
}

impl Tables {
    fn all(&self) -> [&Keyspace; 10] {
        [
            &self.meta,
            &self.blocks,
            &self.results,
            &self.first_leaves,
            &self.state,
            &self.nodes,
            &self.history,
            &self.transactions,
            &self.templates,
            &self.cosignatures,
        ]
    }
}

impl Index {
    /// Opens or creates the database.
    ///
    /// # Errors
    /// [`StoreError`] by name: corrupt, newer, in use.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let named = |error| named(path, error);
        let database = Database::builder(path)
            .cache_size(CACHE)
            .max_journaling_size(JOURNAL)
            .worker_threads(1)
            .open()
            .map_err(named)?;
        let table = |name: &str| {
            database
                .keyspace(name, || {
                    let options = KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
                    options.compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(GATHERED)))
                })
                .map_err(named)
        };
        let tables = Arc::new(Tables {
            meta: table("meta")?,
            blocks: table("blocks")?,
            results: table("results")?,
            first_leaves: table("first_leaves")?,
            state: table("state")?,
            nodes: table("nodes")?,
            history: table("history")?,
            transactions: table("transactions")?,
            templates: table("templates")?,
            cosignatures: table("cosignatures")?,
        });
        match tables
            .meta
            .get("format")
            .map_err(named)?
            .and_then(|value| value.first().copied())
        {
            None => tables.meta.insert("format", [FORMAT]).map_err(named)?,
            Some(found) if found > FORMAT => {
                return Err(StoreError::Newer {
                    path: path.to_path_buf(),
                    found,
                    supported: FORMAT,
                });
            }
            Some(found) if found < FORMAT => {
                return Err(StoreError::Older {
                    path: path.to_path_buf(),
                    found,
                });
            }
            Some(_) => {}
        }
        let index = Self {
            database,
            tables,
            synced: Mutex::new((Instant::now(), 0)),
        };
        let height = index.read().height()?.unwrap_or(0);
        *index.last_sync() = (Instant::now(), height);
        Ok(index)
    }

    /// A consistent view of the last commit.
    pub fn read(&self) -> View {
        View {
            snapshot: self.database.snapshot(),
            tables: Arc::clone(&self.tables),
        }
    }

    /// Whether the next commit should be a synced one; the caller syncs the files it depends on first.
    pub fn sync_due(&self, height: u64) -> bool {
        let (when, synced) = *self.last_sync();
        height == 0 || height >= synced + SYNC_HEIGHTS || when.elapsed() >= SYNC_EVERY
    }

    fn last_sync(&self) -> MutexGuard<'_, (Instant, u64)> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits one height, all or nothing. With `sync` it is on disk then, and the caller has synced the hashes.
    ///
    /// # Errors
    /// [`StoreError::Index`]; nothing is changed then.
    pub fn commit(&self, commit: &Commit<'_>, sync: bool) -> Result<(), StoreError> {
        let tables = &self.tables;
        let records = commit.history.len() + commit.created.len();
        let rows = commit.state.len() + commit.nodes.len() + records + commit.transactions.len() + 8;
        let mut batch = WriteBatch::with_capacity(self.database.clone(), rows);
        self.put_block(&mut batch, commit)?;
        if sync {
            batch.insert(&tables.meta, "hashed", commit.height.to_be_bytes());
        }
        for (key, value) in &commit.state {
            match value {
                Some(value) => batch.insert(&tables.state, key.as_slice(), value.as_slice()),
                None => batch.remove(&tables.state, key.as_slice()),
            }
        }
        for (key, value) in &commit.nodes {
            batch.insert(&tables.nodes, key.as_slice(), value.as_slice());
        }
        for key in &commit.stale {
            batch.remove(&tables.nodes, key.as_slice());
        }
        // In the order of their keys: neighbours are found faster in the write buffer.
        let mut history: Vec<_> = commit.history.iter().collect();
        history.sort_unstable_by_key(|(record, version, _)| (record, version));
        let mut bytes = Vec::new();
        for (record, version, row) in history {
            bytes.clear();
            borsh::to_writer(&mut bytes, row).map_err(unwritten)?;
            batch.insert(&tables.history, history_key(record, *version), bytes.as_slice());
        }
        // Nobody removes records or changes their template.
        let mut created: Vec<_> = commit.created.iter().collect();
        created.sort_unstable();
        for (template, record) in created {
            batch.insert(&tables.templates, template_key(template, record), []);
        }
        for id in &commit.transactions {
            batch.insert(&tables.transactions, id.as_slice(), commit.height.to_be_bytes());
        }
        let mode = if sync {
            PersistMode::SyncData
        } else {
            PersistMode::Buffer
        };
        batch.durability(Some(mode)).commit()?;
        if sync {
            *self.last_sync() = (Instant::now(), commit.height);
        }
        Ok(())
    }

    fn put_block(&self, batch: &mut WriteBatch, commit: &Commit<'_>) -> Result<(), StoreError> {
        let tables = &self.tables;
        let height = commit.height.to_be_bytes();
        batch.insert(&tables.meta, "height", height);
        if let Some(located) = &commit.located {
            batch.insert(&tables.blocks, height, encode(located)?);
        }
        if let Some(result) = commit.result {
            batch.insert(&tables.results, height, encode(result)?);
            batch.insert(&tables.first_leaves, result.first_leaf.to_be_bytes(), height);
        }
        Ok(())
    }

    /// Moves what waits in write buffers to disk, so that a quiet replica gives their memory back.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn flush(&self) -> Result<(), StoreError> {
        if self.database.write_buffer_size() < WORTH_FLUSHING {
            return Ok(());
        }
        for table in self.tables.all() {
            table.rotate_memtable()?;
        }
        Ok(())
    }

    /// Keeps cosignatures and, when it rose, the final height. Not synced: they can be fetched again.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn put_cosignatures(&self, cosigned: &[Cosigned], final_height: Option<u64>) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for one in cosigned {
            batch.insert(
                &self.tables.cosignatures,
                cosignature_key(one.height, one.validator),
                encode(one)?,
            );
        }
        if let Some(height) = final_height {
            batch.insert(&self.tables.meta, "final", height.to_be_bytes());
        }
        batch.durability(Some(PersistMode::Buffer)).commit()?;
        Ok(())
    }
}

fn named(path: &Path, error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Locked => StoreError::InUse(path.to_path_buf()),
        fjall::Error::Io(source) => StoreError::Io {
            what: "can't open",
            path: path.to_path_buf(),
            source,
        },
        other => {
            tracing::error!(
                error = &other as &dyn std::error::Error,
                "the index database can't be opened"
            );
            StoreError::Corrupt {
                path: path.to_path_buf(),
                offset: 0,
                what: "the index database is damaged",
            }
        }
    }
}

fn encode(value: &impl BorshSerialize) -> Result<Vec<u8>, StoreError> {
    borsh::to_vec(value).map_err(unwritten)
}

fn unwritten(source: std::io::Error) -> StoreError {
    StoreError::Decode { what: "row", source }
}

fn decode<T: BorshDeserialize>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    borsh::from_slice(bytes).map_err(|source| StoreError::Decode { what, source })
}

/// Key of a record in the table of templates.
fn template_key(template: &str, id: &[u8]) -> Vec<u8> {
    [template.as_bytes(), &[0], id].concat()
}

fn step(entry: fjall::Guard) -> Result<(u32, HistoryRow), StoreError> {
    let (key, value) = entry.into_inner()?;
    let version = key
        .get(32..36)
        .and_then(|v| v.try_into().ok())
        .map_or(0, u32::from_be_bytes);
    Ok((version, decode("history", &value)?))
}

fn history_key(record: &Hash, version: u32) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(record);
    key[32..].copy_from_slice(&version.to_be_bytes());
    key
}

fn cosignature_key(height: u64, validator: u16) -> [u8; 10] {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&height.to_be_bytes());
    key[8..].copy_from_slice(&validator.to_be_bytes());
    key
}

fn number(what: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| StoreError::Decode {
        what,
        source: std::io::Error::other("not 8 bytes"),
    })?;
    Ok(u64::from_be_bytes(bytes))
}

/// Consistent reads of one moment.
pub struct View {
    snapshot: Snapshot,
    tables: Arc<Tables>,
}

impl View {
    /// Height of the last commit; `None` before the genesis state.
    ///
    /// # Errors
    /// [`StoreError`] as for all reads below: the database failed, or a row can't be decoded.
    pub fn height(&self) -> Result<Option<u64>, StoreError> {
        self.snapshot
            .get(&self.tables.meta, "height")?
            .map(|value| number("height", &value))
            .transpose()
    }

    /// Highest height that has a quorum of cosignatures, with all below it.
    pub fn final_height(&self) -> Result<u64, StoreError> {
        self.snapshot
            .get(&self.tables.meta, "final")?
            .map_or(Ok(0), |value| number("final height", &value))
    }

    /// Height up to which the file of hashes was synced.
    pub fn hashed(&self) -> Result<u64, StoreError> {
        self.snapshot
            .get(&self.tables.meta, "hashed")?
            .map_or(Ok(0), |value| number("hashed height", &value))
    }

    /// Where the block of a height lies.
    pub fn located(&self, height: u64) -> Result<Option<Located>, StoreError> {
        let row = self.snapshot.get(&self.tables.blocks, height.to_be_bytes())?;
        row.map(|value| decode("block location", &value)).transpose()
    }

    /// Result of a height.
    pub fn result(&self, height: u64) -> Result<Option<BlockResult>, StoreError> {
        let row = self.snapshot.get(&self.tables.results, height.to_be_bytes())?;
        row.map(|value| decode("block result", &value)).transpose()
    }

    /// Height of the block that holds a leaf.
    pub fn height_of_leaf(&self, leaf: u64) -> Result<Option<u64>, StoreError> {
        let below = self
            .snapshot
            .range(&self.tables.first_leaves, ..=leaf.to_be_bytes())
            .next_back();
        below.map(|entry| number("first leaf", &entry.value()?)).transpose()
    }

    /// State value.
    pub fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.snapshot.get(&self.tables.state, key)?.map(|value| value.to_vec()))
    }

    /// All state keys of a kind with their values, ascending. For kinds that have few.
    pub fn states(&self, kind: &[u8]) -> Result<Vec<Row>, StoreError> {
        let entries = self.snapshot.prefix(&self.tables.state, kind);
        let row = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        };
        entries.map(row).collect()
    }

    /// Ids of the records of a template (or all), ascending, after `after`; at most `limit`.
    pub fn records(&self, template: Option<&str>, after: Option<&Hash>, limit: usize) -> Result<Vec<Hash>, StoreError> {
        let (table, prefix) = match template {
            Some(name) => (&self.tables.templates, template_key(name, &[])),
            None => (&self.tables.state, RECORDS.to_vec()),
        };
        let after = after.map(|id| [prefix.as_slice(), id].concat());
        let start = after.map_or_else(|| Bound::Included(prefix.clone()), Bound::Excluded);
        let mut ids = Vec::new();
        for entry in self.snapshot.range(table, (start, Bound::Unbounded)).take(limit) {
            let key = entry.key()?;
            // A name that isn't a template's may be the beginning of a row, but not leave just an id.
            let id = key.strip_prefix(prefix.as_slice()).and_then(|id| id.try_into().ok());
            let Some(id) = id else { break };
            ids.push(id);
        }
        Ok(ids)
    }

    /// Page of the authenticated map.
    pub fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.snapshot.get(&self.tables.nodes, key)?.map(|value| value.to_vec()))
    }

    /// Steps of a record, oldest first, with their versions: those after version `after`, at most `limit`.
    pub fn history(&self, record: &Hash, after: u32, limit: usize) -> Result<Vec<(u32, HistoryRow)>, StoreError> {
        let last = Bound::Included(history_key(record, u32::MAX));
        let range = (Bound::Excluded(history_key(record, after)), last);
        let steps = self.snapshot.range(&self.tables.history, range);
        steps.take(limit).map(step).collect()
    }

    /// The last step of a record.
    pub fn last_step(&self, record: &Hash) -> Result<Option<(u32, HistoryRow)>, StoreError> {
        let range = history_key(record, 0)..=history_key(record, u32::MAX);
        let last = self.snapshot.range(&self.tables.history, range).next_back();
        last.map(step).transpose()
    }

    /// Height at which a transaction was decided.
    pub fn transaction(&self, id: &Hash) -> Result<Option<u64>, StoreError> {
        let row = self.snapshot.get(&self.tables.transactions, id)?;
        row.map(|value| number("transaction", &value)).transpose()
    }

    /// Known cosignatures of a range of heights, by height then validator.
    pub fn cosignatures(&self, from: u64, to: u64) -> Result<Vec<Cosigned>, StoreError> {
        let range = cosignature_key(from, 0)..=cosignature_key(to, u16::MAX);
        self.snapshot
            .range(&self.tables.cosignatures, range)
            .map(|entry| decode("cosignature", &entry.value()?))
            .collect()
    }
}
