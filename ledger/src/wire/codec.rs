//! Bounded decoding of what comes from outside, and the frames of the block stream.
//!
//! Owns the limits: no length in a message makes anyone allocate more than the message's own size allows.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::{Cosigned, FinalBlock, MAX_FRAME, MAX_TRANSACTIONS};
use crate::transaction::{MAX_BATCH, Transaction};

/// Bytes of the smallest transaction: kind, length of an empty statement, signature.
const SMALLEST: usize = 1 + 4 + 64;
/// Bytes of one borsh [`Cosigned`].
const COSIGNED: usize = 8 + 2 + 8 + 64 + 64;

/// Bytes from outside aren't what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end before the message does, or go on after it.
    #[error("the body's length doesn't match its content at byte {0}")]
    Length(usize),
    /// A count or length is above its limit.
    #[error("{what} at byte {at}: {found} is more than {limit}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// Byte offset.
        at: usize,
        /// As found.
        found: usize,
        /// Most allowed.
        limit: usize,
    },
    /// An unknown variant.
    #[error("unknown kind {kind} at byte {at}")]
    Kind {
        /// As found.
        kind: u8,
        /// Byte offset.
        at: usize,
    },
    /// Anything else that borsh refuses.
    #[error("not the expected borsh form: {0}")]
    Form(String),
}

/// Transactions with the place of each in the body, so that a subset can be passed on without encoding it again.
#[derive(Debug)]
pub struct Parsed {
    /// In order.
    pub transactions: Vec<Transaction>,
    /// Byte range of each.
    pub ranges: Vec<Range<usize>>,
}

/// Decodes a borsh `Vec<Transaction>`.
///
/// # Errors
/// When the body isn't exactly that, or exceeds [`MAX_TRANSACTIONS`] or [`MAX_BATCH`].
pub fn transactions(body: &[u8]) -> Result<Parsed, CodecError> {
    let ranges = scan(body)?;
    let transactions = borsh::from_slice(body).map_err(|error| CodecError::Form(error.to_string()))?;
    Ok(Parsed { transactions, ranges })
}

/// Decodes a borsh `Vec<Cosigned>`.
///
/// # Errors
/// When the body isn't exactly that.
pub fn cosigned(body: &[u8]) -> Result<Vec<Cosigned>, CodecError> {
    let count = Scan { body, at: 0 }.length()?;
    if body.len() - 4 != count.saturating_mul(COSIGNED) {
        return Err(CodecError::Length(body.len()));
    }
    borsh::from_slice(body).map_err(|error| CodecError::Form(error.to_string()))
}

/// Borsh bytes of a list; all our types are plain data, so writing to memory can't fail.
pub fn encode<T: borsh::BorshSerialize>(list: &[T]) -> Bytes {
    borsh::to_vec(list).unwrap_or_default().into()
}

/// Checks every length in a borsh `Vec<Transaction>` against what is there, before anything is allocated.
fn scan(body: &[u8]) -> Result<Vec<Range<usize>>, CodecError> {
    let mut scan = Scan { body, at: 0 };
    let count = scan.count("number of transactions", MAX_TRANSACTIONS, SMALLEST)?;
    let mut ranges = Vec::with_capacity(count);
    for _ in 0..count {
        let start = scan.at;
        match scan.byte()? {
            0 => {
                scan.bytes()?;
                scan.skip(64)?;
            }
            1 => {
                scan.bytes()?;
                scan.skip(64)?;
                for _ in 0..scan.count("number of items", MAX_BATCH, 4)? {
                    scan.bytes()?;
                }
            }
            2 => {
                scan.bytes()?;
                scan.skip(64)?;
                scan.bytes()?;
            }
            kind => return Err(CodecError::Kind { kind, at: start }),
        }
        ranges.push(start..scan.at);
    }
    if scan.at != body.len() {
        return Err(CodecError::Length(scan.at));
    }
    Ok(ranges)
}

/// A cursor that never reads past the end.
struct Scan<'a> {
    body: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn skip(&mut self, count: usize) -> Result<(), CodecError> {
        match self.at.checked_add(count) {
            Some(end) if end <= self.body.len() => {
                self.at = end;
                Ok(())
            }
            _ => Err(CodecError::Length(self.at)),
        }
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        let byte = *self.body.get(self.at).ok_or(CodecError::Length(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    fn length(&mut self) -> Result<usize, CodecError> {
        let start = self.at;
        self.skip(4)?;
        let bytes = self.body.get(start..self.at).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(|bytes| u32::from_le_bytes(bytes) as usize)
            .ok_or(CodecError::Length(start))
    }

    /// A count of things of at least `smallest` bytes each.
    fn count(&mut self, what: &'static str, limit: usize, smallest: usize) -> Result<usize, CodecError> {
        let at = self.at;
        match self.length()? {
            found if found > (self.body.len() - self.at) / smallest => Err(CodecError::Length(at)),
            found if found > limit => Err(CodecError::Limit { what, at, found, limit }),
            found => Ok(found),
        }
    }

    fn bytes(&mut self) -> Result<(), CodecError> {
        let length = self.length()?;
        self.skip(length)
    }
}

/// A frame that says only that the stream is alive.
pub const ALIVE_FRAME: [u8; 4] = [0; 4];

/// Makes the frame of a block.
///
/// # Errors
/// When the block is larger than a frame may be.
pub fn frame(block: &FinalBlock) -> Result<Bytes, CodecError> {
    let mut out = vec![0; 4];
    borsh::to_writer(&mut out, block).map_err(|error| CodecError::Form(error.to_string()))?;
    let length = out.len() - 4;
    match u32::try_from(length) {
        Ok(prefix) if length <= MAX_FRAME => {
            out[..4].copy_from_slice(&prefix.to_le_bytes());
            Ok(out.into())
        }
        _ => Err(CodecError::Limit {
            what: "frame",
            at: 0,
            found: length,
            limit: MAX_FRAME,
        }),
    }
}

/// One frame of the block stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing new.
    Alive,
    /// The next block.
    Block(Box<FinalBlock>),
}

/// Puts frames together from chunks of any size.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Takes the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole frame, if it is here.
    ///
    /// # Errors
    /// When the frame is too large or isn't a block; the stream is then unusable.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, CodecError> {
        let Some(prefix) = self.buffer.get(..4).and_then(|bytes| bytes.try_into().ok()) else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(prefix) as usize;
        if length > MAX_FRAME {
            return Err(CodecError::Limit {
                what: "frame",
                at: 0,
                found: length,
                limit: MAX_FRAME,
            });
        }
        if length == 0 {
            self.buffer.advance(4);
            return Ok(Some(Frame::Alive));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        let body = self.buffer.split_to(length);
        let block = borsh::from_slice(&body).map_err(|error| CodecError::Form(error.to_string()))?;
        Ok(Some(Frame::Block(Box::new(block))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn any_transaction() -> impl Strategy<Value = Transaction> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..80);
        prop_oneof![
            bytes().prop_map(|statement| Transaction::Single {
                statement,
                signature: [7; 64]
            }),
            (bytes(), proptest::collection::vec(bytes(), 0..5)).prop_map(|(header, items)| Transaction::Batch {
                header,
                signature: [9; 64],
                items
            }),
            (bytes(), bytes()).prop_map(|(statement, attachment)| Transaction::Attached {
                statement,
                signature: [5; 64],
                attachment
            }),
        ]
    }

    proptest! {
        #[test]
        fn scan_agrees_with_borsh(list in proptest::collection::vec(any_transaction(), 0..6)) {
            let body = encode(&list);
            let parsed = transactions(&body).unwrap();
            prop_assert_eq!(&parsed.transactions, &list);
            for (range, one) in parsed.ranges.iter().zip(&list) {
                prop_assert_eq!(&body[range.clone()], &borsh::to_vec(one).unwrap()[..]);
            }
        }

        #[test]
        fn any_cut_or_tail_is_refused(list in proptest::collection::vec(any_transaction(), 1..4), cut in any::<prop::sample::Index>()) {
            let mut body = encode(&list).to_vec();
            prop_assert!(transactions(&body[..cut.index(body.len())]).is_err());
            body.push(0);
            prop_assert!(transactions(&body).is_err());
        }

        #[test]
        fn noise_is_never_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = transactions(&body);
            let _ = cosigned(&body);
            let mut frames = Frames::default();
            frames.push(&body);
            while let Ok(Some(_)) = frames.next_frame() {}
        }
    }

    #[test]
    fn hostile_lengths_are_refused_by_the_scan() {
        let mut many = u32::MAX.to_le_bytes().to_vec();
        many.push(0);
        assert_eq!(transactions(&many).unwrap_err(), CodecError::Length(0));
        let mut long = 1u32.to_le_bytes().to_vec();
        long.push(0);
        long.extend(u32::MAX.to_le_bytes());
        long.extend([0; 100]);
        assert_eq!(transactions(&long).unwrap_err(), CodecError::Length(9));
        let empty = Transaction::Single {
            statement: vec![],
            signature: [0; 64],
        };
        let crowd = encode(&vec![empty; MAX_TRANSACTIONS + 1]);
        assert!(matches!(transactions(&crowd), Err(CodecError::Limit { .. })));
        assert_eq!(cosigned(&u32::MAX.to_le_bytes()).unwrap_err(), CodecError::Length(4));
        let mut frames = Frames::default();
        frames.push(&u32::MAX.to_le_bytes());
        assert!(frames.next_frame().is_err());
    }

    #[test]
    fn a_batch_of_too_many_items_is_refused() {
        let batch = Transaction::Batch {
            header: vec![],
            signature: [0; 64],
            items: vec![vec![]; MAX_BATCH + 1],
        };
        assert!(matches!(transactions(&encode(&[batch])), Err(CodecError::Limit { .. })));
    }

    #[test]
    fn cosigned_size_is_what_borsh_writes() {
        let one = Cosigned {
            height: 1,
            validator: 2,
            time: 3,
            signature: [4; 64],
            cose: [5; 64],
        };
        let body = encode(&[one.clone(), one.clone()]);
        assert_eq!(body.len(), 4 + 2 * COSIGNED);
        assert_eq!(cosigned(&body).unwrap(), vec![one.clone(), one]);
    }
}
