//! Does the example of a service behind a proxy greet who signed in, and work on with their tokens when they have ended?

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use jeton_guard::actix::Bearer;
use jeton_guard::{Guard, RemoteKeys};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::TERMS;
use super::forwarded::{CLIENT, PROXY, Proxy, arrange, sign_in};
use super::server::free_ports;
use crate::support::app::http;
use crate::support::jar::Jar;
use crate::support::program::built;

const README: &str = include_str!("../../../examples/README.md");
const SAMPLE: &str = include_str!("../../../examples/oidc_proxied/env.example");

/// A remote service that forgives no clock; its address.
fn remote(issuer: &str) -> String {
    let keys = RemoteKeys::discovery(issuer).unwrap();
    let guard = Guard::builder(issuer).audience(TERMS).keys(keys).leeway(Duration::ZERO).build().unwrap();
    let guard = web::Data::new(guard);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = HttpServer::new(move || {
        let list = async |caller: Bearer| caller.subject.clone();
        App::new().app_data(guard.clone()).route("/api/list-terms/", web::get().to(list))
    });
    tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
    format!("http://{address}/api/list-terms/")
}

/// The running example.
struct Example {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Example {
    /// With the environment of its sample, filled in.
    fn start(issuer: &str, remote: &str) -> Self {
        let mut command = Command::new(built("oidc_proxied"));
        command.env_clear();
        let sample = SAMPLE.lines().filter(|line| !line.starts_with('#'));
        for (name, sample) in sample.filter_map(|line| line.split_once('=')) {
            command.env(
                name,
                match name {
                    "OPEN_ID_CONNECT_URL" => issuer,
                    "OPEN_ID_CONNECT_CLIENT_ID" => "jeton",
                    "OPEN_ID_CONNECT_CLIENT_SECRET" => "peer-secret",
                    "REMOTE_PROTECTED_ENDPOINT" => remote,
                    "TRUSTED_PROXIES" => PROXY,
                    "INTERVAL_S" => "1",
                    "CALLS" => "4",
                    _ => sample,
                },
            );
        }
        // As the README starts it, but at any port.
        let line = README.lines().find_map(|line| line.split_once("--example oidc_proxied -- --host "));
        let documented = format!("--host {}", line.unwrap().1.trim_end_matches(')')).replace("8000", "0");
        command.args(documented.split(' '));
        // As Apache's module has it.
        command.args("--auth-token-header OIDC_access_token --bare-auth-token".split(' '));
        command.args("--id-token-header OIDC_id_token --refresh-token-header OIDC_refresh_token".split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = said.next().expect("it ended before it listened").unwrap();
        let port = listening.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        Self { child, said, port }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn get(url: &str, token: Option<&str>) -> Value {
    let request = http().get(url);
    let request = if let Some(token) = token { request.header("OIDC_access_token", token) } else { request };
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{url}");
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_greets_and_calls_on_when_the_visitors_token_has_ended() {
    let [port] = free_ports();
    let Some(provider) = arrange(port, 2) else { return };
    let mut example = Example::start(&provider.url, &remote(&provider.url));
    let apache = Proxy::apache(port, example.port, &provider.url, CLIENT);
    let nobody = json!({"message": "Hello, unauthorised person!", "remote": null});
    for path in ["/", "/shop/"] {
        let direct = format!("http://127.0.0.1:{}{path}", example.port);
        assert_eq!(get(&direct, None).await, nobody);
        assert_eq!(get(&direct, Some("a token past the proxy")).await, nobody);
    }
    for (login, name) in [("ada", "ada"), ("nameless", "mysterious stranger")] {
        let seen = sign_in(&mut Jar::new(), &apache.site, login).await;
        let told: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        let expected = json!({"message": format!("Hello, {name}!"), "remote": {"status": 200}});
        assert_eq!(told, expected, "{}\n{}", seen.body, apache.log());
    }
    let report = example.said.next().unwrap().unwrap();
    let (calls, refreshes) = report.rsplit_once(", ").unwrap();
    assert_eq!(calls, "ada: 4 calls in the background, 4 good", "{report}");
    let refreshes = refreshes.split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!((1..=4).contains(&refreshes), "{report}");
    assert!(example.child.wait().unwrap().success(), "it ends by itself");
}

#[test]
fn a_setting_that_cannot_be_used_is_one_line_and_exit_code_78() {
    let start = |proxies: &str, audience: &str| {
        let mut command = Command::new(built("oidc_proxied"));
        command.env_clear().env("OPEN_ID_CONNECT_URL", "https://sso.example.com");
        command.env("OPEN_ID_CONNECT_AUDIENCE", audience).env("OPEN_ID_CONNECT_CLIENT_ID", "shop");
        command.env("REMOTE_PROTECTED_ENDPOINT", "https://terms.example.com").env("TRUSTED_PROXIES", proxies);
        command.stdin(Stdio::null()).output().unwrap()
    };
    for (proxies, audience, told) in [
        ("10.0.0.0/33", "terms", "`10.0.0.0/33` is no address and no network in CIDR notation"),
        ("10.0.0.0/8", "", "no audience is set"),
    ] {
        let ended = start(proxies, audience);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.lines().count()), (Some(78), 1), "{said}");
        assert!(said.trim_end().ends_with(told), "{said}");
    }
}
