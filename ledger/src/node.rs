//! The node process around a replica: HTTP API, relay to the peers, exchange of cosignatures, health, metrics.
//!
//! Owns everything that speaks HTTP on the node's side. Knows a replica only through [`Replica`]: it orders
//! nothing, executes nothing and stores nothing.

mod auth;
mod cosign;
mod desk;
mod health;
pub mod host;
mod metrics;
mod peers;
mod problem;
mod relay;
mod routes;
mod shared;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use futures::future::BoxFuture;

use crate::config::ReplicaConfig;
use crate::replica::Replica;
use desk::Desk;

/// Answers are prepared on this many threads beside the event loop, per replica.
const BLOCKING_THREADS: usize = 4;
/// Longer than the callers keep an unused connection, so that the caller closes first and no request is lost.
const KEEP_CONNECTION: Duration = Duration::from_secs(120);

/// The node can't serve.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address can't be bound.
    #[error("{address} can't be listened on; is it taken by another process?")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client for the peers can't be made.
    #[error("the HTTP client for the peers can't be made")]
    Client(#[source] reqwest::Error),
    /// The peers go on and this replica doesn't: the log before says what it knew.
    #[error("the replica stands still while its peers go on")]
    Stuck,
    /// The server stopped by itself.
    #[error("the HTTP server failed")]
    Serve(#[source] std::io::Error),
}

/// A bound server that doesn't answer yet.
pub struct Server {
    replica: Arc<dyn Replica>,
    config: ReplicaConfig,
    listener: TcpListener,
    more_metrics: fn() -> String,
}

impl Server {
    /// Binds the address of the configuration.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(replica: Arc<dyn Replica>, config: &ReplicaConfig) -> Result<Self, NodeError> {
        let address = config.api;
        let listener = TcpListener::bind(address).map_err(|source| NodeError::Bind { address, source })?;
        Ok(Self::on(listener, replica, config))
    }

    /// Takes a listener that is already bound.
    pub fn on(listener: TcpListener, replica: Arc<dyn Replica>, config: &ReplicaConfig) -> Self {
        Self {
            replica,
            config: config.clone(),
            listener,
            more_metrics: String::new,
        }
    }

    /// Adds text in the Prometheus format to `/metrics`, such as the engine's own.
    #[must_use]
    pub fn with_metrics(mut self, more: fn() -> String) -> Self {
        self.more_metrics = more;
        self
    }

    /// Serves until `shutdown` is ready, then lets running requests end for at most a second.
    ///
    /// # Errors
    /// When the server fails.
    ///
    /// Boxed: the code of a future is compiled again in every crate that awaits it, and this one is large.
    pub fn run<'a>(self, shutdown: impl Future<Output = ()> + Send + 'a) -> BoxFuture<'a, Result<(), NodeError>> {
        self.run_until(Box::pin(shutdown))
    }

    fn run_until(self, shutdown: BoxFuture<'_, ()>) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(self.serve_until(shutdown))
    }

    async fn serve_until(self, shutdown: BoxFuture<'_, ()>) -> Result<(), NodeError> {
        let desk = Desk::open(self.replica, self.config, desk::http()?, self.more_metrics);
        let data = web::Data::from(Arc::clone(desk.shared()));
        let mut server = HttpServer::new(move || App::new().app_data(data.clone()).configure(routes::configure))
            .workers(1)
            .worker_max_blocking_threads(BLOCKING_THREADS)
            .keep_alive(KEEP_CONNECTION)
            .tcp_nodelay(true)
            .disable_signals()
            .shutdown_timeout(1)
            .listen(self.listener)
            .map_err(NodeError::Serve)?
            .run();
        let handle = server.handle();
        let result = tokio::select! {
            result = &mut server => result,
            () = shutdown => {
                // Endless streams and waiting requests see this and end, so that the stop below is quick.
                desk.stop();
                tokio::join!(handle.stop(true), server).1
            }
            () = desk.stuck() => {
                desk.stop();
                let _ = tokio::join!(handle.stop(false), server);
                desk.close().await;
                return Err(NodeError::Stuck);
            }
        };
        desk.close().await;
        result.map_err(NodeError::Serve)
    }
}
