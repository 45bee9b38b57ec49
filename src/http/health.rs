//! Is the process alive, and can it work? For load balancers and service managers; anybody may ask.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::{Answer, Chain, Code, Problem};
use super::server::only;
use crate::health::{NotReady, Readiness};

/// The routes of this area.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/healthz").route(web::get().to(read_health)).default_service(only("GET")));
    cfg.service(web::resource("/readyz").route(web::get().to(read_readiness)).default_service(only("GET")));
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, body = Object)))]
pub(super) async fn read_health() -> HttpResponse {
    ok("alive")
}

/// The database answers, there are keys, and the spool can be written.
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()), responses((status = 200, body = Object)))]
pub(super) async fn read_readiness(readiness: web::Data<Readiness>) -> Answer {
    readiness.check().await?;
    Ok(ok("ready"))
}

fn ok(status: &str) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(json!({ "status": status }))
}

impl From<NotReady> for Problem {
    fn from(why: NotReady) -> Self {
        tracing::warn!(cause = %Chain(&why), "the process is not ready");
        match why {
            NotReady::Store(_) => Self::of(Code::StorageUnavailable, "the database does not answer"),
            NotReady::Spool(_) => Self::of(
                Code::StorageUnavailable,
                "the spool, where answers wait while the database is away, cannot be written: make `{data_dir}/spool` \
                 writable, or free space on its disk",
            ),
            NotReady::Keys => Self::of(Code::SecretUnreadable, "there is no signing key that can be used"),
        }
    }
}
