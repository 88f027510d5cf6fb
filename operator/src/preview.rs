//! What a change of a network's description would bring about, before it is made. Pure.

use std::fmt;

use muniment_crds::{DeletionPolicy, DesiredState, LedgerNetworkSpec, NodeSize, Placement};
use serde::Serialize;

use crate::quorum::ValidatorCount;

/// What becomes of writes while a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Impact {
    /// Nothing happens to validators.
    None,
    /// Validators are restarted one after another behind the quorum gate; writes go on.
    Rolling,
    /// Writes wait until it is changed again.
    Outage,
    /// It can't be changed.
    Refused,
}

/// One thing that would happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Field of the description, e.g. `spec.size`.
    pub field: &'static str,
    /// What becomes of writes meanwhile.
    pub impact: Impact,
    /// For people.
    pub what: String,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}

fn effect(field: &'static str, impact: Impact, what: impl Into<String>) -> Effect {
    Effect {
        field,
        impact,
        what: what.into(),
    }
}

/// What would happen if a network were described as `new`; `old` is how it is described now, if there is one.
pub fn preview(old: Option<&LedgerNetworkSpec>, new: &LedgerNetworkSpec) -> Vec<Effect> {
    match old {
        None => made(new),
        Some(old) => changed(old, new),
    }
}

/// The same in `muniment dev`, where every validator is a process of the same machine: there are no pods, no volumes and
/// no hosts, the validators of the genesis stay, and nothing is deleted for ever.
pub fn in_dev(old: Option<&LedgerNetworkSpec>, new: &LedgerNetworkSpec) -> Vec<Effect> {
    const NONE_HERE: [&str; 6] = [
        "spec.validators.count",
        "spec.placement",
        "spec.size",
        "spec.desiredState",
        "spec.deletionPolicy",
        "spec.storage",
    ];
    let mut effects = preview(old, new);
    effects.retain(|effect| !NONE_HERE.iter().any(|field| effect.field.starts_with(field)));
    let refused = |field, what: String| effect(field, Impact::Refused, what);
    let (count, have) = (new.validators.count, old.map(|old| old.validators.count));
    if let Some(have) = have.filter(|have| *have != count) {
        let what = format!(
            "stays {have}: `muniment dev` keeps the validators of the genesis; make another network with {count}, or use \
             Kubernetes"
        );
        effects.push(refused("spec.validators.count", what));
    }
    if new.placement == Placement::Shared {
        let what = "there are no hosts in `muniment dev`, every validator is a process; leave it out".to_owned();
        effects.push(refused("spec.placement", what));
    }
    if new.desired_state == DesiredState::Hibernated {
        let what = "networks of `muniment dev` run as long as it does; leave it out".to_owned();
        effects.push(refused("spec.desiredState", what));
    }
    effects
}

fn made(new: &LedgerNetworkSpec) -> Vec<Effect> {
    let count = ValidatorCount::of(new.validators.count as usize);
    let shared = new.placement == Placement::Shared;
    let or_hosts = |what: String| {
        if shared {
            "has no meaning in shared placement: the hosts have a size and volumes of their own".to_owned()
        } else {
            what
        }
    };
    let placement = match new.placement {
        Placement::Dedicated => "runs each in a pod of its own, in the tenant's namespace",
        Placement::Shared => "runs one in each of the platform's four hosts, among validators of others",
    };
    let templates: Vec<&str> = new.templates.iter().map(|template| template.name.as_str()).collect();
    vec![
        effect(
            "spec.validators",
            Impact::None,
            format!(
                "makes {count} validators; a quorum is {}, {} may be lost",
                count.quorum(),
                count.faults()
            ),
        ),
        effect("spec.placement", Impact::None, placement),
        effect(
            "spec.size",
            Impact::None,
            or_hosts(format!("gives each {}", amounts(new.size))),
        ),
        effect(
            "spec.storage",
            Impact::None,
            or_hosts(format!("gives each a volume of {}", new.storage.size)),
        ),
        effect(
            "spec.templates",
            Impact::None,
            format!("seals the templates {} in the genesis", templates.join(", ")),
        ),
    ]
}

fn amounts(size: NodeSize) -> &'static str {
    match size {
        NodeSize::Small => "0.1 cores and 192 MiB, at most 512 MiB",
        NodeSize::Medium => "0.5 cores and 512 MiB, at most 1 GiB",
        NodeSize::Large => "2 cores and 2 GiB, at most 4 GiB",
    }
}

fn changed(old: &LedgerNetworkSpec, new: &LedgerNetworkSpec) -> Vec<Effect> {
    // Every field is named: a new one that isn't judged doesn't compile.
    let LedgerNetworkSpec {
        validators,
        placement,
        templates,
        members,
        limits,
        size,
        storage,
        desired_state,
        deletion_policy,
        prevent_deletion,
    } = new;
    let mut effects = Vec::new();
    let sealed = "is sealed in the genesis; make a network with what you want";
    if validators != &old.validators {
        effects.push(scaled(old.validators.count, validators.count));
    }
    for (field, differs) in [
        ("spec.templates", templates != &old.templates),
        ("spec.members", members != &old.members),
    ] {
        if differs {
            effects.push(effect(field, Impact::Refused, sealed));
        }
    }
    if placement != &old.placement {
        effects.push(effect(
            "spec.placement",
            Impact::Refused,
            "can't be changed; make a network with what you want",
        ));
    }
    let rolling = rolling(new);
    if limits != &old.limits {
        effects.push(effect("spec.limits", Impact::Rolling, rolling.clone()));
    }
    if size != &old.size && *placement == Placement::Dedicated {
        effects.push(effect(
            "spec.size",
            Impact::Rolling,
            format!("gives each {}; {rolling}", amounts(*size)),
        ));
    }
    if storage.class_name != old.storage.class_name {
        effects.push(effect("spec.storage.className", Impact::Refused, "can't be changed"));
    }
    if *placement == Placement::Dedicated {
        effects.extend(volumes(&old.storage.size, &storage.size));
    }
    if storage.when_scaled != old.storage.when_scaled && *placement == Placement::Dedicated {
        let what = match storage.when_scaled {
            DeletionPolicy::Retain => "volumes of validators that left are kept",
            DeletionPolicy::Delete => {
                "volumes of validators that left, also of those who did before, are deleted for ever"
            }
        };
        effects.push(effect("spec.storage.whenScaled", Impact::None, what));
    }
    if desired_state != &old.desired_state {
        effects.push(state(*desired_state));
    }
    if deletion_policy != &old.deletion_policy {
        let what = match deletion_policy {
            DeletionPolicy::Retain => "a deletion would keep keys, genesis and volumes",
            DeletionPolicy::Delete => "a deletion would delete keys, genesis and volumes for ever",
        };
        effects.push(effect("spec.deletionPolicy", Impact::None, what));
    }
    if prevent_deletion != &old.prevent_deletion {
        let what = if *prevent_deletion {
            "a deletion waits from now on"
        } else {
            "a deletion is let through"
        };
        effects.push(effect("spec.preventDeletion", Impact::None, what));
    }
    effects
}

fn scaled(before: u32, after: u32) -> Effect {
    let count = ValidatorCount::of(after as usize);
    let how = if after > before {
        "each new one follows and catches up first, and the others are restarted one by one to know it"
    } else {
        "the oldest leave the set one by one and are stopped then; their keys and volumes stay"
    };
    effect(
        "spec.validators.count",
        Impact::Rolling,
        format!(
            "from {before} to {after} validators: {how}; the network itself decides each change, and members approve it where more than one has to; then a \
             quorum is {} of {count} and {} may be lost",
            count.quorum(),
            count.faults()
        ),
    )
}

fn rolling(new: &LedgerNetworkSpec) -> String {
    let count = ValidatorCount::of(new.validators.count as usize);
    format!(
        "restarts {count} validators one after another, never with fewer than {} that vote",
        count.quorum()
    )
}

fn volumes(old: &str, new: &str) -> Option<Effect> {
    let (before, after) = (muniment_crds::bytes(old).ok()?, muniment_crds::bytes(new).ok()?);
    let field = "spec.storage.size";
    match after.cmp(&before) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => {
            let what =
                format!("volumes grow from {old} to {new}, if their storage class allows it; nothing is restarted");
            Some(effect(field, Impact::None, what))
        }
        std::cmp::Ordering::Less => Some(effect(field, Impact::Refused, "volumes can't shrink")),
    }
}

fn state(wanted: DesiredState) -> Effect {
    match wanted {
        DesiredState::Hibernated => effect(
            "spec.desiredState",
            Impact::Outage,
            "stops all validators: nothing is read or written until it runs again; everything is kept",
        ),
        DesiredState::Running => effect("spec.desiredState", Impact::None, "starts all validators"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(more: &str) -> LedgerNetworkSpec {
        serde_yaml::from_str(&format!("templates: [{{ name: notarization }}]\n{more}")).unwrap()
    }

    fn one(more: &str) -> Effect {
        let mut effects = preview(Some(&spec("")), &spec(more));
        assert_eq!(effects.len(), 1, "{effects:?}");
        effects.remove(0)
    }

    #[test]
    fn a_new_network_says_what_it_takes() {
        let effects = preview(None, &spec("validators: { count: 7 }"));
        assert_eq!(effects[0].what, "makes 7 validators; a quorum is 5, 2 may be lost");
        assert!(effects.iter().all(|e| e.impact == Impact::None));
    }

    #[test]
    fn a_shared_network_says_that_sizes_mean_nothing() {
        let effects = preview(None, &spec("placement: Shared"));
        let said: Vec<&str> = effects
            .iter()
            .filter(|e| e.what.contains("no meaning"))
            .map(|e| e.field)
            .collect();
        assert_eq!(said, ["spec.size", "spec.storage"]);
        let shared = spec("placement: Shared");
        assert!(
            preview(
                Some(&shared),
                &spec("placement: Shared\nsize: Large\nstorage: { size: 5Gi }")
            )
            .is_empty()
        );
    }

    #[test]
    fn dev_has_no_hosts_no_volumes_and_keeps_its_validators() {
        let refused = |old: Option<&str>, new: &str| -> Vec<&'static str> {
            let effects = in_dev(old.map(spec).as_ref(), &spec(new));
            let refused = effects.iter().filter(|e| e.impact == Impact::Refused);
            refused.map(|e| e.field).collect()
        };
        let seven = "validators: { count: 7 }";
        assert_eq!(refused(Some(""), seven), ["spec.validators.count"]);
        assert!(refused(None, seven).is_empty() && refused(Some(seven), seven).is_empty());
        assert_eq!(refused(None, "placement: Shared"), ["spec.placement"]);
        assert_eq!(refused(Some(""), "desiredState: Hibernated"), ["spec.desiredState"]);
        assert_eq!(refused(Some(""), "members: [{ name: a, key: b }]"), ["spec.members"]);
        let grown = "size: Large\nstorage: { size: 1Gi, whenScaled: Delete }\ndeletionPolicy: Delete";
        assert!(in_dev(Some(&spec("")), &spec(grown)).is_empty());
        let made = in_dev(None, &spec(seven));
        assert_eq!(made[0].what, "makes 7 validators; a quorum is 5, 2 may be lost");
    }

    #[test]
    fn each_change_says_what_becomes_of_writes() {
        assert!(preview(Some(&spec("")), &spec("")).is_empty());
        for (more, impact, words) in [
            ("size: Large", Impact::Rolling, "never with fewer than 3"),
            ("limits: { blockActions: 5000 }", Impact::Rolling, "one after another"),
            ("storage: { size: 3Gi }", Impact::None, "from 2Gi to 3Gi"),
            ("storage: { size: 1Gi }", Impact::Refused, "can't shrink"),
            ("storage: { whenScaled: Delete }", Impact::None, "deleted for ever"),
            ("desiredState: Hibernated", Impact::Outage, "stops all"),
            ("placement: Shared", Impact::Refused, "can't be changed"),
            (
                "validators: { count: 7 }",
                Impact::Rolling,
                "a quorum is 5 of 7 and 2 may be lost",
            ),
            ("deletionPolicy: Delete", Impact::None, "for ever"),
            ("preventDeletion: true", Impact::None, "waits"),
        ] {
            let effect = one(more);
            assert_eq!(effect.impact, impact, "{more}");
            assert!(effect.to_string().contains(words), "{effect}");
        }
    }
}
