//! Does a person's bearer cost one refresh, is it kept before it is used, and what is refused?

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::broker::Broker;
use crate::error::Error;
use crate::scripted::{Scripted, ScriptedServer, Seen};
use crate::settings::BrokerSettings;

struct Desk {
    server: ScriptedServer,
    folder: tempfile::TempDir,
}

impl Desk {
    /// A broker that plays `script`, and a sign-in whose bearer lives `left` seconds more.
    async fn with(left: i64, script: impl Fn(&Seen, usize) -> Scripted + Send + Sync + 'static) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let desk = Self { server: ScriptedServer::start(script).await, folder: tempfile::tempdir().unwrap() };
        desk.store().save(&desk.login("bearer-old", "refresh-old", left)).unwrap();
        desk
    }

    fn url(&self) -> Url {
        Url::parse(&self.server.url).unwrap()
    }

    fn place(&self) -> LoginPlace {
        LoginPlace::new(self.folder.path().join("jeton"))
    }

    fn store(&self) -> Arc<dyn LoginStore> {
        Arc::new(FileStore::new(self.place(), self.url()))
    }

    fn login(&self, bearer: &str, refresh: &str, left: i64) -> Login {
        Login {
            url: self.url(),
            client_id: "script".into(),
            scope: "openid".into(),
            access_token: Secret::new(bearer),
            expires_at: now() + time::Duration::seconds(left),
            refresh_token: Some(Secret::new(refresh)),
            id_token: None,
        }
    }

    fn broker(&self) -> Broker {
        let mut settings = BrokerSettings::of_login(self.url(), self.store());
        settings.first_pause = Duration::from_millis(1);
        Broker::new(settings).unwrap()
    }

    /// The refresh tokens that were sent.
    fn spent(&self) -> Vec<String> {
        let forms = self.server.seen().into_iter().filter(is_refresh).map(|seen| seen.body);
        let token =
            |form: String| form.split("refresh_token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        forms.map(token).collect()
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.store().place()).unwrap()
    }
}

fn is_refresh(seen: &Seen) -> bool {
    seen.target == "/o/token/"
}

fn tokens(nth: usize, lifetime: u64) -> Scripted {
    let body = format!(
        r#"{{"access_token":"bearer-{nth}","token_type":"bearer","expires_in":{lifetime},"refresh_token":"refresh-{nth}"}}"#
    );
    (200, "", body)
}

fn played(seen: &Seen, nth: usize) -> Scripted {
    if is_refresh(seen) { tokens(nth, 3600) } else { (200, "", "{}".to_owned()) }
}

async fn ask(broker: &Broker) -> Result<(), Error> {
    broker.call(reqwest::Method::GET, &["x"], &[], None).await.map(|_| ())
}

#[tokio::test]
async fn a_living_bearer_is_used_as_it_is() {
    let desk = Desk::with(600, played).await;
    ask(&desk.broker()).await.unwrap();
    assert_eq!(desk.server.seen()[0].headers["authorization"], "Bearer bearer-old");
    assert_eq!(desk.spent(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_of_many_processes_spend_one_refresh_token() {
    let desk = Desk::with(-1, played).await;
    // Each broker has a lock of its own on the file, as another process has.
    let brokers: Vec<_> = (0..8).map(|_| desk.broker()).collect();
    let tasks = (0..64).map(|nth: usize| {
        let broker = brokers[nth % 8].clone();
        tokio::spawn(async move { ask(&broker).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(desk.spent(), ["refresh-old"]);
    assert!(desk.kept().contains("refresh-0"), "{}", desk.kept());
}

#[tokio::test]
async fn a_token_is_kept_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let seen_on_disk = move |seen: &Seen, nth: usize| {
        if is_refresh(seen) {
            return tokens(nth, 3600);
        }
        let mut texts = std::fs::read_dir(path.join("jeton")).unwrap().map(|entry| entry.unwrap().path());
        let kept = texts.any(|path| std::fs::read_to_string(path).unwrap().contains("refresh-0"));
        if kept { (200, "", "{}".to_owned()) } else { (500, "", String::new()) }
    };
    let mut desk = Desk::with(-1, seen_on_disk).await;
    desk.folder = folder;
    desk.store().save(&desk.login("bearer-old", "refresh-old", -1)).unwrap();
    ask(&desk.broker()).await.unwrap();
}

#[tokio::test]
async fn the_next_bearer_is_brought_in_the_background() {
    // Ten seconds: kept for eight, replaced from six on.
    let script =
        |seen: &Seen, nth: usize| if is_refresh(seen) { tokens(nth, 10) } else { (200, "", "{}".into()) };
    let desk = Desk::with(-1, script).await;
    let broker = desk.broker();
    ask(&broker).await.unwrap();
    assert_eq!(desk.spent(), ["refresh-old"]);
    broker.age(Duration::from_secs(7));
    ask(&broker).await.unwrap();
    let last = desk.server.seen().into_iter().rfind(|seen| !is_refresh(seen)).unwrap();
    assert_eq!(last.headers["authorization"], "Bearer bearer-0", "nobody waits for the next one");
    broker.landed().await;
    assert_eq!(desk.spent(), ["refresh-old", "refresh-0"]);
}

#[tokio::test]
async fn a_bearer_that_is_refused_is_replaced_though_it_seems_to_live() {
    let script = |seen: &Seen, nth: usize| match seen.headers.get("authorization").map(String::as_str) {
        None => tokens(nth, 3600),
        Some("Bearer bearer-old") => (401, "", String::new()),
        Some(_) => (200, "", "{}".to_owned()),
    };
    let desk = Desk::with(600, script).await;
    ask(&desk.broker()).await.unwrap();
    assert_eq!(desk.spent(), ["refresh-old"]);
}

#[tokio::test]
async fn what_cannot_have_been_spent_is_sent_again_and_nothing_else() {
    let busy = |seen: &Seen, nth: usize| match nth {
        0 => (503, "retry-after: 0\r\n", String::new()),
        _ => played(seen, nth),
    };
    let desk = Desk::with(-1, busy).await;
    ask(&desk.broker()).await.unwrap();
    assert_eq!(desk.spent(), ["refresh-old"; 2]);
    for lost in
        [(0, "", String::new()), (500, "", String::new()), (302, "location: HOST/x\r\n", String::new())]
    {
        let desk = Desk::with(-1, move |_, _| lost.clone()).await;
        ask(&desk.broker()).await.unwrap_err();
        assert_eq!(desk.spent(), ["refresh-old"]);
        assert!(desk.kept().contains("refresh-old"));
    }
}

#[tokio::test]
async fn a_refused_refresh_token_means_a_new_sign_in() {
    let desk = Desk::with(-1, |_, _| (400, "", r#"{"error":"invalid_grant"}"#.to_owned())).await;
    let error = ask(&desk.broker()).await.unwrap_err();
    assert!(matches!(&error, Error::Login(LoginError::Ended(_))), "{error}");
    assert_eq!(error.exit_code(), 78);
}

#[tokio::test]
async fn a_hostile_token_answer_is_refused_and_not_kept() {
    let good = r#"{"access_token":"canary","token_type":"Bearer","expires_in":3600"#;
    for body in [
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        good.to_owned(),
        r#"{"access_token":"canary","token_type":"Bearer"}"#.to_owned(),
        r#"{"access_token":"","token_type":"Bearer","expires_in":1}"#.to_owned(),
        r#"{"access_token":"canary\r\nX: 1","token_type":"Bearer","expires_in":1}"#.to_owned(),
        r#"{"access_token":"canary","token_type":"DPoP","expires_in":1}"#.to_owned(),
        r#"{"access_token":"canary","token_type":"Bearer","expires_in":-1}"#.to_owned(),
        r#"{"access_token":"canary","token_type":"Bearer","expires_in":"1h"}"#.to_owned(),
        format!(r#"{good},"refresh_token":"a b"}}"#),
        format!(r#"{good},"refresh_token":7}}"#),
        format!(r#"{good},"id_token":"\u0000"}}"#),
        "[".repeat(100_000),
        "x".repeat(9 * 1024 * 1024),
    ] {
        let head: String = body.chars().take(80).collect();
        let desk = Desk::with(-1, move |_, _| (200, "", body.clone())).await;
        let error = ask(&desk.broker()).await.unwrap_err();
        assert!(matches!(error, Error::Garbled(_)), "{head}: {error}");
        assert!(!format!("{error:?}").contains("canary") && !desk.kept().contains("canary"), "{head}");
    }
    // An expiry beyond all time is no crash.
    let desk = Desk::with(-1, |_, nth| tokens(nth, u64::MAX)).await;
    ask(&desk.broker()).await.unwrap();
}

#[tokio::test]
async fn a_file_that_others_can_read_is_not_used() {
    let desk = Desk::with(600, played).await;
    let file = desk.store().place();
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = desk.folder.path().join("jeton");
    assert_eq!((mode(&file), mode(folder.to_str().unwrap())), (0o600, 0o700));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let error = desk.store().load().unwrap_err();
    assert!(error.advice().contains(&format!("chmod go= {file}")), "{}", error.advice());
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o770)).unwrap();
    assert_eq!(desk.store().lock().unwrap_err(), LoginError::Exposed(folder));
}

#[tokio::test]
async fn a_sign_in_under_another_brokers_name_is_not_used() {
    let desk = Desk::with(600, played).await;
    let other = Url::parse("https://other.example").unwrap();
    std::fs::copy(desk.store().place(), desk.place().file(&other)).unwrap();
    let store = FileStore::new(desk.place(), other);
    assert!(matches!(store.load(), Err(LoginError::Damaged(_))));
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_spent() {
    let desk = Desk::with(-1, played).await;
    // A folder stands where the new file would be written.
    let fresh = desk.place().file(&desk.url()).with_extension("new");
    std::fs::create_dir(&fresh).unwrap();
    let error = ask(&desk.broker()).await.unwrap_err();
    assert!(matches!(error, Error::Login(LoginError::Io { .. })), "{error}");
    assert_eq!(desk.spent(), [""; 0]);
}

#[tokio::test]
async fn the_only_sign_in_needs_no_name() {
    let desk = Desk::with(600, played).await;
    assert_eq!(desk.place().find(None).unwrap().url, desk.url());
    let other = Url::parse("https://other.example/laputa/").unwrap();
    let login = Login { url: other.clone(), ..desk.login("b", "r", 600) };
    FileStore::new(desk.place(), other.clone()).save(&login).unwrap();
    assert!(matches!(desk.place().find(None), Err(LoginError::Several(urls)) if urls.len() == 2));
    assert_eq!(desk.place().find(Some(&other)).unwrap().client_id, "script");
    let absent = desk.place().find(Some(&Url::parse("https://absent.example").unwrap()));
    assert_eq!(absent, Err(LoginError::Absent("https://absent.example".into())));
}

#[test]
fn only_an_answer_of_this_broker_to_this_request_counts() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let client = LoginClient::new("https://b.example/laputa", "script", false).unwrap();
    let iss = "iss=https%3A%2F%2Fb.example%2Flaputa";
    let code = |query: &str| client.code(query, "s1");
    assert!(matches!(code(&format!("code=c1&state=s1&{iss}")), Some(Ok(_))));
    for stranger in [
        "",
        "code=c1&state=s1",
        "code=c1&state=s1&iss=https%3A%2F%2Fevil.example",
        &format!("code=c1&{iss}"),
        &format!("code=c1&state=s2&{iss}"),
        &format!("code=c1&state=s1&state=s1&{iss}"),
        &format!("state=s1&{iss}"),
        &format!("code=c1&code=c2&state=s1&{iss}"),
        &format!("code=a%20b&state=s1&{iss}"),
    ] {
        assert!(code(stranger).is_none(), "{stranger}");
    }
    let denied = code(&format!("error=access_denied&state=s1&{iss}")).unwrap().unwrap_err();
    assert_eq!(denied.exit_code(), 77);
}

#[tokio::test]
async fn whoever_waits_slows_down_for_good_when_told() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let told = |error: &str| (400, "", format!(r#"{{"error":"{error}"}}"#));
    let server = ScriptedServer::start(move |seen, nth| match (seen.target.as_str(), nth) {
        ("/o/device_authorization/", _) => {
            let page = "http://127.0.0.1:9/o/device/";
            let body = format!(
                r#"{{"device_code":"d","user_code":"BCDF-GHJK","verification_uri":"{page}","expires_in":900,"interval":3}}"#
            );
            (200, "", body)
        }
        (_, 2 | 4) => told("slow_down"),
        (_, 6) => (503, "", String::new()),
        (_, 8) => tokens(nth, 60),
        _ => told("authorization_pending"),
    })
    .await;
    let client = LoginClient::new(&server.url, "script", false).unwrap();
    let device = client.begin(None).await.unwrap();
    let mut pauses = Vec::new();
    let login = client.wait_by(&device, async |pause: Duration| pauses.push(pause.as_secs())).await.unwrap();
    assert_eq!(login.refresh_token.map(|_| ()), Some(()));
    // 3 s from the broker, 5 more after each "slow_down", twice as long after a failure.
    assert_eq!(pauses, [3, 3, 8, 8, 13, 13, 26, 26]);
}
