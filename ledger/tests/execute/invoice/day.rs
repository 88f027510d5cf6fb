//! A day in the life of an invoice.

use muniment_ledger::wire::Outcome;
use muniment_receipts::leaf::Leaf;
use serde_json::json;

use super::world::*;
use crate::support::{batch, key};

#[test]
fn issued_approved_pledged_paid_credited_and_reimbursed() {
    let mut world = World::new();
    let invoice = world.ok(SELLER, "issue", document("380", 1, 10_000), None);
    assert_eq!(world.int(invoice, "open"), 11_900);
    world.ok(BUYER, "respond", json!({ "code": "AP" }), Some(invoice));

    let offer = world.pledge("P-1", BANK, 11_900);
    world.ok(SELLER, "offerPledge", offer, Some(invoice));
    world.ok(BANK, "acceptPledge", json!({ "pledge": "P-1" }), Some(invoice));
    assert_eq!(world.state(invoice, "encumbrance"), "Pledged");
    let second = world.pledge("P-2", OTHER_BANK, 1);
    world.no(SELLER, "offerPledge", second, Some(invoice), "ALREADY_PLEDGED");

    let part = json!({ "payment": "A", "amount": 5_000 });
    world.ok(SELLER, "settle", part, Some(invoice));
    assert_eq!(world.state(invoice, "settlement"), "PartlyPaid");
    world.ok(BUYER, "confirmPayment", json!({ "payment": "A" }), Some(invoice));

    let note = with(document("381", 2, 1_000), json!({ "invoice": hex::encode(invoice) }));
    world.no(SELLER, "credit", note.clone(), None, "NEEDS_CONSENT");
    world.ok(
        BANK,
        "consent",
        json!({ "pledge": "P-1", "amount": 1_190 }),
        Some(invoice),
    );
    let credit = world.ok(SELLER, "credit", note, None);
    assert_eq!(world.state(credit, "document"), "CreditNote");
    assert_eq!(world.state(invoice, "document"), "PartlyCredited");
    assert_eq!(
        world.record(invoice).fields["creditNotes"],
        json!([hex::encode(credit)])
    );
    assert_eq!(world.int(invoice, "open"), 11_900 - 5_000 - 1_190);

    let rest = world.int(invoice, "open");
    world.no(
        SELLER,
        "settle",
        json!({ "payment": "B", "amount": rest + 1 }),
        Some(invoice),
        "MORE_THAN_OWED",
    );
    world.ok(
        SELLER,
        "settle",
        json!({ "payment": "B", "amount": rest }),
        Some(invoice),
    );
    assert_eq!(world.state(invoice, "settlement"), "Paid");
    assert_eq!(
        world.state(invoice, "encumbrance"),
        "Pledged",
        "the payee's word alone releases nothing"
    );
    world.ok(BUYER, "confirmPayment", json!({ "payment": "B" }), Some(invoice));
    assert_eq!(
        world.state(invoice, "encumbrance"),
        "Released",
        "the settlement releases the pledge"
    );

    world.ok(BUYER, "appoint", json!({ "holder": name(EMPLOYEE) }), Some(invoice));
    let most = world.int(invoice, "total") - world.int(invoice, "credited");
    let claim = json!({ "employer": name(EMPLOYER), "amount": most, "until": world.ledger.time + DAY });
    world.ok(EMPLOYEE, "claimReimbursement", claim.clone(), Some(invoice));
    world.no(
        EMPLOYEE,
        "claimReimbursement",
        claim.clone(),
        Some(invoice),
        "WRONG_STATE",
    );
    world.ok(
        EMPLOYER,
        "settleReimbursement",
        json!({ "amount": most }),
        Some(invoice),
    );
    assert_eq!(world.state(invoice, "reimbursement"), "Reimbursed");
    world.no(EMPLOYEE, "claimReimbursement", claim, Some(invoice), "WRONG_STATE");
}

/// The leaf of a credit note says which version of the invoice it made, and that version is in the state.
#[test]
fn a_credit_notes_leaf_names_the_invoice_and_its_new_version() {
    let mut world = World::new();
    let invoice = world.accepted(1, 10_000);
    let note = with(document("381", 2, 1_000), json!({ "invoice": hex::encode(invoice) }));
    let transaction = world.sign(&key(SELLER), "credit", note, None);
    let prepared = world.ledger.admit(transaction).unwrap();
    let execution = world.ledger.block(&[prepared]);
    let Outcome::Accepted { record, leaf, also, .. } = &execution.outcomes[0][0] else {
        panic!("{:?}", execution.outcomes)
    };
    assert_eq!(also, &[(invoice, 3)]);
    let parsed = Leaf::parse(&execution.leaves[0]).unwrap();
    let told = parsed.outcome().unwrap();
    assert_eq!((told.version_of(record), told.version_of(&invoice)), (Some(1), Some(3)));
    assert_eq!(told.version_of(&[9; 32]), None);
    assert_eq!(world.record(invoice).version, 3);
    let steps: Vec<_> = execution
        .history
        .iter()
        .map(|step| (step.record, step.version, step.leaf))
        .collect();
    assert_eq!(steps, [(*record, 1, *leaf), (invoice, 3, *leaf)]);
}

#[test]
fn a_chain_is_gapless_also_in_batches_with_refused_items() {
    let mut world = World::new();
    let seller = key(SELLER);
    let mut broken = document("380", 3, 100);
    broken["totals"]["vat"] = json!(20);
    let items = [
        document("380", 1, 100),
        document("380", 2, 100),
        broken,
        document("380", 4, 100),
        document("380", 2, 100),
    ];
    let items = items.into_iter().map(|input| (input, None)).collect();
    let common = world.ledger.common_of("electronic-invoice", &seller, "issue");
    let prepared = world.ledger.admit(batch(common, &seller, items)).unwrap();
    let execution = world.ledger.block(&[prepared]);
    let codes: Vec<_> = execution.outcomes[0]
        .iter()
        .map(|outcome| match outcome {
            Outcome::Accepted { record, .. } => {
                let record = world.record(*record);
                format!(
                    "{} after {}",
                    record.fields["counter"],
                    record.fields["previous"].as_str().unwrap().trim_start_matches('0')
                )
            }
            Outcome::Rejected { code, .. } => code.clone(),
        })
        .collect();
    assert_eq!(
        codes,
        ["1 after ", "2 after 1", "EN16931_VAT", "3 after 2", "DUPLICATE"]
    );
    // Another series is another chain; a place that is signed for must be the next.
    let other = with(
        document("380", 9, 100),
        json!({ "series": "S", "chain": { "counter": 2 } }),
    );
    world.no(SELLER, "issue", other.clone(), None, "NOT_NEXT");
    let first = world.ok(
        SELLER,
        "issue",
        with(other, json!({ "chain": { "counter": 1, "previous": "" } })),
        None,
    );
    assert_eq!(world.int(first, "counter"), 1);
    let next = with(
        document("380", 10, 100),
        json!({ "chain": { "counter": 4, "previous": digest(4) } }),
    );
    world.ok(SELLER, "issue", next, None);
}
