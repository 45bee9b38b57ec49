//! Pages for people: one layout around every template, and problems told in sentences.
//!
//! Templates extend `base.html` and have a field `page: Page`. Links in them go through `page.link(..)`, which
//! adds the path of the public URL. Pages carry no script.

use std::sync::LazyLock;

use actix_web::http::{ConnectionType, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, Route, web};
use askama::Template;

use super::kept::Kept;
use super::person::Person;
use super::problem::{Act, Code, Problem, TRACE_ID};
use super::server;

static STYLE: LazyLock<Kept> =
    LazyLock::new(|| Kept::new("text/css; charset=utf-8", include_str!("../../static/style.css")));

tokio::task_local! {
    /// The path of the public URL, for links; set by the outermost layer.
    pub static PREFIX: String;
}

/// What stands around the content of a page.
#[derive(Clone, Debug)]
pub struct Page {
    pub(super) title: String,
    prefix: String,
    pub(super) signed_in: Option<SignedInAs>,
}

#[derive(Clone, Debug)]
pub(super) struct SignedInAs {
    pub(super) name: String,
    pub(super) form_token: String,
}

impl Page {
    /// A page for anybody.
    pub fn new(title: impl Into<String>) -> Self {
        let prefix = PREFIX.try_with(Clone::clone).unwrap_or_default();
        Self { title: title.into(), prefix, signed_in: None }
    }

    /// The same with the person's name and a way to sign out.
    #[must_use]
    pub fn of(mut self, person: &Person) -> Self {
        let name = person.user().display_name.clone();
        self.signed_in = Some(SignedInAs { name, form_token: person.csrf_token().to_owned() });
        self
    }

    /// An absolute path of ours, as a browser must ask for it.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// 200 with the template.
    pub fn render(template: &impl Template) -> HttpResponse {
        Self::render_status(StatusCode::OK, template)
    }

    /// Another status with the template.
    pub fn render_status(status: StatusCode, template: &impl Template) -> HttpResponse {
        match template.render() {
            Ok(html) => HttpResponse::build(status)
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .content_type("text/html; charset=utf-8")
                .body(html),
            Err(error) => Problem::internal(&error).error_response(),
        }
    }

    pub(super) fn style(&self) -> String {
        format!("{}?v={}", self.link("/static/style.css"), STYLE.version())
    }
}

/// Origins beside our own that a page's forms may lead to: browsers apply `form-action` to the redirect after a
/// POST too.
#[derive(Clone, Debug)]
pub struct FormTargets(pub Vec<String>);

/// Lets the forms of this page end at `url`'s origin.
pub fn allow_form_target(response: &mut HttpResponse, url: &url::Url) {
    let origin = url.origin();
    // Private-use schemes (RFC 8252 §7.1) have no origin.
    let source = if origin.is_tuple() { origin.ascii_serialization() } else { format!("{}:", url.scheme()) };
    let mut extensions = response.extensions_mut();
    let mut targets = extensions.remove::<FormTargets>().map(|targets| targets.0).unwrap_or_default();
    targets.push(source);
    extensions.insert(FormTargets(targets));
}

/// 303 to an absolute path of ours or an absolute URL; the caller adds the prefix.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// What browser routes answer.
pub type Answer<T = HttpResponse> = Result<T, Error>;

/// Why a browser gets no page.
#[derive(Debug)]
pub enum Error {
    /// A problem, told as a page.
    Problem(Problem),
    /// Somewhere else first, usually sign-in: a location with the prefix.
    SeeOther(String),
    /// The form is not from a page of this session, or its session has ended. Nothing was changed.
    FormExpired,
    /// The request names another host than the public URL's.
    Misdirected,
}

impl<E> From<E> for Error
where
    Problem: From<E>,
{
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::SeeOther(_) => f.write_str("another page comes first"),
            Self::FormExpired => f.write_str("the form is not one of ours or too old"),
            Self::Misdirected => f.write_str("the request names another host"),
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    page: Page,
    detail: String,
    advice: &'static str,
    code: &'static str,
    trace_id: String,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Problem(problem) => problem.code().status(),
            Self::SeeOther(_) => StatusCode::SEE_OTHER,
            Self::FormExpired => StatusCode::FORBIDDEN,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let (title, detail, advice, code) = match self {
            Self::SeeOther(location) => return see_other(location),
            Self::Problem(problem) => {
                let code = problem.code();
                (heading(code), problem.detail(), advice(code), code.as_str())
            }
            Self::FormExpired => (
                "The form is too old",
                "It was not sent from a page of this session, or the session has ended. Nothing was changed.",
                "Go back, reload the page and send the form again. Your browser must accept cookies.",
                Code::Forbidden.as_str(),
            ),
            Self::Misdirected => (
                "This is not the address of this service",
                "The request names another host than the one this service is known by.",
                "Open the service under its public address; ask an admin if you do not know it.",
                "misdirected",
            ),
        };
        let trace_id = TRACE_ID.try_with(ToString::to_string).unwrap_or_default();
        let page = Page::new(title);
        let template = ErrorPage { page, detail: detail.to_owned(), advice, code, trace_id };
        let mut response = Page::render_status(self.status_code(), &template);
        if let Self::Problem(problem) = self {
            keep_manner(problem, &mut response);
        }
        response
    }
}

/// Carries what a problem says beside its body into a page about it.
pub(super) fn keep_manner(problem: &Problem, page: &mut HttpResponse) {
    let mut response = problem.error_response();
    if let Some(after) = response.headers_mut().remove(header::RETRY_AFTER).next() {
        page.headers_mut().insert(header::RETRY_AFTER, after);
    }
    if problem.closes_connection() {
        page.head_mut().set_connection_type(ConnectionType::Close);
    }
}

/// Programs are told that their request is malformed; a person has only followed a link.
fn heading(code: Code) -> &'static str {
    if code == Code::InvalidRequest { "This did not work" } else { code.title() }
}

fn advice(code: Code) -> &'static str {
    match code.action() {
        Act::Retry => "Try again in a moment. If it goes on, tell an admin the number below.",
        Act::Reauthorize => "Connect the account again.",
        Act::FixConfiguration => "Check the address. If it came from a link, ask whoever gave it to you.",
        Act::RequestAccess => "If you should be allowed to do this, ask an admin for access.",
        Act::ChangeRequest => "Go to the start page and begin again.",
    }
}

/// 405 as a page with `Allow`, for a browser route that takes `methods` only.
pub(super) fn only(methods: &'static str) -> Route {
    web::to(move || async move {
        let mut response = Error::from(Problem::new(Code::MethodNotAllowed)).error_response();
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(methods));
        response
    })
}

/// 404 as a page, for browsers.
pub async fn not_found() -> HttpResponse {
    Error::from(Problem::new(Code::NotFound)).error_response()
}

/// The one style sheet.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/static/style.css")
            .route(server::read().to(style))
            .default_service(server::only("GET, HEAD")),
    );
}

async fn style(request: HttpRequest) -> HttpResponse {
    STYLE.answer(&request, 86_400)
}
