//! Figures to look at by hand: `cargo test --release -p muniment-ledger --test node_suite speed -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use muniment_ledger::replica::memory::MemoryReplica;

use crate::support::{Node, client, free_port, network, replica, single};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn follow_large_blocks() {
    let replica = replica();
    for block in 0..200u64 {
        replica.hold(true);
        let many = (0..1_500).map(|n| single(&replica, block * 1_500 + n)).collect();
        muniment_ledger::replica::Replica::admit(&*replica, many);
        replica.hold(false);
    }
    let node = Node::start("a", replica.clone());
    let mut blocks = client(&[&node]).follow(1);
    let start = Instant::now();
    let mut bytes = 0;
    for _ in 0..200 {
        let block = blocks.next().await.unwrap().unwrap();
        bytes += borsh::to_vec(&block).unwrap().len();
    }
    let time = start.elapsed().as_secs_f64();
    println!(
        "200 blocks, {:.1} MB: {:.0} blocks/s, {:.0} MB/s",
        bytes as f64 / 1e6,
        200.0 / time,
        bytes as f64 / 1e6 / time
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn submit_to_four_that_relay() {
    let (genesis, keys) = network(4);
    let replicas: Vec<_> = (0..4)
        .map(|_| Arc::new(MemoryReplica::new(&genesis, &keys).unwrap()))
        .collect();
    let ports: Vec<_> = (0..4).map(|_| free_port()).collect();
    let names = ["a", "b", "c", "d"];
    let all: Vec<_> = names
        .iter()
        .zip(&ports)
        .map(|(name, port)| (*name, port.local_addr().unwrap()))
        .collect();
    let nodes: Vec<_> = ports
        .into_iter()
        .enumerate()
        .map(|(index, port)| {
            let peers: Vec<_> = all.iter().filter(|(name, _)| *name != names[index]).copied().collect();
            // Blocks of this twin cost what they don't cost in reality, so there are none.
            replicas[index].hold(true);
            replicas[index].set_capacity(usize::MAX);
            Node::on(port, names[index], replicas[index].clone(), &peers)
        })
        .collect();
    let client = client(&[&nodes[0]]);
    for group in [1usize, 64, 1_000] {
        let many: Vec<_> = (0..3_000u64)
            .map(|n| single(&replicas[0], group as u64 * 1_000_000 + n))
            .collect();
        let start = Instant::now();
        for part in many.chunks(group).take(if group == 1 { 500 } else { usize::MAX }) {
            client.submit(part).await.unwrap();
        }
        let sent = if group == 1 { 500 } else { 3_000 };
        println!(
            "groups of {group}: {:.0} transactions/s one after the other",
            f64::from(sent) / start.elapsed().as_secs_f64()
        );
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
#[ignore = "prints figures"]
async fn idle_network_of_four() {
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    let replicas: Vec<_> = (0..4).map(|_| replica()).collect();
    let ports: Vec<_> = (0..4).map(|_| free_port()).collect();
    let names = ["a", "b", "c", "d"];
    let all: Vec<_> = names
        .iter()
        .zip(&ports)
        .map(|(name, port)| (*name, port.local_addr().unwrap()))
        .collect();
    let nodes: Vec<_> = ports
        .into_iter()
        .enumerate()
        .map(|(index, port)| {
            let peers: Vec<_> = all.iter().filter(|(name, _)| *name != names[index]).copied().collect();
            Node::on(port, names[index], replicas[index].clone(), &peers)
        })
        .collect();
    let mut blocks = client(&[&nodes[0]]).follow(1);
    let before = ticks();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(60), blocks.next()).await;
    println!("idle: {:.2} % of a core", (ticks() - before) / 60.0);
    for node in nodes {
        node.stop().await;
    }
}
