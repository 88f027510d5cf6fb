//! `muniment network`: how a network is doing.

mod plan;

use muniment_api::types::Network;

use crate::client::Client;
use crate::context::Choice;
use crate::error::Result;
use crate::output::{Output, table};

/// Looks at networks.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Shows each validator and whether quorum holds. Exit code 1 when it does not.
    Status,
    /// Shows what a description would bring about, before it is applied.
    Plan(plan::Args),
}

/// Runs the command. The answer is whether quorum holds.
pub async fn run(command: Command, choice: &Choice, output: Output) -> Result<bool> {
    match command {
        Command::Status => status(choice, output).await,
        Command::Plan(args) => plan::run(args, choice, output).await,
    }
}

async fn status(choice: &Choice, output: Output) -> Result<bool> {
    let client = Client::new(choice.load()?)?;
    let network = client.network().await?;
    if output.json() {
        output.document(&network)?;
    } else {
        output.line(text(&network))?;
    }
    Ok(network.quorum_holds)
}

/// The status screen.
fn text(network: &Network) -> String {
    let quorum = if network.quorum_holds {
        "holds"
    } else {
        "does not hold: writes wait"
    };
    let mut rows = vec![
        [
            "VALIDATOR",
            "STATE",
            "HEIGHT",
            "STATE ROOT",
            "PEERS",
            "RESTARTS",
            "VERSION",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for node in &network.nodes {
        let root: String = node.state_root.chars().take(16).collect();
        rows.push(vec![
            node.name.clone(),
            node.state.clone(),
            node.height.to_string(),
            if root.is_empty() { "-".to_owned() } else { root },
            node.peers.to_string(),
            node.restarts.to_string(),
            if node.version.is_empty() {
                "-".to_owned()
            } else {
                node.version.clone()
            },
        ]);
    }
    format!(
        "network {}/{} is {}: height {}, {} of {} validators ready, quorum of {} {quorum}\nid {}\n\n{}",
        network.tenant,
        network.name,
        network.state,
        network.height,
        network.ready,
        network.validators,
        network.quorum,
        network.id,
        table(&rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use muniment_api::types::NetworkNode;

    #[test]
    fn the_screen_says_whether_quorum_holds() {
        let node = NetworkNode {
            name: "validator-0".to_owned(),
            state: "Ready".to_owned(),
            height: 7,
            state_root: "ab".repeat(32),
            peers: 3,
            version: "0.1.0".to_owned(),
            restarts: 0,
        };
        let network = Network {
            tenant: "demo".to_owned(),
            name: "notary".to_owned(),
            id: "00".repeat(32),
            state: "Stalled".to_owned(),
            height: 7,
            ready: 1,
            validators: 4,
            quorum: 3,
            quorum_holds: false,
            nodes: vec![node],
        };
        let text = text(&network);
        assert!(text.starts_with(
            "network demo/notary is Stalled: height 7, 1 of 4 validators ready, quorum of 3 does not hold"
        ));
        assert!(
            text.contains("validator-0  Ready  7       abababababababab  3"),
            "{text}"
        );
    }
}
