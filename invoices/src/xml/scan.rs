//! Plain markup, read straight from the source: names of ASCII letters, attributes in quotes, tags that end where they
//! should. It recognises and never refuses: what is not plain, the reader gives to `quick-xml`, which also finds the
//! words for what is wrong. Nearly all of an invoice is plain.

/// The start tag of an element, as far as its name.
pub(super) struct Opened {
    /// One past the name.
    pub end: usize,
    /// Tells names apart well enough to find them again.
    pub hash: u64,
}

/// What comes next in a start tag.
pub(super) enum Next {
    /// An attribute: where its name starts and ends, and where its value does.
    Attribute {
        start: usize,
        name: usize,
        value: usize,
        end: usize,
    },
    /// `>`, which ends there.
    Open(usize),
    /// `/>`, which ends there.
    Empty(usize),
}

/// 3 for letters that start a name, 1 for those that only go on with it.
const LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        if letter.is_ascii_alphabetic() || letter == b'_' {
            letters[byte] = 3;
        } else if letter.is_ascii_digit() || matches!(letter, b'-' | b'.' | b':') {
            letters[byte] = 1;
        }
        byte += 1;
    }
    letters
};

/// One past the name that starts here; `None` if no plain name does.
fn name(source: &[u8], at: usize) -> Option<usize> {
    if LETTERS[usize::from(*source.get(at)?)] & 2 == 0 {
        return None;
    }
    let rest = source.get(at + 1..)?;
    let length = rest.iter().position(|byte| LETTERS[usize::from(*byte)] == 0)?;
    Some(at + 1 + length)
}

/// The name of a start tag whose `<` stands here.
pub(super) fn opened(source: &[u8], at: usize) -> Option<Opened> {
    let end = name(source, at + 1)?;
    let written = source.get(at + 1..end)?;
    let (head, tail) = match (written.first_chunk::<8>(), written.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (written.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let word = (head ^ tail.rotate_left(23)).wrapping_add(written.len() as u64);
    let hash = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Some(Opened { end, hash })
}

/// `>` or `/>`, if it stands here.
fn close(source: &[u8], at: usize) -> Option<Next> {
    match source.get(at)? {
        b'>' => Some(Next::Open(at + 1)),
        b'/' if source.get(at + 1) == Some(&b'>') => Some(Next::Empty(at + 2)),
        _ => None,
    }
}

/// What stands behind a name or a value in a start tag.
pub(super) fn next(source: &[u8], at: usize) -> Option<Next> {
    if let Some(close) = close(source, at) {
        return Some(close);
    }
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = at + source.get(at..)?.iter().position(|byte| !space(byte))?;
    if let Some(close) = close(source, start) {
        return Some(close);
    }
    if start == at {
        return None;
    }
    let name = name(source, start)?;
    let quote = match source.get(name..name + 2)? {
        [b'=', quote @ (b'"' | b'\'')] => *quote,
        _ => return None,
    };
    let value = name + 2;
    let end = value + memchr::memchr2(quote, b'<', source.get(value..)?)?;
    (source.get(end) == Some(&quote)).then_some(Next::Attribute {
        start,
        name,
        value,
        end,
    })
}
