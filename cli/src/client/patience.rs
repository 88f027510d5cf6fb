//! How long to try: a request is sent again until it is answered, unless the server was never there.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use muniment_api::problem::Code;
use muniment_api::types::Problem;
use reqwest::{RequestBuilder, StatusCode};

use super::Client;
use super::answer::refusal;
use crate::error::{Failure, Result, chain};

/// Why one attempt did not give an answer.
pub(super) enum Attempt {
    /// Nothing was heard, or the server asked to come again.
    Again(Option<Duration>, Failure),
    /// No use in trying again.
    Fatal(Failure),
}

impl Client {
    /// Sends until there is an answer. Waits between attempts as the server asked, else with growing pauses. A server that
    /// was never reached gets little time: it isn't there, or is somewhere else.
    pub(super) async fn patiently(&self, request: impl Fn() -> RequestBuilder) -> Result<(StatusCode, Vec<u8>)> {
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
            let patience = if self.reached.load(Relaxed) {
                self.patience
            } else {
                self.first_patience
            };
            if start.elapsed() + pause > patience {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    pub(super) async fn attempt(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Attempt> {
        let answer = request
            .bearer_auth(&self.context.api_key)
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        self.reached.store(true, Relaxed);
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
        // What connected and then heard nothing has reached somebody.
        if !error.is_builder() && !error.is_connect() {
            self.reached.store(true, Relaxed);
        }
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
