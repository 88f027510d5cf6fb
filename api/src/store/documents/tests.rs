use super::*;
use crate::store::entity::{followed, outbox};
use crate::store::{Store, Write};
use sea_orm::{ConnectionTrait, DbBackend};

const NETWORK: [u8; 32] = [1; 32];
const HOUR: i64 = 3_600_000;

struct World {
    store: Store,
    _folder: tempfile::TempDir,
}

/// As if it was sent now: nobody seals twice with one key.
fn sealed(content: u8, variant: u8, created_at: i64) -> document::Model {
    let key = format!("{content} {variant} {created_at}");
    document::Model {
        network: NETWORK.to_vec(),
        issuer: "ed25519:x".to_owned(),
        content: vec![content; 32],
        variant: vec![variant; 32],
        key: key.into_bytes(),
        body: vec![variant; 9],
        erased_at: None,
        created_at,
    }
}

fn key(content: u8, variant: u8) -> DocumentKey {
    DocumentKey {
        issuer: "ed25519:x".to_owned(),
        content: vec![content; 32],
        variant: vec![variant; 32],
    }
}

fn kept(documents: Vec<DocumentKey>) -> Write {
    Write::Keep {
        network: NETWORK,
        documents,
    }
}

fn erased(content: u8) -> Write {
    Write::Erase {
        network: NETWORK,
        issuer: "ed25519:x".to_owned(),
        content: vec![content; 32],
        at: 8,
    }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("x.db").display());
        Self {
            store: Store::open(&url).await.unwrap(),
            _folder: folder,
        }
    }

    async fn write(&self, write: Write) -> u64 {
        self.store.writer.write_counted(vec![write]).await.unwrap()
    }

    async fn found(&self, content: u8, variant: u8) -> Option<document::Model> {
        let (content, variant) = ([content; 32], [variant; 32]);
        let found = self.store.document(&NETWORK, "ed25519:x", &content, &variant);
        found.await.unwrap()
    }

    /// Content, variant and time of those that wait.
    async fn waiting(&self) -> Vec<(u8, u8, i64)> {
        let rows = waiting::Entity::find().all(&self.store.reader).await.unwrap();
        let row = |row: waiting::Model| (row.content[0], row.variant[0], row.created_at);
        rows.into_iter().map(row).collect()
    }

    async fn followed(&self, time: i64) {
        let row = followed::Model {
            id: 0,
            network: NETWORK.to_vec(),
            height: 1,
            size: 0,
            frontier: Vec::new(),
            time,
        };
        self.write(Write::Advance(row)).await;
    }

    /// Contents that are there after what is older than eight hours was forgotten.
    async fn left(&self) -> Vec<u8> {
        self.write(Write::ForgetDocuments(8 * HOUR)).await;
        let rows = document::Entity::find().all(&self.store.reader).await.unwrap();
        let mut left: Vec<u8> = rows.iter().map(|row| row.content[0]).collect();
        left.sort_unstable();
        left
    }
}

/// What the ledger took of one original is what is kept, whatever else was sent of it, before or since.
#[tokio::test]
async fn no_variant_takes_anothers_place() {
    let world = World::new().await;
    // Twice the same in one write is one.
    let rows = vec![sealed(2, 1, 5), sealed(2, 2, 5), sealed(2, 1, 4)];
    world.write(Write::Documents(rows)).await;
    assert_eq!(world.waiting().await, [(2, 1, 5), (2, 2, 5)]);
    world.write(kept(vec![key(2, 1)])).await;
    world
        .write(Write::Documents(vec![sealed(2, 3, 6), sealed(2, 1, 7)]))
        .await;
    assert_eq!(world.found(2, 1).await, Some(sealed(2, 1, 5)));
    assert_eq!(world.found(2, 3).await, Some(sealed(2, 3, 6)));
    assert_eq!(world.waiting().await, [(2, 2, 5), (2, 3, 6)]);
    // The original goes with each of them, and nothing brings it back.
    assert_eq!(world.write(erased(2)).await, 3);
    assert_eq!(world.write(erased(2)).await, 0);
    world.write(Write::Documents(vec![sealed(2, 2, 9)])).await;
    assert_eq!(world.waiting().await, []);
    for variant in 1..=3 {
        assert!(world.found(2, variant).await.unwrap().body.is_empty(), "{variant}");
    }
}

#[tokio::test]
async fn they_are_forgotten_only_when_nothing_of_theirs_can_come() {
    let world = World::new().await;
    let rows = vec![sealed(1, 7, HOUR), sealed(2, 7, HOUR), sealed(3, 7, 9 * HOUR)];
    world.write(Write::Documents(rows)).await;
    world.write(kept(vec![key(2, 7)])).await;
    let waiting = outbox::Model {
        seq: 1,
        network: NETWORK.to_vec(),
        tx: vec![2; 32],
        body: Vec::new(),
        ours: true,
        created_at: HOUR + 5,
    };
    world.write(Write::Accept(waiting)).await;
    world.followed(9 * HOUR).await;
    assert_eq!(world.left().await, [1, 2, 3], "its statement is still in the outbox");
    world.write(Write::Done(vec![(1, 1)])).await;
    world.followed(2 * HOUR).await;
    assert_eq!(
        world.left().await,
        [1, 2, 3],
        "its invoice may be in a block that isn't followed yet"
    );
    // Sent again, all in one: what waits does so anew, what is kept stays kept.
    let rows = vec![sealed(1, 7, 8 * HOUR), sealed(2, 7, 8 * HOUR), sealed(4, 7, 8 * HOUR)];
    world.write(Write::Documents(rows)).await;
    assert_eq!(
        world.waiting().await,
        [(1, 7, 8 * HOUR), (3, 7, 9 * HOUR), (4, 7, 8 * HOUR)]
    );
    world.followed(99 * HOUR).await;
    assert_eq!(world.left().await, [1, 2, 3, 4]);
    world.write(Write::ForgetDocuments(9 * HOUR)).await;
    assert_eq!(world.left().await, [2, 3]);
    assert_eq!(world.waiting().await, [(3, 7, 9 * HOUR)]);
}

#[tokio::test]
async fn what_waits_for_a_network_that_is_gone_goes() {
    let world = World::new().await;
    let elsewhere = document::Model {
        network: vec![2; 32],
        ..sealed(3, 7, HOUR)
    };
    world
        .write(Write::Documents(vec![sealed(1, 7, HOUR), sealed(2, 7, HOUR)]))
        .await;
    world.write(Write::Documents(vec![elsewhere])).await;
    world.write(kept(vec![key(2, 7)])).await;
    world.write(Write::Abandon(NETWORK)).await;
    assert_eq!(world.waiting().await, [(3, 7, HOUR)]);
    assert_eq!(world.left().await, [2, 3]);
}

/// The list is looked up in the key, not the other way round: with many that wait, the writer would do nothing else.
#[tokio::test]
async fn a_list_is_looked_up_by_the_whole_key() {
    let world = World::new().await;
    let keys = [key(1, 7), key(2, 7)];
    let keys = keys.iter().map(|key| (&*key.content, &*key.variant, &*key.issuer));
    let mut delete = waiting::Entity::delete_many()
        .filter(waiting::Column::Network.eq(NETWORK.as_slice()))
        .filter(listed::<waiting::Entity>(keys))
        .build(DbBackend::Sqlite);
    delete.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
    let plan = world.store.reader.query_all_raw(delete).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    let whole = "(network=? AND issuer=? AND content=? AND variant=?)";
    assert!(plan.iter().any(|line| line.contains(whole)), "{plan:#?}");
}
