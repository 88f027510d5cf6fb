//! The management API over plain HTTP, as any client would use it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Access to one tenant's network.
#[derive(Clone)]
pub struct Api {
    /// Base URL.
    pub server: String,
    /// API key.
    pub key: String,
    /// Tenant.
    pub tenant: String,
    /// Network.
    pub network: String,
    /// Connections, shared by clones.
    pub http: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// `content-type`.
    pub content_type: String,
    /// `retry-after` in seconds.
    pub retry_after: Option<u64>,
    /// Body, `Null` when it is not JSON.
    pub body: Value,
    /// Body as it came.
    pub text: String,
}

impl Answer {
    /// Asserts an RFC 9457 problem with a code, and that it says how to fix it.
    ///
    /// # Panics
    /// When it is none.
    pub fn problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert!(self.content_type.starts_with("application/problem+json"), "{self:?}");
        for field in ["type", "title", "detail", "requestId"] {
            assert!(
                self.body[field].as_str().is_some_and(|text| !text.is_empty()),
                "no {field}: {self:?}"
            );
        }
        assert_eq!(self.body["status"], status, "{self:?}");
    }
}

impl Api {
    /// Access with a key.
    pub fn new(server: &str, key: &str, tenant: &str, network: &str) -> Self {
        let http = muniment_ledger::tls::http(None)
            .unwrap()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let own = str::to_owned;
        Self {
            server: own(server),
            key: own(key),
            tenant: own(tenant),
            network: own(network),
            http,
        }
    }

    /// The same network with another API key.
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// URL below the network.
    pub fn url(&self, below: &str) -> String {
        format!(
            "{}/v1/tenants/{}/networks/{}{below}",
            self.server, self.tenant, self.network
        )
    }

    /// One request with extra headers.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, url);
        if !self.key.is_empty() {
            request = request.bearer_auth(&self.key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await?;
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let (status, content_type) = (answer.status(), header("content-type").unwrap_or_default());
        let retry_after = header("retry-after").and_then(|value| value.parse().ok());
        let text = answer.text().await?;
        Ok(Answer {
            status,
            content_type,
            retry_after,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        })
    }

    /// GET below the network; an answer must come.
    ///
    /// # Panics
    /// When none comes.
    pub async fn get(&self, below: &str) -> Answer {
        self.request(Method::GET, &self.url(below), &[], None).await.unwrap()
    }

    /// POST below the network that waits for finality; an answer must come.
    ///
    /// # Panics
    /// When none comes.
    pub async fn post(&self, below: &str, body: &Value) -> Answer {
        let headers = [("prefer", "wait=30")];
        self.request(Method::POST, &self.url(below), &headers, Some(body.to_string()))
            .await
            .unwrap()
    }

    /// One deposit; an answer must come.
    pub async fn deposit(&self, digest: &str) -> Answer {
        self.post("/notarizations", &deposit(digest)).await
    }
}

/// Body of a deposit of a SHA-256.
pub fn deposit(digest: &str) -> Value {
    json!({ "digests": [{ "alg": "sha-256", "value": digest }], "mode": "plain" })
}

/// A digest nobody has used.
pub fn digest() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    hex::encode(bytes)
}
