//! Accepting an invitation: GET shows what it gives, POST takes it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::form::PageForm;
use super::layer::host;
use super::login::{nothing, oidc};
use super::page::{self, Page, see_other};
use super::person::{self, Person, Visitor};
use super::settings::WebSettings;
use crate::identity::password;
use crate::identity::people::{Answer, Error, Found, Joining, People};
use crate::identity::upstream::{AtProxy, Request as ForwardedRequest, Upstream, Upstreams};
use crate::model::name::DisplayName;
use crate::model::person::{Email, Offer};
use crate::model::principal::Membership;
use crate::model::secret::Secret;

/// `/invitations/{token}`.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        host::resource("/invitations/{token}", "GET, POST")
            .route(web::get().to(invitation_page))
            .route(web::post().to(accept_invitation)),
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationRequest {
    #[serde(default)]
    display_name: String,
    /// Taken where the invitation names no address.
    email: Option<String>,
    #[serde(default = "nothing")]
    password: Secret,
    /// As whom the proxy has signed in, without a password.
    #[serde(default)]
    at_proxy: String,
    #[serde(default)]
    csrf_token: String,
}

/// What the person must correct, beside the field it is about.
#[derive(Default)]
struct Wrong {
    display_name: Option<&'static str>,
    email: Option<&'static str>,
    password: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct JoinPage<'p> {
    page: Page,
    found: &'p Found,
    email: &'p str,
    display_name: &'p str,
    csrf_token: &'p str,
    path: &'p str,
    provider: Option<&'p str>,
    /// A reverse proxy has signed somebody in there.
    at_proxy: bool,
    wrong: Wrong,
}

/// Where the page is, and the provider through which one can come instead.
struct Around<'a> {
    request: &'a HttpRequest,
    visitor: &'a Visitor,
    upstreams: &'a Upstreams,
    at_proxy: AtProxy,
}

#[derive(Template)]
#[template(path = "accept.html")]
struct AcceptPage<'p> {
    page: Page,
    found: &'p Found,
    person: Option<&'p Person>,
    login: String,
    csrf_token: &'p str,
}

impl Found {
    fn headline(&self) -> String {
        match &self.app_name {
            Some(app) => format!("Join {app}"),
            None => "Become a superadmin".to_owned(),
        }
    }

    fn gives(&self) -> &'static str {
        match self.invitation.offer {
            Offer::App(_, Membership::Member) => "You will be able to connect accounts for this app.",
            Offer::App(_, Membership::AppAdmin) => {
                "You will be able to connect accounts for this app and to decide over other people's connections."
            }
            Offer::Superadmin => {
                "You will administer this service: every app, every connection, every person."
            }
        }
    }

    fn is_for(&self, person: &Person) -> bool {
        self.invitation.email.as_ref().is_none_or(|email| *email == person.user().email)
    }
}

async fn invitation_page(
    request: HttpRequest,
    token: web::Path<String>,
    visitor: Visitor,
    people: web::Data<People>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let found = people.open_invitation(&token).await?;
    if found.known || visitor.person().is_some() {
        return Ok(ask_to_accept(StatusCode::OK, &request, &visitor, &found, &settings));
    }
    let at_proxy = person::at_proxy(&request).await?;
    if matches!(at_proxy, AtProxy::Known(..)) {
        return Ok(see_other(&person::login_link(&settings, request.path())));
    }
    let around = Around { request: &request, visitor: &visitor, upstreams: &upstreams, at_proxy };
    let email = found.email.as_str();
    Ok(visitor.keep(ask_to_join(StatusCode::OK, &around, &found, "", email, Wrong::default())))
}

async fn accept_invitation(
    request: HttpRequest,
    token: web::Path<String>,
    visitor: Visitor,
    form: PageForm<InvitationRequest>,
    people: web::Data<People>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let form = form.0;
    visitor.check_csrf(&form.csrf_token)?;
    let origin = person::origin(&request);
    if let Some(person) = visitor.person() {
        let answer = people.accept(&token, person.signed_in(), origin).await?;
        return Ok(go_on(&settings, &answer));
    }
    let found = people.open_invitation(&token).await?;
    if found.known {
        return Ok(ask_to_accept(StatusCode::CONFLICT, &request, &visitor, &found, &settings));
    }
    if !form.at_proxy.is_empty() {
        let headers = |name: &str| person::header_values(&request, name);
        let forwarded = ForwardedRequest { peer: person::peer(&request), headers: &headers };
        // Whose token has ended meanwhile is shown the page again.
        if let Some((opened, signed_in)) = upstreams.join_at_proxy(&forwarded, &token, origin).await? {
            let answer = people.accept(&token, &signed_in, origin).await?;
            return Ok(go_on(&settings, &Answer { opened: Some(opened), ..answer }));
        }
        return Ok(see_other(&settings.link(request.path())));
    }
    let email = form.email.as_deref().unwrap_or(found.email.as_str());
    let mut wrong = match joining(&form, &found.email) {
        Ok(joining) => match people.join(&token, &joining, origin).await {
            Ok(answer) => return Ok(go_on(&settings, &answer)),
            Err(Error::Password(password::Error::Rule(why))) => {
                Wrong { password: Some(why), ..Wrong::default() }
            }
            Err(Error::SignInFirst) => {
                Wrong { email: Some("has an account: sign in first"), ..Wrong::default() }
            }
            Err(error) => return Err(error.into()),
        },
        Err(wrong) => wrong,
    };
    if found.invitation.email.is_some() {
        wrong.email = None;
    }
    let at_proxy = person::at_proxy(&request).await?;
    let around = Around { request: &request, visitor: &visitor, upstreams: &upstreams, at_proxy };
    Ok(ask_to_join(StatusCode::BAD_REQUEST, &around, &found, &form.display_name, email, wrong))
}

/// Tells all that is wrong at once: nobody likes to be sent back twice.
fn joining(form: &InvitationRequest, named: &Email) -> Result<Joining, Wrong> {
    let display_name = DisplayName::parse(&form.display_name);
    let email = form.email.as_deref().map(Email::parse);
    let login = email.as_ref().and_then(Option::as_ref).unwrap_or(named);
    let wrong = Wrong {
        display_name: display_name.is_none().then_some("must be 1 to 100 characters"),
        email: matches!(email, Some(None)).then_some("must be an e-mail address"),
        password: match password::check_rules(&form.password, login) {
            Err(password::Error::Rule(why)) => Some(why),
            Err(_) | Ok(()) => None,
        },
    };
    match (display_name, wrong) {
        (Some(display_name), Wrong { email: None, password: None, .. }) => {
            Ok(Joining { display_name, email: email.flatten(), password: form.password.clone() })
        }
        (_, wrong) => Err(wrong),
    }
}

fn ask_to_join(
    status: StatusCode,
    around: &Around<'_>,
    found: &Found,
    display_name: &str,
    email: &str,
    wrong: Wrong,
) -> HttpResponse {
    let page = Page::new(found.headline());
    let csrf_token = around.visitor.csrf_token();
    let (path, provider) = (around.request.path(), around.upstreams.find().map(Upstream::name));
    let at_proxy = around.at_proxy == AtProxy::Stranger;
    let page = JoinPage { page, found, email, display_name, csrf_token, path, provider, at_proxy, wrong };
    let mut response = Page::render_status(status, &page);
    oidc::allow_provider(&mut response, around.upstreams);
    response
}

fn ask_to_accept(
    status: StatusCode,
    request: &HttpRequest,
    visitor: &Visitor,
    found: &Found,
    settings: &WebSettings,
) -> HttpResponse {
    let page = Page::new(found.headline());
    let person = visitor.person();
    let page = match person {
        Some(person) => page.of(person),
        None => page,
    };
    let login = person::login_link(settings, request.path());
    let csrf_token = visitor.csrf_token();
    visitor.keep(Page::render_status(status, &AcceptPage { page, found, person, login, csrf_token }))
}

fn go_on(settings: &WebSettings, answer: &Answer) -> HttpResponse {
    let path = answer.app.as_ref().map_or_else(|| "/".to_owned(), |app| format!("/{app}/connect"));
    match &answer.opened {
        Some(opened) => person::signed_in(settings, opened, &path),
        None => see_other(&settings.link(&path)),
    }
}
