//! A Kubernetes API in memory, as far as the tests of this module ask it: objects by path, preconditions of deletions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use actix_web::http::Method;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use kube::{Client, Config};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::fields::merge;

#[derive(Default)]
pub struct Twin {
    objects: Mutex<BTreeMap<String, Value>>,
    /// What an object becomes just before its next deletion is judged.
    before_delete: Mutex<BTreeMap<String, Value>>,
}

impl Twin {
    pub fn put(&self, path: &str, object: Value) {
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    pub fn at_next_delete(&self, path: &str, object: Value) {
        self.before_delete.lock().unwrap().insert(path.to_owned(), object);
    }

    fn delete(&self, path: &str, how: &Value) -> HttpResponse {
        if let Some(changed) = self.before_delete.lock().unwrap().remove(path) {
            self.put(path, changed);
        }
        let Some(object) = self.get(path) else {
            return failure(404);
        };
        for (precondition, field) in [("uid", "uid"), ("resourceVersion", "resourceVersion")] {
            let wanted = &how["preconditions"][precondition];
            if !wanted.is_null() && *wanted != object["metadata"][field] {
                return failure(409);
            }
        }
        self.objects.lock().unwrap().remove(path);
        HttpResponse::Ok().json(json!({ "apiVersion": "v1", "kind": "Status", "status": "Success" }))
    }

    /// Takes what is given; what is left out stays, but in the status, which has one writer here.
    fn patch(&self, path: &str, patch: &Value) -> HttpResponse {
        let path = path.strip_suffix("/status").unwrap_or(path);
        let Some(mut object) = self.get(path) else {
            return failure(404);
        };
        if !patch["status"].is_null() {
            object["status"] = Value::Null;
        }
        let mut merged = merge(object, patch);
        // A Secret's texts become its data.
        if let Some(Value::Object(texts)) = merged.as_object_mut().and_then(|object| object.remove("stringData")) {
            use base64::Engine as _;
            for (name, text) in texts {
                let data = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap());
                merged["data"][name] = json!(data);
            }
        }
        self.put(path, merged.clone());
        HttpResponse::Ok().json(merged)
    }
}

fn failure(code: u16) -> HttpResponse {
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    let body = json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": "no",
        "reason": reason });
    HttpResponse::build(code.try_into().unwrap()).json(body)
}

async fn answer(twin: Data<Twin>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match *request.method() {
        Method::DELETE => twin.delete(request.path(), &body),
        Method::PATCH => twin.patch(request.path(), &body),
        _ => match twin.get(request.path()) {
            Some(object) => HttpResponse::Ok().json(object),
            None => failure(404),
        },
    }
}

/// Serves one; it ends with the test.
pub async fn serve() -> (Client, Arc<Twin>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let twin = Data::new(Twin::default());
    let shared = twin.clone();
    let app = move || App::new().app_data(shared.clone()).default_service(web::to(answer));
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener);
    tokio::spawn(server.unwrap().run());
    let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
    (client, twin.into_inner())
}
