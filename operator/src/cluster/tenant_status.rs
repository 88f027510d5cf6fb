//! Status of a tenant: what is wanted and what is seen of its namespace and networks. Pure.

use muniment_crds::condition::{Condition, condition, kind, merge, reason};
use muniment_crds::jiff::Timestamp;
use muniment_crds::{Tenant, TenantDisplay, TenantStatus, TenantUsage};

use super::quota;

/// The namespace, as far as it is the tenant's.
pub enum Space {
    /// It is there, with everything in it.
    Ready,
    /// It isn't.
    Refused {
        /// Reason of the condition.
        reason: &'static str,
        /// Why, and what to do.
        message: String,
    },
}

/// The status of a tenant that is kept.
pub fn kept(tenant: &Tenant, space: &Space, usage: TenantUsage, now: Timestamp) -> TenantStatus {
    let spec = &tenant.spec;
    let mut conditions = namespace(space);
    let ready = matches!(space, Space::Ready);
    conditions.push(match quota::over(&spec.quota, &usage) {
        None => condition(
            kind::WITHIN_QUOTA,
            true,
            reason::AS_WANTED,
            "the tenant is within its quota",
        ),
        Some(over) => {
            let message = format!("the tenant has {over}; the newest networks aren't made");
            condition(kind::WITHIN_QUOTA, false, reason::QUOTA_EXCEEDED, message)
        }
    });
    if tenant.metadata.deletion_timestamp.is_some() {
        let message = "the tenant is protected; set spec.preventDeletion to false to let it go";
        conditions.push(condition(kind::PROGRESSING, false, reason::DELETION_PREVENTED, message));
    }
    let state = match (ready, spec.suspended) {
        (_, true) => "Suspended",
        (true, false) => "Active",
        (false, false) => "Pending",
    };
    let networks = match spec.quota.networks {
        Some(most) => format!("{}/{most}", usage.networks),
        None => usage.networks.to_string(),
    };
    TenantStatus {
        usage: Some(usage),
        display: Some(TenantDisplay { networks }),
        ..completed(tenant, state, conditions, now)
    }
}

/// The status of a tenant that is being deleted.
pub fn leaving(tenant: &Tenant, message: &str, now: Timestamp) -> TenantStatus {
    let conditions = vec![condition(kind::READY, false, reason::DELETING, message)];
    completed(tenant, "Deleting", conditions, now)
}

fn namespace(space: &Space) -> Vec<Condition> {
    match space {
        Space::Ready => {
            let (ready, there) = (
                "networks can be made in the namespace",
                "the namespace has its policies, rights and limits",
            );
            vec![
                condition(kind::READY, true, reason::AS_WANTED, ready),
                condition(kind::NAMESPACE_READY, true, reason::AS_WANTED, there),
            ]
        }
        Space::Refused { reason, message } => [kind::READY, kind::NAMESPACE_READY]
            .map(|kind| condition(kind, false, reason, message.clone()))
            .to_vec(),
    }
}

/// A status of ours. The signer isn't: it is the management API's, and server-side apply leaves it alone.
fn completed(tenant: &Tenant, state: &str, conditions: Vec<Condition>, now: Timestamp) -> TenantStatus {
    let old = tenant
        .status
        .as_ref()
        .map(|old| old.conditions.as_slice())
        .unwrap_or_default();
    let generation = tenant.metadata.generation;
    TenantStatus {
        observed_generation: generation,
        state: Some(state.to_owned()),
        conditions: merge(old, conditions, generation, now),
        ..TenantStatus::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::condition::is_true;
    use muniment_crds::{TenantQuota, TenantSpec};

    fn tenant(spec: TenantSpec) -> Tenant {
        Tenant::new("acme", spec)
    }

    #[test]
    fn what_is_wrong_with_the_namespace_is_what_is_wrong_with_the_tenant() {
        let refused = Space::Refused {
            reason: reason::FOREIGN_NAMESPACE,
            message: "label it".into(),
        };
        let status = kept(
            &tenant(TenantSpec::default()),
            &refused,
            TenantUsage::default(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(status.state.as_deref(), Some("Pending"));
        assert!(!is_true(&status.conditions, kind::READY) && !is_true(&status.conditions, kind::NAMESPACE_READY));
        assert!(
            status
                .conditions
                .iter()
                .any(|c| c.reason == reason::FOREIGN_NAMESPACE && c.message == "label it")
        );
    }

    #[test]
    fn numbers_are_shown_beside_the_quota() {
        let quota = TenantQuota {
            networks: Some(3),
            ..TenantQuota::default()
        };
        let usage = |networks| TenantUsage {
            networks,
            ..TenantUsage::default()
        };
        let limited = tenant(TenantSpec {
            quota,
            ..TenantSpec::default()
        });
        let status = kept(&limited, &Space::Ready, usage(2), Timestamp::UNIX_EPOCH);
        assert_eq!(status.display.unwrap().networks, "2/3");
        assert!(is_true(&status.conditions, kind::WITHIN_QUOTA));
        let status = kept(&limited, &Space::Ready, usage(4), Timestamp::UNIX_EPOCH);
        assert!(!is_true(&status.conditions, kind::WITHIN_QUOTA));
        assert!(status.signer.is_none(), "the signer is never ours to write");
    }
}
