//! `GET, POST /o/authorize/`: a client sends a person here to say yes or no.
//!
//! The browser goes on to registered addresses only; whatever is wrong with client or address is told on a page.

mod wire;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use url::Url;

use crate::http::extract::{Pairs, PairsError, read_body};
use crate::http::layer::limits;
use crate::http::login::{self, Shown};
use crate::http::page::{self, Page, allow_form_target, see_other};
use crate::http::person::{self, AnySession, Person, Visitor};
use crate::http::problem::{Code, Problem};
use crate::http::settings::WebSettings;
use crate::identity::upstream::{AtProxy, Renewal, Upstreams};
use crate::issuer::Issuer;
use crate::issuer::authorize::{AuthorizationParams, AuthorizationRequest, Next, Refusal};
use crate::model::grant::{GrantType, GrantedScope};
use crate::model::query::query;
use crate::model::secret::Secret;

pub(in crate::http) use self::wire::{AuthorizeFormRequest, AuthorizeRequest};

use super::wishes::{Wish, wishes};

const PATH: &str = "/o/authorize/";
/// As long as `asked_at` will be.
const ANY_TIME: &str = "9999999999";

#[derive(Template)]
#[template(path = "authorize.html")]
struct ConsentPage<'p> {
    page: Page,
    csrf_token: &'p str,
    client: &'p str,
    person: &'p str,
    email: &'p str,
    goes_to: String,
    wishes: Vec<Wish>,
    /// The request, to be judged again when the form comes.
    query: String,
    /// What is agreed to.
    shown: String,
}

/// A client sends a person here, who signs in and says yes or no.
///
/// The client and its address are judged first: where they are wrong, the person is told and sent nowhere. Whatever else is
/// wrong is told to the client.
#[utoipa::path(get, path = "/o/authorize/", tag = "authorization server", security((), ("session" = [])),
    params(AuthorizeRequest),
    responses((status = 200, description = "The sign-in page, at this very address, or the page that asks the person",
            content_type = "text/html", body = String),
        (status = 303, description = "On to `redirect_uri`, with `code` (RFC 6749 §4.1.2) or with `error` and \
            `error_description` (§4.1.2.1), and with `state` and `iss` (RFC 9207 §2); or to a sign-in at a proxy that knows \
            the person", headers(("Location" = String))),
        (status = 400, description = "A page: the link names no client that is known, or an address that is not its own",
            content_type = "text/html", body = String),
        (status = "default", description = "A page that says what is wrong", content_type = "text/html", body = String)))]
pub(in crate::http) async fn authorize(
    request: HttpRequest,
    AnySession(visitor): AnySession<Visitor>,
    issuer: web::Data<Issuer>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let mut params = match Pairs::parse(request.query_string().as_bytes()) {
        Ok(pairs) => read(pairs),
        Err(_) => return Ok(refused(Refusal::Shown("The link is not well formed."))),
    };
    issuer.read_hint(&mut params).await;
    let at_proxy = person::at_proxy(&request).await?;
    if !fits(&settings, &at_proxy, &params) {
        return Ok(refused(too_long(&issuer, &params).await));
    }
    let lets_in = match at_proxy {
        AtProxy::Nobody => false,
        // Who may not be let in would be shown a page.
        AtProxy::Stranger => params.prompt.as_deref() != Some("none"),
        AtProxy::Known(..) => true,
    };
    if visitor.person().is_none() && lets_in && !person::stays_out(&request, &settings) {
        // The proxy has signed somebody in: that becomes a session there.
        return Ok(see_other(&person::login_link(&settings, &format!("{PATH}?{}", write(&params)))));
    }
    let answered = go_on(&issuer, &upstreams, &visitor, params).await;
    Ok(answered.unwrap_or_else(refused))
}

/// The person's answer; or a request that a client sent as a form, which goes on as a link: only so the browser brings
/// its session along.
#[utoipa::path(post, path = "/o/authorize/", tag = "authorization server", security((), ("session" = [])),
    request_body(content = AuthorizeFormRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The sign-in page, or the page that asks the person again, where something \
            changed meanwhile", content_type = "text/html", body = String),
        (status = 303, description = "On to `redirect_uri`, as by GET; a client's request goes on to the same address as a \
            link", headers(("Location" = String))),
        (status = 400, description = "A page: the form is not well formed, or names no client that is known, or an address \
            that is not its own", content_type = "text/html", body = String),
        (status = "default", description = "A page that says what is wrong", content_type = "text/html", body = String)))]
pub(in crate::http) async fn decide_authorization(
    request: HttpRequest,
    payload: web::Payload,
    AnySession(visitor): AnySession<Visitor>,
    issuer: web::Data<Issuer>,
    upstreams: web::Data<Upstreams>,
    settings: web::Data<WebSettings>,
) -> page::Answer {
    let body = read_body(&request, payload.into_inner(), "application/x-www-form-urlencoded").await?;
    let malformed = |_| Problem::of(Code::InvalidRequest, "the form is not well formed");
    let mut form = Pairs::parse(&body).map_err(malformed)?;
    let Some(csrf_token) = form.take("csrf_token").map_err(malformed)? else {
        let mut params = read(form);
        issuer.read_hint(&mut params).await;
        if !fits(&settings, &person::at_proxy(&request).await?, &params) {
            return Ok(refused(too_long(&issuer, &params).await));
        }
        let query = write(&params);
        return Ok(see_other(&settings.link(&format!("{PATH}?{query}"))));
    };
    visitor.check_csrf(&csrf_token)?;
    let mut field = |name| form.take(name).map_err(malformed).map(Option::unwrap_or_default);
    let (decision, query, shown) = (field("decision")?, field("query")?, field("shown")?);
    let params = read(Pairs::parse(query.as_bytes()).map_err(malformed)?);
    let answered = answer(&issuer, &upstreams, &visitor, params, &decision, &shown).await;
    Ok(answered.unwrap_or_else(refused))
}

/// Where the forms of a page that leads back to an authorization request may end in the end.
pub(in crate::http) async fn form_target(issuer: &Issuer, return_to: &str) -> Option<Url> {
    Url::parse(request_at(issuer, return_to).await?.redirect_uri()).ok()
}

/// The new sign-in that the authorization request at this path wants.
pub(in crate::http) async fn renewal(issuer: &Issuer, return_to: Option<&str>) -> Option<Renewal> {
    request_at(issuer, return_to?).await?.renewal()
}

async fn request_at(issuer: &Issuer, path: &str) -> Option<AuthorizationRequest> {
    let query = path.strip_prefix(PATH)?.strip_prefix('?')?;
    let params = read(Pairs::parse(query.as_bytes()).ok()?);
    issuer.authorization_request(&params).await.ok()
}

/// Whether a request, as we write it, fits into the links that lead through a sign-in and back to it; at a proxy into that of
/// the sign-in page too.
fn fits(settings: &WebSettings, at_proxy: &AtProxy, params: &AuthorizationParams) -> bool {
    let asked_at = Some(ANY_TIME.to_owned());
    let back = format!("{PATH}?{}", write(&AuthorizationParams { asked_at, ..params.clone() }));
    let link = match at_proxy {
        AtProxy::Nobody => settings.link(&back),
        AtProxy::Stranger | AtProxy::Known(..) => person::login_link(settings, &back),
    };
    link.len() <= limits::URL
}

/// What is said to one that does not: the client is told, where it may be.
async fn too_long(issuer: &Issuer, params: &AuthorizationParams) -> Refusal {
    match issuer.authorization_request(params).await {
        Ok(request) => request.too_long(),
        Err(refusal) => refusal,
    }
}

async fn go_on(
    issuer: &Issuer,
    upstreams: &Upstreams,
    visitor: &Visitor,
    params: AuthorizationParams,
) -> Result<HttpResponse, Refusal> {
    let request = issuer.authorization_request(&params).await?;
    let person = visitor.person();
    match (issuer.next(&request, person.map(Person::signed_in)).await?, person) {
        (Next::Ask(scope), Some(person)) => Ok(visitor.keep(ask(person, &request, &scope, write(&params)))),
        (Next::Answer(_), Some(person)) => {
            let location = issuer.grant_code(&request, person.signed_in(), false).await?;
            Ok(see_other(&location))
        }
        (Next::SignIn, _) | (_, None) => {
            // A sign-in from now on, as `auth_time` proves it, is the one that was asked for.
            let params = AuthorizationParams { asked_at: Some(request.asked_at()), ..params };
            let return_to = format!("{PATH}?{}", write(&params));
            let shown = Shown { return_to: &return_to, ..Shown::default() };
            let mut response = login::show(&visitor.at_home(), upstreams, shown);
            allow(&mut response, &request);
            Ok(response)
        }
    }
}

async fn answer(
    issuer: &Issuer,
    upstreams: &Upstreams,
    visitor: &Visitor,
    params: AuthorizationParams,
    decision: &str,
    shown: &str,
) -> Result<HttpResponse, Refusal> {
    let request = issuer.authorization_request(&params).await?;
    let Some(person) = visitor.person() else { return go_on(issuer, upstreams, visitor, params).await };
    if decision != "accept" {
        return Err(issuer.deny(&request, person.signed_in()).await);
    }
    match issuer.next(&request, Some(person.signed_in())).await? {
        Next::Ask(scope) | Next::Answer(scope) if scope.to_string() == shown => {
            let location = issuer.grant_code(&request, person.signed_in(), true).await?;
            Ok(see_other(&location))
        }
        // The client was changed meanwhile, or the sign-in has become too old.
        Next::Ask(_) | Next::Answer(_) | Next::SignIn => go_on(issuer, upstreams, visitor, params).await,
    }
}

fn ask(person: &Person, request: &AuthorizationRequest, scope: &GrantedScope, query: String) -> HttpResponse {
    let client = &request.client().identifier;
    let mut response = Page::render(&ConsentPage {
        page: Page::new(format!("Let {client} in?")).of(person),
        csrf_token: person.csrf_token(),
        client,
        person: &person.user().display_name,
        email: person.user().email.as_str(),
        goes_to: destination(request.redirect_uri()),
        wishes: wishes(request.client().may_use(GrantType::TokenExchange), scope, request.resource()),
        query,
        shown: scope.to_string(),
    });
    allow(&mut response, request);
    response
}

fn allow(response: &mut HttpResponse, request: &AuthorizationRequest) {
    if let Ok(url) = Url::parse(request.redirect_uri()) {
        allow_form_target(response, &url);
    }
}

/// Where the browser goes, as a person reads it.
fn destination(redirect_uri: &str) -> String {
    let url = Url::parse(redirect_uri).ok();
    let host = url.as_ref().and_then(Url::host_str);
    match (url.as_ref().map(Url::scheme), host) {
        (Some("http"), Some(_)) => "a program on this computer".to_owned(),
        (Some("https"), Some(host)) => host.to_owned(),
        (Some(scheme), _) => format!("the app that opens {scheme}: links"),
        (None, _) => redirect_uri.to_owned(),
    }
}

fn refused(refusal: Refusal) -> HttpResponse {
    use actix_web::ResponseError;
    match refusal {
        Refusal::Sent { location, .. } => see_other(&location),
        Refusal::Shown(why) => page::Error::from(Problem::of(Code::InvalidRequest, why)).error_response(),
        Refusal::Failed(error) => page::Error::from(Problem::from(error)).error_response(),
    }
}

/// The parameters we know; others are ignored (RFC 6749 §3.1).
fn read(mut pairs: Pairs) -> AuthorizationParams {
    let mut repeated = false;
    let mut take = |name: &str| match pairs.take(name) {
        Ok(value) => value.filter(|value| !value.is_empty()),
        Err(PairsError::Repeated(_) | PairsError::Malformed) => {
            repeated = true;
            None
        }
    };
    let mut params = AuthorizationParams {
        client_id: take("client_id"),
        redirect_uri: take("redirect_uri"),
        response_type: take("response_type"),
        response_mode: take("response_mode"),
        scope: take("scope"),
        state: take("state"),
        code_challenge: take("code_challenge"),
        code_challenge_method: take("code_challenge_method"),
        nonce: take("nonce"),
        prompt: take("prompt"),
        max_age: take("max_age"),
        id_token_hint: take("id_token_hint").map(Secret::new),
        expected: take("expected"),
        asked_at: take("asked_at"),
        resource: take("resource"),
        request: take("request"),
        request_uri: take("request_uri"),
        repeated: false,
    };
    params.repeated = repeated;
    params
}

/// The same as a query, once the hint is read.
fn write(params: &AuthorizationParams) -> String {
    let fields = [
        ("client_id", &params.client_id),
        ("redirect_uri", &params.redirect_uri),
        ("response_type", &params.response_type),
        ("response_mode", &params.response_mode),
        ("scope", &params.scope),
        ("state", &params.state),
        ("code_challenge", &params.code_challenge),
        ("code_challenge_method", &params.code_challenge_method),
        ("nonce", &params.nonce),
        ("prompt", &params.prompt),
        ("max_age", &params.max_age),
        ("expected", &params.expected),
        ("asked_at", &params.asked_at),
        ("resource", &params.resource),
        ("request", &params.request),
        ("request_uri", &params.request_uri),
    ];
    let sent = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    // Still to be refused.
    let repeated = [("state", ""); 2].into_iter().filter(|_| params.repeated);
    query(sent.chain(repeated))
}
