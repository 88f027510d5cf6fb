//! Waiting for a condition, with a limit.

use std::future::Future;
use std::time::{Duration, Instant};

/// Limit for anything that should take seconds; generous, because machines are busy.
pub const LIMIT: Duration = Duration::from_secs(90);

/// Asks until there is an answer.
///
/// # Panics
/// When there is none within [`LIMIT`]; says what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    within(LIMIT, what, ask).await
}

/// As [`until`], with another limit.
///
/// # Panics
/// When there is no answer within it; says what was waited for.
pub async fn within<T, F: Future<Output = Option<T>>>(limit: Duration, what: &str, mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
