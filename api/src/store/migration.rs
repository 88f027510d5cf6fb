//! Schema history. A published migration is never edited; a new one is added.

use sea_orm_migration::prelude::*;

/// All migrations in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(First), Box::new(Health), Box::new(Parties), Box::new(Invoices)]
    }
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &str {
        "m20261122_000001_first"
    }
}

/// The outbox's rows leave in the order they came, so a plain rowid table stays compact. `digests` is clustered by its
/// key (`WITHOUT ROWID`): one B-tree instead of two for the busiest table.
const TABLES: &[&str] = &[
    "CREATE TABLE api_keys (id TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, prefix TEXT NOT \
     NULL, hash BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER) STRICT",
    "CREATE INDEX api_keys_tenant ON api_keys (tenant, id)",
    "CREATE TABLE signing_keys (tenant TEXT NOT NULL, purpose TEXT NOT NULL, version INTEGER NOT NULL, provider TEXT \
     NOT NULL, public TEXT NOT NULL, nonce BLOB NOT NULL, sealed BLOB NOT NULL, created_at INTEGER NOT NULL, PRIMARY \
     KEY (tenant, purpose, version)) STRICT",
    "CREATE TABLE outbox (seq INTEGER NOT NULL PRIMARY KEY, network BLOB NOT NULL, tx BLOB NOT NULL, body BLOB NOT \
     NULL, ours INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT",
    "CREATE TABLE operations (network BLOB NOT NULL, tx BLOB NOT NULL, rejected TEXT, failed TEXT, replaced_by BLOB, \
     created_at INTEGER NOT NULL, PRIMARY KEY (network, tx)) STRICT, WITHOUT ROWID",
    "CREATE TABLE idempotency (tenant TEXT NOT NULL, network BLOB NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, \
     operation TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (tenant, network, key)) STRICT, WITHOUT ROWID",
    "CREATE INDEX idempotency_age ON idempotency (created_at)",
    "CREATE TABLE followed (id INTEGER NOT NULL PRIMARY KEY, network BLOB NOT NULL UNIQUE, height INTEGER NOT NULL, \
     size INTEGER NOT NULL, frontier BLOB NOT NULL) STRICT",
    "CREATE TABLE digests (network INTEGER NOT NULL, digest BLOB NOT NULL, record BLOB NOT NULL, PRIMARY KEY (network, \
     digest, record)) STRICT, WITHOUT ROWID",
];

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.get_connection().execute_unprepared(table).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// A row that is written to find out whether rows can be.
struct Health;

impl MigrationName for Health {
    fn name(&self) -> &str {
        "m20261124_000002_health"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Health {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = [
            "CREATE TABLE health (id INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT",
            "CREATE INDEX operations_age ON operations (created_at)",
        ];
        for table in tables {
            manager.get_connection().execute_unprepared(table).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Parties, and API keys that act for one.
struct Parties;

impl MigrationName for Parties {
    fn name(&self) -> &str {
        "m20261128_000003_parties"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Parties {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "CREATE TABLE parties (tenant TEXT NOT NULL, name TEXT NOT NULL, signer TEXT NOT NULL, created_at INTEGER \
             NOT NULL, PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID",
            "CREATE UNIQUE INDEX parties_signer ON parties (tenant, signer)",
            "ALTER TABLE api_keys ADD COLUMN party TEXT",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Documents and projection of invoices. Everything is followed anew, so that the projection has what was there before.
struct Invoices;

impl MigrationName for Invoices {
    fn name(&self) -> &str {
        "m20261128_000004_invoices"
    }
}

const INVOICES: &[&str] = &[
    "CREATE TABLE documents (network BLOB NOT NULL, issuer TEXT NOT NULL, content BLOB NOT NULL, key BLOB NOT NULL, body \
     BLOB NOT NULL, kept INTEGER NOT NULL, erased_at INTEGER, created_at INTEGER NOT NULL, PRIMARY KEY (network, issuer, \
     content)) STRICT",
    "CREATE INDEX documents_unkept ON documents (created_at) WHERE kept = 0",
    "CREATE TABLE invoices (network INTEGER NOT NULL, record BLOB NOT NULL, issuer TEXT NOT NULL, supplier TEXT NOT NULL, \
     recipient TEXT NOT NULL, buyer TEXT, payee TEXT NOT NULL, series TEXT NOT NULL, number TEXT NOT NULL, kind TEXT NOT \
     NULL, issue_date TEXT NOT NULL, due_date TEXT, currency TEXT NOT NULL, gross INTEGER NOT NULL, open INTEGER NOT NULL, \
     credits BLOB, content BLOB NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL, approval TEXT NOT NULL, \
     settlement TEXT NOT NULL, encumbrance TEXT NOT NULL, reimbursement TEXT NOT NULL, authority TEXT NOT NULL, PRIMARY \
     KEY (network, record)) STRICT, WITHOUT ROWID",
    "CREATE INDEX invoices_number ON invoices (network, number)",
    "CREATE INDEX invoices_date ON invoices (network, issue_date, record)",
    "CREATE INDEX invoices_series ON invoices (network, issuer, series)",
    "CREATE INDEX invoices_supplier ON invoices (network, supplier)",
    "CREATE INDEX invoices_recipient ON invoices (network, recipient)",
    "CREATE INDEX invoices_credits ON invoices (network, credits) WHERE credits IS NOT NULL",
    "UPDATE followed SET height = 0, size = 0, frontier = x''",
];

#[async_trait::async_trait]
impl MigrationTrait for Invoices {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in INVOICES {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
