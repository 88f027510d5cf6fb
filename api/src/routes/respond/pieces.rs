//! A large body in pieces: in one it would be copied while it grows, and as a whole into the server's buffer.

use actix_web::body::{MessageBody, SizedStream};
use actix_web::web::Bytes;

/// Bytes of a piece, about.
const PIECE: usize = 32 * 1024;
/// Room for the item that fills a piece: a receipt has some 6 KB.
const ROOM: usize = PIECE + 8 * 1024;

/// What is written so far.
#[derive(Default)]
pub struct Pieces {
    full: Vec<Bytes>,
    /// Where to write.
    pub last: Vec<u8>,
}

impl Pieces {
    /// Nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.last.is_empty()
    }

    /// Begins another piece when the last is large enough.
    pub fn cut(&mut self) {
        if self.last.len() >= PIECE {
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(ROOM));
            self.full.push(full.into());
        }
    }

    /// All of it, with something before it.
    pub fn after(self, head: Vec<u8>) -> impl MessageBody {
        let first = std::iter::once(head.into());
        let parts: Vec<Bytes> = first.chain(self.full).chain([self.last.into()]).collect();
        let length = parts.iter().map(|part| part.len() as u64).sum();
        let parts = parts.into_iter().map(Ok::<_, std::convert::Infallible>);
        SizedStream::new(length, futures::stream::iter(parts))
    }
}
