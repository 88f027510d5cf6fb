//! Hosts: many networks in four processes. Seats come and go, and what happens to one never ends another.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod net;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::Signer;
use muniment_ledger::process::host::host;
use muniment_ledger::transaction::Transaction;
use muniment_ledger::wire::{SeatState, SeatStatus, TransactionStatus};
use muniment_receipts::key::SignerKey;
use muniment_receipts::statement::{Common, Statement};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use net::{HOSTS, Hosts, Network, member};

const LIMIT: Duration = Duration::from_secs(60);

async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(begin.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A host that runs in this process.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn start(hosts: &Arc<Hosts>, number: usize) -> Running {
    let (stop, stopped) = oneshot::channel();
    let hosts = Arc::clone(hosts);
    let task = tokio::spawn(async move {
        let stopped = Box::pin(async { drop(stopped.await) });
        let (from, data) = (hosts.from(number), hosts.data(number));
        host(&from, &data, hosts.addresses[number], stopped).await.unwrap();
    });
    Running { stop, task }
}

async fn stop(running: Running) {
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
}

async fn ready(hosts: &Hosts, network: &Network, count: usize) {
    let client = hosts.client(network);
    until("validators are ready", || async {
        let all = client.status().await;
        let ready = all
            .iter()
            .filter(|(_, s)| s.as_ref().is_ok_and(|s| s.voting && s.ready));
        (ready.count() == count).then_some(())
    })
    .await;
}

/// Writes one record, and waits until it is final.
async fn write(hosts: &Hosts, network: &Network, nonce: u8) {
    let mut input = serde_json::Map::new();
    let digest = hex::encode([nonce; 32]);
    input.insert("digests".into(), json!([{ "alg": "sha-256", "value": digest }]));
    input.insert("mode".into(), json!("plain"));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let common = Common {
        action: "deposit".into(),
        network: network.id,
        nonce: [nonce; 16],
        revision: 1,
        signer: SignerKey::ed25519(&member().verifying_key().to_bytes()),
        template: "notarization".into(),
        valid_until: now.as_millis() as u64 + 300_000,
    };
    let statement = Statement::new(common, input, None).canonical().unwrap();
    let signature = member().sign(&statement).to_bytes();
    let transaction = Transaction::Single { statement, signature };
    let (client, id) = (hosts.client(network), transaction.id());
    until("the record is final", || async {
        client.submit(std::slice::from_ref(&transaction)).await.ok()?;
        let status = client.transaction(&id, Duration::from_secs(5)).await.ok()?;
        matches!(status, TransactionStatus::Final { .. }).then_some(())
    })
    .await;
}

async fn seat(hosts: &Hosts, host: usize, network: &Network) -> Option<SeatStatus> {
    let url = format!("http://{}/n/{}/seat", hosts.addresses[host].api, network.seat);
    let answer = plain_http().get(url).bearer_auth(&network.token).send().await.ok()?;
    answer.json().await.ok()
}

async fn code(url: String) -> u16 {
    let answer = plain_http().get(url).send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

async fn height(hosts: &Hosts, network: &Network, host: usize) -> Option<u64> {
    let (_, status) = hosts.client(network).status().await.swap_remove(host);
    status.ok().map(|status| status.height)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_come_and_go_while_others_go_on() {
    let hosts = Arc::new(Hosts::new());
    let running: Vec<Running> = (0..HOSTS).map(|number| start(&hosts, number)).collect();
    let (one, two) = (hosts.network(1), hosts.network(2));
    hosts.seat_everywhere(&one);
    ready(&hosts, &one, HOSTS).await;
    write(&hosts, &one, 1).await;
    let before = height(&hosts, &one, 0).await.unwrap();

    hosts.seat_everywhere(&two);
    ready(&hosts, &two, HOSTS).await;
    write(&hosts, &two, 1).await;

    // A token opens its own seat only.
    let stranger = Network {
        token: two.token.clone(),
        ..one.clone()
    };
    assert!(seat(&hosts, 0, &stranger).await.is_none());
    assert!(hosts.client(&stranger).trust_root().await.is_err());

    // Kept data is found again, erased data is gone.
    (0..HOSTS).for_each(|host| hosts.unseat(host, &one, false));
    until("the seat is free", || async {
        seat(&hosts, 0, &one).await.is_none().then_some(())
    })
    .await;
    write(&hosts, &two, 2).await;
    hosts.seat_everywhere(&one);
    ready(&hosts, &one, HOSTS).await;
    assert!(height(&hosts, &one, 0).await.unwrap() >= before);
    (0..HOSTS).for_each(|host| hosts.unseat(host, &one, true));
    for host in 0..HOSTS {
        let url = || format!("http://{}/erased/{}", hosts.addresses[host].api, one.folder());
        until("the data is erased", || async {
            (code(url()).await == 204).then_some(())
        })
        .await;
        assert!(!hosts.data(host).join(one.folder()).exists());
        assert!(hosts.data(host).join(two.folder()).exists());
    }
    write(&hosts, &two, 3).await;
    for host in running {
        stop(host).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_seat_ends_no_other_and_heals() {
    let hosts = Arc::new(Hosts::new());
    let running: Vec<Running> = (0..HOSTS).map(|number| start(&hosts, number)).collect();
    let (well, sick) = (hosts.network(1), hosts.network(2));
    hosts.seat_everywhere(&well);
    hosts.seat_everywhere(&sick);
    // Somebody else's keys in one of the seats.
    let keys = format!("{}.keys.json", sick.seat);
    let mut right = Vec::new();
    hosts.mount(0, |files| {
        right = std::mem::replace(files.get_mut(&keys).unwrap(), b"{}".to_vec())
    });
    ready(&hosts, &well, HOSTS).await;
    ready(&hosts, &sick, HOSTS - 1).await;
    let said = until("the seat has failed three times", || async {
        seat(&hosts, 0, &sick).await.filter(|said| said.restarts >= 3)
    })
    .await;
    assert!(said.last_exit.unwrap().contains("keys"), "it says why");
    write(&hosts, &well, 1).await;
    write(&hosts, &sick, 1).await;
    let health = hosts.addresses[0].health;
    until("the broken seat holds up its host no longer", || async {
        (code(format!("http://{health}/readyz")).await == 200).then_some(())
    })
    .await;

    hosts.mount(0, |files| drop(files.insert(keys, right)));
    ready(&hosts, &sick, HOSTS).await;
    assert_eq!(seat(&hosts, 0, &sick).await.unwrap().state, SeatState::Running);
    for host in running {
        stop(host).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_was_away_catches_up_in_every_seat() {
    let hosts = Arc::new(Hosts::new());
    let mut running: Vec<Running> = (0..HOSTS).map(|number| start(&hosts, number)).collect();
    let networks: Vec<Network> = (1..4).map(|number| hosts.network(number)).collect();
    networks.iter().for_each(|network| hosts.seat_everywhere(network));
    for network in &networks {
        ready(&hosts, network, HOSTS).await;
    }
    stop(running.remove(0)).await;
    for network in &networks {
        write(&hosts, network, 1).await;
    }
    let tips = networks.iter().map(|network| height(&hosts, network, 1));
    let tips = futures::future::join_all(tips).await;
    running.insert(0, start(&hosts, 0));
    for (network, tip) in networks.iter().zip(tips) {
        until("the host has caught up", || async {
            height(&hosts, network, 0).await.filter(|height| Some(*height) >= tip)
        })
        .await;
    }
    // Other settings restart the replica in its seat alone.
    let changed = Network {
        limits: muniment_ledger::config::Limits {
            block_actions: 2_000,
            ..networks[0].limits.clone()
        },
        ..networks[0].clone()
    };
    let before = seat(&hosts, 0, &changed).await.unwrap().settings;
    hosts.seat(0, &changed);
    until("the seat has the new settings", || async {
        seat(&hosts, 0, &changed)
            .await
            .filter(|said| said.settings != before && said.state == SeatState::Running)
    })
    .await;
    ready(&hosts, &changed, HOSTS).await;
    assert_eq!(seat(&hosts, 0, &networks[1]).await.unwrap().restarts, 0);
    for host in running {
        stop(host).await;
    }
}

/// An HTTP client without certificates.
fn plain_http() -> reqwest::Client {
    muniment_ledger::tls::http(None).unwrap().build().unwrap()
}
