//! Framing of the block log: groups of records, their checksums, and finding whole ones.
//!
//! Owns how the bytes are laid out and read. Writes nothing and knows nothing of who promised what.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Position, StoreError};

/// Length and checksum and kind before each payload.
pub(super) const FRAME: usize = 9;
/// Mark, length and checksum before each group.
pub(super) const GROUP: usize = 16;
/// Largest group; larger lengths in the file are damage.
const MAX_GROUP: usize = 128 * 1024 * 1024;
/// Bytes looked at at once in the search for a group.
const WINDOW: usize = 1 << 20;

/// Random bytes that begin every group of one file. Nobody outside knows them, so what a group carries can't look like
/// a group.
pub(super) type Mark = [u8; 8];

/// The file for reading.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) mark: Mark,
}

impl Reader {
    /// The records' bytes of the group at `offset`, if a whole one lies there.
    pub(super) fn group(&self, offset: u64, length: u64) -> Result<Option<Vec<u8>>, StoreError> {
        if length.saturating_sub(offset) < GROUP as u64 {
            return Ok(None);
        }
        let mut header = [0; GROUP];
        self.read_at(&mut header, offset)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, a, b, c, d, e, f, g, h] = header;
        let (size, crc) = (
            u32::from_le_bytes([a, b, c, d]) as usize,
            u32::from_le_bytes([e, f, g, h]),
        );
        let known = [m0, m1, m2, m3, m4, m5, m6, m7] == self.mark;
        if !known || size > MAX_GROUP || (GROUP + size) as u64 > length - offset {
            return Ok(None);
        }
        let mut bytes = vec![0; size];
        self.read_at(&mut bytes, offset + GROUP as u64)?;
        Ok((group_checksum(offset, &bytes) == crc).then_some(bytes))
    }

    /// Whether a whole group begins anywhere from `offset` on.
    pub(super) fn any_group(&self, mut offset: u64, length: u64) -> Result<bool, StoreError> {
        let mut window = Vec::new();
        while length.saturating_sub(offset) >= GROUP as u64 {
            window.resize(WINDOW.min((length - offset) as usize), 0);
            self.read_at(&mut window, offset)?;
            for at in marks(&window, &self.mark) {
                if self.group(offset + at as u64, length)?.is_some() {
                    return Ok(true);
                }
            }
            // A mark may begin at the end of one window and go on in the next.
            offset += (window.len() - self.mark.len() + 1) as u64;
        }
        Ok(false)
    }

    /// Reads one record's payload and checks it.
    pub(super) fn record(&self, position: Position) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; FRAME + position.length as usize];
        self.read_at(&mut bytes, position.offset).map_err(|error| match error {
            StoreError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                self.corrupt(position.offset, "a record that the index knows of is missing")
            }
            other => other,
        })?;
        match split(&bytes) {
            Some((_, payload, [])) => Ok(payload.to_vec()),
            _ => Err(self.corrupt(position.offset, "checksum does not match")),
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.file
            .read_exact_at(bytes, offset)
            .map_err(|source| self.io("can't read", source))
    }

    pub(super) fn io(&self, what: &'static str, source: std::io::Error) -> StoreError {
        StoreError::Io {
            what,
            path: self.path.clone(),
            source,
        }
    }

    pub(super) fn corrupt(&self, offset: u64, what: &'static str) -> StoreError {
        StoreError::Corrupt {
            path: self.path.clone(),
            offset,
            what,
        }
    }
}

/// A part of the log that was not read at the start, to be read a piece at a time.
#[derive(Debug)]
pub struct LogCheck {
    pub(super) reader: Reader,
    pub(super) next: u64,
    pub(super) end: u64,
}

impl LogCheck {
    /// Checks about this many bytes; false when nothing is left.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] at the first damage, [`StoreError::Io`].
    pub fn step(&mut self, bytes: u64) -> Result<bool, StoreError> {
        let until = self.end.min(self.next.saturating_add(bytes));
        while self.next < until {
            let group = self.reader.group(self.next, self.end)?;
            let group =
                group.ok_or_else(|| self.reader.corrupt(self.next, "an old block or certificate is damaged"))?;
            self.next += (GROUP + group.len()) as u64;
        }
        Ok(self.next < self.end)
    }
}

fn marks<'a>(window: &'a [u8], mark: &'a Mark) -> impl Iterator<Item = usize> + 'a {
    window
        .windows(mark.len())
        .enumerate()
        .filter_map(move |(at, bytes)| (bytes == mark).then_some(at))
}

/// Adds one record to a group's bytes.
pub(super) fn push(bytes: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum(kind, payload).to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(payload);
}

/// Kind, payload and what follows of the first record in a group; `None` when it does not hold.
pub(super) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[a, b, c, d, e, f, g, h, kind], rest) = bytes.split_first_chunk::<FRAME>()?;
    let size = u32::from_le_bytes([a, b, c, d]) as usize;
    let (payload, rest) = rest.split_at_checked(size)?;
    (checksum(kind, payload) == u32::from_le_bytes([e, f, g, h])).then_some((kind, payload, rest))
}

/// Header of a group of these records that lies at `offset`.
pub(super) fn header(mark: &Mark, offset: u64, records: &[u8]) -> [u8; GROUP] {
    let mut header = [0; GROUP];
    header[..8].copy_from_slice(mark);
    header[8..12].copy_from_slice(&(records.len() as u32).to_le_bytes());
    header[12..].copy_from_slice(&group_checksum(offset, records).to_le_bytes());
    header
}

/// The offset is in it, so that a group never holds anywhere but where it was written.
fn group_checksum(offset: u64, records: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&(records.len() as u32).to_le_bytes());
    hasher.update(records);
    hasher.finalize()
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}
