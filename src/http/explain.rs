//! What does a problem's `type` lead to? A page that explains its code, for whoever reads it in a log.

use actix_web::{HttpResponse, web};

use super::extract::Segments;
use super::problem::{Answer, Code, Problem};
use super::server::only;

/// The routes of this area.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/problems/{code}").route(web::get().to(explain_problem)).default_service(only("GET")),
    );
}

/// Every text on the page is one of ours: nothing of the request is repeated.
async fn explain_problem(path: Segments) -> Answer {
    let asked = path.text("code");
    let found = Code::ALL.iter().find(|code| code.as_str() == asked);
    let code = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let (name, title, status) = (code.as_str(), code.title(), code.status().as_u16());
    let text = code.explanation().replace('&', "&amp;").replace('<', "&lt;").replace('`', "");
    let action = serde_json::to_value(code.action()).ok();
    let action = action.as_ref().and_then(|action| action.as_str()).unwrap_or_default();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title></head>\n\
         <body><h1>{title}</h1><p>{text}</p>\n\
         <p>Code <code>{name}</code>, status {status}, action <code>{action}</code>.</p></body></html>\n"
    );
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}
