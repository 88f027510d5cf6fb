//! Which network is meant.

use std::fmt;

use muniment_crds::{NetworkName, TenantName};
use serde::{Deserialize, Serialize};

/// A network by tenant and name. Shown as `tenant/network`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkRef {
    /// Tenant; also the namespace of the resource.
    pub tenant: TenantName,
    /// Name within the tenant.
    pub name: NetworkName,
}

impl fmt::Display for NetworkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}
