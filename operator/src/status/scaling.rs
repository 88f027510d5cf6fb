//! What is said while validators join and leave.

use muniment_crds::condition::{Condition, condition, kind, reason};
use muniment_crds::{ValidatorAction, ValidatorChange};

use crate::backend::{Ballot, NodeObservation, NodeState, Observation};
use crate::plan::Plan;
use crate::quorum::ValidatorCount;
use crate::scale::Step;

/// Whether something is under way, and what.
pub fn progressing(seen: &Observation, next: &Step) -> Condition {
    let (reason, message) = step(seen, next);
    condition(kind::PROGRESSING, true, reason, message)
}

/// How far the wish is from what there is, and why.
pub fn spec_applied(plan: &Plan, have: ValidatorCount, seen: &Observation, next: &Step) -> Condition {
    let (reason, message) = step(seen, next);
    let mut all = vec![format!("{have} validators and {} are wanted: {message}", plan.wanted)];
    all.extend(plan.deferred.iter().map(ToString::to_string));
    // What is waited for is the platform's own, unless members have to act.
    let reason = if reason == reason::NEEDS_GOVERNANCE {
        reason
    } else {
        reason::SCALING
    };
    condition(kind::SPEC_APPLIED, false, reason, all.join(" · "))
}

/// A quota of claims keeps a new validator from starting, and nothing but an event of its StatefulSet says so.
pub fn say_what_is_left_over(conditions: &mut [Condition], seen: &Observation) {
    let waits = |node: &NodeObservation| node.state == NodeState::Starting && node.revision.is_none();
    if seen.left_over.is_empty() || !seen.nodes.iter().any(waits) {
        return;
    }
    let more = format!(
        " · claims of validators that left count against the tenant's quota ({}): delete those you don't want any more, or \
         set spec.storage.whenScaled to Delete",
        seen.left_over.join(", ")
    );
    for condition in conditions.iter_mut().filter(|one| one.type_ == kind::PROGRESSING) {
        condition.message.push_str(&more);
    }
}

fn step(seen: &Observation, next: &Step) -> (&'static str, String) {
    match next {
        Step::Done => (reason::AS_WANTED, "nothing is under way".to_owned()),
        Step::Hold { reason, why } => (reason, why.clone()),
        Step::Ask(change) => match &seen.ballot {
            Some(ballot) => (reason::NEEDS_GOVERNANCE, open(change, ballot)),
            None => (reason::SCALING, asked(change)),
        },
    }
}

fn asked(change: &ValidatorChange) -> String {
    let what = match change.action {
        ValidatorAction::AddValidator => "added to",
        ValidatorAction::RemoveValidator => "removed from",
    };
    let name = &change.name;
    format!("{name} is to be {what} the set; the management API proposes it with the tenant's key")
}

fn open(change: &ValidatorChange, ballot: &Ballot) -> String {
    let what = match change.action {
        ValidatorAction::AddValidator => "add",
        ValidatorAction::RemoveValidator => "remove",
    };
    let Ballot {
        proposal,
        approvals,
        threshold,
    } = ballot;
    format!(
        "the proposal to {what} {} has {approvals} of {threshold} approvals; other members approve it with \
         `muniment proposal approve {proposal}`",
        change.name
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::NetworkRef;
    use muniment_crds::{NetworkName, TenantName};

    #[test]
    fn what_is_left_over_is_said_while_a_validator_waits_for_room() {
        let node = |revision: Option<&str>| NodeObservation {
            name: "validator-7".into(),
            member: false,
            state: NodeState::Starting,
            revision: revision.map(str::to_owned),
            restarts: 0,
            last_exit: None,
            answer: None,
        };
        let said = |revision, left: &[&str]| {
            let seen = Observation {
                network: NetworkRef {
                    tenant: TenantName::new("acme").unwrap(),
                    name: NetworkName::new("c").unwrap(),
                },
                id: None,
                nodes: vec![node(revision)],
                certificates: None,
                membership: None,
                ballot: None,
                left_over: left.iter().map(|claim| (*claim).to_owned()).collect(),
            };
            let mut conditions = vec![condition(
                kind::PROGRESSING,
                true,
                reason::SCALING,
                "validator-7 starts",
            )];
            say_what_is_left_over(&mut conditions, &seen);
            conditions.remove(0).message
        };
        let message = said(None, &["data-c-validator-0"]);
        assert!(
            message.starts_with("validator-7 starts · ") && message.contains("data-c-validator-0"),
            "{message}"
        );
        assert_eq!(
            said(Some("r"), &["data-c-validator-0"]),
            "validator-7 starts",
            "it has its pod"
        );
        assert_eq!(said(None, &[]), "validator-7 starts");
    }
}
