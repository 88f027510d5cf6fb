//! How the CLI gets at a running `dev`: API keys of tenants and of the platform, context files and the pinned trust root.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muniment_api::cluster::PLATFORM;
use muniment_api::{Access, Api};

use super::resource::Wanted;
use super::sentence;
use crate::client::Client;
use crate::context::{self, Choice, Context};
use crate::error::{Result, io};
use crate::trust::{self, Root};

/// Makes the tenant's keys or finds them, and keeps the API key in `<data>/context.json`. Answers the context and the
/// public key that signs the tenant's statements.
pub async fn open(api: &Api, wanted: &Wanted, data: &Path, address: SocketAddr) -> Result<(Context, String)> {
    let path = data.join("context.json");
    let bootstrap = api
        .bootstrap_tenant(wanted.network.tenant.as_str())
        .await
        .map_err(|error| sentence("tenant", &error))?;
    let api_key = match (bootstrap.api_key, kept(&path, wanted)) {
        (Some(new), _) => new.to_string(),
        (None, Some(kept)) => kept,
        // The file is gone and the database holds hashes only. Whoever starts `dev` owns the folder.
        (None, None) => {
            let key = api
                .new_api_key(wanted.network.tenant.as_str(), "dev")
                .await
                .map_err(|error| sentence("tenant", &error))?;
            key.to_string()
        }
    };
    let context = Context {
        version: 1,
        server: format!("http://{}", reachable(address)),
        api_key,
        tenant: wanted.network.tenant.to_string(),
        network: wanted.network.name.to_string(),
        trust_root: Some(wanted.trust_root(data)),
        data_dir: Some(data.to_owned()),
        identity: None,
    };
    context::save(&path, &context)?;
    Ok((context, bootstrap.signer.to_string()))
}

/// A context with a key of the platform, which makes and deletes tenants, in `<data>/platform.json`.
pub async fn platform(api: &Api, data: &Path, server: &str) -> Result<()> {
    grant_to(&api.access(), &context::platform(data), data, server, PLATFORM, "").await
}

/// Makes a tenant's API key, or finds it, and keeps it in a context file of its own, with one of its networks.
pub async fn grant(keys: &Access, data: &Path, server: &str, tenant: &str, network: &str) -> Result<()> {
    grant_to(keys, &context::of_tenant(data, tenant), data, server, tenant, network).await
}

async fn grant_to(keys: &Access, path: &Path, data: &Path, server: &str, tenant: &str, network: &str) -> Result<()> {
    let failed = |error: &muniment_api::ServeError| sentence("tenant", error);
    let known = read(path).filter(|known| known.tenant == tenant);
    let is_current = known
        .as_ref()
        .is_some_and(|known| known.server == server && known.network == network);
    // The database holds hashes only: a key whose file is gone is gone. A new one is in the file before it is valid, so that
    // none is valid that nobody has.
    let api_key = match known {
        Some(known) => known.api_key,
        None => keys.draw().map_err(|error| failed(&error))?.to_string(),
    };
    let context = Context {
        version: 1,
        server: server.to_owned(),
        api_key,
        tenant: tenant.to_owned(),
        network: network.to_owned(),
        trust_root: None,
        data_dir: Some(data.to_owned()),
        identity: None,
    };
    if !is_current {
        context::save(path, &context)?;
    }
    // Also when the file was there: a kill may have come between the two. One that was revoked stays so.
    let adopted = keys.adopt(tenant, "dev", &context.api_key).await;
    adopted.map_err(|error| failed(&error)).map(drop)
}

/// A tenant is gone, and with it its context file.
pub fn forget(data: &Path, tenant: &str) -> Result<()> {
    let path = context::of_tenant(data, tenant);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("can't remove", &path, &error)),
        _ => Ok(()),
    }
}

/// What the CLI of this user has now.
pub struct Published {
    /// For the network.
    pub client: Client,
    /// Its trust root.
    pub trust: Arc<Root>,
    /// Where a context file that was there is kept.
    pub aside: Option<PathBuf>,
}

/// Tells the CLI of this user, wherever it is called: context file and trust root.
pub async fn publish(choice: &Choice, context: &Context) -> Result<Published> {
    let path = choice.path()?;
    let aside = context::set_aside(&path)?;
    context::save(&path, context)?;
    let client = Client::new(context.clone())?;
    let trust = trust::adopt(&client).await?;
    Ok(Published { client, trust, aside })
}

/// API key of an earlier start.
fn kept(path: &Path, wanted: &Wanted) -> Option<String> {
    let context = read(path)?;
    (context.tenant == wanted.network.tenant.as_str()).then_some(context.api_key)
}

fn read(path: &Path) -> Option<Context> {
    let choice = Choice {
        context: Some(path.to_owned()),
        ..Choice::default()
    };
    choice.file().ok()?
}

/// An address that a client on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}
