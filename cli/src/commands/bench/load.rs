//! Sending: open loop (requests are due at fixed times, late answers don't slow the next request) or closed loop
//! (a fixed number on their way).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Mode;
use super::body::{Bodies, Content};
use crate::client::{Client, WAIT, refusal};
use crate::context::Context;
use crate::error::{Failure, Result};

/// In open loop, requests beyond this many on their way are counted as errors instead of being sent.
const MOST_IN_FLIGHT: usize = 8_192;
/// After the last request was due, answers are waited for this long.
const DRAIN: Duration = Duration::from_secs(40);

/// What to send.
pub struct Plan {
    /// Single or batch.
    pub mode: Mode,
    /// What is sent.
    pub content: Content,
    /// Actions per request.
    pub items: usize,
    /// Pace.
    pub shape: Shape,
    /// Not measured.
    pub warmup: Duration,
    /// Measured.
    pub seconds: Duration,
}

/// Pace of the load.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Requests per second, whatever the answers do.
    Open {
        /// Requests per second.
        rate: f64,
    },
    /// So many on their way at a time.
    Closed {
        /// Requests on their way.
        concurrency: usize,
    },
}

/// What came back, requests of the measured time only.
#[derive(Default)]
pub struct Samples {
    /// Time that was really measured; shorter than planned after Ctrl-C.
    pub measured: Duration,
    /// Microseconds from due to answered, accepted requests.
    pub latencies: Vec<u32>,
    /// Accepted actions whose answer came in the measured time.
    pub in_time: u64,
    /// Accepted actions.
    pub accepted: u64,
    /// Requests.
    pub requests: u64,
    /// Number of requests (or refused items) by code.
    pub errors: BTreeMap<String, u64>,
}

struct Sample {
    due: Instant,
    end: Instant,
    outcome: Result<u64, String>,
}

struct Sender {
    http: reqwest::Client,
    url: String,
    key: String,
    mode: Mode,
    items: usize,
    bodies: Bodies,
    media_type: &'static str,
    stop: AtomicBool,
}

/// Loads the network until the time is over or Ctrl-C.
pub async fn run(plan: &Plan, context: &Context) -> Result<Samples> {
    let sender = Arc::new(Sender::new(plan, context)?);
    let start = Instant::now();
    let from = start + plan.warmup;
    let until = from + plan.seconds;
    let (samples, results) = mpsc::unbounded_channel();
    let collector = tokio::spawn(collect(results, from, until));
    let load = async {
        match plan.shape {
            Shape::Open { rate } => open(&sender, rate, start, until, &samples).await,
            Shape::Closed { concurrency } => closed(&sender, concurrency, until, &samples).await,
        }
    };
    tokio::select! {
        () = load => {}
        _ = tokio::signal::ctrl_c() => sender.stop.store(true, Ordering::Relaxed),
    }
    let measured = Instant::now().min(until).saturating_duration_since(from);
    drop(samples);
    // Requests still on their way hold the channel open: they are waited for, not lost.
    match timeout_at(Instant::now() + DRAIN, collector).await {
        Ok(Ok(samples)) => Ok(Samples { measured, ..samples }),
        Ok(Err(error)) => Err(Failure::new(
            "internal",
            format!("a worker ended: {error}"),
            "report this",
        )),
        Err(_) => Err(Failure::new(
            "no_answer",
            "requests are still without an answer",
            "see `muniment network status`",
        )),
    }
}

async fn open(
    sender: &Arc<Sender>,
    rate: f64,
    start: Instant,
    until: Instant,
    samples: &mpsc::UnboundedSender<Sample>,
) {
    let places = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
    for number in 0_u64.. {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        if due >= until {
            break;
        }
        if due > Instant::now() {
            sleep_until(due).await;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            let _ = samples.send(Sample {
                due,
                end: Instant::now(),
                outcome: Err("not_sent_backlog".to_owned()),
            });
            continue;
        };
        let (sender, samples) = (sender.clone(), samples.clone());
        tokio::spawn(async move {
            let outcome = sender.send().await;
            let _ = samples.send(Sample {
                due,
                end: Instant::now(),
                outcome,
            });
            drop(place);
        });
    }
}

async fn closed(sender: &Arc<Sender>, concurrency: usize, until: Instant, samples: &mpsc::UnboundedSender<Sample>) {
    let workers = (0..concurrency).map(|_| {
        let (sender, samples) = (sender.clone(), samples.clone());
        tokio::spawn(async move {
            while Instant::now() < until && !sender.stop.load(Ordering::Relaxed) {
                let due = Instant::now();
                let outcome = sender.send().await;
                let failed = outcome.is_err();
                let _ = samples.send(Sample {
                    due,
                    end: Instant::now(),
                    outcome,
                });
                if failed {
                    // A dead server answers in microseconds; asking it in a tight loop measures nothing.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
    });
    futures::future::join_all(workers.collect::<Vec<_>>()).await;
}

async fn collect(mut results: mpsc::UnboundedReceiver<Sample>, from: Instant, until: Instant) -> Samples {
    let mut all = Samples::default();
    while let Some(Sample { due, end, outcome }) = results.recv().await {
        if let Ok(accepted) = &outcome
            && end >= from
            && end < until
        {
            all.in_time += accepted;
        }
        if due < from || due >= until {
            continue;
        }
        all.requests += 1;
        match outcome {
            Ok(accepted) => {
                all.accepted += accepted;
                let latency = end.duration_since(due).as_micros();
                all.latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
            }
            Err(code) => *all.errors.entry(code).or_default() += 1,
        }
    }
    all
}

impl Sender {
    fn new(plan: &Plan, context: &Context) -> Result<Self> {
        let http = crate::http::builder()?
            .pool_max_idle_per_host(MOST_IN_FLIGHT)
            .tcp_nodelay(true)
            .timeout(DRAIN)
            .build()
            .map_err(|error| crate::http::failed(&error))?;
        let bodies = Bodies::new(plan.content.clone(), plan.mode, plan.items)?;
        let (below, media_type) = bodies.target()?;
        let url = Client::new(context.clone())?.url(&below);
        let key = context.api_key.clone();
        Ok(Self {
            http,
            url,
            key,
            mode: plan.mode,
            items: plan.items,
            bodies,
            media_type,
            stop: AtomicBool::new(false),
        })
    }

    /// Number of accepted actions, or the code of what went wrong.
    async fn send(&self) -> Result<u64, String> {
        let answer = self
            .http
            .post(&self.url)
            .bearer_auth(&self.key)
            .header("content-type", self.media_type)
            .header("prefer", wait())
            .body(self.bodies.next())
            .send()
            .await
            .map_err(|error| transport(&error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| transport(&error))?;
        match status.as_u16() {
            201 if self.mode == Mode::Single => Ok(1),
            200 if self.mode == Mode::Batch => match accepted(&bytes) {
                Some(accepted) if accepted == self.items as u64 => Ok(accepted),
                Some(_) => Err("items_rejected".to_owned()),
                None => Err("bad_answer".to_owned()),
            },
            202 => Err("not_final_in_time".to_owned()),
            _ => Err(format!("{}_{}", status.as_u16(), refusal(status, &bytes).code)),
        }
    }
}

/// The `Prefer` header of every request.
fn wait() -> String {
    format!("wait={WAIT}")
}

/// The number of accepted items, from the head of the answer (`{"operation":…,"accepted":N,…`): the receipts behind
/// it are megabytes that the client needs not read twice.
fn accepted(answer: &[u8]) -> Option<u64> {
    let head = answer.get(..answer.len().min(256))?;
    let key = b"\"accepted\":";
    let at = head.windows(key.len()).position(|window| window == key)? + key.len();
    let digits: Vec<u8> = head[at..].iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

fn transport(error: &reqwest::Error) -> String {
    let code = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connection_refused"
    } else {
        "connection_lost"
    };
    code.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_is_read_from_the_head() {
        assert_eq!(
            accepted(br#"{"operation":"op_1","accepted":1000,"rejected":0,"items":["#),
            Some(1000)
        );
        assert_eq!(accepted(br#"{"operation":"op_1"}"#), None);
        assert_eq!(accepted(b""), None);
    }
}
