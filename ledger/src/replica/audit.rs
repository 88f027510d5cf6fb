//! What goes on beside the running replica: the slow check of what the start did not read, and rest when it is quiet.
//!
//! Owns its pace and what becomes of damage: old blocks can't be made anew, so the process must end; log hashes can.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::local::LocalReplica;
use super::{Replica, rehash};
use crate::store::{HashCheck, LogCheck, StoreError};

/// Read at once, and the pause after it: about 40 MB and 200,000 leaves a second, a few percent of one core.
const BYTES: u64 = 4 * 1024 * 1024;
const LEAVES: u64 = 20_000;
const HEIGHTS: u64 = 8;
const PAUSE: Duration = Duration::from_millis(100);

/// Time without a block after which a replica rests.
const QUIET: Duration = Duration::from_secs(5);

/// Checks old blocks, then the hashes of the log; gives memory back whenever the network is quiet. Ends only with damage
/// that can't be mended.
pub async fn audit(replica: Arc<LocalReplica>) -> StoreError {
    let checked = async {
        blocks(replica.store.unread()).await?;
        hashes(&replica).await
    };
    let checked = async {
        match checked.await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    };
    tokio::select! {
        error = checked => error,
        error = rest(&replica) => error,
    }
}

/// Rests once after every time in which blocks came.
async fn rest(replica: &Arc<LocalReplica>) -> StoreError {
    let (mut seen, mut rested) = (replica.tip().height, 0);
    loop {
        tokio::time::sleep(QUIET).await;
        let height = replica.tip().height;
        if height == seen && height != rested {
            let replica = Arc::clone(replica);
            if let Err(error) = piece(move || replica.store.rest()).await {
                return error;
            }
            rested = height;
        }
        seen = height;
    }
}

/// Runs a piece of work off the event loop. It can only be lost when the process ends.
async fn piece<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => std::future::pending().await,
    }
}

async fn blocks(mut check: LogCheck) -> Result<(), StoreError> {
    loop {
        let more;
        (check, more) = piece(move || {
            let more = check.step(BYTES)?;
            Ok((check, more))
        })
        .await?;
        if !more {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hashes(replica: &Arc<LocalReplica>) -> Result<(), StoreError> {
    if sound(replica).await? {
        return Ok(());
    }
    tracing::warn!("the file of log hashes is damaged: making it anew from the block log");
    let tip = replica.tip().height;
    let mut next = 1;
    while next <= tip {
        let last = tip.min(next + HEIGHTS - 1);
        let replica = Arc::clone(replica);
        piece(move || rehash::rewrite(&replica.store, &replica.store.view(), next..=last)).await?;
        next = last + 1;
        tokio::time::sleep(PAUSE / 10).await;
    }
    if sound(replica).await? {
        tracing::info!("the file of log hashes is whole again");
        return Ok(());
    }
    Err(StoreError::Inconsistent(
        "the block log does not lead to the log root".to_owned(),
    ))
}

/// Whether the hashes up to the tip follow from each other and lead to the log's root.
async fn sound(replica: &Arc<LocalReplica>) -> Result<bool, StoreError> {
    let tip = replica.tip();
    let mut check = HashCheck::new(tip.log_size);
    loop {
        let replica = Arc::clone(replica);
        let stepped;
        (check, stepped) = piece(move || {
            let stepped = check.step(replica.store.hashes(), LEAVES);
            Ok((check, stepped))
        })
        .await?;
        match stepped {
            Ok(true) => tokio::time::sleep(PAUSE).await,
            Ok(false) => return Ok(check.root() == Some(tip.log_root)),
            Err(StoreError::Corrupt { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
