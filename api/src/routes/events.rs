//! What happens to a network's description and what is seen of it, as server-sent events.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Path};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

use crate::ctx::{Manager, With};
use crate::problem::ApiError;
use crate::resources::{Resource, Resources, Target};
use crate::types::Problem;

/// A line now and then, so that nobody in between takes the silence for an end.
const BEAT: Duration = Duration::from_secs(15);
/// Then the client comes again, as such clients do: a key that was revoked meanwhile is not let in.
const LIFE: Duration = Duration::from_secs(600);

/// The network now, and again whenever something of it changes: events `network` with the resource as JSON, and `gone` when
/// it is deleted. Ends after ten minutes; ask again.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/networks/{network}/events", tag = "resources",
    operation_id = "watchNetwork", security(("apiKey" = [])),
    params(("tenant" = String, Path), ("network" = String, Path)),
    responses((status = 200, description = "events", body = String, content_type = "text/event-stream"),
        (status = 404, description = "no such network", body = Problem)))]
pub async fn watch(With(manager, path): With<Path<(String, String)>, Manager>) -> Result<HttpResponse, ApiError> {
    let target = Target::Network(manager.tenant().to_owned(), path.1.clone());
    let resources = manager.shared_resources()?;
    if resources.get(&target).await.is_none() {
        return Err(ApiError::not_found());
    }
    let feed = Feed {
        changes: resources.changes(),
        resources,
        target,
        last: None,
        end: Instant::now() + LIFE,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .streaming(futures::stream::unfold(Some(feed), next)))
}

struct Feed {
    resources: Arc<dyn Resources>,
    target: Target,
    changes: watch::Receiver<u64>,
    last: Option<Resource>,
    end: Instant,
}

async fn next(feed: Option<Feed>) -> Option<(Result<Bytes, Infallible>, Option<Feed>)> {
    let mut feed = feed?;
    loop {
        if Instant::now() >= feed.end {
            return None;
        }
        // Marked as seen before it is looked at: what changes meanwhile leads to another look.
        feed.changes.borrow_and_update();
        let now = feed.resources.get(&feed.target).await;
        let Some(now) = now else {
            return Some((Ok(Bytes::from_static(b"event: gone\ndata: {}\n\n")), None));
        };
        if feed.last.as_ref() != Some(&now) {
            let text = format!("event: network\ndata: {}\n\n", serde_json::json!(now));
            feed.last = Some(now);
            return Some((Ok(Bytes::from(text)), Some(feed)));
        }
        tokio::select! {
            changed = feed.changes.changed() => changed.ok()?,
            () = tokio::time::sleep(BEAT) => return Some((Ok(Bytes::from_static(b": still here\n\n")), Some(feed))),
        }
    }
}
