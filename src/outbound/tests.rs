//! What `outbound` does on the wire.

use std::io::Write;

use super::scripted::{Scripted, Step};
use super::*;

fn outbound(settings: Settings) -> Outbound {
    Outbound::new(&settings).unwrap()
}

fn open() -> Outbound {
    outbound(Settings { allow_loopback: true, ..Settings::default() })
}

fn get(url: Url, trust: Trust) -> Request {
    Request { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new(), trust, timeout: None }
}

fn gzip(size: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; size]).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_redirect_is_an_answer_not_an_order() {
    let canary = Scripted::start(vec![]).await;
    let server = Scripted::start(vec![Step::answer(307, &[("Location", canary.base.as_str())], "")]).await;
    let answer = open().send(get(server.url("/token"), Trust::Operator)).await.unwrap();
    assert_eq!(answer.status, 307);
    assert!(canary.seen().is_empty());
}

#[tokio::test]
async fn the_product_names_itself_and_reads_gzip() {
    let server = Scripted::start(vec![Step::answer(200, &[("Content-Encoding", "gzip")], gzip(1000))]).await;
    let answer = open().send(get(server.url("/"), Trust::Custom)).await.unwrap();
    assert_eq!(answer.body, vec![b' '; 1000]);
    let seen = &server.seen()[0];
    assert_eq!(seen.header("user-agent"), Some(concat!("jeton/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn a_huge_body_and_a_gzip_bomb_are_refused() {
    let bomb = gzip(64 << 20);
    assert!(bomb.len() < 100_000);
    let server = Scripted::start(vec![
        Step::answer(200, &[], vec![b' '; BODY_LIMIT + 1]),
        Step::answer(200, &[("Content-Encoding", "gzip")], bomb),
        Step::answer(200, &[], vec![b' '; BODY_LIMIT]),
    ])
    .await;
    for _ in 0..2 {
        let error = open().send(get(server.url("/"), Trust::Operator)).await.unwrap_err();
        assert!(matches!(&error, Error::Ambiguous { detail } if detail.contains("1048576")), "{error:?}");
    }
    let answer = open().send(get(server.url("/"), Trust::Operator)).await.unwrap();
    assert_eq!(answer.body.len(), BODY_LIMIT);
}

#[tokio::test]
async fn a_call_that_never_connected_was_not_sent() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody: Url = format!("http://{}/", free.local_addr().unwrap()).parse().unwrap();
    drop(free);
    for url in [nobody.as_str(), "https://name.invalid/"] {
        let error = open().send(get(url.parse().unwrap(), Trust::Operator)).await.unwrap_err();
        assert!(matches!(error, Error::NotSent { .. }), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_failed_tls_handshake_was_not_sent() {
    let plain = Scripted::start(vec![]).await;
    let url = plain.base.as_str().replace("http:", "https:");
    let call = open();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing = format!("https://{}/", listener.local_addr().unwrap());
    let closer = tokio::spawn(async move { drop(listener.accept().await) });
    let error = call.send(get(closing.parse().unwrap(), Trust::Operator)).await.unwrap_err();
    assert!(matches!(error, Error::NotSent { .. }), "{error:?}");
    closer.await.unwrap();
    let request =
        Request { timeout: Some(Duration::from_millis(50)), ..get(url.parse().unwrap(), Trust::Operator) };
    assert!(call.send(request).await.is_err());
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn whatever_fails_after_sending_is_ambiguous() {
    let cut = Step::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access".to_vec());
    let garbage = Step::Raw(b"\x16\x03\x01 what".to_vec());
    let server = Scripted::start(vec![Step::Hang, cut, garbage, Step::Silence]).await;
    for step in ["reset", "truncated", "garbage", "silence"] {
        let timeout = (step == "silence").then_some(Duration::from_millis(50));
        let request = Request { timeout, ..get(server.url("/"), Trust::Operator) };
        let error = open().send(request).await.unwrap_err();
        assert!(matches!(error, Error::Ambiguous { .. }), "{step}: {error:?}");
    }
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn loopback_sees_no_connection_unless_allowed() {
    let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let closed = outbound(Settings::default());
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "2130706433"] {
        for scheme in ["https", "http"] {
            let url: Url = format!("{scheme}://{host}:{port}/").parse().unwrap();
            for trust in [Trust::Operator, Trust::Custom] {
                let error = closed.send(get(url.clone(), trust)).await.unwrap_err();
                assert!(matches!(error, Error::Refused(_)), "{url}: {error:?}");
            }
        }
    }
    let accepted = tokio::time::timeout(Duration::from_millis(20), canary.accept()).await;
    assert!(accepted.is_err(), "nobody may have connected");
}

#[tokio::test]
async fn allowed_networks_are_the_operators_alone() {
    let server = Scripted::start(vec![]).await;
    let url: Url = server.base.as_str().replace("http:", "https:").parse().unwrap();
    let networks = outbound(Settings {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        timeout: Duration::from_millis(200),
        ..Settings::default()
    });
    let custom = networks.send(get(url.clone(), Trust::Custom)).await.unwrap_err();
    assert!(matches!(custom, Error::Refused(_)), "{custom:?}");
    let operator = networks.send(get(url, Trust::Operator)).await.unwrap_err();
    assert!(!matches!(operator, Error::Refused(_)), "{operator:?}");
}

#[tokio::test]
async fn a_proxy_is_used_for_all_but_loopback() {
    let proxy = Scripted::start(vec![Step::answer(407, &[], "")]).await;
    let server = Scripted::start(vec![Step::answer(204, &[], "")]).await;
    let through =
        outbound(Settings { allow_loopback: true, proxy: Some(proxy.base.clone()), ..Settings::default() });
    let error = through.send(get("https://8.8.8.8/".parse().unwrap(), Trust::Custom)).await.unwrap_err();
    assert!(matches!(error, Error::NotSent { .. }), "{error:?}");
    assert_eq!(proxy.seen()[0].line, "CONNECT 8.8.8.8:443");
    let private = through.send(get("https://10.0.0.1/".parse().unwrap(), Trust::Custom)).await.unwrap_err();
    assert!(matches!(private, Error::Refused(_)), "{private:?}");
    assert_eq!(through.send(get(server.url("/"), Trust::Custom)).await.unwrap().status, 204);
    assert_eq!(proxy.seen().len(), 1);
}

#[tokio::test]
async fn errors_do_not_repeat_the_address() {
    let server = Scripted::start(vec![Step::Hang]).await;
    let error = open().send(get(server.url("/?code=canary"), Trust::Operator)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
}
