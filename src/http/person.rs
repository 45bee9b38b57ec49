//! Who sits at the browser: extractors for signed-in people and for anybody.
//!
//! [`Person`] sends who is not signed in to `/login` and back; [`Visitor`] takes anybody and gives forms a token
//! either way. Cookies are named and flagged by the public URL, never by the request.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::layer::limits;
use super::page::{self, see_other};
use super::settings::WebSettings;
use crate::identity::Principal;
use crate::identity::session::{FormToken, Opened, Sessions, SignedIn};
use crate::identity::upstream::{AtProxy, Request as ForwardedRequest, Upstreams, Visit};
use crate::model::event::Origin;
use crate::model::person::{OpenedBy, User};
use crate::model::query::query;
use crate::model::secret::Secret;

/// How long a browser is known after a sign-in.
const KNOWN: actix_web::cookie::time::Duration = actix_web::cookie::time::Duration::days(180);

/// How long a sign-out holds where a reverse proxy still knows the person: as long as a session would.
const STAYS_OUT: actix_web::cookie::time::Duration = actix_web::cookie::time::Duration::hours(12);

/// A person with a live session.
#[derive(Clone)]
pub struct Person {
    signed_in: SignedIn,
}

impl Person {
    /// With the rights of this moment.
    pub fn principal(&self) -> &Principal {
        &self.signed_in.principal
    }

    /// The person.
    pub fn user(&self) -> &User {
        &self.signed_in.user
    }

    /// The session's id: what a flow is bound to.
    pub fn session_id(&self) -> Uuid {
        self.signed_in.session_id
    }

    /// For the field `csrf_token` of every form.
    pub fn csrf_token(&self) -> &str {
        self.signed_in.form_token.as_str()
    }

    /// Refuses a form that another site or another session made.
    pub fn check_csrf(&self, given: &str) -> page::Answer<()> {
        if self.signed_in.form_token.matches(given) { Ok(()) } else { Err(page::Error::FormExpired) }
    }

    fn is_at_home(&self) -> bool {
        !matches!(self.signed_in.opened_by, OpenedBy::Link(_))
    }

    /// The session, for what ends or replaces it.
    pub fn signed_in(&self) -> &SignedIn {
        &self.signed_in
    }
}

impl FromRequest for Person {
    type Error = page::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let settings = service::<WebSettings>(&request)?;
            let person = find(&request, &settings).await?.filter(Person::is_at_home);
            person.ok_or_else(|| page::Error::SeeOther(sign_in_first(&request, &settings)))
        })
    }
}

/// The same of whoever a service provider's link has signed in, too: for that link's way, for signing in at its client
/// and for signing out. To every other page such a browser is one that is not signed in: somebody may have been made
/// to open another's link, and must not connect, accept or let in anything in that one's name.
pub struct AnySession<T>(pub T);

impl FromRequest for AnySession<Person> {
    type Error = page::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let settings = service::<WebSettings>(&request)?;
            let person = find(&request, &settings).await?;
            person.map(Self).ok_or_else(|| page::Error::SeeOther(sign_in_first(&request, &settings)))
        })
    }
}

/// Anybody: a person or a browser that is not signed in.
#[derive(Clone)]
pub struct Visitor {
    person: Option<Person>,
    visit: Secret,
    visit_token: FormToken,
    new: bool,
    settings: web::Data<WebSettings>,
}

impl Visitor {
    /// The person, where somebody is signed in.
    pub fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// The same, to whom a session that a link opened counts for none: see [`AnySession`].
    #[must_use]
    pub fn at_home(&self) -> Self {
        Self { person: self.person.clone().filter(Person::is_at_home), ..self.clone() }
    }

    /// The browser, for what it must come back to.
    pub fn visit(&self) -> Visit<'_> {
        let person = self.person.as_ref().map(|person| &person.signed_in);
        Visit { person, cookie: Some(&self.visit).filter(|_| !self.new) }
    }

    /// For the field `csrf_token` of every form.
    pub fn csrf_token(&self) -> &str {
        self.person.as_ref().map_or(self.visit_token.as_str(), Person::csrf_token)
    }

    /// Refuses a form that another site or another browser made.
    pub fn check_csrf(&self, given: &str) -> page::Answer<()> {
        match &self.person {
            Some(person) => person.check_csrf(given),
            None if !self.new && self.visit_token.matches(given) => Ok(()),
            None => Err(page::Error::FormExpired),
        }
    }

    /// Gives the browser the cookie its form token belongs to.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "door: the value goes into the browser's cookie")]
    pub fn keep(&self, mut response: HttpResponse) -> HttpResponse {
        if self.person.is_none() && self.new {
            let name = self.settings.visit_cookie();
            let cookie = cookie(&self.settings, name, self.visit.expose_secret().to_owned()).finish();
            // A cookie made here is well formed.
            let _ = response.add_cookie(&cookie);
        }
        response
    }
}

impl FromRequest for Visitor {
    type Error = page::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(AnySession::<Self>::extract(&request).await?.0.at_home()) })
    }
}

impl FromRequest for AnySession<Visitor> {
    type Error = page::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let settings = service::<WebSettings>(&request)?;
            let sessions = service::<Sessions>(&request)?;
            let person = find(&request, &settings).await?;
            let known = request.cookie(&settings.visit_cookie()).map(|cookie| cookie.value().to_owned());
            let known = known.filter(|value| value.len() == 43);
            let new = known.is_none();
            let visit = known.map_or_else(|| sessions.new_visit(), Secret::new);
            let visit_token = sessions.visit_token(&visit);
            Ok(Self(Visitor { person, visit, visit_token, new, settings }))
        })
    }
}

impl AnySession<Visitor> {
    /// The visitor as other pages know it, and the session that ends where another takes its place in this browser.
    pub fn replacing(self) -> (Visitor, Option<Uuid>) {
        (self.0.at_home(), self.0.person().map(Person::session_id))
    }
}

/// Where a request came from and its trace id, as the outermost layer noted it.
pub fn origin(request: &HttpRequest) -> Origin {
    request.extensions().get::<Origin>().copied().unwrap_or_default()
}

/// Puts a session into the browser and sends it on to `path` of ours.
pub fn signed_in(settings: &WebSettings, opened: &Opened, path: &str) -> HttpResponse {
    signed_in_at(settings, opened, &settings.link(path))
}

/// The same, and sends it to any address; the caller vouches for it.
#[expect(clippy::disallowed_methods, reason = "door: ticket and browser mark go into the browser's cookies")]
pub fn signed_in_at(settings: &WebSettings, opened: &Opened, location: &str) -> HttpResponse {
    let value = opened.ticket.text().expose_secret().to_owned();
    let life = opened.session.expires_at - opened.session.created_at;
    let life = actix_web::cookie::time::Duration::seconds(life.whole_seconds());
    let cookie = cookie(settings, settings.session_cookie(), value).max_age(life).finish();
    let response = with_cookie(see_other(location), &cookie);
    let value = opened.known_browser.expose_secret().to_owned();
    with_cookie(response, &self::cookie(settings, settings.known_cookie(), value).max_age(KNOWN).finish())
}

/// Takes the session out of the browser and sends it to sign-in.
pub fn signed_out(settings: &WebSettings) -> HttpResponse {
    let mut cookie = cookie(settings, settings.session_cookie(), String::new()).finish();
    cookie.make_removal();
    with_cookie(see_other(&settings.link("/login")), &cookie)
}

/// The same where a reverse proxy would sign the person in again at once: not before they click.
pub fn signed_out_at_proxy(settings: &WebSettings) -> HttpResponse {
    let cookie = cookie(settings, settings.out_cookie(), "1".to_owned()).max_age(STAYS_OUT).finish();
    with_cookie(signed_out(settings), &cookie)
}

/// Whether this browser was signed out so.
pub fn stays_out(request: &HttpRequest, settings: &WebSettings) -> bool {
    request.cookie(&settings.out_cookie()).is_some()
}

/// Lets the proxy sign its person in again.
pub fn forget_sign_out(settings: &WebSettings, response: HttpResponse) -> HttpResponse {
    let mut cookie = cookie(settings, settings.out_cookie(), String::new()).finish();
    cookie.make_removal();
    with_cookie(response, &cookie)
}

/// `/login` that leads back to `path` of ours.
pub fn login_link(settings: &WebSettings, path: &str) -> String {
    settings.link(&format!("/login?{}", query([("return_to", path)])))
}

/// A path of ours to go back to: one `/` at the start, no second one, no backslash, nothing a browser would
/// read as another host. The prefix, where it has one, is taken off.
pub fn local_path(settings: &WebSettings, text: &str) -> Option<String> {
    let path = settings.without_prefix(text).unwrap_or(text);
    let clean = |c: char| !c.is_control() && !c.is_whitespace() && c != '\\';
    let local = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= limits::URL
        && path.chars().all(clean);
    local.then(|| path.to_owned())
}

fn with_cookie(mut response: HttpResponse, cookie: &Cookie<'_>) -> HttpResponse {
    // A cookie made here is well formed.
    let _ = response.add_cookie(cookie);
    response
}

fn cookie(settings: &WebSettings, name: String, value: String) -> actix_web::cookie::CookieBuilder<'static> {
    Cookie::build(name, value).path("/").http_only(true).secure(settings.is_https()).same_site(SameSite::Lax)
}

async fn find(request: &HttpRequest, settings: &WebSettings) -> page::Answer<Option<Person>> {
    let sessions = service::<Sessions>(request)?;
    let Some(cookie) = request.cookie(&settings.session_cookie()) else { return Ok(None) };
    let Some(mut signed_in) = sessions.resume(cookie.value(), origin(request)).await? else {
        return Ok(None);
    };
    let at_proxy = at_proxy(request).await?;
    let good = match (&signed_in.opened_by, at_proxy) {
        // Its own short way, whoever else the proxy knows the browser as.
        (OpenedBy::Link(_), _) => true,
        // Somebody else has signed in at the provider meanwhile.
        (_, AtProxy::Known(user, _)) => user == signed_in.user.id,
        (OpenedBy::Proxy(_), AtProxy::Nobody | AtProxy::Stranger) => false,
        (OpenedBy::SignIn | OpenedBy::Upstream(_), AtProxy::Nobody | AtProxy::Stranger) => true,
    };
    if let (OpenedBy::Proxy(_), AtProxy::Known(_, at)) = (&signed_in.opened_by, at_proxy) {
        // The person may have signed in there again meanwhile.
        signed_in.signed_in_at = signed_in.signed_in_at.max(at);
    }
    Ok(good.then_some(Person { signed_in }))
}

/// Whom a reverse proxy forwards with this request.
pub async fn at_proxy(request: &HttpRequest) -> page::Answer<AtProxy> {
    let headers = |name: &str| header_values(request, name);
    let forwarded = ForwardedRequest { peer: peer(request), headers: &headers };
    Ok(service::<Upstreams>(request)?.at_proxy(&forwarded).await?)
}

/// All values of a header.
pub fn header_values<'r>(request: &'r HttpRequest, name: &str) -> Vec<&'r [u8]> {
    request.headers().get_all(name).map(|value| value.as_bytes()).collect()
}

/// The address of the connection itself.
pub fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}

fn sign_in_first(request: &HttpRequest, settings: &WebSettings) -> String {
    let path = match request.uri().path() {
        // Forms whose own address has no page: back to the one they stand on.
        "/account/sessions" | "/account/applications" => "/account",
        "/login/oidc/unlink" => "/",
        _ => request.uri().path_and_query().map_or("/", |path| path.as_str()),
    };
    login_link(settings, path)
}

/// A service the composition root gave to the app.
fn service<T: 'static>(request: &HttpRequest) -> page::Answer<web::Data<T>> {
    let missing = super::problem::Problem::new(super::problem::Code::Internal);
    request.app_data::<web::Data<T>>().cloned().ok_or_else(|| missing.into())
}
