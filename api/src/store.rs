//! The SQL store: people's keys, sealed signing keys, the outbox and the projections of the ledger.
//!
//! Owns every query of the product; nobody else names sea-orm. All writes go through the one [`Writer`], which commits
//! what has gathered in one immediate transaction. Rows of a tenant are reached only with the tenant's name, which
//! [`crate::ctx::Ctx`] gives.

mod connect;
pub mod documents;
pub mod entity;
mod insert;
pub mod invoices;
mod migration;
pub mod query;
pub mod writer;

use sea_orm::{Database, DatabaseConnection, DbErr};
use sea_orm_migration::MigratorTrait;
use tokio::sync::watch;

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
        "the database {url} is damaged ({what}); stop the server and put back a backup of muniment.db, or mend a copy \
         with `sqlite3 muniment.db .recover`. Records and receipts are on the ledger; API keys, sealed signing keys and \
         what was accepted and isn't final are only in this file"
    )]
    Damaged {
        /// Database URL.
        url: String,
        /// What SQLite says.
        what: String,
    },
    /// A newer version of this software has changed its tables.
    #[error(
        "the database {url} was written by a newer version of muniment (it has {migration}); start that version, or put \
         back a backup from before"
    )]
    Newer {
        /// Database URL.
        url: String,
        /// The first change that isn't known here.
        migration: String,
    },
    /// Another server has it.
    #[error("another server writes to the database {url}; this one stands by for it")]
    Taken {
        /// Database URL.
        url: String,
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
    /// An idempotency key is taken by another operation; nothing was written.
    #[error("an idempotency key has made another operation")]
    KeyUsed,
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
    ended: watch::Receiver<bool>,
}

impl Store {
    /// Opens, migrates and starts the writer. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it can't be opened, the schema is newer or can't be brought up to date, or another server writes to it.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let fail = |source: DbErr| {
            let (url, what) = (connect::shown(url), source.to_string());
            // SQLite's words for its codes 11 and 26.
            if what.contains("malformed") || what.contains("not a database") {
                StoreError::Damaged { url, what }
            } else {
                StoreError::Open { url, source }
            }
        };
        let (end, ended) = watch::channel(false);
        let writing = Database::connect(connect::writer(url, end)).await.map_err(fail)?;
        if !connect::claim(&writing).await.map_err(fail)? {
            return Err(StoreError::Taken {
                url: connect::shown(url),
            });
        }
        let found = connect::check(&writing).await.map_err(fail)?;
        if found != "ok" {
            return Err(StoreError::Damaged {
                url: connect::shown(url),
                what: found,
            });
        }
        if let Some(migration) = migration::unknown(&writing).await.map_err(fail)? {
            return Err(StoreError::Newer {
                url: connect::shown(url),
                migration,
            });
        }
        migration::Migrator::up(&writing, None).await.map_err(fail)?;
        let reader = Database::connect(connect::reader(url)).await.map_err(fail)?;
        let writer = Writer::start(writing);
        Ok(Self { reader, writer, ended })
    }

    /// Closes the database when all is written that was asked for; what is asked later is refused. With SQLite, all is in
    /// its one file then, which can be copied by itself; without, what came last is in the file of the log beside it.
    pub async fn close(&self) {
        self.writer.close().await;
        if let Err(error) = self.reader.close_by_ref().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the database can't be closed");
        }
    }

    /// Resolves when this server may not write any more: its session with PostgreSQL has ended. Never with SQLite.
    pub async fn ended(&self) {
        if self.ended.clone().wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
