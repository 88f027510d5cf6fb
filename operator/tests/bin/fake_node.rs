//! A stand-in for `muniment node`: claims its folder, answers `/v1/status`, obeys SIGTERM (by dying of it).
//!
//! While a file `hold` lies in its folder it says that it doesn't vote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muniment_ledger::config::{NodeConfig, ReplicaConfig};
use muniment_ledger::wire::NodeStatus;
use muniment_operator::{PidFile, ValidatorCount, exit_with_parent};
use muniment_receipts::genesis::Genesis;

struct Fake {
    folder: PathBuf,
    replica: ReplicaConfig,
    network: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        arguments
            .iter()
            .position(|a| a == name)
            .map(|i| arguments[i + 1].clone())
    };
    let folder = PathBuf::from(value("--config").expect("--config"));
    if let Some(parent) = value("--parent") {
        exit_with_parent(parent.parse().unwrap());
    }
    let _claim = match PidFile::claim(&folder) {
        Ok(claim) => claim,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let fake = Arc::new(read(folder));
    println!("listening on {}", fake.replica.api);
    let listener = match TcpListener::bind(fake.replica.api) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("{} can't be listened on: {error}", fake.replica.api);
            std::process::exit(2);
        }
    };
    for stream in listener.incoming().flatten() {
        let fake = Arc::clone(&fake);
        std::thread::spawn(move || serve(&fake, stream));
    }
}

fn read(folder: PathBuf) -> Fake {
    let config: NodeConfig = serde_json::from_slice(&std::fs::read(folder.join("node.json")).unwrap()).unwrap();
    let replica = config.replicas[0].clone();
    let own = folder.join(&replica.name);
    let genesis: Genesis = serde_json::from_slice(&std::fs::read(own.join("genesis.json")).unwrap()).unwrap();
    assert!(own.join("keys.json").exists());
    let network = genesis
        .network_id()
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    Fake {
        folder,
        replica,
        network,
    }
}

fn held(folder: &Path) -> bool {
    folder.join("hold").exists()
}

fn status(fake: &Fake) -> NodeStatus {
    let voting = !held(&fake.folder);
    let validators = fake.replica.peers.len() + 1;
    NodeStatus {
        network: fake.network.clone(),
        name: fake.replica.name.clone(),
        version: "fake".to_owned(),
        height: fake.replica.limits.block_actions as u64,
        state_root: String::new(),
        log_size: 1,
        time: 0,
        peers: Vec::new(),
        validators,
        quorum: ValidatorCount::of(validators).quorum() as usize,
        mempool: 0,
        voting,
        ready: voting,
    }
}

fn serve(fake: &Fake, mut stream: TcpStream) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if input.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let allowed = head
            .to_ascii_lowercase()
            .contains(&format!("authorization: bearer {}", fake.replica.token));
        let (code, body) = if !allowed {
            ("401 Unauthorized", String::new())
        } else if head.starts_with("GET /v1/status ") {
            ("200 OK", serde_json::to_string(&status(fake)).unwrap())
        } else {
            ("404 Not Found", String::new())
        };
        let answer = format!("HTTP/1.1 {code}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
