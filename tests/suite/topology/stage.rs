//! The services of docker-compose.yml as processes of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jeton::model::time::SystemClock;
use jeton::sandbox::{Faults, Sandbox};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::compose::{Compose, Service};
use crate::support::app::http;
use crate::support::house::{CLIENT, CLIENT_SECRET};
use crate::support::peer::skipped;
use crate::support::postgres;
use crate::support::provider::{consent, sandbox};

pub(super) const NGINX: &str = include_str!("../../../docker/nginx.conf");

/// All of it, up.
pub(super) struct Stage {
    compose: Compose,
    dir: tempfile::TempDir,
    /// Where each service listens.
    ports: BTreeMap<String, u16>,
    database_url: String,
    sandbox: Sandbox,
    running: BTreeMap<String, Process>,
    root: (String, String),
    pub(super) admin: String,
}

/// A service that stays up; killed when the test ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Stage {
    /// Starts every service in its order; `None`, with the reason printed, where nginx or PostgreSQL is missing.
    pub(super) async fn start() -> Option<Self> {
        let nginx = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
        if !nginx.is_ok_and(|status| status.success()) {
            return skipped("the topology of docker-compose.yml: no nginx here");
        }
        let Some(database_url) = postgres::fresh().await else {
            return skipped("the topology of docker-compose.yml: JETON_TEST_POSTGRES_URL names no server");
        };
        let compose = Compose::read();
        let ports = ["one", "two", "proxy"].map(|name| (name.to_owned(), free_port())).into();
        let mut stage = Self {
            compose,
            dir: tempfile::tempdir().unwrap(),
            ports,
            database_url,
            sandbox: sandbox(Arc::new(SystemClock)),
            running: BTreeMap::new(),
            root: Default::default(),
            admin: String::new(),
        };
        stage.prepare();
        let order: Vec<String> = stage.compose.in_order().into_iter().map(str::to_owned).collect();
        assert_eq!(order, ["postgres", "init", "migrate", "one", "two", "proxy"]);
        for name in order {
            match name.as_str() {
                // The server that the tests were given.
                "postgres" => {}
                "init" | "migrate" => drop(stage.run(&name)),
                _ => stage.start_again(&name),
            }
        }
        stage.sign_in().await;
        stage.write(Method::PUT, "/connectors/sandbox/credentials", &credentials()).await;
        Some(stage)
    }

    /// The secrets and volumes there are.
    fn prepare(&self) {
        for name in self.compose.secrets.keys() {
            let text = if name == "database_url" { &self.database_url } else { "unused" };
            std::fs::create_dir_all(self.path("secrets")).unwrap();
            std::fs::write(self.path("secrets").join(name), text).unwrap();
        }
        for name in self.compose.volumes.keys() {
            std::fs::create_dir_all(self.path("volumes").join(name)).unwrap();
        }
        std::fs::create_dir_all(self.path("tmp")).unwrap();
        let mut conf = NGINX.replace("listen 8080;", &format!("listen {};", self.address("proxy")));
        for name in self.compose.replicas() {
            let inside = format!("{}:8080", self.compose.services[name].address_in("front"));
            conf = conf.replace(&inside, &self.address(name));
        }
        let conf = conf.replace(" /tmp/", &format!(" {}/", self.path("tmp").display()));
        std::fs::write(self.path("nginx.conf"), conf).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.ports[name])
    }

    pub(super) fn grace(&self, name: &str) -> Duration {
        self.compose.services[name].grace()
    }

    pub(super) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// The built program as a container of this service would run it, with these arguments.
    fn jeton(&self, service: &Service, arguments: &[String]) -> Command {
        let name = |path: &str| self.outside(service, path);
        let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
        command.env_clear().current_dir(self.dir.path()).stdin(Stdio::null());
        command.args(arguments.iter().map(|argument| name(argument)));
        // The image's.
        command.env("JETON_DATA_DIR", name("/var/lib/jeton"));
        for (key, value) in &service.environment {
            command.env(key, name(value));
        }
        let public = format!("http://localhost:{}", self.ports["proxy"]);
        command.env("JETON_PUBLIC_URL", public).env("JETON_PROXY__TRUSTED", "127.0.0.0/8");
        command.env("JETON_OUTBOUND__ALLOW_LOOPBACK", "true");
        command.env("JETON_CONNECTORS__SANDBOX__BASE_URL", self.sandbox.url().as_str().trim_end_matches('/'));
        command
    }

    /// A path inside a container, as it is out here.
    fn outside(&self, service: &Service, text: &str) -> String {
        if let Some(secret) = text.strip_prefix("/run/secrets/") {
            assert!(service.secrets.iter().any(|given| given == secret), "{secret} is not given to it");
            return self.path("secrets").join(secret).display().to_string();
        }
        let of = |path: &Path, rest: &str| format!("{}{rest}", path.display());
        for mount in service.mounts() {
            if let Some(rest) = text.strip_prefix(mount.target)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return of(&self.path("volumes").join(mount.source), rest);
            }
        }
        // What is in no volume goes with the container.
        text.strip_prefix("/var/lib/")
            .map_or_else(|| text.to_owned(), |rest| of(&self.path("gone"), &format!("/{rest}")))
    }

    /// Runs a service that ends; what it said.
    pub(super) fn run(&self, name: &str) -> String {
        let service = &self.compose.services[name];
        let output = self.jeton(service, &service.command).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {said}");
        said
    }

    /// Starts a service that stays, and waits until its healthcheck is content.
    pub(super) fn start_again(&mut self, name: &str) {
        let service = &self.compose.services[name];
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut command = if name == "proxy" { self.nginx() } else { self.jeton(service, &service.command) };
        command.env("JETON_LISTEN", self.address(name));
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.running.insert(name.to_owned(), Process(child));
        let begun = Instant::now();
        while !self.is_healthy(name) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name} is not healthy: {}", self.log(name));
        }
    }

    fn nginx(&self) -> Command {
        let [program, rest @ ..] = &self.compose.services["proxy"].command[..] else { panic!("no command") };
        assert_eq!(program, "nginx");
        let mut command = Command::new(program);
        command.arg("-p").arg(self.dir.path()).arg("-c").arg(self.path("nginx.conf"));
        // Debian's would otherwise let its workers be `nobody`, who cannot enter here.
        let own = if rustix::process::geteuid().is_root() { " user root;" } else { "" };
        command.args(rest.iter().map(|text| text.replace("daemon off;", &format!("daemon off;{own}"))));
        command.stdin(Stdio::null());
        command
    }

    fn is_healthy(&self, name: &str) -> bool {
        if name == "proxy" {
            return std::net::TcpStream::connect(self.address(name)).is_ok();
        }
        let service = &self.compose.services[name];
        let [_, program, rest @ ..] = &service.healthcheck.as_ref().unwrap().test[..] else {
            panic!("no test")
        };
        assert_eq!(program, "jeton");
        let mut command = self.jeton(service, rest);
        command.env("JETON_LISTEN", self.address(name)).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    /// Asks it to end as an engine does; its exit code.
    pub(super) fn terminate(&mut self, name: &str) -> JoinHandle<Option<i32>> {
        let mut process = self.running.remove(name).unwrap();
        let pid = rustix::process::Pid::from_child(&process.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        std::thread::spawn(move || process.0.wait().unwrap().code())
    }

    /// Ends it as a crash does.
    pub(super) fn kill(&mut self, name: &str) {
        drop(self.running.remove(name));
    }

    pub(super) async fn end(mut self) {
        for name in ["proxy", "one", "two"] {
            if self.running.contains_key(name) {
                self.terminate(name).join().unwrap();
            }
        }
        self.sandbox.stop().await;
    }

    async fn sign_in(&mut self) {
        let first = self.path("volumes/init-data/first-credentials.json");
        let first: Value = serde_json::from_slice(&std::fs::read(first).unwrap()).unwrap();
        let text = |key: &str| first[key].as_str().unwrap().to_owned();
        self.root = (text("client_id"), text("client_secret"));
        self.admin = self.mint_again().await;
    }

    /// A token for a client, by way of the proxy.
    pub(super) async fn mint(&self, id: &str, secret: &str) -> String {
        let form = [("grant_type", "client_credentials")];
        let at = format!("http://{}/o/token/", self.address("proxy"));
        let answer = http().post(at).basic_auth(id, Some(secret)).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", self.log("proxy"));
        answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// Another token for the superadmin.
    pub(super) async fn mint_again(&self) -> String {
        self.mint(&self.root.0, &self.root.1).await
    }

    /// An administrative write through the proxy.
    pub(super) async fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = http().request(method, format!("http://{}/admin/v1{path}", self.address("proxy")));
        let answer = request.bearer_auth(&self.admin).json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) async fn only_secret_of(&self, client: &str) -> String {
        let url = format!("http://{}/admin/v1/clients/{client}", self.address("proxy"));
        let shown: Value =
            http().get(url).bearer_auth(&self.admin).send().await.unwrap().json().await.unwrap();
        shown["secrets"][0]["secret_id"].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned()
    }

    /// A fresh grant for an app, which is made where it is not there yet.
    pub(super) async fn import(&self, app: &str, flow: &str, changes: &Value) {
        let apps = format!("http://{}/admin/v1/apps", self.address("proxy"));
        let body = json!({"id": app, "name": app});
        http().post(apps).bearer_auth(&self.admin).json(&body).send().await.unwrap();
        let granted = consent(&self.sandbox, CLIENT).await;
        let mut import = json!({"access_token": granted["access_token"],
            "refresh_token": granted["refresh_token"], "flow": flow});
        if changes.get("expires_at").is_none() {
            import["expires_in"] = granted["expires_in"].clone();
        }
        for (key, value) in changes.as_object().unwrap() {
            import[key] = value.clone();
        }
        self.write(Method::POST, &format!("/apps/{app}/connections/sandbox/import"), &import).await;
    }

    /// What a service answers the superadmin at a path.
    pub(super) fn request(
        &self,
        name: &str,
        path: &str,
    ) -> impl Future<Output = (u16, Value)> + Send + 'static + use<> {
        let request = http().get(format!("http://{}{path}", self.address(name))).bearer_auth(&self.admin);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        }
    }

    /// The same of the proxy.
    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.request("proxy", path).await
    }

    pub(super) async fn ask(&self, name: &str, path: &str, bearer: &str) -> StatusCode {
        let request = http().get(format!("http://{}{path}", self.address(name)));
        request.bearer_auth(bearer).send().await.unwrap().status()
    }

    pub(super) fn faults(&self, faults: Faults) {
        self.sandbox.handle().set_faults(CLIENT, faults).unwrap();
    }

    /// How often a refresh token was sent to the provider.
    pub(super) fn presented(&self) -> usize {
        self.sandbox.handle().ledger().refresh_tokens.iter().map(|token| token.presented).sum()
    }

    /// The replicas that answered hand-outs, by the proxy's log from a byte on.
    pub(super) fn asked_by_the_proxy(&self, since: usize) -> BTreeSet<String> {
        let log = self.log("proxy");
        let lines = log[since..].lines().filter(|line| line.contains("/binb-token\""));
        lines.filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect()
    }
}

fn credentials() -> Value {
    json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET})
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
