//! One validator as an HTTP server.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use super::error::ClientError;
use crate::tls::{self, Identity, TlsError};
use crate::wire::{MAX_FRAME, Problem, code};

/// Where a validator's HTTP API is.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Validator name, for messages.
    pub name: String,
    /// Base URL, e.g. `http://127.0.0.1:8411`, or `http://host:8410/n/acme.contracts` of one in a host.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// Certificate to show and authorities to trust, for an `https` URL.
    pub tls: Option<Identity>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({} at {})", self.name, self.url)
    }
}

/// Why one validator didn't do it.
#[derive(Debug)]
pub enum Trouble {
    /// No use to it now; another may do.
    Gone(String),
    /// It has too much to do.
    Busy(Duration),
    /// It answers as of a height before the one that is wanted.
    Behind(String),
    /// 404.
    NotFound,
    /// No use anywhere.
    Fatal(ClientError),
}

impl Trouble {
    fn gone(error: &reqwest::Error) -> Self {
        if let Some(objection) = tls::objection(error) {
            return Self::Gone(objection);
        }
        let what = if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "no connection"
        } else {
            "the connection broke"
        };
        Self::Gone(what.to_owned())
    }
}

/// An endpoint with what is known of it.
pub struct Validator {
    endpoint: Endpoint,
    base: Option<Url>,
    http: Option<Client>,
    /// Until when the others are tried first.
    resting: Mutex<Option<Instant>>,
}

/// HTTP clients, one for each identity; `None` if the platform can't make one, then every call fails.
#[derive(Default)]
pub struct Clients {
    made: Vec<(Option<Identity>, Option<Client>)>,
    hosts: Vec<(String, IpAddr)>,
}

impl Clients {
    /// With addresses that DNS isn't asked for.
    pub fn at(hosts: &[(String, IpAddr)]) -> Self {
        Self {
            made: Vec::new(),
            hosts: hosts.to_vec(),
        }
    }

    fn of(&mut self, identity: Option<&Identity>) -> Option<Client> {
        if let Some((_, made)) = self.made.iter().find(|(of, _)| of.as_ref() == identity) {
            return made.clone();
        }
        let made = http(identity, &self.hosts)
            .inspect_err(|error| tracing::error!(error = error as &dyn std::error::Error, "no HTTP client"))
            .ok();
        self.made.push((identity.cloned(), made.clone()));
        made
    }
}

fn http(identity: Option<&Identity>, hosts: &[(String, IpAddr)]) -> Result<Client, TlsError> {
    let builder = hosts.iter().fold(tls::http(identity)?, |builder, (host, address)| {
        // The port is the URL's.
        builder.resolve(host, SocketAddr::new(*address, 0))
    });
    builder
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(1))
        .pool_idle_timeout(Duration::from_secs(90))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(TlsError::Client)
}

impl Validator {
    pub fn new(endpoint: Endpoint, clients: &mut Clients) -> Self {
        let http = clients.of(endpoint.tls.as_ref());
        let base = Url::parse(&endpoint.url).ok().filter(|url| !url.cannot_be_a_base());
        Self {
            endpoint,
            base,
            http,
            resting: Mutex::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// Until when it rests, if it does.
    pub fn resting(&self) -> Option<Instant> {
        let resting = *self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.filter(|until| *until > Instant::now())
    }

    pub fn rest(&self, time: Option<Duration>) {
        *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = time.map(|time| Instant::now() + time);
    }

    /// Asks for a path with query parameters; the answer is a success.
    pub async fn get(&self, path: &str, query: &[(&str, String)], limit: Duration) -> Result<Bytes, Trouble> {
        let answer = self.send(self.request(path, query)?.timeout(limit)).await?;
        self.read(answer).await
    }

    pub async fn post(&self, path: &str, body: Bytes, limit: Duration) -> Result<Bytes, Trouble> {
        let (http, url) = self.url(path)?;
        let request = http
            .post(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body)
            .timeout(limit);
        let answer = self.send(request).await?;
        self.read(answer).await
    }

    /// As [`Self::get`], for an answer without end: only its beginning has a time limit.
    pub async fn open(&self, path: &str, query: &[(&str, String)], limit: Duration) -> Result<Response, Trouble> {
        let request = self.request(path, query)?;
        tokio::time::timeout(limit, self.send(request))
            .await
            .unwrap_or_else(|_| Err(Trouble::Gone("no answer in time".to_owned())))
    }

    /// Reads a JSON answer.
    pub fn json<T: serde::de::DeserializeOwned>(&self, body: &[u8]) -> Result<T, Trouble> {
        serde_json::from_slice(body).map_err(|error| Trouble::Fatal(self.protocol(error.to_string())))
    }

    /// A trouble as the error of a call that asked only this validator.
    pub fn error(&self, trouble: Trouble) -> ClientError {
        let reason = match trouble {
            Trouble::Fatal(error) => return error,
            Trouble::Busy(retry_after) => return ClientError::Overloaded { retry_after },
            Trouble::NotFound => "it doesn't have it".to_owned(),
            Trouble::Gone(reason) | Trouble::Behind(reason) => reason,
        };
        ClientError::Unavailable {
            reasons: vec![(self.name().to_owned(), reason)],
        }
    }

    pub fn protocol(&self, what: impl Into<String>) -> ClientError {
        ClientError::Protocol {
            validator: self.endpoint.name.clone(),
            what: what.into(),
        }
    }

    fn url(&self, path: &str) -> Result<(&Client, Url), Trouble> {
        match (&self.http, &self.base) {
            (Some(http), Some(base)) => {
                let mut url = base.clone();
                // A validator in a host has a path of its own there.
                url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
                Ok((http, url))
            }
            (_, None) => Err(Trouble::Gone(format!("{:?} isn't a URL", self.endpoint.url))),
            (None, _) => Err(Trouble::Gone("there is no HTTP client".to_owned())),
        }
    }

    fn request(&self, path: &str, query: &[(&str, String)]) -> Result<RequestBuilder, Trouble> {
        let (http, mut url) = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(http.get(url))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let answer = request
            .bearer_auth(&self.endpoint.token)
            .send()
            .await
            .map_err(|error| Trouble::gone(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let seconds = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let body = self.read(answer).await.unwrap_or_default();
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        Err(self.trouble(status, problem, Duration::from_secs(seconds.unwrap_or(1))))
    }

    fn trouble(&self, status: StatusCode, problem: Option<Problem>, retry_after: Duration) -> Trouble {
        let (code, detail) = problem.map_or_else(Default::default, |problem| (problem.code, problem.detail));
        match status {
            StatusCode::NOT_FOUND => Trouble::NotFound,
            StatusCode::TOO_MANY_REQUESTS => Trouble::Busy(retry_after),
            _ if code == code::MEMPOOL_FULL => Trouble::Busy(retry_after),
            _ if status.is_server_error() => Trouble::Gone(if detail.is_empty() {
                format!("it answers {status}")
            } else {
                detail
            }),
            _ => Trouble::Fatal(ClientError::Refused {
                validator: self.endpoint.name.clone(),
                status: status.as_u16(),
                code,
                detail,
            }),
        }
    }

    async fn read(&self, mut answer: Response) -> Result<Bytes, Trouble> {
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| Trouble::gone(&error))? {
            if body.len() + chunk.len() > MAX_FRAME {
                return Err(Trouble::Fatal(self.protocol(format!("more than {MAX_FRAME} bytes"))));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}
