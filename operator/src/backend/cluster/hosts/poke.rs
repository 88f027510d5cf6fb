//! Tells a host that its Secrets changed.
//!
//! A kubelet brings mounted Secrets up to date when it looks at the pod, once a minute or when the pod changes. So an
//! annotation of the pod is changed after its Secret was. Should the kubelet have looked before the Secret's change
//! reached it, the annotation is changed again, after pauses that double: a host that never takes over costs little.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use muniment_crds::jiff::Timestamp;
use serde_json::json;

use crate::backend::BackendError;
use crate::backend::cluster::access::Access;

/// Annotation of a host's pod: how often it was told again, and when, in milliseconds.
const SEATS: &str = "muniment.dev/seats";
/// First pause.
const PAUSE: i64 = 2_000;
/// Doublings at most.
const MOST: u32 = 8;

/// Tells a host that something was written.
pub async fn tell(access: &Access, pod: &Pod) -> Result<(), BackendError> {
    write(access, pod, 0, Timestamp::now().as_millisecond()).await
}

/// Tells a host again, if it is time.
pub async fn tell_again(access: &Access, pod: &Pod) -> Result<(), BackendError> {
    let now = Timestamp::now().as_millisecond();
    match due(pod.annotations().get(SEATS).map(String::as_str), now) {
        Some(count) => write(access, pod, count, now).await,
        None => Ok(()),
    }
}

async fn write(access: &Access, pod: &Pod, count: u32, now: i64) -> Result<(), BackendError> {
    let change = json!({ "metadata": { "annotations": { SEATS: format!("{count}@{now}") } } });
    let namespace = pod.namespace().unwrap_or_default();
    access.merge::<Pod>(&namespace, &pod.name_any(), &change).await
}

fn parse(told: &str) -> Option<(u32, i64)> {
    let (count, at) = told.split_once('@')?;
    Some((count.parse().ok()?, at.parse().ok()?))
}

/// The count to write, if the last time was long enough ago.
fn due(last: Option<&str>, now: i64) -> Option<u32> {
    let Some((count, at)) = last.and_then(parse) else {
        return Some(0);
    };
    (now.saturating_sub(at) >= PAUSE << count.min(MOST)).then(|| count.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double() {
        assert_eq!(due(None, 5), Some(0));
        assert_eq!(due(Some("0@1000"), 2_999), None);
        assert_eq!(due(Some("0@1000"), 3_000), Some(1));
        assert_eq!(due(Some("3@0"), 15_999), None);
        assert_eq!(due(Some("3@0"), 16_000), Some(4));
        assert_eq!(due(Some("99@0"), 512_000), Some(100));
        assert_eq!(due(Some("by hand"), 0), Some(0));
    }
}
