//! Envelopes: a document is encrypted with a key of its own, and that key with the tenant's data key. Destroying the
//! small wrapped key makes the document unreadable, wherever copies of its ciphertext lie.
//!
//! XChaCha20-Poly1305 with random nonces. The context (which document of which network) is associated data of both, so
//! nothing opens in another's place.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{KeyError, random};

const NONCE: usize = 24;

/// An encrypted document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The document's key, wrapped: nonce and ciphertext.
    pub key: Vec<u8>,
    /// The document: nonce and ciphertext.
    pub body: Vec<u8>,
}

/// Encrypts a document under a data key.
///
/// # Errors
/// When there is no randomness.
pub fn seal(data_key: &[u8; 32], context: &[u8], plain: &[u8]) -> Result<Sealed, KeyError> {
    let own = Zeroizing::new(random::<32>()?);
    Ok(Sealed {
        key: encrypt(data_key, context, own.as_slice())?,
        body: encrypt(&own, context, plain)?,
    })
}

/// Decrypts a document.
///
/// # Errors
/// When key, context or bytes aren't those it was sealed with.
pub fn open(data_key: &[u8; 32], context: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let own = decrypt(data_key, context, &sealed.key)?;
    let own: &[u8; 32] = own.as_slice().try_into().map_err(|_| KeyError::Document)?;
    decrypt(own, context, &sealed.body)
}

fn encrypt(key: &[u8; 32], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let nonce = random::<NONCE>()?;
    let payload = Payload {
        msg: plain,
        aad: context,
    };
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| KeyError::Document)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn decrypt(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(KeyError::Document)?;
    let payload = Payload {
        msg: body,
        aad: context,
    };
    let cipher = XChaCha20Poly1305::new(key.into());
    let plain = cipher
        .decrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| KeyError::Document)?;
    Ok(Zeroizing::new(plain))
}
