//! The SQL store: people's keys, sealed signing keys, the outbox and the projections of the ledger.
//!
//! Owns every query of the product; nobody else names sea-orm. All writes go through the one [`Writer`], which commits
//! what has gathered in one immediate transaction. Rows of a tenant are reached only with the tenant's name, which
//! [`crate::ctx::Ctx`] gives.

pub mod entity;
mod migration;
pub mod query;
pub mod writer;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
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
        let fail = |source| StoreError::Open {
            url: url.to_owned(),
            source,
        };
        let writing = Database::connect(options(url, 1)).await.map_err(fail)?;
        migration::Migrator::up(&writing, None).await.map_err(fail)?;
        let reader = Database::connect(options(url, 2)).await.map_err(fail)?;
        let writer = Writer::start(writing);
        Ok(Self { reader, writer })
    }
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
