//! The HTTP API as a stranger meets it.

use std::time::Duration;

use muniment_ledger::replica::Replica;
use muniment_ledger::wire::{MAX_BODY, Problem, Submitted, TransactionStatus, code, codec};
use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::merkle;
use muniment_receipts::note::Note;
use reqwest::{Response, StatusCode};

use crate::support::{Node, TOKEN, client, plain_http, replica, single, until};

async fn post(node: &Node, path: &str, body: Vec<u8>) -> Response {
    plain_http()
        .post(node.url(path))
        .bearer_auth(TOKEN)
        .body(body)
        .send()
        .await
        .unwrap()
}

async fn get(node: &Node, path: &str) -> Response {
    plain_http()
        .get(node.url(path))
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap()
}

async fn problem(answer: Response, status: u16, code: &str) -> Problem {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!((problem.status, problem.code.as_str()), (status, code));
    problem
}

#[tokio::test]
async fn every_path_but_health_wants_the_token() {
    let node = Node::start("a", replica());
    let http = plain_http();
    let guarded = [
        "/v1/transactions",
        "/v1/transactions/00",
        "/v1/blocks?from=1",
        "/v1/records",
        "/v1/records/00",
        "/v1/records/00/history",
        "/v1/records/00/proof",
        "/v1/leaves/0",
        "/v1/genesis",
        "/v1/status",
        "/v1/cosignatures",
        "/checkpoint",
        "/tile/0/000",
        "/tile/entries/000",
        "/elsewhere",
    ];
    for path in guarded {
        for token in [None, Some(""), Some("wrong"), Some("test-tokens"), Some("test-toke")] {
            let mut request = http.get(node.url(path));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            problem(request.send().await.unwrap(), 401, code::UNAUTHORIZED).await;
        }
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            http.get(node.url(path)).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    problem(get(&node, "/elsewhere").await, 404, code::NOT_FOUND).await;
    problem(get(&node, "/v1/transactions").await, 405, code::METHOD).await;
    node.stop().await;
}

#[tokio::test]
async fn bad_bodies_are_refused_with_a_reason() {
    let node = Node::start("a", replica());
    for path in ["/v1/transactions", "/v1/cosignatures"] {
        problem(
            post(&node, path, b"not borsh at all".to_vec()).await,
            400,
            code::BAD_BODY,
        )
        .await;
        problem(post(&node, path, vec![]).await, 400, code::BAD_BODY).await;
        problem(post(&node, path, vec![1, 0, 0, 0]).await, 400, code::BAD_BODY).await;
        problem(post(&node, path, vec![0; MAX_BODY + 1]).await, 413, code::TOO_LARGE).await;
    }
    // A length that lies: four gigabytes of statement in a body of a few bytes.
    let mut hostile = vec![1, 0, 0, 0, 0];
    hostile.extend([0xff; 4]);
    problem(post(&node, "/v1/transactions", hostile).await, 400, code::BAD_BODY).await;
    problem(
        post(&node, "/v1/transactions", vec![1, 0, 0, 0, 7]).await,
        400,
        code::BAD_BODY,
    )
    .await;
    // Without Content-Length the limit holds as well.
    let chunks = futures::stream::iter((0..10).map(|_| Ok::<_, std::io::Error>(vec![0u8; 1024 * 1024])));
    let request = plain_http().post(node.url("/v1/transactions")).bearer_auth(TOKEN);
    let answer = request.body(reqwest::Body::wrap_stream(chunks)).send().await;
    // The server may close before everything was written; what matters is that it didn't take it.
    if let Ok(answer) = answer {
        problem(answer, 413, code::TOO_LARGE).await;
    }
    assert_eq!(get(&node, "/v1/status").await.status(), StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn bad_queries_are_refused_with_a_reason() {
    let node = Node::start("a", replica());
    let id = "0".repeat(64);
    for path in [
        "/v1/transactions/xyz",
        "/v1/transactions/AA",
        "/v1/blocks",
        "/v1/blocks?from=0",
        "/v1/blocks?from=-1",
        "/v1/blocks?from=1&x=1",
        "/v1/records?limit=0",
        "/v1/records?limit=1001",
        "/v1/records?after=zz",
        "/v1/records/12",
        "/v1/leaves/x",
        "/v1/cosignatures?from=1&to=1001",
        "/v1/cosignatures?from=2&to=1",
        "/v1/cosignatures?from=0&to=1",
        &format!("/v1/transactions/{id}?wait=soon"),
    ] {
        problem(get(&node, path).await, 400, code::BAD_QUERY).await;
    }
    for path in [
        &format!("/v1/records/{id}"),
        "/v1/leaves/0",
        "/checkpoint",
        "/tile/0/000",
        "/tile/9/000",
    ] {
        problem(get(&node, path).await, 404, code::NOT_FOUND).await;
    }
    node.stop().await;
}

#[tokio::test]
async fn a_full_mempool_asks_to_come_back() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    replica.set_capacity(0);
    let body = codec::encode(&[single(&replica, 1)]).to_vec();
    let answer = post(&node, "/v1/transactions", body.clone()).await;
    assert_eq!(answer.headers()["retry-after"], "1");
    problem(answer, 503, code::MEMPOOL_FULL).await;
    replica.set_capacity(10);
    let results: Submitted = post(&node, "/v1/transactions", body).await.json().await.unwrap();
    assert!(results.results[0].waits());
    node.stop().await;
}

#[tokio::test]
async fn waiting_ends_with_the_block_or_with_time() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    let client = client(&[&node]);
    let transaction = single(&replica, 1);
    let id = transaction.id();
    assert_eq!(
        client.transaction(&id, Duration::ZERO).await.unwrap(),
        TransactionStatus::Unknown
    );
    replica.hold(true);
    client.submit(&[transaction]).await.unwrap();
    let short = Duration::from_millis(20);
    assert_eq!(
        client.transaction(&id, short).await.unwrap(),
        TransactionStatus::Pending
    );
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.transaction(&id, Duration::from_secs(30)).await.unwrap() }
    });
    replica.hold(false);
    assert_eq!(waiting.await.unwrap(), TransactionStatus::Final { height: 1 });
    node.stop().await;
}

#[tokio::test]
async fn stopping_ends_streams_and_waits() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    let mut stream = get(&node, "/v1/blocks?from=1").await;
    replica.heartbeat();
    assert!(stream.chunk().await.unwrap().is_some());
    let wait = tokio::spawn(
        plain_http()
            .get(node.url(&format!("/v1/transactions/{}?wait=60000", "0".repeat(64))))
            .bearer_auth(TOKEN)
            .send(),
    );
    // Half of the callers' patience, which a stop doesn't wait for.
    let stopped = async {
        node.stop().await;
        assert!(stream.chunk().await.is_ok_and(|chunk| chunk.is_none()));
        let _ = wait.await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(30), stopped).await.unwrap();
}

#[tokio::test]
async fn readiness_and_metrics_tell_the_state() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    replica.heartbeat();
    let text = get(&node, "/metrics").await.text().await.unwrap();
    let has = |name: &str, value: &str| {
        text.lines()
            .any(|line| line.starts_with(&format!("muniment_node_{name}{{")) && line.ends_with(&format!("}} {value}")))
    };
    assert!(
        has("height", "1") && has("final_height", "1") && has("log_size", "1") && has("ready", "1"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    replica.set_voting(false);
    let answer = plain_http().get(node.url("/readyz")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().await.unwrap().contains("not voting yet"));
    node.stop().await;
}

/// The root of the signed checkpoint from nothing but tiles and entry bundles.
#[tokio::test]
async fn tiles_make_the_root_of_the_checkpoint() {
    let replica = replica();
    let node = Node::start("a", replica.clone());
    let client = client(&[&node]);
    client.submit(&[crate::support::batch(&replica, 0..900)]).await.unwrap();
    until("final", || *replica.watch_final().borrow() == 1).await;
    let text = client.checkpoint().await.unwrap().unwrap();
    let note = Note::parse(&text).unwrap();
    assert!(replica.trust_root().newest().judge(&note).holds());
    let checkpoint = Checkpoint::parse(note.text).unwrap();
    assert_eq!(checkpoint.size, 901);

    let mut leaves = Vec::new();
    let mut from_bundles = Vec::new();
    for (index, width) in [(0u64, 256usize), (1, 256), (2, 256), (3, 901 - 768)] {
        let part = if width == 256 {
            String::new()
        } else {
            format!(".p/{width}")
        };
        let tile = client.tile(&format!("tile/0/{index:03}{part}")).await.unwrap().unwrap();
        assert_eq!(tile.len(), width * 32);
        leaves.extend(tile.chunks(32).map(|hash| <[u8; 32]>::try_from(hash).unwrap()));
        let bundle = client
            .tile(&format!("tile/entries/{index:03}{part}"))
            .await
            .unwrap()
            .unwrap();
        let mut rest = &bundle[..];
        while let [high, low, tail @ ..] = rest {
            let (leaf, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            from_bundles.push(merkle::leaf_hash(leaf));
            rest = tail;
        }
    }
    assert_eq!(leaves, from_bundles);
    assert_eq!(merkle::root(&leaves), checkpoint.root);
    let upper = client.tile("tile/1/000.p/3").await.unwrap().unwrap();
    let expected: Vec<u8> = leaves[..768].chunks(256).flat_map(merkle::root).collect();
    assert_eq!(upper, expected);
    for beyond in [
        "tile/0/003",
        "tile/0/003.p/134",
        "tile/1/000",
        "tile/1/000.p/4",
        "tile/entries/003",
        "tile/2/000.p/1",
    ] {
        assert_eq!(client.tile(beyond).await.unwrap(), None, "{beyond}");
    }
    let cached = get(&node, "/tile/0/000").await;
    assert!(
        cached.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    node.stop().await;
}
