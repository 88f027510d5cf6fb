//! Whether the public key that a Tenant says is the one whose private half is here, and what people are told when it isn't.
//!
//! Decides and words; writes nothing.

use kube::ResourceExt;
use muniment_crds::Tenant;
use muniment_crds::condition::{Condition, condition, kind, merge, reason};
use muniment_crds::jiff::Timestamp;

/// Annotation of a Tenant: the public key in its status that nobody has any more and another one may stand for.
pub const GIVE_UP: &str = "muniment.dev/give-up-signer";

/// What becomes of the public key that a Tenant says.
pub enum Signer {
    /// It is ours.
    Stays,
    /// Ours is said from now on.
    Ours,
    /// It isn't here; it stays until somebody decides.
    Missing(String),
}

/// `ours`: the public key whose private half is here. What isn't is given up by an order that names it, so that an order
/// that is left behind gives nothing else up.
pub fn judge(tenant: &Tenant, ours: Option<&str>) -> Signer {
    let published = tenant.status.as_ref().and_then(|status| status.signer.as_deref());
    let given_up = tenant.annotations().get(GIVE_UP).map(String::as_str);
    match published {
        None => Signer::Ours,
        Some(published) if ours == Some(published) => Signer::Stays,
        Some(published) if given_up == Some(published) => Signer::Ours,
        Some(published) => Signer::Missing(published.to_owned()),
    }
}

/// What people are told.
pub fn missing(tenant: &str, key: &str) -> String {
    format!(
        "the private half of the signing key {key} isn't in this API's database: it is another database, an empty one, or an \
         old backup. Nothing is signed for the tenant in its networks. Give the API its database and master key again; if \
         they are lost for ever: kubectl annotate tenant {tenant} --overwrite {GIVE_UP}={key}"
    )
}

/// What was told of it.
pub fn said(tenant: &Tenant) -> Option<&Condition> {
    let conditions = &tenant.status.as_ref()?.conditions;
    conditions.iter().find(|one| one.type_ == kind::SIGNING_KEY_AVAILABLE)
}

/// The same once more, or for the first time.
pub fn told(tenant: &Tenant, key: &str) -> Vec<Condition> {
    let message = missing(&tenant.name_any(), key);
    let new = condition(kind::SIGNING_KEY_AVAILABLE, false, reason::KEYS_LOST, message);
    let old = said(tenant).cloned();
    let generation = tenant.metadata.generation;
    merge(old.as_slice(), vec![new], generation, Timestamp::now())
}
