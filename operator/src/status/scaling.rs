//! What is said while validators join and leave.

use muniment_crds::condition::{Condition, condition, kind, reason};
use muniment_crds::{ValidatorAction, ValidatorChange};

use crate::backend::{Ballot, Observation};
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
