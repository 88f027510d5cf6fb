//! The server: opened in steps, because a tenant's public key must exist before the genesis of its network does.

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use futures::future::BoxFuture;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::access::{Access, Bootstrap};
use crate::auth::Authenticator;
use crate::directory::NetworkDirectory;
use crate::embedded::{Embedded, Judge};
use crate::frame;
use crate::idempotency::InFlight;
use crate::keys::sealed::SealedKeys;
use crate::keys::{KeyError, KeyProvider};
use crate::metrics::Metrics;
use crate::networks::room::Room;
use crate::networks::{Networks, Shared};
use crate::numbering::Numbering;
use crate::proposer;
use crate::resources::Resources;
use crate::routes;
use crate::routes::operations::KEPT_MS;
use crate::routes::service::Readiness;
use crate::sign;
use crate::standby;
use crate::store::{Store, StoreError, Write, Writer};

/// How long an idempotency key is kept.
const IDEMPOTENCY_MS: i64 = 48 * 3_600 * 1_000;
/// How often the directory is asked, beside whenever a name isn't known.
const REFRESH: Duration = Duration::from_secs(5);
/// How long closing the database may take.
const LAST_WRITES: Duration = Duration::from_millis(500);
/// Most receipts verified at once.
const VERIFYING: usize = 8;

/// Settings of the server.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// sea-orm URL, e.g. `sqlite:///var/lib/muniment/muniment.db?mode=rwc`.
    pub database: String,
    /// Folder of the sealed provider's master key; never the database's folder in a backup.
    pub keys_dir: PathBuf,
    /// How many servers use this database. More than one needs a database that several can use.
    pub replicas: u32,
    /// HTTP worker threads.
    pub workers: usize,
    /// Most actions that are accepted and not final, of all networks; one takes at most half of it. Above, 503
    /// `overloaded`.
    pub max_in_flight: usize,
    /// How long a statement that the server signs may be executed; at most ten minutes.
    pub validity: Duration,
}

impl ApiConfig {
    /// Settings with defaults for everything else.
    pub fn new(listen: SocketAddr, database: impl Into<String>, keys_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            database: database.into(),
            keys_dir: keys_dir.into(),
            replicas: 1,
            workers: 2,
            max_in_flight: 60_000,
            validity: sign::VALIDITY,
        }
    }
}

/// The server can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Several servers on SQLite.
    #[error("SQLite can be used by one server alone, not by {0}; set replicas to 1, or use PostgreSQL")]
    Replicas(u32),
    /// The store.
    #[error("the store can't be opened")]
    Store(#[from] StoreError),
    /// Key custody.
    #[error("the key provider can't be opened")]
    Keys(#[from] KeyError),
    /// The address.
    #[error("can't listen on {address}; is another server running? choose another address")]
    Listen {
        /// Wanted.
        address: SocketAddr,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// PostgreSQL has ended the session.
    #[error("the session with the database that may write has ended; start again, another server may have taken over")]
    Ended,
    /// The HTTP server.
    #[error("the HTTP server failed")]
    Http(#[from] std::io::Error),
}

impl ServeError {
    /// Whether another server has the database, so that this one can only stand by.
    pub fn stands_by(&self) -> bool {
        matches!(self, Self::Store(StoreError::Taken { .. }))
    }
}

/// What all handlers share.
pub struct State {
    pub(crate) auth: Arc<Authenticator>,
    pub(crate) networks: Networks,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) idempotency: InFlight,
    pub(crate) readiness: Readiness,
    pub(crate) verifying: Arc<Semaphore>,
    pub(crate) resources: OnceLock<Arc<dyn Resources>>,
    pub(crate) judging: Arc<Semaphore>,
    pub(crate) numbering: Numbering,
}

/// The management API.
pub struct Api {
    config: ApiConfig,
    state: web::Data<State>,
    keys: Arc<dyn KeyProvider>,
}

impl Api {
    /// Opens database and keys. Networks aren't needed yet; they are taken from the directory when asked for.
    ///
    /// # Errors
    /// When the database can't be opened or migrated, or the master key can't be used.
    pub async fn start(config: ApiConfig, directory: Arc<dyn NetworkDirectory>) -> Result<Self, ServeError> {
        if config.replicas > 1 && config.database.starts_with("sqlite:") {
            return Err(ServeError::Replicas(config.replicas));
        }
        let store = Store::open(&config.database).await?;
        let keys: Arc<dyn KeyProvider> = Arc::new(SealedKeys::open(&config.keys_dir, store.clone()).await?);
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared {
            seq: AtomicI64::new(store.last_seq().await?),
            store: store.clone(),
            keys: keys.clone(),
            metrics: metrics.clone(),
            room: Room::new(config.max_in_flight),
            validity: config.validity,
        });
        let state = web::Data::new(State {
            auth: Arc::new(Authenticator::new(store)),
            networks: Networks::new(shared, directory),
            metrics,
            idempotency: InFlight::default(),
            readiness: Readiness::default(),
            verifying: Arc::new(Semaphore::new(VERIFYING)),
            resources: OnceLock::new(),
            judging: Arc::new(Semaphore::new(cores())),
            numbering: Numbering::default(),
        });
        Ok(Self { config, state, keys })
    }

    /// As [`Self::start`], but while another server has the database it stands by: alive, and not ready.
    ///
    /// # Errors
    /// As [`Self::start`]; when it can't listen.
    pub async fn start_or_stand_by(
        config: ApiConfig,
        directory: Arc<dyn NetworkDirectory>,
    ) -> Result<Self, ServeError> {
        standby::start(config, directory).await
    }

    /// Who keeps the descriptions of tenants and networks. Without, the routes that change them answer 501.
    pub fn describe(&self, resources: Arc<dyn Resources>) {
        // Told once; a second one would be a bug and changes nothing.
        let _ = self.state.resources.set(resources);
    }

    /// Keeps descriptions in this server's own store, under a judge, and answers for them.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn keep_descriptions(&self, judge: Arc<dyn Judge>) -> Result<Arc<Embedded>, ServeError> {
        let server = Arc::downgrade(&self.state.clone().into_inner());
        let kept = Arc::new(Embedded::open(self.access(), server, judge).await?);
        self.describe(kept.clone());
        Ok(kept)
    }

    /// The key provider; usable before any network exists.
    pub fn keys(&self) -> &Arc<dyn KeyProvider> {
        &self.keys
    }

    /// Keys of tenants; usable before any network exists.
    pub fn access(&self) -> Access {
        Access {
            keys: self.keys.clone(),
            store: self.state.networks.shared().store.clone(),
            auth: self.state.auth.clone(),
        }
    }

    /// Makes what a tenant needs first: its signing key, and an API key if it has none. Idempotent.
    ///
    /// # Errors
    /// When keys can't be made or stored.
    pub async fn bootstrap_tenant(&self, tenant: &str) -> Result<Bootstrap, ServeError> {
        self.access().bootstrap(tenant).await
    }

    /// Makes an API key for a tenant: for whoever has lost the first one and sits at the server.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn new_api_key(&self, tenant: &str, name: &str) -> Result<Zeroizing<String>, ServeError> {
        self.access().new_api_key(tenant, name).await
    }

    /// Binds the configured address. Separate from [`Self::serve`], so that a taken port is known early.
    ///
    /// # Errors
    /// When it can't.
    pub fn listen(&self) -> Result<TcpListener, ServeError> {
        let address = self.config.listen;
        TcpListener::bind(address).map_err(|source| ServeError::Listen { address, source })
    }

    /// Attaches the directory's networks and serves until `shutdown` resolves; then ends within 5 seconds. Nothing
    /// that was accepted is lost.
    ///
    /// # Errors
    /// When the HTTP server fails.
    ///
    /// Boxed: the code of a future is compiled again in every crate that awaits it, and this one is large.
    pub fn serve<'a>(
        self,
        listener: TcpListener,
        shutdown: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<(), ServeError>> {
        Box::pin(self.serving(listener, shutdown))
    }

    async fn serving(self, listener: TcpListener, shutdown: BoxFuture<'_, ()>) -> Result<(), ServeError> {
        self.state.networks.refresh().await;
        let writer = self.state.networks.shared().store.writer.clone();
        let housekeeping = tokio::spawn(housekeeping(writer));
        let refreshing = tokio::spawn(refreshing(self.state.clone()));
        let proposing = tokio::spawn(proposer::run(self.state.clone()));
        let state = self.state.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .wrap(from_fn(frame::frame))
                .configure(routes::configure)
                .default_service(web::to(frame::unmatched))
        })
        .workers(self.config.workers)
        .client_request_timeout(Duration::from_secs(10))
        .keep_alive(Duration::from_secs(75))
        .tcp_nodelay(true)
        .shutdown_timeout(3)
        .disable_signals()
        .listen(listener)?
        .run();
        let store = self.state.networks.shared().store.clone();
        let handle = server.handle();
        tokio::pin!(server);
        tokio::select! {
            result = &mut server => result?,
            () = store.ended() => return Err(ServeError::Ended),
            () = shutdown => {
                // Stops taking connections at once; requests under way get the shutdown timeout. The server must be
                // polled while it stops.
                let (_, result) = tokio::join!(handle.stop(true), &mut server);
                result?;
            }
        }
        housekeeping.abort();
        refreshing.abort();
        proposing.abort();
        self.state.networks.stop();
        // All that counts is on disk; a connection that somebody still holds isn't waited for.
        let _ = timeout(LAST_WRITES, store.close()).await;
        Ok(())
    }
}

/// Attaches networks as they come, and anew those that are made again under their old name.
async fn refreshing(state: web::Data<State>) {
    let mut changes = state.resources.get().map(|resources| resources.changes());
    loop {
        let changed = async {
            match &mut changes {
                Some(changes) => changes.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            more = changed => {
                if !more {
                    changes = None;
                }
                // What comes together is looked at once.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        state.networks.refresh().await;
    }
}

/// Documents judged at the same time: each takes a core.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Forgets what is kept for a time only.
async fn housekeeping(writer: Writer) {
    loop {
        let now = crate::time::now_ms();
        let old = vec![Write::Forget(now - IDEMPOTENCY_MS), Write::Trim(now - KEPT_MS)];
        if let Err(error) = writer.write(old).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "old idempotency keys and operations can't be removed");
        }
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        // Not at the start: what became final before it is projected first.
        let old = Write::ForgetDocuments(crate::time::now_ms() - KEPT_MS);
        if let Err(error) = writer.write(vec![old]).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "documents of refused invoices can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::directory::MemoryDirectory;
    use crate::routes::verify::verify;
    use crate::store::entity::{operation, outbox};

    async fn api(folder: &tempfile::TempDir) -> Api {
        let database = format!("sqlite://{}?mode=rwc", folder.path().join("muniment.db").display());
        let config = ApiConfig::new(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            database,
            folder.path().join("keys"),
        );
        Api::start(config, Arc::new(MemoryDirectory::default())).await.unwrap()
    }

    #[tokio::test]
    async fn only_so_many_verify_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let api = api(&folder).await;
        let body = || web::Bytes::from_static(br#"{"receipt": "x"}"#);
        let all = api.state.verifying.clone();
        let all = all.acquire_many_owned(u32::try_from(VERIFYING).unwrap()).await.unwrap();
        let error = verify(api.state.clone(), body()).await.unwrap_err();
        assert_eq!(error.code(), "overloaded");
        assert!(error.response("").headers().contains_key("retry-after"));
        drop(all);
        assert!(verify(api.state.clone(), body()).await.is_ok());
    }

    #[tokio::test]
    async fn decided_operations_are_forgotten_and_waiting_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let api = api(&folder).await;
        let store = &api.state.networks.shared().store;
        let operation = |number: u8, created_at| {
            Write::Operation(operation::Model {
                network: vec![1; 32],
                tx: vec![number; 32],
                rejected: Some("[]".to_owned()),
                failed: None,
                replaced_by: None,
                created_at,
            })
        };
        let waiting = outbox::Model {
            seq: 1,
            network: vec![1; 32],
            tx: vec![2; 32],
            body: Vec::new(),
            ours: true,
            created_at: 200,
        };
        let kept = async || {
            let mut kept = Vec::new();
            for number in 1..=3 {
                if store.operation(&[1; 32], &[number; 32]).await.unwrap().is_some() {
                    kept.push(number);
                }
            }
            kept
        };
        let rows = vec![operation(1, 100), operation(2, 200), operation(3, 900)];
        store.writer.write(rows).await.unwrap();
        store.writer.write(vec![Write::Accept(waiting)]).await.unwrap();
        store.writer.write(vec![Write::Trim(500)]).await.unwrap();
        assert_eq!(kept().await, [2, 3], "what may still belong to the outbox stays");
        store.writer.write(vec![Write::Done(vec![(1, 1)])]).await.unwrap();
        store.writer.write(vec![Write::Trim(500)]).await.unwrap();
        assert_eq!(kept().await, [3]);
    }
}
