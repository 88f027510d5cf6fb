//! Limits: ranges, and what the software version chooses when nothing is said.

use muniment_crds::{NetworkLimits, Placement};
use muniment_ledger::config::Limits;

use super::Findings;

/// Memory for waiting transactions of a replica in a host, unless said otherwise, and at most: many share the host.
const SHARED_MEMPOOL: (u64, u64) = (32 * 1024 * 1024, 64 * 1024 * 1024);

/// Checks a limit and returns it, or the default.
fn pick(findings: &mut Findings, field: &str, value: Option<u64>, range: (u64, u64), default: u64) -> u64 {
    let Some(value) = value else { return default };
    if value < range.0 || value > range.1 {
        findings.add(
            format!("spec.limits.{field}"),
            format!("{value} isn't from {} to {}", range.0, range.1),
            "choose a value in that range, or leave the field out",
        );
    }
    value
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Complete limits. Ranges are those of the schema's rules.
pub(super) fn complete(limits: &NetworkLimits, placement: Placement, findings: &mut Findings) -> Limits {
    // Every field is named, so that a new one can't be forgotten.
    let NetworkLimits {
        block_bytes,
        block_actions,
        mempool_bytes,
        propose_timeout_millis,
        vote_timeout_millis,
        heartbeat_millis,
    } = limits.clone();
    let default = Limits::default();
    let millis = (10, 60_000);
    let (mempool, most) = match placement {
        Placement::Dedicated => (default.mempool_bytes as u64, 1_073_741_824),
        Placement::Shared => SHARED_MEMPOOL,
    };
    Limits {
        block_bytes: size(pick(
            findings,
            "blockBytes",
            block_bytes,
            (65_536, 16_000_000),
            default.block_bytes as u64,
        )),
        block_actions: size(pick(
            findings,
            "blockActions",
            block_actions,
            (1_000, 20_000),
            default.block_actions as u64,
        )),
        mempool_bytes: size(pick(
            findings,
            "mempoolBytes",
            mempool_bytes,
            (33_554_432, most),
            mempool,
        )),
        propose_timeout: pick(
            findings,
            "proposeTimeoutMillis",
            propose_timeout_millis,
            millis,
            default.propose_timeout,
        ),
        vote_timeout: pick(
            findings,
            "voteTimeoutMillis",
            vote_timeout_millis,
            millis,
            default.vote_timeout,
        ),
        heartbeat: pick(
            findings,
            "heartbeatMillis",
            heartbeat_millis,
            (1_000, 86_400_000),
            default.heartbeat,
        ),
    }
}
