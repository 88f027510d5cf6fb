//! The client against servers that are away, break off or take long.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::context::Context;
use reqwest::StatusCode;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// Reads one request; answers its idempotency key.
fn request(input: &mut BufReader<TcpStream>) -> String {
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("idempotency-key", value)) => key = value.to_owned(),
            Some(("content-length", value)) => length = value.parse().unwrap(),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    input.read_exact(&mut vec![0; length]).unwrap();
    key
}

fn respond(input: &mut BufReader<TcpStream>, status: &str, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    input.get_mut().write_all(answer.as_bytes()).unwrap();
}

fn context(server: String) -> Context {
    Context {
        version: 1,
        server,
        api_key: "mnk_x".to_owned(),
        tenant: "demo".to_owned(),
        network: "notary".to_owned(),
        trust_root: None,
        data_dir: None,
        identity: None,
    }
}

#[test]
fn a_request_whose_connection_broke_is_sent_again_until_the_server_has_finished_the_first() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let in_flight =
        r#"{"type":"t","title":"t","status":409,"code":"idempotency_in_flight","detail":"d","requestId":"r"}"#;
    let pending = r#"{"id":"op","phase":"pending","createdAt":"2026-01-01T00:00:00Z","items":[]}"#;
    let answers = std::thread::spawn(move || {
        let mut keys = Vec::new();
        // The first one hears nothing.
        for answer in [
            None,
            Some(("409 Conflict", in_flight)),
            Some(("409 Conflict", in_flight)),
            Some(("202 Accepted", pending)),
        ] {
            let (stream, _) = listener.accept().unwrap();
            let mut input = BufReader::new(stream);
            keys.push(request(&mut input));
            if let Some((status, body)) = answer {
                respond(&mut input, status, body);
            }
        }
        keys
    });
    let client = Client::new(context(server)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let written = runtime.block_on(client.notarize(b"{}".to_vec(), "key-1")).unwrap();
    assert!(matches!(written, Written::Pending(operation) if operation.id == "op"));
    assert_eq!(answers.join().unwrap(), ["key-1"; 4]);
}

/// Answers every request alike, the first one only after something was `said`, until it is dropped with the process.
fn server_that_waits(said: Receiver<String>, status: &'static str, body: &'static str) -> (Context, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (heard, passed_on) = channel();
    std::thread::spawn(move || {
        let mut wait = Some(said);
        for stream in listener.incoming() {
            let mut input = BufReader::new(stream.unwrap());
            request(&mut input);
            if let Some(said) = wait.take() {
                heard.send(said.recv().unwrap()).unwrap();
            }
            respond(&mut input, status, body);
        }
    });
    (context(server), passed_on)
}

#[tokio::test]
async fn what_stays_pending_is_said_and_ends_with_a_next_step() {
    let pending = r#"{"id":"op_1","phase":"pending","createdAt":"2026-01-01T00:00:00Z","items":[]}"#;
    let (say, said) = channel();
    let (context, said) = server_that_waits(said, "202 Accepted", pending);
    let mut client = Client::new(context)
        .unwrap()
        .talking(move |text| say.send(text.to_owned()).unwrap());
    (client.long, client.patience) = (Duration::ZERO, Duration::from_millis(50));
    let Written::Pending(operation) = client.notarize(b"{}".to_vec(), "key-1").await.unwrap() else {
        panic!("it is pending");
    };
    let failure = client.decided(operation).await.unwrap_err();
    assert_eq!(failure.code, NOT_FINAL);
    assert!(failure.next.contains("network status") && failure.next.contains("/v1/operations/op_1"));
    let said = said.recv().unwrap();
    assert!(said.contains("network status"), "{said}");
}

#[test]
fn only_a_failure_of_the_server_sends_people_to_its_log() {
    for (status, log) in [
        (400, false),
        (403, false),
        (409, false),
        (413, false),
        (422, false),
        (500, true),
    ] {
        let problem =
            format!(r#"{{"type":"t","title":"t","status":{status},"code":"c","detail":"d","requestId":"r"}}"#);
        let failure = refusal(StatusCode::from_u16(status).unwrap(), problem.as_bytes());
        assert_eq!(failure.next.contains("log"), log, "{failure}");
        assert!(!failure.next.is_empty());
    }
}

#[test]
fn what_the_server_says_is_missing_is_not_explained_by_the_tenant() {
    for (detail, tenant) in [
        (muniment_api::problem::NOTHING_HERE, true),
        ("there is no such word", false),
    ] {
        let problem = serde_json::json!({ "type": "t", "title": "t", "status": 404, "code": "not_found",
            "detail": detail, "requestId": "r" });
        let failure = refusal(StatusCode::NOT_FOUND, problem.to_string().as_bytes());
        assert_eq!(failure.next.contains("--tenant"), tenant, "{failure}");
    }
}

/// Longer than any of these tests may take; nobody waits for it to pass.
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_server_that_was_never_reached_is_given_up_soon() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = Client::new(context(format!("http://{nobody}"))).unwrap();
    (client.patience, client.first_patience) = (HOUR, Duration::from_millis(300));
    let url = client.url("/invoices");
    let asked = client.get::<serde_json::Value>(&url);
    let failure = tokio::time::timeout(Duration::from_secs(60), asked)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(failure.code, "unreachable");
    assert!(failure.next.contains("muniment dev"), "{failure}");
}

#[tokio::test]
async fn a_server_that_went_away_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = Client::new(context(format!("http://{address}"))).unwrap();
    (client.patience, client.first_patience) = (HOUR, Duration::ZERO);
    let answer_once = |listener: TcpListener| {
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut input = BufReader::new(stream);
            request(&mut input);
            respond(&mut input, "200 OK", "{}");
        })
    };
    let first = answer_once(listener);
    let url = client.url("/invoices");
    client.get::<serde_json::Value>(&url).await.unwrap();
    first.join().unwrap();
    // Nobody listens now; what is asked meanwhile is asked again.
    let mut second = std::pin::pin!(client.get::<serde_json::Value>(&url));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(early.is_err(), "{early:?}");
    let again = answer_once(TcpListener::bind(address).unwrap());
    second.await.unwrap();
    again.join().unwrap();
}
