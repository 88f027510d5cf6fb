//! The first receipt: proof that the whole path works, made once per data folder and checked at each start.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::client::Client;
use crate::commands::notarize;
use crate::error::Result;
use crate::files::{self, Source};
use crate::trust::Root;

/// Notarizes `<data>/welcome`, or checks the receipt it has. Answers the line to show.
pub async fn run(client: &Client, root: Arc<Root>, data: &Path) -> Result<String> {
    let document = data.join("welcome");
    if !document.exists() {
        files::write(&document, b"welcome\n")?;
    }
    let source = Source {
        receipt: files::receipt_path(&document, None),
        document,
    };
    let start = Instant::now();
    let line = match notarize::one(client, root, source).await? {
        Some(_) => format!(
            "first receipt: \"welcome\" notarized in {} ms, verified offline",
            start.elapsed().as_millis()
        ),
        None => "first receipt: \"welcome\" found, verified offline".to_owned(),
    };
    Ok(line)
}
