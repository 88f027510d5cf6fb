//! Tenants and networks as what is wanted: the custom resources of Kubernetes, or what `muniment dev` keeps of the same.
//!
//! The tenant's own keys may work on its networks while it isn't suspended; tenants themselves belong to the platform's
//! keys.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Path};
use serde_json::Value;

use crate::body;
use crate::ctx::{Manager, With};
use crate::problem::{ApiError, Code};
use crate::resources::{Change, Resource, Target};
use crate::types::{Problem, ResourceRequest};

/// The tenants that the key may see: its own, or all with a platform key.
#[utoipa::path(get, path = "/v1/tenants", tag = "resources", operation_id = "listTenants", security(("apiKey" = [])),
    responses((status = 200, description = "the tenants", body = [Resource]),
        (status = 501, description = "this server keeps no descriptions", body = Problem)))]
pub async fn list_tenants(manager: Manager) -> Result<HttpResponse, ApiError> {
    let mut tenants = manager.resources()?.list(None).await;
    tenants.retain(|one| manager.may_see(&one.name));
    Ok(HttpResponse::Ok().json(tenants))
}

/// Makes a tenant. Needs a platform key.
#[utoipa::path(post, path = "/v1/tenants", tag = "resources", operation_id = "createTenant",
    request_body = ResourceRequest, security(("apiKey" = [])),
    responses((status = 202, description = "it is being made", body = Resource),
        (status = 403, description = "not with this key, or a quota", body = Problem),
        (status = 409, description = "there is one already", body = Problem),
        (status = 422, description = "a field is wrong", body = Problem)))]
pub async fn create_tenant(With(manager, bytes): With<Bytes, Manager>) -> Result<HttpResponse, ApiError> {
    manager.platform()?;
    let (name, spec) = named(&bytes)?;
    let made = manager
        .resources()?
        .apply(&Target::Tenant(name), &spec, Change::Create, false)
        .await?;
    Ok(HttpResponse::Accepted().json(made))
}

/// A tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "resources", operation_id = "getTenant",
    security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 200, description = "the tenant", body = Resource),
        (status = 404, description = "no such tenant", body = Problem)))]
pub async fn get_tenant(manager: Manager) -> Result<HttpResponse, ApiError> {
    one(&manager, &Target::Tenant(manager.tenant().to_owned())).await
}

/// Changes fields of a tenant (RFC 7396). Needs a platform key.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "resources", operation_id = "changeTenant",
    request_body = Object, security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 202, description = "it is being changed", body = Resource),
        (status = 409, description = "a field is kept by somebody else", body = Problem),
        (status = 422, description = "a field is wrong", body = Problem)))]
pub async fn change_tenant(With(manager, bytes): With<Bytes, Manager>) -> Result<HttpResponse, ApiError> {
    manager.platform()?;
    change(&manager, Target::Tenant(manager.tenant().to_owned()), &bytes, false).await
}

/// Deletes a tenant. Needs a platform key.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}", tag = "resources", operation_id = "deleteTenant",
    security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 202, description = "it is being deleted"),
        (status = 403, description = "not with this key, or protected", body = Problem),
        (status = 404, description = "no such tenant", body = Problem)))]
pub async fn delete_tenant(manager: Manager) -> Result<HttpResponse, ApiError> {
    manager.platform()?;
    delete(&manager, Target::Tenant(manager.tenant().to_owned())).await
}

/// Makes a network.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks", tag = "resources", operation_id = "createNetwork",
    request_body = ResourceRequest, security(("apiKey" = [])), params(("tenant" = String, Path)),
    responses((status = 202, description = "it is being made", body = Resource),
        (status = 403, description = "a quota, or the tenant is suspended", body = Problem),
        (status = 409, description = "there is one already", body = Problem),
        (status = 422, description = "a field is wrong", body = Problem)))]
pub async fn create_network(With(manager, bytes): With<Bytes, Manager>) -> Result<HttpResponse, ApiError> {
    manager.may_change().await?;
    let (name, spec) = named(&bytes)?;
    let target = Target::Network(manager.tenant().to_owned(), name);
    let made = manager
        .resources()?
        .apply(&target, &spec, Change::Create, false)
        .await?;
    Ok(HttpResponse::Accepted().json(made))
}

/// What would become of a new network; nothing is changed.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/networks:validate", tag = "resources",
    operation_id = "validateNetwork", request_body = ResourceRequest, security(("apiKey" = [])),
    params(("tenant" = String, Path)),
    responses((status = 200, description = "it would be taken", body = Resource),
        (status = 403, description = "a quota, or the tenant is suspended", body = Problem),
        (status = 409, description = "a field is kept by somebody else", body = Problem),
        (status = 422, description = "a field is wrong", body = Problem)))]
pub async fn validate_network(With(manager, bytes): With<Bytes, Manager>) -> Result<HttpResponse, ApiError> {
    manager.may_change().await?;
    let (name, spec) = named(&bytes)?;
    let target = Target::Network(manager.tenant().to_owned(), name);
    let resources = manager.resources()?;
    let kind = if resources.get(&target).await.is_some() {
        Change::Merge
    } else {
        Change::Create
    };
    let would = resources.apply(&target, &spec, kind, true).await?;
    Ok(HttpResponse::Ok().json(would))
}

/// What is wanted of a network and what is seen of it.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/resource", tag = "resources",
    operation_id = "getNetworkResource", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 200, description = "the network", body = Resource),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn get_network(With(manager, path): With<Path<(String, String)>, Manager>) -> Result<HttpResponse, ApiError> {
    one(&manager, &target(&manager, &path)).await
}

/// Changes fields of a network (RFC 7396).
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/networks/{network}", tag = "resources",
    operation_id = "changeNetwork", request_body = Object, security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 202, description = "it is being changed", body = Resource),
        (status = 403, description = "a quota, or the tenant is suspended", body = Problem),
        (status = 409, description = "a field is kept by somebody else", body = Problem),
        (status = 422, description = "a field is wrong", body = Problem)))]
pub async fn change_network(
    With(manager, (path, bytes)): With<(Path<(String, String)>, Bytes), Manager>,
) -> Result<HttpResponse, ApiError> {
    manager.may_change().await?;
    change(&manager, target(&manager, &path), &bytes, false).await
}

/// Deletes a network.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/networks/{network}", tag = "resources",
    operation_id = "deleteNetwork", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 202, description = "it is being deleted"),
        (status = 403, description = "it is protected, or the tenant is suspended", body = Problem),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn delete_network(
    With(manager, path): With<Path<(String, String)>, Manager>,
) -> Result<HttpResponse, ApiError> {
    manager.may_change().await?;
    delete(&manager, target(&manager, &path)).await
}

fn target(manager: &Manager, path: &Path<(String, String)>) -> Target {
    Target::Network(manager.tenant().to_owned(), path.1.clone())
}

async fn one(manager: &Manager, target: &Target) -> Result<HttpResponse, ApiError> {
    let found = manager.resources()?.get(target).await.ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok().json(found))
}

async fn change(manager: &Manager, target: Target, bytes: &Bytes, dry: bool) -> Result<HttpResponse, ApiError> {
    let value = body::json(bytes)?;
    let map = body::object(&value, "", &["spec"])?;
    let spec = spec(map.get("spec"))?;
    let done = manager.resources()?.apply(&target, &spec, Change::Merge, dry).await?;
    Ok(HttpResponse::Accepted().json(done))
}

async fn delete(manager: &Manager, target: Target) -> Result<HttpResponse, ApiError> {
    if manager.resources()?.delete(&target).await? {
        Ok(HttpResponse::Accepted().finish())
    } else {
        Err(ApiError::not_found())
    }
}

/// `{"name": …, "spec": {…}}`.
fn named(bytes: &Bytes) -> Result<(String, Value), ApiError> {
    let value = body::json(bytes)?;
    let map = body::object(&value, "", &["name", "spec"])?;
    let name = map.get("name").and_then(Value::as_str).unwrap_or_default();
    // The same rule as in the definition; here, so that a name can't lead to another path of the Kubernetes API.
    let name = muniment_crds::NetworkName::new(name)
        .map_err(|error| ApiError::new(Code::INVALID_FIELD, error.to_string()).at("/name"))?;
    Ok((name.to_string(), spec(map.get("spec"))?))
}

fn spec(value: Option<&Value>) -> Result<Value, ApiError> {
    match value {
        None => Ok(Value::Object(serde_json::Map::new())),
        Some(spec) if spec.is_object() => Ok(spec.clone()),
        Some(_) => Err(ApiError::new(
            Code::INVALID_FIELD,
            "spec is an object with the fields of the custom resource",
        )
        .at("/spec")),
    }
}
