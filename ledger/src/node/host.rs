//! One address for the replicas of many networks: `/n/<seat>/…` is the API of the replica in that seat. At a second
//! address `/healthz`, `/readyz` and `/metrics` speak of the whole process.
//!
//! Owns the table of seats, what is said of each, and when the host counts as ready. Starts and stops no replica. Every
//! seat has the token of its own network, so nobody gets at a seat by being let in at another one.

mod table;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, Server as ActixServer, ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{self, Next};
use actix_web::{App, HttpResponse, HttpServer, web};
use futures::future::BoxFuture;
use subtle::ConstantTimeEq;

use super::problem::Failure;
use super::routes::json;
use super::shared::Shared;
use super::{KEEP_CONNECTION, NodeError, routes};

pub use table::{HostReadiness, Seats};

/// Answers are prepared on this many threads beside the event loop, for all seats together.
const BLOCKING_THREADS: usize = 16;
/// Before the name of a seat in a path.
pub const PREFIX: &str = "/n/";
/// Before the name of a folder that is to be gone.
pub const ERASED: &str = "/erased/";
/// Whether every seat takes part, at both addresses.
pub const READY: &str = "/readyz";

/// Where a host serves.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API of all seats.
    pub api: SocketAddr,
    /// Health and metrics of the host, for whoever has no token.
    pub health: SocketAddr,
}

/// Serves the seats of a table until `shutdown` is ready, then lets running requests end for at most a second.
///
/// # Errors
/// When an address can't be listened on, or a server fails.
pub async fn serve(addresses: Addresses, seats: Seats, shutdown: BoxFuture<'_, ()>) -> Result<(), NodeError> {
    let (api, health) = (api(addresses.api, seats.clone())?, health(addresses.health, seats)?);
    let handles = (api.handle(), health.handle());
    let mut both = Box::pin(async { tokio::try_join!(api, health).map(drop).map_err(NodeError::Serve) });
    tokio::select! {
        result = &mut both => result,
        () = shutdown => tokio::join!(handles.0.stop(true), handles.1.stop(true), both).2,
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).map_err(|source| NodeError::Bind { address, source })
}

fn api(address: SocketAddr, seats: Seats) -> Result<ActixServer, NodeError> {
    let data = web::Data::new(seats);
    let app = move || {
        App::new()
            .app_data(data.clone())
            .wrap(middleware::from_fn(choose))
            .configure(routes::configure)
    };
    let server = HttpServer::new(app)
        .workers(1)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .keep_alive(KEEP_CONNECTION)
        .tcp_nodelay(true)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(bind(address)?);
    Ok(server.map_err(NodeError::Serve)?.run())
}

fn health(address: SocketAddr, seats: Seats) -> Result<ActixServer, NodeError> {
    let data = web::Data::new(seats);
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route("/healthz", web::get().to(alive))
            .route(READY, web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(bind(address)?);
    Ok(server.map_err(NodeError::Serve)?.run())
}

async fn alive() -> &'static str {
    "ok\n"
}

/// Counts only: whoever asks may be of any network.
async fn ready(seats: web::Data<Seats>) -> HttpResponse {
    readiness(&seats)
}

fn readiness(seats: &Seats) -> HttpResponse {
    let readiness = seats.readiness();
    let mut answer = if readiness.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(readiness)
}

async fn metrics(seats: web::Data<Seats>) -> Result<HttpResponse, Failure> {
    let text = seats.metrics().map_err(|error| Failure::internal(&error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

/// Leads a request to its seat: from there on it is one to a replica that is alone.
async fn choose(
    seats: web::Data<Seats>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some((seat, rest)) = split(request.path()) else {
        let answer = own(&seats, request.path())?;
        return Ok(request.into_response(answer));
    };
    if rest == "/seat" {
        let answer = status(&seats, seat, &request)?;
        return Ok(request.into_response(answer));
    }
    let shared = seats.open(seat)?;
    let query = request
        .uri()
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!("{rest}{query}")
        .parse::<Uri>()
        .map_err(|error| Failure::query(error.to_string()))?;
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
    let mut data = Extensions::new();
    data.insert(web::Data::<Shared>::from(shared));
    request.add_data_container(Rc::new(data));
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

/// Name of the seat, and the path within it.
fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    let end = rest.find('/')?;
    Some(rest.split_at(end))
}

/// What needs no seat.
fn own(seats: &Seats, path: &str) -> Result<HttpResponse, Failure> {
    match path.strip_prefix(ERASED) {
        // For whoever restarts hosts, and has no way to the other address.
        None if path == READY => Ok(readiness(seats)),
        Some(folder) if seats.is_erased(folder) => Ok(HttpResponse::NoContent().finish()),
        _ => Err(Failure::not_found("path")),
    }
}

fn status(seats: &Seats, seat: &str, request: &ServiceRequest) -> Result<HttpResponse, Failure> {
    let (token, status) = seats.status(seat).ok_or_else(|| Failure::not_found("seat"))?;
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let right = given.is_some_and(|given| given.ct_eq(token.as_bytes()).into());
    if !right || token.is_empty() {
        return Err(Failure::unauthorized());
    }
    json(&status)
}

impl Seats {
    fn open(&self, seat: &str) -> Result<Arc<Shared>, Failure> {
        match self.shared(seat) {
            None => Err(Failure::not_found("seat")),
            Some(None) => Err(Failure::not_running()),
            Some(Some(shared)) => Ok(shared),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_path_is_of_a_seat_only_with_its_whole_name() {
        assert_eq!(
            split("/n/acme.contracts/v1/status"),
            Some(("acme.contracts", "/v1/status"))
        );
        for own in ["/readyz", "/n/", "/n", "/n/acme.contracts", "/v1/status"] {
            assert_eq!(split(own), None, "{own}");
        }
    }
}
