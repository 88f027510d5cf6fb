//! The one way from a request to the ledger: idempotency, signature, outbox, answer. Notarizations, invoices and
//! records of any template are surfaces over it.

use actix_web::{HttpRequest, HttpResponse};
use muniment_ledger::execute::governance;
use muniment_ledger::transaction::{MAX_BATCH, TransactionId};
use muniment_receipts::statement::Item;
use std::time::Duration;

use super::operations;
use super::respond::{self, Refused, Shape};
use crate::ctx::Ctx;
use crate::idempotency::{self, Held, Use};
use crate::keys::random;
use crate::networks::Network;
use crate::networks::intake::Ticket;
use crate::operation_id::OperationId;
use crate::problem::{ApiError, Code};
use crate::sign::{self, Kind, Signed, StatementSigner};
use crate::store::Write;
use crate::types::ItemOutcome;

/// Wait of who has to know the end.
const LONG: Duration = Duration::from_secs(30);

/// A request that may put something on the ledger.
pub struct Submission<'a> {
    ctx: &'a Ctx,
    network: &'a Network,
    wait: Duration,
    held: Option<Held>,
}

/// What an idempotency key makes of a request.
pub enum Begun<'a> {
    /// It goes on.
    New(Submission<'a>),
    /// It was made before; this is its answer.
    Again(HttpResponse),
}

impl<'a> Submission<'a> {
    /// Looks at the request's idempotency key.
    ///
    /// # Errors
    /// Those of [`idempotency::look`], and 503 when the first answer can't be found again.
    pub async fn begin(
        ctx: &'a Ctx,
        network: &'a Network,
        request: &HttpRequest,
        body: &[u8],
        shape: Shape,
    ) -> Result<Begun<'a>, ApiError> {
        let held = match idempotency::look(ctx, request, network, body).await? {
            Use::Again(operation) => {
                let answer = operations::replay(network, operation, shape, request).await?;
                return Ok(Begun::Again(answer));
            }
            Use::First(held) => Some(held),
            Use::None => None,
        };
        Ok(Begun::New(Self {
            ctx,
            network,
            wait: respond::prefer_wait(request),
            held,
        }))
    }

    /// The same, waiting for finality whatever the caller prefers: what comes next depends on it.
    pub fn waiting(self) -> Self {
        Self {
            wait: self.wait.max(LONG),
            ..self
        }
    }

    /// One action. `more` is written in the database transaction that accepts it.
    ///
    /// # Errors
    /// When it can't be signed or accepted, or the ledger refuses it while it is waited for.
    pub async fn single(self, kind: &Kind, item: Item, more: Vec<Write>) -> Result<HttpResponse, ApiError> {
        self.may(kind)?;
        let signed = self.signer().single(kind, item).await?;
        self.accept(signed, Shape::Single, Refused::default(), more).await
    }

    /// One action with something beside its statement.
    ///
    /// # Errors
    /// As [`Self::single`].
    pub async fn attached(self, kind: &Kind, item: Item, attachment: Vec<u8>) -> Result<HttpResponse, ApiError> {
        self.may(kind)?;
        let signed = self.signer().attached(kind, item, attachment).await?;
        self.accept(signed, Shape::Single, Refused::default(), Vec::new()).await
    }

    /// Several actions of one kind, each judged by itself: those that are refused here keep their places.
    ///
    /// # Errors
    /// When the batch is empty or too large, or can't be signed or accepted.
    pub async fn batch(
        self,
        kind: &Kind,
        items: Vec<Result<Item, ApiError>>,
        more: Vec<Write>,
    ) -> Result<HttpResponse, ApiError> {
        self.may(kind)?;
        let (good, refused) = part(items);
        if good.is_empty() {
            return self.nothing(refused).await;
        }
        let signed = self.signer().batch(kind, good).await?;
        self.accept(signed, Shape::Batch, refused, more).await
    }

    /// Answers a batch of which nothing can go to the ledger.
    ///
    /// # Errors
    /// 500 when it can't be written.
    pub async fn nothing(self, refused: Refused) -> Result<HttpResponse, ApiError> {
        let operation = OperationId {
            created_at: crate::time::now_ms(),
            transaction: TransactionId(random().map_err(ApiError::internal)?),
        };
        let mut rows: Vec<Write> = self.held.iter().map(|held| held.row(operation)).collect();
        rows.extend(kept(&refused)?.map(|text| self.network.refused_row(operation, text)));
        self.network.store_rows(rows).await.map_err(ApiError::unwritten)?;
        respond::batch(operation, refused.merge([]))
    }

    async fn accept(
        self,
        signed: Signed,
        shape: Shape,
        refused: Refused,
        mut rows: Vec<Write>,
    ) -> Result<HttpResponse, ApiError> {
        let text = kept(&refused)?;
        let more = |id: OperationId| {
            rows.extend(text.map(|text| self.network.refused_row(id, text)));
            rows
        };
        let durable = self.wait.is_zero();
        let ticket = self.network.accept(signed, true, durable, self.held, more).await?;
        conclude(self.network, ticket, shape, self.wait, refused).await
    }

    /// A party may approve what others propose. To change the network is the tenant's own matter: where one member
    /// decides, a party's key would do it alone.
    fn may(&self, kind: &Kind) -> Result<(), ApiError> {
        if kind.template == governance::TEMPLATE && kind.action != governance::APPROVE {
            self.ctx.tenant_itself()?;
        }
        Ok(())
    }

    fn signer(&self) -> StatementSigner<'_> {
        let shared = self.ctx.state().networks.shared();
        StatementSigner {
            keys: &*shared.keys,
            owner: self.ctx.owner(),
            network: self.network.entry.id,
            validity: shared.validity,
        }
    }
}

/// What is kept of the items that were refused here, if any were.
fn kept(refused: &Refused) -> Result<Option<String>, ApiError> {
    let some = (!refused.items.is_empty()).then(|| serde_json::to_string(refused));
    some.transpose().map_err(ApiError::internal)
}

/// Whether a batch has a size that is taken.
///
/// # Errors
/// `empty_batch` or `batch_too_large`.
pub fn check_size(items: usize) -> Result<(), ApiError> {
    match items {
        0 => Err(ApiError::new(Code::EMPTY_BATCH, "a batch holds 1 to 1000 items").at("/items")),
        1..=MAX_BATCH => Ok(()),
        _ => Err(sign::batch_too_large(items)),
    }
}

/// Outcomes of items of which none is good.
pub fn refusals<T>(items: Vec<Result<T, ApiError>>) -> Refused {
    let refused = |(index, item): (usize, Result<T, ApiError>)| Some((index, respond::refusal(&item.err()?)));
    Refused {
        total: items.len(),
        items: items.into_iter().enumerate().filter_map(refused).collect(),
    }
}

/// Bytes of the good items, outcomes of the others at their places.
fn part(items: Vec<Result<Item, ApiError>>) -> (Vec<Vec<u8>>, Refused) {
    let mut good = Vec::with_capacity(items.len());
    let mut refused = Refused {
        total: items.len(),
        items: Vec::new(),
    };
    for (index, item) in items.into_iter().enumerate() {
        match item.and_then(|item| sign::item(&item)) {
            Ok(bytes) => good.push(bytes),
            Err(error) => refused.items.push((index, respond::refusal(&error))),
        }
    }
    (good, refused)
}

/// Waits as long as wanted and answers.
///
/// # Errors
/// The refusal of a single action; 500 when it can't be made durable.
pub async fn conclude(
    network: &Network,
    ticket: Ticket,
    shape: Shape,
    wait: Duration,
    refused: Refused,
) -> Result<HttpResponse, ApiError> {
    let operation = ticket.operation;
    if wait.is_zero() {
        return Ok(respond::accepted(operation));
    }
    let Some(decided) = ticket.wait(wait).await else {
        network.store(&operation.transaction).await?;
        return Ok(respond::accepted(operation));
    };
    let items = network.outcomes(&operation.transaction, &decided);
    answer(network, operation, shape, refused.merge(items))
}

/// The answer to decided work.
///
/// # Errors
/// The refusal of a single action.
pub fn answer(
    network: &Network,
    operation: OperationId,
    shape: Shape,
    items: impl IntoIterator<Item = ItemOutcome>,
) -> Result<HttpResponse, ApiError> {
    match shape {
        Shape::Batch => respond::batch(operation, items.into_iter()),
        Shape::Single => {
            let outcome = items
                .into_iter()
                .next()
                .ok_or_else(|| ApiError::internal("a decided transaction has no outcome"))?;
            respond::single(outcome, |record| respond::record_path(network, record))
        }
    }
}
