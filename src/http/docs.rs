//! What is the HTTP interface, for a person? `GET /docs`, a page made of the OpenAPI document, without script.
//!
//! Page and document are the same for everybody, need no session and no database, and are made once a worker. Like the
//! pages of problems they answer under every host, so that they can be read on a port of the machine itself.

mod reference;
mod rules;
mod sample;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use actix_web::web::{Data, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use self::reference::Reference;
use super::explain::meaning;
use super::kept::Kept;
use super::openapi;
use super::page::Page;
use super::problem::{Act, Answer, Code, Problem};
use super::server::{only, read};
use super::settings::WebSettings;

/// How long a browser may keep them, in seconds.
const MAX_AGE_S: u32 = 300;

#[derive(Default)]
pub(super) struct Shelf {
    page: OnceLock<Kept>,
    document: OnceLock<Kept>,
}

/// The routes of this area.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.app_data(Data::new(Shelf::default()))
        .service(
            resource(["/docs", "/docs/"]).route(read().to(read_reference)).default_service(only("GET, HEAD")),
        )
        .service(
            resource("/docs/openapi.json").route(read().to(read_document)).default_service(only("GET, HEAD")),
        );
}

#[derive(Template)]
#[template(path = "docs.html", whitespace = "minimize")]
struct ReferencePage<'a> {
    page: Page,
    public_url: &'a str,
    reference: Reference,
}

impl ReferencePage<'_> {
    /// Every action, what it asks for, and the codes that ask for it.
    fn actions(&self) -> impl Iterator<Item = (Act, &'static str, Vec<Code>)> {
        let codes = |act| Code::ALL.iter().copied().filter(move |code| code.action() == act).collect();
        Act::ALL.into_iter().map(move |act| (act, meaning(act), codes(act)))
    }
}

/// This interface, as a page for people.
#[utoipa::path(get, path = "/docs", tag = "operation", security(()),
    responses((status = 200, content_type = "text/html", body = String)))]
pub(super) async fn read_reference(
    request: HttpRequest,
    web: Data<WebSettings>,
    shelf: Data<Shelf>,
) -> Answer {
    if shelf.page.get().is_none() {
        let public_url = web.public_url().as_str();
        let reference = Reference::read(&openapi::document(), public_url);
        let page = ReferencePage { page: Page::new("API reference"), public_url, reference };
        let html = page.render().map_err(|error| Problem::internal(&error))?;
        // Another request may have put the same there meanwhile.
        let _ = shelf.page.set(Kept::new("text/html; charset=utf-8", html));
    }
    shelf.page.get().map(|page| page.answer(&request, MAX_AGE_S)).ok_or_else(|| Problem::new(Code::Internal))
}

/// This interface, as an OpenAPI 3.1 document.
#[utoipa::path(get, path = "/docs/openapi.json", tag = "operation", security(()),
    responses((status = 200, body = Object)))]
pub(super) async fn read_document(
    request: HttpRequest,
    web: Data<WebSettings>,
    shelf: Data<Shelf>,
) -> HttpResponse {
    let made = || Kept::new("application/json", openapi::document_at(web.public_url().as_str()));
    shelf.document.get_or_init(made).answer(&request, MAX_AGE_S)
}
