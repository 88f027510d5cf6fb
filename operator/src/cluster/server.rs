//! Health and metrics over HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{App, HttpResponse, HttpServer, web};

use super::OperatorError;
use super::metrics::Metrics;

/// What is said about this process.
#[derive(Clone)]
pub struct Health {
    state: Arc<Mutex<(bool, String)>>,
    metrics: Metrics,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new((false, "starting".to_owned()))),
            metrics: Metrics::default(),
        }
    }
}

impl Health {
    /// Ready, and what it does.
    pub fn ready(&self, does: &str) {
        self.set(true, does);
    }

    /// Alive but not ready, and why.
    pub fn not_ready(&self, why: &str) {
        self.set(false, why);
    }

    /// The counters.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    fn set(&self, ready: bool, text: &str) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (ready, text.to_owned());
    }

    fn get(&self) -> (bool, String) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(health: web::Data<Health>) -> HttpResponse {
    let (ready, text) = health.get();
    let mut answer = if ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer
        .content_type("text/plain; charset=utf-8")
        .body(format!("{text}\n"))
}

async fn metrics(health: web::Data<Health>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(health.metrics.text())
}

/// Starts to serve. The future ends when the server does.
pub fn start(address: SocketAddr, health: Health) -> Result<impl Future<Output = std::io::Result<()>>, OperatorError> {
    let data = web::Data::new(health);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/healthz", web::get().to(alive))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
    });
    let bound = server.workers(1).disable_signals().bind(address);
    Ok(bound.map_err(|source| OperatorError::Listen { address, source })?.run())
}
