//! Which provider can a connector author break on purpose? A real OAuth 2.0 / OpenID Connect provider over HTTP,
//! whose quirks are set per client or at run time, and which counts every spend of every refresh token.
//!
//! It promises what real providers do: opaque tokens, exact redirect URIs, PKCE, rotation, revocation. It keeps
//! everything in memory and forgets it when it stops. It is for loopback: its pages sign anybody in by name, and
//! its `/_sandbox/` routes need no credential.

mod faults;
mod grants;
mod handle;
mod id_token;
mod ledger;
mod opaque;
mod page;
mod params;
mod profile;
mod routes;
mod state;
mod trouble;

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use tokio::task::JoinHandle;
use url::Url;

use crate::model::{entropy::Entropy, time::Clock};

pub use faults::{ExpiresIn, Faults, Format, Iss, Trouble};
pub use handle::{AccessEntry, Handle, UnknownClient};
pub use ledger::{Counters, Ledger, Outcome, Presentation, RefreshEntry};
pub use profile::{Aircall, Github, Google, Hubspot, Profile, Rotation, Salesforce, Standard};

/// How to start a sandbox.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one. On IPv4 loopback, `[::1]` is taken too where it can be.
    pub listen: SocketAddr,
    /// What the browser calls it; `http://localhost:PORT` when absent, another host than a broker on `127.0.0.1`,
    /// because cookies ignore ports.
    pub public_url: Option<Url>,
    /// Who may ask for tokens.
    pub clients: Vec<Client>,
    /// User names offered on the consent page; any other may be typed.
    pub users: Vec<String>,
}

impl Settings {
    /// One client per profile, with known ids (`sandbox-standard`, `sandbox-github`, `sandbox-github-app`,
    /// `sandbox-aircall`, `sandbox-google`, `sandbox-hubspot`, `sandbox-salesforce`), the secret `sandbox-secret`, and any loopback redirect URI.
    pub fn demo(listen: SocketAddr) -> Self {
        let client = |id: &str, profile| Client { any_loopback_redirect: true, ..Client::new(id, profile) };
        Self {
            clients: vec![
                client("sandbox-standard", Profile::standard()),
                client("sandbox-github", Profile::github()),
                client("sandbox-github-app", Profile::github_app()),
                client("sandbox-aircall", Profile::aircall()),
                client("sandbox-google", Profile::google()),
                client("sandbox-hubspot", Profile::hubspot()),
                client("sandbox-salesforce", Profile::salesforce()),
            ],
            ..Self::new(listen)
        }
    }

    /// No clients yet.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, public_url: None, clients: Vec::new(), users: vec!["alice".into(), "bob".into()] }
    }
}

/// A registered client.
#[derive(Clone)]
pub struct Client {
    /// Its public name.
    pub client_id: String,
    /// Its secret; none makes it a public client.
    pub client_secret: Option<String>,
    /// Exactly these are accepted.
    pub redirect_uris: Vec<String>,
    /// Accepts every `http` redirect URI whose host is loopback, for demonstrations.
    pub any_loopback_redirect: bool,
    /// How it must show its secret.
    pub token_auth: TokenAuth,
    /// Refuses authorization requests without a PKCE challenge.
    pub require_pkce: bool,
    /// Where the install page sends the browser, for flows that start at the provider.
    pub install_uri: Option<String>,
    /// Whose behaviour it meets.
    pub profile: Profile,
    /// What goes wrong from the start.
    pub faults: Faults,
}

impl Client {
    /// A client with the secret `sandbox-secret`, no redirect URI yet, and no faults.
    pub fn new(client_id: impl Into<String>, profile: Profile) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: Some("sandbox-secret".into()),
            redirect_uris: Vec::new(),
            any_loopback_redirect: false,
            token_auth: TokenAuth::Any,
            require_pkce: false,
            install_uri: None,
            profile,
            faults: Faults::default(),
        }
    }
}

/// How a client shows its secret at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenAuth {
    /// In the header or in the body, never both.
    #[default]
    Any,
    /// `client_secret_basic` only.
    Basic,
    /// `client_secret_post` only.
    Post,
}

/// A sandbox that is running.
pub struct Sandbox {
    state: Arc<state::State>,
    server: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Its address for clients and browsers.
    pub fn url(&self) -> Url {
        self.state.base.clone()
    }

    /// State access from the same process.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.state))
    }

    /// Stops at once, breaking what is under way.
    pub async fn stop(self) {
        self.server.stop(false).await;
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the sandbox stopped with an error");
        }
    }
}

/// Starts a sandbox on the current tokio runtime.
///
/// # Errors
/// When the address cannot be bound.
pub fn start(settings: Settings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> io::Result<Sandbox> {
    let listener = TcpListener::bind(settings.listen)?;
    let address = listener.local_addr()?;
    let beside = beside(address);
    let base = match &settings.public_url {
        Some(url) => url.clone(),
        None => Url::parse(&format!("http://localhost:{}", address.port())).map_err(io::Error::other)?,
    };
    let state = Arc::new(state::State::new(settings, base, clock, entropy));
    let shared = web::Data::from(Arc::clone(&state));
    let mut http = HttpServer::new(move || App::new().app_data(shared.clone()).configure(routes::mount))
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?;
    if let Some(listener) = beside {
        http = http.listen(listener)?;
    }
    let running = http.run();
    Ok(Sandbox { state, server: running.handle(), task: tokio::spawn(running) })
}

/// `localhost` may resolve to `[::1]` first: the same port there, where it is free.
fn beside(address: SocketAddr) -> Option<TcpListener> {
    let v4_loopback = address.is_ipv4() && address.ip().is_loopback();
    v4_loopback.then(|| TcpListener::bind((Ipv6Addr::LOCALHOST, address.port())).ok()).flatten()
}
