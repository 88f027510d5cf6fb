//! The database: damaged, full of keys, or holding what can't be read.

use super::support::{NETWORK, World, answer, config, deposit, postgres};
use muniment_api::{Api, MemoryDirectory};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement, TransactionTrait as _};
use serde_json::json;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::time::Duration;

async fn database(world: &World) -> DatabaseConnection {
    Database::connect(super::support::database(&world.folder))
        .await
        .unwrap()
}

/// SQL in the words of the database that is tested on.
fn either(sqlite: &str, on_postgres: &str) -> String {
    if postgres().is_some() { on_postgres } else { sqlite }.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_named_and_not_used() {
    if postgres().is_some() {
        eprintln!("skipped: PostgreSQL watches over its own files");
        return;
    }
    let mut world = World::start().await;
    for number in 0..50 {
        world.notarize(number).await;
    }
    world.api.take().unwrap().stop().await;
    let database = database(&world).await;
    database
        .execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)")
        .await
        .unwrap();
    database.close().await.unwrap();
    let path = world.folder.path().join("muniment.db");
    let length = std::fs::metadata(&path).unwrap().len();
    for (from, to) in [(4_096, length), (0, 100)] {
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(from)).unwrap();
        file.write_all(&vec![0xa5; usize::try_from(to - from).unwrap()])
            .unwrap();
        drop(file);
        let started = Api::start(config(&world.folder), Arc::new(MemoryDirectory::default())).await;
        let error = started.err().expect("it must not start");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("is damaged") && source.contains("backup"), "{source}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_named_and_not_changed() {
    let mut world = World::start().await;
    world.api.take().unwrap().stop().await;
    let database = database(&world).await;
    let newer = "m29990101_000001_future";
    let row = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{newer}', 0)");
    database.execute_unprepared(&row).await.unwrap();
    let started = Api::start(config(&world.folder), Arc::new(MemoryDirectory::default())).await;
    let error = started.err().expect("it must not start");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("newer version") && source.contains(newer), "{source}");
    let gone = format!("DELETE FROM seaql_migrations WHERE version = '{newer}'");
    database.execute_unprepared(&gone).await.unwrap();
    world.start_api().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_cannot_be_read_is_told() {
    let mut world = World::start().await;
    let (_, made) = world.notarize(1).await;
    world.api.take().unwrap().stop().await;
    let database = database(&world).await;
    let network = hex::encode(world.replica.trust_root().network());
    let row = either(
        &format!("INSERT INTO outbox VALUES (999, x'{network}', x'00', x'ffff', 0, 0)"),
        &format!(r"INSERT INTO outbox VALUES (999, '\x{network}', '\x00', '\xffff', false, 0)"),
    );
    database.execute_unprepared(&row).await.unwrap();
    world.start_api().await;
    let operation = format!("/v1/operations/op_{:012x}{}", 1, made["id"].as_str().unwrap());
    for path in [
        NETWORK.to_owned(),
        format!("{NETWORK}/records"),
        operation,
        "/readyz".to_owned(),
    ] {
        let (status, problem) = answer(world.get(&path).send().await.unwrap()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("store_damaged")),
            "{path}: {problem}"
        );
    }
    let (status, _) = answer(world.get("/v1/tenants/acme/networks/other").send().await.unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // Mended, it is attached without a restart.
    database.execute_unprepared("DELETE FROM outbox").await.unwrap();
    database.close().await.unwrap();
    world
        .until("the network is attached", async || {
            world.get("/readyz").send().await.unwrap().status() == StatusCode::OK
        })
        .await;
    assert_eq!(world.get(NETWORK).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_writes_a_row() {
    let world = World::start().await;
    assert_eq!(world.get("/readyz").send().await.unwrap().status(), StatusCode::OK);
    let database = database(&world).await;
    // As on a full disk: rows are read, none can be written.
    database
        .execute_unprepared(&either(
            "CREATE TRIGGER full BEFORE UPDATE ON health BEGIN SELECT RAISE(ABORT, 'disk full'); END",
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$; \
             CREATE TRIGGER no BEFORE UPDATE ON health FOR EACH ROW EXECUTE FUNCTION no()",
        ))
        .await
        .unwrap();
    world
        .until("it says that it can't write", async || {
            let (status, problem) = answer(world.get("/readyz").send().await.unwrap()).await;
            status == StatusCode::SERVICE_UNAVAILABLE && problem["code"] == "unavailable"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_listed_and_can_be_revoked() {
    let world = World::start().await;
    let database = database(&world).await;
    database
        .execute_unprepared(&either(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) INSERT INTO api_keys (id, \
             tenant, name, prefix, hash, created_at) SELECT printf('key_z%05d', i), 'acme', 'n', 'mnk_', randomblob(32), 1 FROM n",
            "INSERT INTO api_keys (id, tenant, name, prefix, hash, created_at) SELECT 'key_z' || lpad(i::text, 5, '0'), \
             'acme', 'n', 'mnk_', sha256(i::text::bytea), 1 FROM generate_series(1, 1100) AS i",
        ))
        .await
        .unwrap();
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tenants/acme/api-keys?limit=200{after}");
        let (status, page) = answer(world.get(&path).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let keys = page["keys"].as_array().unwrap();
        ids.extend(keys.iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 1_101);
    let last = format!("/v1/tenants/acme/api-keys/{}", ids.last().unwrap());
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let response = world.request(Method::DELETE, &last).send().await.unwrap();
        assert_eq!(response.status(), status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_need_postgres_and_one_of_them_works() {
    let mut world = World::start().await;
    let mut second = config(&world.folder);
    second.replicas = 2;
    let start = |config| Api::start(config, Arc::new(MemoryDirectory::default()));
    let error = start(second.clone()).await.err().expect("it must not start");
    if postgres().is_none() {
        assert!(error.to_string().contains("use PostgreSQL"), "{error}");
        return;
    }
    assert!(error.stands_by(), "{error}");
    // It takes over when the first ends, and not before.
    world.notarize(1).await;
    let taking = tokio::spawn(Api::start_or_stand_by(second, Arc::new(MemoryDirectory::default())));
    world.notarize(2).await;
    assert!(!taking.is_finished());
    world.api.take().unwrap().stop().await;
    taking.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_of_a_replaced_transaction_is_dropped() {
    let mut world = World::start().await;
    world.notarize(1).await;
    world.api.take().unwrap().stop().await;
    let database = database(&world).await;
    let network = hex::encode(world.replica.trust_root().network());
    // It can't even be read: whoever took it up again would say so.
    for (sqlite, on_postgres) in [
        (
            format!("INSERT INTO outbox VALUES (999, x'{network}', x'00', x'ffff', 1, 0)"),
            format!(r"INSERT INTO outbox VALUES (999, '\x{network}', '\x00', '\xffff', true, 0)"),
        ),
        (
            format!("INSERT INTO operations VALUES (x'{network}', x'00', NULL, NULL, x'01', 0)"),
            format!(r"INSERT INTO operations VALUES ('\x{network}', '\x00', NULL, NULL, '\x01', 0)"),
        ),
    ] {
        database
            .execute_unprepared(&either(&sqlite, &on_postgres))
            .await
            .unwrap();
    }
    world.start_api().await;
    let (status, made) = world.notarize(2).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let count = "SELECT COUNT(*) FROM outbox WHERE seq = 999";
    let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), count));
    let left: i64 = row.await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_given_up_while_it_was_written_keeps_its_key() {
    if postgres().is_some() {
        eprintln!("skipped: writes are held up by SQLite's lock");
        return;
    }
    let world = World::start().await;
    let send = || {
        let request = world.post(&format!("{NETWORK}/notarizations"), &deposit(1));
        request.header("idempotency-key", "order-17")
    };
    let database = database(&world).await;
    let lock = database.begin().await.unwrap();
    lock.execute_unprepared("INSERT INTO health (id, at) VALUES (2, 0)")
        .await
        .unwrap();
    // Whoever has the key is given up while the lock holds up its write.
    world
        .until("the key is held", async || {
            match send().timeout(Duration::from_millis(300)).send().await {
                Ok(told) => answer(told).await.1["code"] == "idempotency_in_flight",
                Err(given_up) => {
                    assert!(given_up.is_timeout(), "{given_up:?}");
                    false
                }
            }
        })
        .await;
    for _ in 0..5 {
        let (status, problem) = answer(send().send().await.unwrap()).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::CONFLICT, &json!("idempotency_in_flight")),
            "{problem}"
        );
    }
    lock.rollback().await.unwrap();
    world
        .until("what was given up is answered", async || {
            let (status, made) = answer(send().send().await.unwrap()).await;
            assert!(
                status == StatusCode::CREATED || status == StatusCode::CONFLICT,
                "{made}"
            );
            status == StatusCode::CREATED
        })
        .await;
    let (_, page) = answer(world.get(&format!("{NETWORK}/records")).send().await.unwrap()).await;
    assert_eq!(page["records"].as_array().unwrap().len(), 1, "{page}");
}
