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
use tokio::task::JoinSet;

use crate::config::ReplicaConfig;
use crate::replica::Replica;
use crate::tls::{self, Identity, TlsError};
use desk::Desk;
use shared::Shared;

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
    /// Its certificates can't be used, or no HTTP client for the peers can be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    /// Where TLS is spoken, and as whom.
    secure: Option<(TcpListener, Identity)>,
    more_metrics: fn() -> String,
}

impl Server {
    /// Binds the addresses of the configuration and reads its certificates.
    ///
    /// # Errors
    /// When an address is taken or not ours, or a certificate can't be used.
    pub fn bind(replica: Arc<dyn Replica>, config: &ReplicaConfig) -> Result<Self, NodeError> {
        let bind = |address| TcpListener::bind(address).map_err(|source| NodeError::Bind { address, source });
        let server = Self::on(bind(config.api)?, replica, config);
        match &config.tls {
            Some(tls) => Ok(server.with_tls(bind(tls.api)?, Identity::open(tls)?)),
            None => Ok(server),
        }
    }

    /// Takes a listener that is already bound, for plain HTTP.
    pub fn on(listener: TcpListener, replica: Arc<dyn Replica>, config: &ReplicaConfig) -> Self {
        Self {
            replica,
            config: config.clone(),
            listener,
            secure: None,
            more_metrics: String::new,
        }
    }

    /// Speaks TLS on another listener, and shows peers the same certificate.
    #[must_use]
    pub fn with_tls(mut self, listener: TcpListener, identity: Identity) -> Self {
        self.secure = Some((listener, identity));
        self
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
        let identity = self.secure.as_ref().map(|(_, identity)| identity.clone());
        let mut keeping = JoinSet::new();
        if let (Some(identity), Some(config)) = (&identity, &self.config.tls) {
            keeping.spawn(tls::keep(identity.clone(), config.clone()));
        }
        let peers = desk::http(identity.as_ref())?;
        let desk = Desk::open(self.replica, self.config, peers, self.more_metrics);
        let mut server = http(desk.shared(), self.listener, self.secure)?;
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

/// Both listeners, one worker.
fn http(
    shared: &Arc<Shared>,
    plain: TcpListener,
    secure: Option<(TcpListener, Identity)>,
) -> Result<actix_web::dev::Server, NodeError> {
    let data = web::Data::from(Arc::clone(shared));
    let mut server = HttpServer::new(move || App::new().app_data(data.clone()).configure(routes::configure))
        .workers(1)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .keep_alive(KEEP_CONNECTION)
        .tcp_nodelay(true)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(plain)
        .map_err(NodeError::Serve)?;
    if let Some((listener, identity)) = secure {
        server = server
            .listen_rustls_0_23(listener, identity.server()?)
            .map_err(NodeError::Serve)?;
    }
    Ok(server.run())
}
