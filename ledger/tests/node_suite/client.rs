//! The client: what it returns, and how it gets over validators that fail.

use std::time::Duration;

use base64::Engine;
use futures::StreamExt;
use muniment_ledger::client::{ClientError, Endpoint, NetworkClient};
use muniment_ledger::replica::Replica;
use muniment_ledger::wire::{Admission, FinalBlock, Outcome, TransactionStatus};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::merkle;
use muniment_receipts::note::Note;

use crate::support::{Node, batch, client, dead, endpoint, free_port, replica, single};

fn record(block: &FinalBlock, index: usize) -> ([u8; 32], u64) {
    match &block.outcomes[0][index] {
        Outcome::Accepted { record, leaf, .. } => (*record, *leaf),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn submit_follow_and_prove() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    let client = client(&[&node]);
    let mut blocks = client.follow(1);
    let transaction = batch(&replica, 0..10);
    let id = transaction.id().to_string();
    assert_eq!(
        client.submit(std::slice::from_ref(&transaction)).await.unwrap(),
        [Admission::Accepted { id: id.clone() }]
    );
    let block = blocks.next().await.unwrap().unwrap();
    assert_eq!(block.transactions, std::slice::from_ref(&transaction));
    assert_eq!(block.cosignatures.len(), 1);
    // The same again is the same transaction.
    assert_eq!(
        client.submit(&[transaction]).await.unwrap(),
        [Admission::Known { id, height: Some(1) }]
    );

    let (id, leaf) = record(&block, 7);
    let proof = client.leaf_proof(leaf).await.unwrap().unwrap();
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let path = |texts: &[String]| -> Vec<[u8; 32]> {
        texts
            .iter()
            .map(|text| hex::decode(text).unwrap().try_into().unwrap())
            .collect()
    };
    let note = Note::parse(&proof.checkpoint).unwrap();
    assert!(replica.trust_root().newest().judge(&note).holds());
    let Checkpoint { size, root, .. } = Checkpoint::parse(note.text).unwrap();
    let hash = merkle::leaf_hash(&decode(&proof.leaf));
    merkle::verify_inclusion(&hash, leaf, size, &path(&proof.path), &root).unwrap();
    let marker = merkle::leaf_hash(&decode(&proof.marker));
    merkle::verify_inclusion(&marker, size - 1, size, &path(&proof.marker_path), &root).unwrap();

    let view = client.record(&id).await.unwrap().unwrap();
    assert_eq!((view.leaf, &view.record["fields"]["n"]), (leaf, &serde_json::json!(7)));
    assert_eq!(client.history(&id, 0, 10).await.unwrap().len(), 1);
    assert!(client.history(&id, 1, 10).await.unwrap().is_empty());
    assert_eq!(client.record(&[9; 32]).await.unwrap(), None);
    assert!(client.state_proof(&id).await.unwrap().value.is_some());
    assert!(client.state_proof(&[9; 32]).await.unwrap().value.is_none());
    assert_eq!(client.genesis().await.unwrap(), replica.genesis());

    let first = client.records(Some("notarization"), None, 6).await.unwrap();
    let after = hex::decode(first.next.unwrap()).unwrap().try_into().unwrap();
    let second = client.records(None, Some(&after), 6).await.unwrap();
    assert_eq!((first.records.len(), second.records.len(), second.next), (6, 4, None));
    assert!(
        client
            .records(Some("other template & more"), None, 6)
            .await
            .unwrap()
            .records
            .is_empty()
    );
    node.stop().await;
}

#[tokio::test]
async fn each_transaction_has_its_own_answer() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    let mut forged = single(&replica, 2);
    if let muniment_ledger::transaction::Transaction::Single { signature, .. } = &mut forged {
        signature[0] ^= 1;
    }
    let good = [single(&replica, 1), forged, single(&replica, 3)];
    let answers = client(&[&node]).submit(&good).await.unwrap();
    assert!(matches!(&answers[1], Admission::Refused { code, .. } if code == "BAD_SIGNATURE"));
    assert!(answers[0].waits() && answers[2].waits());
    assert_eq!(client(&[&node]).submit(&[]).await.unwrap(), []);
    node.stop().await;
}

#[tokio::test]
async fn a_dead_validator_is_passed_over() {
    let replica = replica();
    let (a, b) = (Node::start("a", replica.clone()), Node::start("b", replica.clone()));
    let client = NetworkClient::new(vec![endpoint("dead", dead()), a.endpoint(), b.endpoint()]);
    client.submit(&[single(&replica, 1)]).await.unwrap();
    a.stop().await;
    client.submit(&[single(&replica, 2)]).await.unwrap();
    assert_eq!(client.records(None, None, 10).await.unwrap().records.len(), 2);

    let status = client.status().await;
    let seen: Vec<_> = status
        .iter()
        .map(|(name, status)| (name.as_str(), status.is_ok()))
        .collect();
    assert_eq!(seen, [("dead", false), ("a", false), ("b", true)]);
    assert_eq!(status[2].1.as_ref().unwrap().height, 2);
    b.stop().await;
}

#[tokio::test]
async fn errors_come_in_kinds() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    let short = Duration::from_millis(100);
    let transaction = [single(&replica, 1)];

    let none = NetworkClient::with_patience(vec![], short);
    assert_eq!(
        none.submit(&transaction).await.unwrap_err(),
        ClientError::Unavailable { reasons: vec![] }
    );
    let gone = NetworkClient::with_patience(vec![endpoint("x", dead())], short);
    let error = gone.submit(&transaction).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unavailable { reasons } if reasons[0].0 == "x"),
        "{error}"
    );
    assert!(error.is_temporary());

    let wrong = Endpoint {
        token: "wrong".to_owned(),
        tls: None,
        ..node.endpoint()
    };
    assert!(!format!("{wrong:?}").contains("wrong"));
    let error = NetworkClient::new(vec![wrong]).submit(&transaction).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { status: 401, code, .. } if code == "unauthorized"),
        "{error}"
    );

    replica.set_capacity(0);
    let full = NetworkClient::with_patience(vec![node.endpoint()], short);
    let error = full.submit(&transaction).await.unwrap_err();
    assert_eq!(
        error,
        ClientError::Overloaded {
            retry_after: Duration::from_secs(1)
        }
    );
    node.stop().await;
}

#[tokio::test]
async fn following_goes_on_elsewhere_without_gap_or_double() {
    let replica = replica();
    let (a, b) = (Node::start("a", replica.clone()), Node::start("b", replica.clone()));
    let client = client(&[&a, &b]);
    let mut blocks = client.follow(1);
    let mut heights = Vec::new();
    let mut a = Some(a);
    for round in 0..40 {
        replica.admit(vec![single(&replica, round)]);
        heights.push(blocks.next().await.unwrap().unwrap().header.height);
        if round == 10 {
            // In the middle of the stream, with more blocks made before anyone reads on.
            replica.heartbeat();
            a.take().unwrap().stop().await;
            replica.heartbeat();
        }
    }
    assert_eq!(heights, (1..=40).collect::<Vec<_>>());
    assert_eq!(client.follow(41).next().await.unwrap().unwrap().header.height, 41);
    b.stop().await;
}

#[tokio::test]
async fn a_follower_waits_for_the_network_to_return() {
    let replica = replica();
    let listener = free_port();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = NetworkClient::new(vec![endpoint("a", address)]);
    let mut blocks = client.follow(1);
    assert!(matches!(
        blocks.next().await.unwrap(),
        Err(ClientError::Unavailable { .. })
    ));
    replica.heartbeat();
    let node = Node::on(std::net::TcpListener::bind(address).unwrap(), "a", replica, &[]);
    let block = loop {
        match blocks.next().await.unwrap() {
            Ok(block) => break block,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    };
    assert_eq!(block.header.height, 1);
    node.stop().await;
}

#[tokio::test]
async fn blocks_of_another_chain_are_not_followed() {
    let right = replica();
    let (mut genesis, keys) = crate::support::network(1);
    genesis.name = "demo/other".to_owned();
    let other = std::sync::Arc::new(muniment_ledger::replica::memory::MemoryReplica::new(&genesis, &keys).unwrap());
    for _ in 0..5 {
        right.heartbeat();
        other.heartbeat();
    }
    let (good, bad) = (Node::start("good", right.clone()), Node::start("bad", other));
    let client = client(&[&good, &bad]);
    let mut blocks = client.follow(1);
    assert_eq!(blocks.next().await.unwrap().unwrap().header.height, 1);
    let address = good.address;
    good.stop().await;
    // What was under way may still come; then only the other chain is there.
    let mut last = 1;
    let error = loop {
        match blocks.next().await.unwrap() {
            Ok(block) => {
                assert_eq!(block.header.network, right.network());
                last = block.header.height;
                right.heartbeat();
            }
            Err(error @ ClientError::Protocol { .. }) => break error,
            Err(_) => {}
        }
        if last == 5 {
            // All five came from the first chunk: nothing left to mistake.
            break ClientError::Protocol {
                validator: "bad".to_owned(),
                what: String::new(),
            };
        }
    };
    assert!(
        matches!(&error, ClientError::Protocol { validator, .. } if validator == "bad"),
        "{error}"
    );
    let good = Node::on(
        std::net::TcpListener::bind(address).unwrap(),
        "good",
        right.clone(),
        &[],
    );
    right.heartbeat();
    let next = loop {
        if let Ok(block) = blocks.next().await.unwrap() {
            break block;
        }
    };
    assert_eq!((next.header.height, next.header.network), (last + 1, right.network()));
    good.stop().await;
    bad.stop().await;
}

#[tokio::test]
async fn a_validator_that_accepts_and_says_nothing_is_left() {
    let silent = free_port();
    let replica = replica();
    replica.heartbeat();
    let node = Node::start("b", replica);
    let client = NetworkClient::new(vec![endpoint("silent", silent.local_addr().unwrap()), node.endpoint()]);
    assert_eq!(client.follow(1).next().await.unwrap().unwrap().header.height, 1);
    node.stop().await;
}

/// A validator that streams as it likes: `stream` gets the connection after the answer's head.
async fn streams<F: Future<Output = ()> + Send + 'static>(
    stream: impl Fn(tokio::net::TcpStream) -> F + Send + Sync + 'static,
) -> Endpoint {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let read = connection.read(&mut request).await.unwrap();
            let head = if request[..read].starts_with(b"GET /v1/blocks") {
                "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n"
            } else {
                "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            };
            connection.write_all(head.as_bytes()).await.unwrap();
            if head.contains("200 OK") {
                stream(connection).await;
            }
        }
    });
    endpoint("slow", address)
}

fn frame(block: &FinalBlock) -> Vec<u8> {
    let body = borsh::to_vec(block).unwrap();
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_le_bytes()[..], &body].concat()
}

#[tokio::test]
async fn a_block_that_drips_is_asked_for_elsewhere() {
    use tokio::io::AsyncWriteExt;
    let replica = replica();
    replica.heartbeat();
    let node = Node::start("good", replica);
    // Never silent for long, and never done.
    let slow = streams(|mut connection| async move {
        connection.write_all(&1_000_000_u32.to_le_bytes()).await.unwrap();
        while connection.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let client = NetworkClient::new(vec![slow.await, node.endpoint()]);
    let mut following = client.following(1);
    let block = tokio::time::timeout(Duration::from_secs(60), following.next_block()).await;
    assert_eq!(block.expect("it waits for ever").unwrap().header.height, 1);
    assert_eq!(following.source(), Some("good"));
    node.stop().await;
}

#[tokio::test]
async fn a_stream_that_lags_more_and_more_is_left() {
    use tokio::io::AsyncWriteExt;
    const BLOCKS: u64 = 6;
    let replica = replica();
    for _ in 0..BLOCKS {
        replica.heartbeat();
    }
    let node = Node::start("good", replica.clone());
    // Whole and right, one after the other, and far too slowly.
    let slow = streams(move |mut connection| {
        let replica = replica.clone();
        async move {
            for height in 1..=BLOCKS {
                tokio::time::sleep(Duration::from_secs(4)).await;
                let block = replica.final_block(height).unwrap().unwrap();
                if connection.write_all(&frame(&block)).await.is_err() {
                    return;
                }
            }
            // Open, and without anything more to say.
            std::future::pending::<()>().await;
        }
    });
    let client = NetworkClient::new(vec![slow.await, node.endpoint()]);
    let mut following = client.following(1);
    let mut sources = Vec::new();
    for height in 1..=BLOCKS {
        assert_eq!(following.next_block().await.unwrap().header.height, height);
        sources.push(following.source().unwrap().to_owned());
    }
    assert_eq!(
        (sources[0].as_str(), sources[5].as_str()),
        ("slow", "good"),
        "{sources:?}"
    );
    node.stop().await;
}

#[tokio::test]
async fn who_gives_up_waiting_comes_to_another() {
    let silent = free_port();
    let replica = replica();
    replica.heartbeat();
    let node = Node::start("good", replica);
    let client = NetworkClient::new(vec![endpoint("silent", silent.local_addr().unwrap()), node.endpoint()]);
    let mut following = client.following(1);
    let late = tokio::time::timeout(Duration::from_millis(200), following.next_block()).await;
    assert!(late.is_err());
    following.give_up();
    // Not asked again, although it doesn't refuse either: its own time limit never comes into it.
    assert_eq!(following.next_block().await.unwrap().header.height, 1);
    assert_eq!(client.following(1).next_block().await.unwrap().header.height, 1);
    assert_eq!(following.source(), Some("good"));
    node.stop().await;
}

#[tokio::test]
async fn each_validator_tells_of_a_record_in_turn() {
    let (empty, replica) = (replica(), replica());
    replica.admit(vec![single(&replica, 1)]);
    let block = replica.final_block(1).unwrap().unwrap();
    let (id, leaf) = record(&block, 0);
    let (old, good) = (Node::start("old", empty), Node::start("good", replica.clone()));
    let client = client(&[&old, &good]);
    let views: Vec<_> = client.record_at_each(&id).collect().await;
    let told: Vec<_> = views
        .iter()
        .map(|(name, view)| (name.as_str(), view.as_ref().unwrap().as_ref().map(|view| view.leaf)))
        .collect();
    assert_eq!(told, [("old", None), ("good", Some(leaf))]);
    // Who told something wrong is asked last, and who is behind doesn't count.
    client.distrust("old");
    let mut views = client.at_least(1).step_at_each(&id, 1);
    let (name, steps) = views.next().await.unwrap();
    assert_eq!((name.as_str(), steps.unwrap().unwrap().len()), ("good", 1));
    assert!(matches!(views.next().await, Some((name, Err(_))) if name == "old"));
    assert!(views.next().await.is_none());
    old.stop().await;
    good.stop().await;
}

#[tokio::test]
async fn a_rejected_block_is_asked_for_elsewhere() {
    let replica = replica();
    for round in 0..3 {
        replica.admit(vec![single(&replica, round)]);
    }
    let (a, b) = (Node::start("a", replica.clone()), Node::start("b", replica.clone()));
    let client = client(&[&a, &b]);
    let mut following = client.following(1);
    assert_eq!(following.next_block().await.unwrap().header.height, 1);
    assert_eq!(following.source(), Some("a"));
    assert_eq!(following.next_block().await.unwrap().header.height, 2);
    following.reject();
    for height in 2..=3 {
        assert_eq!(following.next_block().await.unwrap().header.height, height);
        assert_eq!(following.source(), Some("b"));
    }
    // With nobody else left, the one that was rejected will do.
    following.reject();
    b.stop().await;
    let block = loop {
        if let Ok(block) = following.next_block().await {
            break block;
        }
    };
    assert_eq!((block.header.height, following.source()), (3, Some("a")));
    a.stop().await;
}

#[tokio::test]
async fn reads_as_of_a_height_pass_over_who_is_behind() {
    let (behind, replica) = (replica(), replica());
    replica.admit(vec![single(&replica, 1)]);
    let block = replica.final_block(1).unwrap().unwrap();
    let (id, _) = record(&block, 0);
    let transaction = block.transactions[0].id();
    let (old, good) = (Node::start("old", behind), Node::start("good", replica.clone()));
    let both = || client(&[&old, &good]);
    // The first to be asked has an answer, and it is too old.
    assert_eq!(both().record(&id).await.unwrap(), None);
    let wanted = both().at_least(1);
    assert!(wanted.record(&id).await.unwrap().is_some());
    assert_eq!(both().at_least(1).history(&id, 0, 10).await.unwrap().len(), 1);
    assert_eq!(
        both().at_least(1).records(None, None, 10).await.unwrap().records.len(),
        1
    );
    assert!(both().at_least(1).state_proof(&id).await.unwrap().value.is_some());
    // What isn't there at that height is absent.
    assert_eq!(both().at_least(1).record(&[9; 32]).await.unwrap(), None);
    // Nobody is there yet: no answer is better than an old one.
    let error = both().at_least(2).record(&id).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error}");

    let answers: Vec<_> = both()
        .at_least(1)
        .transaction_at_each(&transaction, Duration::ZERO)
        .collect()
        .await;
    let known = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(TransactionStatus::Final { height: 1 })));
    assert_eq!(
        (known.count(), answers.iter().filter(|answer| answer.is_err()).count()),
        (1, 1)
    );
    old.stop().await;
    good.stop().await;
}

#[tokio::test]
async fn a_proof_that_does_not_hold_is_asked_for_elsewhere() {
    let replica = replica();
    replica.admit(vec![single(&replica, 1)]);
    let (a, b) = (Node::start("a", replica.clone()), Node::start("b", replica.clone()));
    let client = client(&[&a, &b]);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let second =
        |proof: &muniment_ledger::wire::LeafProof| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Err("not this one"),
            _ => Ok(proof.index),
        };
    assert_eq!(client.proven_leaf(0, second).await.unwrap(), 0);
    let never = |_: &muniment_ledger::wire::LeafProof| Err::<(), _>("never");
    assert!(matches!(
        client.proven_leaf(0, never).await,
        Err(ClientError::Protocol { .. })
    ));
    a.stop().await;
    b.stop().await;
}
