//! Proposes to a network what its operator asks for: that a validator joins or leaves.
//!
//! The operator has no key of a tenant, and we have no hand on validators. It says in the description's status which
//! change comes next; here the tenant's key signs it, or approves what another member proposed. Idempotent: the ledger
//! itself is looked at before anything is signed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use muniment_crds::ValidatorChange;
use muniment_ledger::execute::governance::{APPROVE, REGION, REVISION, TEMPLATE};
use muniment_receipts::statement::Item;
use serde_json::{Map, Value, json};

use crate::app::State;
use crate::keys::{Owner, Purpose};
use crate::networks::Network;
use crate::networks::lookup::unavailable;
use crate::problem::ApiError;
use crate::sign::{Kind, StatementSigner};

/// Between two looks at what isn't decided yet.
const AGAIN: Duration = Duration::from_secs(5);
/// Changes of descriptions within this time are one look.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How long a proposal is waited for.
const WAIT: Duration = Duration::from_secs(30);
/// Records in a page, and most pages.
const PAGE: usize = 1_000;
const PAGES: usize = 10;

/// A change of validators that a network has to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Tenant whose key signs.
    pub tenant: String,
    /// Its network.
    pub network: String,
    /// What is to be decided.
    pub change: ValidatorChange,
}

/// What is done about a change.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It was decided, or waits for others.
    Nothing,
    /// Another member proposed it.
    Approve([u8; 32]),
    /// Nobody proposed it.
    Propose,
}

/// Runs as long as the server does.
pub async fn run(state: Data<State>) {
    let Some(resources) = state.resources.get().map(Arc::clone) else {
        return;
    };
    let mut changes = resources.changes();
    loop {
        changes.borrow_and_update();
        for wish in resources.validator_changes().await {
            if let Err(error) = grant(&state, &wish).await {
                let (tenant, network) = (&wish.tenant, &wish.network);
                let error = &error as &dyn std::error::Error;
                tracing::warn!(tenant, network, error, "a change of validators can't be proposed yet");
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN) => {}
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

async fn grant(state: &State, wish: &Wish) -> Result<(), ApiError> {
    let network = state.networks.find(&wish.tenant, &wish.network).await?;
    // One of ours that is on its way, also from before a restart, says what became of it by itself.
    if network.governs() {
        return Ok(());
    }
    let (shared, owner) = (state.networks.shared(), Owner::tenant(&wish.tenant));
    let own = shared.keys.ensure(&owner, Purpose::Statement).await;
    let own = own.map_err(ApiError::internal)?.to_string();
    let (action, item) = match look(&network, &wish.change, &own).await? {
        Next::Nothing => return Ok(()),
        Next::Approve(id) => (
            APPROVE,
            Item {
                input: Map::new(),
                record: Some(id),
            },
        ),
        Next::Propose => (
            wish.change.action.as_str(),
            Item {
                input: input(&wish.change),
                record: None,
            },
        ),
    };
    let signer = StatementSigner {
        keys: &*shared.keys,
        owner: &owner,
        network: network.entry.id,
        validity: shared.validity,
    };
    let kind = Kind {
        template: Cow::Borrowed(TEMPLATE),
        action: Cow::Owned(action.to_owned()),
        revision: REVISION,
    };
    let signed = signer.single(&kind, item).await?;
    let ticket = network.accept(signed, true, true, None, |_| Vec::new()).await?;
    let (validator, id) = (&wish.change.name, ticket.operation.transaction);
    let Some(decided) = ticket.wait(WAIT).await else {
        return Ok(());
    };
    let outcomes: Vec<_> = network.outcomes(&id, &decided).collect();
    tracing::info!(
        network = wish.network,
        action,
        validator,
        ?outcomes,
        "proposed for the operator"
    );
    Ok(())
}

fn input(change: &ValidatorChange) -> Map<String, Value> {
    let mut input = Map::from_iter([("name".to_owned(), json!(change.name))]);
    for (field, key) in [
        ("consensus", &change.consensus),
        ("notary", &change.notary),
        ("cose", &change.cose),
    ] {
        input.extend(key.iter().map(|key| (field.to_owned(), json!(key))));
    }
    input
}

/// Looks through what was proposed.
async fn look(network: &Network, change: &ValidatorChange, own: &str) -> Result<Next, ApiError> {
    let (reader, mut after) = (network.reader(), None);
    let mut next = Next::Propose;
    for _ in 0..PAGES {
        let page = reader
            .records(Some(TEMPLATE), after.as_ref(), PAGE)
            .await
            .map_err(unavailable)?;
        for record in &page.records {
            match judge(change, record, own, crate::time::now_ms()) {
                Some(Next::Nothing) => return Ok(Next::Nothing),
                Some(approve) => next = approve,
                None => {}
            }
        }
        match page.next {
            Some(id) => after = Some(hash(&id).ok_or_else(|| ApiError::internal("a record id isn't one"))?),
            None => return Ok(next),
        }
    }
    Ok(next)
}

/// What one proposal says about a change; `None` when it isn't about it. A name is used once for ever, so what was
/// decided about it is decided.
fn judge(change: &ValidatorChange, record: &Value, own: &str, now: i64) -> Option<Next> {
    let fields = &record["fields"];
    let wanted = Value::Object(input(change));
    if fields["action"] != change.action.as_str() || fields["input"] != wanted {
        return None;
    }
    let ours = |approval: &Value| approval["key"] == own;
    match record["regions"][REGION].as_str()? {
        "enacted" => Some(Next::Nothing),
        "open" if fields["expires"].as_i64().is_some_and(|expires| expires < now) => None,
        "open" if fields["approvals"].as_array()?.iter().any(ours) => Some(Next::Nothing),
        "open" => Some(Next::Approve(hash(record["id"].as_str()?)?)),
        _ => None,
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use muniment_crds::ValidatorAction;

    fn change() -> ValidatorChange {
        ValidatorChange {
            action: ValidatorAction::AddValidator,
            name: "validator-4".to_owned(),
            consensus: Some("c".to_owned()),
            notary: Some("n".to_owned()),
            cose: Some("s".to_owned()),
        }
    }

    fn record(state: &str, keys: &str, approvals: &[&str]) -> Value {
        let approvals: Vec<Value> = approvals.iter().map(|key| json!({ "key": key, "leaf": 1 })).collect();
        json!({ "id": "07".repeat(32), "regions": { "proposal": state }, "fields": {
            "action": "addValidator", "approvals": approvals, "expires": 1_000,
            "input": { "consensus": keys, "cose": "s", "name": "validator-4", "notary": "n" } } })
    }

    #[test]
    fn it_is_proposed_once_and_approved_where_another_member_was_first() {
        let judged = |record| judge(&change(), &record, "own", 500);
        assert_eq!(judged(record("open", "c", &["own"])), Some(Next::Nothing));
        assert_eq!(judged(record("enacted", "c", &["other"])), Some(Next::Nothing));
        assert_eq!(judged(record("open", "c", &["other"])), Some(Next::Approve([7; 32])));
    }

    #[test]
    fn what_is_about_something_else_or_over_is_no_reason_not_to() {
        let judged = |record| judge(&change(), &record, "own", 500);
        assert_eq!(judged(record("open", "other keys", &["own"])), None);
        assert_eq!(judged(record("withdrawn", "c", &["own"])), None);
        assert_eq!(judge(&change(), &record("open", "c", &["own"]), "own", 2_000), None);
        let removal = ValidatorChange {
            action: ValidatorAction::RemoveValidator,
            consensus: None,
            notary: None,
            cose: None,
            ..change()
        };
        assert_eq!(judge(&removal, &record("open", "c", &["own"]), "own", 500), None);
    }
}
