//! The management API as the CLI sees it: one connection pool, retries that are safe to make, answers as types.
//!
//! Every write carries an `Idempotency-Key`, so a write may be sent again after a lost answer or a restart of the
//! server, and means the same.

use std::time::{Duration, Instant};

use muniment_api::problem::Code;
use muniment_api::types::{ItemOutcome, Network, Operation, Problem, Recorded, RecordedBatch};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::{Failure, Result, chain};

/// How long a server that was reachable before may be away.
const PATIENCE: Duration = Duration::from_secs(120);
/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Seconds a write asks the server to wait for finality.
pub const WAIT: u32 = 30;

/// A client of one tenant's network.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    context: Context,
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
        Ok(Self { http, context })
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
        let (status, bytes) = self
            .patiently(|| {
                self.http
                    .request(method.clone(), &url)
                    .header("content-type", media_type)
                    .header("prefer", format!("wait={WAIT}"))
                    .header("idempotency-key", key)
                    .body(body.clone())
            })
            .await?;
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
        let key = uuid::Uuid::now_v7().to_string();
        match self.post(below, media_type, body, &key).await? {
            Written::Done(recorded) => Ok(recorded),
            Written::Refused(problem) => {
                let mut failure = Failure::new(&problem.code, problem.detail, "correct what the message names");
                failure.findings = problem.findings;
                Err(failure)
            }
            Written::Pending(operation) => match self.decided(operation).await?.items.pop() {
                Some(ItemOutcome::Accepted(recorded)) => Ok(recorded),
                Some(ItemOutcome::Rejected { code, detail, .. }) => {
                    Err(Failure::new(&code, detail, "correct what the message names"))
                }
                None => Err(Failure::new(
                    "protocol",
                    "the server decided nothing",
                    "run the same command again",
                )),
            },
        }
    }

    /// A write outside of the network, such as of the tenant's own. Not retried: it carries no key.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn create<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T> {
        let url = format!("{}/v1/tenants/{}{path}", self.context.server, self.context.tenant);
        match self.attempt(self.http.request(Method::POST, &url).json(body)).await {
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

    /// Waits until an operation is decided.
    ///
    /// # Errors
    /// When the server stays away for two minutes or forgot the operation.
    pub async fn decided(&self, mut operation: Operation) -> Result<Operation> {
        let url = format!("{}/v1/operations/{}", self.context.server, operation.id);
        let mut pause = Duration::from_millis(100);
        while operation.phase == "pending" {
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
            if start.elapsed() + pause > PATIENCE {
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
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
                    input.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            }
            keys
        });
        let client = Client::new(Context {
            version: 1,
            server,
            api_key: "mnk_x".to_owned(),
            tenant: "demo".to_owned(),
            network: "notary".to_owned(),
            trust_root: None,
            data_dir: None,
            identity: None,
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let written = runtime.block_on(client.notarize(b"{}".to_vec(), "key-1")).unwrap();
        assert!(matches!(written, Written::Pending(operation) if operation.id == "op"));
        assert_eq!(answers.join().unwrap(), ["key-1"; 4]);
    }
}
