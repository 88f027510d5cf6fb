//! The copies of documents that are kept: sealed with the tenant's key, and bound to their network, content and issuer.

use zeroize::Zeroizing;

use super::{Desk, Ready};
use crate::ctx::Ctx;
use crate::invoice::kept::{Kept, variant};
use crate::keys::Sealed;
use crate::networks::Network;
use crate::problem::ApiError;
use crate::store::Write;
use crate::store::entity::document;

impl Desk<'_> {
    /// The documents, sealed.
    ///
    /// # Errors
    /// 500 when they can't be.
    pub async fn documents(&self, all: impl IntoIterator<Item = &Ready>) -> Result<Vec<Write>, ApiError> {
        let keys = &self.ctx.state().networks.shared().keys;
        let issuer = self.own_key(self.ctx.owner()).await?;
        let mut rows = Vec::new();
        for ready in all {
            let plain = ready.kept.encode().map_err(ApiError::internal)?;
            let sealed = keys
                .seal(
                    self.ctx.tenant(),
                    &context(self.network, &issuer, &ready.content),
                    &plain,
                )
                .await;
            let Sealed { key, body } = sealed.map_err(ApiError::internal)?;
            rows.push(document::Model {
                network: self.network.entry.id.to_vec(),
                issuer: issuer.clone(),
                content: ready.content.to_vec(),
                variant: variant(&ready.input).to_vec(),
                key,
                body,
                erased_at: None,
                created_at: crate::time::now_ms(),
            });
        }
        Ok(vec![Write::Documents(rows)])
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
