//! The route table: what is served, and how large a body may be.
//!
//! The table is the only place where routes are made. A test holds that it equals the OpenAPI document in both
//! directions; another walks over that document and tries every route as every kind of stranger.

pub mod actions;
pub mod api_keys;
pub mod events;
pub mod governance;
pub mod invoices;
pub mod networks;
pub mod notarizations;
pub mod operations;
pub mod parties;
pub mod query;
pub mod records;
pub mod resources;
pub mod respond;
pub mod service;
pub mod submit;
pub mod templates;
pub mod transactions;
pub mod verify;

use actix_web::{Route, web};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::problem::ApiError;

/// Bodies of ordinary requests.
const SMALL: usize = 256 * 1024;
/// Bodies of batches and files.
const LARGE: usize = 2 * 1024 * 1024;
/// One invoice.
const DOCUMENT: usize = crate::invoice::judge::MAX_DOCUMENT;
/// A batch of invoices.
const DOCUMENTS: usize = 2 * DOCUMENT;
/// Bodies of batches whose items may each be as large as a statement.
const HUGE: usize = 8 * 1024 * 1024;

/// One row of the table.
pub struct Row {
    /// Method.
    pub method: &'static str,
    /// Path pattern, as in OpenAPI.
    pub path: &'static str,
    limit: usize,
    route: fn() -> Route,
}

macro_rules! row {
    ($method:ident $path:literal $limit:expr, $handler:path) => {
        Row {
            method: stringify!($method),
            path: $path,
            limit: $limit,
            route: || web::$method().to($handler),
        }
    };
}

/// All routes.
pub fn table() -> Vec<Row> {
    vec![
        row!(post "/v1/tenants/{tenant}/networks/{network}/notarizations" SMALL, notarizations::create),
        row!(post "/v1/tenants/{tenant}/networks/{network}/notarizations:batch" LARGE, notarizations::batch),
        row!(post "/v1/tenants/{tenant}/networks/{network}/transactions" LARGE, transactions::submit),
        row!(get "/v1/tenants/{tenant}/networks/{network}/notarizations" SMALL, notarizations::find),
        row!(get "/v1/operations/{operation}" SMALL, operations::get),
        row!(get "/healthz" SMALL, service::healthz),
        row!(get "/readyz" SMALL, service::readyz),
        row!(get "/metrics" SMALL, service::metrics),
        row!(get "/version" SMALL, service::version),
        row!(get "/openapi.json" SMALL, service::openapi),
        row!(post "/v1/verify" LARGE, verify::verify),
        row!(get "/v1/whoami" SMALL, service::whoami),
        row!(get "/v1/tenants/{tenant}/api-keys" SMALL, api_keys::list),
        row!(post "/v1/tenants/{tenant}/api-keys" SMALL, api_keys::create),
        row!(delete "/v1/tenants/{tenant}/api-keys/{key}" SMALL, api_keys::revoke),
        row!(get "/v1/tenants/{tenant}/networks" SMALL, networks::list),
        row!(get "/v1/tenants/{tenant}/networks/{network}" SMALL, networks::get),
        row!(get "/v1/tenants/{tenant}/networks/{network}/trust-root" SMALL, networks::trust_root),
        row!(get "/v1/tenants" SMALL, resources::list_tenants),
        row!(post "/v1/tenants" SMALL, resources::create_tenant),
        row!(get "/v1/tenants/{tenant}" SMALL, resources::get_tenant),
        row!(patch "/v1/tenants/{tenant}" SMALL, resources::change_tenant),
        row!(delete "/v1/tenants/{tenant}" SMALL, resources::delete_tenant),
        row!(post "/v1/tenants/{tenant}/networks" SMALL, resources::create_network),
        row!(post "/v1/tenants/{tenant}/networks:validate" SMALL, resources::validate_network),
        row!(get "/v1/tenants/{tenant}/networks/{network}/resource" SMALL, resources::get_network),
        row!(get "/v1/tenants/{tenant}/networks/{network}/events" SMALL, events::watch),
        row!(patch "/v1/tenants/{tenant}/networks/{network}" SMALL, resources::change_network),
        row!(delete "/v1/tenants/{tenant}/networks/{network}" SMALL, resources::delete_network),
        row!(get "/v1/tenants/{tenant}/networks/{network}/members" SMALL, governance::members),
        row!(post "/v1/tenants/{tenant}/networks/{network}/members" SMALL, governance::add_member),
        row!(delete "/v1/tenants/{tenant}/networks/{network}/members/{key}" SMALL, governance::remove_member),
        row!(get "/v1/tenants/{tenant}/networks/{network}/proposals" SMALL, governance::proposals),
        row!(post "/v1/tenants/{tenant}/networks/{network}/proposals" SMALL, governance::propose),
        row!(get "/v1/tenants/{tenant}/networks/{network}/proposals/{proposal}" SMALL, governance::get_proposal),
        row!(post "/v1/tenants/{tenant}/networks/{network}/proposals/{proposal}/approve" SMALL, governance::approve),
        row!(post "/v1/tenants/{tenant}/networks/{network}/proposals/{proposal}/withdraw" SMALL, governance::withdraw),
        row!(get "/v1/tenants/{tenant}/networks/{network}/templates" SMALL, templates::list),
        row!(post "/v1/tenants/{tenant}/networks/{network}/templates" SMALL, templates::publish),
        row!(get "/v1/tenants/{tenant}/networks/{network}/templates/{template}" SMALL, templates::get),
        row!(post "/v1/tenants/{tenant}/networks/{network}/invoices" DOCUMENT, invoices::create),
        row!(post "/v1/tenants/{tenant}/networks/{network}/invoices:batch" DOCUMENTS, invoices::batch),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices" SMALL, invoices::search::list),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices/{record}" SMALL, invoices::read::get),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/document" SMALL, invoices::read::document),
        row!(delete "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/document" SMALL, invoices::read::erase),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/html" SMALL, invoices::read::html),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/pdf" SMALL, invoices::read::pdf),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/report" SMALL, invoices::read::report),
        row!(get "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/history" SMALL, invoices::read::history),
        row!(post "/v1/tenants/{tenant}/networks/{network}/invoices/{record}/actions/{action}" SMALL, invoices::act::act),
        row!(get "/v1/tenants/{tenant}/parties" SMALL, parties::list),
        row!(post "/v1/tenants/{tenant}/parties" SMALL, parties::create),
        row!(post "/v1/tenants/{tenant}/networks/{network}/records" SMALL, actions::create),
        row!(post "/v1/tenants/{tenant}/networks/{network}/records:batch" HUGE, actions::batch),
        row!(post "/v1/tenants/{tenant}/networks/{network}/records/{record}/actions/{action}" SMALL, actions::act),
        row!(get "/v1/tenants/{tenant}/networks/{network}/records" SMALL, records::list),
        row!(get "/v1/tenants/{tenant}/networks/{network}/records/{record}" SMALL, records::get),
        row!(get "/v1/tenants/{tenant}/networks/{network}/records/{record}/history" SMALL, records::history),
        row!(get "/v1/tenants/{tenant}/networks/{network}/records/{record}/proof" SMALL, records::proof),
        row!(get "/v1/tenants/{tenant}/networks/{network}/records/{record}/receipt" SMALL, records::receipt),
        row!(get "/v1/tenants/{tenant}/networks/{network}/records/{record}/receipt/cose" SMALL, records::cose_receipts),
    ]
}

/// Puts the table into an app, with 405 for other methods of a known path, and the documentation page.
pub fn configure(config: &mut web::ServiceConfig) {
    // Resources are tried one after the other, each by a regular expression: the table's order is kept, and it begins
    // with the busiest.
    let mut paths: Vec<(&str, Vec<Row>)> = Vec::new();
    for row in table() {
        match paths.iter_mut().find(|(path, _)| *path == row.path) {
            Some((_, rows)) => rows.push(row),
            None => paths.push((row.path, vec![row])),
        }
    }
    for (path, rows) in paths {
        let limit = rows.iter().map(|row| row.limit).max().unwrap_or(SMALL);
        let allow = rows
            .iter()
            .map(|row| row.method.to_uppercase())
            .collect::<Vec<_>>()
            .join(", ");
        let mut resource = web::resource(path).app_data(web::PayloadConfig::new(limit));
        for row in rows {
            resource = resource.route((row.route)());
        }
        config.service(resource.default_service(web::to(move || {
            let error = ApiError::method_not_allowed(&allow);
            async move { Err::<actix_web::HttpResponse, _>(error) }
        })));
    }
    let docs = Config::new(["/openapi.json"]).use_base_layout();
    config.route("/docs", web::get().to(service::docs));
    config.service(SwaggerUi::new("/docs/{_:.*}").config(docs));
}
