//! What the API server said, for people.

use thiserror::Error;

/// A call to the API server that failed.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct ApiFailure {
    /// HTTP status, if the server answered.
    pub code: Option<u16>,
    message: String,
}

impl From<kube::Error> for ApiFailure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self {
                code: Some(status.code),
                message: status.message.clone(),
            },
            // Its text repeats its causes.
            other => Self {
                code: None,
                message: format!("the API server doesn't answer: {other}"),
            },
        }
    }
}

impl ApiFailure {
    /// The object, or what it refers to, isn't there.
    pub fn is_not_found(&self) -> bool {
        self.code == Some(404)
    }

    /// Another write came first, or the object is there already.
    pub fn is_conflict(&self) -> bool {
        self.code == Some(409)
    }

    /// A right is missing.
    pub fn is_forbidden(&self) -> bool {
        self.code == Some(403)
    }
}
