//! What the toll gate counts: writes that are paid for, under way and held, over all connections.
//!
//! A connection carries one request after another, so the first bytes that come back after a write are its answer.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Writes that may still pass.
    left: usize,
    /// Writes that have passed and aren't answered yet.
    under_way: usize,
    /// Writes that wait for one to be left.
    held: usize,
}

impl Counts {
    /// Whether nothing moves until more is let through.
    fn is_still(self) -> bool {
        self.left == 0 && self.under_way == 0 && self.held > 0
    }
}

/// Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(watch::Sender<Counts>);

/// A write under way, or one that is held, until it is dropped.
struct Counted(Gate, fn(&mut Counts) -> &mut usize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.send_modify(|counts| *(self.1)(counts) -= 1);
    }
}

/// The write of a connection that is under way. An answer takes it out, and so does the end of the connection.
type UnderWay = Arc<Mutex<Option<Counted>>>;

impl Gate {
    /// Lets so many writes through from now on.
    pub fn open(&self, writes: usize) {
        self.0.send_modify(|counts| counts.left = writes);
    }

    /// Resolves when a write is held and none is under way.
    pub async fn held(&self) {
        let mut seen = self.0.subscribe();
        // It can't be closed: we hold it.
        let _ = seen.wait_for(|counts| counts.is_still()).await;
    }

    /// Passes connections on, for ever.
    pub async fn serve(self, listener: TcpListener, upstream: String) {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (gate, upstream) = (self.clone(), upstream.clone());
            // A connection that breaks is the operator's to make anew.
            connections.spawn(async move {
                let _ = gate.pass(client, &upstream).await;
            });
            while connections.try_join_next().is_some() {}
        }
    }

    /// One connection: requests one after another, answers as they come.
    async fn pass(&self, client: TcpStream, upstream: &str) -> std::io::Result<()> {
        let (from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = TcpStream::connect(upstream).await?.into_split();
        let under_way = UnderWay::default();
        let mut answers = JoinSet::new();
        answers.spawn(answer(from_server, to_client, Arc::clone(&under_way)));
        let mut requests = BufReader::new(from_client);
        while let Some(request) = Request::read(&mut requests).await? {
            if request.is_write() {
                let Some(paid) = self.toll(&mut requests).await? else {
                    break;
                };
                *under_way.lock().unwrap() = Some(paid);
            }
            to_server.write_all(&request.without_credentials()).await?;
        }
        Ok(())
    }

    /// Takes one of the writes that are left, or waits for there to be one. `None` when whoever asked is gone meanwhile:
    /// the write of a dead operator reaches nobody.
    async fn toll(&self, client: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<Counted>> {
        let mut seen = self.0.subscribe();
        self.0.send_modify(|counts| counts.held += 1);
        let _held = Counted(self.clone(), |counts| &mut counts.held);
        loop {
            let paid = self.0.send_if_modified(|counts| {
                let some = counts.left > 0;
                counts.left -= usize::from(some);
                counts.under_way += usize::from(some);
                some
            });
            if paid {
                return Ok(Some(Counted(self.clone(), |counts| &mut counts.under_way)));
            }
            tokio::select! {
                // Nothing more is asked before this was answered: what can be read here is the end.
                end = client.fill_buf() => return end.map(|_| None),
                _ = seen.wait_for(|counts| counts.left > 0) => {}
            }
        }
    }
}

/// Passes answers on. The first bytes after a write are what it was waited for.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, under_way: UnderWay) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let passed = to.write_all(&bytes[..read]).await;
        under_way.lock().unwrap().take();
        if passed.is_err() {
            break;
        }
    }
    under_way.lock().unwrap().take();
}

/// Head and body of a request.
struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// The next one; `None` at the end.
    async fn read(from: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut head).await? == 0 {
                return Ok(None);
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        from.read_exact(&mut body).await?;
        Ok(Some(Self { head, body }))
    }

    /// Who leads and what is told of events isn't what is tested.
    fn is_write(&self) -> bool {
        let line = self.head.lines().next().unwrap_or_default();
        !line.starts_with("GET ") && !line.contains("/leases") && !line.contains("/events")
    }

    /// Whose they are is `kubectl proxy`'s business.
    fn without_credentials(&self) -> Vec<u8> {
        let lines = self.head.split_inclusive("\r\n");
        let head: String = lines
            .filter(|line| !line.to_lowercase().starts_with("authorization:"))
            .collect();
        [head.as_bytes(), &self.body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// A server that says which requests came, and answers each when it is told to.
    struct Server {
        came: mpsc::UnboundedReceiver<(String, TcpStream)>,
        address: String,
        gate: Gate,
        _tasks: JoinSet<()>,
    }

    impl Server {
        async fn start() -> Self {
            let (listener, behind) = (local().await, local().await);
            let (address, upstream) = (listener.1, behind.1);
            let (tell, came) = mpsc::unbounded_channel();
            let gate = Gate::default();
            let mut tasks = JoinSet::new();
            tasks.spawn(gate.clone().serve(listener.0, upstream));
            tasks.spawn(async move {
                let mut reads = JoinSet::new();
                while let Ok((mut connection, _)) = behind.0.accept().await {
                    let tell = tell.clone();
                    reads.spawn(async move {
                        let mut bytes = [0; 512];
                        let read = connection.read(&mut bytes).await.unwrap_or(0);
                        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                        let _ = tell.send((text.lines().next().unwrap_or_default().to_owned(), connection));
                    });
                }
            });
            Self {
                came,
                address,
                gate,
                _tasks: tasks,
            }
        }

        async fn ask(&self, line: &str) -> TcpStream {
            let mut client = TcpStream::connect(&self.address).await.unwrap();
            let request = format!("{line} HTTP/1.1\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n{{}}");
            client.write_all(request.as_bytes()).await.unwrap();
            client
        }

        /// Waits until the counts are these.
        async fn counts(&self, left: usize, under_way: usize, held: usize) {
            let wanted = Counts { left, under_way, held };
            let mut seen = self.gate.0.subscribe();
            seen.wait_for(|counts| *counts == wanted).await.unwrap();
        }
    }

    async fn local() -> (TcpListener, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    #[tokio::test]
    async fn a_held_write_counts_only_when_the_one_before_it_is_answered() {
        let mut server = Server::start().await;
        server.gate.open(1);
        let _first = server.ask("PATCH /first").await;
        let (line, mut behind) = server.came.recv().await.unwrap();
        assert_eq!(line, "PATCH /first HTTP/1.1");
        let _second = server.ask("PATCH /second").await;
        server.counts(0, 1, 1).await;
        assert!(!server.gate.0.borrow().is_still(), "the first is under way");
        behind.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        server.gate.held().await;
        server.counts(0, 0, 1).await;
    }

    #[tokio::test]
    async fn a_write_whose_connection_ends_is_answered_too() {
        let mut server = Server::start().await;
        server.gate.open(1);
        let first = server.ask("POST /first").await;
        let behind = server.came.recv().await.unwrap();
        let _second = server.ask("POST /second").await;
        server.counts(0, 1, 1).await;
        drop(behind);
        server.gate.held().await;
        drop(first);
    }

    #[tokio::test]
    async fn the_write_of_a_dead_operator_takes_nobodys_turn() {
        let mut server = Server::start().await;
        let dead = server.ask("PUT /dead").await;
        server.gate.held().await;
        drop(dead);
        server.counts(0, 0, 0).await;
        // Nothing but writes is held.
        let _reads = [server.ask("GET /read").await, server.ask("POST /events").await];
        // The connection of the dead one ended without a word.
        let mut lines = Vec::new();
        for _ in 0..3 {
            lines.push(server.came.recv().await.unwrap().0);
        }
        server.gate.open(1);
        let _next = server.ask("PUT /next").await;
        lines.push(server.came.recv().await.unwrap().0);
        assert_eq!(lines[3], "PUT /next HTTP/1.1");
        assert!(!lines.iter().any(|line| line.contains("dead")), "{lines:?}");
    }
}
