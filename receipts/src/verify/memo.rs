//! What the last receipt of a run has shown already: receipts of one block share their checkpoint, and items of one
//! batch their signature. Only whole, equal inputs are taken from here, so no verdict can depend on it.

use std::sync::{Mutex, PoisonError};

use crate::key::{KeyError, SignerKey};
use crate::note::Note;
use crate::trust::{Judgement, ValidatorSet};

/// The last checkpoint and the last statement signature that were checked.
#[derive(Debug, Default)]
pub(super) struct Memo {
    checkpoint: Mutex<Option<Judged>>,
    signed: Mutex<Option<Signed>>,
}

#[derive(Debug)]
struct Judged {
    /// First height of the validator set, which tells sets of one trust root apart.
    from_height: u64,
    note: String,
    judgement: Judgement,
}

#[derive(Debug, PartialEq, Eq)]
struct Signed {
    signer: SignerKey,
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Memo {
    /// [`ValidatorSet::judge`], once per checkpoint. `text` is the whole note that `note` was read from.
    pub(super) fn judge(&self, set: &ValidatorSet, text: &str, note: &Note<'_>) -> Judgement {
        let mut last = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last
            .as_ref()
            .filter(|last| last.from_height == set.from_height() && last.note == text)
        {
            return known.judgement.clone();
        }
        let judgement = set.judge(note);
        *last = Some(Judged {
            from_height: set.from_height(),
            note: text.to_owned(),
            judgement: judgement.clone(),
        });
        judgement
    }

    /// `check`, once per signer, message and signature; only what holds is remembered.
    pub(super) fn signed(
        &self,
        signer: SignerKey,
        message: &[u8],
        signature: &[u8; 64],
        check: impl FnOnce() -> Result<(), KeyError>,
    ) -> Result<(), KeyError> {
        let mut last = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |last: &Signed| last.signer == signer && last.signature == *signature && last.message == message;
        if !last.as_ref().is_some_and(same) {
            check()?;
            *last = Some(Signed {
                signer,
                message: message.to_vec(),
                signature: *signature,
            });
        }
        Ok(())
    }
}
