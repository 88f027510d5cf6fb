//! The endless stream of final blocks.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use tokio::sync::watch;

use crate::node::problem::Failure;
use crate::node::shared::Shared;
use crate::wire::{KEEP_ALIVE, codec};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    from: u64,
}

pub async fn follow(shared: web::Data<Shared>, query: web::Query<From>) -> Result<HttpResponse, Failure> {
    if query.from == 0 {
        return Err(Failure::query("`from` is a height; the first block has height 1"));
    }
    let last = shared.replica.watch_final();
    let follower = Follower {
        shared: shared.into_inner(),
        last,
        next: query.from,
    };
    let frames = stream::unfold(follower, |mut follower| async move {
        let frame = follower.frame().await?;
        Some((frame, follower))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .streaming(frames))
}

struct Follower {
    shared: Arc<Shared>,
    last: watch::Receiver<u64>,
    next: u64,
}

impl Follower {
    /// The next frame; `None` ends the stream.
    async fn frame(&mut self) -> Option<Result<Bytes, Failure>> {
        if *self.last.borrow_and_update() >= self.next {
            return Some(self.block().await);
        }
        tokio::select! {
            changed = self.last.wait_for(|last| *last >= self.next) => if changed.is_err() { return None },
            () = tokio::time::sleep(KEEP_ALIVE) => return Some(Ok(Bytes::from_static(&codec::ALIVE_FRAME))),
            () = self.shared.stopping() => return None,
        }
        Some(self.block().await)
    }

    async fn block(&mut self) -> Result<Bytes, Failure> {
        let height = self.next;
        let frame = self
            .shared
            .read(move |replica| Ok(replica.final_block(height)?.map(|block| codec::frame(&block))));
        let Some(frame) = frame.await? else {
            return Err(Failure::internal("a final block is missing in the store"));
        };
        self.next += 1;
        frame.map_err(|error| Failure::internal(&error.to_string()))
    }
}
