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
use crate::cluster::PLATFORM;
use crate::frame::RequestId;
use crate::idempotency::Key;
use crate::keys::Owner;
use crate::networks::Network;
use crate::problem::{ApiError, Code};
use crate::resources::{Resources, Target};
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
            Some(party) => Err(of_a_party(party)),
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

/// Who calls, what the path names, and the server's state.
struct Caller {
    principal: Arc<Principal>,
    tenant: Option<String>,
    request_id: String,
    state: web::Data<State>,
}

/// Finds out who calls. Whether they may have the path's tenant is not decided here.
fn caller(request: &HttpRequest) -> LocalBoxFuture<'static, Result<Caller, ApiError>> {
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
        Ok(Caller {
            principal: state.auth.principal(&secret).await?,
            tenant,
            request_id,
            state,
        })
    })
}

impl FromRequest for Ctx {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = caller(request);
        Box::pin(async move {
            let Caller {
                principal,
                tenant,
                request_id,
                state,
            } = caller.await?;
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

const NOT_HERE: &str = "this server keeps no descriptions: its networks are those that it was started with";

/// Who works on descriptions of tenants and networks: a tenant on its own, the platform on all. It gives no way to what
/// tenants have recorded.
pub struct Manager {
    principal: Arc<Principal>,
    tenant: String,
    state: web::Data<State>,
}

impl Manager {
    /// The tenant of the path.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Whether the caller may know of a tenant.
    pub fn may_see(&self, tenant: &str) -> bool {
        self.is_platform() || self.principal.owner.tenant == tenant
    }

    /// Refuses who isn't the platform.
    ///
    /// # Errors
    /// 403.
    pub fn platform(&self) -> Result<(), ApiError> {
        if self.is_platform() {
            return Ok(());
        }
        let detail = "tenants are made, changed and deleted with a key of the platform: see the Secret \
                      muniment-platform-access in the namespace of the chart, or platform.json in the data folder of \
                      `muniment dev`";
        Err(ApiError::new(Code::FORBIDDEN, detail))
    }

    /// Refuses changes of a suspended tenant's networks with its own key.
    ///
    /// # Errors
    /// 403 `tenant_suspended`; 501 when this server keeps no descriptions.
    pub async fn may_change(&self) -> Result<(), ApiError> {
        if self.is_platform() {
            return Ok(());
        }
        let tenant = self.resources()?.get(&Target::Tenant(self.tenant.clone())).await;
        if tenant.is_some_and(|tenant| tenant.spec["suspended"] == true) {
            return Err(ApiError::suspended_networks());
        }
        Ok(())
    }

    /// Who keeps descriptions.
    ///
    /// # Errors
    /// 501 when this server keeps none.
    pub fn resources(&self) -> Result<&dyn Resources, ApiError> {
        let resources = self.state.resources.get().map(AsRef::as_ref);
        resources.ok_or_else(|| ApiError::new(Code::NO_DESCRIPTIONS, NOT_HERE))
    }

    /// As [`Self::resources`], for an answer that outlives the request.
    ///
    /// # Errors
    /// As [`Self::resources`].
    pub fn shared_resources(&self) -> Result<Arc<dyn Resources>, ApiError> {
        let resources = self.state.resources.get().cloned();
        resources.ok_or_else(|| ApiError::new(Code::NO_DESCRIPTIONS, NOT_HERE))
    }

    fn is_platform(&self) -> bool {
        self.principal.owner.tenant == PLATFORM
    }
}

impl FromRequest for Manager {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = caller(request);
        Box::pin(async move {
            let caller = caller.await?;
            let manager = Self {
                tenant: caller.tenant.unwrap_or_else(|| caller.principal.owner.tenant.clone()),
                principal: caller.principal,
                state: caller.state,
            };
            if !manager.may_see(&manager.tenant) {
                return Err(ApiError::not_found());
            }
            match &manager.principal.owner.party {
                None => Ok(manager),
                Some(party) => Err(of_a_party(party)),
            }
        })
    }
}

/// A context, and then something else of the request: nothing of it is read or judged before the caller is known.
pub struct With<T, C = Ctx>(pub C, pub T);

impl<T: FromRequest + 'static, C: FromRequest<Error = ApiError> + 'static> FromRequest for With<T, C> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let ctx = C::from_request(request, &mut Payload::None);
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let ctx = ctx.await?;
            let rest = T::from_request(&request, &mut payload).await;
            let rest = rest.map_err(Into::<actix_web::Error>::into)?;
            Ok(Self(ctx, rest))
        })
    }
}

fn of_a_party(party: &str) -> ApiError {
    ApiError::new(
        Code::FORBIDDEN,
        format!("this API key acts for the party `{party}`; use a key of the tenant itself"),
    )
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

    /// An earlier use of one of the tenant's idempotency keys.
    ///
    /// # Errors
    /// The store's.
    pub async fn idempotency(&self, key: &Key) -> Result<Option<idempotency::Model>, StoreError> {
        self.store.idempotency(self.tenant, key).await
    }
}
