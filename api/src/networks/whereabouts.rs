//! Where a transaction is that isn't pending here, or that may have been final before it was: all validators are asked,
//! and what they say counts when so many say it that one of them is honest.

use futures::StreamExt;
use muniment_ledger::transaction::TransactionId;
use muniment_ledger::wire::TransactionStatus;
use std::sync::Arc;
use std::time::Duration;

use super::block::ResolvedBlock;
use super::lookup::unavailable;
use super::runtime::Network;
use crate::problem::ApiError;
use crate::types::ItemOutcome;

/// How long those are still waited for who may be faulty, after all others have said where a transaction is.
const LAST: Duration = Duration::from_millis(300);

/// Where a transaction is that isn't pending here.
pub enum Whereabouts {
    /// In a block that is proven to hold it.
    Final(Vec<ItemOutcome>),
    /// Enough validators have it, or know a block with it that wasn't followed yet.
    Pending,
    /// Enough validators that keep up don't know it.
    Unknown,
}

/// What validators say of a transaction. Enough of them are so many that one is honest.
#[derive(Default)]
struct Search {
    /// In a block that was followed and is proven to hold it.
    found: Option<(Arc<ResolvedBlock>, usize)>,
    /// How many have it, or know a later block with it.
    waiting: usize,
    /// How many that keep up don't know it.
    unknown: usize,
    failure: Option<ApiError>,
}

impl Search {
    fn failed(self) -> ApiError {
        let few = || ApiError::undecided("too few validators say where the transaction is; try again");
        self.failure.unwrap_or_else(few)
    }
}

impl Network {
    /// Where a transaction is that isn't pending here. That it is nowhere, or somewhere on its way, is believed only to
    /// so many validators that one of them is honest, and only while they keep up with what was followed here.
    ///
    /// # Errors
    /// 503 when too few validators answer.
    pub async fn whereabouts(&self, id: &TransactionId, wait: Duration) -> Result<Whereabouts, ApiError> {
        let search = self.search(id, wait).await;
        if let Some((block, at)) = &search.found {
            return Ok(Whereabouts::Final(self.in_block(id, block, *at).collect()));
        }
        if search.waiting >= self.enough() {
            return Ok(Whereabouts::Pending);
        }
        if search.unknown >= self.enough() {
            return Ok(Whereabouts::Unknown);
        }
        Err(search.failed())
    }

    /// The block that holds a transaction among those that were followed; `None` when enough validators say that none
    /// does.
    ///
    /// # Errors
    /// 503 when too few validators answer.
    pub(super) async fn landed(&self, id: &TransactionId) -> Result<Option<(Arc<ResolvedBlock>, usize)>, ApiError> {
        let search = self.search(id, Duration::ZERO).await;
        if search.found.is_some() {
            return Ok(search.found);
        }
        // Who has it, or puts it into a later block, has it in none of these.
        if search.waiting + search.unknown >= self.enough() {
            return Ok(None);
        }
        Err(search.failed())
    }

    async fn search(&self, id: &TransactionId, wait: Duration) -> Search {
        let height = self.height();
        let mut answers = self.client().at_least(height).transaction_at_each(id, wait);
        let honest = self.client().names().len().saturating_sub(self.faulty());
        let (mut search, mut tried, mut said, mut end) = (Search::default(), Vec::new(), 0, None);
        loop {
            let answer = match end {
                // Who hangs doesn't hold up what the others have said.
                Some(end) => tokio::time::timeout_at(end, answers.next()).await.unwrap_or_default(),
                None => answers.next().await,
            };
            let Some(answer) = answer else { return search };
            said += usize::from(answer.is_ok());
            match answer {
                // The follower will come by.
                Ok(TransactionStatus::Final { height: at }) if at > height => search.waiting += 1,
                Ok(TransactionStatus::Final { height: at }) if tried.contains(&at) => {}
                Ok(TransactionStatus::Final { height: at }) => {
                    tried.push(at);
                    match self.proven_block(at).await {
                        Ok(block) => match block.position(id) {
                            Some(position) => {
                                search.found = Some((block, position));
                                return search;
                            }
                            None => tracing::error!(
                                height = at,
                                "a validator names a block that doesn't hold the transaction"
                            ),
                        },
                        Err(error) => search.failure = Some(error),
                    }
                }
                Ok(TransactionStatus::Pending) => search.waiting += 1,
                Ok(TransactionStatus::Unknown) => search.unknown += 1,
                Err(error) => search.failure = search.failure.or_else(|| Some(unavailable(error))),
            }
            if said >= honest.max(self.enough()) {
                end.get_or_insert_with(|| tokio::time::Instant::now() + LAST);
            }
        }
    }
}
