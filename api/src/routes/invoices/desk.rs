//! Where a submitted invoice is made ready for the ledger: parties found, document judged, record named, place in the
//! series held, copy sealed.

mod batch;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;

use muniment_receipts::key::SignerKey;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::records::record_id;
use super::asked::Asked;
use crate::ctx::Ctx;
use crate::invoice::TEMPLATE;
use crate::invoice::input::{self, Entry, Terms};
use crate::invoice::judge::{Judged, Source, judge};
use crate::invoice::kept::Kept;
use crate::keys::{Owner, Purpose, Sealed, random};
use crate::networks::Network;
use crate::problem::{ApiError, Code};
use crate::sign::Kind;
use crate::store::Write;
use crate::store::entity::document;
use crate::store::invoices::Search;
pub use place::Place;

/// How long a search for an earlier invoice waits for blocks that are final already.
const CATCH_UP: std::time::Duration = std::time::Duration::from_secs(5);

/// An invoice that may go to the ledger.
pub struct Ready {
    /// How it comes onto the ledger.
    pub entry: Entry,
    /// Input of the action.
    pub input: Map<String, Value>,
    asked: Asked,
    terms: Terms,
    invoice: Box<muniment_invoices::Invoice>,
    kept: Kept,
}

/// The desk of one request.
pub struct Desk<'a> {
    ctx: &'a Ctx,
    network: &'a Arc<Network>,
}

impl<'a> Desk<'a> {
    /// For a caller and a network.
    pub fn new(ctx: &'a Ctx, network: &'a Arc<Network>) -> Self {
        Self { ctx, network }
    }

    /// The key that a text names: a key itself, a party of the tenant, or the tenant.
    ///
    /// # Errors
    /// 500 when the store fails.
    pub async fn key(&self, text: &str) -> Result<Option<String>, ApiError> {
        if text.contains(':') {
            return Ok(text.parse::<SignerKey>().ok().map(|key| key.to_string()));
        }
        let party = self.ctx.store().party(text).await.map_err(ApiError::internal)?;
        if let Some(party) = party {
            return Ok(Some(party.signer));
        }
        if text != self.ctx.tenant() {
            return Ok(None);
        }
        self.own_key(&Owner::tenant(text)).await.map(Some)
    }

    /// The keys of several names; those that name nobody are left out.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub async fn keys(&self, names: &[&str]) -> Result<BTreeMap<String, String>, ApiError> {
        let mut keys = BTreeMap::new();
        for name in names {
            if let Some(key) = self.key(name).await? {
                keys.insert((*name).to_owned(), key);
            }
        }
        Ok(keys)
    }

    async fn own_key(&self, owner: &Owner) -> Result<String, ApiError> {
        let keys = &self.ctx.state().networks.shared().keys;
        let key = keys
            .ensure(owner, Purpose::Statement)
            .await
            .map_err(ApiError::internal)?;
        Ok(key.to_string())
    }

    /// What is asked for, with keys in place of names.
    ///
    /// # Errors
    /// 422 with a pointer.
    pub async fn terms(&self, asked: &Asked) -> Result<Terms, ApiError> {
        let recipient = asked.recipient.as_deref().ok_or_else(|| {
            let detail = "`recipient` is missing: the party, or the member's key, that receives the invoice";
            ApiError::new(Code::MISSING_FIELD, detail).at("/recipient")
        })?;
        let report_by = asked.report_by.as_deref().map(|text| {
            crate::time::parse(text).ok_or_else(|| {
                let detail = "`reportBy` must be a time, RFC 3339 in UTC: 2027-01-31T00:00:00Z";
                ApiError::new(Code::INVALID_FIELD, detail).at("/reportBy")
            })
        });
        Ok(Terms {
            recipient: self.party(recipient, "recipient").await?,
            agent: self.optional(asked.agent.as_deref(), "agent").await?,
            authority: self.optional(asked.authority.as_deref(), "authority").await?,
            report_by: report_by.transpose()?,
            regime: asked.regime.clone(),
            series: asked.series.clone().unwrap_or_default(),
            committed: asked.committed.unwrap_or(false),
            counter: None,
        })
    }

    async fn optional(&self, text: Option<&str>, field: &str) -> Result<Option<String>, ApiError> {
        match text {
            None => Ok(None),
            Some(text) => self.party(text, field).await.map(Some),
        }
    }

    async fn party(&self, text: &str, field: &str) -> Result<String, ApiError> {
        self.key(text).await?.ok_or_else(|| {
            let detail = format!(
                "`{field}` names nobody: give a party of the tenant (GET …/parties), or a member's key (`ed25519:…`, `p256:…`)"
            );
            ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}"))
        })
    }

    /// Judges a document and makes the action's input of it.
    ///
    /// # Errors
    /// 422 with what was found, or with what the ledger has no place for.
    pub async fn judge(&self, source: Source, asked: &Asked, terms: Terms) -> Result<Ready, ApiError> {
        let profile = asked.profile()?;
        let judged = self.away(move || judge(source, profile)).await??;
        self.ready(judged, asked, terms).await
    }

    /// Judging is work for a processor: no more at once than there are, and away from the async workers.
    async fn away<T: Send + 'static>(&self, judge: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let judging = &self.ctx.state().judging;
        let permit = judging.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let job = move || {
            let judged = judge();
            drop(permit);
            judged
        };
        tokio::task::spawn_blocking(job).await.map_err(ApiError::internal)
    }

    /// Makes the action's input of a document that passed.
    async fn ready(&self, mut judged: Judged, asked: &Asked, terms: Terms) -> Result<Ready, ApiError> {
        if terms.committed {
            judged.kept.salt = Some(match self.salt(&judged.kept.content()).await? {
                Some(salt) => salt,
                None => random().map_err(ApiError::internal)?,
            });
        }
        let entry = self.entry(&judged, asked).await?;
        let input = input::input(&judged, &terms, &entry)?;
        Ok(Ready {
            entry,
            input,
            asked: asked.clone(),
            terms,
            invoice: Box::new(judged.invoice),
            kept: judged.kept,
        })
    }

    /// The salt of the same document if it was sent before: that one may still be on its way onto the ledger, and what is
    /// kept has to open its commitment.
    async fn salt(&self, content: &[u8; 32]) -> Result<Option<[u8; 32]>, ApiError> {
        let issuer = self.own_key(self.ctx.owner()).await?;
        let row = self
            .network
            .document(&issuer, content)
            .await
            .map_err(ApiError::internal)?;
        let Some(row) = row.filter(|row| row.erased_at.is_none()) else {
            return Ok(None);
        };
        let kept = unseal(self.ctx, self.network, &issuer, content, row).await?;
        Ok(kept.salt)
    }

    /// How a document comes onto the ledger.
    async fn entry(&self, judged: &Judged, asked: &Asked) -> Result<Entry, ApiError> {
        let id = |text: &String, field: &str| {
            record_id(text).map(|_| text.clone()).map_err(|_| {
                let detail = format!("`{field}` must be a record's id, 64 lowercase hex characters");
                ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}"))
            })
        };
        if let Some(original) = &asked.replaces {
            self.agrees(judged, original, "replaces").await?;
            return Ok(Entry::Replace(id(original, "replaces")?));
        }
        if let Some(invoice) = &asked.credits {
            self.agrees(judged, invoice, "credits").await?;
            return Ok(Entry::Credit(id(invoice, "credits")?));
        }
        let (note, correction) = (judged.invoice.is_credit_note(), input::is_correction(&judged.invoice));
        if !note && !correction {
            return Ok(Entry::Issue);
        }
        let preceding = judged.invoice.preceding.first().map(|one| one.number.clone());
        let found = match &preceding {
            Some(number) => self.issued(number).await?,
            None => Vec::new(),
        };
        match found.as_slice() {
            [one] if note => Ok(Entry::Credit(hex::encode(one))),
            [one] => Ok(Entry::Replace(hex::encode(one))),
            _ => {
                let (field, what) = match note {
                    true => ("credits", "this credit note is for"),
                    false => ("replaces", "this corrected invoice takes the place of"),
                };
                let detail = format!(
                    "the ledger has {} invoices of yours with the number {:?} (BT-25): say with `{field}=RECORD` which one \
                     {what}",
                    found.len(),
                    preceding.unwrap_or_default()
                );
                Err(ApiError::new(Code::MISSING_FIELD, detail).at(format!("/{field}")))
            }
        }
    }

    /// Refuses a record other than the invoice that the document itself names, where that is the caller's and on the
    /// ledger: nobody could take a credit back that stands on the wrong invoice.
    async fn agrees(&self, judged: &Judged, record: &str, field: &str) -> Result<(), ApiError> {
        let mut named = None;
        for preceding in &judged.invoice.preceding {
            for one in self.issued(&preceding.number).await? {
                if hex::encode(&one) == record {
                    return Ok(());
                }
                named = Some((preceding.number.clone(), hex::encode(one)));
            }
        }
        let Some((number, other)) = named else { return Ok(()) };
        let detail = format!(
            "the document names the invoice {number:?} (BT-25), which is record {other}; `{field}` names another one: \
             correct the document or `{field}`"
        );
        Err(ApiError::new(Code::INVALID_FIELD, detail).at(format!("/{field}")))
    }

    /// The caller's own invoices with a number.
    async fn issued(&self, number: &str) -> Result<Vec<Vec<u8>>, ApiError> {
        let search = Search {
            number: Some(number.to_owned()),
            issuer: Some(self.own_key(self.ctx.owner()).await?),
            ..Search::default()
        };
        self.network.caught_up(CATCH_UP).await;
        let rows = self.network.invoices(&search, 20).await.map_err(ApiError::internal)?;
        let invoices = rows.into_iter().filter(|row| row.credits.is_none());
        Ok(invoices.map(|row| row.record).collect())
    }

    /// The action of the template.
    ///
    /// # Errors
    /// 503 when the revision can't be found out.
    pub async fn kind(&self, entry: &Entry) -> Result<Kind, ApiError> {
        Ok(Kind {
            template: TEMPLATE.into(),
            action: entry.action().into(),
            revision: self.network.revision(TEMPLATE).await?,
        })
    }

    /// The documents, sealed.
    ///
    /// # Errors
    /// 500 when they can't be.
    pub async fn documents(&self, all: impl IntoIterator<Item = &Ready>) -> Result<Vec<Write>, ApiError> {
        let keys = &self.ctx.state().networks.shared().keys;
        let issuer = self.own_key(self.ctx.owner()).await?;
        let mut rows = Vec::new();
        for ready in all {
            let content = ready.kept.content();
            let plain = ready.kept.encode().map_err(ApiError::internal)?;
            let sealed = keys
                .seal(self.ctx.tenant(), &context(self.network, &issuer, &content), &plain)
                .await;
            let Sealed { key, body } = sealed.map_err(ApiError::internal)?;
            rows.push(document::Model {
                network: self.network.entry.id.to_vec(),
                issuer: issuer.clone(),
                content: content.to_vec(),
                key,
                body,
                kept: false,
                erased_at: None,
                created_at: crate::time::now_ms(),
            });
        }
        Ok(vec![Write::Documents(rows)])
    }

    /// Holds the caller's series, so that nobody else here takes its next place meanwhile.
    ///
    /// # Errors
    /// 500 when the key can't be used.
    pub async fn place(&self, series: &str) -> Result<Place<'_>, ApiError> {
        let signer = self.own_key(self.ctx.owner()).await?;
        let slot = self.ctx.state().numbering.slot(self.network.entry.id, &signer, series);
        Ok(Place::new(slot.lock_owned().await, self.network, signer, series))
    }
}

/// Opens what is kept of an invoice.
///
/// # Errors
/// 500 when it can't be.
pub async fn unseal(
    ctx: &Ctx,
    network: &Network,
    issuer: &str,
    content: &[u8; 32],
    row: document::Model,
) -> Result<Kept, ApiError> {
    let sealed = Sealed {
        key: row.key,
        body: row.body,
    };
    let keys = &ctx.state().networks.shared().keys;
    let context = context(network, issuer, content);
    let plain: Zeroizing<Vec<u8>> = keys
        .open(ctx.tenant(), &context, &sealed)
        .await
        .map_err(ApiError::internal)?;
    Kept::decode(&plain).map_err(ApiError::internal)
}

/// What a document's ciphertext is bound to.
fn context(network: &Network, issuer: &str, content: &[u8; 32]) -> Vec<u8> {
    let domain = b"muniment.dev/document/v1\n".as_slice();
    [domain, &network.entry.id, content, issuer.as_bytes()].concat()
}
