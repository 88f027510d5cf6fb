//! The OpenAPI 3.1 document, made from the handlers' own annotations.

mod problems;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use problems::Problems;

use crate::routes::{
    actions, api_keys, events, governance, invoices, networks, notarizations, operations, parties, records, resources,
    service, templates, transactions, verify,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Muniment management API", description = "Ledger networks, notarizations, records and receipts. \
        Errors are RFC 9457 problems with a stable `code`.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        service::healthz, service::readyz, service::metrics, service::version, service::openapi, service::whoami,
        verify::verify, operations::get, api_keys::list, api_keys::create, api_keys::revoke, networks::list,
        networks::get, networks::trust_root, notarizations::create, notarizations::batch, notarizations::find,
        transactions::submit, parties::list, parties::create, actions::create, actions::batch, actions::act,
        invoices::create, invoices::batch, invoices::search::list, invoices::read::get, invoices::read::document,
        invoices::read::erase, invoices::read::html, invoices::read::pdf, invoices::read::report, invoices::read::history,
        invoices::act::act, records::list, records::get, records::history, records::proof, records::receipt,
        records::cose_receipts, governance::members, governance::add_member, governance::remove_member,
        governance::proposals, governance::propose, governance::get_proposal, governance::approve,
        governance::withdraw, templates::list, templates::publish, templates::get,
        resources::list_tenants, resources::create_tenant, resources::get_tenant,
        resources::change_tenant, resources::delete_tenant, resources::create_network, resources::validate_network,
        resources::get_network, events::watch, resources::change_network, resources::delete_network,
    ),
    modifiers(&ApiKeyScheme, &Problems)
)]
struct Document;

struct ApiKeyScheme;

impl Modify for ApiKeyScheme {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("mnk_…")
            .build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("apiKey", SecurityScheme::Http(scheme));
    }
}

/// The document as pretty JSON with a final newline; `api/openapi.json` is this text.
pub fn text() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_checked_in_document_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("MUNIMENT_UPDATE").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == text(),
            "api/openapi.json differs; run the test with MUNIMENT_UPDATE=1 and review the change"
        );
    }

    #[test]
    fn every_route_tells_of_the_refusals_it_shares_with_others() {
        let value: serde_json::Value = serde_json::from_str(&text()).unwrap();
        for (path, methods) in value["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap();
                let mut wanted = vec!["500"];
                if operation.get("security").is_some() {
                    wanted.extend(["401", "403"]);
                }
                if path.contains("{tenant}") {
                    wanted.extend(["400", "404"]);
                }
                if path.contains("{network}") {
                    wanted.push("503");
                }
                if operation.get("requestBody").is_some() {
                    wanted.push("413");
                }
                for status in wanted {
                    assert!(answers.contains_key(status), "{method} {path}: {status}");
                }
                for (status, answer) in answers.iter().filter(|(status, _)| status.as_str() >= "400") {
                    let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}: {status}");
                }
            }
        }
    }

    #[test]
    fn routes_and_document_are_equal() {
        let value: serde_json::Value = serde_json::from_str(&text()).unwrap();
        let mut documented = BTreeSet::new();
        for (path, methods) in value["paths"].as_object().unwrap() {
            documented.extend(
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (path.clone(), method.clone())),
            );
        }
        let served: BTreeSet<_> = crate::routes::table()
            .iter()
            .map(|row| (row.path.to_owned(), row.method.to_owned()))
            .collect();
        assert_eq!(documented, served);
        assert_eq!(value["openapi"], "3.1.0");
    }
}
