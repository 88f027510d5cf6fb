//! The guard on disk.
//!
//! One file of fixed size, so that a record is one overwrite and one `fdatasync` without a change of metadata:
//!
//! ```text
//! header  128 bytes   "MUNGUARD", version u32, 4 zero bytes, network 32, floor u64, height u64, first round u32,
//!                     52 zero bytes, first 8 bytes of SHA-256 of all before
//! record   64 bytes   height u64, round u32, step u8, 3 zero bytes, digest 32, 8 zero bytes,
//!                     first 8 bytes of SHA-256 of all before; an unused record is all zeros
//! ```
//! All numbers are big endian. Records are written one after the other. When the file is full or the floor rises, a
//! new file replaces it atomically.
//!
//! A record whose checksum was never written is one that was being written when the machine died: records grow from
//! their beginning, the checksum stands at their end, and the signature leaves only after all of it is on disk. It is
//! dropped. Any other unreadable last record may be of a signature that left: then the height after the readable ones
//! may have been signed, and whoever opens the guard tells how far the validator had got besides. An unreadable record
//! before others means damage.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use super::{Books, GuardError, Ledger, lock};
use crate::block::Hash;
use crate::engine::{SignGuard, SignSlot};

const MAGIC: &[u8; 8] = b"MUNGUARD";
const VERSION: u32 = 1;
const HEADER: usize = 128;
const RECORD: usize = 64;
/// Records per file: about 340 heights between two replacements.
const CAPACITY: usize = 1024;
const CHECKSUM: usize = 8;

/// The last-signed guard in a file. See [`SignGuard`] for when it is written.
#[derive(Debug)]
pub struct FileGuard {
    path: PathBuf,
    network: Hash,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Records in the file.
    used: usize,
    books: Books,
}

impl FileGuard {
    /// Makes the guard of a validator that never signed, or that lost its data: then `floor` must be a height that
    /// it can't have signed beyond. The folder must exist. Fails if there is a guard already.
    pub fn create(path: &Path, network: Hash, floor: u64) -> Result<Self, GuardError> {
        if path.exists() {
            return Err(GuardError::Exists(path.to_owned()));
        }
        let ledger = Ledger::new(floor, 0, 0);
        let file = replace(path, &network, &ledger)?;
        let state = State {
            file,
            used: 0,
            books: Books::new(ledger),
        };
        Ok(Self {
            path: path.to_owned(),
            network,
            state: Mutex::new(state),
        })
    }

    /// Opens the guard of a validator that ran before. `decided` is the height up to which it has the blocks: what it
    /// signed last was for the height after that or for an earlier one. So if its last record is damaged, nothing up to
    /// there is signed any more.
    pub fn open(path: &Path, network: Hash, decided: u64) -> Result<Self, GuardError> {
        let io = |what| {
            move |source| GuardError::Io {
                what,
                path: path.to_owned(),
                source,
            }
        };
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(GuardError::Missing(path.to_owned())),
            Err(error) => return Err(io("open")(error)),
        };
        let mut bytes = Vec::with_capacity(HEADER + CAPACITY * RECORD);
        let limit = (HEADER + CAPACITY * RECORD + 1) as u64;
        Read::by_ref(&mut file)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(io("read"))?;
        let Parsed { ledger, used, lost } = parse(path, &network, &bytes)?;
        let mut books = Books::new(ledger);
        if lost {
            let floor = books.recorded.height.max(decided).saturating_add(1);
            tracing::warn!(
                path = %path.display(),
                floor,
                "the last record of the signing guard is damaged: nothing up to this height is signed any more"
            );
            books.raise_floor(floor);
        }
        let state = State {
            file,
            // The damage stays until something is recorded: a new file takes its place then, with the floor in it.
            used: if lost { CAPACITY } else { used },
            books,
        };
        Ok(Self {
            path: path.to_owned(),
            network,
            state: Mutex::new(state),
        })
    }

    fn rewrite(&self, state: &mut State) -> Result<(), GuardError> {
        state.file = replace(&self.path, &self.network, &state.books.recorded)?;
        state.used = state.books.recorded.slots().count();
        Ok(())
    }

    fn io(&self, what: &'static str) -> impl FnOnce(std::io::Error) -> GuardError {
        let path = self.path.clone();
        move |source| GuardError::Io { what, path, source }
    }
}

impl SignGuard for FileGuard {
    fn check(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        lock(&self.state).books.check(slot, digest)
    }

    fn record(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        let mut state = lock(&self.state);
        if !state.books.must_record(slot, &digest)? {
            return Ok(());
        }
        if state.used >= CAPACITY {
            self.rewrite(&mut state)?;
        }
        let offset = (HEADER + state.used * RECORD) as u64;
        state
            .file
            .write_all_at(&record_bytes(slot, &digest), offset)
            .map_err(self.io("write"))?;
        state.file.sync_data().map_err(self.io("sync"))?;
        state.used += 1;
        state.books.recorded.insert(slot, digest);
        Ok(())
    }

    fn floor(&self) -> u64 {
        lock(&self.state).books.recorded.floor
    }

    fn raise_floor(&self, height: u64) -> Result<(), GuardError> {
        let mut state = lock(&self.state);
        if height > state.books.recorded.floor {
            state.books.raise_floor(height);
            self.rewrite(&mut state)?;
        }
        Ok(())
    }

    fn last_height(&self) -> u64 {
        lock(&self.state).books.recorded.height
    }
}

fn seal(bytes: &mut [u8]) {
    let (body, checksum) = bytes.split_at_mut(bytes.len() - CHECKSUM);
    let digest: [u8; 32] = Sha256::digest(&*body).into();
    checksum.copy_from_slice(&digest[..CHECKSUM]);
}

fn sealed(bytes: &[u8]) -> bool {
    let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
    let digest: [u8; 32] = Sha256::digest(body).into();
    digest[..CHECKSUM] == *checksum
}

fn header_bytes(network: &Hash, ledger: &Ledger) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_be_bytes());
    bytes[16..48].copy_from_slice(network);
    bytes[48..56].copy_from_slice(&ledger.floor.to_be_bytes());
    bytes[56..64].copy_from_slice(&ledger.height.to_be_bytes());
    bytes[64..68].copy_from_slice(&ledger.first_round.to_be_bytes());
    seal(&mut bytes);
    bytes
}

fn record_bytes(slot: SignSlot, digest: &Hash) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(&slot.height.to_be_bytes());
    bytes[8..12].copy_from_slice(&slot.round.to_be_bytes());
    bytes[12] = slot.step;
    bytes[16..48].copy_from_slice(digest);
    seal(&mut bytes);
    bytes
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn hash_at(bytes: &[u8], at: usize) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(&bytes[at..at + 32]);
    hash
}

/// Whether an unreadable record was never whole: its checksum, which comes last, isn't there.
fn torn(record: &[u8]) -> bool {
    record[RECORD - CHECKSUM..].iter().all(|byte| *byte == 0)
}

/// What a file's bytes say.
struct Parsed {
    ledger: Ledger,
    /// Records in use.
    used: usize,
    /// There was a record after these that can't be read.
    lost: bool,
}

fn parse(path: &Path, network: &Hash, bytes: &[u8]) -> Result<Parsed, GuardError> {
    let corrupt = |what| GuardError::Corrupt {
        path: path.to_owned(),
        what,
    };
    if bytes.len() != HEADER + CAPACITY * RECORD {
        return Err(corrupt("wrong length"));
    }
    let (header, records) = bytes.split_at(HEADER);
    if !header.starts_with(MAGIC) {
        return Err(corrupt("not a signing guard"));
    }
    let version = u32_at(header, 8);
    if version > VERSION {
        return Err(GuardError::Version {
            path: path.to_owned(),
            version,
        });
    }
    if version != VERSION || !sealed(header) {
        return Err(corrupt("header checksum"));
    }
    if hash_at(header, 16) != *network {
        return Err(GuardError::Foreign(path.to_owned()));
    }
    let mut ledger = Ledger::new(u64_at(header, 48), u64_at(header, 56), u32_at(header, 64));
    let (mut used, mut lost) = (0, false);
    let mut records = records.chunks_exact(RECORD).enumerate();
    for (index, record) in records.by_ref() {
        if record.iter().all(|byte| *byte == 0) {
            break;
        }
        if !sealed(record) {
            // Only the last record may be unreadable; a torn one is overwritten by the next.
            lost = !torn(record);
            break;
        }
        let slot = SignSlot {
            height: u64_at(record, 0),
            round: u32_at(record, 8),
            step: record[12],
        };
        let digest = hash_at(record, 16);
        // Records are only ever written after this judgement, so a failure here is damage.
        if slot.height < ledger.height
            || matches!(ledger.records.get(&(slot.round, slot.step)), Some(known) if slot.height == ledger.height && *known != digest)
        {
            return Err(corrupt("records contradict each other"));
        }
        ledger.insert(slot, digest);
        used = index + 1;
    }
    if records.any(|(_, record)| record.iter().any(|byte| *byte != 0)) {
        return Err(corrupt("a record in the middle is unreadable"));
    }
    Ok(Parsed { ledger, used, lost })
}

/// Writes a complete file beside the old one, syncs it and puts it in place.
fn replace(path: &Path, network: &Hash, ledger: &Ledger) -> Result<File, GuardError> {
    let io = |what| {
        move |source| GuardError::Io {
            what,
            path: path.to_owned(),
            source,
        }
    };
    let mut bytes = vec![0; HEADER + CAPACITY * RECORD];
    bytes[..HEADER].copy_from_slice(&header_bytes(network, ledger));
    for ((slot, digest), record) in ledger.slots().zip(bytes[HEADER..].chunks_exact_mut(RECORD)) {
        record.copy_from_slice(&record_bytes(slot, digest));
    }
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&fresh)
        .map_err(io("create"))?;
    file.write_all(&bytes).map_err(io("write"))?;
    file.sync_all().map_err(io("sync"))?;
    fs::rename(&fresh, path).map_err(io("put in place"))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io("sync the folder of"))?;
    Ok(file)
}
