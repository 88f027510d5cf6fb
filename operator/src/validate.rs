//! Validation: a `LedgerNetwork` and what it refers to become a [`ValidatedNetwork`]. Pure.
//!
//! Owns the cross-checks. Whatever comes after takes only the validated form and checks nothing again. All
//! findings are reported at once; each names the field, why it can't be, and the fix.

mod limits;

use std::collections::BTreeSet;
use std::fmt;

use muniment_crds::{
    DeletionPolicy, DesiredState, LedgerNetwork, LedgerNetworkSpec, MAX_VALIDATORS, MIN_VALIDATORS, MemberSpec,
    NetworkName, NodeSize, Placement, TemplateRef, TenantName,
};
use muniment_ledger::config::Limits;
use muniment_receipts::genesis::{GenesisTemplate, Member};
use muniment_receipts::key::{Ed25519Key, KeyError, SignerKey};
use thiserror::Error;

use crate::catalog::Catalog;
use crate::network::NetworkRef;
use crate::quorum::ValidatorCount;

/// A network that can be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatedNetwork {
    /// Which network.
    pub network: NetworkRef,
    /// `metadata.generation`, if the source counts it.
    pub generation: Option<i64>,
    /// How many validators.
    pub validators: ValidatorCount,
    /// Templates with their sources.
    pub templates: Vec<GenesisTemplate>,
    /// Members, at least one; names and keys are unique.
    pub members: Vec<Member>,
    /// Limits of every node, complete.
    pub limits: Limits,
    /// What the platform gives to each validator.
    pub hosting: Hosting,
}

/// What a platform gives to each validator. Without meaning where validators are processes on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosting {
    /// In pods of their own, or in hosts. In hosts only this and `run` mean something.
    pub placement: Placement,
    /// Cores and memory.
    pub size: NodeSize,
    /// Bytes of its volume.
    pub storage: u64,
    /// The same as text, e.g. `10Gi`.
    pub storage_text: String,
    /// Storage class; the platform's default when absent.
    pub storage_class: Option<String>,
    /// What becomes of claims of validators that left.
    pub when_scaled: DeletionPolicy,
    /// Whether validators are to run.
    pub run: bool,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, e.g. `spec.validators.count`.
    pub field: String,
    /// Why it can't be.
    pub why: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.why, self.fix)
    }
}

/// A network that can't be planned as it stands. Waits for a change; trying again doesn't help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the network's description can't be used: {}", join(.violations))]
pub struct ValidationError {
    /// At least one finding.
    pub violations: Vec<Violation>,
}

fn join(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" · ")
}

/// Findings while they are collected.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, field: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Violation {
            field: field.into(),
            why: why.into(),
            fix: fix.into(),
        });
    }
}

/// Checks a network. `members` are added by the caller (the tenant's own signing key) to those of the resource.
///
/// # Errors
/// Every finding, if there is any.
pub fn validate(
    resource: &LedgerNetwork,
    members: &[Member],
    catalog: &Catalog,
) -> Result<ValidatedNetwork, ValidationError> {
    let mut findings = Findings::default();
    let network = names(resource, &mut findings);
    let validators = count(&resource.spec, &mut findings);
    let templates = templates(&resource.spec.templates, catalog, &mut findings);
    let members = all_members(members, &resource.spec.members, &mut findings);
    let limits = limits::complete(&resource.spec.limits, resource.spec.placement, &mut findings);
    let hosting = hosting(&resource.spec, &mut findings);
    match (network, validators) {
        (Some(network), Some(validators)) if findings.0.is_empty() => Ok(ValidatedNetwork {
            network,
            generation: resource.metadata.generation,
            validators,
            templates,
            members,
            limits,
            hosting,
        }),
        _ => Err(ValidationError { violations: findings.0 }),
    }
}

fn names(resource: &LedgerNetwork, findings: &mut Findings) -> Option<NetworkRef> {
    let tenant = TenantName::new(resource.metadata.namespace.clone().unwrap_or_default());
    let name = NetworkName::new(resource.metadata.name.clone().unwrap_or_default());
    if let Err(error) = &tenant {
        findings.add(
            "metadata.namespace",
            error.to_string(),
            "give the name of the tenant, e.g. `demo`",
        );
    }
    if let Err(error) = &name {
        findings.add(
            "metadata.name",
            error.to_string(),
            "give the network a name, e.g. `notary`",
        );
    }
    Some(NetworkRef {
        tenant: tenant.ok()?,
        name: name.ok()?,
    })
}

fn count(spec: &LedgerNetworkSpec, findings: &mut Findings) -> Option<ValidatorCount> {
    let count = spec.validators.count;
    if spec.placement == Placement::Shared && count != MIN_VALIDATORS {
        findings.add(
            "spec.validators.count",
            format!("{count} validators can't sit in four hosts, one in each"),
            "use 4, or spec.placement Dedicated",
        );
        return None;
    }
    if !(MIN_VALIDATORS..=MAX_VALIDATORS).contains(&count) {
        findings.add(
            "spec.validators.count",
            format!("{count} isn't from {MIN_VALIDATORS} to {MAX_VALIDATORS}, and fewer than 4 survive no failure"),
            "use 4, 7 or 10",
        );
        return None;
    }
    ValidatorCount::new(count)
}

fn hosting(spec: &LedgerNetworkSpec, findings: &mut Findings) -> Hosting {
    let storage = muniment_crds::bytes(&spec.storage.size).unwrap_or_else(|error| {
        findings.add(
            "spec.storage.size",
            error.to_string(),
            "write a whole number of Mi, Gi or Ti, e.g. `10Gi`",
        );
        0
    });
    Hosting {
        placement: spec.placement,
        size: spec.size,
        storage,
        storage_text: muniment_crds::canonical(&spec.storage.size).unwrap_or_default(),
        storage_class: spec.storage.class_name.clone(),
        when_scaled: spec.storage.when_scaled,
        run: spec.desired_state == DesiredState::Running,
    }
}

fn templates(wanted: &[TemplateRef], catalog: &Catalog, findings: &mut Findings) -> Vec<GenesisTemplate> {
    if wanted.is_empty() {
        findings.add(
            "spec.templates",
            "it is empty, so nothing could be recorded",
            "name one, e.g. `notarization`",
        );
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, template) in wanted.iter().enumerate() {
        let field = format!("spec.templates[{index}]");
        if !seen.insert(&template.name) {
            findings.add(
                field,
                format!("`{}` stands there twice", template.name),
                "keep one of them",
            );
        } else if let Some(template) = catalog.find(&template.name, template.revision) {
            found.push(template.clone());
        } else {
            let revision = template.revision.map_or(String::new(), |r| format!(" revision {r}"));
            let why = format!("there is no template `{}`{revision}", template.name);
            findings.add(field, why, format!("use one of: {}", catalog.names()));
        }
    }
    found
}

fn all_members(given: &[Member], spec: &[MemberSpec], findings: &mut Findings) -> Vec<Member> {
    let mut all: Vec<Member> = given.to_vec();
    for (index, member) in spec.iter().enumerate() {
        let field = format!("spec.members[{index}]");
        if member.name.is_empty() || member.name.len() > 64 {
            findings.add(
                format!("{field}.name"),
                "it doesn't have 1 to 64 bytes",
                "give the member a short name",
            );
        }
        if let Err(why) = member_key(&member.key) {
            findings.add(
                format!("{field}.key"),
                why.to_string(),
                "write the public key as `ed25519:` or `p256:` and its unpadded base64url",
            );
        }
        let same = |m: &&Member| m.name == member.name || m.key == member.key;
        match all.iter().find(same) {
            // The tenant's own key may be named in the resource as well.
            Some(known) if known.name == member.name && known.key == member.key && given.contains(known) => {}
            Some(known) => findings.add(
                field,
                format!("its name or key is also that of member `{}`", known.name),
                "give every member a name and a key of its own",
            ),
            None => all.push(Member {
                name: member.name.clone(),
                key: member.key.clone(),
            }),
        }
    }
    if all.is_empty() {
        findings.add(
            "spec.members",
            "it is empty, so nobody could sign",
            "name a member with its public key",
        );
    }
    all
}

fn member_key(key: &str) -> Result<(), KeyError> {
    match key.parse::<SignerKey>()? {
        SignerKey::Ed25519(key) => Ed25519Key::registered(&key).map(drop),
        other @ SignerKey::P256(_) => other.prepare().map(drop),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
