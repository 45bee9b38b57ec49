//! The figures, for Prometheus: on the main listener for a superadmin, or open on a listener of their own.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::web::{Data, ServiceConfig, resource, to};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, HttpServer};
use tokio::task::JoinHandle;

use super::admin::{ConnectionsRead, May};
use super::problem::{Answer, Code, Problem};
use super::server::{SLOW_HEADERS, only, read};
use crate::gauges::Gauges;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures, and where they are shown.
pub struct Exposed {
    /// What is shown.
    pub gauges: Arc<Gauges>,
    /// Whether they have a listener of their own; the main one then shows nothing.
    pub elsewhere: bool,
}

/// `/metrics`.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/metrics").route(read().to(read_metrics)).default_service(only("GET, HEAD")));
}

/// The figures of the process and of its database, as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn read_metrics(request: HttpRequest, exposed: Data<Exposed>) -> Answer {
    if exposed.elsewhere {
        return Err(Problem::new(Code::NotFound));
    }
    May::<ConnectionsRead>::extract(&request).await.map_err(|error| refused(&error))?;
    Ok(written(exposed.gauges.text().await))
}

/// What the permission's extractor answered.
fn refused(error: &actix_web::Error) -> Problem {
    error.as_error::<Problem>().cloned().unwrap_or_else(|| Problem::new(Code::Internal))
}

fn written(text: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, KIND))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text)
}

/// A listener that shows the figures to whoever asks, and nothing else.
pub struct MetricsServer {
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl MetricsServer {
    /// Serves until it is stopped, from within a tokio runtime.
    pub fn start(address: SocketAddr, gauges: Arc<Gauges>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let gauges = Data::from(gauges);
        let app = move || {
            App::new()
                .app_data(gauges.clone())
                .route("/metrics", read().to(read_openly))
                .default_service(to(nothing))
        };
        let running = HttpServer::new(app)
            .workers(1)
            .max_connections(64)
            .client_request_timeout(SLOW_HEADERS)
            .shutdown_timeout(1)
            .disable_signals()
            .listen(listener)?
            .run();
        tracing::info!(%address, "showing metrics on http://{address}/metrics");
        Ok(Self { handle: running.handle(), task: tokio::spawn(running) })
    }

    /// Ends it.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the listener of the metrics stopped with an error");
        }
    }
}

async fn read_openly(gauges: Data<Gauges>) -> HttpResponse {
    written(gauges.text().await)
}

async fn nothing() -> HttpResponse {
    HttpResponse::NotFound().finish()
}
