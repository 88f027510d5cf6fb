//! How each of the two databases is connected to.
//!
//! SQLite: one process, one file. PostgreSQL: one server alone writes, held by an advisory lock on the session of the
//! writer's one connection. So the lock and the right to write end together, and the state that a server keeps in memory
//! is never that of two.

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, sqlx};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Key of the advisory lock: `muniment` in ASCII.
const WRITER: i64 = 0x6d75_6e69_6d65_6e74;

/// Most memory for pages of an SQLite file, as its pragma wants it: in KiB, negative. What the writer has changed and has
/// no room for is written before the commit, and again by it: a batch of invoices is several megabytes.
const WRITER_CACHE: &str = "-64000";
const READER_CACHE: &str = "-2000";

/// Whether a URL is PostgreSQL's.
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// A URL without what must not be seen.
pub fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) if is_postgres(url) => format!("{scheme}://…@{place}"),
        _ => url.to_owned(),
    }
}

/// Options of a connection that reads.
pub fn reader(url: &str) -> ConnectOptions {
    let mut options = common(url, READER_CACHE);
    options.max_connections(if is_postgres(url) { 8 } else { 2 });
    options
}

/// Options of the one connection that writes. `ended` is raised when it is lost: with PostgreSQL there is no second one,
/// because another server may have written meanwhile, and what this one remembers may be old.
pub fn writer(url: &str, ended: watch::Sender<bool>) -> ConnectOptions {
    let mut options = common(url, WRITER_CACHE);
    options.max_connections(1);
    let (first, ended) = (Arc::new(AtomicBool::new(true)), Arc::new(ended));
    // SQLite takes a transaction back by itself when the disk is full, of which the driver knows nothing: it would go on inside
    // of one that never ends, and what is acknowledged then would not be on disk.
    options.map_sqlx_sqlite_pool_opts(|pool| {
        let pool = pool.idle_timeout(None).max_lifetime(None);
        pool.after_release(|connection, _| {
            Box::pin(async move {
                // What takes the last transaction back waits in the connection's queue.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
    });
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let (first, ended) = (first.clone(), ended.clone());
        pool.idle_timeout(None).max_lifetime(None).after_connect(move |_, _| {
            let allowed = first.swap(false, Ordering::AcqRel);
            if !allowed {
                ended.send_replace(true);
            }
            Box::pin(async move {
                let refused = || sqlx::Error::Protocol("the session that may write has ended".to_owned());
                allowed.then_some(()).ok_or_else(refused)
            })
        })
    });
    options
}

/// How PostgreSQL finds out that the writer's machine has lost its power: after half a minute, instead of the two hours
/// that Linux takes, in which nobody else could take over.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// Takes the right to write, for as long as the session lasts. False: another server has it.
pub async fn claim(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return Ok(true);
    }
    connection.execute_unprepared(KEEPALIVE).await?;
    let lock = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_try_advisory_lock($1)", [WRITER.into()]);
    let row = connection.query_one_raw(lock).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}

/// Reads all of an SQLite file once: a second or so for each gigabyte, and no silent start on a damaged one. PostgreSQL
/// watches over its own pages.
pub async fn check(connection: &DatabaseConnection) -> Result<String, DbErr> {
    if connection.get_database_backend() != DbBackend::Sqlite {
        return Ok("ok".to_owned());
    }
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)"))
        .await?;
    row.map_or_else(|| Ok("no answer".to_owned()), |row| row.try_get_by_index(0))
}

fn common(url: &str, cache: &'static str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .connect_timeout(Duration::from_secs(5))
        .acquire_timeout(Duration::from_secs(10))
        .sqlx_logging(false)
        .test_before_acquire(false)
        // The writer's connection must not be closed under it, and an idle server shall not wake up to check.
        .map_sqlx_sqlite_pool_opts(|pool| pool.idle_timeout(None).max_lifetime(None))
        // The busy timeout is set when the handle opens, before WAL is asked for: the other order fails under load.
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(true)
                .busy_timeout(Duration::from_secs(5))
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                // Pages of the outbox and of indexes are written again and again: the fewer times each of them reaches the
                // database file the better.
                .pragma("wal_autocheckpoint", "8000")
                // Else a large statement wants a file in /tmp, which a container with a read-only root doesn't have.
                .pragma("temp_store", "MEMORY")
                .pragma("cache_size", cache)
                .statement_cache_capacity(64)
        });
    options
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sea_orm::{DatabaseTransaction, TransactionTrait};

    #[tokio::test]
    async fn sqlite_wants_no_file_for_what_is_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let connection = sea_orm::Database::connect(reader(&url)).await.unwrap();
        let asked = Statement::from_string(DbBackend::Sqlite, "PRAGMA temp_store");
        let row = connection.query_one_raw(asked).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i32>(0).unwrap(), 2, "2 is MEMORY");
    }

    #[tokio::test]
    async fn what_is_written_after_the_disk_was_full_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db?mode=rwc", folder.path().display());
        let connection = sea_orm::Database::connect(writer(&url, watch::channel(false).0))
            .await
            .unwrap();
        let run = async |on: &DatabaseTransaction, sql: &str| on.execute_unprepared(sql).await;
        connection
            .execute_unprepared("CREATE TABLE a (b BLOB); PRAGMA max_page_count = 20")
            .await
            .unwrap();
        let full = connection.begin().await.unwrap();
        let failed = run(&full, "INSERT INTO a VALUES (zeroblob(40000000))").await;
        assert!(failed.is_err_and(|error| error.to_string().contains("full")));
        drop(full);
        // One that somebody takes back, as a refused command does.
        let taken_back = connection.begin().await.unwrap();
        run(&taken_back, "INSERT INTO a VALUES (x'01')").await.unwrap();
        drop(taken_back);
        let good = connection.begin().await.unwrap();
        run(&good, "INSERT INTO a VALUES (x'02')").await.unwrap();
        good.commit().await.unwrap();
        let other = sea_orm::Database::connect(reader(&url)).await.unwrap();
        let asked = Statement::from_string(DbBackend::Sqlite, "SELECT COUNT(*) FROM a");
        let row = other.query_one_raw(asked).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 1);
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(
            shown("postgres://me:p@ss@db:5432/muniment"),
            "postgres://…@db:5432/muniment"
        );
        assert_eq!(shown("sqlite:///data/muniment.db"), "sqlite:///data/muniment.db");
    }
}
