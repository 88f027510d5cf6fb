//! The same blocks give the same state roots, leaves and receipts on every machine and in every version: the values
//! below were written down once. A change here is a change of what networks have signed already; it needs a new
//! version of the format or template, not new values. (Before the first release they changed once, with the number of
//! members in the governance policy; old and new values were computed by a second program as well.)

use muniment_ledger::templates::NOTARIZATION;
use muniment_receipts::leaf::{self, Marker};
use muniment_receipts::merkle::{Frontier, Hash, leaf_hash};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::support::{Ledger, batch, deposit, genesis, key, single};

/// Network id, state root of the genesis, SHA-256 of the template's source. Then by height: state root, log root after
/// the block, SHA-256 of all its leaves one after the other. Last the leaf hash of the second action of the last block,
/// and its audit path. Written anew once before the first release, when the genesis state got its number of members and
/// the used keys of validators.
const FROZEN: &str = "
a7f90a4d6cbd3d74202efda1cec052c087a5d0dabb7947baee6df9dd8b4267f2 f808892ee81e0589c59c3143432fb388cb791244e22006e2d5ef741cc5984ced 97e3444dc880c6ec67dee62c429cfdb2d77a6c3b7c14104c8087b8a2d6cb04a1
1b538ab4e383b4ae7625f078c5c1d20917bfbb31efcb2c595e40982cf4826b8e 1bb50e147bdd45148173d78822e56da305bde21c263c74b7728ac26c7c47f87b 5efcbac362ab1f5607f5b0c17b387c86d2064779b816e66ea333e5afcd411859
841dd80b372d5486add79cb82fc59b1f3af0ba00e992a4658838ac81059b5ca4 5ad12fe690b8f2392860286bee6ec3aa0fca529051af5acf825cbe7e680a04c0 0c48af3244314cc2b62af7842404cdc11f60fbe739991c8cd893124bedaae1a0
324931945e1fbf7d086cfc074ac71e4c225a319f8970465a923fbc6301865d5c d4bf4005ac890b0329b59017d765631cd299ac6b638fd4e2a756d025f5d03e8f 72511930589c1917542fd7d456edd9e218d326324b1d4ebd9bdac421c57ae906
c1afa35b89d461e86b52487c9b7feebad34a0f211d911da64f351797917976fa
eda7e11a5622bfe31ab17f3aca1e0ba1fd4e929be370c66bf29a50a9d7af0e9e
41898ee3ab2210b2c133a1acb303e4e2902245f59a4117132e54678e056041b9
7ccc0a8a866c4e72714c01b196d1f66f729135c0abd41eb91252c223b5e2c819
b17702b44d13d965cb248fcd00839b8a0f32838c54da661d53d10d51296142d7
";

/// Records are stored as serde_json writes them. With its `preserve_order`, which any crate of the tree could turn on, values
/// that expressions compute would come in a random order.
#[test]
fn objects_are_written_in_the_order_of_their_names() {
    let object: serde_json::Value = serde_json::from_str(r#"{ "b": { "d": 1, "c": 2 }, "a": 3 }"#).unwrap();
    assert_eq!(object.to_string(), r#"{"a":3,"b":{"c":2,"d":1}}"#);
}

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
