//! A replica's store: the block log as the truth, and the index and hashes derived from it.
//!
//! Owns what is on disk and in which order it gets there. Does not execute, sign or decide.
//!
//! Order of writing: a block is in the log and synced before anybody may vote for it. A certificate and our own
//! cosignature go into the log together and are synced before the cosignature leaves. Index and hashes follow without
//! syncing; after a crash they are behind, and [`Recovered::decided`] tells what to execute again.
//!
//! Everything that the start needs lies at or behind the certificate of the index's height: blocks are judged only
//! on the tip, and nothing is indexed before it was decided and cosigned. So the start reads from there on, whatever
//! the age of the ledger; what lies before is checked when it is read, and once by [`Store::unread`].

mod error;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod formats;
mod hashes;
mod index;
mod log;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::block::{Block, Certificate, Hash, Header};
use crate::wire::Cosigned;

pub use error::StoreError;
pub use hashes::{HashCheck, HashFile};
pub use index::{BlockResult, Commit, HistoryRow, Index, Located, View};
pub use log::{BlockLog, Known, LogCheck, Position};

const BLOCK: u8 = 1;
const CERTIFICATE: u8 = 2;
const COSIGNED: u8 = 3;
const PROPOSED: u8 = 4;

/// Our own cosignature with what it signs: the record that keeps us from ever signing a smaller or another log.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OwnCheckpoint {
    /// Log size.
    pub size: u64,
    /// Log root.
    pub root: Hash,
    /// The signatures.
    pub cosigned: Cosigned,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Proposed {
    height: u64,
    round: u32,
    hash: Hash,
}

/// What the log holds above the index, and the last thing we signed.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Certificates of heights above the index, ascending and contiguous, with their positions.
    pub decided: BTreeMap<u64, (Certificate, Position)>,
    /// Own cosignatures of heights above the final height.
    pub cosigned: BTreeMap<u64, OwnCheckpoint>,
    /// The last own cosignature of all.
    pub last_cosigned: Option<OwnCheckpoint>,
}

/// Blocks that aren't in the index yet.
#[derive(Debug, Default)]
struct Open {
    blocks: HashMap<Hash, (u64, Position)>,
    proposed: HashMap<(u64, u32), Hash>,
}

/// The open store of one replica. All calls may block on disk.
pub struct Store {
    log: BlockLog,
    hashes: HashFile,
    index: Index,
    open: Mutex<Open>,
}

impl Store {
    /// Opens or creates the store in a folder.
    ///
    /// # Errors
    /// [`StoreError`] by name; nothing is repaired here but a torn tail of the log.
    pub fn open(folder: &Path) -> Result<(Self, Recovered), StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Io {
            what: "can't create",
            path: folder.to_path_buf(),
            source,
        })?;
        let index = Index::open(&folder.join("index"))?;
        let view = index.read();
        let height = view.height()?.unwrap_or(0);
        let final_height = view.final_height()?;
        let mut scan = Scan {
            height,
            final_height,
            open: Open::default(),
            recovered: Recovered::default(),
        };
        let known = view.located(height)?.map_or_else(Known::default, |located| Known {
            from: located.certificate().group(),
            synced: located.block().end().max(located.certificate().end()),
        });
        let log = BlockLog::open(&folder.join("blocks"), known, |position, kind, payload| {
            scan.visit(position, kind, payload)
        })?;
        if height > 0 {
            check_tip(&log, &view, height)?;
        }
        for (wanted, found) in (height + 1..).zip(scan.recovered.decided.keys()) {
            if wanted != *found {
                return Err(StoreError::Inconsistent(format!(
                    "the block log lacks the certificate of height {wanted}"
                )));
            }
        }
        let hashes = HashFile::open(&folder.join("hashes"))?;
        Ok((
            Self {
                log,
                hashes,
                index,
                open: Mutex::new(scan.open),
            },
            scan.recovered,
        ))
    }

    /// The index, for reads.
    pub fn view(&self) -> View {
        self.index.read()
    }

    /// Moves the index's write buffers to disk and gives their memory back; for when nothing is written any more.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn rest(&self) -> Result<(), StoreError> {
        self.index.flush()
    }

    /// What the start did not read of the block log.
    pub fn unread(&self) -> LogCheck {
        self.log.unread()
    }

    /// The file of subtree hashes.
    pub fn hashes(&self) -> &HashFile {
        &self.hashes
    }

    fn opened(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a block before it is voted for, synced. With `proposed`, also that we proposed it in that round.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put_block(&self, header: &Header, bytes: &[u8], proposed: Option<u32>) -> Result<Hash, StoreError> {
        let hash = header.hash();
        let known = self.opened().blocks.contains_key(&hash);
        let mut records: Vec<(u8, &[u8])> = Vec::with_capacity(2);
        if !known {
            records.push((BLOCK, bytes));
        }
        let note;
        if let Some(round) = proposed {
            note = encode(&Proposed {
                height: header.height,
                round,
                hash,
            })?;
            records.push((PROPOSED, &note));
        }
        if records.is_empty() {
            return Ok(hash);
        }
        let positions = self.log.append(&records)?;
        let mut open = self.opened();
        if let (false, Some(position)) = (known, positions.first()) {
            open.blocks.insert(hash, (header.height, *position));
        }
        if let Some(round) = proposed {
            open.proposed.insert((header.height, round), hash);
        }
        Ok(hash)
    }

    /// What we proposed in a round, if we did.
    pub fn proposed(&self, height: u64, round: u32) -> Option<Hash> {
        self.opened().proposed.get(&(height, round)).copied()
    }

    /// Bytes of a block that isn't executed yet.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read back as it was written.
    pub fn open_block(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let position = self.opened().blocks.get(hash).map(|(_, position)| *position);
        position.map(|position| self.log.read(position)).transpose()
    }

    /// A decided block with its certificate.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read back as it was written.
    pub fn decided_block(&self, view: &View, height: u64) -> Result<Option<(Vec<u8>, Certificate)>, StoreError> {
        let Some(located) = view.located(height)? else {
            return Ok(None);
        };
        let block = self.log.read(located.block())?;
        let certificate = decode("certificate", &self.log.read(located.certificate())?)?;
        Ok(Some((block, certificate)))
    }

    /// Keeps the decision and our cosignature, in one sync. Returns where the certificate lies.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put_decision(&self, certificate: &Certificate, own: Option<&OwnCheckpoint>) -> Result<Position, StoreError> {
        let certificate = encode(certificate)?;
        // The certificate begins the group, see `Position::group`.
        let mut records: Vec<(u8, &[u8])> = vec![(CERTIFICATE, &certificate)];
        let signed;
        if let Some(own) = own {
            signed = encode(own)?;
            records.push((COSIGNED, &signed));
        }
        let positions = self.log.append(&records)?;
        positions
            .first()
            .copied()
            .ok_or_else(|| StoreError::Inconsistent("nothing was appended".into()))
    }

    /// Keeps our cosignature alone, synced: for a block that was decided but not yet cosigned when we died.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put_cosigned(&self, own: &OwnCheckpoint) -> Result<(), StoreError> {
        self.log.append(&[(COSIGNED, &encode(own)?)])?;
        Ok(())
    }

    /// Where an open block lies.
    pub fn locate(&self, hash: &Hash) -> Option<Position> {
        self.opened().blocks.get(hash).map(|(_, position)| *position)
    }

    /// Commits one executed height to hashes and index, and forgets open blocks up to it.
    ///
    /// # Errors
    /// [`StoreError`]; the caller must not go on.
    pub fn commit(&self, commit: &Commit<'_>, leaves: &[Hash]) -> Result<(), StoreError> {
        if let Some(result) = commit.result {
            self.hashes.append(result.first_leaf, leaves)?;
        }
        let sync = self.index.sync_due(commit.height);
        if sync {
            self.hashes.sync()?;
        }
        self.index.commit(commit, sync)?;
        let mut open = self.opened();
        open.blocks.retain(|_, (height, _)| *height > commit.height);
        open.proposed.retain(|(height, _), _| *height > commit.height);
        Ok(())
    }

    /// Keeps cosignatures of peers and our own for reading.
    ///
    /// # Errors
    /// [`StoreError::Index`].
    pub fn put_cosignatures(&self, cosigned: &[Cosigned], final_height: Option<u64>) -> Result<(), StoreError> {
        self.index.put_cosignatures(cosigned, final_height)
    }
}

/// The index can't be ahead of the log: its tip must be readable there.
fn check_tip(log: &BlockLog, view: &View, height: u64) -> Result<(), StoreError> {
    let missing = || {
        StoreError::Inconsistent(format!(
            "the block log ends before height {height}, which the index has"
        ))
    };
    let located = view.located(height)?.ok_or_else(missing)?;
    log.read(located.certificate()).map_err(|_| missing())?;
    let bytes = log.read(located.block()).map_err(|_| missing())?;
    let header: Header = read_header(&bytes)?;
    if header.hash() != located.hash || header.height != height {
        return Err(StoreError::Inconsistent(format!(
            "the block of height {height} is not the one that was decided"
        )));
    }
    Ok(())
}

/// Collects what lies above the index while the log is read once.
struct Scan {
    height: u64,
    final_height: u64,
    open: Open,
    recovered: Recovered,
}

impl Scan {
    fn visit(&mut self, position: Position, kind: u8, payload: &[u8]) -> Result<(), StoreError> {
        match kind {
            BLOCK => {
                let header = read_header(payload)?;
                if header.height > self.height {
                    self.open.blocks.insert(header.hash(), (header.height, position));
                }
            }
            CERTIFICATE => {
                let certificate: Certificate = decode("certificate", payload)?;
                if certificate.height > self.height {
                    self.recovered
                        .decided
                        .insert(certificate.height, (certificate, position));
                }
            }
            COSIGNED => {
                let own: OwnCheckpoint = decode("cosignature", payload)?;
                if own.cosigned.height > self.final_height {
                    self.recovered.cosigned.insert(own.cosigned.height, own.clone());
                }
                self.recovered.last_cosigned = Some(own);
            }
            PROPOSED => {
                let proposed: Proposed = decode("proposal note", payload)?;
                if proposed.height > self.height {
                    self.open
                        .proposed
                        .insert((proposed.height, proposed.round), proposed.hash);
                }
            }
            _ => {
                return Err(StoreError::Inconsistent(format!(
                    "the block log holds a record of unknown kind {kind}"
                )));
            }
        }
        Ok(())
    }
}

/// Decodes only the header of a stored block.
fn read_header(mut bytes: &[u8]) -> Result<Header, StoreError> {
    Header::deserialize(&mut bytes).map_err(|source| StoreError::Decode {
        what: "block header",
        source,
    })
}

/// Decodes a stored block.
///
/// # Errors
/// [`StoreError::Decode`].
pub fn decode_block(bytes: &[u8]) -> Result<Block, StoreError> {
    decode("block", bytes)
}

fn encode(value: &impl BorshSerialize) -> Result<Vec<u8>, StoreError> {
    borsh::to_vec(value).map_err(|source| StoreError::Decode { what: "record", source })
}

fn decode<T: BorshDeserialize>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    borsh::from_slice(bytes).map_err(|source| StoreError::Decode { what, source })
}
