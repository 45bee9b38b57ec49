//! Whom does a service with `OidcProxyScheme` let in behind Apache and nginx, as docs/apisix.md sets them up, with a
//! certified provider that signs people in?

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton::model::time::{Clock, ShiftedClock};
use jeton_guard::{Forwarded, OidcProxyBuilder, OidcProxyScheme, actix};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::Duration;

use super::TERMS;
use super::apache::{MODULES, missing};
use super::server::{Server, free_ports};
use crate::support::app::http;
use crate::support::jar::{Jar, Seen};
use crate::support::peer::{OidcProvider, is_here, skipped};

const GUIDE: &str = include_str!("../../../docs/apisix.md");
/// Whence the proxies come; the test itself comes from 127.0.0.1.
pub(super) const PROXY: &str = "127.0.0.2";

/// The provider's client.
pub(super) const CLIENT: (&str, &str) = ("jeton", "peer-secret");

/// A service behind the scheme; it tells whom it sees.
pub(super) struct Service {
    pub(super) port: u16,
    clock: Arc<ShiftedClock>,
}

impl Service {
    fn start(scheme: OidcProxyBuilder) -> Self {
        let scheme = web::Data::new(scheme.trusted_proxies([PROXY]).build().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let clock = Arc::new(ShiftedClock::default());
        let shared = Arc::clone(&clock);
        let server = HttpServer::new(move || {
            let clock = Arc::clone(&shared);
            App::new()
                .app_data(scheme.clone())
                .app_data(actix::Clock::new(move || clock.now()))
                .default_service(web::to(async |person: Forwarded| tell(&person)))
        });
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        Self { port, clock }
    }

    /// It may ask the provider for keys again.
    fn rest(&self) {
        self.clock.advance(Duration::seconds(31));
    }

    /// With the names that Apache's module has for the headers.
    pub(super) fn behind_apache(issuer: &str, audience: &str, client_id: &str) -> Self {
        let scheme = OidcProxyScheme::builder(issuer, audience).client_id(client_id);
        let scheme = scheme.auth_token_header("OIDC_access_token").auth_token_in_authorization(false);
        Self::start(scheme.id_token_header("OIDC_id_token").refresh_token_header("OIDC_refresh_token"))
    }

    fn behind_nginx(issuer: &str, audience: &str) -> Self {
        Self::start(OidcProxyScheme::builder(issuer, audience).client_id("jeton"))
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

#[expect(clippy::disallowed_methods, reason = "the test takes the tokens on to send them by other ways")]
fn tell(person: &Forwarded) -> web::Json<Value> {
    web::Json(json!({
        "sub": person.claims.subject,
        "name": person.claims.extra.get("preferred_username"),
        "access_token": person.access_token.expose_secret(),
        "id_token": person.id_token.as_ref().map(jeton_guard::Secret::expose_secret),
        "refresh_token": person.refresh_token.is_some(),
    }))
}

/// The block of the guide in this language.
fn block(language: &str) -> String {
    let rest = GUIDE.split(&format!("```{language}\n")).nth(1).unwrap();
    rest.split("```").next().unwrap().replace("127.0.0.1:8000", "127.0.0.1:SERVICE")
}

/// A server that others wrote, and its folder.
pub(super) struct Proxy {
    pub(super) site: String,
    dir: tempfile::TempDir,
    _server: Server,
}

impl Proxy {
    /// The guide's sign-in.
    pub(super) fn apache(port: u16, service: u16, issuer: &str, client: (&str, &str)) -> Self {
        let site = format!("http://localhost:{port}");
        let part = block("apache")
            .replace("https://sso.example.com/realms/acme", issuer)
            .replace("https://shop.example.com", &site)
            .replace("CLIENT_ID", client.0)
            .replace("CLIENT_SECRET", client.1)
            .replace("PASSPHRASE", "0123456789abcdef")
            .replace("SERVICE", &service.to_string());
        let modules =
            "mpm_event authn_core authz_core authz_user auth_openidc headers proxy proxy_http socache_shmcb";
        let load = modules.split_whitespace();
        let load: String =
            load.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).collect();
        Self::start(site, port, |dir| {
            let conf = format!(
                "{load}\nServerRoot {dir}\nDefaultRuntimeDir {dir}\nPidFile {dir}/apache.pid\n\
                 ErrorLog {dir}/error.log\nLogLevel warn auth_openidc:info\nUser nobody\nGroup nogroup\n\
                 ServerName localhost\nListen 127.0.0.1:{port}\nDocumentRoot {dir}\n{part}\nProxySourceAddress {PROXY}\nProxyPreserveHost On\n"
            );
            let mut command = Command::new("apache2");
            command.arg("-X").arg("-f");
            (command, conf)
        })
    }

    fn nginx(service: &Service) -> Self {
        let [port] = free_ports();
        let part = block("nginx").replace("SERVICE", &service.port.to_string());
        Self::start(format!("http://127.0.0.1:{port}"), port, |dir| {
            let conf = format!(
                "daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; events {{}}\nhttp {{\n\
                 access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
                 fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
                 large_client_header_buffers 4 16k;\n\
                 server {{ listen 127.0.0.1:{port}; proxy_bind {PROXY};\n{part}\n}} }}\n"
            );
            let mut command = Command::new("nginx");
            command.args(["-e", &format!("{dir}/error.log"), "-c"]);
            (command, conf)
        })
    }

    fn start(site: String, port: u16, make: impl FnOnce(&str) -> (Command, String)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut command, conf) = make(&dir.path().display().to_string());
        let path = dir.path().join("proxy.conf");
        std::fs::write(&path, conf).unwrap();
        // Its children are nobody in particular.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        command.arg(&path);
        let server = Server::start(command, &dir.path().join("said.log"), port);
        Self { site, dir, _server: server }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default()
    }
}

/// The provider, where the proxies are there too; its access tokens live so long.
pub(super) fn arrange(port: u16, lifetime_s: u32) -> Option<OidcProvider> {
    if let Some(missing) = missing() {
        return skipped(&format!("a service behind proxies: {missing} here"));
    }
    if !Path::new("/usr/sbin/nginx").exists() && !is_here("nginx") {
        return skipped("a service behind proxies: no nginx here");
    }
    OidcProvider::start_for(&format!("http://localhost:{port}/callback"), TERMS, lifetime_s)
}

/// Signs in at the provider's own forms; the page that was asked for.
pub(super) async fn sign_in(jar: &mut Jar, site: &str, login: &str) -> Seen {
    let asked = jar.get(&format!("{site}/")).await.to();
    let interaction = jar.get(asked.as_str()).await.to();
    let form = [("prompt", "login"), ("login", login), ("password", "x")];
    let on = jar.post(interaction.as_str(), &form).await.to();
    let interaction = jar.get(on.as_str()).await.to();
    let on = jar.post(interaction.as_str(), &[("prompt", "consent")]).await.to();
    let back = jar.get(on.as_str()).await.to();
    let home = jar.get(back.as_str()).await.to();
    jar.get(home.as_str()).await
}

/// A client that has the proxy's address.
#[expect(clippy::disallowed_methods, reason = "a client with an address of its own")]
pub(super) fn from_proxy() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.local_address(Some(PROXY.parse().unwrap())).build().unwrap()
}

/// A call from the proxy's address, which a stranger does not have.
pub(super) async fn as_proxy(url: &str, headers: &[(&str, &str)]) -> StatusCode {
    let request = from_proxy().get(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap().status()
}

pub(super) async fn call(url: &str, headers: &[(&str, &str)]) -> StatusCode {
    let request =
        headers.iter().fold(http().get(url), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap().status()
}

/// The same claims under a key of the caller's own, by the same name and by another.
fn forged(token: &str) -> [String; 3] {
    let [_, body, _] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let [same, other] = ["keystore-CHANGE-ME", "mine"].map(|kid| {
        let head = json!({"typ": "at+jwt", "alg": "ES256", "kid": kid}).to_string();
        let signed = format!("{}.{body}", URL_SAFE_NO_PAD.encode(head));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    });
    [same, other, format!("{}.{body}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#))]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_behind_apache_knows_who_signed_in_and_believes_nobody_else() {
    let [port] = free_ports();
    let Some(provider) = arrange(port, 3_600) else { return };
    let service = Service::behind_apache(&provider.url, TERMS, "jeton");
    let apache = Proxy::apache(port, service.port, &provider.url, CLIENT);
    let mut ada = Jar::new();
    let seen = sign_in(&mut ada, &apache.site, "ada").await;
    assert_eq!(seen.status, StatusCode::OK, "{}\n{}", seen.body, apache.log());
    let told: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(
        (&told["sub"], &told["name"], &told["refresh_token"]),
        (&json!("ada"), &json!("ada"), &json!(true))
    );
    let [access, id] = ["access_token", "id_token"].map(|name| told[name].as_str().unwrap());
    let (page, direct) = (format!("{}/", apache.site), service.url());

    // What she sends herself the module throws away, or the scheme refuses.
    let eve = STANDARD.encode(json!({"sub": "eve", "preferred_username": "eve"}).to_string());
    for spoofed in [("OIDC_access_token", "x"), ("oidc_id_token", "x.y.z"), ("X-Userinfo", &eve)] {
        let seen = ada.get_with(&page, &[spoofed]).await;
        let told: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        assert_eq!(
            (seen.status, &told["name"]),
            (StatusCode::OK, &json!("ada")),
            "{spoofed:?}: {}",
            seen.body
        );
    }
    // Past the proxy nothing helps, and from its address only what is signed, for us, once.
    let good = [("OIDC_access_token", access), ("OIDC_id_token", id)];
    assert_eq!(call(&direct, &good).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        call(&direct, &[&good[..], &[("X-Forwarded-For", PROXY)]].concat()).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(as_proxy(&direct, &good).await, StatusCode::OK);
    for twice in good {
        let answer = as_proxy(&direct, &[&good[..], &[twice]].concat()).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{twice:?}");
    }
    for (access, id) in
        forged(access).iter().map(|bad| (bad.as_str(), id)).chain([(id, id), (access, access)])
    {
        let headers = [("OIDC_access_token", access), ("OIDC_id_token", id)];
        assert_eq!(as_proxy(&direct, &headers).await, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    let mirror = Service::behind_apache(&provider.url, super::MIRROR, "jeton");
    assert_eq!(as_proxy(&mirror.url(), &good).await, StatusCode::UNAUTHORIZED, "the audience is another");

    // The ID token of somebody else does not go with this access token.
    let seen = sign_in(&mut Jar::new(), &apache.site, "bob").await;
    let bob: Value = serde_json::from_str(&seen.body).unwrap();
    let mixed = [("OIDC_access_token", access), ("OIDC_id_token", bob["id_token"].as_str().unwrap())];
    assert_eq!(as_proxy(&direct, &mixed).await, StatusCode::UNAUTHORIZED);

    // Without its provider Apache still forwards whom it knows, and the service knows the keys.
    drop(provider);
    for unknown in forged(access) {
        service.rest();
        let seen = ada.get_with(&page, &[("OIDC_access_token", &unknown)]).await;
        let told: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        assert_eq!((seen.status, &told["sub"]), (StatusCode::OK, &json!("ada")), "{}", apache.log());
        assert_eq!(as_proxy(&direct, &good).await, StatusCode::OK);
        let headers = [("OIDC_access_token", &*unknown), ("OIDC_id_token", id)];
        assert_eq!(as_proxy(&direct, &headers).await, StatusCode::UNAUTHORIZED);
    }
    let stranger = Jar::new().get_with(&page, &[("OIDC_access_token", access)]).await;
    assert_ne!(stranger.status, StatusCode::OK, "{}", stranger.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_behind_nginx_outlives_its_provider() {
    let [port] = free_ports();
    let Some(provider) = arrange(port, 3_600) else { return };
    let signing_in = Service::behind_apache(&provider.url, TERMS, "jeton");
    let apache = Proxy::apache(port, signing_in.port, &provider.url, CLIENT);
    let token = async |login: &str| {
        let seen = sign_in(&mut Jar::new(), &apache.site, login).await;
        let told: Value = serde_json::from_str(&seen.body).unwrap();
        told["access_token"].as_str().unwrap().to_owned()
    };
    let (ada, bob) = (token("ada").await, token("bob").await);
    let service = Service::behind_nginx(&provider.url, TERMS);
    let nginx = Proxy::nginx(&service);
    let (page, bearer) = (format!("{}/", nginx.site), |token: &str| format!("Bearer {token}"));
    let known = bearer(&ada);
    assert_eq!(call(&page, &[("Authorization", &known)]).await, StatusCode::OK, "{}", nginx.log());
    assert_eq!(call(&service.url(), &[("Authorization", &known)]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(call(&page, &[]).await, StatusCode::UNAUTHORIZED);
    // nginx removes these, so nobody else's are seen.
    let strange =
        [("Authorization", &*known), ("X-ID-Token", "a,b"), ("X-Refresh-Token", "a,b"), ("X-Userinfo", "!")];
    assert_eq!(call(&page, &strange).await, StatusCode::OK);
    let twice = call(&page, &[("Authorization", &*known), ("Authorization", &*bearer(&bob))]).await;
    assert!([StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&twice), "{twice}");
    let mirror = Proxy::nginx(&Service::behind_nginx(&provider.url, super::MIRROR));
    let elsewhere = call(&format!("{}/", mirror.site), &[("Authorization", &known)]).await;
    assert_eq!(elsewhere, StatusCode::UNAUTHORIZED, "the audience is another");

    drop(provider);
    let known = [known, bearer(&bob)];
    for unknown in forged(&ada) {
        service.rest();
        for known in &known {
            let answer = call(&page, &[("Authorization", known)]).await;
            assert_eq!(answer, StatusCode::OK, "one verified before, or by a known key");
        }
        assert_eq!(call(&page, &[("Authorization", &bearer(&unknown))]).await, StatusCode::UNAUTHORIZED);
    }
    // One that starts now never reached it.
    let late = Service::behind_nginx(&issuer(&ada), TERMS);
    let late = Proxy::nginx(&late);
    let answer = http().get(format!("{}/", late.site)).bearer_auth(&ada).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.headers().contains_key("retry-after") && !answer.headers().contains_key("www-authenticate")
    );
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["code"], "keys_unavailable");
}

/// The issuer that a token names.
fn issuer(token: &str) -> String {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["iss"].as_str().unwrap().to_owned()
}
