//! The one writer: gathers what waits and commits it together, so that many requests share one disk sync.
//!
//! Owns the write transaction. An acknowledgement is sent only after the commit is on disk.

use std::time::Duration;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::StoreError;
use super::documents::{self, DocumentKey};
use super::entity::{
    api_key, description, digest, document, followed, idempotency, invoice, operation, outbox, party, signing_key,
    tenant_identity,
};
use super::insert::add;

/// Most commands in one transaction; bounds how long a commit can take.
const GROUP: usize = 4_096;
/// Rows of one statement.
const ROWS: usize = 500;
/// After so much time without work the memory for it is given back.
const QUIET: Duration = Duration::from_secs(5);

/// One change. All changes of one command are in one transaction.
pub enum Write {
    /// Accepts a transaction.
    Accept(outbox::Model),
    /// Remembers an exception of an operation.
    Operation(operation::Model),
    /// Remembers an idempotency key. When it has made another operation, nothing of the command is written.
    Idempotency(idempotency::Model),
    /// Drops outbox rows, given as inclusive ranges of `seq`.
    Done(Vec<(i64, i64)>),
    /// Projects blocks of a network up to a height; `id` 0 gives the network its number.
    Advance(followed::Model),
    /// Digests of new records.
    Digests(Vec<digest::Model>),
    /// A new signing key; fails when the version exists.
    SigningKey(signing_key::Model),
    /// Documents of invoices; none takes another's place, and what was erased stays so.
    Documents(Vec<document::Model>),
    /// Documents that an invoice on the ledger has.
    Keep {
        /// Network id.
        network: [u8; 32],
        /// Which.
        documents: Vec<DocumentKey>,
    },
    /// Destroys a document and its key.
    Erase {
        /// Network id.
        network: [u8; 32],
        /// Issuer.
        issuer: String,
        /// SHA-256 of the original.
        content: Vec<u8>,
        /// When.
        at: i64,
    },
    /// Invoices as they are now.
    Invoices(Vec<invoice::Model>),
    /// A new party; one of the same name stays.
    Party(party::Model),
    /// A tenant or a network as it is wanted from now on.
    Describe(description::Model),
    /// Forgets the description of a network, or of a tenant when `network` is empty.
    Undescribe {
        /// Tenant.
        tenant: String,
        /// Network.
        network: String,
    },
    /// Revokes all API keys of a tenant and its parties.
    RevokeAll {
        /// Tenant.
        tenant: String,
        /// When.
        at: i64,
    },
    /// Forgets the parties of a tenant. Their signing keys stay.
    ForgetParties {
        /// Tenant.
        tenant: String,
    },
    /// Whom the name of a tenant stands for from now on.
    Identity(tenant_identity::Model),
    /// Drops what waits for a network that is gone.
    Abandon([u8; 32]),
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
    /// Forgets the refusal of a transaction that was in a block all the same.
    Landed {
        /// Network id.
        network: [u8; 32],
        /// Transaction id.
        tx: [u8; 32],
    },
    /// Forgets idempotency keys older than this.
    Forget(i64),
    /// Forgets documents made before this whose invoice didn't come onto the ledger.
    ForgetDocuments(i64),
    /// Forgets what is kept of operations that were made before this and are decided: older than all of the outbox.
    Trim(i64),
    /// Notes the time, so that somebody has written.
    Beat(i64),
}

struct Command {
    writes: Vec<Write>,
    /// Keys revoked or documents erased, or why nothing was written.
    done: oneshot::Sender<Result<u64, Refused>>,
    /// The writer ends after it and what is queued before; answered when the database is closed.
    is_last: bool,
}

/// Why a command wasn't written.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The idempotency key has made another operation.
    #[error("an idempotency key has made another operation")]
    KeyUsed,
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Database(error) => Self::Write(error.to_string()),
            Refused::KeyUsed => Self::KeyUsed,
        }
    }
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
        self.write_counted(writes).await.map(drop)
    }

    /// As [`Self::write`]; answers how many API keys were revoked, or documents erased.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_counted(&self, writes: Vec<Write>) -> Result<u64, StoreError> {
        self.order(writes, false).await
    }

    /// Ends the writer when all is written that was asked for before, and closes its connection.
    pub(super) async fn close(&self) {
        // One that has ended is closed.
        let _ = self.order(Vec::new(), true).await;
    }

    async fn order(&self, writes: Vec<Write>, is_last: bool) -> Result<u64, StoreError> {
        let (done, answer) = oneshot::channel();
        let ended = || StoreError::Write("the writer has ended".to_owned());
        let command = Command { writes, done, is_last };
        self.queue.send(command).await.map_err(|_| ended())?;
        Ok(answer.await.map_err(|_| ended())??)
    }
}

async fn run(connection: DatabaseConnection, mut commands: mpsc::Receiver<Command>) {
    let (mut group, mut closing) = (Vec::new(), None);
    let mut holds = false;
    loop {
        // Nothing is lost of what comes when the time is over.
        let wait = if holds { QUIET } else { Duration::MAX };
        let Ok(taken) = timeout(wait, commands.recv_many(&mut group, GROUP)).await else {
            holds = false;
            release(&connection).await;
            continue;
        };
        if taken == 0 {
            break;
        }
        // The sign of life that a quiet server gives isn't worth it.
        let mut writes = group.iter().flat_map(|command| &command.writes);
        holds |= writes.any(|write| !matches!(write, Write::Beat(_)));
        if let Some(last) = group.iter().position(|command| command.is_last) {
            commands.close();
            closing = Some(group.remove(last));
        }
        if group.is_empty() {
            continue;
        }
        match commit(&connection, &group).await {
            Ok(counts) => {
                for (command, count) in group.drain(..).zip(counts) {
                    drop(command.done.send(Ok(count)));
                }
            }
            // One bad command must not fail the others: each tries again by itself.
            Err(error) if group.len() > 1 => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a group of writes failed, trying one by one"
                );
                for command in group.drain(..) {
                    let result = commit(&connection, std::slice::from_ref(&command)).await;
                    drop(command.done.send(result.map(|counts| counts.iter().sum())));
                }
            }
            // A group of one.
            Err(error) => drop(group.pop().map(|command| command.done.send(Err(error)))),
        }
    }
    if let Err(error) = close(connection).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the database can't be closed");
    }
    drop(closing.map(|command: Command| command.done.send(Ok(0))));
}

/// With SQLite, gives the memory back that a load has taken for pages: a quiet server costs almost nothing.
async fn release(connection: &DatabaseConnection) {
    if connection.get_database_backend() == DbBackend::Sqlite
        && let Err(error) = connection.execute_unprepared("PRAGMA shrink_memory").await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the database keeps its memory"
        );
    }
}

/// With SQLite, everything is brought into its one file first.
async fn close(connection: DatabaseConnection) -> Result<(), DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    }
    connection.close().await
}

/// Answers how many API keys or documents each command revoked or erased.
async fn commit(connection: &DatabaseConnection, commands: &[Command]) -> Result<Vec<u64>, Refused> {
    let options = TransactionOptions {
        sqlite_transaction_mode: (connection.get_database_backend() == DbBackend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    let mut accepted = Vec::new();
    let mut counts = Vec::with_capacity(commands.len());
    for command in commands {
        let mut count = 0;
        for write in &command.writes {
            match write {
                Write::Accept(row) => accepted.push(row),
                other => count += apply(&transaction, other).await?,
            }
        }
        counts.push(count);
    }
    for rows in accepted.chunks(ROWS) {
        // A row that is there already is the same one.
        let known = OnConflict::column(outbox::Column::Seq).do_nothing().to_owned();
        add(&transaction, rows.iter().map(|row| (*row).clone()), &known).await?;
    }
    transaction.commit().await?;
    Ok(counts)
}

async fn apply(on: &DatabaseTransaction, write: &Write) -> Result<u64, Refused> {
    match write {
        Write::Accept(_) => {}
        Write::Operation(row) => operation(on, row).await?,
        Write::Idempotency(row) => idempotency(on, row).await?,
        Write::Done(ranges) => done(on, ranges).await?,
        Write::Advance(row) => advance(on, row).await?,
        Write::Documents(rows) => documents::insert(on, rows).await?,
        Write::Keep { network, documents } => documents::keep(on, network, documents).await?,
        Write::Erase {
            network,
            issuer,
            content,
            at,
        } => return Ok(documents::erase(on, network, issuer, content, *at).await?),
        Write::Invoices(rows) => documents::project(on, rows).await?,
        Write::Digests(rows) => digests(on, rows).await?,
        Write::SigningKey(row) => {
            signing_key::Entity::insert(row.clone().into_active_model())
                .exec_without_returning(on)
                .await?;
        }
        Write::Party(row) => {
            party::Entity::insert(row.clone().into_active_model())
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(on)
                .await?;
        }
        Write::Describe(row) => describe(on, row).await?,
        Write::Undescribe { tenant, network } => {
            description::Entity::delete_by_id((tenant.clone(), network.clone()))
                .exec(on)
                .await?;
        }
        Write::RevokeAll { tenant, at } => {
            api_key::Entity::update_many()
                .col_expr(api_key::Column::RevokedAt, Expr::value(*at))
                .filter(api_key::Column::Tenant.eq(tenant.as_str()))
                .filter(api_key::Column::RevokedAt.is_null())
                .exec(on)
                .await?;
        }
        Write::ForgetParties { tenant } => {
            party::Entity::delete_many()
                .filter(party::Column::Tenant.eq(tenant.as_str()))
                .exec(on)
                .await?;
        }
        Write::Identity(row) => identify(on, row).await?,
        Write::Abandon(network) => {
            outbox::Entity::delete_many()
                .filter(outbox::Column::Network.eq(network.as_slice()))
                .exec(on)
                .await?;
            documents::abandon(on, network).await?;
        }
        Write::ApiKey(row) => {
            api_key::Entity::insert(row.clone().into_active_model())
                .exec_without_returning(on)
                .await?;
        }
        Write::Revoke { tenant, id, at } => {
            let revoked = api_key::Entity::update_many()
                .col_expr(api_key::Column::RevokedAt, Expr::value(*at))
                .filter(api_key::Column::Tenant.eq(tenant.as_str()))
                .filter(api_key::Column::Id.eq(id.as_str()))
                .filter(api_key::Column::RevokedAt.is_null())
                .exec(on)
                .await?;
            return Ok(revoked.rows_affected);
        }
        Write::Landed { network, tx } => {
            operation::Entity::update_many()
                .col_expr(operation::Column::Failed, Expr::value(Option::<String>::None))
                .filter(operation::Column::Network.eq(network.as_slice()))
                .filter(operation::Column::Tx.eq(tx.as_slice()))
                .exec(on)
                .await?;
        }
        Write::Forget(before) => {
            idempotency::Entity::delete_many()
                .filter(idempotency::Column::CreatedAt.lt(*before))
                .exec(on)
                .await?;
        }
        Write::ForgetDocuments(before) => documents::forget(on, *before).await?,
        Write::Trim(before) => {
            let sql = "DELETE FROM operations WHERE created_at < $1 AND created_at < (SELECT COALESCE(MIN(created_at), \
                       $1) FROM outbox)";
            raw(on, sql, *before).await?;
        }
        Write::Beat(at) => {
            let sql = "INSERT INTO health (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = $1";
            raw(on, sql, *at).await?;
        }
    }
    Ok(0)
}

async fn done(on: &impl ConnectionTrait, ranges: &[(i64, i64)]) -> Result<(), DbErr> {
    for (first, last) in ranges {
        outbox::Entity::delete_many()
            .filter(outbox::Column::Seq.between(*first, *last))
            .exec(on)
            .await?;
    }
    Ok(())
}

async fn advance(on: &impl ConnectionTrait, row: &followed::Model) -> Result<(), DbErr> {
    let mut conflict = OnConflict::column(followed::Column::Network);
    conflict.update_columns([
        followed::Column::Height,
        followed::Column::Size,
        followed::Column::Frontier,
        followed::Column::Time,
    ]);
    let mut model = row.clone().into_active_model();
    if row.id == 0 {
        model.id = NotSet;
    }
    followed::Entity::insert(model)
        .on_conflict(conflict)
        .exec_without_returning(on)
        .await?;
    Ok(())
}

async fn describe(on: &impl ConnectionTrait, row: &description::Model) -> Result<(), DbErr> {
    let mut conflict = OnConflict::columns([description::Column::Tenant, description::Column::Network]);
    conflict.update_columns([
        description::Column::Generation,
        description::Column::DeletedAt,
        description::Column::Spec,
    ]);
    description::Entity::insert(row.clone().into_active_model())
        .on_conflict(conflict)
        .exec_without_returning(on)
        .await?;
    Ok(())
}

async fn identify(on: &impl ConnectionTrait, row: &tenant_identity::Model) -> Result<(), DbErr> {
    let mut conflict = OnConflict::column(tenant_identity::Column::Tenant);
    conflict.update_columns([tenant_identity::Column::Identity, tenant_identity::Column::Since]);
    tenant_identity::Entity::insert(row.clone().into_active_model())
        .on_conflict(conflict)
        .exec_without_returning(on)
        .await?;
    Ok(())
}

/// A statement that both databases read alike, with one number.
pub(super) async fn raw(on: &DatabaseTransaction, sql: &str, value: i64) -> Result<(), DbErr> {
    let backend = on.get_database_backend();
    on.execute_raw(Statement::from_sql_and_values(backend, sql, [value.into()]))
        .await?;
    Ok(())
}

/// The same key for the same operation is written again when it isn't known whether the first time succeeded.
async fn idempotency(on: &impl ConnectionTrait, row: &idempotency::Model) -> Result<(), Refused> {
    let conflict = OnConflict::new().do_nothing().to_owned();
    let added = idempotency::Entity::insert(row.clone().into_active_model())
        .on_conflict(conflict)
        .exec_without_returning(on)
        .await?;
    if added > 0 {
        return Ok(());
    }
    let id = (
        row.tenant.clone(),
        row.party.clone(),
        row.network.clone(),
        row.key.clone(),
    );
    let known = idempotency::Entity::find_by_id(id).one(on).await?;
    match known {
        Some(known) if known.operation == row.operation => Ok(()),
        _ => Err(Refused::KeyUsed),
    }
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

async fn digests(on: &DatabaseTransaction, rows: &[digest::Model]) -> Result<(), DbErr> {
    let known = OnConflict::new().do_nothing().to_owned();
    for rows in rows.chunks(ROWS) {
        add(on, rows.iter().cloned(), &known).await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn accepts(seq: i64, operation: &str) -> Vec<Write> {
        let row = outbox::Model {
            seq,
            network: vec![1; 32],
            tx: vec![2; 32],
            body: vec![3],
            ours: true,
            created_at: 1,
        };
        let key = idempotency::Model {
            tenant: "acme".to_owned(),
            party: String::new(),
            network: vec![1; 32],
            key: "order-17".to_owned(),
            body: vec![4; 32],
            operation: operation.to_owned(),
            created_at: 1,
        };
        vec![Write::Accept(row), Write::Idempotency(key)]
    }

    #[tokio::test]
    async fn a_key_that_made_something_else_accepts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("x.db").display());
        let store = Store::open(&url).await.unwrap();
        let rows = async || {
            let rows = store.outbox(&[1; 32]).await.unwrap();
            rows.into_iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        store.writer.write(accepts(1, "op_1")).await.unwrap();
        // In one group with one that is good, and alone.
        let (good, bad) = tokio::join!(
            store.writer.write(vec![Write::Beat(1)]),
            store.writer.write(accepts(2, "op_2"))
        );
        assert!(good.is_ok() && matches!(bad, Err(StoreError::KeyUsed)), "{bad:?}");
        let bad = store.writer.write(accepts(3, "op_3")).await;
        assert!(matches!(bad, Err(StoreError::KeyUsed)), "{bad:?}");
        assert_eq!(rows().await, [1]);
        // Once more the same, as after a commit without an answer.
        store.writer.write(accepts(1, "op_1")).await.unwrap();
        assert_eq!(rows().await, [1]);
    }
}
