//! The management API as the CLI sees it: one connection pool, retries that are safe to make, answers as types.
//!
//! Every write carries an `Idempotency-Key`, so a write may be sent again after a lost answer or a restart of the
//! server, and means the same.

mod answer;
mod patience;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use muniment_api::types::Network;
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::context::{Choice, Context};
use crate::error::Result;
use crate::output::Output;
use answer::parse;
pub use answer::{refusal, refused, rejected};
use patience::Attempt;
pub use write::{Written, new_key};

/// How long a server that was reached before may be away, and how long a write may wait for finality after the server
/// has said that it isn't final yet.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server may refuse connections that was never reached: nobody waits two minutes for a typing error.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
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
    /// Whether the server was ever reached, by this client or one that it was cloned from.
    reached: Arc<AtomicBool>,
    patience: Duration,
    first_patience: Duration,
    long: Duration,
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
            reached: Arc::new(AtomicBool::new(false)),
            patience: PATIENCE,
            first_patience: FIRST_PATIENCE,
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
}
