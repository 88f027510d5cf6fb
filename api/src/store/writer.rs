//! The one writer: gathers what waits and commits it together, so that many requests share one disk sync.
//!
//! Owns the write transaction. An acknowledgement is sent only after the commit is on disk.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::entity::{api_key, digest, followed, idempotency, operation, outbox, signing_key};

/// Most commands in one transaction; bounds how long a commit can take.
const GROUP: usize = 4_096;
/// Rows of one statement.
const ROWS: usize = 500;

/// One change. All changes of one command are in one transaction.
pub enum Write {
    /// Accepts a transaction.
    Accept(outbox::Model),
    /// Remembers an exception of an operation.
    Operation(operation::Model),
    /// Remembers an idempotency key; an earlier one stays.
    Idempotency(idempotency::Model),
    /// Drops outbox rows, given as inclusive ranges of `seq`.
    Done(Vec<(i64, i64)>),
    /// Projects blocks of a network up to a height; `id` 0 gives the network its number.
    Advance(followed::Model),
    /// Digests of new records.
    Digests(Vec<digest::Model>),
    /// A new signing key; fails when the version exists.
    SigningKey(signing_key::Model),
    /// A new API key.
    ApiKey(api_key::Model),
    /// Revokes an API key of a tenant.
    Revoke {
        /// Tenant.
        tenant: String,
        /// Key id.
        id: String,
        /// When.
        at: i64,
    },
    /// Forgets idempotency keys older than this.
    Forget(i64),
}

struct Command {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), String>>,
}

/// Handle to the writer task; clones share it. The task ends when the last handle is gone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Command>,
}

impl Writer {
    pub(super) fn start(connection: DatabaseConnection) -> Self {
        let (queue, commands) = mpsc::channel(GROUP * 2);
        tokio::spawn(run(connection, commands));
        Self { queue }
    }

    /// Writes, and returns when it is on disk.
    ///
    /// # Errors
    /// When the transaction failed; then nothing of it was written.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let ended = || StoreError::Write("the writer has ended".to_owned());
        self.queue.send(Command { writes, done }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?.map_err(StoreError::Write)
    }
}

async fn run(connection: DatabaseConnection, mut commands: mpsc::Receiver<Command>) {
    let mut group = Vec::new();
    while commands.recv_many(&mut group, GROUP).await > 0 {
        let all: Vec<&Write> = group.iter().flat_map(|command| &command.writes).collect();
        match commit(&connection, &all).await {
            Ok(()) => group.drain(..).for_each(|command| drop(command.done.send(Ok(())))),
            // One bad command must not fail the others: each tries again by itself.
            Err(error) if group.len() > 1 => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a group of writes failed, trying one by one"
                );
                for command in group.drain(..) {
                    let writes: Vec<&Write> = command.writes.iter().collect();
                    let result = commit(&connection, &writes).await.map_err(|error| error.to_string());
                    drop(command.done.send(result));
                }
            }
            Err(error) => group
                .drain(..)
                .for_each(|command| drop(command.done.send(Err(error.to_string())))),
        }
    }
    drop(connection.close().await);
}

async fn commit(connection: &DatabaseConnection, writes: &[&Write]) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    let mut accepted = Vec::new();
    for write in writes {
        match write {
            Write::Accept(row) => accepted.push(row),
            other => apply(&transaction, other).await?,
        }
    }
    for rows in accepted.chunks(ROWS) {
        // A row that is there already is the same one.
        outbox::Entity::insert_many(rows.iter().map(|row| (*row).clone().into_active_model()))
            .on_conflict(OnConflict::column(outbox::Column::Seq).do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await?;
    }
    transaction.commit().await
}

async fn apply(on: &DatabaseTransaction, write: &Write) -> Result<(), DbErr> {
    match write {
        Write::Accept(_) => {}
        Write::Operation(row) => operation(on, row).await?,
        Write::Idempotency(row) => {
            let conflict = OnConflict::new().do_nothing().to_owned();
            idempotency::Entity::insert(row.clone().into_active_model())
                .on_conflict(conflict)
                .exec_without_returning(on)
                .await?;
        }
        Write::Done(ranges) => {
            for (first, last) in ranges {
                outbox::Entity::delete_many()
                    .filter(outbox::Column::Seq.between(*first, *last))
                    .exec(on)
                    .await?;
            }
        }
        Write::Advance(row) => {
            let mut conflict = OnConflict::column(followed::Column::Network);
            conflict.update_columns([
                followed::Column::Height,
                followed::Column::Size,
                followed::Column::Frontier,
            ]);
            let mut model = row.clone().into_active_model();
            if row.id == 0 {
                model.id = NotSet;
            }
            followed::Entity::insert(model)
                .on_conflict(conflict)
                .exec_without_returning(on)
                .await?;
        }
        Write::Digests(rows) => digests(on, rows).await?,
        Write::SigningKey(row) => {
            signing_key::Entity::insert(row.clone().into_active_model())
                .exec_without_returning(on)
                .await?;
        }
        Write::ApiKey(row) => {
            api_key::Entity::insert(row.clone().into_active_model())
                .exec_without_returning(on)
                .await?;
        }
        Write::Revoke { tenant, id, at } => {
            api_key::Entity::update_many()
                .col_expr(api_key::Column::RevokedAt, Expr::value(*at))
                .filter(api_key::Column::Tenant.eq(tenant.as_str()))
                .filter(api_key::Column::Id.eq(id.as_str()))
                .filter(api_key::Column::RevokedAt.is_null())
                .exec(on)
                .await?;
        }
        Write::Forget(before) => {
            idempotency::Entity::delete_many()
                .filter(idempotency::Column::CreatedAt.lt(*before))
                .exec(on)
                .await?;
        }
    }
    Ok(())
}

/// Fields that are absent leave what is there.
async fn operation(on: &impl ConnectionTrait, row: &operation::Model) -> Result<(), DbErr> {
    let mut set = Vec::new();
    let mut model = operation::ActiveModel {
        network: Set(row.network.clone()),
        tx: Set(row.tx.clone()),
        created_at: Set(row.created_at),
        ..Default::default()
    };
    if row.rejected.is_some() {
        model.rejected = Set(row.rejected.clone());
        set.push(operation::Column::Rejected);
    }
    if row.failed.is_some() {
        model.failed = Set(row.failed.clone());
        set.push(operation::Column::Failed);
    }
    if row.replaced_by.is_some() {
        model.replaced_by = Set(row.replaced_by.clone());
        set.push(operation::Column::ReplacedBy);
    }
    let mut conflict = OnConflict::columns([operation::Column::Network, operation::Column::Tx]);
    conflict.update_columns(set);
    operation::Entity::insert(model)
        .on_conflict(conflict)
        .exec_without_returning(on)
        .await?;
    Ok(())
}

async fn digests(on: &impl ConnectionTrait, rows: &[digest::Model]) -> Result<(), DbErr> {
    for rows in rows.chunks(ROWS) {
        let conflict = OnConflict::new().do_nothing().to_owned();
        digest::Entity::insert_many(rows.iter().map(|row| row.clone().into_active_model()))
            .on_conflict(conflict)
            .exec_without_returning(on)
            .await?;
    }
    Ok(())
}
