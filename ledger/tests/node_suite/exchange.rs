//! Nodes among themselves: relay of transactions, exchange of cosignatures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use muniment_ledger::client::{ClientError, NetworkClient};
use muniment_ledger::replica::Replica;
use muniment_ledger::replica::memory::MemoryReplica;
use muniment_ledger::wire::{RELAY_HEADER, Submitted, TransactionStatus, code, codec};

use crate::support::{Node, TOKEN, client, dead, free_port, network, plain_http, replica_of, single, until};

fn is_there(replica: &MemoryReplica, transaction: &muniment_ledger::transaction::Transaction) -> bool {
    replica.transaction(&transaction.id()).unwrap() != TransactionStatus::Unknown
}

/// Two nodes that know each other, and a dead third.
fn pair(a: &Arc<MemoryReplica>, b: &Arc<MemoryReplica>) -> (Node, Node) {
    let (first, second) = (free_port(), free_port());
    let (at_a, at_b): (SocketAddr, SocketAddr) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    let third = dead();
    (
        Node::on(first, "a", a.clone(), &[("b", at_b), ("c", third)]),
        Node::on(second, "b", b.clone(), &[("a", at_a), ("c", third)]),
    )
}

#[tokio::test]
async fn what_one_admits_the_others_have() {
    let (a, b) = (replica_of(4), replica_of(4));
    let (node_a, node_b) = pair(&a, &b);
    let client = client(&[&node_a]);
    let many: Vec<_> = (0..100).map(|n| single(&a, n)).collect();
    assert!(client.submit(&many).await.unwrap().iter().all(|one| one.waits()));
    // The answer comes after f+1 = 2 of 4 hold it, so there is nothing to wait for.
    assert!(many.iter().all(|one| is_there(&b, one)));
    node_a.stop().await;
    node_b.stop().await;
}

#[tokio::test]
async fn what_a_peer_sends_is_not_sent_on() {
    let (a, b) = (replica_of(4), replica_of(4));
    let (node_a, node_b) = pair(&a, &b);
    let (relayed, own) = (single(&a, 1), single(&a, 2));
    let http = plain_http();
    let request = http
        .post(node_a.url("/v1/transactions"))
        .bearer_auth(TOKEN)
        .header(RELAY_HEADER, "1");
    let mut forged = single(&a, 3);
    if let muniment_ledger::transaction::Transaction::Single { signature, .. } = &mut forged {
        signature[9] ^= 1;
    }
    let answer = request
        .body(codec::encode(&[relayed.clone(), forged.clone()]))
        .send()
        .await
        .unwrap();
    let answer: Submitted = answer.json().await.unwrap();
    assert_eq!(answer.results.len(), 1, "only the refused are listed");
    assert_eq!(answer.results[0].refused(), Some(forged.id().to_string().as_str()));
    client(&[&node_a]).submit(std::slice::from_ref(&own)).await.unwrap();
    assert!(is_there(&a, &relayed) && is_there(&a, &own));
    // The queue to b keeps order, so the first one would be here had it been sent on.
    assert!(is_there(&b, &own) && !is_there(&b, &relayed));
    node_a.stop().await;
    node_b.stop().await;
}

#[tokio::test]
async fn without_enough_peers_the_answer_is_wait() {
    let a = replica_of(4);
    let peers = [("b", dead()), ("c", dead()), ("d", dead())];
    let node = Node::on(free_port(), "a", a.clone(), &peers);
    let transaction = single(&a, 1);
    let body = codec::encode(std::slice::from_ref(&transaction));
    let http = plain_http();
    let answer = http
        .post(node.url("/v1/transactions"))
        .bearer_auth(TOKEN)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert!(answer.text().await.unwrap().contains(code::NO_QUORUM));
    assert!(is_there(&a, &transaction), "it stays");
    let impatient = NetworkClient::with_patience(vec![node.endpoint()], Duration::ZERO);
    a.hold(true);
    let error = impatient.submit(&[single(&a, 2)]).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn a_peer_that_returns_gets_what_waits() {
    let (a, b) = (replica_of(4), replica_of(4));
    a.hold(true);
    let listener = free_port();
    let at_b = listener.local_addr().unwrap();
    drop(listener);
    let node_a = Node::on(free_port(), "a", a.clone(), &[("b", at_b)]);
    let waiting = single(&a, 1);
    let patient = NetworkClient::with_patience(vec![node_a.endpoint()], Duration::ZERO);
    patient.submit(std::slice::from_ref(&waiting)).await.unwrap_err();
    let node_b = Node::on(std::net::TcpListener::bind(at_b).unwrap(), "b", b.clone(), &[]);
    until("b has it", || is_there(&b, &waiting)).await;
    // And now a repeated submission is answered well.
    assert!(client(&[&node_a]).submit(&[waiting]).await.unwrap()[0].waits());
    let http = plain_http();
    let metrics = http
        .get(node_a.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("muniment_node_relay_failures_total") && !line.ends_with(" 0"))
    );
    node_a.stop().await;
    node_b.stop().await;
}

/// Two validators that both must sign: nothing is final without the other's cosignature.
#[tokio::test]
async fn cosignatures_make_blocks_final_on_both_sides() {
    let (genesis, keys) = network(2);
    let a = Arc::new(MemoryReplica::one(&genesis, &keys, 0).unwrap());
    let b = Arc::new(MemoryReplica::one(&genesis, &keys, 1).unwrap());
    let (node_a, node_b) = pair(&a, &b);
    for n in 0..20 {
        client(&[&node_a]).submit(&[single(&a, n)]).await.unwrap();
        until("final at both", || {
            *a.watch_final().borrow() == n + 1 && *b.watch_final().borrow() == n + 1
        })
        .await;
    }
    assert_eq!(a.tip(), b.tip());
    assert_eq!(a.final_block(20).unwrap().unwrap().cosignatures.len(), 2);
    node_a.stop().await;
    node_b.stop().await;
}

/// Cosignatures that were made while the other wasn't there are asked for.
#[tokio::test]
async fn missing_cosignatures_are_fetched() {
    let (genesis, keys) = network(2);
    let a = Arc::new(MemoryReplica::one(&genesis, &keys, 0).unwrap());
    let b = Arc::new(MemoryReplica::one(&genesis, &keys, 1).unwrap());
    for _ in 0..1_500 {
        a.heartbeat();
        b.heartbeat();
    }
    assert_eq!((*a.watch_final().borrow(), *b.watch_final().borrow()), (0, 0));
    let (node_a, node_b) = pair(&a, &b);
    until("final at both", || {
        *a.watch_final().borrow() == 1_500 && *b.watch_final().borrow() == 1_500
    })
    .await;
    node_a.stop().await;
    node_b.stop().await;
}
