//! What a shared network costs: four host processes with many idle networks. Prints the figures of `docs/benchmarks.md`.
//!
//! `cargo bench -p muniment-ledger --bench hosts_bench -- [networks] [idle seconds] [program]`
//!
//! Without a program this one hosts, with the system's allocator; `target/release/muniment` is what is shipped. Memory is
//! what the kernel counts as private to the four processes and their part of what they share (Pss). Linux only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/hosts/net.rs"]
mod net;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muniment_ledger::node::host::Addresses;
use muniment_ledger::process::host::run_host;
use net::{HOSTS, Hosts, Network};

fn main() {
    // `--bench` is added by `cargo bench`.
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if arguments.get(1).is_some_and(|word| word == "node") {
        let value = |name: &str| arguments.iter().skip_while(|word| *word != name).nth(1).unwrap();
        let addresses = Addresses {
            api: value("--listen").parse().unwrap(),
            health: value("--health").parse().unwrap(),
        };
        let (from, folder) = (Path::new(value("--seats")), Path::new(value("--config")));
        return runtime.block_on(run_host(from, folder, addresses)).unwrap();
    }
    let count: u16 = arguments.get(1).map_or(50, |text| text.parse().unwrap());
    let idle: u64 = arguments.get(2).map_or(60, |text| text.parse().unwrap());
    let program = arguments
        .get(3)
        .map_or_else(|| std::env::current_exe().unwrap(), PathBuf::from);
    runtime.block_on(bench(count, Duration::from_secs(idle), &program));
}

/// The host processes; they end with this.
struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

async fn bench(count: u16, idle: Duration, program: &Path) {
    let hosts = Hosts::new();
    let start = |host: usize| {
        let addresses = hosts.addresses[host];
        Command::new(program)
            .args([
                "node",
                "--listen",
                &addresses.api.to_string(),
                "--health",
                &addresses.health.to_string(),
            ])
            .arg("--seats")
            .arg(hosts.from(host))
            .arg("--config")
            .arg(hosts.data(host))
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let processes = Processes((0..HOSTS).map(start).collect());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let empty = Usage::of(&processes);
    println!("{count} networks in {HOSTS} hosts, {}", program.display());
    println!(
        "without a network: {:.1} MB, {} threads",
        empty.megabytes(),
        empty.threads
    );
    let begin = Instant::now();
    let networks: Vec<Network> = (0..count).map(|number| hosts.network(number)).collect();
    let mut times = Vec::new();
    for network in &networks {
        let seated = Instant::now();
        hosts.seat_everywhere(network);
        ready(&hosts, network).await;
        times.push(seated.elapsed().as_millis());
    }
    times.sort_unstable();
    println!(
        "seat → ready, one after another: p50 {} ms, p95 {} ms; all after {:.1} s",
        times[times.len() / 2],
        times[times.len() * 95 / 100],
        begin.elapsed().as_secs_f64()
    );
    tokio::time::sleep(idle).await;
    let before = Usage::of(&processes);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = Usage::of(&processes);
    let each = (after.kilobytes - empty.kilobytes) as f64 / 1024.0 / f64::from(count);
    let cores = (after.ticks - before.ticks) as f64 / 100.0 / 20.0;
    println!(
        "idle for {} s: {:.1} MB, {} threads; {each:.2} MB a network over all its replicas; {:.2} % of a core a network",
        idle.as_secs(),
        after.megabytes(),
        after.threads,
        cores * 100.0 / f64::from(count)
    );
}

async fn ready(hosts: &Hosts, network: &Network) {
    let client = hosts.client(network);
    loop {
        let all = client.status().await;
        if all
            .iter()
            .filter(|(_, s)| s.as_ref().is_ok_and(|s| s.voting && s.ready))
            .count()
            == HOSTS
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the processes take together.
struct Usage {
    kilobytes: u64,
    threads: u64,
    ticks: u64,
}

impl Usage {
    fn of(processes: &Processes) -> Self {
        let mut sum = Self {
            kilobytes: 0,
            threads: 0,
            ticks: 0,
        };
        for child in &processes.0 {
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
            let number = |text: &str, name: &str| -> u64 {
                let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                line.split_whitespace().next().unwrap().parse().unwrap()
            };
            sum.kilobytes += number(&read("smaps_rollup"), "Pss:");
            sum.threads += number(&read("status"), "Threads:");
            let stat = read("stat");
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            sum.ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
        sum
    }

    fn megabytes(&self) -> f64 {
        self.kilobytes as f64 / 1024.0
    }
}
