//! The same blocks give the same state roots, leaves and receipts on every machine and in every version: the values
//! below were written down once. A change here is a change of what networks have signed already; it needs a new
//! version of the format or template, not new values.

use muniment_ledger::templates::NOTARIZATION;
use muniment_receipts::leaf::{self, Marker};
use muniment_receipts::merkle::{Frontier, Hash, leaf_hash};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::support::{Ledger, batch, deposit, genesis, key, single};

/// Network id, state root of the genesis, SHA-256 of the template's source. Then by height: state root, log root after
/// the block, SHA-256 of all its leaves one after the other. Last the leaf hash of the second action of the last block,
/// and its audit path.
const FROZEN: &str = "
a7f90a4d6cbd3d74202efda1cec052c087a5d0dabb7947baee6df9dd8b4267f2 146feffe555769111f56c3a7398dbbc5deea55e99559fe058d61efa0eebb6aaa 97e3444dc880c6ec67dee62c429cfdb2d77a6c3b7c14104c8087b8a2d6cb04a1
3dc59c479e79393d7106a02d13e30a02fc9b5dad9370d989b65c4983cb6c3cf0 906c6e95106a22d89f95b70974a5df7cc9aa645a7ef736cc899833c8456bedea 41be0782746c07325baf06e22e3894fae86addb753af8181c6aee57aed18de64
0c38b29dabbfb6b4b250734c744aa5aa6305d402cd6c850e250dd9a17d30aae7 fc882191ed96b896ff5bf147d6c865dcd782e9f9edaf207eed2af15ad1f07e33 a667a340f2e3c32873dd6109cbf821f82400d2b71833b31e28248ad842fa71ee
83f3aaa795d9805346b23f68525d618ae5113071202bddb576391d66c2643741 9a293af2afa43c4fcb01d1eea2b66f115782dca265809c283ad3c67e0e6ac0f7 ad4aae18709149aece10b37899c9d579b26b62499fc124c69469d5a2e22fa905
c1afa35b89d461e86b52487c9b7feebad34a0f211d911da64f351797917976fa
eda7e11a5622bfe31ab17f3aca1e0ba1fd4e929be370c66bf29a50a9d7af0e9e
2a73ae5fb75dea79aa58218262a07479d692d0d19745f12b905a688cbf5ac908
207a25443187b5e6a7dc04379b19f0fdf5788702bc6792061199d3fde03ae9f0
c3ddc12437aef152faa22f08df50578dc33bf98fcbc34e342beba082c4d9d3a5
";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}

#[test]
fn blocks_give_what_they_always_gave() {
    let genesis = genesis(&[("notarization", 1, NOTARIZATION)]);
    let mut ledger = Ledger::new(&genesis);
    let found = [
        hex(ledger.params.network),
        hex(ledger.root),
        hex(Sha256::digest(NOTARIZATION)),
    ];
    let mut lines = vec![found.join(" ")];
    let (mut frontier, mut last) = (Frontier::new(), None);
    let mut record = [0; 32];
    for height in 1..=3_u64 {
        let (one, two) = (key(1), key(2));
        // Accepted and refused actions, single and batched, on new and existing records, by two members.
        let transactions = match height {
            1 => vec![
                single(ledger.common(&one, "deposit"), &one, deposit(1), None),
                single(ledger.common(&two, "deposit"), &two, deposit(1), None),
                single(ledger.common(&one, "deposit"), &one, deposit(1), None),
            ],
            2 => vec![
                single(
                    ledger.common(&one, "withdraw"),
                    &one,
                    json!({ "reason": "no longer needed" }),
                    Some(record),
                ),
                single(ledger.common(&two, "withdraw"), &two, json!({}), Some(record)),
            ],
            _ => {
                let salted = json!({
                    "digests": [{ "alg": "sha-256", "value": "ab".repeat(32) }, { "alg": "sha-512", "value": "cd".repeat(64) }],
                    "mediaType": "application/pdf", "mode": "salted", "size": 9_007_199_254_740_991_u64,
                    "subject": "Größe \u{1F4C4} \"1\"\n",
                });
                let items = vec![
                    (deposit(2), None),
                    (salted, None),
                    (deposit(2), None),
                    (deposit(3), None),
                ];
                vec![batch(ledger.common(&two, "deposit"), &two, items)]
            }
        };
        let prepared: Vec<_> = transactions.into_iter().map(|one| ledger.admit(one).unwrap()).collect();
        let (header, time) = (ledger.header(), ledger.time);
        let execution = ledger.block(&prepared);
        if height == 1 {
            record = execution.history[0].record;
        }
        let marker = leaf::marker(&Marker {
            block: header.hash(),
            height,
            network: ledger.params.network,
            next_validators: [0; 32],
            state_root: ledger.root,
            time,
            validators: [0; 32],
        });
        let mut leaves: Vec<Vec<u8>> = execution.leaves;
        leaves.push(marker);
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let (first, growth) = (frontier.size(), frontier.extension(&hashes));
        frontier = growth.frontier();
        lines.push(
            [
                hex(ledger.root),
                hex(frontier.root()),
                hex(Sha256::digest(leaves.concat())),
            ]
            .join(" "),
        );
        last = hashes.get(1).map(|hash| (*hash, growth.path(first + 1)));
    }
    let (leaf, path) = last.unwrap();
    lines.extend([leaf].iter().chain(&path).map(hex));
    let found = format!("\n{}\n", lines.join("\n"));
    assert_eq!(found, FROZEN, "found:{found}");
}
