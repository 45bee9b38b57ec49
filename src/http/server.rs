//! How are requests taken in and the process ended? Listener, limits, layers, all routes, a graceful stop.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{Any, Get, Head};
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, PayloadConfig, ServiceConfig, route, to};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, ResponseError};
use tokio::task::JoinHandle;

use super::extract::MAX_BODY_BYTES;
use super::layer::in_flight::InFlight;
use super::layer::trace::Nature;
use super::layer::{limits, prefix, security_headers, trace};
use super::metrics::Exposed;
use super::oauth_error::refusal;
use super::page;
use super::problem::{Code, Problem};
use super::settings::WebSettings;
use crate::admin;
use crate::figures::Figures;
use crate::health::Readiness;
use crate::identity::bearer::Bearers;
use crate::identity::login::Logins;
use crate::identity::people::People;
use crate::identity::session::Sessions;
use crate::identity::upstream::Upstreams;
use crate::issuer::Issuer;
use crate::keeper::SecretsKeeper;
use crate::signup::Signup;

/// Connections of one worker; more wait in the listener's queue.
const CONNECTIONS: usize = 4_000;
/// A client that takes longer for its headers is cut off.
pub(in crate::http) const SLOW_HEADERS: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// What provider calls may still take when the process ends.
const LANDING: Duration = Duration::from_secs(30);
/// What requests may still take then.
const ANSWERING: Duration = Duration::from_secs(25);
/// What the last answers may still take on their way.
const LEAVING_S: u64 = 5;
/// What ending the server takes at most.
pub const LONGEST_STOP: Duration = Duration::from_secs(LANDING.as_secs() + ANSWERING.as_secs() + LEAVING_S);

/// What the routes work with, one line a service.
#[derive(Clone)]
pub struct Services {
    /// What the web knows of the outside.
    pub settings: Arc<WebSettings>,
    /// Time and chance.
    pub nature: Arc<Nature>,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// What is shown of it.
    pub metrics: Arc<Exposed>,
    /// Whether the process can work.
    pub readiness: Arc<Readiness>,
    /// Who calls, by bearer token.
    pub bearers: Arc<Bearers>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Signing in.
    pub logins: Arc<Logins>,
    /// Signing in through another provider.
    pub upstreams: Arc<Upstreams>,
    /// People, memberships, invitations.
    pub people: Arc<People>,
    /// Third-party tokens.
    pub keeper: Arc<SecretsKeeper>,
    /// Connecting accounts.
    pub signup: Arc<Signup>,
    /// Our own tokens.
    pub issuer: Arc<Issuer>,
    /// Administration of apps.
    pub apps: Arc<admin::apps::Apps>,
    /// Administration of connector definitions.
    pub connectors: Arc<admin::connectors::Connectors>,
    /// Administration of provider credentials.
    pub credentials: Arc<admin::credentials::ProviderCredentials>,
    /// Imports.
    pub imports: Arc<admin::connections::Imports>,
    /// Administration of clients.
    pub clients: Arc<admin::clients::Clients>,
    /// Administration of other resource servers.
    pub resources: Arc<admin::resources::Resources>,
    /// Keys that sign our tokens.
    pub signing_keys: Arc<admin::keys::SigningKeys>,
}

impl Services {
    fn register(&self, cfg: &mut ServiceConfig) {
        cfg.app_data(Data::from(Arc::clone(&self.settings)))
            .app_data(Data::from(Arc::clone(&self.nature)))
            .app_data(Data::from(Arc::clone(&self.figures)))
            .app_data(Data::from(Arc::clone(&self.metrics)))
            .app_data(Data::from(Arc::clone(&self.readiness)))
            .app_data(Data::from(Arc::clone(&self.bearers)))
            .app_data(Data::from(Arc::clone(&self.sessions)))
            .app_data(Data::from(Arc::clone(&self.logins)))
            .app_data(Data::from(Arc::clone(&self.upstreams)))
            .app_data(Data::from(Arc::clone(&self.people)))
            .app_data(Data::from(Arc::clone(&self.keeper)))
            .app_data(Data::from(Arc::clone(&self.signup)))
            .app_data(Data::from(Arc::clone(&self.issuer)))
            .app_data(Data::from(Arc::clone(&self.apps)))
            .app_data(Data::from(Arc::clone(&self.connectors)))
            .app_data(Data::from(Arc::clone(&self.credentials)))
            .app_data(Data::from(Arc::clone(&self.imports)))
            .app_data(Data::from(Arc::clone(&self.clients)))
            .app_data(Data::from(Arc::clone(&self.resources)))
            .app_data(Data::from(Arc::clone(&self.signing_keys)));
    }
}

/// All routes behind all layers, from the outside in: headers, trace, limits, prefix.
pub fn application(
    services: &Services,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let services = services.clone();
    App::new()
        .configure(|cfg| services.register(cfg))
        .app_data(PayloadConfig::new(MAX_BODY_BYTES))
        .configure(super::routes)
        .default_service(to(not_found))
        .wrap(from_fn(prefix::strip))
        .wrap(from_fn(limits::check))
        .wrap(from_fn(trace::follow))
        .wrap(from_fn(security_headers::apply))
}

/// A page for browsers, a problem for programs, and the form of its errors under `/o/`.
pub(in crate::http) async fn not_found(request: HttpRequest) -> HttpResponse {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        return page::not_found().await;
    }
    let detail = "nothing is at this path: is the broker's address right (JETON_URL), and what follows it?";
    refusal(Problem::of(Code::NotFound, detail), request.path().starts_with("/o/"))
}

/// GET, and HEAD alike: the server leaves the body out (RFC 9110 §9.3.2). For what is read alone: a route whose GET hands
/// something out or uses something up takes no HEAD, which nobody expects to do so.
pub(in crate::http) fn read() -> actix_web::Route {
    route().guard(Any(Get()).or(Head()))
}

/// 405 with `Allow`, for a resource of our API that takes `methods` only.
pub(in crate::http) fn only(methods: &'static str) -> actix_web::Route {
    to(move || async move {
        let mut response = Problem::new(Code::MethodNotAllowed).error_response();
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(methods));
        response
    })
}

/// A server that runs.
pub struct Server {
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
    services: Services,
    in_flight: Arc<InFlight>,
}

impl Server {
    /// Serves on a listener, from within a tokio runtime; signals are the caller's business.
    pub fn start(listener: TcpListener, services: Services) -> std::io::Result<Self> {
        let (each, in_flight) = (services.clone(), Arc::<InFlight>::default());
        let counted = Arc::clone(&in_flight);
        let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
        let running = HttpServer::new(move || application(&each).app_data(Data::from(Arc::clone(&counted))))
            .workers(workers)
            .max_connections(CONNECTIONS)
            .client_request_timeout(SLOW_HEADERS)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(LEAVING_S)
            .disable_signals()
            .listen(listener)?
            .run();
        Ok(Self { handle: running.handle(), task: tokio::spawn(running), services, in_flight })
    }

    /// Ends when the server ends by itself, which it does only when it failed.
    pub async fn failed(&mut self) -> std::io::Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => std::io::Error::other("the server ended"),
            Err(error) => std::io::Error::other(error),
        }
    }

    /// Begins no more refreshes, lets provider calls land and requests end, then stops; within [`LONGEST_STOP`]. New
    /// requests are answered meanwhile, as far as they need no provider: a socket that listened and took nothing would
    /// hold up a proxy that could ask another replica, and one that is closed would reset what waits in it. Refreshes run on
    /// the workers' threads, and connections of the database live there: all is waited for before those go.
    pub async fn stop(self) {
        let signup = Arc::clone(&self.services.signup);
        let landed = async { tokio::join!(self.services.keeper.drain(LANDING), signup.drain()) };
        if tokio::time::timeout(LANDING, landed).await.is_err() {
            tracing::warn!("provider calls are still under way; their outcome will be unknown");
        }
        self.handle.pause().await;
        let all_answered = self.in_flight.drain(ANSWERING).await;
        if !all_answered {
            tracing::warn!("requests are still under way; their callers get no answer");
        }
        self.handle.stop(all_answered).await;
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the server stopped with an error");
        }
    }
}
