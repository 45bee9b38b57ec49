//! Is a client the same, whether the library makes it or a request?

use serde_json::{Value, json};

use super::brokers;
use crate::admin::clients::NewClient;
use crate::model::client::ClientKind;

/// All that does not say which one it is.
fn alike(client: &Value) -> Value {
    let mut client = client.clone();
    for own in ["client_id", "identifier", "created_at", "secrets"] {
        assert!(client.as_object_mut().unwrap().remove(own).is_some(), "{own}");
    }
    client
}

#[tokio::test]
async fn a_request_that_says_nothing_more_makes_the_client_that_the_library_makes() {
    for broker in brokers().await {
        let by = broker.authority.superadmin().await;
        for kind in [ClientKind::Programmatic, ClientKind::Service, ClientKind::Provider] {
            let name = kind.as_str();
            let made = match kind {
                ClientKind::Programmatic => broker.authority.clients.add_programmatic_client(&by, name).await,
                _ => broker.authority.clients.create(&by, NewClient::named(name, kind)).await,
            };
            let own = made.unwrap().client.client_id;
            let asked = json!({"identifier": format!("asked {name}"), "kind": name});
            let asked = broker.post("/clients", asked).await.body;
            let read = async |id: &str| broker.get(&format!("/clients/{id}")).await.body;
            let own = read(own.as_str()).await;
            let asked = read(asked["client_id"].as_str().unwrap()).await;
            assert_eq!(alike(&own), alike(&asked), "{} {name}", broker.db.name);
        }
    }
}

#[tokio::test]
async fn scopes_and_addresses_have_the_defaults_of_kind_and_role_where_nothing_is_said() {
    let back = "http://127.0.0.1/";
    let broker = &brokers().await[0];
    for (number, (more, scopes, addresses)) in [
        (json!({"kind": "programmatic"}), json!(["offline_access", "openid"]), json!([back])),
        (
            json!({"kind": "programmatic", "role": "superadmin"}),
            json!(["binb:read", "offline_access", "openid"]),
            json!([back]),
        ),
        (json!({"kind": "programmatic", "scopes": [], "redirect_uris": []}), json!([]), json!([])),
        (json!({"kind": "programmatic", "scopes": ["email"]}), json!(["email"]), json!([back])),
        (json!({"kind": "service"}), json!([]), json!([])),
        (json!({"kind": "service", "role": "superadmin"}), json!(["binb:read"]), json!([])),
        (json!({"kind": "provider"}), json!([]), json!([])),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = more.clone();
        body["identifier"] = json!(format!("client {number}"));
        let made = broker.post("/clients", body).await.body;
        let mut given: Vec<_> =
            made["scopes"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        given.sort_unstable();
        assert_eq!((json!(given), &made["redirect_uris"]), (scopes, &addresses), "{more}");
        assert_eq!(made["token_lifetime_s"], Value::Null);
    }
}
