//! Several parties at once: whatever the order within the block, exactly one wins.

use muniment_ledger::wire::Outcome;
use serde_json::{Value, json};

use crate::invoice::world::*;
use crate::support::key;

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let longer = shorter.iter().flat_map(|order| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    });
    longer.collect()
}

/// Runs rivals in all orders on the same state, and wants one winner and the others refused with one of the codes.
fn one_wins(world: &mut World, rivals: Vec<(u8, &str, Value, Option<Id>)>, codes: &[&str]) {
    let transactions: Vec<_> = rivals
        .into_iter()
        .map(|(party, action, input, record)| {
            let transaction = world.sign(&key(party), action, input, record);
            world.ledger.admit(transaction).unwrap()
        })
        .collect();
    let mut winners = std::collections::BTreeSet::new();
    for order in orders(transactions.len()) {
        let block: Vec<_> = order.iter().map(|index| transactions[*index].clone()).collect();
        let execution = world.ledger.dry(&block);
        let mut won = 0;
        for (place, outcomes) in execution.outcomes.iter().enumerate() {
            match &outcomes[0] {
                Outcome::Accepted { .. } => {
                    won += 1;
                    winners.insert(order[place]);
                }
                Outcome::Rejected { code, .. } => assert!(codes.contains(&code.as_str()), "{code}"),
            }
        }
        assert_eq!(won, 1, "in the order {order:?}");
    }
    assert_eq!(winners.len(), transactions.len(), "each wins in some order");
}

/// What becomes of two rivals in each order.
fn both_orders(world: &mut World, rivals: Vec<(u8, &str, Value, Option<Id>)>) -> [Vec<String>; 2] {
    let transactions: Vec<_> = rivals
        .into_iter()
        .map(|(party, action, input, record)| {
            let transaction = world.sign(&key(party), action, input, record);
            world.ledger.admit(transaction).unwrap()
        })
        .collect();
    [[0, 1], [1, 0]].map(|order| {
        let block: Vec<_> = order.iter().map(|index: &usize| transactions[*index].clone()).collect();
        let outcomes = world.ledger.dry(&block).outcomes;
        let code = |outcome: &Outcome| match outcome {
            Outcome::Accepted { .. } => "accepted".to_owned(),
            Outcome::Rejected { code, .. } => code.clone(),
        };
        outcomes.iter().map(|outcomes| code(&outcomes[0])).collect()
    })
}

#[test]
fn for_a_number() {
    let mut world = World::new();
    let issue = |content: u64| {
        let input = with(document("380", 1, 10_000), json!({ "content": digest(content) }));
        (SELLER, "issue", input, None)
    };
    one_wins(&mut world, vec![issue(1), issue(2), issue(3), issue(4)], &["DUPLICATE"]);
}

#[test]
fn for_the_next_place_in_a_chain() {
    let mut world = World::new();
    let issue = |number: u64| {
        let input = with(
            document("380", number, 10_000),
            json!({ "chain": { "counter": 1, "previous": "" } }),
        );
        (SELLER, "issue", input, None)
    };
    one_wins(&mut world, vec![issue(1), issue(2), issue(3)], &["NOT_NEXT"]);
}

#[test]
fn for_a_pledge() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    for (pledge, bank) in [("P-1", BANK), ("P-2", OTHER_BANK)] {
        let offer = world.pledge(pledge, bank, 11_900);
        world.ok(SELLER, "offerPledge", offer, Some(invoice));
    }
    let accept = |bank: u8, pledge: &str| (bank, "acceptPledge", json!({ "pledge": pledge }), Some(invoice));
    one_wins(
        &mut world,
        vec![accept(BANK, "P-1"), accept(OTHER_BANK, "P-2")],
        &["ALREADY_PLEDGED"],
    );
}

#[test]
fn for_a_document_under_several_numbers() {
    let mut world = World::new();
    let issue = |number: u64| {
        let input = with(document("380", number, 10_000), json!({ "content": digest(1) }));
        (SELLER, "issue", input, None)
    };
    one_wins(&mut world, vec![issue(1), issue(2), issue(3)], &["DOCUMENT_KNOWN"]);
}

#[test]
fn for_the_last_of_it_between_credit_and_payment() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let note = with(document("381", 1, 10_000), json!({ "invoice": hex::encode(invoice) }));
    let pay = json!({ "payment": "A", "amount": 11_900 });
    let rivals = vec![(SELLER, "settle", pay, Some(invoice)), (SELLER, "credit", note, None)];
    // Both may come: what was paid before it is credited is to be refunded. What is credited first is not paid.
    let first = both_orders(&mut world, rivals);
    assert_eq!(
        first,
        [vec!["accepted", "accepted"], vec!["accepted", "MORE_THAN_OWED"]]
    );
}

#[test]
fn for_the_last_payment() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let pay = |payment: &str| {
        (
            SELLER,
            "settle",
            json!({ "payment": payment, "amount": 11_900 }),
            Some(invoice),
        )
    };
    one_wins(&mut world, vec![pay("A"), pay("B"), pay("C")], &["MORE_THAN_OWED"]);
}

#[test]
fn for_a_reimbursement() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    world.ok(BUYER, "appoint", json!({ "holder": name(EMPLOYEE) }), Some(invoice));
    let until = world.ledger.time + DAY;
    let claim = |party: u8, employer: u8| {
        let input = json!({ "employer": name(employer), "amount": 11_900, "until": until });
        (party, "claimReimbursement", input, Some(invoice))
    };
    let rivals = vec![claim(BUYER, EMPLOYER), claim(EMPLOYEE, EMPLOYER), claim(EMPLOYEE, BANK)];
    one_wins(&mut world, rivals, &["WRONG_STATE"]);
}

#[test]
fn between_voiding_and_paying() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    let rivals = vec![
        (SELLER, "cancel", json!({ "reason": "typo" }), Some(invoice)),
        (SELLER, "settle", json!({ "payment": "A", "amount": 1 }), Some(invoice)),
    ];
    one_wins(&mut world, rivals, &["WRONG_STATE"]);
}
