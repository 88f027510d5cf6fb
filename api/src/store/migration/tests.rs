//! An older database is brought up with what is in it.

use super::*;
use crate::store::Store;
use crate::store::entity::{document, waiting};
use crate::store::invoices::Search;
use sea_orm::{ConnectionTrait, Database, EntityTrait};

/// A database of before `InOrder` is brought up: its documents stay, its invoices are read from the ledger again.
#[tokio::test]
async fn documents_of_an_older_database_are_brought_along() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("x.db").display());
    let old = Database::connect(&url).await.unwrap();
    Migrator::up(&old, Some(9)).await.unwrap();
    let invoice = |record: &str, number: &str| {
        format!(
            "INSERT INTO invoices VALUES (1, x'{record}', 'issuer', 'DE1', 'recipient', NULL, 'payee', 'S', '{number}', \
             '380', '2026-11-29', NULL, 'EUR', 100, 50, NULL, x'cc', 3, 'Issued', 'None', 'Open', 'Free', 'Unclaimed', \
             'NotDue', ' bank ')"
        )
    };
    let followed = "INSERT INTO followed (id, network, height, size, frontier) VALUES (1, zeroblob(32), 7, 9, x'')";
    let document = |content: &str, kept: bool| {
        format!(
            "INSERT INTO documents VALUES (zeroblob(32), 'issuer', x'{content}', x'01', {kept}, NULL, 77, x'02', x'03')"
        )
    };
    for statement in [
        &invoice(&"bb".repeat(32), "1"),
        &invoice(&"aa".repeat(32), "2"),
        followed,
        &document(&"cc".repeat(32), true),
        &document(&"dd".repeat(32), false),
    ] {
        old.execute_unprepared(statement).await.unwrap();
    }
    old.close().await.unwrap();
    let store = Store::open(&url).await.unwrap();
    let found = store.invoices(1, &Search::default(), 9).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    let followed = store.followed(&[0; 32]).await.unwrap().unwrap();
    assert_eq!(
        (followed.id, followed.height, followed.size, followed.time),
        (1, 0, 0, 0)
    );
    // Both documents are there, and the one whose invoice isn't known to be on the ledger waits since it came.
    let documents = document::Entity::find().all(&store.reader).await.unwrap();
    assert_eq!(documents.len(), 2);
    let waiting = waiting::Entity::find().all(&store.reader).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|row| (row.content[0], row.created_at)).collect();
    assert_eq!(waiting, [(0xdd, 77)]);
}
