//! Four real engines on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "engine/net.rs"]
mod net;
#[path = "engine/toy.rs"]
mod toy;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use muniment_ledger::block::Hash;
use muniment_ledger::engine::signing::verify_certificate;
use muniment_ledger::engine::{
    Application, EngineError, EngineExit, GuardError, MemoryGuard, Refusal, Role, SignGuard, SignSlot, start,
};
use net::{NETWORK, Net, ports, until};
use toy::Toy;

fn assert_agreement(net: &Net) {
    let longest = net.nodes.iter().max_by_key(|node| node.toy.tip()).unwrap().toy.hashes();
    for node in &net.nodes {
        let hashes = node.toy.hashes();
        assert_eq!(hashes[..], longest[..hashes.len()]);
        for certificate in &node.toy.disk().decided {
            verify_certificate(certificate, &net.validators, &NETWORK).unwrap();
        }
        let transactions = node.toy.transactions();
        assert_eq!(
            transactions.iter().collect::<BTreeSet<_>>().len(),
            transactions.len(),
            "a transaction twice"
        );
    }
}

async fn exit_of(net: &mut Net, index: usize) -> EngineExit {
    let mut handle = net.nodes[index].handle.take().unwrap();
    tokio::time::timeout(Duration::from_secs(60), handle.done())
        .await
        .expect("ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_falls_silent_wakes_and_survives_restarts() {
    let mut net = Net::new(4);
    net.start_all().await;
    for number in 0..20 {
        net.submit(format!("transaction {number}").as_bytes());
    }
    until("twenty transactions", || {
        net.up().all(|toy| toy.transactions().len() == 20)
    })
    .await;

    // Idle: no heights. A transaction known to one validator only wakes all.
    let idle = net.silent().await;
    net.nodes[2].toy.submit(b"woken");
    net.nodes[2].handle.as_ref().unwrap().wake();
    until("the woken transaction", || {
        net.up().all(|toy| toy.transactions().contains(&b"woken".to_vec()))
    })
    .await;
    assert!(net.tip() > idle);
    net.silent().await;

    // One down: the others go on. It comes back with its log and catches up.
    net.stop(3).await;
    for number in 0..5 {
        net.commit(format!("without one {number}").as_bytes()).await;
    }
    assert_eq!(net.start(3, 0).await, Role::Validator);
    until("the restarted node at the tip", || net.nodes[3].toy.tip() >= net.tip()).await;
    net.commit(b"with all again").await;

    // Two down: nothing is decided until one is back.
    net.stop(1).await;
    net.stop(3).await;
    let halted = net.tip();
    net.submit(b"during the halt");
    net.start(1, 0).await;
    net.nodes[1].toy.submit(b"during the halt");
    until("progress after the halt", || {
        net.nodes[0].toy.transactions().contains(&b"during the halt".to_vec())
    })
    .await;
    assert!(net.tip() > halted);
    net.start(3, 0).await;
    until("all at the tip", || {
        net.nodes.iter().all(|node| node.toy.tip() > halted)
    })
    .await;

    // All down at once.
    for index in 0..4 {
        net.stop(index).await;
    }
    net.start_all().await;
    net.commit(b"after the blackout").await;

    // Large blocks.
    for byte in 0..4 {
        net.submit(&vec![byte; 900 * 1024]);
    }
    until("large transactions", || net.up().all(|toy| !toy.has_work())).await;
    assert_agreement(&net);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_validator_follows_before_it_votes() {
    let mut net = Net::new(4);
    net.start_all().await;
    for number in 0..10 {
        net.commit(format!("before {number}").as_bytes()).await;
    }
    net.stop(1).await;
    net.wipe(1);
    let floor = net.tip() + 2;
    assert_eq!(net.start(1, floor).await, Role::Observer);
    until("blocks by sync", || net.nodes[1].toy.tip() >= net.tip()).await;
    let mut number = 0;
    while net.tip() < floor {
        net.submit(format!("past the floor {number}").as_bytes());
        let tip = net.tip();
        until("a block", || net.tip() > tip).await;
        number += 1;
    }
    let exit = exit_of(&mut net, 1).await;
    assert!(matches!(exit, EngineExit::BecomeValidator), "{exit:?}");
    assert!(net.nodes[1].toy.disk().decided.len() as u64 >= floor);

    // Its vote counts again: with one other down it is needed.
    assert_eq!(net.start(1, 0).await, Role::Validator);
    net.stop(0).await;
    net.commit(b"with the wiped one's vote").await;
    assert_agreement(&net);
}

/// Refuses one prevote as if something else had been signed before.
struct Once {
    guard: MemoryGuard,
    done: AtomicBool,
}

impl SignGuard for Once {
    fn check(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        if slot.height >= 3 && slot.step == SignSlot::PREVOTE && !self.done.swap(true, Ordering::SeqCst) {
            return Err(GuardError::Refused {
                slot,
                why: Refusal::Conflict,
            });
        }
        self.guard.check(slot, digest)
    }
    fn record(&self, slot: SignSlot, digest: Hash) -> Result<(), GuardError> {
        self.guard.record(slot, digest)
    }
    fn floor(&self) -> u64 {
        self.guard.floor()
    }
    fn raise_floor(&self, height: u64) -> Result<(), GuardError> {
        self.guard.raise_floor(height)
    }
    fn last_height(&self) -> u64 {
        self.guard.last_height()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_neither_wedges_nor_loops() {
    let mut net = Net::new(4);
    let guard = Arc::new(Once {
        guard: MemoryGuard::new(0),
        done: AtomicBool::new(false),
    });
    for index in 0..3 {
        net.start(index, 0).await;
    }
    net.start_with(3, guard.clone()).await;
    for number in 0..4 {
        net.submit(format!("refused {number}").as_bytes());
        let tip = net.tip();
        until("a block", || net.tip() > tip).await;
    }
    let exit = exit_of(&mut net, 3).await;
    let EngineExit::Refused(slot) = exit else {
        panic!("{exit:?}")
    };
    assert_eq!(guard.floor(), slot.height);

    let mut role = net.start_with(3, guard.clone()).await;
    let mut number = 0;
    while role == Role::Observer {
        net.submit(format!("following {number}").as_bytes());
        number += 1;
        let exit = exit_of(&mut net, 3).await;
        assert!(matches!(exit, EngineExit::BecomeValidator), "{exit:?}");
        role = net.start_with(3, guard.clone()).await;
    }
    net.commit(b"all four vote").await;
    assert_agreement(&net);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_log_or_store_means_following_first() {
    let mut net = Net::new(4);
    net.start_all().await;
    for number in 0..3 {
        net.commit(format!("before {number}").as_bytes()).await;
    }
    // The store falls behind what the guard remembers.
    net.stop(2).await;
    net.nodes[2].toy = Toy::new(&net.validators, 1024);
    assert_eq!(net.start(2, 0).await, Role::Observer);
    net.stop(2).await;
    // A stranger to the network gets nothing.
    let mut config = net.config(2);
    config.network = [9; 32];
    config.wal = net.nodes[2].folder.join("foreign");
    let foreign = Toy::new(&net.validators, 1024);
    let mut stranger = start(config, Box::new(foreign.clone()), Arc::new(MemoryGuard::new(0)))
        .await
        .unwrap();
    for number in 0..3 {
        net.commit(format!("without the stranger {number}").as_bytes()).await;
    }
    net.silent().await;
    assert_eq!(foreign.tip(), 0);
    stranger.stop();
    stranger.done().await;
    assert_agreement(&net);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_settings_are_named() {
    let net = Net::new(1);
    let taken = std::net::TcpListener::bind(ports(1)[0]).unwrap();
    let guard = || Arc::new(MemoryGuard::new(0));
    let app = || Box::new(net.nodes[0].toy.clone());

    let mut config = net.config(0);
    config.listen = taken.local_addr().unwrap();
    let error = start(config, app(), guard()).await.unwrap_err();
    assert!(matches!(error, EngineError::Listen { .. }), "{error}");

    for peer in ["nowhere", "host:port", ":80", "a/b:80", "::1:80"] {
        let mut config = net.config(0);
        config.peers = vec![peer.to_owned()];
        let error = start(config, app(), guard()).await.unwrap_err();
        assert!(
            matches!(error, EngineError::Setting { setting: "peers", .. }),
            "{peer}: {error}"
        );
    }
    let mut config = net.config(0);
    config.max_block_bytes = 0;
    assert!(matches!(
        start(config, app(), guard()).await.unwrap_err(),
        EngineError::Setting { .. }
    ));

    let config = net.config(0);
    std::fs::create_dir_all(&config.wal).unwrap();
    std::fs::write(config.wal.join("consensus.wal"), b"not a log, not at all").unwrap();
    assert!(matches!(
        start(config, app(), guard()).await.unwrap_err(),
        EngineError::Wal { .. }
    ));
}
