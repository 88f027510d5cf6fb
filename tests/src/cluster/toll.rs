//! A toll gate between the operator and the Kubernetes API: it lets so many writes through and holds the next one, so
//! that the operator can be killed between any two of its writes. Plain HTTP, for tests on one machine.
//!
//! Behind it stands `kubectl proxy`, so that nothing of TLS or credentials is our business.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// The gate. Open for as many writes as it is told; ends when it is dropped.
pub struct Toll {
    left: watch::Sender<usize>,
    held: Arc<Notify>,
    behind: Child,
    task: tokio::task::JoinHandle<()>,
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
        let (left, held) = (watch::Sender::new(0), Arc::new(Notify::new()));
        let gate = (left.clone(), held.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, (left, held)) = (upstream.clone(), gate.clone());
                // A connection that breaks is the operator's to make anew.
                tokio::spawn(async move {
                    let _ = pass(client, &upstream, &left, &held).await;
                });
            }
        });
        Self {
            left,
            held,
            behind,
            task,
        }
    }

    /// Lets so many more writes through.
    pub fn open(&self, writes: usize) {
        self.left.send_replace(writes);
    }

    /// Resolves when a write is held.
    pub async fn held(&self) {
        self.held.notified().await;
    }
}

impl Drop for Toll {
    fn drop(&mut self) {
        self.task.abort();
        let _ = self.behind.kill();
        let _ = self.behind.wait();
    }
}

/// One connection: requests one after another, answers as they come.
async fn pass(client: TcpStream, upstream: &str, left: &watch::Sender<usize>, held: &Notify) -> std::io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(upstream).await?.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut requests = Lines::new(from_client);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if requests.read_until(b'\n', &mut head).await? == 0 {
                answers.abort();
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        requests.read_exact(&mut body).await?;
        if is_write(&text) {
            toll(left, held).await;
        }
        // Whose credentials these are is `kubectl proxy`'s business.
        let head = String::from_utf8_lossy(&head);
        let lines = head
            .split_inclusive("\r\n")
            .filter(|line| !line.to_lowercase().starts_with("authorization:"));
        to_server.write_all(lines.collect::<String>().as_bytes()).await?;
        to_server.write_all(&body).await?;
    }
}

/// Who leads and what is told of events isn't what is tested.
fn is_write(head: &str) -> bool {
    let line = head.lines().next().unwrap_or_default();
    !line.starts_with("get ") && !line.contains("/leases") && !line.contains("/events")
}

/// Takes one of the writes that are left, or waits for there to be one.
async fn toll(left: &watch::Sender<usize>, held: &Notify) {
    let mut seen = left.subscribe();
    loop {
        let paid = left.send_if_modified(|left| {
            let some = *left > 0;
            *left -= usize::from(some);
            some
        });
        if paid {
            return;
        }
        held.notify_one();
        if seen.wait_for(|left| *left > 0).await.is_err() {
            return;
        }
    }
}
