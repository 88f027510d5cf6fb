//! The templates `traceability` and `ballot` on four validators, through the API: each party with a key of its own,
//! each step with a receipt that holds without any server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use muniment_ledger::state::record_id;
use muniment_receipts::verify::{Check, Outcome, Verifier};
use muniment_tests::api::{Answer, digest};
use muniment_tests::local::LocalWorld;
use muniment_tests::tenants::Tenanted;
use muniment_tests::world::{World, agreement};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

struct Stage {
    world: LocalWorld,
    template: &'static str,
    verifier: Verifier,
}

impl Stage {
    async fn of(template: &'static str) -> Self {
        let world = LocalWorld::with_templates(&["notarization", template]).await;
        let trust = world.trust();
        let network = *trust.network();
        Self {
            verifier: Verifier::with(trust, Some(network)),
            template,
            world,
        }
    }

    async fn party(&self, name: &str) -> Tenanted {
        Tenanted::new(&self.world.api(), name).await
    }

    async fn make(&self, who: &Tenanted, action: &str, input: Value) -> Answer {
        let body = json!({ "template": self.template, "action": action, "input": input });
        who.api.post("/records", &body).await
    }

    async fn act(&self, who: &Tenanted, record: &str, action: &str, input: Value) -> Answer {
        let body = json!({ "input": input });
        who.api
            .post(&format!("/records/{record}/actions/{action}"), &body)
            .await
    }

    /// The step is final, and its receipt holds. Answers the record.
    fn done(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, 201, "{answer:?}");
        self.holds(answer.body["receipt"].as_str().expect("a receipt"));
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    fn holds(&self, receipt: &str) {
        let report = self.verifier.verify(receipt.as_bytes(), None, now());
        for verdict in &report.verdicts {
            // A document isn't given, and what came later no receipt can say.
            let left_out = matches!(verdict.check, Check::Document | Check::Status);
            let fine = verdict.result == Outcome::Pass || left_out;
            assert!(fine, "{verdict:?}");
        }
    }

    async fn record(&self, id: &str) -> Value {
        let answer = self.world.api().get(&format!("/records/{id}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["record"].clone()
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.body["code"], code, "{answer:?}");
    assert!(answer.status.is_client_error(), "{answer:?}");
}

/// What anyone can do who reads a code off an item: the record id follows from the code.
fn of_code(code: &str) -> String {
    hex::encode(record_id("traceability", None, &[&json!(code)]).unwrap())
}

/// The way of an item back to its origin, as the command line tells it: how far from it, and the code.
fn traced(stage: &Stage, code: &str) -> Vec<(u64, String)> {
    let told = stage.world.cli(["-o", "json", "records", "trace", code]);
    assert_eq!(told.code, 0, "{told:?}");
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let item = |item: &Value| {
        let code = item["record"]["fields"]["code"].as_str().unwrap();
        (item["depth"].as_u64().unwrap(), code.to_owned())
    };
    told["items"].as_array().unwrap().iter().map(item).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_are_followed_back_to_their_origin_and_recalled() {
    let stage = Stage::of("traceability").await;
    let (farm, mill, bakery) = (
        stage.party("farm").await,
        stage.party("mill").await,
        stage.party("bakery").await,
    );
    let goods =
        |code: &str, quantity: u64| json!({ "code": code, "product": "wheat", "unit": "kg", "quantity": quantity });
    let wheat = stage.done(&stage.make(&farm, "produce", goods("WHEAT-1", 1000)).await);
    let spelt = stage.done(&stage.make(&farm, "produce", goods("WHEAT-2", 500)).await);
    refused(&stage.make(&mill, "produce", goods("WHEAT-1", 1)).await, "duplicate");
    for item in [&wheat, &spelt] {
        stage.done(&stage.act(&farm, item, "handOver", json!({ "to": mill.signer })).await);
        refused(&stage.act(&bakery, item, "accept", json!({})).await, "not_allowed");
        stage.done(&stage.act(&mill, item, "accept", json!({})).await);
    }

    let part = |code: &str, quantity: u64| json!({ "code": code, "source": wheat, "quantity": quantity });
    let sack = stage.done(&stage.make(&mill, "split", part("SACK-1", 400)).await);
    refused(
        &stage.make(&mill, "split", part("SACK-2", 601)).await,
        "more_than_there",
    );
    // Two take the last of it at the same time: exactly one gets it.
    let (one, other) = tokio::join!(
        stage.make(&mill, "split", part("SACK-3", 600)),
        stage.make(&mill, "split", part("SACK-4", 600))
    );
    let won = [&one, &other].into_iter().filter(|answer| answer.status == 201).count();
    assert_eq!(won, 1, "{one:?} {other:?}");
    let blend = json!({ "code": "BLEND-1", "parts": [sack, spelt] });
    let blend = stage.done(&stage.make(&mill, "merge", blend).await);
    stage.done(
        &stage
            .act(&mill, &blend, "handOver", json!({ "to": bakery.signer }))
            .await,
    );
    stage.done(&stage.act(&bakery, &blend, "accept", json!({ "place": "oven 2" })).await);
    assert_eq!(stage.record(&blend).await["fields"]["quantity"], 900);

    // From the code on the bag back to the field.
    let query = "/records?template=traceability&identity=BLEND-1";
    let found = stage.world.api().get(query).await;
    assert_eq!(found.body["records"][0]["id"], blend, "{found:?}");
    let unknown = stage
        .world
        .api()
        .get("/records?template=traceability&identity=BLEND-2")
        .await;
    assert_eq!(unknown.body["records"], json!([]), "{unknown:?}");
    let mut trail = Vec::new();
    let mut open = vec![of_code("BLEND-1")];
    while let Some(id) = open.pop() {
        let record = stage.record(&id).await;
        let sources = record["fields"]["sources"].as_array().unwrap().iter();
        open.extend(sources.map(|source| source.as_str().unwrap().to_owned()));
        trail.push(record["fields"]["code"].as_str().unwrap().to_owned());
    }
    trail.sort();
    assert_eq!(trail, ["BLEND-1", "SACK-1", "WHEAT-1", "WHEAT-2"]);
    // The same in one command, nearest first.
    let way = traced(&stage, "BLEND-1");
    let told: Vec<_> = way.iter().map(|(depth, code)| (*depth, code.as_str())).collect();
    assert_eq!(told, [(0, "BLEND-1"), (1, "SACK-1"), (1, "WHEAT-2"), (2, "WHEAT-1")]);
    let unknown = stage.world.cli(["records", "trace", "BLEND-2"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("BLEND-2"), "{unknown:?}");

    stage.done(&stage.act(&farm, &wheat, "recall", json!({ "reason": "ergot" })).await);
    let warned = stage.world.cli(["records", "trace", "BLEND-1"]);
    assert!(warned.stderr.contains("recalled: WHEAT-1 (ergot)"), "{warned:?}");
    refused(
        &stage
            .act(&farm, &blend, "spreadRecall", json!({ "source": wheat }))
            .await,
        "not_a_source",
    );
    stage.done(
        &stage
            .act(&farm, &sack, "spreadRecall", json!({ "source": wheat }))
            .await,
    );
    stage.done(
        &stage
            .act(&farm, &blend, "spreadRecall", json!({ "source": sack }))
            .await,
    );
    let back = stage
        .act(&bakery, &blend, "handOver", json!({ "to": farm.signer }))
        .await;
    refused(&back, "is_recalled");
    refused(
        &stage.act(&bakery, &blend, "end", json!({ "end": "sold" })).await,
        "is_recalled",
    );
    stage.done(&stage.act(&bakery, &blend, "end", json!({ "end": "destroyed" })).await);
    let last = stage.record(&blend).await;
    assert_eq!(
        (&last["regions"]["item"], &last["regions"]["safety"]),
        (&json!("Ended"), &json!("Recalled"))
    );
    agreement(&stage.world).await;
}

/// A sealed vote and what opens it.
struct Vote {
    choice: &'static str,
    salt: String,
}

impl Vote {
    fn new(choice: &'static str) -> Self {
        Self { choice, salt: digest() }
    }

    fn seal(&self, ballot: &str, voter: &str) -> String {
        hex::encode(Sha256::digest(format!(
            "{ballot}:{voter}:{}:{}",
            self.choice, self.salt
        )))
    }

    fn opening(&self, ballot: &str) -> Value {
        json!({ "ballot": ballot, "choice": self.choice, "salt": self.salt })
    }
}

/// Time to vote, and then to open: nobody waits for its end, since all on the list vote and open.
const PHASE: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn one_member_one_vote_and_a_tally_that_anyone_recounts() {
    let stage = Stage::of("ballot").await;
    let chair = stage.party("chair").await;
    let voters = [
        stage.party("ann").await,
        stage.party("bea").await,
        stage.party("cem").await,
    ];
    let votes = [Vote::new("green"), Vote::new("red"), Vote::new("green")];
    let closes = now() + PHASE;
    let question = json!({
        "title": "colour", "question": "Which colour shall the door have?", "options": ["red", "green"],
        "voters": voters.each_ref().map(|voter| voter.signer.clone()), "closes": closes, "ends": closes + PHASE,
    });
    let ballot = stage.done(&stage.make(&chair, "call", question).await);
    refused(&stage.act(&chair, &ballot, "beginOpening", json!({})).await, "not_due");

    // All at once: the ballot's count of votes is one number that all of them change.
    let cast = |voter: &Tenanted, vote: &Vote| {
        let input = json!({ "ballot": ballot, "seal": vote.seal(&ballot, &voter.signer) });
        let (stage, voter) = (&stage, voter.clone());
        async move { stage.make(&voter, "cast", input).await }
    };
    let answers = join_all(voters.iter().zip(&votes).map(|(voter, vote)| cast(voter, vote))).await;
    let sealed: Vec<String> = answers.iter().map(|answer| stage.done(answer)).collect();
    let again = cast(&voters[0], &Vote::new("red")).await;
    refused(&again, "duplicate");
    assert_eq!(again.body["record"], sealed[0], "{again:?}");
    let early = stage
        .act(&voters[0], &sealed[0], "open", votes[0].opening(&ballot))
        .await;
    refused(&early, "wrong_state");
    assert_eq!(stage.record(&ballot).await["fields"]["cast"], 3);

    stage.done(&stage.act(&chair, &ballot, "beginOpening", json!({})).await);
    let other = Vote {
        choice: "red",
        salt: votes[0].salt.clone(),
    };
    refused(
        &stage.act(&voters[0], &sealed[0], "open", other.opening(&ballot)).await,
        "seal_broken",
    );
    let open = async |index: usize| {
        let opening = votes[index].opening(&ballot);
        stage.act(&voters[index], &sealed[index], "open", opening).await
    };
    stage.done(&open(0).await);
    stage.done(&open(1).await);
    refused(&stage.act(&voters[1], &ballot, "close", json!({})).await, "not_due");
    stage.done(&open(2).await);
    stage.done(&stage.act(&voters[1], &ballot, "close", json!({})).await);
    refused(&open(2).await, "wrong_state");

    // Whoever has the votes counts for themselves and comes to what the ledger says.
    let mut recount = std::collections::BTreeMap::from([("red".to_owned(), 0), ("green".to_owned(), 0)]);
    for vote in &sealed {
        let fields = stage.record(vote).await["fields"].clone();
        assert_eq!(fields["ballot"], json!(ballot));
        if let Some(choice) = fields["choice"].as_str() {
            *recount.get_mut(choice).unwrap() += 1;
        }
    }
    let result = stage.record(&ballot).await;
    assert_eq!(result["regions"]["ballot"], "Closed");
    let tally = result["fields"]["tally"].as_array().unwrap().iter();
    let told: Vec<_> = tally
        .map(|line| {
            (
                line["option"].as_str().unwrap().to_owned(),
                line["votes"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told.into_iter().collect::<std::collections::BTreeMap<_, _>>(), recount);
    assert_eq!(
        (&result["fields"]["cast"], &result["fields"]["opened"]),
        (&json!(3), &json!(3))
    );
    agreement(&stage.world).await;
}
