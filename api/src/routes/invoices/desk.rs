//! Where a submitted invoice is made ready for the ledger: parties found, document judged, record named (`subject`), place in
//! the series held (`place`), copy sealed (`copy`).

mod batch;
mod copy;
mod place;
mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muniment_receipts::key::SignerKey;
use serde_json::{Map, Value};

use super::asked::Asked;
use crate::ctx::Ctx;
use crate::invoice::TEMPLATE;
use crate::invoice::input::{self, Entry, Terms};
use crate::invoice::judge::{Judged, Source, judge};
use crate::invoice::kept::Kept;
use crate::keys::{Owner, Purpose, random};
use crate::networks::Network;
use crate::problem::{ApiError, Code};
use crate::sign::Kind;
pub use copy::unseal;
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
    content: [u8; 32],
}

impl Ready {
    /// The series it comes into.
    pub fn series(&self) -> &str {
        &self.terms.series
    }
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
            judged.kept.salt = Some(random().map_err(ApiError::internal)?);
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
            content: judged.content,
        })
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

    /// Holds the caller's series, so that nobody else here takes its next place meanwhile.
    ///
    /// # Errors
    /// 500 when the key can't be used.
    pub async fn place(&self, series: &str) -> Result<Place<'_>, ApiError> {
        let signer = self.own_key(self.ctx.owner()).await?;
        let slot = self.ctx.state().numbering.slot(self.network.entry.id, &signer, series);
        Ok(Place::hold(slot, self.network, signer, series).await)
    }

    /// Notes that something came into these series, perhaps, with a number of its own: what is next there is counted again.
    pub async fn moved(&self, series: BTreeSet<String>) {
        // Without a key nothing has come.
        let Ok(signer) = self.own_key(self.ctx.owner()).await else {
            return;
        };
        for series in series {
            self.ctx
                .state()
                .numbering
                .moved(self.network.entry.id, &signer, &series);
        }
    }
}
