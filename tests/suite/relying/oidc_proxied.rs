//! Does the example of a service behind a proxy greet who signed in, and work on with their tokens when they have ended?

use std::net::TcpListener;
use std::process::{Command, Stdio};
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
use crate::support::documented::{Checkout, Example};
use crate::support::jar::Jar;
use crate::support::program::built;

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

/// Filled in for Apache's module, which has names of its own for headers.
fn start(issuer: &str, remote: &str) -> Example {
    let mut checkout = Checkout::of(
        "oidc_proxied",
        &[
            ("OPEN_ID_CONNECT_URL", issuer),
            ("OPEN_ID_CONNECT_CLIENT_ID", CLIENT.0),
            ("OPEN_ID_CONNECT_CLIENT_SECRET", CLIENT.1),
            ("REMOTE_PROTECTED_ENDPOINT", remote),
            ("TRUSTED_PROXIES", PROXY),
            ("INTERVAL_S", "1"),
            ("CALLS", "4"),
            ("AUTH_TOKEN_HEADER", "OIDC_access_token"),
            ("BARE_AUTH_TOKEN", "true"),
            ("ID_TOKEN_HEADER", "OIDC_id_token"),
            ("REFRESH_TOKEN_HEADER", "OIDC_refresh_token"),
        ],
    );
    checkout.takes_any_port();
    checkout.start()
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
    let mut example = start(&provider.url, &remote(&provider.url));
    let address = example.address().await;
    let own_port = address.rsplit(':').next().unwrap().parse().unwrap();
    let apache = Proxy::apache(port, own_port, &provider.url, CLIENT);
    let nobody = json!({"message": "Hello, unauthorised person!", "remote": null});
    for path in ["/", "/shop/"] {
        let direct = format!("{address}{path}");
        assert_eq!(get(&direct, None).await, nobody);
        assert_eq!(get(&direct, Some("a token past the proxy")).await, nobody);
    }
    for (login, name) in [("ada", "ada"), ("nameless", "mysterious stranger")] {
        let seen = sign_in(&mut Jar::new(), &apache.site, login).await;
        let told: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        let expected = json!({"message": format!("Hello, {name}!"), "remote": {"status": 200}});
        assert_eq!(told, expected, "{}\n{}", seen.body, apache.log());
    }
    let report = example.line().await;
    let (calls, refreshes) = report.rsplit_once(", ").unwrap();
    assert_eq!(calls, "ada: 4 calls in the background, 4 good", "{report}");
    let refreshes = refreshes.split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!((1..=4).contains(&refreshes), "{report}");
    let (code, rest, log) = example.end().await;
    assert_eq!((code, rest.as_str()), (Some(0), ""), "it ends by itself: {log}");
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
