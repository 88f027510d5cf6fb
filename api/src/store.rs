//! The SQL store: people's keys, sealed signing keys, the outbox and the projections of the ledger.
//!
//! Owns every query of the product; nobody else names sea-orm. All writes go through the one [`Writer`], which commits
//! what has gathered in one immediate transaction. Rows of a tenant are reached only with the tenant's name, which
//! [`crate::ctx::Ctx`] gives.

mod documents;
pub mod entity;
pub mod invoices;
mod migration;
pub mod query;
pub mod writer;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use sea_orm_migration::MigratorTrait;
use std::time::Duration;

pub use writer::{Write, Writer};

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Opening or migrating.
    #[error("the database {url} can't be opened")]
    Open {
        /// Database URL.
        url: String,
        /// Cause.
        #[source]
        source: DbErr,
    },
    /// It is there and not whole.
    #[error(
        "the database {url} is damaged ({what}). Stop the server and put back a backup of muniment.db, or mend a copy \
         with `sqlite3 muniment.db .recover`. Records and receipts are on the ledger; API keys, sealed signing keys and \
         what was accepted and isn't final are only in this file"
    )]
    Damaged {
        /// Database URL.
        url: String,
        /// What SQLite says.
        what: String,
    },
    /// A query.
    #[error("the database can't answer: {what}")]
    Query {
        /// What was asked.
        what: &'static str,
        /// Cause.
        #[source]
        source: DbErr,
    },
    /// The writer has ended, or its transaction failed.
    #[error("the database can't be written: {0}")]
    Write(String),
}

/// The database: one writer connection and a few readers.
#[derive(Clone)]
pub struct Store {
    pub(crate) reader: DatabaseConnection,
    /// Where all writes go.
    pub writer: Writer,
}

impl Store {
    /// Opens, migrates and starts the writer. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the file can't be opened or the schema can't be brought up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let fail = |source: DbErr| {
            let (url, what) = (url.to_owned(), source.to_string());
            // SQLite's words for its codes 11 and 26.
            if what.contains("malformed") || what.contains("not a database") {
                StoreError::Damaged { url, what }
            } else {
                StoreError::Open { url, source }
            }
        };
        let writing = Database::connect(options(url, 1)).await.map_err(fail)?;
        let found = check(&writing).await.map_err(fail)?;
        if found != "ok" {
            let url = url.to_owned();
            return Err(StoreError::Damaged { url, what: found });
        }
        migration::Migrator::up(&writing, None).await.map_err(fail)?;
        let reader = Database::connect(options(url, 2)).await.map_err(fail)?;
        let writer = Writer::start(writing);
        Ok(Self { reader, writer })
    }
}

/// Reads the whole file once: a second or so for each gigabyte, and no silent start on a damaged one.
async fn check(connection: &DatabaseConnection) -> Result<String, DbErr> {
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)"))
        .await?;
    row.map_or_else(|| Ok("no answer".to_owned()), |row| row.try_get_by_index(0))
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(10))
        .sqlx_logging(false)
        .test_before_acquire(false)
        // The writer's connection must not be closed under it, and an idle server shall not wake up to check.
        .map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None))
        // The busy timeout is set when the handle opens, before WAL is asked for: the other order fails under load.
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .create_if_missing(true)
                .busy_timeout(Duration::from_secs(5))
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                // Pages of the outbox are written again and again; most never need to reach the database file.
                .pragma("wal_autocheckpoint", "4000")
                .statement_cache_capacity(64)
        });
    options
}
