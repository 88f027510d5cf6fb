//! The server: opened in steps, because a tenant's public key must exist before the genesis of its network does.

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use zeroize::Zeroizing;

use crate::auth::{self, Authenticator};
use crate::directory::NetworkDirectory;
use crate::frame;
use crate::idempotency::InFlight;
use crate::keys::sealed::SealedKeys;
use crate::keys::{KeyError, KeyProvider, Purpose};
use crate::metrics::Metrics;
use crate::networks::{Networks, Shared};
use crate::routes;
use crate::store::{Store, StoreError, Write, Writer};
use muniment_receipts::key::SignerKey;

/// How long an idempotency key is kept.
const IDEMPOTENCY_MS: i64 = 48 * 3_600 * 1_000;

/// Settings of the server.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// sea-orm URL, e.g. `sqlite:///var/lib/muniment/muniment.db?mode=rwc`.
    pub database: String,
    /// Folder of the sealed provider's master key; never the database's folder in a backup.
    pub keys_dir: PathBuf,
    /// HTTP worker threads.
    pub workers: usize,
    /// Most actions that are accepted and not final; above, 503 `overloaded`.
    pub max_in_flight: usize,
}

impl ApiConfig {
    /// Settings with defaults for everything else.
    pub fn new(listen: SocketAddr, database: impl Into<String>, keys_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            database: database.into(),
            keys_dir: keys_dir.into(),
            workers: 2,
            max_in_flight: 60_000,
        }
    }
}

/// The server can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
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
    /// The HTTP server.
    #[error("the HTTP server failed")]
    Http(#[from] std::io::Error),
}

/// What all handlers share.
pub struct State {
    pub(crate) auth: Authenticator,
    pub(crate) networks: Networks,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) idempotency: InFlight,
}

/// First access of a tenant.
pub struct Bootstrap {
    /// Public key that signs the tenant's statements; a member of its networks' genesis.
    pub signer: SignerKey,
    /// A new API key, shown once; `None` if the tenant already has one.
    pub api_key: Option<Zeroizing<String>>,
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
        let store = Store::open(&config.database).await?;
        let keys: Arc<dyn KeyProvider> = Arc::new(SealedKeys::open(&config.keys_dir, store.clone())?);
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared {
            seq: AtomicI64::new(store.last_seq().await?),
            store: store.clone(),
            keys: keys.clone(),
            metrics: metrics.clone(),
            in_flight: AtomicUsize::new(0),
            max_in_flight: config.max_in_flight,
        });
        let state = web::Data::new(State {
            auth: Authenticator::new(store),
            networks: Networks::new(shared, directory),
            metrics,
            idempotency: InFlight::default(),
        });
        Ok(Self { config, state, keys })
    }

    /// The key provider; usable before any network exists.
    pub fn keys(&self) -> &Arc<dyn KeyProvider> {
        &self.keys
    }

    /// Makes what a tenant needs first: its signing key, and an API key if it has none. Idempotent.
    ///
    /// # Errors
    /// When keys can't be made or stored.
    pub async fn bootstrap_tenant(&self, tenant: &str) -> Result<Bootstrap, ServeError> {
        let signer = self.keys.ensure(tenant, Purpose::Statement).await?;
        let store = &self.state.networks.shared().store;
        let has_key = !store.api_keys(tenant).await?.is_empty();
        let api_key = if has_key {
            None
        } else {
            Some(self.new_api_key(tenant, "first").await?)
        };
        Ok(Bootstrap { signer, api_key })
    }

    /// Makes an API key for a tenant: for whoever has lost the first one and sits at the server.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn new_api_key(&self, tenant: &str, name: &str) -> Result<Zeroizing<String>, ServeError> {
        let key = auth::generate(tenant, name, None)?;
        self.state
            .networks
            .shared()
            .store
            .writer
            .write(vec![Write::ApiKey(key.row)])
            .await?;
        Ok(key.secret)
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
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        self.state.networks.refresh().await;
        let writer = self.state.networks.shared().store.writer.clone();
        let housekeeping = tokio::spawn(housekeeping(writer));
        let state = self.state.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .wrap(from_fn(frame::frame))
                .configure(routes::configure)
                .default_service(web::to(frame::unmatched))
        })
        .workers(self.config.workers)
        .client_request_timeout(std::time::Duration::from_secs(10))
        .keep_alive(std::time::Duration::from_secs(75))
        .tcp_nodelay(true)
        .shutdown_timeout(3)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::pin!(server);
        tokio::select! {
            result = &mut server => result?,
            () = shutdown => {
                // Stops taking connections at once; requests under way get the shutdown timeout. The server must be
                // polled while it stops.
                let (_, result) = tokio::join!(handle.stop(true), &mut server);
                result?;
            }
        }
        housekeeping.abort();
        self.state.networks.stop();
        Ok(())
    }
}

/// Forgets what is kept for a time only.
async fn housekeeping(writer: Writer) {
    loop {
        let before = crate::time::now_ms() - IDEMPOTENCY_MS;
        if let Err(error) = writer.write(vec![Write::Forget(before)]).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old idempotency keys can't be removed"
            );
        }
        tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
    }
}
