//! Apache with mod_auth_openidc signs people in at our server, and verifies our tokens, set up as docs/verifying.md says.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::server::{Server, free_ports};
use super::{Client, Ground, TERMS, block, call};
use crate::authorization::{hidden, say};
use crate::support::browser::Browser;
use crate::support::house::PASSWORD;
use crate::support::jar::Jar;
use crate::support::peer::skipped;

pub(super) const MODULES: &str = "/usr/lib/apache2/modules";
/// Tells who the module says it is.
const PAGE: &str = "<!--#echo var=\"REMOTE_USER\" --> <!--#echo var=\"OIDC_CLAIM_name\" -->\n";

/// An Apache whose pages stand at `site`, with the broker behind TLS beside them.
struct Apache {
    site: String,
    dir: tempfile::TempDir,
    _server: Server,
}

/// What must be here; names what is not.
pub(super) fn missing() -> Option<&'static str> {
    let apache = Command::new("apache2").arg("-v").stdout(Stdio::null()).status();
    if !apache.is_ok_and(|status| status.success()) {
        return Some("no apache2");
    }
    if !Path::new(MODULES).join("mod_auth_openidc.so").exists() {
        return Some("no libapache2-mod-auth-openidc");
    }
    let openssl = Command::new("openssl").arg("version").stdout(Stdio::null()).status();
    (!openssl.is_ok_and(|status| status.success())).then_some("no openssl")
}

impl Apache {
    /// With this part of the guide, where `tls` stands for the broker behind TLS.
    fn start(ground: &Ground, part: impl FnOnce(&str, &str) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [plain, tls] = free_ports();
        let site = format!("http://localhost:{plain}");
        let part = part(&site, &format!("https://localhost:{tls}"));
        for folder in ["secure", "api"] {
            std::fs::create_dir_all(dir.path().join("www").join(folder)).unwrap();
            std::fs::write(dir.path().join("www").join(folder).join("index.shtml"), PAGE).unwrap();
        }
        certificate(dir.path());
        let conf = dir.path().join("apache.conf");
        std::fs::write(&conf, configuration(dir.path(), ground, (plain, tls), &part)).unwrap();
        // Its children are nobody in particular.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("apache2");
        command.arg("-X").arg("-f").arg(&conf);
        let server = Server::start(command, &dir.path().join("apache.log"), plain);
        Self { site, dir, _server: server }
    }

    /// The guide's sign-in.
    fn signing_in(ground: &Ground, shop: &Client) -> Self {
        Self::start(ground, |site, _| {
            let part = ground.here(&block("apache", "AuthType openid-connect"));
            let part =
                part.replace("https://shop.example.com", site).replace("PASSPHRASE", "0123456789abcdef");
            part.replace("CLIENT_ID", &shop.0).replace("CLIENT_SECRET", &shop.1)
        })
    }

    /// The guide's resource server: by the keys, or where it is given a client, by asking.
    fn guarding(ground: &Ground, asking: Option<&Client>) -> Self {
        Self::start(ground, |_, tls| {
            let keys = block("apache", "OIDCOAuthVerifyJwksUri");
            let (keys, location) = keys.split_at(keys.find("<Location").unwrap());
            let how = match asking {
                None => keys.to_owned(),
                Some((id, secret)) => {
                    let how = block("apache", "OIDCOAuthIntrospectionEndpoint ");
                    how.replace("CLIENT_ID", id).replace("CLIENT_SECRET", secret)
                }
            };
            format!("{}{}", how.replace("https://jeton.example.com", tls), ground.here(location))
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }
}

fn certificate(dir: &Path) {
    let mut command = Command::new("openssl");
    command.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '));
    command.args(
        "-keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost".split(' '),
    );
    command.current_dir(dir).stdin(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
}

fn configuration(dir: &Path, ground: &Ground, (plain, tls): (u16, u16), part: &str) -> String {
    let modules = "mpm_event authn_core authz_core authz_user auth_openidc dir include mime proxy proxy_http \
                   socache_shmcb ssl";
    let load =
        modules.split_whitespace().map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
    let (load, dir, broker) = (load.collect::<String>(), dir.display(), ground.url());
    format!(
        "{load}
        ServerRoot {dir}
        DefaultRuntimeDir {dir}
        PidFile {dir}/apache.pid
        ErrorLog {dir}/error.log
        LogLevel warn auth_openidc:info
        User nobody
        Group nogroup
        ServerName localhost
        Listen 127.0.0.1:{plain}
        Listen 127.0.0.1:{tls}
        DocumentRoot {dir}/www
        DirectoryIndex index.shtml
        TypesConfig /dev/null
        AddType text/html .shtml
        AddOutputFilter INCLUDES .shtml
        <Directory {dir}/www>
          Options +Includes
        </Directory>
        OIDCCABundlePath {dir}/cert.pem
        {part}
        <VirtualHost 127.0.0.1:{plain}>
        </VirtualHost>
        <VirtualHost 127.0.0.1:{tls}>
          SSLEngine on
          SSLCertificateFile {dir}/cert.pem
          SSLCertificateKeyFile {dir}/key.pem
          ProxyPass / {broker}/
        </VirtualHost>\n"
    )
}

/// A web application that signs people in; the port is free on loopback (RFC 8252 §7.3).
async fn shop(ground: &Ground) -> Client {
    let back = "http://localhost/secure/callback";
    let body = json!({
        "identifier": "Shop", "kind": "provider", "redirect_uris": [back], "scopes": ["openid", "profile", "email"],
        "allow": [],
    });
    ground.house.client(&body).await
}

/// Signs in on the page that stands before the one of consent; where the browser goes.
pub(super) async fn sign_in(jar: &mut Jar, ground: &Ground, authorize: &Url) -> Url {
    let page = jar.get(authorize.as_str()).await;
    let (token, return_to) = (page.csrf_token(), hidden(&page, "return_to"));
    let form = [
        ("csrf_token", token.as_str()),
        ("return_to", return_to.as_str()),
        ("email", "ada@example.com"),
        ("password", PASSWORD),
    ];
    jar.post(&ground.house.broker.at("/login"), &form).await.to()
}

/// Who says no stays out.
async fn refused(ground: &Ground, page: &str) {
    let mut ada = Jar::new();
    ada.sign_in(ground.url(), "ada@example.com").await;
    let authorize = ada.get(page).await.to();
    let back = say(&mut ada, authorize.as_str(), "cancel").await;
    assert!(back.query().unwrap().contains("error=access_denied"), "{back}");
    assert!(!ada.get(back.as_str()).await.body.contains("Ada"));
    assert_eq!(ada.get(page).await.status, StatusCode::FOUND);
}

/// And so does who comes with an answer that bears another issuer's name (RFC 9207 §2.4).
async fn forged(ground: &Ground, page: &str) {
    let mut ada = Jar::new();
    ada.sign_in(ground.url(), "ada@example.com").await;
    let authorize = ada.get(page).await.to();
    let back = say(&mut ada, authorize.as_str(), "accept").await;
    let pairs = back.query_pairs().map(|(name, value)| match &*name {
        "iss" => (name, "https://attacker.example".into()),
        _ => (name, value),
    });
    let mut forged = back.clone();
    forged.query_pairs_mut().clear().extend_pairs(pairs);
    assert_ne!(ada.get(forged.as_str()).await.status, StatusCode::FOUND, "{forged}");
    assert_eq!(ada.get(page).await.status, StatusCode::FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_signs_people_in_at_our_server() {
    if let Some(missing) = missing() {
        return skipped(&format!("Apache signs people in: {missing} here")).unwrap_or_default();
    }
    for ground in Ground::each().await {
        ground.house.pass(900);
        let apache = Apache::signing_in(&ground, &shop(&ground).await);
        let page = format!("{}/secure/", apache.site);
        ground.ada().await;
        refused(&ground, &page).await;
        // She is signed in nowhere.
        let mut ada = Jar::new();
        let authorize = ada.get(&page).await.to();
        for parameter in ["state", "nonce", "code_challenge"] {
            assert!(authorize.query_pairs().any(|(name, _)| name == parameter), "{authorize}");
        }
        let authorize = sign_in(&mut ada, &ground, &authorize).await;
        let back = say(&mut ada, authorize.as_str(), "accept").await;
        assert!(back.as_str().starts_with(&format!("{page}callback?")), "{back}");
        let home = ada.get(back.as_str()).await;
        assert_eq!(home.to().as_str(), page, "{}\n{}", home.body, apache.log());
        let shown = ada.get(&page).await;
        let (sub, name) = shown.body.trim().split_once(' ').unwrap();
        assert_eq!((sub.len(), name), (36, "Ada"), "{}", ground.name());
        forged(&ground, &page).await;
        drop(apache);
        ground.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_signs_a_person_in_from_a_browser() {
    if let Some(missing) = missing() {
        return skipped(&format!("Apache signs a person in from a browser: {missing} here"))
            .unwrap_or_default();
    }
    let Some(browser) = Browser::start().await else { return };
    for ground in Ground::each().await {
        ground.house.pass(900);
        let apache = Apache::signing_in(&ground, &shop(&ground).await);
        let page = format!("{}/secure/", apache.site);
        ground.ada().await;
        browser.devtools("Network.clearBrowserCookies", json!({})).await;
        browser.open(&page).await;
        browser.fill("#email", "ada@example.com").await;
        browser.fill("#password", PASSWORD).await;
        browser.click("main button[type=submit]").await;
        browser.click("button[value=accept]").await;
        browser.arrive(&page).await;
        let text = browser.text().await;
        assert!(text.contains("Ada"), "{}: {text}\n{}", ground.name(), apache.log());
        drop(apache);
        ground.stop().await;
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_verifies_our_tokens_by_our_keys_also_after_a_key_roll() {
    if let Some(missing) = missing() {
        return skipped(&format!("Apache verifies our tokens: {missing} here")).unwrap_or_default();
    }
    for ground in Ground::each().await {
        let apache = Apache::guarding(&ground, None);
        let service = format!("{}/api/", apache.site);
        let named = |id: &str| (StatusCode::OK, format!("{id} (none)"));
        let before = ground.token(&ground.reader).await;
        assert_eq!(call(&service, Some(&before)).await, named(&ground.reader.0), "{}", apache.log());
        ground.announce_key().await;
        ground.promote_key().await;
        let after = ground.token(&ground.reader).await;
        assert_ne!(after.split('.').next(), before.split('.').next(), "another kid");
        // The new one has it read the keys again: the old one must still be among them.
        for token in [&after, &before] {
            assert_eq!(call(&service, Some(token)).await, named(&ground.reader.0), "{}", apache.log());
        }
        ground.judge(&service).await;
        drop(apache);
        ground.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_asks_us_about_tokens_and_refuses_revoked_ones() {
    if let Some(missing) = missing() {
        return skipped(&format!("Apache asks us about tokens: {missing} here")).unwrap_or_default();
    }
    for ground in Ground::each().await {
        let terms =
            json!({"identifier": "Terms", "kind": "service", "resources": [TERMS], "scopes": ["terms:read"]});
        let terms = ground.house.client(&terms).await;
        let apache = Apache::guarding(&ground, Some(&terms));
        let service = format!("{}/api/", apache.site);
        ground.judge(&service).await;
        let token = ground.token(&ground.reader).await;
        assert_eq!(call(&service, Some(&token)).await.0, StatusCode::OK, "{}", apache.log());
        let broker = &ground.house.broker;
        let (id, secret) = &ground.reader;
        let revoke = broker.http.post(broker.at("/o/revoke_token/")).basic_auth(id, Some(secret));
        assert_eq!(revoke.form(&[("token", &token)]).send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(call(&service, Some(&token)).await.0, StatusCode::UNAUTHORIZED, "{}", ground.name());
        drop(apache);
        ground.stop().await;
    }
}
