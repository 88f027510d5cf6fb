//! A toll gate between the operator and the Kubernetes API: it lets so many writes through and holds the next one, so
//! that the operator can be killed between any two of its writes. Plain HTTP, for tests on one machine.
//!
//! Behind it stands `kubectl proxy`, so that nothing of TLS or credentials is our business.

mod gate;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use gate::Gate;

/// The gate. Open for as many writes as it is told; ends when it is dropped.
pub struct Toll {
    gate: Gate,
    behind: Child,
    _task: JoinSet<()>,
}

impl Toll {
    /// Listens on an address that pods reach.
    ///
    /// # Panics
    /// When it can't, or `kubectl proxy` doesn't start.
    pub async fn listen(address: &str) -> Self {
        let tool = std::env::var("MUNIMENT_CLUSTER_TOOL").expect("MUNIMENT_CLUSTER_TOOL names the tool of the cluster");
        let mut behind = Command::new(tool)
            .args(["kubectl", "proxy", "--port=0", "--reject-paths=^$", "--accept-hosts=.*"])
            .stdout(Stdio::piped())
            // The tool is a script: what it starts ends with it.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(behind.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let upstream = said
            .trim()
            .rsplit(' ')
            .next()
            .expect("it says where it listens")
            .to_owned();
        let listener = TcpListener::bind(address).await.unwrap();
        let gate = Gate::default();
        let mut task = JoinSet::new();
        task.spawn(gate.clone().serve(listener, upstream));
        Self {
            gate,
            behind,
            _task: task,
        }
    }

    /// Lets so many more writes through.
    pub fn open(&self, writes: usize) {
        self.gate.open(writes);
    }

    /// Resolves when a write is held, and every one before it was answered: whoever is killed now has done all of its
    /// writes or none of any.
    pub async fn held(&self) {
        self.gate.held().await;
    }
}

impl Drop for Toll {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.behind), Signal::KILL);
        let _ = self.behind.wait();
    }
}
