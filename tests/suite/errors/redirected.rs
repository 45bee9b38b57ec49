//! Whoever can write rows: can a token or a secret be sent to a host of theirs?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jeton::sandbox::{ExpiresIn, Faults};
use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::house::{CLIENT, CLIENT_SECRET, House};
use crate::support::jar::Jar;
use crate::support::problem::read;
use crate::support::sql::Sql;

const ROUTE: &str = "/acme/custom/binb-token";

/// A host that counts who connects, and hears nobody out.
struct Host {
    address: String,
    visits: Arc<AtomicUsize>,
}

impl Host {
    async fn listen(at: &str) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let host = Self { address: listener.local_addr().unwrap().to_string(), visits: Arc::default() };
        let visits = Arc::clone(&host.visits);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                visits.fetch_add(1, Ordering::SeqCst);
            }
        });
        host
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

/// What makes the broker call the address.
#[derive(Clone, Copy)]
enum Call {
    Refresh,
    Probe,
    Revoke,
}

impl Call {
    async fn make(self, house: &House) -> Response {
        match self {
            Self::Refresh => house.ask(Method::GET, ROUTE, None).await,
            Self::Probe => house.ask(Method::GET, &format!("{ROUTE}?rejected=1"), None).await,
            Self::Revoke => house.ask(Method::DELETE, "/admin/v1/apps/acme/connections/custom", None).await,
        }
    }
}

/// An app with a connection of a custom connector that names every kind of address.
async fn connected(house: &House, changes: &Value) -> Value {
    let at = house.provider();
    let mut all = json!({
        "revocation_url": format!("{at}/revoke"), "introspection_url": format!("{at}/introspect"),
        "probe_url": format!("{at}/api/whoami"), "api_base_url": at, "docs_url": format!("{at}/docs"),
    });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    house.app("acme", "Acme").await;
    house.connector("custom", &all).await;
    house.credentials("custom", Some("acme")).await;
    house.import("acme", "custom", &json!({})).await;
    let definition = house.ask(Method::GET, "/admin/v1/connectors/custom", None).await.json().await.unwrap();
    settle(house, &definition).await;
    definition
}

/// Stores the definition again: nothing of it is remembered any more.
async fn settle(house: &House, definition: &Value) {
    let path = format!("/connectors/custom?confirm_origin={}", house.provider());
    house.write(Method::PUT, &path, definition).await;
}

/// Changes the stored definition behind the broker's back.
async fn alter(sql: &Sql, pointer: &str, value: &str) {
    let text = sql.texts("SELECT definition FROM connector").await.remove(0);
    let mut definition: Value = serde_json::from_str(&text).unwrap();
    *definition.pointer_mut(pointer).unwrap() = json!(value);
    sql.run(&format!("UPDATE connector SET definition = '{definition}'")).await;
}

#[rstest]
#[case::token("/token_url", Call::Refresh)]
#[case::introspection("/introspection_url", Call::Refresh)]
#[case::probe("/probe_url", Call::Probe)]
#[case::identity("/identity/url", Call::Probe)]
#[case::revocation("/revocation_url", Call::Revoke)]
#[case::issuer("/issuer", Call::Refresh)]
#[case::api("/api_base_url", Call::Refresh)]
#[case::documentation("/docs_url", Call::Refresh)]
#[tokio::test]
async fn an_address_changed_by_sql_is_not_called(#[case] pointer: &str, #[case] call: Call) {
    for house in House::each().await {
        let evil = Host::listen("127.0.0.1:0").await;
        let asks_identity = if pointer == "/identity/url" { json!({"probe_url": null}) } else { json!({}) };
        let definition = connected(&house, &asks_identity).await;
        house.faults(Faults { expires_in: Some(ExpiresIn::Missing), ..Faults::default() });
        let sql = Sql::open(&house.home).await;
        alter(&sql, pointer, &format!("http://{}/x", evil.address)).await;
        if matches!(call, Call::Refresh) {
            house.pass(7_200);
        }
        let problem = read(call.make(&house).await, "secret_unreadable").await;
        assert!(problem["detail"].as_str().unwrap().contains("confirm_origin"), "{problem}");
        assert_eq!((evil.visits(), house.refreshes()), (0, 0), "{}", house.home.name);
        assert!(sql.count("audit_event WHERE action = 'secret.unreadable'").await > 0);
        assert_eq!(house.ask(Method::GET, "/admin/v1/connections", None).await.status(), 200);
        // Nothing is known of what stood there before: storing it again says every origin.
        let bare = house.ask(Method::PUT, "/admin/v1/connectors/custom", Some(&definition)).await;
        read(bare, "invalid_request").await;
        settle(&house, &definition).await;
        let mended = call.make(&house).await;
        assert_eq!(mended.status(), 200, "{}", mended.text().await.unwrap());
        assert_eq!(evil.visits(), 0);
        house.stop().await;
    }
}

#[tokio::test]
async fn nobody_is_sent_to_an_authorization_page_changed_by_sql() {
    for house in House::each().await {
        let definition = connected(&house, &json!({})).await;
        let mut ada = Jar::new();
        ada.accept(&house.invitation("acme", "ada@example.com").await, "Ada").await;
        let sql = Sql::open(&house.home).await;
        alter(&sql, "/authorization_url", "http://127.0.0.1:9/evil").await;
        let signup = house.broker.at("/acme/custom/signup");
        let page = ada.get(&signup).await;
        assert_eq!((page.status.as_u16(), page.location), (500, None), "{}", page.body);
        assert!(!page.body.contains("127.0.0.1:9"), "{}", page.body);
        settle(&house, &definition).await;
        assert!(ada.start(&signup).await.as_str().starts_with(&house.provider()));
        house.stop().await;
    }
}

/// What else of the row is under its hash; at last another row's, hash and all.
#[rstest]
#[case::confirmed("UPDATE connector SET confirmed_origins = 'http://127.0.0.1:9' WHERE id = 'custom'")]
#[case::version("UPDATE connector SET version = version + 1 WHERE id = 'custom'")]
#[case::copy(
    "UPDATE connector SET (definition, confirmed_origins, version, own_mac) = (SELECT o.definition, \
     o.confirmed_origins, o.version, o.own_mac FROM connector o WHERE o.id = 'other') WHERE id = 'custom'"
)]
#[tokio::test]
async fn a_definition_counts_with_all_that_stands_beside_it(#[case] change: &str) {
    for house in House::each().await {
        connected(&house, &json!({})).await;
        house.connector("other", &json!({})).await;
        Sql::open(&house.home).await.run(change).await;
        read(house.ask(Method::GET, ROUTE, None).await, "secret_unreadable").await;
        assert_eq!(house.ask(Method::GET, "/admin/v1/connectors/other", None).await.status(), 200);
        house.stop().await;
    }
}

/// A connector whose host is a variable, its refreshes at `host`, in a connection that is due.
async fn with_variable_host(house: &House, host: &Host, fixed_by_credentials: bool) {
    let port = host.address.rsplit_once(':').unwrap().1;
    house.app("acme", "Acme").await;
    let anywhere = json!({
        "token_url": format!("https://{{host}}:{port}/token"), "url_variables": {"host": "^[0-9.]+$"},
        "issuer": null,
    });
    house.connector("custom", &anywhere).await;
    store_credentials(house, true).await;
    house.import("acme", "custom", &json!({})).await;
    store_credentials(house, fixed_by_credentials).await;
    house.pass(7_200);
}

async fn store_credentials(house: &House, fixed: bool) {
    let params = if fixed { json!({"host": "127.0.0.1"}) } else { json!({}) };
    let body = json!({"client_id": CLIENT, "client_secret": CLIENT_SECRET, "params": params});
    house.write(Method::PUT, "/apps/acme/connectors/custom/credentials", &body).await;
}

#[rstest]
#[case::credentials("connector_credentials", "params", true)]
#[case::connection("connection", "variables", false)]
#[tokio::test]
async fn a_variable_changed_by_sql_moves_no_host(
    #[case] table: &str,
    #[case] column: &str,
    #[case] fixed_by_credentials: bool,
) {
    for house in House::each().await {
        let honest = Host::listen("127.0.0.1:0").await;
        let evil = Host::listen(&honest.address.replace("127.0.0.1", "127.0.0.2")).await;
        with_variable_host(&house, &honest, fixed_by_credentials).await;
        let sql = Sql::open(&house.home).await;
        let set = async |host: &str| {
            sql.run(&format!("UPDATE {table} SET {column} = '{{\"host\":\"{host}\"}}'")).await;
        };
        set("127.0.0.2").await;
        let problem = read(house.ask(Method::GET, ROUTE, None).await, "secret_unreadable").await;
        assert!(problem["detail"].as_str().unwrap().contains("again"), "{problem}");
        assert_eq!((evil.visits(), honest.visits()), (0, 0), "{}", house.home.name);
        assert!(sql.count("audit_event WHERE action = 'secret.unreadable'").await > 0);
        // An import keeps the variables: it makes none of them ours.
        let import = json!({"access_token": "at", "replace": true});
        let path = "/admin/v1/apps/acme/connections/custom/import";
        read(house.ask(Method::POST, path, Some(&import)).await, "secret_unreadable").await;
        if fixed_by_credentials {
            store_credentials(&house, true).await;
        } else {
            set("127.0.0.1").await;
        }
        house.ask(Method::GET, &format!("{ROUTE}?wait=0"), None).await;
        while honest.visits() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(evil.visits(), 0);
        house.stop().await;
    }
}

/// Whose credentials a connection is said to have been made with.
#[rstest]
#[case::another_tenants("app = 'globex'")]
#[case::another_connectors("connector = 'custom'")]
#[tokio::test]
async fn no_secret_is_used_for_another_tenant_or_connector(#[case] whose: &str) {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.connected_app("globex").await;
        house.connector("custom", &json!({})).await;
        house.credentials("custom", Some("acme")).await;
        house.pass(7_200);
        let sql = Sql::open(&house.home).await;
        sql.run(&format!(
            "UPDATE connection SET credentials_id = (SELECT id FROM connector_credentials WHERE {whose}) \
             WHERE app = 'acme'"
        ))
        .await;
        let refused = house.ask(Method::GET, "/acme/sandbox/binb-token", None).await;
        read(refused, "secret_unreadable").await;
        assert_eq!(house.refreshes(), 0, "{}", house.home.name);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_token_set_opens_in_its_own_connection_alone() {
    for house in House::each().await {
        house.connected_app("acme").await;
        house.import("acme", "sandbox", &json!({"flow": "second"})).await;
        let sql = Sql::open(&house.home).await;
        sql.run(
            "UPDATE connection SET token_set_id = \
             (SELECT c.token_set_id FROM connection c WHERE c.flow = 'second') WHERE flow = 'default'",
        )
        .await;
        let route = "/acme/sandbox/binb-token?flow=";
        let moved = house.ask(Method::GET, &format!("{route}default"), None).await;
        read(moved, "secret_unreadable").await;
        let own = house.ask(Method::GET, &format!("{route}second"), None).await;
        assert_eq!(own.status(), 200, "{}", house.home.name);
        house.stop().await;
    }
}
