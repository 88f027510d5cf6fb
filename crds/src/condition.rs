//! Standard conditions: constant types and reasons, and how a new set is merged into the one before.
//!
//! Owns the words. A reason is a finite set because people alert on it.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// Condition types.
pub mod kind {
    /// The network takes writes.
    pub const READY: &str = "Ready";
    /// The genesis is written; the network id is final.
    pub const GENESIS_SEALED: &str = "GenesisSealed";
    /// Enough validators answer and vote.
    pub const QUORUM_AVAILABLE: &str = "QuorumAvailable";
    /// Nodes are being started or restarted.
    pub const PROGRESSING: &str = "Progressing";
    /// Fewer validators are ready than wanted.
    pub const DEGRADED: &str = "Degraded";
    /// Everything in `spec` is in force.
    pub const SPEC_APPLIED: &str = "SpecApplied";
    /// No validator runs because that is wanted.
    pub const HIBERNATED: &str = "Hibernated";
    /// Validators and their clients have certificates that are good for a while.
    pub const CERTIFICATES_READY: &str = "CertificatesReady";
    /// A tenant's namespace is there, with its policies and rights.
    pub const NAMESPACE_READY: &str = "NamespaceReady";
    /// The management API has the private half of the key that signs for a tenant. Told while it is not so.
    pub const SIGNING_KEY_AVAILABLE: &str = "SigningKeyAvailable";
    /// A template can be used.
    pub const VALID: &str = "Valid";
    /// The tenant's networks are within its quota.
    pub const WITHIN_QUOTA: &str = "WithinQuota";
}

/// Condition reasons.
pub mod reason {
    /// All is as wanted.
    pub const AS_WANTED: &str = "AsWanted";
    /// A quorum of validators is ready.
    pub const QUORUM_READY: &str = "QuorumReady";
    /// Fewer validators than the quorum are ready.
    pub const QUORUM_LOST: &str = "QuorumLost";
    /// No genesis yet.
    pub const NOT_SEALED: &str = "NotSealed";
    /// The genesis is durable.
    pub const SEALED: &str = "Sealed";
    /// Nodes start.
    pub const STARTING: &str = "Starting";
    /// Nodes are restarted one after another with new settings.
    pub const ROLLING: &str = "Rolling";
    /// A restart waits because it would break the quorum.
    pub const QUORUM_GATE: &str = "QuorumGate";
    /// Some validators aren't ready.
    pub const VALIDATORS_DOWN: &str = "ValidatorsDown";
    /// Validators join or leave, one after another.
    pub const SCALING: &str = "Scaling";
    /// A change in `spec` needs the network's own governance.
    pub const NEEDS_GOVERNANCE: &str = "NeedsGovernance";
    /// The description can't be used as it stands.
    pub const INVALID: &str = "Invalid";
    /// The platform refused or couldn't do something.
    pub const PLATFORM: &str = "PlatformError";
    /// The network is to be shared and there are no hosts, or they have no room.
    pub const NO_ROOM: &str = "NoRoom";
    /// The network sits in the platform's hosts, and they are switched off.
    pub const HOSTS_OFF: &str = "HostsOff";
    /// Keys of a validator of a sealed genesis, or the key that signs for a tenant, are gone.
    pub const KEYS_LOST: &str = "KeysLost";
    /// There is no tenant for the namespace, or it isn't ready yet.
    pub const NO_TENANT: &str = "NoTenant";
    /// The tenant has no signing key yet, and the network names no member.
    pub const WAITING_FOR_SIGNER: &str = "WaitingForSigner";
    /// The tenant has more than its quota allows.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// The certificates are as they should be.
    pub const ISSUED: &str = "Issued";
    /// A certificate should have been renewed and wasn't.
    pub const RENEWAL_OVERDUE: &str = "RenewalOverdue";
    /// It is stopped because that is wanted.
    pub const HIBERNATED: &str = "Hibernated";
    /// The tenant is suspended.
    pub const SUSPENDED: &str = "Suspended";
    /// It is being deleted.
    pub const DELETING: &str = "Deleting";
    /// Its deletion waits because it is protected.
    pub const DELETION_PREVENTED: &str = "DeletionPrevented";
    /// A namespace of that name is there and isn't the tenant's.
    pub const FOREIGN_NAMESPACE: &str = "ForeignNamespace";
}

/// Makes a condition; [`merge`] puts the right transition time in.
pub fn condition(type_: &str, status: bool, reason: &str, message: impl Into<String>) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

/// Whether a condition is there and `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

/// Completes `new`: a condition whose status didn't change keeps the transition time it had in `old`. Times are whole
/// seconds: Kubernetes keeps no more, and what comes back has to equal what was written.
pub fn merge(old: &[Condition], mut new: Vec<Condition>, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    for condition in &mut new {
        condition.observed_generation = generation;
        let before = old
            .iter()
            .find(|o| o.type_ == condition.type_ && o.status == condition.status);
        condition.last_transition_time = before.map_or(Time(now), |o| o.last_transition_time.clone());
    }
    new
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let first = merge(
            &[],
            vec![condition(kind::READY, false, reason::STARTING, "")],
            Some(1),
            at(10),
        );
        assert_eq!(first[0].last_transition_time.0, at(10));
        let same = merge(
            &first,
            vec![condition(kind::READY, false, reason::QUORUM_LOST, "x")],
            Some(2),
            at(20),
        );
        assert_eq!(
            (same[0].last_transition_time.0, same[0].observed_generation),
            (at(10), Some(2))
        );
        let turned = merge(
            &same,
            vec![condition(kind::READY, true, reason::QUORUM_READY, "")],
            Some(2),
            at(30),
        );
        assert_eq!(turned[0].last_transition_time.0, at(30));
        assert!(is_true(&turned, kind::READY) && !is_true(&turned, kind::DEGRADED));
    }

    #[test]
    fn what_kubernetes_gives_back_is_what_was_written() {
        let ready = condition(kind::READY, true, reason::QUORUM_READY, "");
        let written = merge(&[], vec![ready], Some(1), Timestamp::new(10, 123_456_789).unwrap());
        let back: Vec<Condition> = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
        assert_eq!(written, back);
        assert_eq!(written[0].last_transition_time.0, Timestamp::from_second(10).unwrap());
    }
}
