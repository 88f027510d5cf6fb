//! kill -9 of anything at any time under load. The plan follows from a seed that is printed.
//!
//! `MUNIMENT_KILL_SECONDS` (default 120) and `MUNIMENT_KILL_SEED` make longer and repeated runs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use muniment_tests::load::{Load, check};
use muniment_tests::local::LocalWorld;
use muniment_tests::say;
use muniment_tests::world::{World, agreement};
use sha2::{Digest, Sha256};

/// Numbers from a seed, the same on every machine.
struct Plan {
    seed: u64,
    step: u64,
}

impl Plan {
    fn below(&mut self, end: u64) -> u64 {
        self.step += 1;
        let digest = Sha256::new()
            .chain_update(self.seed.to_le_bytes())
            .chain_update(self.step.to_le_bytes())
            .finalize();
        u64::from_le_bytes(digest[..8].try_into().unwrap()) % end
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_under_load_lose_and_double_nothing() {
    let seconds = setting("MUNIMENT_KILL_SECONDS").unwrap_or(120);
    let seed = setting("MUNIMENT_KILL_SEED").unwrap_or_else(|| {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    });
    say(&format!(
        "random kills for {seconds} s; repeat with MUNIMENT_KILL_SEED={seed}"
    ));
    let mut plan = Plan { seed, step: 0 };
    let mut world = LocalWorld::fresh().await;
    let validators = world.validators();
    let load = Load::start(&world.api(), 4);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    while Instant::now() < end {
        // The pause is part of the plan, not a wait for something.
        tokio::time::sleep(Duration::from_millis(200 + plan.below(4_000))).await;
        let one = plan.below(4) as usize;
        match plan.below(10) {
            0 => {
                eprintln!("kill: everything");
                world.kill_all().await;
                world.start().await;
            }
            1 | 2 => {
                let other = (one + 1 + plan.below(3) as usize) % 4;
                eprintln!("kill: {} and {}", validators[one], validators[other]);
                world.kill(&validators[one]).await;
                world.kill(&validators[other]).await;
            }
            3 => {
                eprintln!("kill: the API with the supervisor");
                world.kill_api().await;
                world.start().await;
            }
            _ => {
                eprintln!("kill: {}", validators[one]);
                world.kill(&validators[one]).await;
            }
        }
        kills += 1;
    }
    load.progress(4).await;
    let promises = load.finish().await;
    let end = agreement(&world).await;
    check(&world, &promises).await;
    say(&format!(
        "seed {seed}: {kills} kills, {} writes kept, height {}",
        promises.len(),
        end.height
    ));
}
