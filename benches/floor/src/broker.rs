//! An instance of the product: made, filled, started, asked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::Fallible;
use crate::fill::{self, Plan};
use crate::line::Line;
use crate::load::Questions;
use crate::process::{Process, free_address, pinned};
use crate::stage::{Kind, Stage};

pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    /// As sea-orm takes it.
    pub(crate) database: String,
    dir: PathBuf,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    basic: String,
}

impl Instance {
    /// Runs `init` and fills the database.
    pub(crate) async fn make(stage: &Stage, kind: Kind, name: &str, plan: &Plan<'_>) -> Fallible<Self> {
        let dir = stage.directory(name)?;
        let address = free_address()?;
        let database = match kind {
            Kind::Sqlite => format!("sqlite:{}", dir.join("jeton.db").display()),
            Kind::Postgres => stage.database(kind, name).await?,
        };
        let environment = vec![
            ("JETON_DATA_DIR", dir.join("data").display().to_string()),
            ("JETON_DATABASE_URL", database.clone()),
            ("JETON_LISTEN", address.to_string()),
            ("JETON_OUTBOUND__ALLOW_LOOPBACK", "true".into()),
            ("JETON_CONNECTORS__SANDBOX__BASE_URL", plan.provider.to_string()),
        ];
        let program = stage.jeton.clone();
        let mut made = Self { address, database, dir, program, environment, basic: String::new() };
        let answer = made.command(&stage.all_cores, "init").arg("--json").output()?;
        if !answer.status.success() {
            return Err(String::from_utf8_lossy(&answer.stderr).into());
        }
        let shown: Value = serde_json::from_slice(&answer.stdout)?;
        let part = |name: &str| shown.get(name).and_then(Value::as_str).ok_or("no credentials");
        made.basic = STANDARD.encode(format!("{}:{}", part("client_id")?, part("client_secret")?));
        fill::product(&made.database, &made.dir.join("data"), plan).await?;
        Ok(made)
    }

    /// With one more setting.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    fn command(&self, cores: &str, what: &str) -> Command {
        let mut command = pinned(cores, &self.program);
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(&self.dir);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value))).arg(what);
        command
    }

    /// Starts the broker on these cores.
    pub(crate) async fn start(&self, cores: &str) -> Fallible<Process> {
        let log = std::fs::File::create(self.dir.join("log"))?;
        Process::start(self.command(cores, "serve"), self.address, "/readyz", log).await
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A request for a token of the broker itself.
    pub(crate) fn token_questions(&self) -> Questions {
        Questions {
            method: "POST",
            targets: vec!["/o/token/".into()],
            headers: format!(
                "host: 127.0.0.1\r\nauthorization: Basic {}\r\n\
                 content-type: application/x-www-form-urlencoded\r\n",
                self.basic
            ),
            body: "grant_type=client_credentials".into(),
        }
    }

    /// A token of the broker for its first client.
    pub(crate) async fn bearer(&self) -> Fallible<String> {
        let mut request = Vec::new();
        self.token_questions().write("/o/token/", &mut request);
        let answer = Line::open(self.address).await?.ask(&request).await?.json()?;
        Ok(answer.get("access_token").and_then(Value::as_str).ok_or("no access token")?.to_owned())
    }

    /// The public keys, in a file.
    pub(crate) async fn jwks(&self) -> Fallible<PathBuf> {
        let mut line = Line::open(self.address).await?;
        let request = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        let path = self.dir.join("jwks.json");
        std::fs::write(&path, line.ask(request).await?.body)?;
        Ok(path)
    }

    /// Stores a token set that the provider gave, with this many seconds left.
    pub(crate) async fn import(&self, bearer: &str, flow: &str, tokens: &Value, left_s: u32) -> Fallible<()> {
        let part = |name: &str| tokens.get(name).and_then(Value::as_str).unwrap_or_default();
        let body = serde_json::json!({
            "access_token": part("access_token"), "refresh_token": part("refresh_token"),
            "expires_in": left_s, "flow": flow,
        });
        let target = format!("/admin/v1/apps/app-0/connections/{}/import", fill::CONNECTOR);
        let questions = Questions {
            method: "POST",
            targets: Vec::new(),
            headers: format!(
                "host: 127.0.0.1\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\n"
            ),
            body: body.to_string(),
        };
        let mut request = Vec::new();
        questions.write(&target, &mut request);
        Line::open(self.address).await?.ask(&request).await?.json()?;
        Ok(())
    }
}

/// A floor of this role on the same core, over its own database.
pub(crate) async fn floor(
    stage: &Stage,
    role: &str,
    database: &str,
    instance: &Instance,
) -> Fallible<Process> {
    let address = free_address()?;
    let mut command = pinned(&stage.one_core, &std::env::current_exe()?);
    command.arg(role).args(["--database", database, "--listen", &address.to_string()]);
    command.arg("--jwks").arg(instance.jwks().await?).args(["--issuer", &instance.issuer()]);
    let log = std::fs::File::create(instance.dir.join(format!("floor-{role}.log")))?;
    Process::start(command, address, "/readyz", log).await
}
