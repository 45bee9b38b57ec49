//! Secret stores that others wrote, as PyPI carries them: OpenBao, and moto's AWS, which checks signatures and policies;
//! and what Microsoft's client takes for Azure Key Vault.

use reqwest::Method;
use serde_json::Value;

use super::peer;
use super::running::Running;

pub(crate) struct Bao {
    pub(crate) url: String,
    /// Of its CA, a PEM file in a folder of its own; where it speaks TLS.
    certificate: Option<tempfile::TempDir>,
    _running: Running,
}

impl Bao {
    /// The operator's token, which is like nothing else that could be in a log.
    pub(crate) const ROOT: &str = "canary-openbao-root-3f9b27d1";

    /// In memory, unsealed; `None` as for every peer.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// The same behind a certificate of a CA that it makes for itself.
    pub(crate) fn start_with_a_ca_of_its_own() -> Option<Self> {
        Self::start_with(Some(tempfile::tempdir().unwrap()))
    }

    /// Where the PEM of its CA is.
    pub(crate) fn ca(&self) -> String {
        let folder = self.certificate.as_ref().unwrap().path();
        folder.join("vault-ca.pem").display().to_string()
    }

    fn own_ca(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(&std::fs::read(self.ca()).unwrap()).unwrap()
    }

    fn start_with(certificate: Option<tempfile::TempDir>) -> Option<Self> {
        let python = peer::python("-c")?;
        let program = std::path::Path::new(python.get_program()).with_file_name("bao");
        let mut command = std::process::Command::new(program);
        // A port that is free now; the server takes no 0.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        command.args(["server", "-dev", "-dev-no-store-token"]);
        command.arg(format!("-dev-root-token-id={}", Self::ROOT));
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}")).env("HOME", std::env::temp_dir());
        let mut scheme = "http";
        if let Some(folder) = &certificate {
            scheme = "https";
            command.args(["-dev-tls", &format!("-dev-tls-cert-dir={}", folder.path().display())]);
        }
        let (running, _) = Running::start(command, "Development mode should NOT");
        Some(Self { url: format!("{scheme}://127.0.0.1:{port}"), certificate, _running: running })
    }

    /// As its operator.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        #[expect(clippy::disallowed_methods, reason = "the test is no server")]
        let http = reqwest::Client::builder();
        let http = match &self.certificate {
            Some(_) => http.tls_certs_only([self.own_ca()]),
            None => http,
        };
        let request = http.build().unwrap().request(method, format!("{}/v1/{path}", self.url));
        let answer = request.header("x-vault-token", Self::ROOT).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    }
}

/// Makes a user who may do all, and one who may do nothing; prints their keys.
const USERS: &str = r#"
import boto3, json, sys
iam = boto3.client("iam", region_name="us-east-1", endpoint_url=sys.argv[1], aws_access_key_id="x", aws_secret_access_key="x")
allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["secretsmanager:*", "iam:PutUserPolicy"], "Resource": "*"}]}
for name in ["may", "may-not"]:
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    print(key["AccessKeyId"], key["SecretAccessKey"])
iam.put_user_policy(UserName="may", PolicyName="all", PolicyDocument=json.dumps(allow))
"#;
/// How often the script above calls, before signatures and policies count.
const CALLS: &str = "5";

pub(crate) struct Moto {
    pub(crate) url: String,
    /// Key and secret of who may do all with secrets.
    may: (String, String),
    may_not: (String, String),
    _running: Running,
}

impl Moto {
    pub(crate) fn start() -> Option<Self> {
        let (mut server, mut users) = (peer::python("-m")?, peer::python("-c")?);
        server.args(["moto.server", "-H", "127.0.0.1", "-p", "0"]).env("INITIAL_NO_AUTH_ACTION_COUNT", CALLS);
        let (running, url) = Running::start(server, "Running on ");
        let output = users.args([USERS, &url]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let mut pairs = told.lines().filter_map(|line| line.split_once(' '));
        let errors = String::from_utf8_lossy(&output.stderr);
        let [may, may_not] = [pairs.next(), pairs.next()].map(|pair| {
            let (id, secret) = pair.unwrap_or_else(|| panic!("{errors}"));
            (id.to_owned(), secret.to_owned())
        });
        Some(Self { url, may, may_not, _running: running })
    }

    pub(crate) fn may(&self) -> [(&'static str, &str); 3] {
        keys(&self.url, &self.may.0, &self.may.1)
    }

    pub(crate) fn may_not(&self) -> [(&'static str, &str); 3] {
        keys(&self.url, &self.may_not.0, &self.may_not.1)
    }
}

/// The variables by which AWS at this address is spoken to.
pub(crate) fn keys<'k>(url: &'k str, id: &'k str, secret: &'k str) -> [(&'static str, &'k str); 3] {
    [("AWS_ENDPOINT_URL", url), ("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]
}

/// `tests/peers/azure_vault.py`, which stands in for Azure Key Vault and for Entra ID.
pub(crate) struct Azure {
    pub(crate) plain: String,
    pub(crate) secure: String,
    /// A PEM file.
    pub(crate) certificate: String,
    _running: Running,
}

impl Azure {
    /// The secret of the application that it lets in.
    pub(crate) const SECRET: &str = "canary-azure-application-8d02c6";

    pub(crate) fn start() -> Option<Self> {
        let command = peer::python("azure_vault.py")?;
        let (running, ready) = Running::start(command, "ready ");
        let [plain, secure, certificate] = ready.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (plain, secure) = (format!("http://127.0.0.1:{plain}"), format!("https://127.0.0.1:{secure}"));
        Some(Self { plain, secure, certificate: certificate.to_owned(), _running: running })
    }

    /// What Microsoft's client says.
    pub(crate) async fn judge(&self, words: &[&str]) -> String {
        let mut command = peer::python("azure_judge.py").unwrap();
        command.args([&self.secure, &self.certificate]).args(words);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Tells it how to behave; what it has seen and given so far.
    pub(crate) async fn set(&self, word: &str, value: &str) -> Value {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        #[expect(clippy::disallowed_methods, reason = "the test is no server")]
        let request = reqwest::Client::new().post(format!("{}/stub/{word}/{value}", self.plain));
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success());
        answer.json().await.unwrap()
    }
}

/// The variables by which its application speaks to Azure at this address.
pub(crate) fn application<'k>(url: &'k str, secret: &'k str) -> [(&'static str, &'k str); 5] {
    [
        ("JETON_AZURE_KEYVAULT_ENDPOINT", url),
        ("AZURE_AUTHORITY_HOST", url),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", secret),
    ]
}
