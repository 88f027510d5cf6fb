//! The management API as the CLI sees it: one connection pool, retries that are safe to make, answers as types.
//!
//! Every write carries an `Idempotency-Key`, so a write may be sent again after a lost answer or a restart of the
//! server, and means the same.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muniment_api::problem::Code;
use muniment_api::types::{ItemOutcome, Network, Operation, Problem, Recorded, RecordedBatch};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::context::{Choice, Context};
use crate::error::{Failure, Result, chain};
use crate::output::Output;

/// How long a server that was reachable before may be away, and how long a write may wait for finality after the server
/// has said that it isn't final yet.
const PATIENCE: Duration = Duration::from_secs(120);
/// When it is said that a write takes long.
const LONG: Duration = Duration::from_secs(10);
/// Code of a write that was accepted and isn't final when patience ends.
pub const NOT_FINAL: &str = "not_final";
/// Steps of one page of a history.
const HISTORY: usize = 200;
/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Seconds a write asks the server to wait for finality.
pub const WAIT: u32 = 30;

/// A client of one tenant's network.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    context: Context,
    talk: Arc<dyn Fn(&str) + Send + Sync>,
    patience: Duration,
    long: Duration,
}

/// Answer to a write.
pub enum Written<T> {
    /// Final.
    Done(T),
    /// Accepted, final later.
    Pending(Operation),
    /// Refused, nothing changed.
    Refused(Problem),
}

/// Why one attempt did not give an answer.
enum Attempt {
    /// Nothing was heard, or the server asked to come again.
    Again(Option<Duration>, Failure),
    /// No use in trying again.
    Fatal(Failure),
}

impl Client {
    /// A client for a context. Does not connect yet.
    ///
    /// # Errors
    /// When the HTTP client can't be built.
    pub fn new(context: Context) -> Result<Self> {
        let http = crate::http::builder()?
            .user_agent(concat!("muniment/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(u64::from(WAIT) + 30))
            .build()
            .map_err(|error| crate::http::failed(&error))?;
        Ok(Self {
            http,
            context,
            talk: Arc::new(|_| {}),
            patience: PATIENCE,
            long: LONG,
        })
    }

    /// The same for the chosen context; says on `output` when a write takes long.
    ///
    /// # Errors
    /// When there is no usable context.
    pub fn open(choice: &Choice, output: Output) -> Result<Self> {
        Ok(Self::new(choice.load()?)?.talking(move |text| output.say(text)))
    }

    /// Lets the person at the terminal know when a write takes long.
    pub fn talking(self, talk: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            talk: Arc::new(talk),
            ..self
        }
    }

    /// The context it was made for.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// URL of a path below the tenant's network.
    pub fn url(&self, below: &str) -> String {
        let Context {
            server,
            tenant,
            network,
            ..
        } = &self.context;
        format!("{server}/v1/tenants/{tenant}/networks/{network}{below}")
    }

    /// The network with each validator's own answer. Not retried: it is also the first contact.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn network(&self) -> Result<Network> {
        self.get_once(&self.url("")).await
    }

    /// The network's trust root file.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn trust_root(&self) -> Result<Vec<u8>> {
        self.bytes(&self.url("/trust-root")).await
    }

    /// A receipt of an earlier record.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn receipt(&self, record: &str) -> Result<Vec<u8>> {
        self.bytes(&self.url(&format!("/records/{record}/receipt"))).await
    }

    /// Any JSON answer.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let bytes = self.bytes(url).await?;
        parse(&bytes)
    }

    /// All entries of a history, page after page.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn history(&self, below: &str) -> Result<serde_json::Value> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let url = self.url(&format!("{below}?after={after}&limit={HISTORY}"));
            let page: Vec<serde_json::Value> = self.get(&url).await?;
            let whole = page.len() < HISTORY;
            all.extend(page);
            let last = all.last().and_then(|step| step["version"].as_u64());
            match last {
                // A server that doesn't get on would be asked for ever.
                Some(last) if !whole && last > after => after = last,
                _ => return Ok(all.into()),
            }
        }
    }

    async fn get_once<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        match self.attempt(self.http.request(Method::GET, url)).await {
            Ok((status, bytes)) if status.is_success() => parse(&bytes),
            Ok((status, bytes)) => Err(refusal(status, &bytes)),
            Err(Attempt::Again(_, failure) | Attempt::Fatal(failure)) => Err(failure),
        }
    }

    /// Any answer, byte for byte.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn bytes(&self, url: &str) -> Result<Vec<u8>> {
        let (status, bytes) = self.patiently(|| self.http.request(Method::GET, url)).await?;
        if status.is_success() {
            Ok(bytes)
        } else {
            Err(refusal(status, &bytes))
        }
    }

    /// One deposit. `key` makes repetitions safe.
    ///
    /// # Errors
    /// When no answer is had within two minutes, or the request as a whole is refused.
    pub async fn notarize(&self, body: Vec<u8>, key: &str) -> Result<Written<Recorded>> {
        self.post("/notarizations", JSON, body, key).await
    }

    /// Up to 1,000 deposits. `key` makes repetitions safe.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn notarize_batch(&self, body: Vec<u8>, key: &str) -> Result<Written<RecordedBatch>> {
        self.post("/notarizations:batch", JSON, body, key).await
    }

    /// Any write below the network. `key` makes repetitions safe.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        below: &str,
        media_type: &str,
        body: Vec<u8>,
        key: &str,
    ) -> Result<Written<T>> {
        self.send(Method::POST, below, media_type, body, key).await
    }

    /// The same with any method.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        below: &str,
        media_type: &str,
        body: Vec<u8>,
        key: &str,
    ) -> Result<Written<T>> {
        let url = self.url(below);
        let body = bytes::Bytes::from(body);
        let request = || {
            self.http
                .request(method.clone(), &url)
                .header("content-type", media_type)
                .header("prefer", format!("wait={WAIT}"))
                .header("idempotency-key", key)
                .body(body.clone())
        };
        let (status, bytes) = self.told_when_long(self.patiently(request)).await?;
        match status {
            StatusCode::ACCEPTED => Ok(Written::Pending(parse(&bytes)?)),
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::FORBIDDEN => {
                match serde_json::from_slice(&bytes) {
                    Ok(problem) => Ok(Written::Refused(problem)),
                    Err(_) => Err(refusal(status, &bytes)),
                }
            }
            status if status.is_success() => Ok(Written::Done(parse(&bytes)?)),
            status => Err(refusal(status, &bytes)),
        }
    }

    /// One action, until it is final.
    ///
    /// # Errors
    /// As [`Self::notarize`], and when the network refuses it.
    pub async fn step(&self, below: &str, media_type: &str, body: Vec<u8>) -> Result<Recorded> {
        match self.outcome(below, media_type, body).await? {
            ItemOutcome::Accepted(recorded) => Ok(recorded),
            ItemOutcome::Rejected {
                code, detail, findings, ..
            } => Err(Failure {
                findings,
                ..refused(&code, &detail)
            }),
        }
    }

    /// One action, until the network has decided.
    ///
    /// # Errors
    /// As [`Self::notarize`].
    pub async fn outcome(&self, below: &str, media_type: &str, body: Vec<u8>) -> Result<ItemOutcome> {
        let key = uuid::Uuid::now_v7().to_string();
        match self.post(below, media_type, body, &key).await? {
            Written::Done(recorded) => Ok(ItemOutcome::Accepted(recorded)),
            Written::Refused(problem) => Ok(rejected(problem)),
            Written::Pending(operation) => self
                .decided(operation)
                .await?
                .items
                .pop()
                .ok_or_else(|| Failure::new("protocol", "the server decided nothing", "run the same command again")),
        }
    }

    /// A write outside of the network, such as of the tenant's own. Not retried: it carries no key.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn create<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T> {
        let url = format!("{}/v1/tenants/{}{path}", self.context.server, self.context.tenant);
        self.ask(Method::POST, &url, body).await
    }

    /// Any such write.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn ask<T: DeserializeOwned>(&self, method: Method, url: &str, body: &serde_json::Value) -> Result<T> {
        match self.attempt(self.http.request(method, url).json(body)).await {
            Ok((status, bytes)) if status.is_success() => parse(&bytes),
            Ok((status, bytes)) => Err(refusal(status, &bytes)),
            Err(Attempt::Again(_, failure) | Attempt::Fatal(failure)) => Err(failure),
        }
    }

    /// Deletes something; not retried.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn delete(&self, url: &str) -> Result<()> {
        match self.attempt(self.http.request(Method::DELETE, url)).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, bytes)) => Err(refusal(status, &bytes)),
            Err(Attempt::Again(_, failure) | Attempt::Fatal(failure)) => Err(failure),
        }
    }

    /// Says once, if this takes long, what may be the reason.
    async fn told_when_long<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        if let Ok(done) = tokio::time::timeout(self.long, &mut work).await {
            return done;
        }
        (self.talk)(
            "still waiting for the network: too few validators may be up (`muniment network status` tells); nothing \
             that was accepted is lost",
        );
        work.await
    }

    /// Waits until an operation is decided.
    ///
    /// # Errors
    /// [`NOT_FINAL`] when it isn't within two minutes; when the server stays away as long or forgot the operation.
    pub async fn decided(&self, mut operation: Operation) -> Result<Operation> {
        let url = format!("{}/v1/operations/{}", self.context.server, operation.id);
        let start = Instant::now();
        let mut pause = Duration::from_millis(100);
        while operation.phase == "pending" {
            if start.elapsed() > self.patience {
                let seconds = self.patience.as_secs();
                return Err(Failure::new(
                    NOT_FINAL,
                    format!("the server has accepted it, and it isn't final after {seconds} s more"),
                    format!("see `muniment network status`; it becomes final when the quorum holds, GET {url} tells"),
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
            operation = self.get(&url).await?;
        }
        Ok(operation)
    }

    /// Sends until there is an answer. Waits between attempts as the server asked, else with growing pauses.
    async fn patiently(&self, request: impl Fn() -> RequestBuilder) -> Result<(StatusCode, Vec<u8>)> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let failure = match self.attempt(request()).await {
                Ok(answer) => return Ok(answer),
                Err(Attempt::Fatal(failure)) => return Err(failure),
                Err(Attempt::Again(asked, failure)) => {
                    pause = asked.unwrap_or(pause);
                    failure
                }
            };
            if start.elapsed() + pause > self.patience {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn attempt(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Attempt> {
        let answer = request
            .bearer_auth(&self.context.api_key)
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let asked = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            .map(|seconds| Duration::from_secs(seconds.min(10)));
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?.to_vec();
        let again = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        if again.contains(&status) || is_in_flight(status, &bytes) {
            return Err(Attempt::Again(asked, refusal(status, &bytes)));
        }
        Ok((status, bytes))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Attempt {
        if error.is_builder() {
            return Attempt::Fatal(Failure::usage(
                "bad_server",
                format!(
                    "{} is not a usable server address: {}",
                    self.context.server,
                    chain(error)
                ),
                "give one like http://127.0.0.1:8400",
            ));
        }
        Attempt::Again(
            None,
            Failure::new(
                "unreachable",
                format!(
                    "the server at {} can't be reached: {}",
                    self.context.server,
                    chain(error)
                ),
                "start it with `muniment dev`, or name another one with --server",
            ),
        )
    }
}

/// Whether the server still works on the same request: the connection broke, and it has not noticed. It answers when it
/// is done.
fn is_in_flight(status: StatusCode, bytes: &[u8]) -> bool {
    status == StatusCode::CONFLICT
        && serde_json::from_slice::<Problem>(bytes)
            .is_ok_and(|problem| problem.code == Code::IDEMPOTENCY_IN_FLIGHT.name)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(
            "protocol",
            format!("the server's answer can't be understood: {error}"),
            "compare `muniment --version` with the server's /version",
        )
    })
}

/// A refusal in the words of a batch.
pub fn rejected(problem: Problem) -> ItemOutcome {
    ItemOutcome::Rejected {
        code: problem.code,
        detail: problem.detail,
        pointer: problem.pointer.unwrap_or_default(),
        record: problem.record,
        findings: problem.findings,
    }
}

/// A refusal of the network: its sentence, and the code that templates and their cases know.
pub fn refused(code: &str, detail: &str) -> Failure {
    Failure::new(code, format!("{detail} ({code})"), "correct what the message names")
}

/// A refusal of the server as a CLI error. The server's own words say how to fix it.
pub fn refusal(status: StatusCode, bytes: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(bytes) else {
        return Failure::new(
            "protocol",
            format!("the server answered {status} without saying why"),
            "check that --server is a muniment server",
        );
    };
    let next = match status {
        StatusCode::UNAUTHORIZED => {
            "use the key in the context file that `muniment dev` wrote, or set MUNIMENT_API_KEY".to_owned()
        }
        StatusCode::NOT_FOUND => "check --tenant and --network, and the id".to_owned(),
        StatusCode::SERVICE_UNAVAILABLE => {
            "see `muniment network status`; run the same command again when quorum holds".to_owned()
        }
        StatusCode::FORBIDDEN => "use an API key that may do this".to_owned(),
        StatusCode::TOO_MANY_REQUESTS => "wait a little and run the same command again".to_owned(),
        // What is wrong with a request, and how to mend it, is in the detail; so is what this server can't do at all.
        status if status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED => {
            "correct what the message names".to_owned()
        }
        _ => format!("look for request {} in the server's log", problem.request_id),
    };
    Failure::new(&problem.code, format!("{} ({status})", problem.detail), next)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};

    /// Reads one request; answers its idempotency key.
    fn request(input: &mut BufReader<TcpStream>) -> String {
        let (mut key, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            input.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("idempotency-key", value)) => key = value.to_owned(),
                Some(("content-length", value)) => length = value.parse().unwrap(),
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        input.read_exact(&mut vec![0; length]).unwrap();
        key
    }

    fn respond(input: &mut BufReader<TcpStream>, status: &str, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        input.get_mut().write_all(answer.as_bytes()).unwrap();
    }

    fn context(server: String) -> Context {
        Context {
            version: 1,
            server,
            api_key: "mnk_x".to_owned(),
            tenant: "demo".to_owned(),
            network: "notary".to_owned(),
            trust_root: None,
            data_dir: None,
            identity: None,
        }
    }

    #[test]
    fn a_request_whose_connection_broke_is_sent_again_until_the_server_has_finished_the_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let in_flight =
            r#"{"type":"t","title":"t","status":409,"code":"idempotency_in_flight","detail":"d","requestId":"r"}"#;
        let pending = r#"{"id":"op","phase":"pending","createdAt":"2026-01-01T00:00:00Z","items":[]}"#;
        let answers = std::thread::spawn(move || {
            let mut keys = Vec::new();
            // The first one hears nothing.
            for answer in [
                None,
                Some(("409 Conflict", in_flight)),
                Some(("409 Conflict", in_flight)),
                Some(("202 Accepted", pending)),
            ] {
                let (stream, _) = listener.accept().unwrap();
                let mut input = BufReader::new(stream);
                keys.push(request(&mut input));
                if let Some((status, body)) = answer {
                    respond(&mut input, status, body);
                }
            }
            keys
        });
        let client = Client::new(context(server)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let written = runtime.block_on(client.notarize(b"{}".to_vec(), "key-1")).unwrap();
        assert!(matches!(written, Written::Pending(operation) if operation.id == "op"));
        assert_eq!(answers.join().unwrap(), ["key-1"; 4]);
    }

    /// Answers every request alike, the first one only after something was `said`, until it is dropped with the process.
    fn server_that_waits(
        said: Receiver<String>,
        status: &'static str,
        body: &'static str,
    ) -> (Context, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let (heard, passed_on) = channel();
        std::thread::spawn(move || {
            let mut wait = Some(said);
            for stream in listener.incoming() {
                let mut input = BufReader::new(stream.unwrap());
                request(&mut input);
                if let Some(said) = wait.take() {
                    heard.send(said.recv().unwrap()).unwrap();
                }
                respond(&mut input, status, body);
            }
        });
        (context(server), passed_on)
    }

    #[tokio::test]
    async fn what_stays_pending_is_said_and_ends_with_a_next_step() {
        let pending = r#"{"id":"op_1","phase":"pending","createdAt":"2026-01-01T00:00:00Z","items":[]}"#;
        let (say, said) = channel();
        let (context, said) = server_that_waits(said, "202 Accepted", pending);
        let mut client = Client::new(context)
            .unwrap()
            .talking(move |text| say.send(text.to_owned()).unwrap());
        (client.long, client.patience) = (Duration::ZERO, Duration::from_millis(50));
        let Written::Pending(operation) = client.notarize(b"{}".to_vec(), "key-1").await.unwrap() else {
            panic!("it is pending");
        };
        let failure = client.decided(operation).await.unwrap_err();
        assert_eq!(failure.code, NOT_FINAL);
        assert!(failure.next.contains("network status") && failure.next.contains("/v1/operations/op_1"));
        let said = said.recv().unwrap();
        assert!(said.contains("network status"), "{said}");
    }

    #[test]
    fn only_a_failure_of_the_server_sends_people_to_its_log() {
        for (status, log) in [
            (400, false),
            (403, false),
            (409, false),
            (413, false),
            (422, false),
            (500, true),
        ] {
            let problem =
                format!(r#"{{"type":"t","title":"t","status":{status},"code":"c","detail":"d","requestId":"r"}}"#);
            let failure = refusal(StatusCode::from_u16(status).unwrap(), problem.as_bytes());
            assert_eq!(failure.next.contains("log"), log, "{failure}");
            assert!(!failure.next.is_empty());
        }
    }
}
