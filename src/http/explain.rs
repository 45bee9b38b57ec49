//! What does a problem's `type` lead to? A page that explains its code, for whoever reads it in a log.

use actix_web::web;
use askama::Template;

use super::extract::Segments;
use super::page::Page;
use super::problem::{Answer, Code, Problem};
use super::server::only;

/// The routes of this area.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/problems/{code}").route(web::get().to(explain_problem)).default_service(only("GET")),
    );
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    page: Page,
    text: &'static str,
    code: &'static str,
    status: u16,
    action: String,
}

/// What a problem's code means and what to do. Every text on the page is one of ours: nothing of the request is
/// repeated.
#[utoipa::path(get, path = "/problems/{code}", tag = "operation", security(()), params(("code" = String, Path)),
    responses((status = 200, content_type = "text/html", body = String)))]
pub(super) async fn explain_problem(path: Segments) -> Answer {
    let asked = path.text("code");
    let found = Code::ALL.iter().find(|code| code.as_str() == asked);
    let code = *found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let action = serde_json::to_value(code.action()).ok();
    let action = action.as_ref().and_then(|action| action.as_str()).unwrap_or_default().to_owned();
    let (text, status) = (code.explanation(), code.status().as_u16());
    let page = Page::new(code.title());
    Ok(Page::render(&ExplainPage { page, text, code: code.as_str(), status, action }))
}
