//! `muniment template publish`: a template becomes part of the network's own rules.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use super::read_template;
use crate::client::Client;
use crate::commands::governance;
use crate::context::Choice;
use crate::error::Result;
use crate::files::Shown;
use crate::output::Output;

/// What to publish.
#[derive(clap::Args)]
pub struct Args {
    /// The template's YAML file; its name and revision stand in it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command. Where one member decides, records can be made at once.
pub async fn run(args: &Args, choice: &Choice, output: Output) -> Result<bool> {
    let source = read_template(&args.file)?;
    let client = Client::open(choice, output)?;
    let recorded = governance::submit(&client, Method::POST, "/templates", &json!({ "source": source })).await?;
    governance::show(&client, &recorded, &format!("template {}", args.file.shown()), output).await?;
    Ok(true)
}
