//! A network decides about itself, from the command line: members, proposals that need two, a template that is published.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use muniment_tests::local::LocalWorld;
use muniment_tests::party::Party;
use muniment_tests::world::World;
use serde_json::{Value, json};

/// A template that is small enough to be read at a glance.
const NOTES: &str = "apiVersion: muniment.dev/v1alpha1
kind: RecordTemplate
metadata: { name: notes }
spec:
  revision: 1
  fields:
    type: object
    additionalProperties: false
    properties: { note: { type: string, maxLength: 100 } }
  identity: [creator, input.note]
  regions: { note: { initial: Written, states: [Written] } }
  actions:
    write:
      creates: true
      by: [anyMember]
      input:
        type: object
        additionalProperties: false
        required: [note]
        properties: { note: { type: string, maxLength: 100 } }
      set: { note: input.note }
";

fn json_of(world: &LocalWorld, arguments: &[&str]) -> Value {
    let done = world.cli(["-o", "json"].iter().chain(arguments));
    assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
    serde_json::from_str(&done.stdout).unwrap()
}

fn network(world: &LocalWorld) -> [u8; 32] {
    let status = json_of(world, &["network", "status"]);
    hex::decode(status["id"].as_str().unwrap()).unwrap().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_decide_and_a_template_is_published() {
    let world = LocalWorld::with_templates(&["notarization"]).await;
    let network = network(&world);
    let other = Party::new([21; 32], network);
    let key = other.signer().to_string();

    // One member decides alone.
    let members = json_of(&world, &["member", "list"]);
    assert_eq!(
        (
            members["threshold"].as_u64(),
            members["members"].as_array().unwrap().len()
        ),
        (Some(1), 1)
    );
    let added = json_of(&world, &["member", "add", "Other Ltd", &key]);
    assert_eq!(added["state"], "enacted", "{added}");
    let members = json_of(&world, &["member", "list"]);
    assert!(
        members["members"]
            .as_array()
            .unwrap()
            .contains(&json!({ "key": key, "name": "Other Ltd" })),
        "{members}"
    );
    let again = world.cli(["member", "add", "Other Ltd", &key]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("is a member already"), "{again:?}");

    // From now on both must agree: the server's tenant proposes, the other signs with its own key.
    let raised = json_of(
        &world,
        &["proposal", "new", "setThreshold", "--input", r#"{"threshold":2}"#],
    );
    assert_eq!(raised["state"], "enacted", "{raised}");
    let file = world.path("notes.yaml");
    std::fs::write(&file, NOTES).unwrap();
    let proposed = json_of(&world, &["template", "publish", file.to_str().unwrap()]);
    assert_eq!(proposed["state"], "open", "{proposed}");
    let id = proposed["id"].as_str().unwrap();
    let open = json_of(&world, &["proposal", "list"]);
    assert_eq!(open["proposals"][0]["id"], id, "{open}");
    let api = world.api();
    let write = json!({ "template": "notes", "action": "write", "input": { "note": "hello" } });
    let early = api.post("/records", &write).await;
    early.problem(422, "unknown_template");

    let record = hex::decode(id).unwrap().try_into().unwrap();
    let approval = other.act("muniment.dev/governance", "approve", json!({}), Some(record));
    let statement = String::from_utf8(approval.signed_bytes().to_vec()).unwrap();
    let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, approval.signature());
    let approved = api
        .post(
            "/transactions",
            &json!({ "statement": statement, "signature": signature }),
        )
        .await;
    assert_eq!(approved.status, 201, "{approved:?}");
    let decided = json_of(&world, &["proposal", "get", id]);
    assert_eq!(
        (&decided["state"], decided["approvals"].as_array().unwrap().len()),
        (&json!("enacted"), 2)
    );

    // Records of it can be made at once, and the source can be read back.
    let written = api.post("/records", &write).await;
    assert_eq!(written.status, 201, "{written:?}");
    let source = api.get("/templates/notes").await;
    assert_eq!(source.body["source"], NOTES, "{source:?}");
    let receipt = api.get(&format!("/records/{id}/receipt")).await;
    assert_eq!(receipt.status, 200, "a governance statement has a receipt");

    // What can't be is said in words.
    std::fs::write(&file, NOTES.replace("revision: 1", "revision: 3")).unwrap();
    let skipped = world.cli(["template".as_ref(), "publish".as_ref(), file.as_os_str()]);
    assert_eq!(skipped.code, 1, "{skipped:?}");
    assert!(
        skipped.stderr.contains("the next revision of `notes` is 2, not 3"),
        "{skipped:?}"
    );
    let alone = world.cli(["member", "remove", &key]);
    assert_eq!(alone.code, 1, "{alone:?}");
    assert!(alone.stderr.contains("lower the threshold first"), "{alone:?}");
}
