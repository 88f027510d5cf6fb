//! From the validators that a network has to as many as are wanted: which change comes next. Pure.
//!
//! A validator joins when it runs, has caught up, all others know it, and so many vote that the larger set has its
//! quorum without it. One leaves when those that stay have a quorum. Who decides is the network itself; what comes out
//! here is only what is asked of it, one change at a time.

use muniment_crds::condition::reason;
use muniment_crds::{ValidatorAction, ValidatorChange};
use muniment_receipts::genesis::ValidatorKeys;

use crate::backend::{NodeObservation, Observation};
use crate::membership::Membership;
use crate::plan::{NodePlan, Plan};
use crate::quorum::ValidatorCount;
use crate::roll;

/// A validator this close to the highest one has caught up: heights are seen one after another.
const CLOSE: u64 = 3;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There are as many as wanted.
    Done,
    /// The network is asked to decide this.
    Ask(ValidatorChange),
    /// Nothing now.
    Hold {
        /// Reason of the condition.
        reason: &'static str,
        /// Why, with the numbers.
        why: String,
    },
}

fn hold(why: impl Into<String>) -> Step {
    Step::Hold {
        reason: reason::SCALING,
        why: why.into(),
    }
}

/// Decides the next step. A network that doesn't run waits.
pub fn next(plan: &Plan, seen: &Observation) -> Step {
    if !plan.hosting.run && plan.members() != plan.wanted {
        return hold("the network doesn't run, so it can't decide; it goes on when it is woken");
    }
    let Some(membership) = &seen.membership else {
        return if plan.members() == plan.wanted {
            Step::Done
        } else {
            hold("no validator says who the validators are")
        };
    };
    let (have, wanted) = (membership.now.len(), plan.wanted.get() as usize);
    let keys = plan.network.nodes.iter().map(|node| &node.keys);
    if have == wanted {
        let known = plan.roster.with(membership, keys, plan.wanted.get());
        return if known == plan.roster {
            Step::Done
        } else {
            hold("what the network decided is taken over")
        };
    }
    if roll::next(&seen.nodes, &plan.revision, ValidatorCount::of(have)) != roll::Step::Done {
        return hold("the validators are restarted first, so that all know each other");
    }
    if have < wanted {
        join(plan, seen, membership)
    } else {
        leave(plan, seen, membership)
    }
}

fn join(plan: &Plan, seen: &Observation, membership: &Membership) -> Step {
    let is_new = |node: &&NodePlan| !membership.has(&node.keys) && !membership.left.contains(&node.keys);
    let Some(joiner) = plan.network.nodes.iter().find(is_new) else {
        return hold("keys for the next validator are made first");
    };
    let name = &joiner.name;
    if membership
        .now
        .iter()
        .chain(&membership.left)
        .any(|one| one.name == *name)
    {
        return hold(format!(
            "the network has or had another validator with the name {name}; remove it, or set spec.validators.count to {}",
            membership.now.len()
        ));
    }
    let answer = node(seen, name).and_then(|node| node.answer.as_ref());
    let Some(answer) = answer else {
        return hold(format!("{name} starts"));
    };
    let tip = heights(seen).max().unwrap_or(0);
    if answer.height + CLOSE < tip {
        return hold(format!("{name} catches up: it is at height {} of {tip}", answer.height));
    }
    let after = ValidatorCount::of(membership.now.len() + 1);
    gate(seen, membership, None, after, &format!("with {name}")).unwrap_or_else(|| Step::Ask(add(&joiner.keys)))
}

fn leave(plan: &Plan, seen: &Observation, membership: &Membership) -> Step {
    let Some(leaver) = plan.network.nodes.iter().find(|node| membership.has(&node.keys)) else {
        return hold("none of the validators in the set is run here");
    };
    let after = ValidatorCount::of(membership.now.len() - 1);
    let held = gate(
        seen,
        membership,
        Some(&leaver.name),
        after,
        &format!("without {}", leaver.name),
    );
    held.unwrap_or_else(|| {
        Step::Ask(ValidatorChange {
            action: ValidatorAction::RemoveValidator,
            name: leaver.name.clone(),
            consensus: None,
            notary: None,
            cose: None,
        })
    })
}

/// Those who vote now, without the one that changes, must be a quorum of the set as it will be.
fn gate(
    seen: &Observation,
    membership: &Membership,
    except: Option<&str>,
    after: ValidatorCount,
    change: &str,
) -> Option<Step> {
    let counts = |one: &&ValidatorKeys| {
        Some(one.name.as_str()) != except && node(seen, &one.name).is_some_and(NodeObservation::votes)
    };
    let voting = membership.now.iter().filter(counts).count();
    (voting < after.quorum() as usize).then(|| Step::Hold {
        reason: reason::QUORUM_GATE,
        why: format!(
            "{change} there are {after} validators and {} of them have to vote; {voting} others do now",
            after.quorum()
        ),
    })
}

fn add(keys: &ValidatorKeys) -> ValidatorChange {
    ValidatorChange {
        action: ValidatorAction::AddValidator,
        name: keys.name.clone(),
        consensus: Some(keys.consensus.clone()),
        notary: Some(keys.notary.clone()),
        cose: Some(keys.cose.clone()),
    }
}

fn node<'a>(seen: &'a Observation, name: &str) -> Option<&'a NodeObservation> {
    seen.nodes.iter().find(|node| node.name == name)
}

fn heights(seen: &Observation) -> impl Iterator<Item = u64> + '_ {
    seen.nodes.iter().filter_map(|node| Some(node.answer.as_ref()?.height))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
