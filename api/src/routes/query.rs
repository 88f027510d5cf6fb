//! The query of a request, read so that a refusal names the parameter.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use crate::problem::{ApiError, Code};

/// Parameters of the query.
pub struct Query<T>(pub T);

impl<T> std::ops::Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let (parameter, why) = (error.path().to_string(), error.inner());
        // Of one that is unknown or lacking the reason says the name.
        let detail = match parameter.as_str() {
            "." | "?" => format!("the query can't be read: {why}"),
            name if why.to_string().contains(&format!("`{name}`")) => format!("the query can't be read: {why}"),
            name => format!("`{name}` in the query can't be read: {why}"),
        };
        ApiError::new(Code::BAD_REQUEST, detail)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        of: String,
        limit: Option<usize>,
    }

    #[test]
    fn what_can_t_be_read_is_named() {
        let page = read::<Page>("limit=5&of=a+b%26").unwrap();
        assert_eq!((page.of.as_str(), page.limit), ("a b&", Some(5)));
        for (query, words) in [
            ("of=a&limit=-1", "`limit` in the query can't be read"),
            ("of=a&limit=", "`limit` in the query can't be read"),
            ("of=a&last=1", "unknown field `last`, expected `of` or `limit`"),
            ("of=a&of=b", "duplicate field `of`"),
            ("limit=1", "missing field `of`"),
        ] {
            let error = read::<Page>(query).unwrap_err().to_string();
            assert!(error.contains(words), "{query}: {error}");
        }
    }
}
