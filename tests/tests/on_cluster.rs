//! The scenarios of the first path on a real Kubernetes, and what only a Kubernetes can show: nobody gets at another
//! tenant's ports, and every ServiceAccount has the rights that were reviewed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use muniment_tests::cluster::{ClusterWorld, wanted};
use muniment_tests::scenarios;

macro_rules! scenario {
    ($name:ident) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            if wanted(stringify!($name)) {
                scenarios::$name(&mut ClusterWorld::fresh().await).await;
            }
        }
    };
}

scenario!(a_file_becomes_a_receipt);
scenario!(killing_each_process_in_turn);
scenario!(two_of_four_paused);
scenario!(killing_everything_at_once);
scenario!(accepted_just_before_a_kill);
scenario!(a_validator_is_wiped);
