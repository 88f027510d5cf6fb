//! Asks nodes how they are, over connections that are kept open.

use std::time::Duration;

use muniment_ledger::node::host::ERASED;
use muniment_ledger::wire::{GovernanceView, MAX_PAGE, NodeStatus, RecordPage, SeatStatus};
use muniment_receipts::trust::MAX_TRUST_ROOT;

use crate::backend::BackendError;

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

/// The HTTP client of the backends.
#[derive(Clone)]
pub(crate) struct Prober(reqwest::Client);

impl Prober {
    /// Makes the client.
    pub(crate) fn new() -> Result<Self, BackendError> {
        let client = reqwest::Client::builder()
            // A proxy from the environment must not stand between us and our own processes.
            .no_proxy()
            .timeout(ANSWER)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(60))
            .build();
        client.map(Self).map_err(BackendError::HttpClient)
    }

    /// A node's own status; `None` when it doesn't answer or isn't the one that is meant.
    pub(crate) async fn ask(&self, url: &str, token: &str, id: &str, name: &str) -> Option<NodeStatus> {
        let request = self.0.get(format!("{url}/v1/status")).bearer_auth(token);
        let response = request.send().await.ok()?.error_for_status().ok()?;
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
