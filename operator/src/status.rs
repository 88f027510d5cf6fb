//! Status: what is planned and what is seen become a `LedgerNetworkStatus`. Pure.

mod scaling;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use muniment_crds::condition::{Condition, condition, kind, merge, reason};
use muniment_crds::jiff::Timestamp;
use muniment_crds::{DisplayStatus, LedgerNetworkStatus, NodeStatus, ValidatorsStatus};

use crate::backend::{NodeObservation, NodeState, Observation};
use crate::certificates::Outlook;
use crate::plan::Plan;
use crate::quorum::ValidatorCount;
use crate::roll::{self, Step};
use crate::scale;

/// Makes the status. `before` is the last one, for the times of transition.
pub fn status(
    generation: Option<i64>,
    plan: &Plan,
    seen: &Observation,
    before: Option<&LedgerNetworkStatus>,
    now: Timestamp,
) -> LedgerNetworkStatus {
    let validators = numbers(plan, seen);
    let next = scale::next(plan, seen);
    let mut conditions = vec![sealed(seen), spec_applied(plan, seen, &next)];
    conditions.extend(if plan.hosting.run {
        vec![
            ready(&validators, seen),
            quorum(&validators),
            degraded(&validators, seen),
            progressing(plan, seen, &next),
        ]
    } else {
        hibernated(seen)
    });
    scaling::say_what_is_left_over(&mut conditions, seen);
    conditions.extend(seen.certificates.map(|outlook| certificates(&outlook, now)));
    let old = before.map(|b| b.conditions.as_slice()).unwrap_or_default();
    LedgerNetworkStatus {
        observed_generation: generation,
        state: Some(state(plan, &validators, seen).to_owned()),
        network_id: seen.id.clone(),
        revision: Some(plan.revision.clone()),
        version: versions(seen),
        certificates_expire: seen.certificates.map(|outlook| Time(outlook.next.until)),
        height: seen
            .nodes
            .iter()
            .map(height)
            .max()
            .unwrap_or(0)
            // Of a network that doesn't answer the last height that is known.
            .max(before.map_or(0, |b| b.height)),
        validators,
        display: display(&validators),
        validator_change: match next {
            scale::Step::Ask(change) => Some(change),
            scale::Step::Done | scale::Step::Hold { .. } => None,
        },
        left_over_claims: seen.left_over.clone(),
        nodes: seen.nodes.iter().map(node).collect(),
        conditions: merge(old, conditions, generation, now),
    }
}

/// The status of a network for which something couldn't be done: what is seen or known of it stays, and the reason is
/// said. `old` is the status as it was written last, for the times of transition.
pub fn refused(
    generation: Option<i64>,
    seen: Option<&LedgerNetworkStatus>,
    old: Option<&LedgerNetworkStatus>,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> LedgerNetworkStatus {
    let mut status = seen.or(old).cloned().unwrap_or_default();
    let said = |kind| condition(kind, false, reason, message);
    let mut conditions: Vec<Condition> = status
        .conditions
        .iter()
        .filter(|c| c.type_ != kind::SPEC_APPLIED)
        .cloned()
        .collect();
    // A network that was seen, or runs, goes on with what was applied last.
    if seen.is_none() && !conditions.iter().any(|c| c.type_ == kind::READY && c.status == "True") {
        conditions.retain(|c| c.type_ != kind::READY);
        conditions.push(said(kind::READY));
        status.state = Some(
            if reason == reason::INVALID {
                "Refused"
            } else {
                "Pending"
            }
            .to_owned(),
        );
    }
    conditions.push(said(kind::SPEC_APPLIED));
    let before = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
    status.conditions = merge(before, conditions, generation, now);
    status.observed_generation = generation;
    status
}

/// A status with what is to come of the certificates, when nothing else could be brought up to date.
pub fn with_certificates(mut status: LedgerNetworkStatus, outlook: &Outlook, now: Timestamp) -> LedgerNetworkStatus {
    let before = std::mem::take(&mut status.conditions);
    let others = before.iter().filter(|c| c.type_ != kind::CERTIFICATES_READY).cloned();
    let said = certificates(outlook, now);
    status.conditions = merge(&before, others.chain([said]).collect(), status.observed_generation, now);
    status.certificates_expire = Some(Time(outlook.next.until));
    status
}

/// The status of a network that is being deleted.
pub fn deleting(
    before: Option<&LedgerNetworkStatus>,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> LedgerNetworkStatus {
    let mut status = before.cloned().unwrap_or_default();
    let old = status.conditions.clone();
    // A protected network runs on.
    if reason == reason::DELETING {
        status.conditions = vec![condition(kind::READY, false, reason, message)];
        status.state = Some("Deleting".to_owned());
    }
    status.conditions.retain(|c| c.type_ != kind::PROGRESSING);
    status.conditions.push(condition(
        kind::PROGRESSING,
        reason == reason::DELETING,
        reason,
        message,
    ));
    status.conditions = merge(&old, status.conditions, status.observed_generation, now);
    status
}

/// One word for people.
fn state(plan: &Plan, v: &ValidatorsStatus, seen: &Observation) -> &'static str {
    let starting = seen.nodes.iter().any(|n| n.state == NodeState::Starting);
    let gone = seen.nodes.iter().all(|n| n.state == NodeState::Stopped);
    match (plan.hosting.run, has_quorum(v)) {
        (false, _) if gone => "Hibernated",
        (false, _) => "Stopping",
        (true, true) if v.ready >= v.desired => "Running",
        (true, true) => "Degraded",
        (true, false) if starting => "Starting",
        (true, false) => "NoQuorum",
    }
}

fn display(v: &ValidatorsStatus) -> DisplayStatus {
    DisplayStatus {
        ready: format!("{}/{}", v.ready, v.desired),
        quorum: format!("{} of {}", v.quorum, v.desired),
    }
}

fn hibernated(seen: &Observation) -> Vec<Condition> {
    let left = seen.nodes.iter().filter(|n| n.state != NodeState::Stopped).count();
    let message = "no validator runs because that is wanted; keys, genesis and data are kept";
    let stopping = format!("{left} validators are still stopping");
    vec![
        condition(kind::READY, false, reason::HIBERNATED, message),
        condition(kind::QUORUM_AVAILABLE, false, reason::HIBERNATED, message),
        condition(kind::DEGRADED, false, reason::HIBERNATED, message),
        if left > 0 {
            condition(kind::PROGRESSING, true, reason::HIBERNATED, stopping)
        } else {
            condition(kind::PROGRESSING, false, reason::AS_WANTED, "nothing is under way")
        },
        condition(kind::HIBERNATED, left == 0, reason::HIBERNATED, message),
    ]
}

fn height(node: &NodeObservation) -> u64 {
    node.answer.as_ref().map_or(0, |a| a.height)
}

fn versions(seen: &Observation) -> Option<String> {
    let mut all: Vec<&str> = seen
        .nodes
        .iter()
        .filter_map(|n| n.answer.as_ref())
        .map(|a| a.version.as_str())
        .collect();
    all.sort_unstable();
    all.dedup();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Size of the validator set: as seen, else as is on record.
fn in_set(plan: &Plan, seen: &Observation) -> ValidatorCount {
    let known = seen.membership.as_ref();
    known.map_or_else(|| plan.members(), |known| ValidatorCount::of(known.now.len()))
}

fn numbers(plan: &Plan, seen: &Observation) -> ValidatorsStatus {
    let count = in_set(plan, seen);
    let ready = u32::try_from(seen.nodes.iter().filter(|n| n.member && n.ready()).count()).unwrap_or(u32::MAX);
    ValidatorsStatus {
        desired: count.get(),
        ready,
        quorum: count.quorum(),
        spare: ready.saturating_sub(count.quorum()),
    }
}

fn node(node: &NodeObservation) -> NodeStatus {
    NodeStatus {
        name: node.name.clone(),
        member: node.member,
        ready: node.ready(),
        state: node.state.as_str().to_owned(),
        height: height(node),
        restarts: node.restarts,
        last_exit: node.last_exit.clone(),
    }
}

fn has_quorum(v: &ValidatorsStatus) -> bool {
    v.ready >= v.quorum
}

fn ready(v: &ValidatorsStatus, seen: &Observation) -> Condition {
    let numbers = format!(
        "{} of {} validators are ready, {} are needed",
        v.ready, v.desired, v.quorum
    );
    let starting = seen.nodes.iter().any(|n| n.state == NodeState::Starting);
    match (has_quorum(v), starting) {
        (true, _) => condition(kind::READY, true, reason::QUORUM_READY, numbers),
        (false, true) => condition(kind::READY, false, reason::STARTING, numbers),
        (false, false) => condition(kind::READY, false, reason::QUORUM_LOST, numbers),
    }
}

fn sealed(seen: &Observation) -> Condition {
    match &seen.id {
        Some(id) => condition(kind::GENESIS_SEALED, true, reason::SEALED, format!("network id {id}")),
        None => condition(
            kind::GENESIS_SEALED,
            false,
            reason::NOT_SEALED,
            "the genesis isn't written yet",
        ),
    }
}

fn quorum(v: &ValidatorsStatus) -> Condition {
    let numbers = format!(
        "quorum {} of {}, {} ready, {} to spare",
        v.quorum, v.desired, v.ready, v.spare
    );
    let why = if has_quorum(v) {
        reason::QUORUM_READY
    } else {
        reason::QUORUM_LOST
    };
    condition(kind::QUORUM_AVAILABLE, has_quorum(v), why, numbers)
}

fn degraded(v: &ValidatorsStatus, seen: &Observation) -> Condition {
    if v.ready >= v.desired {
        return condition(kind::DEGRADED, false, reason::AS_WANTED, "all validators are ready");
    }
    let down = seen.nodes.iter().filter(|n| n.member && !n.ready());
    let down: Vec<String> = down.map(describe).collect();
    condition(
        kind::DEGRADED,
        true,
        reason::VALIDATORS_DOWN,
        format!("not ready: {}", down.join(", ")),
    )
}

fn describe(node: &NodeObservation) -> String {
    match (&node.last_exit, node.state) {
        (Some(exit), NodeState::BackingOff | NodeState::Stopped) => format!("{} ({exit})", node.name),
        _ => format!("{} ({})", node.name, node.state.as_str()),
    }
}

fn progressing(plan: &Plan, seen: &Observation, next: &scale::Step) -> Condition {
    match roll::next(&seen.nodes, &plan.revision, in_set(plan, seen)) {
        Step::Restart(name) => condition(
            kind::PROGRESSING,
            true,
            reason::ROLLING,
            format!("{name} is restarted with new settings"),
        ),
        Step::Hold(why) => condition(kind::PROGRESSING, true, reason::QUORUM_GATE, why),
        Step::Done if *next != scale::Step::Done => scaling::progressing(seen, next),
        Step::Done => match seen.nodes.iter().find(|n| n.state == NodeState::Starting) {
            Some(node) => condition(
                kind::PROGRESSING,
                true,
                reason::STARTING,
                format!("{} is starting", node.name),
            ),
            None => condition(kind::PROGRESSING, false, reason::AS_WANTED, "nothing is under way"),
        },
    }
}

/// Says the same until something is renewed.
fn certificates(outlook: &Outlook, now: Timestamp) -> Condition {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let (next, authority) = (outlook.next, outlook.authority);
    let message = format!(
        "the next certificate expires on {} and is renewed from {} on; the authority expires on {}",
        day(next.until),
        day(next.renewal()),
        day(authority.until)
    );
    if next.is_due(now) {
        return condition(kind::CERTIFICATES_READY, false, reason::RENEWAL_OVERDUE, message);
    }
    condition(kind::CERTIFICATES_READY, true, reason::ISSUED, message)
}

fn spec_applied(plan: &Plan, seen: &Observation, next: &scale::Step) -> Condition {
    if *next != scale::Step::Done {
        return scaling::spec_applied(plan, in_set(plan, seen), seen, next);
    }
    if plan.deferred.is_empty() {
        return condition(
            kind::SPEC_APPLIED,
            true,
            reason::AS_WANTED,
            "everything in spec is in force",
        );
    }
    let all: Vec<String> = plan.deferred.iter().map(ToString::to_string).collect();
    condition(kind::SPEC_APPLIED, false, reason::NEEDS_GOVERNANCE, all.join(" · "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::condition::is_true;

    fn running() -> LedgerNetworkStatus {
        let ready = condition(kind::READY, true, reason::QUORUM_READY, "4 of 4");
        LedgerNetworkStatus {
            state: Some("Running".into()),
            network_id: Some("id".into()),
            height: 9,
            conditions: merge(&[], vec![ready], Some(1), Timestamp::UNIX_EPOCH),
            ..LedgerNetworkStatus::default()
        }
    }

    fn reason_of(status: &LedgerNetworkStatus, type_: &str) -> String {
        let found = status.conditions.iter().find(|c| c.type_ == type_);
        found.map(|c| c.reason.clone()).unwrap_or_default()
    }

    #[test]
    fn a_network_that_runs_goes_on_when_its_new_description_cant_be_used() {
        let status = refused(
            Some(2),
            None,
            Some(&running()),
            reason::INVALID,
            "spec.x: no; y",
            Timestamp::UNIX_EPOCH,
        );
        assert!(is_true(&status.conditions, kind::READY));
        assert_eq!((status.state.as_deref(), status.height), (Some("Running"), 9));
        assert_eq!(reason_of(&status, kind::SPEC_APPLIED), reason::INVALID);
        assert_eq!(status.observed_generation, Some(2));
    }

    #[test]
    fn what_is_seen_is_said_although_something_couldnt_be_done() {
        let mut seen = running();
        seen.state = Some("Degraded".into());
        let first = Timestamp::UNIX_EPOCH;
        let status = refused(
            Some(2),
            Some(&seen),
            Some(&running()),
            reason::PLATFORM,
            "can't grow",
            first,
        );
        assert_eq!(status.state.as_deref(), Some("Degraded"));
        assert_eq!(reason_of(&status, kind::SPEC_APPLIED), reason::PLATFORM);
        let later = Timestamp::from_second(99).unwrap();
        let again = refused(
            Some(2),
            Some(&seen),
            Some(&status),
            reason::PLATFORM,
            "can't grow",
            later,
        );
        assert_eq!(again, status, "said once");
    }

    #[test]
    fn a_new_network_that_cant_be_made_says_why_it_isnt_ready() {
        let now = Timestamp::UNIX_EPOCH;
        let status = refused(Some(1), None, None, reason::NO_TENANT, "make one", now);
        assert_eq!(reason_of(&status, kind::READY), reason::NO_TENANT);
        assert_eq!(status.state.as_deref(), Some("Pending"));
        assert_eq!(
            refused(Some(1), None, Some(&status), reason::NO_TENANT, "make one", now),
            status,
            "said once"
        );
    }

    #[test]
    fn renewed_certificates_are_said_although_the_description_is_refused() {
        let day = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        let validity = |from, until| crate::certificates::Validity {
            from: day(from),
            until: day(until),
        };
        let outlook = |from| Outlook {
            next: validity(from, from + 90),
            authority: validity(0, 3650),
        };
        let old = refused(
            Some(2),
            None,
            Some(&running()),
            reason::QUOTA_EXCEEDED,
            "too many",
            day(1),
        );
        let due = with_certificates(old, &outlook(0), day(61));
        assert_eq!(reason_of(&due, kind::CERTIFICATES_READY), reason::RENEWAL_OVERDUE);
        let now = with_certificates(due.clone(), &outlook(61), day(61));
        assert_eq!(reason_of(&now, kind::CERTIFICATES_READY), reason::ISSUED);
        assert_eq!(now.certificates_expire.as_ref().map(|at| at.0), Some(day(151)));
        assert_eq!(reason_of(&now, kind::SPEC_APPLIED), reason::QUOTA_EXCEEDED);
        assert_eq!(with_certificates(now.clone(), &outlook(61), day(62)), now, "said once");
    }

    #[test]
    fn a_protected_network_stays_ready_and_one_that_goes_does_not() {
        let now = Timestamp::UNIX_EPOCH;
        let held = deleting(Some(&running()), reason::DELETION_PREVENTED, "protected", now);
        assert!(is_true(&held.conditions, kind::READY));
        assert_eq!(reason_of(&held, kind::PROGRESSING), reason::DELETION_PREVENTED);
        let goes = deleting(Some(&running()), reason::DELETING, "stopping", now);
        assert!(!is_true(&goes.conditions, kind::READY) && is_true(&goes.conditions, kind::PROGRESSING));
        assert_eq!(goes.state.as_deref(), Some("Deleting"));
    }
}
