//! `muniment ready`: waits until a server can work. For scripts, and for the chart's test.

use std::time::{Duration, Instant};

use crate::context::Choice;
use crate::error::{Failure, Result, chain};
use crate::output::Output;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until the management API can work: its database takes rows and its networks are attached.
#[derive(clap::Args)]
pub struct Args {
    /// How long, e.g. `60s`.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

/// Runs the command. Needs no API key.
pub async fn run(args: Args, choice: &Choice, output: Output) -> Result<bool> {
    let server = match &choice.server {
        Some(server) => server.trim_end_matches('/').to_owned(),
        None => choice.load()?.server,
    };
    let http = crate::http::builder()?
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| crate::http::failed(&error))?;
    let end = Instant::now() + args.wait;
    loop {
        let why = match http.get(format!("{server}/readyz")).send().await {
            Ok(answer) if answer.status().is_success() => {
                output.line(format!("{server} is ready"))?;
                return Ok(true);
            }
            Ok(answer) => {
                let status = answer.status();
                let problem: Option<muniment_api::types::Problem> = answer.json().await.ok();
                problem.map_or_else(|| format!("it answers {status}"), |problem| problem.detail)
            }
            Err(error) => chain(&error),
        };
        if Instant::now() >= end {
            return Err(Failure::new(
                "not_ready",
                format!("{server} is not ready: {why}"),
                "see the log of the server, or wait longer with --wait 60s",
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
