//! Asks nodes how they are, over connections that are kept open.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muniment_ledger::node::host::{ERASED, READY};
use muniment_ledger::tls::{self, Identity, TlsError};
use muniment_ledger::wire::{GovernanceView, MAX_PAGE, NodeStatus, RecordPage, SeatStatus};
use muniment_receipts::trust::MAX_TRUST_ROOT;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::backend::BackendError;
use crate::network::NetworkRef;

/// The reserved template of governance, for a query.
const GOVERNANCE: &str = "muniment.dev%2Fgovernance";

/// What a host says of a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SeatAnswer {
    /// Nothing, or nothing of use.
    Silent,
    /// It knows of no such seat.
    Free,
    /// This.
    Taken(SeatStatus),
}

/// A node that doesn't answer within this time doesn't answer.
const ANSWER: Duration = Duration::from_secs(2);

/// An HTTP client for nodes of one kind of trust.
#[derive(Clone)]
pub(crate) struct Prober(reqwest::Client);

impl Prober {
    /// For nodes without certificates.
    pub(crate) fn new() -> Result<Self, BackendError> {
        Self::build(tls::http(None)?)
    }

    fn build(builder: reqwest::ClientBuilder) -> Result<Self, BackendError> {
        let client = builder
            // A proxy from the environment must not stand between us and our own processes.
            .no_proxy()
            .timeout(ANSWER)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(60))
            .build();
        Ok(Self(client.map_err(TlsError::Client)?))
    }

    /// A node's own status; `None` when it doesn't answer or isn't the one that is meant.
    pub(crate) async fn ask(&self, url: &str, token: &str, id: &str, name: &str) -> Option<NodeStatus> {
        let request = self.0.get(format!("{url}/v1/status")).bearer_auth(token);
        let response = match request.send().await {
            Ok(response) => response.error_for_status().ok()?,
            Err(error) => {
                if let Some(objection) = tls::objection(&error) {
                    tracing::debug!(url, objection, "a node can't be asked");
                }
                return None;
            }
        };
        let status: NodeStatus = response.json().await.ok()?;
        (status.network == id && status.name == name).then_some(status)
    }

    /// What a host says of a seat; `url` is that of the seat.
    pub(crate) async fn seat(&self, url: &str, token: &str) -> SeatAnswer {
        let request = self.0.get(format!("{url}/seat")).bearer_auth(token);
        let Ok(response) = request.send().await else {
            return SeatAnswer::Silent;
        };
        match response.status().as_u16() {
            404 => SeatAnswer::Free,
            200 => response.json().await.map_or(SeatAnswer::Silent, SeatAnswer::Taken),
            _ => SeatAnswer::Silent,
        }
    }

    /// Whether a host says that a folder is gone for good; `url` is that of the host.
    pub(crate) async fn is_erased(&self, url: &str, folder: &str) -> bool {
        let request = self.0.get(format!("{url}{ERASED}{folder}"));
        let response = request.send().await;
        response.is_ok_and(|response| response.status().as_u16() == 204)
    }

    /// Whether everyone in a host takes part, by its own word now; `url` is that of the host. One from before it could say
    /// so is taken at its pod's word.
    pub(crate) async fn is_whole(&self, url: &str) -> bool {
        let response = self.0.get(format!("{url}{READY}")).send().await;
        response.is_ok_and(|response| [200, 404].contains(&response.status().as_u16()))
    }

    /// A node's trust root file, as it says. Nothing of it is checked.
    pub(crate) async fn trust_root(&self, url: &str, token: &str) -> Option<Vec<u8>> {
        let request = self.0.get(format!("{url}/v1/trust-root")).bearer_auth(token);
        let mut response = request.send().await.ok()?.error_for_status().ok()?;
        let mut file = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if file.len() + chunk.len() > MAX_TRUST_ROOT {
                return None;
            }
            file.extend_from_slice(&chunk);
        }
        Some(file)
    }

    /// A page of the records of governance.
    pub(crate) async fn proposals(&self, url: &str, token: &str, after: Option<&str>) -> Option<RecordPage> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let url = format!("{url}/v1/records?template={GOVERNANCE}&limit={MAX_PAGE}{after}");
        let response = self.0.get(url).bearer_auth(token).send().await.ok()?;
        response.error_for_status().ok()?.json().await.ok()
    }

    /// How the network decides about itself.
    pub(crate) async fn governance(&self, url: &str, token: &str) -> Option<GovernanceView> {
        let request = self.0.get(format!("{url}/v1/governance")).bearer_auth(token);
        request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }
}

/// Probers of networks with certificates. A node is asked by its name, which its certificate has, at the address that its
/// pod has: names of pods take a while to get around.
#[derive(Default)]
pub(crate) struct Probers {
    addresses: Addresses,
    made: Mutex<BTreeMap<NetworkRef, (Identity, Prober)>>,
}

impl Probers {
    /// For a network, with the certificate that is shown there.
    pub(crate) fn of(&self, network: &NetworkRef, material: tls::Material) -> Result<Prober, BackendError> {
        let identity = Identity::new(material)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, prober)) = made.get(network).filter(|(with, _)| *with == identity) {
            return Ok(prober.clone());
        }
        let builder = tls::http(Some(&identity))?.dns_resolver(Arc::new(self.addresses.clone()));
        let prober = Prober::build(builder)?;
        made.insert(network.clone(), (identity, prober.clone()));
        Ok(prober)
    }

    /// Says where a host is.
    pub(crate) fn is_at(&self, url: &str, address: IpAddr) {
        if let Some(host) = reqwest::Url::parse(url).ok().as_ref().and_then(reqwest::Url::host_str) {
            self.addresses.lock().insert(host.to_owned(), address);
        }
    }

    /// Forgets a network that is gone.
    pub(crate) fn forget(&self, network: &NetworkRef) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(network);
        let of_network = format!(
            ".{}.{}.svc",
            crate::backend::cluster::names::headless(network),
            network.tenant
        );
        self.addresses.lock().retain(|host, _| !host.ends_with(&of_network));
    }
}

/// Addresses of hosts, as pods say.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<String, IpAddr>>>);

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lock().get(name.as_str()).copied();
        Box::pin(async move {
            let address = found.ok_or("no pod has this name")?;
            // The port is the URL's.
            let addresses: Addrs = Box::new(std::iter::once(SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
