//! Bad input: what, where, how to fix it.

use super::support::{NETWORK, World, answer, deposit};
use reqwest::{Method, StatusCode};
use serde_json::json;

/// Name, body, status, code, pointer, and a word of the detail.
type Case<'a> = (&'a str, String, u16, &'a str, Option<&'a str>, &'a str);

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one table, a line per kind of bad input")]
async fn bad_bodies_are_explained() {
    let world = World::start().await;
    let single = format!("{NETWORK}/notarizations");
    let batch = format!("{NETWORK}/notarizations:batch");
    let digest =
        |alg: &str, value: &str| json!({"digests": [{"alg": alg, "value": value}], "mode": "plain"}).to_string();
    let good = "ab".repeat(32);
    let many = json!({"items": (0..1001).map(deposit).collect::<Vec<_>>()}).to_string();
    let table: Vec<Case> = vec![
        (
            &single,
            digest("sha-256", "abc"),
            422,
            "malformed_digest",
            Some("/digests/0/value"),
            "64",
        ),
        (
            &single,
            digest("sha-256", &good.to_uppercase()),
            422,
            "malformed_digest",
            Some("/digests/0/value"),
            "lower",
        ),
        (
            &single,
            digest("md5", &good),
            422,
            "unknown_algorithm",
            Some("/digests/0/alg"),
            "sha-256",
        ),
        (
            &single,
            digest("SHA256", &good),
            422,
            "unknown_algorithm",
            Some("/digests/0/alg"),
            "did you mean `sha-256`",
        ),
        (
            &single,
            json!({"digest": [], "mode": "plain"}).to_string(),
            422,
            "unknown_field",
            Some("/digest"),
            "`digests`",
        ),
        (
            &single,
            json!({"file": "aGVsbG8="}).to_string(),
            422,
            "looks_like_document",
            Some("/file"),
            "sha256sum",
        ),
        (
            &single,
            "%PDF-1.7 …".to_owned(),
            422,
            "looks_like_document",
            None,
            "sha256sum",
        ),
        (&single, "{".to_owned(), 400, "malformed_json", None, "line 1"),
        (&single, String::new(), 400, "malformed_json", None, "empty"),
        (&single, "x".repeat(300 * 1024), 413, "body_too_large", None, "256 KiB"),
        (&batch, many, 413, "batch_too_large", Some("/items"), "1000"),
        (
            &batch,
            json!({"items": []}).to_string(),
            422,
            "empty_batch",
            Some("/items"),
            "1 to 1000",
        ),
        (
            &batch,
            json!({"item": []}).to_string(),
            422,
            "unknown_field",
            Some("/item"),
            "`items`",
        ),
        (
            &batch,
            "x".repeat(3 * 1024 * 1024),
            413,
            "body_too_large",
            None,
            "2 MiB",
        ),
    ];
    for (path, body, status, code, pointer, says) in table {
        let shown = body.chars().take(80).collect::<String>();
        let response = world.request(Method::POST, path).body(body).send().await.unwrap();
        let (got, problem) = answer(response).await;
        assert_eq!(
            (got.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{shown}: {problem}"
        );
        assert_eq!(problem["pointer"].as_str(), pointer, "{shown}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{shown}: {problem}");
    }
    // Nothing of it went on.
    let (_, page) = answer(world.get(&format!("{NETWORK}/records")).send().await.unwrap()).await;
    assert!(page["records"].as_array().unwrap().is_empty(), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_methods_and_queries_are_explained() {
    let world = World::start().await;
    let table = [
        (Method::GET, "/v1/nothing", 404, "not_found"),
        (Method::GET, "/", 404, "not_found"),
        (Method::GET, "/docs/nothing.js", 404, "not_found"),
        (Method::DELETE, "/v1/whoami", 405, "method_not_allowed"),
        (
            Method::PUT,
            "/v1/tenants/acme/networks/notary/notarizations",
            405,
            "method_not_allowed",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/notarizations",
            400,
            "bad_request",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/notarizations?digest=AB",
            422,
            "malformed_digest",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/records?limit=0",
            400,
            "bad_request",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/records?limit=x",
            400,
            "bad_request",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/records?page=2",
            400,
            "bad_request",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/records?after=zz",
            400,
            "bad_request",
        ),
        (
            Method::GET,
            "/v1/tenants/acme/networks/notary/records/zz",
            404,
            "not_found",
        ),
        (Method::GET, "/v1/tenants/acme/networks/other", 404, "not_found"),
        (Method::GET, "/v1/operations/op_1", 404, "not_found"),
    ];
    for (method, path, status, code) in table {
        let response = world.request(method.clone(), path).send().await.unwrap();
        let allow = response.headers().get("allow").is_some();
        let (got, problem) = answer(response).await;
        assert_eq!(
            (got.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{method} {path}: {problem}"
        );
        assert_eq!(allow, status == 405, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_are_made_listed_and_revoked() {
    let world = World::start().await;
    let path = "/v1/tenants/acme/api-keys";
    let (status, made) = answer(world.post(path, &json!({"name": "ci"})).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let secret = made["secret"].as_str().unwrap();
    let whoami = async || {
        let request = world
            .client
            .get(format!("{}/v1/whoami", world.base))
            .header("x-api-key", secret);
        answer(request.send().await.unwrap()).await
    };
    let (status, who) = whoami().await;
    assert_eq!(
        (status, &who["tenant"], &who["name"]),
        (StatusCode::OK, &json!("acme"), &json!("ci"))
    );
    let (_, list) = answer(world.get(path).send().await.unwrap()).await;
    assert_eq!(list["keys"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(secret), "a list shows no secret");
    let revoke = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(
        world.request(Method::DELETE, &revoke).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(whoami().await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = answer(world.request(Method::DELETE, &revoke).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for body in [
        json!({"name": ""}),
        json!({"name": "x", "expiresAt": "yesterday"}),
        json!({"nam": "x"}),
    ] {
        let (status, _) = answer(world.post(path, &body).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}
