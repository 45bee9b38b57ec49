//! What becomes of whoever connects or sends more than may be? He waits or is told, and the broker goes on as ever.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::{Broker, Home, http};
use crate::support::house::{House, PASSWORD};
use crate::support::jar::Jar;
use crate::support::memory::peak_kib;
use crate::support::peer::skipped;
use crate::support::program::{Serving, exit_code, run, stderr};

/// Connections of one worker, as docs/configuration.md tells them.
const OF_A_WORKER: usize = 4_000;

/// Sends a request on a connection of its own, which stays open; its first line.
async fn ask(address: &str, headers: &str) -> std::io::Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes()).await?;
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    Ok((stream, text.lines().next().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn who_sends_too_many_headers_is_refused_and_nobody_else() {
    let home = Home::sqlite();
    let broker = Broker::start(&home, &[]).await;
    let address = broker.direct.strip_prefix("http://").unwrap();
    let refusals = ["HTTP/1.1 413 Payload Too Large", "HTTP/1.1 431 Request Header Fields Too Large"];
    for (headers, length) in [(500, 1), (100_000, 1), (1, 20_000), (1, 300_000), (90, 4_000)] {
        let sent: String = (0..headers).map(|n| format!("x-{n}: {}\r\n", "y".repeat(length))).collect();
        // The broker may hang up while it is still being told.
        if let Ok((_, line)) = ask(address, &sent).await {
            assert!(refusals.contains(&line.as_str()), "{headers} of {length}: {line}");
        }
        let (_, line) = ask(address, "").await.unwrap();
        assert_eq!(line, "HTTP/1.1 200 OK", "after {headers} of {length}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_beyond_the_limit_waits_until_others_are_gone() {
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let limit = OF_A_WORKER * workers;
    if files() < limit + 500 {
        return skipped("the limit of connections: this process may not open so many").unwrap_or_default();
    }
    let home = Home::sqlite();
    let made = run(&home, "init", &[]);
    assert_eq!(exit_code(&made), 0, "{}", stderr(&made));
    let serving = Serving::start_with(&home, &[("JETON_LOG", "warn,jeton::app=info")]);
    let address = serving.direct.strip_prefix("http://").unwrap();
    let held: Vec<_> = stream::iter(0..limit).map(|_| ask(address, "")).buffer_unordered(200).collect().await;
    for one in &held {
        assert_eq!(one.as_ref().unwrap().1, "HTTP/1.1 200 OK");
    }
    let mut more = Box::pin(join_all((0..20).map(|_| ask(address, ""))));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut more).await.is_err(), "nobody is let in");
    drop(held);
    for one in tokio::time::timeout(Duration::from_secs(30), more).await.expect("there is room again") {
        assert_eq!(one.unwrap().1, "HTTP/1.1 200 OK");
    }
    assert_eq!(http().get(format!("{}/healthz", serving.direct)).send().await.unwrap().status(), 200);
}

/// How many files this process may open.
fn files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

/// Passwords are computed two at a time, and a hundred may wait for their turn: all at once would take 3.8 GB.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_sign_in_at_once_some_are_told_to_come_back_and_they_can() {
    let house = House::on(Home::sqlite(), &[("proxy.trusted", "127.0.0.1/32")]).await;
    house.app("acme", "Acme").await;
    Jar::new().accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
    let url = house.broker.at("/login");
    // One HTTP client for all: while many are made, those made first would leave their connections without a request, and
    // the broker hangs up on such after 5 s.
    let shared = http();
    let guess = async |who: usize| {
        let mut jar = Jar::of(shared.clone());
        let token = jar.get(&url).await.csrf_token();
        let email = format!("nobody-{who}@example.com");
        let form = [("email", email.as_str()), ("password", PASSWORD), ("csrf_token", token.as_str())];
        // One network alone would be stopped before.
        let address = format!("10.0.{who}.1");
        jar.post_with(&url, &form, &[("x-forwarded-for", &address)]).await.status.as_u16()
    };
    let before = peak_kib();
    let answers = join_all((0..200).map(guess)).await;
    let grown = peak_kib() - before;
    assert!(grown < 200_000, "{grown} KiB");
    let told = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!(told(401) + told(503), 200, "{answers:?}");
    // How many find the queue full is a matter of how fast the machine lets them in; `password` holds its length.
    assert!(told(401) >= 100, "{answers:?}");
    Jar::new().sign_in(&house.broker.url, "ada@example.com").await;
    house.stop().await;
}
