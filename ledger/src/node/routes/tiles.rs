//! The log as static files: C2SP tlog-tiles.
//!
//! Tiles never change, so they may be cached for ever; the checkpoint may not.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use crate::node::problem::Failure;
use crate::node::shared::Shared;
use crate::replica::{ReadError, Replica};

/// Hashes or entries of a full tile.
const WIDTH: u64 = 256;
/// A tile of this level covers 2^(8 * 7) leaves; there is none above.
const MAX_LEVEL: u8 = 7;

pub async fn checkpoint(shared: web::Data<Shared>) -> Result<HttpResponse, Failure> {
    let note = shared
        .read(Replica::checkpoint)
        .await?
        .ok_or_else(|| Failure::not_found("checkpoint yet"))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(note))
}

pub async fn hashes(shared: web::Data<Shared>, path: web::Path<(String, String)>) -> Result<HttpResponse, Failure> {
    let (level, index) = path.into_inner();
    let level = parse_level(&level).ok_or_else(no_tile)?;
    let tile = Tile::parse(&index).ok_or_else(no_tile)?;
    let body = shared.read(move |replica| hash_tile(replica, level, tile)).await?;
    immutable(body)
}

pub async fn entries(shared: web::Data<Shared>, index: web::Path<String>) -> Result<HttpResponse, Failure> {
    let tile = Tile::parse(&index).ok_or_else(no_tile)?;
    let count = usize::from(tile.width);
    let leaves = shared
        .read(move |replica| replica.leaves(tile.index * WIDTH, count))
        .await?;
    if leaves.len() < count {
        return Err(no_tile());
    }
    immutable(Some(bundle(&leaves)?))
}

fn no_tile() -> Failure {
    Failure::not_found("tile")
}

fn immutable(body: Option<Vec<u8>>) -> Result<HttpResponse, Failure> {
    let body = body.ok_or_else(no_tile)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(body))
}

/// `None` if the log doesn't have all the hashes.
fn hash_tile(replica: &dyn Replica, level: u8, tile: Tile) -> Result<Option<Vec<u8>>, ReadError> {
    let mut body = Vec::with_capacity(usize::from(tile.width) * 32);
    for offset in 0..u64::from(tile.width) {
        match replica.subtree(level * 8, tile.index * WIDTH + offset)? {
            Some(hash) => body.extend_from_slice(&hash),
            None => return Ok(None),
        }
    }
    Ok(Some(body))
}

/// Each entry with its length as big-endian uint16.
fn bundle(leaves: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::with_capacity(leaves.iter().map(|leaf| leaf.len() + 2).sum());
    for leaf in leaves {
        let length = u16::try_from(leaf.len()).map_err(|_| Failure::internal("a leaf is too long for a bundle"))?;
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(leaf);
    }
    Ok(body)
}

fn parse_level(text: &str) -> Option<u8> {
    let level = text.parse().ok().filter(|level| *level <= MAX_LEVEL)?;
    (text.len() == 1).then_some(level)
}

/// Which tile of a level, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    index: u64,
    width: u16,
}

impl Tile {
    /// Reads `x001/x234/067` or `x001/x234/067.p/42`, in the one allowed spelling.
    fn parse(path: &str) -> Option<Self> {
        let (index, width) = match path.split_once(".p/") {
            Some((index, width)) => {
                let value = width.parse().ok().filter(|value| (1..WIDTH as u16).contains(value))?;
                // No sign, no leading zero.
                (index, (width == value.to_string()).then_some(value)?)
            }
            None => (path, WIDTH as u16),
        };
        let mut value = 0u64;
        let mut parts = index.split('/').peekable();
        let several = index.contains('/');
        let mut first = true;
        while let Some(part) = parts.next() {
            let digits = if parts.peek().is_some() {
                part.strip_prefix('x')?
            } else {
                part
            };
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            if first && several && digits == "000" {
                return None;
            }
            first = false;
            value = value.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        (value < u64::MAX / (WIDTH * WIDTH)).then_some(Self { index: value, width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(index: u64, width: u16) -> Option<Tile> {
        Some(Tile { index, width })
    }

    #[test]
    fn paths_have_one_spelling() {
        assert_eq!(Tile::parse("000"), tile(0, 256));
        assert_eq!(Tile::parse("067.p/42"), tile(67, 42));
        assert_eq!(Tile::parse("x001/x234/067"), tile(1_234_067, 256));
        assert_eq!(Tile::parse("x001/000.p/255"), tile(1000, 255));
        for bad in [
            "",
            "0",
            "67",
            "0067",
            "x067",
            "001/067",
            "x000/067",
            "x001/x067",
            "067.p/0",
            "067.p/256",
            "067.p/+1",
            "067.p/01",
            "067.p/",
            "067.p/1/",
            "-67",
            "x001//067",
            "x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Tile::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn levels_have_one_digit() {
        assert_eq!(parse_level("0"), Some(0));
        assert_eq!(parse_level("7"), Some(7));
        for bad in ["8", "00", "-0", "+1", "", "x"] {
            assert_eq!(parse_level(bad), None, "{bad}");
        }
    }
}
