//! Where a network was made: on record with its genesis.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use muniment_crds::Placement;

use super::Durable;
use crate::backend::BackendError;
use crate::backend::cluster::names::{self, PLACEMENT};

impl Durable<'_> {
    /// The placement that the network was made with; `None` when it isn't sealed, or it was before this was recorded.
    pub async fn placement(&self) -> Result<Option<Placement>, BackendError> {
        let name = names::genesis(self.network);
        let found: Option<ConfigMap> = self.access.get(self.namespace(), &name).await?;
        found.map_or(Ok(None), |map| self.placed(&map))
    }

    pub(super) fn placed(&self, map: &ConfigMap) -> Result<Option<Placement>, BackendError> {
        let Some(text) = map.annotations().get(PLACEMENT) else {
            return Ok(None);
        };
        let mut known = [Placement::Dedicated, Placement::Shared].into_iter();
        match known.find(|placement| placement.as_str() == text) {
            Some(placement) => Ok(Some(placement)),
            None => Err(BackendError::Object {
                what: format!(
                    "annotation {PLACEMENT} of ConfigMap {}/{}",
                    self.namespace(),
                    map.name_any()
                ),
                problem: format!("there is no placement `{text}`"),
                fix: "write `Dedicated` or `Shared`, as the network was made",
            }),
        }
    }

    /// Makes sure that a network that was made elsewhere isn't begun again here, beside its data.
    pub async fn check_placement(&self, wanted: Placement) -> Result<(), BackendError> {
        self.is_here(self.placement().await?, wanted)
    }

    pub(super) fn is_here(&self, sealed: Option<Placement>, wanted: Placement) -> Result<(), BackendError> {
        match sealed.filter(|sealed| *sealed != wanted) {
            Some(sealed) => Err(BackendError::OtherPlacement {
                network: self.network.clone(),
                sealed,
            }),
            None => Ok(()),
        }
    }
}
