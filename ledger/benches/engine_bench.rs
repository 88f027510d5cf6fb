//! Four engines in one process on loopback: blocks per second and submit-to-decided times.
//!
//! ```text
//! cargo bench -p muniment-ledger --bench engine_bench -- [transactions/s] [seconds] [engines down]
//! ```
//! Rate 0 measures one transaction at a time on an idle network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/engine/net.rs"]
mod net;
#[path = "../tests/engine/toy.rs"]
mod toy;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use muniment_ledger::engine::Application;
use net::Net;

const SIZE: usize = 512;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        // Added by `cargo bench`.
        .filter(|argument| argument != "--bench")
        .map(|argument| argument.parse::<u64>().expect("a number"));
    let rate = arguments.next().unwrap_or(1000);
    let seconds = arguments.next().unwrap_or(10);
    let down = usize::try_from(arguments.next().unwrap_or(0)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(rate, Duration::from_secs(seconds), down));
}

async fn run(rate: u64, length: Duration, down: usize) {
    let mut net = Net::new(4);
    let begin = Instant::now();
    net.start_all().await;
    net.commit(b"first").await;
    println!("four engines started and decided after {:?}", begin.elapsed());
    for index in 4 - down..4 {
        net.stop(index).await;
    }
    let times = Arc::new(Mutex::new(Vec::new()));
    net.nodes[0].toy.disk().on_decided = Some(Box::new({
        let times = times.clone();
        move |block| {
            let now = begin.elapsed();
            let sent =
                |transaction: &Vec<u8>| Duration::from_nanos(u64::from_be_bytes(transaction[..8].try_into().unwrap()));
            times
                .lock()
                .unwrap()
                .extend(block.transactions.iter().map(|transaction| now - sent(transaction)));
        }
    }));
    let (first, start) = (net.nodes[0].toy.tip(), Instant::now());
    let mut sent = 0_u64;
    while start.elapsed() < length {
        let due = if rate == 0 {
            sent + 1
        } else {
            (start.elapsed().as_millis() as u64 * rate) / 1000
        };
        while sent < due {
            let mut transaction = vec![0; SIZE];
            transaction[..8].copy_from_slice(&(begin.elapsed().as_nanos() as u64).to_be_bytes());
            transaction[8..16].copy_from_slice(&sent.to_be_bytes());
            net.submit(&transaction);
            sent += 1;
        }
        if rate == 0 {
            while times.lock().unwrap().len() < usize::try_from(sent).unwrap() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        } else {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    net::until("the rest", || times.lock().unwrap().len() as u64 == sent).await;
    report(
        &mut times.lock().unwrap(),
        net.nodes[0].toy.tip() - first,
        start.elapsed(),
    );
}

fn report(times: &mut [Duration], blocks: u64, length: Duration) {
    times.sort_unstable();
    let seconds = length.as_secs_f64();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "{} transactions of {SIZE} bytes in {seconds:.1} s: {:.0}/s",
        times.len(),
        times.len() as f64 / seconds
    );
    println!("{blocks} blocks: {:.1}/s", blocks as f64 / seconds);
    println!(
        "submit to decided: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
