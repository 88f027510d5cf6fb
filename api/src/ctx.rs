//! Who calls, for which tenant: the only way to anything that belongs to a tenant.
//!
//! A handler that takes a [`Ctx`] can't be reached without a valid key, and can't name another tenant: the answer to a
//! foreign tenant, network, record or operation is the answer to one that doesn't exist.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::future::LocalBoxFuture;
use std::sync::Arc;

use crate::app::State;
use crate::auth::Principal;
use crate::frame::RequestId;
use crate::keys::Owner;
use crate::networks::Network;
use crate::problem::{ApiError, Code};
use crate::store::entity::{api_key, idempotency, party};
use crate::store::{Store, StoreError, Write};

/// The context of an authenticated request.
pub struct Ctx {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// Id of the request.
    pub request_id: String,
    state: web::Data<State>,
}

impl Ctx {
    /// The caller's tenant; the one of the path is the same.
    pub fn tenant(&self) -> &str {
        &self.principal.owner.tenant
    }

    /// Who the caller acts for: the tenant, or one of its parties.
    pub fn owner(&self) -> &Owner {
        &self.principal.owner
    }

    /// Refuses a key that acts for a party: what concerns the whole tenant isn't its business.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub fn tenant_itself(&self) -> Result<(), ApiError> {
        match &self.owner().party {
            None => Ok(()),
            Some(party) => Err(ApiError::new(
                Code::FORBIDDEN,
                format!("this API key acts for the party `{party}`; use a key of the tenant itself"),
            )),
        }
    }

    /// Server state that belongs to nobody.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The tenant's part of the store.
    pub fn store(&self) -> TenantStore<'_> {
        TenantStore {
            store: &self.state.networks.shared().store,
            tenant: self.tenant(),
        }
    }

    /// A network of the tenant.
    ///
    /// # Errors
    /// 404; 503 when it can't be attached.
    pub async fn network(&self, name: &str) -> Result<Arc<Network>, ApiError> {
        self.state.networks.find(self.tenant(), name).await
    }

    /// All networks of the tenant, by name.
    pub async fn networks(&self) -> Vec<Arc<Network>> {
        self.state.networks.of(self.tenant()).await
    }
}

impl FromRequest for Ctx {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let secret = secret(request);
        let state = request.app_data::<web::Data<State>>().cloned();
        let tenant = request.match_info().get("tenant").map(str::to_owned);
        let request_id = request
            .extensions()
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        Box::pin(async move {
            let state = state.ok_or_else(|| ApiError::internal("the server has no state"))?;
            let secret = secret.ok_or_else(|| {
                ApiError::unauthorized("send your API key as `Authorization: Bearer mnk_…` or `X-Api-Key: mnk_…`")
            })?;
            let principal = state.auth.principal(&secret).await?;
            if tenant.is_some_and(|tenant| tenant != principal.owner.tenant) {
                return Err(ApiError::not_found());
            }
            Ok(Self {
                principal,
                request_id,
                state,
            })
        })
    }
}

/// A context, and then something else of the request: nothing of it is read or judged before the caller is known.
pub struct With<T>(pub Ctx, pub T);

impl<T: FromRequest + 'static> FromRequest for With<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let ctx = Ctx::from_request(request, &mut Payload::None);
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let ctx = ctx.await?;
            let rest = T::from_request(&request, &mut payload).await;
            let rest = rest.map_err(Into::<actix_web::Error>::into)?;
            Ok(Self(ctx, rest))
        })
    }
}

fn secret(request: &HttpRequest) -> Option<String> {
    let headers = request.headers();
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    bearer
        .or_else(|| headers.get("x-api-key")?.to_str().ok().map(str::trim))
        .map(str::to_owned)
}

/// The store, seen by one tenant.
pub struct TenantStore<'a> {
    store: &'a Store,
    tenant: &'a str,
}

impl TenantStore<'_> {
    /// The tenant's API keys that aren't revoked, by id, after `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn api_keys(&self, after: Option<&str>, limit: u64) -> Result<Vec<api_key::Model>, StoreError> {
        self.store.api_keys(self.tenant, after, limit).await
    }

    /// Revokes one of the tenant's keys; false if it has no such key.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let write = Write::Revoke {
            tenant: self.tenant.to_owned(),
            id: id.to_owned(),
            at: crate::time::now_ms(),
        };
        Ok(self.store.writer.write_counted(vec![write]).await? > 0)
    }

    /// Stores a new key of the tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_api_key(&self, mut row: api_key::Model) -> Result<(), StoreError> {
        row.tenant = self.tenant.to_owned();
        self.store.writer.write(vec![Write::ApiKey(row)]).await
    }

    /// The tenant's parties by name, after `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn parties(&self, after: Option<&str>, limit: u64) -> Result<Vec<party::Model>, StoreError> {
        self.store.parties(self.tenant, after, limit).await
    }

    /// One of the tenant's parties.
    ///
    /// # Errors
    /// The store's.
    pub async fn party(&self, name: &str) -> Result<Option<party::Model>, StoreError> {
        self.store.party(self.tenant, name).await
    }

    /// Stores a party of the tenant; one that is there stays as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_party(&self, mut row: party::Model) -> Result<(), StoreError> {
        row.tenant = self.tenant.to_owned();
        self.store.writer.write(vec![Write::Party(row)]).await
    }

    /// An earlier use of an idempotency key by the tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn idempotency(&self, network: &[u8; 32], key: &str) -> Result<Option<idempotency::Model>, StoreError> {
        self.store.idempotency(self.tenant, network, key).await
    }
}
