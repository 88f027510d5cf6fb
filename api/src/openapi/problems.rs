//! The answers that many routes share: what the frame around every handler may say, the handlers don't repeat.

use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Media type of a problem (RFC 9457).
const MEDIA_TYPE: &str = "application/problem+json";

/// Completes every operation of the document.
pub struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.put,
                &mut item.patch,
                &mut item.delete,
            ];
            for operation in operations.into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
}

fn complete(path: &str, operation: &mut Operation) {
    for (status, description) in shared(path, operation) {
        let responses = &mut operation.responses.responses;
        let response = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(response);
    }
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.as_str() >= "400", response) {
            problem(response);
        }
    }
}

/// The body of a refusal; handlers name its type and not its media type.
fn problem(response: &mut Response) {
    if response.content.keys().all(|kind| kind == "application/json") {
        let schema = Ref::from_schema_name("Problem");
        response.content.clear();
        response.content.insert(
            MEDIA_TYPE.to_owned(),
            RefOr::T(ContentBuilder::new().schema(Some(schema)).build()),
        );
    }
}

/// Status and meaning of what an operation may answer beside what its handler says.
fn shared(path: &str, operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("500", "the server failed; its log has the request id")];
    let parameters = operation.parameters.iter().flatten().count();
    if parameters > 0 || operation.request_body.is_some() {
        all.push(("400", "a parameter, a header or the body can't be read"));
    }
    if operation.request_body.is_some() {
        all.push(("413", "the body is too large"));
    }
    if operation.security.is_some() {
        all.push(("401", "no valid API key"));
        all.push(("403", "not allowed for this API key, or the tenant is suspended"));
    }
    if path.contains("{tenant}") {
        all.push(("404", "nothing here that the API key may see"));
    }
    if path.contains("{network}") {
        all.push((
            "503",
            "the network doesn't answer or sleeps, or too much is in flight; `Retry-After` says when to come again",
        ));
    }
    all
}
