//! Throughput of the API alone, with receipts, over the in-memory replica. Run by hand:
//! `cargo test --release -p muniment-api --test it -- --ignored --nocapture bench`.

use super::support::{NETWORK, World, deposit};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

async fn load(world: &Arc<World>, next: &Arc<AtomicU64>, clients: usize, batch: usize, time: Duration) {
    let end = Instant::now() + time;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (world, next) = (world.clone(), next.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let begin = Instant::now();
                    let first = next.fetch_add(batch as u64, Ordering::Relaxed);
                    let (path, body, want) = if batch == 1 {
                        (format!("{NETWORK}/notarizations"), deposit(first), StatusCode::CREATED)
                    } else {
                        let items: Vec<_> = (first..first + batch as u64).map(deposit).collect();
                        (
                            format!("{NETWORK}/notarizations:batch"),
                            json!({ "items": items }),
                            StatusCode::OK,
                        )
                    };
                    let response = world.post(&path, &body).send().await.unwrap();
                    assert_eq!(response.status(), want);
                    response.bytes().await.unwrap();
                    times.push(begin.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort();
    let seconds = started.elapsed().as_secs_f64();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_millis();
    println!(
        "{clients} clients, batches of {batch}: {:.0} actions/s, p50 {} ms, p90 {} ms, p99 {} ms, {:.2} cores (load generator and twin included)",
        (times.len() * batch) as f64 / seconds,
        at(0.5),
        at(0.9),
        at(0.99),
        (cpu_seconds() - cpu) / seconds,
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, run by hand"]
async fn bench() {
    let world = Arc::new(World::sized(1, |_| {}).await);
    // One validator, so that the node doesn't wait for peers that aren't there.
    let next = Arc::new(AtomicU64::new(1 << 32));
    for clients in [1, 16, 128] {
        load(&world, &next, clients, 1, Duration::from_secs(4)).await;
    }
    for clients in [1, 8] {
        load(&world, &next, clients, 1_000, Duration::from_secs(4)).await;
    }
}
