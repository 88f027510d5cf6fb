//! What the server answered, as values and as errors with the next step.

use muniment_api::problem::NOTHING_HERE;
use muniment_api::types::{ItemOutcome, Problem};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use crate::error::{Failure, Result};

/// JSON of an answer.
///
/// # Errors
/// When it is of another form than this program knows.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(
            "protocol",
            format!("the server's answer can't be understood: {error}"),
            "compare `muniment --version` with the server's /version",
        )
    })
}

/// A refusal in the words of a batch.
pub fn rejected(problem: Problem) -> ItemOutcome {
    ItemOutcome::Rejected {
        code: problem.code,
        detail: problem.detail,
        pointer: problem.pointer.unwrap_or_default(),
        record: problem.record,
        findings: problem.findings,
    }
}

/// A refusal of the network: its sentence, the code that templates and their cases know, and the record that it is about,
/// which the command `show` prints.
pub fn refused(code: &str, detail: &str, record: Option<&str>, show: &str) -> Failure {
    let named = record.filter(|record| !detail.contains(*record));
    let about = named.map(|record| format!(", record {record}")).unwrap_or_default();
    let next = match (code, record) {
        ("not_due", _) => "run the same command again after that time".to_owned(),
        ("not_a_member", _) => "let the network admit the key: `muniment member add NAME KEY`".to_owned(),
        (_, Some(record)) => format!("look at the record that it is about: `muniment {show} {record}`"),
        (_, None) => "correct what the message names".to_owned(),
    };
    Failure::new(code, format!("{detail} ({code}{about})"), next)
}

/// A refusal of the server as a CLI error. The server's own words say how to fix it.
pub fn refusal(status: StatusCode, bytes: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(bytes) else {
        return Failure::new(
            "protocol",
            format!("the server answered {status} without saying why"),
            "check that --server is a muniment server",
        );
    };
    let next = match status {
        StatusCode::UNAUTHORIZED => {
            "use the key in the context file that `muniment dev` wrote, or set MUNIMENT_API_KEY".to_owned()
        }
        StatusCode::NOT_FOUND if problem.detail == NOTHING_HERE => {
            "check --tenant and --network, and the id".to_owned()
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "see `muniment network status`; run the same command again when quorum holds".to_owned()
        }
        StatusCode::FORBIDDEN => "use an API key that may do this".to_owned(),
        StatusCode::TOO_MANY_REQUESTS => "wait a little and run the same command again".to_owned(),
        // What is wrong with a request, and how to mend it, is in the detail; so is what this server can't do at all.
        status if status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED => {
            "correct what the message names".to_owned()
        }
        _ => format!("look for request {} in the server's log", problem.request_id),
    };
    Failure::new(&problem.code, format!("{} ({})", problem.detail, problem.code), next)
}
