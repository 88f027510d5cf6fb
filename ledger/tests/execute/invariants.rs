//! The seventeen invariants of electronic invoices, over random histories of several parties.
//!
//! `attempts` makes attempts of random numbers, `history` runs them, `model` is what should hold of whatever was accepted, kept from the accepted
//! inputs alone. Each invariant is shown to break when its guard is taken out of the template (`guards`).

#[path = "invariants/attempts.rs"]
mod attempts;
#[path = "invariants/guards.rs"]
mod guards;
#[path = "invariants/history.rs"]
mod history;
#[path = "invariants/model.rs"]
mod model;
#[path = "invariants/races.rs"]
mod races;

use muniment_ledger::templates::ELECTRONIC_INVOICE;
use proptest::prelude::*;

use attempts::attempts;
use history::{Settings, run};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn none_is_ever_broken(attempts in attempts()) {
        let found = run(ELECTRONIC_INVOICE, &attempts, Settings::default());
        prop_assert!(found.broken.is_empty(), "{:#?}", found.broken);
    }
}

/// The histories are worth something: every action and deadline of the template is accepted in some of them.
#[test]
fn random_histories_reach_every_action() {
    let template = muniment_ledger::template::Template::compile(ELECTRONIC_INVOICE).unwrap();
    let mut missing: std::collections::BTreeSet<_> =
        template.actions.iter().map(|action| action.name.clone()).collect();
    for attempts in attempts::samples(400) {
        for action in run(ELECTRONIC_INVOICE, &attempts, Settings::default()).accepted {
            missing.remove(&action);
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("never accepted: {missing:?}");
}
