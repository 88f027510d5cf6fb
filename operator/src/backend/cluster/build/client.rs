//! What a client of the network needs, and the management API's right to read exactly that.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use muniment_receipts::trust::TrustRoot;
use serde_json::json;

use super::{Inputs, unwritable};
use crate::backend::BackendError;
use crate::backend::cluster::certificates::{CLIENT, client_files};
use crate::backend::cluster::names;

/// Secret, Role and RoleBinding of the same name.
pub fn client(inputs: &Inputs<'_>) -> Result<(Secret, Role, RoleBinding), BackendError> {
    let network = &inputs.plan.network.network;
    let name = names::client(network);
    let metadata = names::metadata(network, name.clone());
    let what = || format!("Secret {}/{name}", network.tenant);
    let endpoints: Vec<_> = inputs
        .plan
        .network
        .nodes
        .iter()
        // Those who only follow may be behind.
        .filter(|node| inputs.plan.is_member(&node.name))
        .map(|node| json!({ "name": node.name, "url": node.api_url }))
        .collect();
    let endpoints = serde_json::to_vec(&endpoints).map_err(unwritable(what()))?;
    let trust_root = TrustRoot::new(inputs.plan.network.genesis.clone()).map_err(|error| BackendError::TrustRoot {
        network: network.clone(),
        source: error.into(),
    })?;
    let trust_root = trust_root.canonical().map_err(|error| BackendError::TrustRoot {
        network: network.clone(),
        source: error.into(),
    })?;
    let mut data = BTreeMap::from([
        ("token".to_owned(), ByteString(inputs.token.as_bytes().to_vec())),
        ("endpoints.json".to_owned(), ByteString(endpoints)),
        ("trust-root.json".to_owned(), ByteString(trust_root)),
    ]);
    if let Some(own) = inputs.certificates.material(CLIENT) {
        data.extend(client_files(own));
    }
    let secret = Secret {
        metadata: metadata.clone(),
        data: Some(data),
        ..Secret::default()
    };
    let role = Role {
        metadata: metadata.clone(),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".to_owned()]),
            resource_names: Some(vec![name.clone()]),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        }]),
    };
    let binding = RoleBinding {
        metadata,
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name,
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: inputs.settings.api_service_account.clone(),
            namespace: Some(inputs.settings.namespace.clone()),
            ..Subject::default()
        }]),
    };
    Ok((secret, role, binding))
}
