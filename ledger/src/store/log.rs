//! The block log: an append-only file that is the truth of a replica.
//!
//! Owns framing, checksums and the recovery of a torn tail. Knows nothing of what the entries mean beyond their kind.
//!
//! ```text
//! file   = "MUNIBLK" version:u8 record*
//! record = length:u32le crc32:u32le kind:u8 payload[length]     crc over kind and payload
//! ```
//! A record that ends beyond the file, or the very last one with a bad checksum, was being written when the process
//! died: nothing was promised on it, it is cut off. Anything else that does not add up is corruption, by name.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;

const MAGIC: &[u8; 7] = b"MUNIBLK";
const VERSION: u8 = 1;
const PREFIX: u64 = 8;
const FRAME: usize = 9;
/// Largest payload; larger lengths in the file are corruption.
const MAX_PAYLOAD: usize = 64 * 1024 * 1024;

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
}

/// The open log. One writer; reads may happen at any time.
#[derive(Debug)]
pub struct BlockLog {
    file: File,
    path: PathBuf,
    /// Offset of the next record; held while writing.
    end: Mutex<u64>,
}

impl BlockLog {
    /// Opens or creates the log, reads every record through `visit(position, kind, payload)`, and cuts a torn tail.
    /// `least` is an offset up to which whole records are known to have been written: a log that ends or breaks before
    /// it is damaged, not torn, and is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for any damage that is not a torn tail, [`StoreError::Newer`] for a later format.
    pub fn open(
        path: &Path,
        least: u64,
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
        if length < PREFIX && least <= PREFIX {
            file.set_len(0).map_err(io("can't reset"))?;
            file.write_all_at(&[MAGIC.as_slice(), &[VERSION]].concat(), 0)
                .map_err(io("can't write"))?;
            file.sync_all().map_err(io("can't sync"))?;
            return Ok(Self {
                file,
                path: path.to_path_buf(),
                end: Mutex::new(PREFIX),
            });
        }
        let log = Self {
            file,
            path: path.to_path_buf(),
            end: Mutex::new(PREFIX),
        };
        log.check_prefix()?;
        let end = log.scan(length, &mut visit)?;
        if end < least {
            return Err(log.corrupt(end, "a record that the index knows of is damaged or missing"));
        }
        if end < length {
            tracing::warn!(path = %path.display(), from = end, to = length, "cutting a torn record off the block log");
            log.file.set_len(end).map_err(io("can't cut"))?;
            log.file.sync_all().map_err(io("can't sync"))?;
        }
        *log.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        Ok(log)
    }

    fn check_prefix(&self) -> Result<(), StoreError> {
        let mut prefix = [0; PREFIX as usize];
        self.read_at(&mut prefix, 0)?;
        if &prefix[..7] != MAGIC {
            return Err(self.corrupt(0, "not a block log"));
        }
        if prefix[7] > VERSION {
            return Err(StoreError::Newer {
                path: self.path.clone(),
                found: prefix[7],
                supported: VERSION,
            });
        }
        Ok(())
    }

    fn scan(
        &self,
        length: u64,
        visit: &mut impl FnMut(Position, u8, &[u8]) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut reader = BufReader::with_capacity(
            1 << 20,
            ReadAt {
                file: &self.file,
                offset: PREFIX,
            },
        );
        let mut offset = PREFIX;
        let mut payload = Vec::new();
        while offset < length {
            let mut frame = [0; FRAME];
            if length - offset < FRAME as u64 {
                return Ok(offset);
            }
            reader
                .read_exact(&mut frame)
                .map_err(|source| self.io("can't read", source))?;
            let (size, crc, kind) = split(&frame);
            if size > MAX_PAYLOAD {
                return Err(self.corrupt(offset, "impossible record length"));
            }
            let next = offset + (FRAME + size) as u64;
            if next > length {
                return Ok(offset);
            }
            payload.resize(size, 0);
            reader
                .read_exact(&mut payload)
                .map_err(|source| self.io("can't read", source))?;
            if checksum(kind, &payload) != crc {
                if next == length {
                    return Ok(offset);
                }
                return Err(self.corrupt(offset, "checksum does not match"));
            }
            visit(
                Position {
                    offset,
                    length: size as u32,
                },
                kind,
                &payload,
            )?;
            offset = next;
        }
        Ok(offset)
    }

    /// Appends records and syncs them to disk once. All or (after a crash) a prefix of them will be there.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the caller must not go on.
    pub fn append(&self, records: &[(u8, &[u8])]) -> Result<Vec<Position>, StoreError> {
        let mut bytes = Vec::with_capacity(records.iter().map(|(_, payload)| payload.len() + FRAME).sum());
        let mut positions = Vec::with_capacity(records.len());
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, payload) in records {
            positions.push(Position {
                offset: *end + bytes.len() as u64,
                length: payload.len() as u32,
            });
            bytes
                .write_all(&(payload.len() as u32).to_le_bytes())
                .map_err(|e| self.io("can't write", e))?;
            bytes.extend_from_slice(&checksum(*kind, payload).to_le_bytes());
            bytes.push(*kind);
            bytes.extend_from_slice(payload);
        }
        self.file
            .write_all_at(&bytes, *end)
            .map_err(|source| self.io("can't write", source))?;
        self.file.sync_data().map_err(|source| self.io("can't sync", source))?;
        *end += bytes.len() as u64;
        Ok(positions)
    }

    /// Reads one record's payload and checks it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the bytes changed since they were written.
    pub fn read(&self, position: Position) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; FRAME + position.length as usize];
        self.read_at(&mut bytes, position.offset)?;
        let payload = bytes.split_off(FRAME);
        let mut frame = [0; FRAME];
        frame.copy_from_slice(&bytes);
        let (size, crc, kind) = split(&frame);
        if size != payload.len() || checksum(kind, &payload) != crc {
            return Err(self.corrupt(position.offset, "checksum does not match"));
        }
        Ok(payload)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.file
            .read_exact_at(bytes, offset)
            .map_err(|source| self.io("can't read", source))
    }

    fn io(&self, what: &'static str, source: std::io::Error) -> StoreError {
        StoreError::Io {
            what,
            path: self.path.clone(),
            source,
        }
    }

    fn corrupt(&self, offset: u64, what: &'static str) -> StoreError {
        StoreError::Corrupt {
            path: self.path.clone(),
            offset,
            what,
        }
    }
}

fn split(frame: &[u8; FRAME]) -> (usize, u32, u8) {
    let [a, b, c, d, e, f, g, h, kind] = *frame;
    (
        u32::from_le_bytes([a, b, c, d]) as usize,
        u32::from_le_bytes([e, f, g, h]),
        kind,
    )
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}

/// Sequential reading that does not move the shared file cursor.
struct ReadAt<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(path: &Path) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        let mut seen = Vec::new();
        BlockLog::open(path, 0, |_, kind, payload| {
            seen.push((kind, payload.to_vec()));
            Ok(())
        })?;
        Ok(seen)
    }

    fn filled(records: &[(u8, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blocks");
        let log = BlockLog::open(&path, 0, |_, _, _| Ok(())).unwrap();
        for (kind, payload) in records {
            let positions = log.append(&[(*kind, payload)]).unwrap();
            assert_eq!(&log.read(positions[0]).unwrap(), payload);
        }
        (folder, path)
    }

    #[test]
    fn a_damaged_length_is_not_taken_for_a_torn_tail() {
        let (_folder, path) = filled(&[(1, vec![7; 50]), (2, vec![8; 50]), (3, vec![9; 50])]);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[PREFIX as usize + 1] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        let known = whole.len() as u64;
        let opened = BlockLog::open(&path, known, |_, _, _| Ok(()));
        assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "{opened:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is cut off a damaged log");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_cut_anywhere_keeps_the_whole_records_before_it(
            records in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..60)), 1..8), cut in 0.0f64..1.0,
        ) {
            let (_folder, path) = filled(&records);
            let length = std::fs::metadata(&path).unwrap().len();
            let keep = (length as f64 * cut) as u64;
            File::options().write(true).open(&path).unwrap().set_len(keep).unwrap();
            let mut end = PREFIX;
            let whole = records.iter().take_while(|(_, p)| { end += (FRAME + p.len()) as u64; end <= keep }).count();
            prop_assert_eq!(collect(&path).unwrap(), records[..whole].to_vec());
            prop_assert_eq!(collect(&path).unwrap(), records[..whole].to_vec());
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_something_else(
            records in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 1..60)), 2..6), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let (_folder, path) = filled(&records);
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, &bytes).unwrap();
            match collect(&path) {
                Err(StoreError::Corrupt { .. } | StoreError::Newer { .. }) => {}
                Err(other) => prop_assert!(false, "{other}"),
                // a length that now points beyond the end looks like a torn tail; the guard and the index notice
                Ok(seen) => prop_assert!(seen.len() < records.len() && records.starts_with(&seen) || at == 7),
            }
        }
    }
}
