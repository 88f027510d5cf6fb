//! Passes over one `RecordTemplate`: it is judged by the code that ledgers run, and the verdict is its condition.

use std::sync::Arc;

use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::{Api, Client, Resource, ResourceExt};
use muniment_crds::condition::{condition, is_true, kind, merge, reason};
use muniment_crds::jiff::Timestamp;
use muniment_crds::{RecordTemplate, RecordTemplateStatus};
use muniment_ledger::template::Template;
use muniment_receipts::genesis::GenesisTemplate;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::pace::Pace;
use super::{events, status};
use crate::backend::cluster::ApiFailure;
use crate::catalog::Catalog;

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Where events go.
    pub recorder: Recorder,
    /// Pauses after failures.
    pub pace: Pace,
}

/// The verdict couldn't be written.
#[derive(Debug, Error)]
#[error("the status of template {key} can't be written")]
pub struct PassError {
    key: String,
    #[source]
    source: ApiFailure,
}

fn key(template: &RecordTemplate) -> String {
    format!("{}/{}", template.namespace().unwrap_or_default(), template.name_any())
}

/// One pass.
pub async fn reconcile(template: Arc<RecordTemplate>, context: Arc<Context>) -> Result<Action, PassError> {
    let new = judged(&template, Timestamp::now());
    if template.status.as_ref() != Some(&new) {
        let namespace = template.namespace().unwrap_or_default();
        let api: Api<RecordTemplate> = Api::namespaced(context.client.clone(), &namespace);
        let written = status::write(&api, &template.name_any(), &new).await;
        written.map_err(|error| PassError {
            key: key(&template),
            source: error.into(),
        })?;
        let old = template
            .status
            .as_ref()
            .map(|old| old.conditions.as_slice())
            .unwrap_or_default();
        events::tell(&context.recorder, &template.object_ref(&()), old, &new.conditions).await;
    }
    context.pace.reset(&key(&template));
    Ok(Action::await_change())
}

/// After a pass that couldn't report.
pub fn on_error(template: Arc<RecordTemplate>, error: &PassError, context: Arc<Context>) -> Action {
    tracing::warn!(error = error as &dyn std::error::Error, "pass failed");
    Action::requeue(context.pace.longer(&key(&template)))
}

/// The verdict. Pure.
fn judged(template: &RecordTemplate, now: Timestamp) -> RecordTemplateStatus {
    let source = &template.spec.source;
    let compiled = Template::compile(source);
    let verdict = match &compiled {
        Ok(found) => {
            let message = format!(
                "template `{}` revision {} can be used by networks",
                found.name, found.revision
            );
            condition(kind::VALID, true, reason::AS_WANTED, message)
        }
        // The error says line and path itself.
        Err(error) => condition(kind::VALID, false, reason::INVALID, error.to_string()),
    };
    let old = template
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let generation = template.metadata.generation;
    RecordTemplateStatus {
        observed_generation: generation,
        name: compiled.as_ref().ok().map(|found| found.name.clone()),
        revision: compiled.as_ref().ok().map(|found| found.revision),
        digest: Some(hex::encode(Sha256::digest(source))),
        conditions: merge(old, vec![verdict], generation, now),
    }
}

/// The templates at hand in a namespace: those that are shipped, and the valid ones there. A shipped one can't be
/// replaced.
pub fn at_hand(shipped: &Catalog, there: &[Arc<RecordTemplate>]) -> Catalog {
    let found = there.iter().filter_map(|template| {
        let status = template
            .status
            .as_ref()
            .filter(|status| is_true(&status.conditions, kind::VALID))?;
        // The verdict is about another text as long as the digest is another.
        let digest = hex::encode(Sha256::digest(&template.spec.source));
        let template = GenesisTemplate {
            name: status.name.clone()?,
            revision: status.revision?,
            source: template.spec.source.clone(),
        };
        (status.digest.as_deref() == Some(&digest) && shipped.find(&template.name, None).is_none()).then_some(template)
    });
    shipped.with(found.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use muniment_crds::RecordTemplateSpec;

    fn template(source: &str) -> RecordTemplate {
        RecordTemplate::new(
            "own",
            RecordTemplateSpec {
                source: source.to_owned(),
            },
        )
    }

    fn shipped() -> Catalog {
        let source = muniment_ledger::templates::NOTARIZATION.to_owned();
        Catalog::new(vec![GenesisTemplate {
            name: "notarization".into(),
            revision: 1,
            source,
        }])
    }

    #[test]
    fn a_bad_template_says_where() {
        let source = muniment_ledger::templates::NOTARIZATION.replacen("revision: 1", "revision: one", 1);
        let status = judged(&template(&source), Timestamp::UNIX_EPOCH);
        assert_eq!(status.conditions[0].status, "False");
        assert!(status.conditions[0].message.contains("line"), "{:?}", status.conditions);
        assert_eq!(status.name, None);
    }

    #[test]
    fn a_valid_one_is_at_hand_and_never_in_place_of_a_shipped_one() {
        let renamed = muniment_ledger::templates::NOTARIZATION.replacen("notarization", "deeds", 1);
        let mut own = template(&renamed);
        assert!(
            at_hand(&shipped(), &[Arc::new(own.clone())])
                .find("deeds", None)
                .is_none(),
            "not judged yet"
        );
        own.status = Some(judged(&own, Timestamp::UNIX_EPOCH));
        let catalog = at_hand(&shipped(), &[Arc::new(own.clone())]);
        assert_eq!(catalog.find("deeds", None).unwrap().source, renamed);
        let mut edited = own.clone();
        edited.spec.source.push_str("\n# other");
        assert!(
            at_hand(&shipped(), &[Arc::new(edited)]).find("deeds", None).is_none(),
            "judged as it was before"
        );
        let mut same = template(muniment_ledger::templates::NOTARIZATION);
        same.spec.source.push_str("\n# mine\n");
        same.status = Some(judged(&same, Timestamp::UNIX_EPOCH));
        let catalog = at_hand(&shipped(), &[Arc::new(same)]);
        assert!(!catalog.find("notarization", None).unwrap().source.contains("mine"));
    }
}
