//! `muniment operator`: networks on Kubernetes. Started by the chart, in a pod.

use std::net::SocketAddr;

use clap::ValueEnum;
use muniment_operator::ClusterSettings;
use muniment_operator::cluster::{OperatorConfig, run as operate};
use tracing_subscriber::EnvFilter;

use super::dev::catalog;
use crate::error::{Failure, Result, chain};

/// Keeps ledger networks as their custom resources say, until SIGTERM or the loss of its lease.
#[derive(clap::Args)]
pub struct Args {
    /// Namespace of the control plane.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    namespace: String,
    /// Who this replica is among the operator's replicas.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: String,
    /// Image of the validators.
    #[arg(long, env = "MUNIMENT_IMAGE", value_name = "IMAGE")]
    image: String,
    /// When the image of the validators is pulled.
    #[arg(long, env = "MUNIMENT_IMAGE_PULL_POLICY", value_enum, default_value_t = Pull::IfNotPresent, value_name = "POLICY")]
    image_pull_policy: Pull,
    /// Priority class of the validators; the cluster's default when absent.
    #[arg(long, env = "MUNIMENT_PRIORITY_CLASS", value_name = "NAME")]
    priority_class: Option<String>,
    /// ClusterRole that the operator binds to itself in the namespace of each tenant.
    #[arg(
        long,
        env = "MUNIMENT_TENANT_ROLE",
        default_value = "muniment-operator-tenant",
        value_name = "NAME"
    )]
    tenant_role: String,
    /// Service of the hosts for shared networks, in the namespace of the control plane; none when absent.
    #[arg(long, env = "MUNIMENT_HOSTS", value_name = "NAME")]
    hosts: Option<String>,
    /// The operator's own ServiceAccount.
    #[arg(
        long,
        env = "MUNIMENT_SERVICE_ACCOUNT",
        default_value = "muniment-operator",
        value_name = "NAME"
    )]
    service_account: String,
    /// The management API's ServiceAccount.
    #[arg(
        long,
        env = "MUNIMENT_API_SERVICE_ACCOUNT",
        default_value = "muniment-api",
        value_name = "NAME"
    )]
    api_service_account: String,
    /// Name of the lease that replicas of the operator compete for.
    #[arg(
        long,
        env = "MUNIMENT_LEASE",
        default_value = "muniment-operator",
        value_name = "NAME"
    )]
    lease: String,
    /// Where health and metrics are served.
    #[arg(
        long,
        env = "MUNIMENT_LISTEN",
        default_value = "0.0.0.0:8402",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
}

/// When an image is pulled, in the words of Kubernetes.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Pull {
    Always,
    IfNotPresent,
    Never,
}

impl Pull {
    fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<bool> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let config = OperatorConfig {
        settings: ClusterSettings {
            namespace: args.namespace,
            image: args.image,
            image_pull_policy: args.image_pull_policy.as_str().to_owned(),
            priority_class: args.priority_class.filter(|name| !name.is_empty()),
            service_account: args.service_account,
            api_service_account: args.api_service_account,
            hosts: args.hosts.filter(|name| !name.is_empty()),
            tenant_role: args.tenant_role,
        },
        identity: args.identity,
        lease: args.lease,
        listen: args.listen,
        catalog: catalog(),
    };
    let ended = operate(config).await;
    ended.map_err(|error| Failure::new("operator", chain(&error), ""))?;
    Ok(true)
}
