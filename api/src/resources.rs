//! Tenants and networks as what is wanted: the seam to whoever keeps their descriptions.
//!
//! On Kubernetes they are custom resources, with `muniment dev` rows of the [embedded store](crate::embedded). Routes hold
//! no second copy and judge no field: they pass on what they are given, and what is refused is refused by the one who keeps
//! them.

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use crate::problem::{ApiError, Code};
use crate::proposer::Wish;

/// Which description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tenant.
    Tenant(String),
    /// A network of a tenant.
    Network(String, String),
}

/// What is done with a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new; one that is there is refused.
    Create,
    /// It is there; the fields given are changed (RFC 7396), others stay.
    Merge,
}

/// A description and what is seen of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Name.
    pub name: String,
    /// Tenant it belongs to; absent for a tenant itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Counts changes of `spec`.
    pub generation: i64,
    /// It is being deleted.
    pub deleting: bool,
    /// What is wanted, as in the custom resource.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// What is seen, as in the custom resource; null while nothing was seen.
    #[schema(value_type = Object)]
    pub status: Value,
}

/// Keeps descriptions.
#[async_trait]
pub trait Resources: Send + Sync + 'static {
    /// All tenants, or all networks of one.
    async fn list(&self, tenant: Option<&str>) -> Vec<Resource>;
    /// One of them.
    async fn get(&self, target: &Target) -> Option<Resource>;
    /// Changes whenever it is worth looking again. Carries no data.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Changes one. `dry`: says what would become of it and changes nothing.
    async fn apply(&self, target: &Target, spec: &Value, change: Change, dry: bool) -> Result<Resource, Refused>;
    /// Deletes one; it may take a while. False: there is none.
    async fn delete(&self, target: &Target) -> Result<bool, Refused>;
    /// Changes of validators that networks have to decide next.
    async fn validator_changes(&self) -> Vec<Wish>;
}

/// Why a description wasn't changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Create, and it is there.
    #[error("there is one of this name already; change it with PATCH")]
    Exists,
    /// Merge, and it isn't there.
    #[error("there is none of this name")]
    Missing,
    /// Fields belong to somebody else.
    #[error("{}", owned(.0))]
    Owned(Vec<(String, String)>),
    /// A field has a wrong value.
    #[error("{message}")]
    Invalid {
        /// What is wrong and how to mend it, in the keeper's words.
        message: String,
        /// JSON pointer of the field.
        pointer: Option<String>,
    },
    /// The keeper says no, e.g. for a quota.
    #[error("{0}")]
    Forbidden(String),
    /// The keeper can't be asked.
    #[error("descriptions can't be read or written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn owned(fields: &[(String, String)]) -> String {
    let list: Vec<String> = fields
        .iter()
        .map(|(owner, field)| format!("{field} is kept by {owner}"))
        .collect();
    format!("{}; change it there, or leave the field out", list.join(", "))
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Exists => Self::new(Code::ALREADY_EXISTS, text),
            Refused::Missing => Self::not_found(),
            Refused::Owned(_) => Self::new(Code::FIELD_OWNED_ELSEWHERE, text),
            Refused::Invalid { pointer, .. } => {
                let error = Self::new(Code::INVALID_FIELD, text);
                match pointer {
                    Some(pointer) => error.at(pointer),
                    None => error,
                }
            }
            Refused::Forbidden(_) => Self::new(Code::FORBIDDEN, text),
            Refused::Unavailable(source) => {
                Self::undecided("descriptions can't be read or written just now; nothing was changed, try again")
                    .caused_by(source)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_who_keeps_which_field() {
        let refused = Refused::Owned(vec![("kubectl".to_owned(), ".spec.displayName".to_owned())]);
        let error = ApiError::from(refused);
        assert_eq!(error.code(), "field_owned_elsewhere");
        assert_eq!(
            error.detail(),
            ".spec.displayName is kept by kubectl; change it there, or leave the field out"
        );
    }
}
