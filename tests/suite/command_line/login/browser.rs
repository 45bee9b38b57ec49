//! What happens when a browser on the same machine signs the person in?

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use url::Url;

use super::{Machine, script};
use crate::support::house::House;
use crate::support::jar::Jar;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_brings_the_code_to_loopback_and_strangers_change_nothing() {
    let house = House::start().await;
    let mut root = Jar::new();
    root.accept(&house.broker.invitation_url, "Root").await;
    let (client_id, machine) = (script(&house).await, Machine::new(&house.broker.url));
    // A browser that notes where it was sent.
    let fake = machine.home.path().join("xdg-open");
    std::fs::write(&fake, "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/opened\"\n").unwrap();
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = machine.command(&["login", "--browser", "--client-id", &client_id]);
    command.env("PATH", format!("{}:/usr/bin:/bin", machine.home.path().display()));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap().strip_prefix("Open ").unwrap().to_owned();
    let parameter = |name: &str| {
        let url = Url::parse(&address).unwrap();
        url.query_pairs().find(|(own, _)| own == name).unwrap().1.into_owned()
    };
    let (back, state) = (parameter("redirect_uri"), parameter("state"));
    assert!(back.starts_with("http://127.0.0.1:") && back.ends_with('/'), "{back}");
    assert_eq!(parameter("code_challenge_method"), "S256");

    // Not this request's, not this broker's, not asked for by this name.
    let iss = house.broker.url.clone();
    let http = &house.broker.http;
    for (query, host, status) in [
        (vec![("code", "x"), ("state", "guessed"), ("iss", iss.as_str())], None, 400),
        (vec![("code", "x"), ("state", state.as_str())], None, 400),
        (vec![("code", "x"), ("state", state.as_str()), ("iss", "https://evil.example")], None, 400),
        (vec![("code", "x"), ("state", state.as_str()), ("iss", iss.as_str())], Some("evil.example"), 404),
    ] {
        let mut request = http.get(&back).query(&query);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{query:?}");
    }
    assert_eq!(http.get(format!("{back}favicon.ico")).send().await.unwrap().status(), 404);

    let sent = crate::authorization::say(&mut root, &address, "accept").await;
    let page = root.get(sent.as_str()).await;
    assert!(page.status == 200 && page.body.contains("You can close this page"), "{}", page.body);
    for told in ["name=\"viewport\"", "name=\"color-scheme\" content=\"light dark\""] {
        assert!(page.body.contains(told), "{told} in {}", page.body);
    }
    assert!(!page.body.contains("http") && !page.body.contains('`'), "{}", page.body);
    let told = tokio::task::spawn_blocking(move || {
        let told: Vec<_> = lines.map_while(Result::ok).collect();
        (child.wait().unwrap().code(), told.join("\n"))
    });
    let (code, told) = told.await.unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("signed in as "), "{told}");
    // Nobody waits for a browser.
    let (opened, begun) = (machine.home.path().join("opened"), Instant::now());
    while std::fs::read_to_string(&opened).ok().as_deref() != Some(address.as_str()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not opened");
    }
    assert_eq!(machine.run(&["whoami"]).await.status.code(), Some(0));
    house.stop().await;
}
