//! `muniment api`: the management API by itself, on Kubernetes. Its tenants and networks are custom resources there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;
use muniment_api::cluster::{Cluster, ClusterConfig};
use muniment_api::{Api, ApiConfig};

use crate::error::{Failure, Result, chain};
use crate::stop;

/// Serves the management API. Started by the Helm chart, not by hand.
#[derive(clap::Args)]
pub struct Args {
    /// Address to listen on.
    #[arg(
        long,
        env = "MUNIMENT_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8400"
    )]
    listen: SocketAddr,
    /// Database: `sqlite:///FILE?mode=rwc` or `postgres://USER:PASSWORD@HOST/NAME`.
    #[arg(
        long,
        env = "MUNIMENT_DATABASE",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite:///data/muniment.db?mode=rwc"
    )]
    database: String,
    /// Folder with `master.key`, which seals the signing keys; made when it is missing.
    #[arg(long, env = "MUNIMENT_KEYS", value_name = "FOLDER", default_value = "/data/keys")]
    keys: PathBuf,
    /// How many of these are started. With SQLite there can be one.
    #[arg(long, env = "MUNIMENT_REPLICAS", value_name = "NUMBER", default_value_t = 1)]
    replicas: u32,
    /// Namespace it runs in.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME", default_value = "muniment")]
    namespace: String,
    /// Its Service in that namespace, as `name:port`.
    #[arg(
        long,
        env = "MUNIMENT_SERVICE",
        value_name = "NAME:PORT",
        default_value = "muniment-api:8400"
    )]
    service: String,
    /// URL at which people outside the cluster reach it.
    #[arg(long, env = "MUNIMENT_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Secret in that namespace that takes the API key of those who run the platform.
    #[arg(long, env = "MUNIMENT_PLATFORM_ACCESS", value_name = "NAME")]
    platform_access: Option<String>,
}

/// Runs the command until SIGTERM.
pub fn run(args: Args) -> Result<bool> {
    super::node::log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                "runtime",
                format!("the runtime can't start: {error}"),
                "check the process limits",
            )
        })?;
    let result = runtime.block_on(serve(args));
    runtime.shutdown_background();
    result.map(|()| true)
}

async fn serve(args: Args) -> Result<()> {
    let stop = stop::signal()?;
    let client = Client::try_default().await.map_err(|error| {
        Failure::usage(
            "no_kubernetes",
            format!("the Kubernetes API can't be used: {}", chain(&error)),
            "start it by the Helm chart; on one machine, `muniment dev` needs no Kubernetes",
        )
    })?;
    let cluster = Cluster::watch(
        client,
        ClusterConfig {
            namespace: args.namespace,
            service: args.service,
            public_url: args.public_url,
            platform_access: args.platform_access,
        },
    );
    let mut config = ApiConfig::new(args.listen, args.database, args.keys);
    config.replicas = args.replicas;
    let failed = |error| Failure::new("api", chain(&error), "");
    let starting = Api::start_or_stand_by(config, Arc::new(cluster.clone()));
    let api = tokio::select! {
        api = starting => api.map_err(failed)?,
        () = stop::raised(stop.clone()) => return Ok(()),
    };
    let listener = api.listen().map_err(failed)?;
    cluster.provide(api.access());
    api.describe(Arc::new(cluster.clone()));
    tokio::select! {
        () = cluster.settled() => {}
        () = stop::raised(stop.clone()) => return Ok(()),
    }
    tracing::info!(listen = %args.listen, version = env!("CARGO_PKG_VERSION"), "the API serves");
    api.serve(listener, Box::pin(stop::raised(stop))).await.map_err(failed)
}
