//! How a role is asked to end.

use tokio::signal::unix::{SignalKind, signal as on};
use tokio::sync::watch;

use crate::error::{Failure, Result};

/// Raised at the first SIGINT or SIGTERM. A second one ends the process at once; validators notice and end too.
///
/// # Errors
/// When signals can't be received.
pub fn signal() -> Result<watch::Receiver<bool>> {
    let failed = |error| Failure::new("signals", format!("signals can't be received: {error}"), "");
    let mut interrupt = on(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = on(SignalKind::terminate()).map_err(failed)?;
    let (raise, stop) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if raise.send_replace(true) {
                std::process::exit(130);
            }
        }
    });
    Ok(stop)
}

/// Resolves when it is raised.
pub async fn raised(mut flag: watch::Receiver<bool>) {
    // An error means that nobody can raise it any more.
    if flag.wait_for(|raised| *raised).await.is_err() {
        std::future::pending::<()>().await;
    }
}
