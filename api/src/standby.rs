//! A server that waits for its turn: several share a PostgreSQL database, and one of them works.

use actix_web::{App, HttpResponse, HttpServer, web};
use std::sync::Arc;
use std::time::Duration;

use crate::app::{Api, ApiConfig, ServeError};
use crate::directory::NetworkDirectory;
use crate::routes::service;

/// Between two attempts to take over.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts as soon as no other server has the database. Until then the process is alive and not ready.
pub async fn start(config: ApiConfig, directory: Arc<dyn NetworkDirectory>) -> Result<Api, ServeError> {
    let mut standing_by = None;
    loop {
        let error = match Api::start(config.clone(), directory.clone()).await {
            Err(error) if error.stands_by() => error,
            done => {
                if let Some(handle) = standing_by.take() {
                    let handle: actix_web::dev::ServerHandle = handle;
                    // Its answers take no time; the address must be free for the real one.
                    handle.stop(false).await;
                }
                return done;
            }
        };
        if standing_by.is_none() {
            tracing::info!("standing by: {error}");
            standing_by = Some(serve(&config)?);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn serve(config: &ApiConfig) -> Result<actix_web::dev::ServerHandle, ServeError> {
    let address = config.listen;
    let server = HttpServer::new(|| {
        App::new()
            .route("/healthz", web::get().to(service::healthz))
            .default_service(web::to(|| async {
                HttpResponse::ServiceUnavailable()
                    .content_type("text/plain; charset=utf-8")
                    .body("standing by: another server works\n")
            }))
    })
    .workers(1)
    .disable_signals()
    .bind(address)
    .map_err(|source| ServeError::Listen { address, source })?
    .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}
