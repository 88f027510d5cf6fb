//! The block log: an append-only file that is the truth of a replica.
//!
//! Owns writing, and the recovery of a torn tail. Knows nothing of what the records mean beyond their kind.
//!
//! ```text
//! file   = "MUNIBLK" version:u8 mark[8] crc32:u32le group*      mark: random; crc over what is before it
//! group  = mark[8] length:u32le crc32:u32le record*             crc over the group's offset, length and records
//! record = length:u32le crc32:u32le kind:u8 payload[length]     crc over kind and payload
//! ```
//! What is appended at once is one group, synced before the next one begins. So only the last group can have been
//! being written when the machine died, whichever of its pages got to the disk: a group that does not hold, with no
//! whole one behind it and not known to have been synced, is cut off, for nothing was promised on it. Anything else
//! that does not add up is corruption, by name.

mod group;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use self::group::{FRAME, GROUP, Mark, Reader};
use super::error::StoreError;

pub use self::group::LogCheck;

pub(super) const MAGIC: &[u8; 7] = b"MUNIBLK";
pub(super) const VERSION: u8 = 1;
const PREFIX: usize = 20;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Offset of the frame.
    pub offset: u64,
    /// Payload length.
    pub length: u32,
}

impl Position {
    /// Offset behind the record.
    pub fn end(self) -> u64 {
        self.offset + FRAME as u64 + u64::from(self.length)
    }

    /// Offset of the group that this record is the first one of.
    pub fn group(self) -> u64 {
        self.offset.saturating_sub(GROUP as u64)
    }
}

/// What is known of a log before it is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Offset of the group to read from; 0 for all.
    pub from: u64,
    /// Offset up to which everything was synced.
    pub synced: u64,
}

/// The open log. One writer; reads may happen at any time.
#[derive(Debug)]
pub struct BlockLog {
    reader: Reader,
    /// Where reading began when it was opened.
    from: u64,
    /// Offset of the next group; held while writing.
    end: Mutex<u64>,
}

impl BlockLog {
    /// Opens or creates the log, reads the records from `known.from` on through `visit(position, kind, payload)`, and
    /// cuts a torn tail. A log that ends or breaks before `known.synced` is damaged, not torn, and is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for any damage that is not a torn tail, [`StoreError::Newer`] for a later format.
    pub fn open(
        path: &Path,
        known: Known,
        mut visit: impl FnMut(Position, u8, &[u8]) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let io = |what| {
            move |source| StoreError::Io {
                what,
                path: path.to_path_buf(),
                source,
            }
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io("can't open"))?;
        let length = file.metadata().map_err(io("can't inspect"))?.len();
        let mut reader = Reader {
            file: Arc::new(file),
            path: path.to_path_buf(),
            mark: Mark::default(),
        };
        // The first group is written after the prefix was synced.
        let torn = length <= PREFIX as u64 && known.synced == 0;
        reader.mark = match prefix(&reader, length) {
            Ok(mark) => mark,
            Err(StoreError::Corrupt { .. }) if torn => create(&reader)?,
            Err(error) => return Err(error),
        };
        let length = length.max(PREFIX as u64);
        let from = known.from.max(PREFIX as u64);
        let end = scan(&reader, from, known.synced, length, &mut visit)?;
        if end < length {
            tracing::warn!(path = %path.display(), from = end, to = length, "cutting a torn group off the block log");
            reader.file.set_len(end).map_err(io("can't cut"))?;
            reader.file.sync_all().map_err(io("can't sync"))?;
        }
        Ok(Self {
            reader,
            from,
            end: Mutex::new(end),
        })
    }

    /// What was not read when the log was opened.
    pub fn unread(&self) -> LogCheck {
        LogCheck {
            reader: self.reader.clone(),
            next: PREFIX as u64,
            end: self.from,
        }
    }

    /// Appends records as one group and syncs it. After a crash all of them will be there, or none.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the caller must not go on.
    pub fn append(&self, records: &[(u8, &[u8])]) -> Result<Vec<Position>, StoreError> {
        let io = |what| move |source| self.reader.io(what, source);
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let size: usize = records.iter().map(|(_, payload)| payload.len() + FRAME).sum();
        let mut bytes = Vec::with_capacity(GROUP + size);
        bytes.resize(GROUP, 0);
        let mut positions = Vec::with_capacity(records.len());
        for (kind, payload) in records {
            positions.push(Position {
                offset: *end + bytes.len() as u64,
                length: payload.len() as u32,
            });
            group::push(&mut bytes, *kind, payload);
        }
        let header = group::header(&self.reader.mark, *end, &bytes[GROUP..]);
        bytes[..GROUP].copy_from_slice(&header);
        self.reader.file.write_all_at(&bytes, *end).map_err(io("can't write"))?;
        self.reader.file.sync_data().map_err(io("can't sync"))?;
        *end += bytes.len() as u64;
        Ok(positions)
    }

    /// Reads one record's payload and checks it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the bytes changed since they were written.
    pub fn read(&self, position: Position) -> Result<Vec<u8>, StoreError> {
        self.reader.record(position)
    }
}

/// The mark of an existing log.
fn prefix(reader: &Reader, length: u64) -> Result<Mark, StoreError> {
    let mut bytes = [0; PREFIX];
    let there = &mut bytes[..PREFIX.min(length as usize)];
    reader
        .file
        .read_exact_at(there, 0)
        .map_err(|source| reader.io("can't read", source))?;
    if !bytes.starts_with(MAGIC) {
        return Err(reader.corrupt(0, "not a block log"));
    }
    if bytes[7] > VERSION {
        return Err(StoreError::Newer {
            path: reader.path.clone(),
            found: bytes[7],
            supported: VERSION,
        });
    }
    let mut mark = Mark::default();
    mark.copy_from_slice(&bytes[8..16]);
    if bytes != prefix_bytes(&mark) {
        return Err(reader.corrupt(0, "the first bytes are damaged"));
    }
    Ok(mark)
}

fn prefix_bytes(mark: &Mark) -> [u8; PREFIX] {
    let mut bytes = [0; PREFIX];
    bytes[..7].copy_from_slice(MAGIC);
    bytes[7] = VERSION;
    bytes[8..16].copy_from_slice(mark);
    let crc = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Begins an empty log; its name is on disk before anything is promised.
fn create(reader: &Reader) -> Result<Mark, StoreError> {
    let io = |what| move |source| reader.io(what, source);
    let mut mark = Mark::default();
    getrandom::fill(&mut mark).map_err(|error| reader.io("can't begin", std::io::Error::other(error.to_string())))?;
    reader.file.set_len(0).map_err(io("can't reset"))?;
    reader
        .file
        .write_all_at(&prefix_bytes(&mark), 0)
        .map_err(io("can't write"))?;
    reader.file.sync_all().map_err(io("can't sync"))?;
    if let Some(folder) = reader.path.parent() {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io("can't sync the folder of"))?;
    }
    Ok(mark)
}

/// Reads whole groups until the end or a torn one; returns where that is.
fn scan(
    reader: &Reader,
    mut offset: u64,
    synced: u64,
    length: u64,
    visit: &mut impl FnMut(Position, u8, &[u8]) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    while offset < length {
        let Some(group) = reader.group(offset, length)? else {
            if reader.any_group(offset + 1, length)? {
                return Err(reader.corrupt(offset, "checksum does not match"));
            }
            break;
        };
        let mut at = offset + GROUP as u64;
        let mut rest = group.as_slice();
        while !rest.is_empty() {
            let Some((kind, payload, behind)) = group::split(rest) else {
                return Err(reader.corrupt(at, "checksum does not match"));
            };
            let position = Position {
                offset: at,
                length: payload.len() as u32,
            };
            visit(position, kind, payload)?;
            at = position.end();
            rest = behind;
        }
        offset = at;
    }
    if offset < synced || offset > length {
        return Err(reader.corrupt(offset, "a record that the index knows of is damaged or missing"));
    }
    Ok(offset)
}
