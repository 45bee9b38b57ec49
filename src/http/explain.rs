//! What does a problem's `type` lead to? A page that explains its code, for whoever reads it in a log.
//!
//! Every text on it is one of ours: nothing of the request is repeated.

mod advice;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::extract::Segments;
use super::page::Page;
use super::problem::Code;
use super::server::{not_found, only, read};

use self::advice::Advice;
pub(super) use self::advice::meaning;

/// The routes of this area.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/problems/{code}")
            .route(read().to(explain_problem))
            .default_service(only("GET, HEAD")),
    );
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    page: Page,
    code: Code,
    meaning: &'static str,
    advice: Advice,
}

/// What a problem's code means, what its caller does, and what the operator does.
#[utoipa::path(get, path = "/problems/{code}", tag = "operation", security(()), params(("code" = String, Path)),
    responses((status = 200, content_type = "text/html", body = String)))]
pub(super) async fn explain_problem(path: Segments, request: HttpRequest) -> HttpResponse {
    let asked = path.text("code");
    let Some(&code) = Code::ALL.iter().find(|code| code.as_str() == asked) else {
        return not_found(request).await;
    };
    let (meaning, advice) = (meaning(code.action()), advice::advice(code));
    Page::render(&ExplainPage { page: Page::new(code.title()), code, meaning, advice })
}
