//! Is the process alive, and can it work? For load balancers and service managers; anybody may ask.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::{Answer, Chain, Code, Problem};
use super::server::{only, read};
use crate::health::{NotReady, Readiness, Warning};

/// The routes of this area.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/healthz").route(read().to(read_health)).default_service(only("GET, HEAD")));
    cfg.service(web::resource("/readyz").route(read().to(read_readiness)).default_service(only("GET, HEAD")));
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, body = Object)))]
pub(super) async fn read_health() -> HttpResponse {
    ok(&json!({ "status": "alive" }))
}

/// The database answers, there are keys, the spool can be written, and the process has not been told to end.
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()), responses((status = 200, body = Object)))]
pub(super) async fn read_readiness(readiness: web::Data<Readiness>) -> Answer {
    let warnings: Vec<&str> = readiness.check().await?.into_iter().map(sentence).collect();
    Ok(ok(&json!({ "status": "ready", "warnings": warnings })))
}

fn ok(body: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(body)
}

fn sentence(warning: Warning) -> &'static str {
    match warning {
        Warning::AsynchronousStandby => {
            "servers follow the database, and a commit waits for none of them: a fail-over would forget the last \
             rotations; set synchronous_standby_names"
        }
    }
}

impl From<Arc<NotReady>> for Problem {
    fn from(why: Arc<NotReady>) -> Self {
        tracing::warn!(cause = %Chain(&*why), "the process is not ready");
        match *why {
            NotReady::Ending => Self::of(
                Code::Overloaded,
                "the process was told to end and takes on nothing new; ask another replica",
            ),
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
