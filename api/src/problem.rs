//! Every refusal of the API: one error type, its stable codes, and how it becomes an RFC 9457 problem.
//!
//! Owns the code list (frozen by a test). Must not know routes; the request id is added by `frame`, which sees the
//! response last.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use std::borrow::Cow;
use std::error::Error as StdError;

use crate::store::StoreError;
use crate::types::{Finding, Problem};

/// A stable error code with its HTTP status and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Lower snake case, never changed once published.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Short title, the same for each code.
    pub title: &'static str,
}

macro_rules! codes {
    ($($constant:ident $status:literal $name:literal $title:literal;)*) => {
        impl Code {
            $(#[doc = $title]
            pub const $constant: Code = Code { name: $name, status: $status, title: $title };)*

            /// All codes that this server makes by itself; refusals of a template carry the template's own code.
            pub const ALL: &'static [Code] = &[$(Code::$constant),*];
        }
    };
}

codes! {
    BAD_REQUEST 400 "bad_request" "The request can't be read";
    MALFORMED_JSON 400 "malformed_json" "The body isn't JSON";
    UNAUTHORIZED 401 "unauthorized" "No valid API key";
    TENANT_SUSPENDED 403 "tenant_suspended" "The tenant is suspended";
    NOT_ALLOWED 403 "not_allowed" "Not this key's to do";
    FORBIDDEN 403 "forbidden" "Not allowed for this API key";
    NOT_FOUND 404 "not_found" "Not found";
    NO_SUCH_RECORD 404 "no_such_record" "No such record";
    METHOD_NOT_ALLOWED 405 "method_not_allowed" "Method not allowed";
    ALREADY_EXISTS 409 "already_exists" "There is one already";
    FIELD_OWNED_ELSEWHERE 409 "field_owned_elsewhere" "A field is kept by somebody else";
    DUPLICATE 409 "duplicate" "Already recorded";
    WRONG_STATE 409 "wrong_state" "The record is in another state";
    STILL_NEEDED 409 "still_needed" "Others may still need the document";
    IDEMPOTENCY_IN_FLIGHT 409 "idempotency_in_flight" "The same idempotency key is in use right now";
    ERASED 410 "erased" "The document was erased";
    BODY_TOO_LARGE 413 "body_too_large" "The body is too large";
    BATCH_TOO_LARGE 413 "batch_too_large" "Too many items in one batch";
    UNKNOWN_FIELD 422 "unknown_field" "Unknown field";
    MISSING_FIELD 422 "missing_field" "A field is missing";
    INVALID_FIELD 422 "invalid_field" "A field has a wrong value";
    MALFORMED_DIGEST 422 "malformed_digest" "Malformed digest";
    UNKNOWN_ALGORITHM 422 "unknown_algorithm" "Unknown digest algorithm";
    LOOKS_LIKE_DOCUMENT 422 "looks_like_document" "The body looks like a document";
    UNFIT_INVOICE 422 "unfit_invoice" "The ledger has no place for this invoice";
    EMPTY_BATCH 422 "empty_batch" "The batch is empty";
    MALFORMED_STATEMENT 422 "malformed_statement" "The statement isn't well formed";
    BAD_SIGNATURE 422 "bad_signature" "The signature doesn't match";
    EXPIRED 422 "expired" "The statement has expired";
    WRONG_NETWORK 422 "wrong_network" "The statement names another network";
    IDEMPOTENCY_MISMATCH 422 "idempotency_mismatch" "The idempotency key was used with another body";
    INTERNAL 500 "internal" "Internal error";
    NO_DESCRIPTIONS 501 "no_descriptions" "This server keeps no descriptions";
    NETWORK_ASLEEP 503 "network_asleep" "The network sleeps";
    OVERLOADED 503 "overloaded" "Too much work in flight";
    UNAVAILABLE 503 "unavailable" "The network doesn't answer";
    STORE_DAMAGED 503 "store_damaged" "The server's database is damaged";
    BAD_TRUST_ROOT 503 "bad_trust_root" "The network's trust root can't be used";
}

/// The detail of a 404 that doesn't say what is missing.
pub const NOTHING_HERE: &str = "there is nothing here that your API key may see; GET /v1/whoami shows your tenant, \
                                GET /v1/tenants/{tenant}/networks its networks";

/// One refusal. `Display` says what is wrong for the caller; the source is logged, never sent.
#[derive(Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Cow<'static, str>,
    status: StatusCode,
    title: Cow<'static, str>,
    detail: String,
    pointer: Option<String>,
    record: Option<String>,
    findings: Vec<Finding>,
    headers: Vec<(HeaderName, HeaderValue)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ApiError {
    /// A refusal with a detail that says what happened, where, and how to fix it.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code: Cow::Borrowed(code.name),
            status: StatusCode::from_u16(code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            title: Cow::Borrowed(code.title),
            detail: detail.into(),
            pointer: None,
            record: None,
            findings: Vec::new(),
            headers: Vec::new(),
            source: None,
        }))
    }

    /// A refusal by the ledger or a template: `code` as it came (`UNKNOWN_FIELD`), shown in lower case.
    pub fn ledger(code: &str, detail: impl Into<String>) -> Self {
        let name = code.to_ascii_lowercase();
        if let Some(known) = Code::ALL.iter().find(|known| known.name == name) {
            return Self::new(*known, detail);
        }
        let mut error = Self::new(Code::INVALID_FIELD, detail);
        error.0.title = Cow::Borrowed("Refused by the ledger");
        error.0.code = Cow::Owned(name);
        error
    }

    /// A document that isn't taken: `code` as the reader of invoices has it, shown in lower case.
    pub fn invoice(code: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let mut error = Self::new(Code::INVALID_FIELD, detail);
        error.0.title = Cow::Borrowed(title);
        error.0.code = Cow::Owned(code.to_ascii_lowercase());
        error
    }

    /// The thing doesn't exist, or is not the caller's: the answer is the same, so that nothing leaks.
    pub fn not_found() -> Self {
        Self::new(Code::NOT_FOUND, NOTHING_HERE)
    }

    /// No, or no valid, API key.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(Code::UNAUTHORIZED, detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"muniment\""))
    }

    /// The tenant may read and not write.
    pub fn suspended() -> Self {
        let detail = "the tenant is suspended: everything can be read and nothing written, nothing was accepted; ask \
                      whoever runs the platform";
        Self::new(Code::TENANT_SUSPENDED, detail)
    }

    /// The tenant may not make, change or delete networks.
    pub fn suspended_networks() -> Self {
        let detail = "the tenant is suspended: its networks run, keep their data and stay as they are, nothing was changed; \
                      ask whoever runs the platform, whose key may change them";
        Self::new(Code::TENANT_SUSPENDED, detail)
    }

    /// The network's validators sleep.
    pub fn asleep(tenant: &str, network: &str) -> Self {
        let detail = format!(
            "the network sleeps and takes no writes, nothing was accepted; wake it with spec.desiredState `Running` \
             (`muniment apply`, kubectl, or PATCH /v1/tenants/{tenant}/networks/{network}), then send again"
        );
        // Whoever tries again after it was woken is taken.
        Self::new(Code::NETWORK_ASLEEP, detail).header(RETRY_AFTER, HeaderValue::from(5_u16))
    }

    /// The network is being detached; under its name it, or another one, may be attached in a moment.
    pub fn closed() -> Self {
        Self::undecided("the network is just being attached anew, nothing was accepted; send again")
    }

    /// What a request made could not be written.
    pub fn unwritten(error: StoreError) -> Self {
        match error {
            StoreError::KeyUsed => Self::in_flight(),
            other => Self::internal(other),
        }
    }

    /// The idempotency key is in use by a request that isn't decided.
    pub fn in_flight() -> Self {
        let detail = "a request with this Idempotency-Key is under way; wait for its answer, or use another key";
        Self::new(Code::IDEMPOTENCY_IN_FLIGHT, detail)
    }

    /// Something of ours failed; the cause is logged under the request id and not sent.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut error = Self::new(
            Code::INTERNAL,
            "the server failed; try again, and quote the request id if it stays",
        );
        error.0.source = Some(source.into());
        error
    }

    /// Too much in flight.
    pub fn overloaded(seconds: u16) -> Self {
        Self::new(
            Code::OVERLOADED,
            format!(
                "too many actions of this network, or of its tenant's others, wait for finality; send again after \
                 {seconds} s, nothing was accepted"
            ),
        )
        .header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The network can't be asked right now.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut error = Self::new(
            Code::UNAVAILABLE,
            "no validator of the network answers; GET the network to see its nodes, then try again",
        )
        .header(RETRY_AFTER, HeaderValue::from(2_u16));
        error.0.source = Some(source.into());
        error
    }

    /// The network answers, and what it says is too little or can't be used: another try may find others.
    pub fn undecided(detail: impl Into<String>) -> Self {
        Self::new(Code::UNAVAILABLE, detail).header(RETRY_AFTER, HeaderValue::from(2_u16))
    }

    /// A network that is there and can't be served until somebody mends the server.
    pub fn detached(code: Code) -> Self {
        let detail = "the server can't attach the network, nothing was accepted; its log names the reason and whoever \
                      runs it has to mend it";
        Self::new(code, detail).header(RETRY_AFTER, HeaderValue::from(30_u16))
    }

    /// Too many are at the same work.
    pub fn busy(detail: &str) -> Self {
        Self::new(Code::OVERLOADED, detail).header(RETRY_AFTER, HeaderValue::from(1_u16))
    }

    /// The path exists, the method doesn't.
    pub fn method_not_allowed(allow: &str) -> Self {
        let error = Self::new(Code::METHOD_NOT_ALLOWED, format!("this path takes {allow}"));
        match HeaderValue::from_str(allow) {
            Ok(value) => error.header(ALLOW, value),
            Err(_) => error,
        }
    }

    /// Adds the JSON pointer of the place at fault.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Adds the record the refusal is about.
    #[must_use]
    pub fn about(mut self, record: Option<String>) -> Self {
        self.0.record = record;
        self
    }

    /// Adds what is logged and never sent.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds what was found in a document.
    #[must_use]
    pub fn found(mut self, findings: Vec<Finding>) -> Self {
        self.0.findings = findings;
        self
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What is wrong and how to fix it.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// JSON pointer, if one place is at fault.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }

    /// What was found in a document.
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    /// The problem document for a request.
    pub fn problem(&self, request_id: &str) -> Problem {
        Problem {
            kind: format!("https://muniment.dev/errors/{}", self.0.code),
            title: self.0.title.to_string(),
            status: self.0.status.as_u16(),
            code: self.0.code.to_string(),
            detail: self.0.detail.clone(),
            pointer: self.0.pointer.clone(),
            record: self.0.record.clone(),
            findings: self.0.findings.clone(),
            request_id: request_id.to_owned(),
        }
    }

    /// The HTTP answer for a request.
    pub fn response(&self, request_id: &str) -> HttpResponse {
        let mut builder = HttpResponse::build(self.0.status);
        for header in &self.0.headers {
            builder.insert_header(header.clone());
        }
        let body = serde_json::to_string(&self.problem(request_id)).unwrap_or_default();
        builder.content_type("application/problem+json").body(body)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl StdError for ApiError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        // Replaced by `frame`, which knows the request id.
        HttpResponse::new(self.0.status)
    }
}
