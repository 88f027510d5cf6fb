//! What a tenant has, and whether one more network is within its quota. Pure.
//!
//! Networks are counted in one order, sealed ones first and then by age: every pass, of whatever network, comes to the
//! same answer, so that of several that come at once only as many get through as fit.

use std::sync::Arc;

use kube::ResourceExt;
use muniment_crds::{LedgerNetwork, Placement, TenantQuota, TenantUsage};

/// What a network takes.
fn share(network: &LedgerNetwork) -> TenantUsage {
    let validators = network.spec.validators.count;
    let each = match network.spec.placement {
        // A size that can't be read is refused by validation, and takes nothing.
        Placement::Dedicated => muniment_crds::bytes(&network.spec.storage.size).unwrap_or_default(),
        // Hosts have volumes of the platform.
        Placement::Shared => 0,
    };
    TenantUsage {
        networks: 1,
        validators,
        storage_bytes: each.saturating_mul(u64::from(validators)),
    }
}

fn add(left: TenantUsage, right: &TenantUsage) -> TenantUsage {
    TenantUsage {
        networks: left.networks.saturating_add(right.networks),
        validators: left.validators.saturating_add(right.validators),
        storage_bytes: left.storage_bytes.saturating_add(right.storage_bytes),
    }
}

/// What these networks take together.
pub fn usage(networks: &[Arc<LedgerNetwork>]) -> TenantUsage {
    networks
        .iter()
        .map(|network| share(network))
        .fold(TenantUsage::default(), |sum, one| add(sum, &one))
}

fn rank(network: &LedgerNetwork) -> (bool, Option<i64>, String) {
    let sealed = network
        .status
        .as_ref()
        .is_some_and(|status| status.network_id.is_some());
    let born = network.creation_timestamp().map(|time| time.0.as_millisecond());
    (!sealed, born, network.name_any())
}

/// Whether a network is within the quota, after all that come before it.
///
/// # Errors
/// The numbers, for people.
pub fn admits(quota: &TenantQuota, network: &LedgerNetwork, all: &[Arc<LedgerNetwork>]) -> Result<(), String> {
    let own = rank(network);
    let before = all
        .iter()
        .filter(|other| rank(other) < own && other.name_any() != network.name_any());
    let sum = before
        .map(|other| share(other))
        .fold(share(network), |sum, one| add(sum, &one));
    over(quota, &sum).map_or(Ok(()), |over| {
        Err(format!(
            "with this network the tenant would have {over}; make room, or raise the quota of the tenant"
        ))
    })
}

/// What is over the quota, for people.
pub fn over(quota: &TenantQuota, usage: &TenantUsage) -> Option<String> {
    let more = |what: &str, has: u64, may: Option<u64>| {
        may.filter(|may| has > *may)
            .map(|may| format!("{has} {what} and may have {may}"))
    };
    let storage = quota
        .storage
        .as_deref()
        .and_then(|size| muniment_crds::bytes(size).ok());
    more("networks", usage.networks.into(), quota.networks.map(u64::from))
        .or_else(|| more("validators", usage.validators.into(), quota.validators.map(u64::from)))
        .or_else(|| more("bytes of volumes", usage.storage_bytes, storage))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn network(name: &str, second: u32, sealed: bool) -> Arc<LedgerNetwork> {
        let status = if sealed {
            json!({ "networkId": "x" })
        } else {
            json!(null)
        };
        let value = json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
            "metadata": { "name": name, "namespace": "acme", "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z") },
            "spec": { "templates": [{ "name": "notarization" }] }, "status": status });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn of_several_at_once_only_as_many_get_through_as_fit() {
        let all: Vec<_> = (0..5).map(|i| network(&format!("n{i}"), 7, false)).collect();
        let quota = TenantQuota {
            networks: Some(3),
            ..TenantQuota::default()
        };
        let admitted = all.iter().filter(|one| admits(&quota, one, &all).is_ok()).count();
        assert_eq!(admitted, 3);
    }

    #[test]
    fn what_runs_isnt_pushed_out_by_what_is_older() {
        let all = [network("old", 1, false), network("runs", 9, true)];
        let quota = TenantQuota {
            networks: Some(1),
            ..TenantQuota::default()
        };
        assert!(admits(&quota, &all[1], &all).is_ok());
        let over = admits(&quota, &all[0], &all).unwrap_err();
        assert!(over.contains("2 networks and may have 1"), "{over}");
    }

    #[test]
    fn validators_and_volumes_count_too() {
        let all = [network("a", 1, false), network("b", 2, false)];
        let quota = TenantQuota {
            validators: Some(7),
            ..TenantQuota::default()
        };
        assert!(admits(&quota, &all[0], &all).is_ok() && admits(&quota, &all[1], &all).is_err());
        let quota = TenantQuota {
            storage: Some("15Gi".into()),
            ..TenantQuota::default()
        };
        assert!(admits(&quota, &all[0], &all).is_ok() && admits(&quota, &all[1], &all).is_err());
        assert_eq!(usage(&all).storage_bytes, 16 << 30);
    }
}
