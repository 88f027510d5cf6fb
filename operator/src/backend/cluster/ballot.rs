//! The proposal that is open for a change of validators, as a node tells it. Only for what is said to people: what the
//! network decided is read from its proof.

use muniment_crds::ValidatorChange;
use muniment_ledger::execute::governance::REGION;
use muniment_ledger::state::MemberEntry;
use muniment_ledger::wire::{GovernanceView, RecordPage};
use serde_json::Value;

use super::observe::Questions;
use crate::backend::Ballot;

/// Most pages looked at: who has so many proposals finds the open one with `muniment proposal list`.
const PAGES: usize = 4;

/// Looks for it at the first of these nodes that answers.
pub async fn find(change: &ValidatorChange, addresses: &[String], questions: &Questions<'_>) -> Option<Ballot> {
    for address in addresses {
        if let Some(policy) = questions.prober.governance(address, questions.token).await {
            return look(change, address, &policy, questions).await;
        }
    }
    None
}

async fn look(
    change: &ValidatorChange,
    address: &str,
    policy: &GovernanceView,
    questions: &Questions<'_>,
) -> Option<Ballot> {
    let mut after = None;
    for _ in 0..PAGES {
        let page = questions
            .prober
            .proposals(address, questions.token, after.as_deref())
            .await?;
        let found = open(change, &page, policy);
        if found.is_some() || page.next.is_none() {
            return found;
        }
        after = page.next;
    }
    None
}

/// The open one with the most approvals of those who are members.
fn open(change: &ValidatorChange, page: &RecordPage, policy: &GovernanceView) -> Option<Ballot> {
    let is_member = |key: &Value| policy.members.iter().any(|member: &MemberEntry| *key == *member.key);
    let ballot = |record: &Value| {
        let fields = &record["fields"];
        let fits = record["regions"][REGION] == "open"
            && fields["action"] == change.action.as_str()
            && fields["input"]["name"] == *change.name;
        let approvals = fields["approvals"].as_array()?;
        fits.then(|| Ballot {
            proposal: record["id"].as_str().unwrap_or_default().to_owned(),
            approvals: approvals.iter().filter(|one| is_member(&one["key"])).count(),
            threshold: policy.threshold,
        })
    };
    page.records
        .iter()
        .filter_map(ballot)
        .max_by_key(|ballot| ballot.approvals)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::ValidatorAction;
    use serde_json::json;

    fn record(id: &str, state: &str, name: &str, approvals: &[&str]) -> Value {
        let approvals: Vec<Value> = approvals.iter().map(|key| json!({ "key": key, "leaf": 1 })).collect();
        json!({ "id": id, "regions": { "proposal": state },
                "fields": { "action": "removeValidator", "input": { "name": name }, "approvals": approvals } })
    }

    #[test]
    fn only_the_open_one_of_this_change_counts_and_only_members_approve() {
        let change = ValidatorChange {
            action: ValidatorAction::RemoveValidator,
            name: "validator-0".into(),
            consensus: None,
            notary: None,
            cose: None,
        };
        let member = |key: &str| serde_json::from_value(json!({ "key": key, "name": key, "since": 0 })).unwrap();
        let policy = GovernanceView {
            height: 9,
            threshold: 2,
            members: vec![member("a"), member("b"), member("c")],
            templates: Vec::new(),
        };
        let page = RecordPage {
            height: 9,
            records: vec![
                record("1", "enacted", "validator-0", &["a", "b"]),
                record("2", "open", "validator-1", &["a"]),
                record("3", "open", "validator-0", &["gone"]),
                record("4", "open", "validator-0", &["gone", "a"]),
            ],
            next: None,
        };
        let found = open(&change, &page, &policy).unwrap();
        assert_eq!((found.proposal.as_str(), found.approvals, found.threshold), ("4", 1, 2));
    }
}
