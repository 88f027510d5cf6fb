//! StatefulSet: the pods of the validators and their volumes.
//!
//! Pods are replaced by us alone (`OnDelete`), one at a time and behind the quorum gate.

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetOrdinals, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;
use sha2::{Digest, Sha256};

use super::{Inputs, config, pods, unwritable};
use crate::backend::BackendError;
use crate::backend::cluster::names::{self, TEMPLATE};
use crate::roster;

/// The StatefulSet, and the digest of everything that its pods are made from.
pub fn stateful_set(inputs: &Inputs<'_>) -> Result<(StatefulSet, String), BackendError> {
    let network = &inputs.plan.network.network;
    let name = names::validators(network);
    let mut template = pods::template(inputs);
    let digest = digest(inputs, &template)?;
    if let Some(metadata) = &mut template.metadata {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(TEMPLATE.to_owned(), digest.clone());
    }
    let count = i32::try_from(inputs.plan.network.nodes.len()).unwrap_or(i32::MAX);
    // Names of those who left never come back: the range moves up.
    let first = inputs
        .plan
        .network
        .nodes
        .first()
        .and_then(|node| roster::number(&node.name));
    let start = first.and_then(|first| i32::try_from(first).ok());
    let keep = || Some("Retain".to_owned());
    let set = StatefulSet {
        metadata: names::metadata(network, name.clone()),
        spec: Some(StatefulSetSpec {
            replicas: Some(if inputs.plan.hosting.run { count } else { 0 }),
            ordinals: Some(StatefulSetOrdinals { start }),
            service_name: Some(names::headless(network)),
            selector: names::selector(network),
            // All at once: a network comes up when a quorum of its validators is there.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: keep(),
                when_scaled: keep(),
            }),
            template,
            volume_claim_templates: Some(inputs.claims.clone().unwrap_or_else(|| vec![claim(inputs)])),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    };
    Ok((set, digest))
}

fn claim(inputs: &Inputs<'_>) -> PersistentVolumeClaim {
    let hosting = &inputs.plan.hosting;
    let requests = [("storage".to_owned(), Quantity(hosting.storage_text.clone()))];
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".to_owned()),
            labels: Some(names::labels(&inputs.plan.network.network)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: hosting.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(requests.into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// Pods mount their settings, so these count; that a validator joined doesn't.
fn digest(inputs: &Inputs<'_>, template: &impl serde::Serialize) -> Result<String, BackendError> {
    let network = &inputs.plan.network.network;
    let what = format!("StatefulSet {}/{}", network.tenant, names::validators(network));
    let mut hash = Sha256::new();
    hash.update(serde_json_canonicalizer::to_vec(template).map_err(unwritable(what))?);
    for node in &inputs.plan.network.nodes {
        hash.update(config::node_json(inputs, node)?);
        // A renewed certificate is for the same key; another key needs another process.
        let own = inputs.certificates.parties.get(&node.name);
        hash.update(own.map_or(&[][..], |own| own.key.as_bytes()));
    }
    Ok(hex::encode(hash.finalize()))
}
