use serde_json::{Value, json};

use super::*;

fn key(seed: char) -> String {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[seed as u8; 32]);
    SignerKey::ed25519(secret.verifying_key().as_bytes()).to_string()
}

fn tenant_key() -> Vec<Member> {
    vec![Member {
        name: "demo".into(),
        key: key('T'),
    }]
}

fn catalog() -> Catalog {
    let template = |revision, source: &str| GenesisTemplate {
        name: "notarization".into(),
        revision,
        source: source.into(),
    };
    Catalog::new(vec![template(1, "one"), template(2, "two")])
}

fn check(metadata: Value, spec: Value) -> Result<ValidatedNetwork, ValidationError> {
    let value =
        json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork", "metadata": metadata, "spec": spec });
    validate(&serde_json::from_value(value).unwrap(), &tenant_key(), &catalog())
}

fn spec(extra: Value) -> Result<ValidatedNetwork, ValidationError> {
    let mut spec = json!({ "templates": [{ "name": "notarization" }] });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    check(json!({ "name": "notary", "namespace": "demo" }), spec)
}

fn only(result: Result<ValidatedNetwork, ValidationError>) -> Violation {
    let violations = result.unwrap_err().violations;
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations[0].clone()
}

#[test]
fn the_short_form_gets_every_default() {
    let network = spec(json!({})).unwrap();
    assert_eq!(network.network.to_string(), "demo/notary");
    assert_eq!(network.validators.get(), 4);
    assert_eq!(network.limits, Limits::default());
    assert_eq!(network.members, tenant_key());
    assert_eq!(network.templates[0].revision, 2, "the newest");
}

#[test]
fn a_revision_can_be_chosen_but_must_exist() {
    let chosen = spec(json!({ "templates": [{ "name": "notarization", "revision": 1 }] })).unwrap();
    assert_eq!(chosen.templates[0].source, "one");
    let finding = only(spec(
        json!({ "templates": [{ "name": "notarization", "revision": 3 }] }),
    ));
    assert_eq!(finding.field, "spec.templates[0]");
    assert!(finding.fix.contains("`notarization` 1, `notarization` 2"), "{finding}");
}

#[test]
fn names_the_field_the_reason_and_the_fix() {
    let cases = [
        (
            json!({ "validators": { "count": 3 } }),
            "spec.validators.count",
            "use 4, 7 or 10",
        ),
        (
            json!({ "validators": { "count": 32 } }),
            "spec.validators.count",
            "use 4, 7 or 10",
        ),
        (json!({ "templates": [] }), "spec.templates", "name one"),
        (
            json!({ "templates": [{ "name": "x" }] }),
            "spec.templates[0]",
            "use one of",
        ),
        (
            json!({ "templates": [{ "name": "notarization" }, { "name": "notarization" }] }),
            "spec.templates[1]",
            "keep one",
        ),
        (
            json!({ "members": [{ "name": "a", "key": "rsa:AAAA" }] }),
            "spec.members[0].key",
            "write the public key",
        ),
        (
            json!({ "members": [{ "name": "a", "key": "AAAA" }] }),
            "spec.members[0].key",
            "write the public key",
        ),
        (
            json!({ "members": [{ "name": "", "key": key('A') }] }),
            "spec.members[0].name",
            "short name",
        ),
        (
            json!({ "members": [{ "name": "demo", "key": key('A') }] }),
            "spec.members[0]",
            "of its own",
        ),
        (
            json!({ "members": [{ "name": "a", "key": key('T') }] }),
            "spec.members[0]",
            "of its own",
        ),
        (
            json!({ "limits": { "blockBytes": 1 } }),
            "spec.limits.blockBytes",
            "range",
        ),
        (
            json!({ "limits": { "heartbeatMillis": 1 } }),
            "spec.limits.heartbeatMillis",
            "range",
        ),
        (
            json!({ "limits": { "mempoolBytes": 1048576 } }),
            "spec.limits.mempoolBytes",
            "range",
        ),
    ];
    for (extra, field, fix) in cases {
        let finding = only(spec(extra.clone()));
        assert_eq!(finding.field, field, "{extra}");
        assert!(finding.fix.contains(fix), "{extra}: {finding}");
    }
}

#[test]
fn bad_names_are_found_with_everything_else() {
    let error = check(
        json!({ "name": "Notary" }),
        json!({ "templates": [], "validators": { "count": 1 } }),
    )
    .unwrap_err();
    let fields: Vec<&str> = error.violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "metadata.namespace",
            "metadata.name",
            "spec.validators.count",
            "spec.templates"
        ]
    );
}

#[test]
fn the_tenants_own_key_may_be_repeated_but_somebody_must_sign() {
    let again = spec(json!({ "members": [{ "name": "demo", "key": key('T') }] })).unwrap();
    assert_eq!(again.members, tenant_key());
    let value = json!({ "apiVersion": "muniment.dev/v1alpha1", "kind": "LedgerNetwork",
        "metadata": { "name": "notary", "namespace": "demo" }, "spec": { "templates": [{ "name": "notarization" }] } });
    let error = validate(&serde_json::from_value(value).unwrap(), &[], &catalog()).unwrap_err();
    assert_eq!(error.violations[0].field, "spec.members");
}

#[test]
fn a_shared_network_has_four_validators_and_small_limits() {
    let shared = spec(json!({ "placement": "Shared" })).unwrap();
    assert_eq!(shared.limits.mempool_bytes, 32 * 1024 * 1024);
    let seven = only(spec(json!({ "placement": "Shared", "validators": { "count": 7 } })));
    assert!(seven.fix.contains("use 4"), "{seven}");
    let large = only(spec(
        json!({ "placement": "Shared", "limits": { "mempoolBytes": 192 * 1024 * 1024 } }),
    ));
    assert!(large.why.contains("isn't from 33554432 to 67108864"), "{large}");
}
