//! Public verification: the same pure function as the CLI's, nothing stored, no credentials.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use muniment_receipts::receipt::Receipt;
use muniment_receipts::verify::{Report, Verification, verify as judge};

use crate::app::State;
use crate::body;
use crate::problem::{ApiError, Code};
use crate::types::{Problem, VerifyAnswer, VerifyRequest};

/// Verifies a receipt. Whoever wants to trust nobody runs `muniment verify` or any C2SP verifier instead.
#[utoipa::path(post, path = "/v1/verify", tag = "verify", operation_id = "verify", request_body = VerifyRequest,
    responses((status = 200, description = "verdicts, also when they are bad", body = VerifyAnswer),
        (status = 422, description = "the request is malformed", body = Problem),
        (status = 503, description = "too many at once", body = Problem)))]
pub async fn verify(state: Data<State>, bytes: Bytes) -> Result<HttpResponse, ApiError> {
    // Anybody may ask, and large files take a while: a few at a time, beside the workers.
    let full =
        |_| ApiError::busy("the server verifies as many receipts as it can; try again, or run `muniment verify`");
    let slot = state.verifying.clone().try_acquire_owned().map_err(full)?;
    let job = move || {
        let answer = answer(&state, &bytes);
        drop(slot);
        answer
    };
    let answer = tokio::task::spawn_blocking(job).await.map_err(ApiError::internal)??;
    Ok(HttpResponse::Ok().json(answer))
}

fn answer(state: &State, bytes: &[u8]) -> Result<VerifyAnswer, ApiError> {
    let value = body::json(bytes)?;
    let map = body::object(&value, "", &["receipt", "trustRoot", "document"])?;
    let receipt = body::text(map, "receipt", "")?;
    let given = body::optional_text(map, "trustRoot", "")?;
    let document = body::optional_text(map, "document", "")?.map(digest).transpose()?;
    let own = if given.is_none() {
        own_root(state, receipt)
    } else {
        None
    };
    let trust_root = given.map(str::as_bytes).or(own.as_deref());
    let source = match (given, &own) {
        (Some(_), _) => "request",
        (None, Some(_)) => "server",
        (None, None) => "none",
    };
    let report: Report = judge(&Verification {
        receipt: receipt.as_bytes(),
        trust_root,
        document,
        evaluation_time: u64::try_from(crate::time::now_ms()).unwrap_or_default(),
        network: None,
    });
    Ok(VerifyAnswer {
        trust_root: source.to_owned(),
        report,
    })
}

fn digest(text: &str) -> Result<[u8; 32], ApiError> {
    let bytes = hex::decode(text)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.filter(|bytes| hex::encode(bytes) == text).ok_or_else(|| {
        let detail = "`document` must be the document's SHA-256, 64 lowercase hex characters (sha256sum FILE)";
        ApiError::new(Code::MALFORMED_DIGEST, detail).at("/document")
    })
}

/// Trust roots are public: a receipt of any network that this server knows can be judged.
fn own_root(state: &State, receipt: &str) -> Option<Vec<u8>> {
    let network = Receipt::parse(receipt.as_bytes()).ok()?.network;
    state
        .networks
        .all()
        .into_iter()
        .find(|one| one.entry.id == network)
        .map(|one| one.trust_file())
}
