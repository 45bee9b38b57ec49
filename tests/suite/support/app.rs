//! A real broker on a free port, with a data directory of its own and either database.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jeton::app::{self, App, Nature, Running};
use jeton::config::{Config, Flag, Sources};
use jeton::model::entropy::{Entropy, SystemEntropy};
use jeton::model::time::ShiftedClock;
use serde_json::Value;

use super::postgres;

/// Where an instance lives: a directory and a database, empty at first.
pub(crate) struct Home {
    pub(crate) name: &'static str,
    pub(crate) database_url: Option<String>,
    dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        Self { name: "sqlite", database_url: None, dir: tempfile::tempdir().unwrap() }
    }

    /// One of each kind there is.
    pub(crate) async fn each() -> Vec<Self> {
        let mut homes = vec![Self::sqlite()];
        if postgres::is_here() {
            homes.push(Self::postgres().await);
        }
        homes
    }

    /// On the PostgreSQL that the tests were given.
    pub(crate) async fn postgres() -> Self {
        let url = postgres::fresh().await.expect("JETON_TEST_POSTGRES_URL names a server");
        Self { name: "postgres", database_url: Some(url), dir: tempfile::tempdir().unwrap() }
    }

    /// On a database that is there already.
    pub(crate) fn at(database_url: String) -> Self {
        Self { name: "postgres", database_url: Some(database_url), dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The flags that lead a command of the server here.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec!["--data-dir".to_owned(), self.data_dir().display().to_string()];
        if let Some(url) = &self.database_url {
            flags.extend(["--database-url".to_owned(), url.clone()]);
        }
        flags
    }

    pub(crate) fn config(&self, listen: &str, more: &[(&'static str, &str)]) -> Config {
        let data_dir = self.data_dir().display().to_string();
        let mut keys = vec![("data_dir", data_dir.as_str()), ("listen", listen)];
        keys.extend(self.database_url.as_deref().map(|url| ("database_url", url)));
        // Tests that move the clock say themselves when a token is refreshed.
        if more.iter().all(|(key, _)| *key != "refresh.background") {
            keys.push(("refresh.background", "false"));
        }
        keys.extend(more.iter().copied());
        let flag = |(key, value): (&'static str, &str)| Flag { key, name: "a test", value: value.to_owned() };
        // Keys in capitals are variables of the environment.
        let (variables, keys): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|(key, _)| key.starts_with(|c: char| c.is_ascii_uppercase()));
        let variables = variables.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let sources = Sources::flags(keys.into_iter().map(flag).collect()).with_environment(variables);
        Config::load(sources).unwrap()
    }
}

/// A broker that serves in this process.
pub(crate) struct Broker {
    pub(crate) url: String,
    /// The listener, for what stands in front of the public URL.
    pub(crate) direct: String,
    pub(crate) http: reqwest::Client,
    /// A superadmin client: id and secret.
    pub(crate) superadmin: (String, String),
    /// Makes a superadmin of whoever opens it.
    pub(crate) invitation_url: String,
    /// Its time.
    pub(crate) clock: Arc<ShiftedClock>,
    running: Running,
}

impl Broker {
    /// A new instance in `home`, with these keys of the configuration beside.
    pub(crate) async fn start(home: &Home, more: &[(&'static str, &str)]) -> Self {
        Self::start_at(home, Arc::default(), more).await
    }

    /// The same, whose time is `clock`'s.
    pub(crate) async fn start_at(
        home: &Home,
        clock: Arc<ShiftedClock>,
        more: &[(&'static str, &str)],
    ) -> Self {
        Self::start_with(home, clock, Arc::new(SystemEntropy), more).await
    }

    /// The same, whose chance is `entropy`'s.
    pub(crate) async fn start_with(
        home: &Home,
        clock: Arc<ShiftedClock>,
        entropy: Arc<dyn Entropy>,
        more: &[(&'static str, &str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::start_on(listener, home, clock, entropy, more).await
    }

    /// The same, where others know already: on this listener.
    pub(crate) async fn start_on(
        listener: TcpListener,
        home: &Home,
        clock: Arc<ShiftedClock>,
        entropy: Arc<dyn Entropy>,
        more: &[(&'static str, &str)],
    ) -> Self {
        let config = home.config(&listener.local_addr().unwrap().to_string(), more);
        Self::start_by(listener, &config, clock, entropy).await
    }

    /// One whose access tokens live for so many seconds, be it less than a configuration may say.
    pub(crate) async fn start_minting(home: &Home, lifetime_s: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = home.config(&listener.local_addr().unwrap().to_string(), &[]);
        config.issuer.token_lifetime_s = lifetime_s;
        Self::start_by(listener, &config, Arc::default(), Arc::new(SystemEntropy)).await
    }

    async fn start_by(
        listener: TcpListener,
        config: &Config,
        clock: Arc<ShiftedClock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let nature = Nature { clock: clock.clone(), entropy };
        let made = app::init(config, nature.clone()).await.unwrap();
        let app = App::open(config, nature).await.unwrap();
        let url = app.public_url().as_str().to_owned();
        let running = app.serve(listener).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test is who the credentials were made for")]
        let superadmin = (made.client_id.to_string(), made.client_secret.expose_secret().to_owned());
        #[expect(clippy::disallowed_methods, reason = "the test is who the invitation was made for")]
        let invitation_url = made.invitation_url.expose_secret().to_owned();
        let direct = format!("http://{address}");
        Self { url, direct, http: http(), superadmin, invitation_url, clock, running }
    }

    /// Another process's worth of broker on the database and keyring of `home`, by the same clock: a replica.
    pub(crate) async fn replica(&self, home: &Home, more: &[(&'static str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // Both are known by the first one's name.
        let mut keys = vec![("public_url", self.url.as_str())];
        keys.extend_from_slice(more);
        let config = home.config(&address, &keys);
        let nature = Nature { clock: self.clock.clone(), entropy: Arc::new(SystemEntropy) };
        let app = App::open(&config, nature).await.unwrap();
        Self {
            url: format!("http://{address}"),
            direct: format!("http://{address}"),
            http: http(),
            superadmin: self.superadmin.clone(),
            invitation_url: self.invitation_url.clone(),
            clock: self.clock.clone(),
            running: app.serve(listener).unwrap(),
        }
    }

    /// The same instance, ended and started again where it was.
    pub(crate) async fn restart(self, home: &Home, more: &[(&'static str, &str)]) -> Self {
        let Self { url, direct, superadmin, invitation_url, clock, running, .. } = self;
        running.stop().await;
        let address = direct.trim_start_matches("http://");
        let nature = Nature { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let app = App::open(&home.config(address, more), nature).await.unwrap();
        let running = app.serve(TcpListener::bind(address).unwrap()).unwrap();
        Self { url, direct, http: http(), superadmin, invitation_url, clock, running }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// An access token for a client.
    pub(crate) async fn token_of(&self, client: &(String, String)) -> String {
        let answer = self
            .http
            .post(self.at("/o/token/"))
            .basic_auth(&client.0, Some(&client.1))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}

/// A client that follows nothing and keeps no cookies.
#[expect(clippy::disallowed_methods, reason = "tests are the outside")]
pub(crate) fn http() -> reqwest::Client {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}
