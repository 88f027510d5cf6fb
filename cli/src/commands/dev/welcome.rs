//! The first receipt: proof that the whole path works, made once per data folder and checked at each start.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::client::Client;
use crate::commands::notarize;
use crate::error::Result;
use crate::files::{self, Source};
use crate::trust::Root;

/// What came of it.
pub struct Welcome {
    /// Height of the receipt's block, if it was made now.
    pub height: Option<u64>,
    /// The line to show.
    pub line: String,
}

/// Notarizes `<data>/welcome`, or checks the receipt it has.
pub async fn run(client: &Client, root: Arc<Root>, data: &Path) -> Result<Welcome> {
    let document = data.join("welcome");
    if !document.exists() {
        files::write(&document, b"welcome\n")?;
    }
    let source = Source {
        receipt: files::receipt_path(&document, None),
        document,
    };
    let start = Instant::now();
    let made = match notarize::one(client, root, source).await {
        // The folder had another network first. A server isn't held up by that.
        Err(failure) if failure.code == notarize::OTHER_RECEIPT => {
            let line = "first receipt: welcome.receipt is of another network, and stays".to_owned();
            return Ok(Welcome { height: None, line });
        }
        made => made?,
    };
    let line = if made.is_some() {
        let took = start.elapsed().as_millis();
        format!("first receipt: \"welcome\" notarized in {took} ms, verified offline")
    } else {
        "first receipt: \"welcome\" found, verified offline".to_owned()
    };
    let height = made.map(|receipted| receipted.height);
    Ok(Welcome { height, line })
}
