//! Events: what `kubectl describe` tells about changes of conditions.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use muniment_crds::condition::{Condition, kind};

use crate::backend::cluster::names::FIELD_MANAGER;

/// Longest note of an event, by the API.
const NOTE: usize = 1000;

/// Who reports.
pub fn recorder(client: Client, identity: &str) -> Recorder {
    let reporter = Reporter {
        controller: FIELD_MANAGER.to_owned(),
        instance: Some(identity.to_owned()),
    };
    Recorder::new(client, reporter)
}

/// Conditions that say something else than before, or of certificates that they are others.
fn changed<'a>(old: &'a [Condition], new: &'a [Condition]) -> impl Iterator<Item = &'a Condition> {
    new.iter().filter(|condition| {
        let before = old.iter().find(|o| o.type_ == condition.type_);
        before.is_none_or(|before| {
            // Its message changes only when a certificate was renewed, which is news.
            let renewed = condition.type_ == kind::CERTIFICATES_READY && before.message != condition.message;
            before.status != condition.status || before.reason != condition.reason || renewed
        })
    })
}

/// Whether a condition is good news.
fn is_well(condition: &Condition) -> bool {
    let good_when_false = [kind::DEGRADED, kind::PROGRESSING, kind::HIBERNATED].contains(&condition.type_.as_str());
    good_when_false || condition.status == "True"
}

/// Tells what changed. An event that can't be written is lost: the condition says the same.
pub async fn tell(recorder: &Recorder, about: &ObjectReference, old: &[Condition], new: &[Condition]) {
    for condition in changed(old, new) {
        // What is under way is shown by the condition; as events it would be noise.
        if condition.type_ == kind::PROGRESSING {
            continue;
        }
        let warning = !is_well(condition) || (condition.type_ == kind::DEGRADED && condition.status == "True");
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        publish(
            recorder,
            about,
            type_,
            &condition.reason,
            &condition.type_,
            &condition.message,
        )
        .await;
    }
}

/// Tells of something that has no condition.
pub async fn warn(recorder: &Recorder, about: &ObjectReference, reason: &str, note: &str) {
    publish(recorder, about, EventType::Warning, reason, reason, note).await;
}

async fn publish(
    recorder: &Recorder,
    about: &ObjectReference,
    type_: EventType,
    reason: &str,
    action: &str,
    note: &str,
) {
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note.chars().take(NOTE).collect()),
        action: action.to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, about).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "an event can't be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muniment_crds::condition::{condition, reason};

    #[test]
    fn only_what_changed_is_told() {
        let ready = |status, reason, message: &str| condition(kind::READY, status, reason, message);
        let old = [ready(true, reason::QUORUM_READY, "4 of 4")];
        assert_eq!(changed(&old, &[ready(true, reason::QUORUM_READY, "3 of 4")]).count(), 0);
        let lost = [ready(false, reason::QUORUM_LOST, "2 of 4")];
        assert_eq!(changed(&old, &lost).count(), 1);
        assert_eq!(changed(&[], &old).count(), 1);
    }
}
