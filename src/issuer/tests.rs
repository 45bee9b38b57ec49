use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use time::Duration;

use super::authentication::Presented;
use super::client_credentials::Asked;
use super::testing::{Authority, URL, issuer, service, text};
use super::*;
use crate::admin::clients::ClientChange;
use crate::identity::bearer;
use crate::model::app::AppId;
use crate::model::client::{Allow, ClientId, ClientKind};
use crate::model::connector::ConnectorId;
use crate::model::event::Origin;
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::store::testing::databases;

fn part(token: &str, n: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
}

async fn ask(
    issuer: &Issuer,
    client: &ClientId,
    secret: &Secret,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<IssuedTokens, Error> {
    let presented = Presented::Secret { client_id: client.to_string(), secret: secret.clone() };
    let client = issuer.authenticate_client(&presented, Origin::default()).await?;
    let asked = Asked { scope: scope.map(str::to_owned), resource: resource.map(str::to_owned) };
    issuer.client_credentials(&client, &asked, Origin::default()).await
}

#[tokio::test]
async fn a_token_says_what_rfc_9068_asks_for_and_verifies_with_the_published_key() {
    for db in databases().await {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            db.sql("DELETE FROM signing_key").await;
            db.sql("DELETE FROM client").await;
            let authority = Authority::begin(&db, algorithm).await;
            let (id, secret) = authority.client(service("job", "binb:read", Some(&["acme/*"]))).await;
            let token = authority.token(&id, &secret, None).await;
            let (header, claims) = (part(&token, 0), part(&token, 1));
            let jwks: Value = serde_json::from_str(&authority.issuer.jwks().await).unwrap();
            let key = &jwks["keys"][0];
            assert_eq!(header["typ"], "at+jwt", "{}", db.name);
            assert_eq!((&header["alg"], &header["kid"]), (&json!(algorithm.as_str()), &key["kid"]));
            assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &header["alg"]));
            assert!(["d", "p", "q", "k"].iter().all(|member| key.get(member).is_none()));
            let id = id.as_str();
            for (claim, value) in [("iss", URL), ("sub", id), ("aud", URL), ("client_id", id)] {
                assert_eq!(claims[claim], value);
            }
            assert_eq!((&claims["scope"], &claims["role"]), (&json!("binb:read"), &json!("superadmin")));
            let details = json!([{ "type": "binb_token", "locations": ["acme/*"] }]);
            assert_eq!(claims["authorization_details"], details);
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
            let again = part(&authority.token(&ClientId::parse(id).unwrap(), &secret, None).await, 1);
            assert_ne!(claims["jti"], again["jti"]);
            authority.principal(&token).await.unwrap();
        }
    }
}

#[tokio::test]
async fn scope_and_target_never_widen() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("job", "binb:read apps:read", None)).await;
        let ask = async |scope, resource| ask(&authority.issuer, &id, &secret, scope, resource).await;
        assert_eq!(ask(None, None).await.unwrap().scope.to_string(), "binb:read apps:read");
        assert_eq!(ask(Some("apps:read"), Some(URL)).await.unwrap().scope.to_string(), "apps:read");
        for scope in ["apps:write", "superadmin", "terms:read", "apps:read nonsense", " "] {
            assert!(matches!(ask(Some(scope), None).await, Err(Error::InvalidScope)), "{scope}");
        }
        let elsewhere = ask(None, Some("https://terms.example")).await;
        assert!(matches!(elsewhere, Err(Error::InvalidTarget)));
    }
}

#[tokio::test]
async fn the_lifetime_is_the_clients_own_where_it_has_one() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let new = crate::admin::clients::NewClient {
            token_lifetime_s: Some(120),
            ..service("job", "binb:read", None)
        };
        let (id, secret) = authority.client(new).await;
        let token = ask(&authority.issuer, &id, &secret, None, None).await.unwrap();
        assert_eq!(token.expires_in_s, 120);
        let token = text(&token.access_token);
        assert!(authority.principal(&token).await.is_ok());
        db.clock.advance(Duration::seconds(140));
        let refused = authority.principal(&token).await;
        assert!(matches!(refused, Err(bearer::Error::Refused(jeton_guard::Error::Expired))), "{refused:?}");
    }
}

#[tokio::test]
async fn who_is_not_the_client_gets_nothing_whatever_the_reason() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("job", "binb:read", None)).await;
        let (_, others) = authority.client(service("other", "binb:read", None)).await;
        let issuer = &authority.issuer;
        let unknown = ClientId::parse("nobody").unwrap();
        for (id, secret) in [(&id, &others), (&unknown, &secret), (&id, &Secret::new(""))] {
            assert!(matches!(ask(issuer, id, secret, None, None).await, Err(Error::InvalidClient)));
        }
        let disabled = ClientChange { disabled: Some(true), ..ClientChange::default() };
        authority.clients.change(&authority.superadmin().await, &id, disabled, None).await.unwrap();
        assert!(matches!(ask(issuer, &id, &secret, None, None).await, Err(Error::InvalidClient)));
    }
}

#[tokio::test]
async fn a_job_that_hammers_with_a_wrong_secret_is_told_to_wait_and_a_right_one_passes() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("job", "binb:read", None)).await;
        let wrong = Secret::new("wrong");
        let mut limited = 0;
        for _ in 0..25 {
            match ask(&authority.issuer, &id, &wrong, None, None).await {
                Err(Error::TooManyFailures { .. }) => limited += 1,
                other => assert!(matches!(other, Err(Error::InvalidClient))),
            }
        }
        assert!(limited > 0, "{}", db.name);
        assert!(ask(&authority.issuer, &id, &secret, None, None).await.is_ok());
    }
}

#[tokio::test]
async fn a_programmatic_client_has_no_client_credentials() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let new = crate::admin::clients::NewClient {
            kind: ClientKind::Programmatic,
            ..service("script", "binb:read", None)
        };
        let by = authority.superadmin().await;
        let created = authority.clients.create(&by, new).await.unwrap();
        assert!(created.secret.is_none());
        let id = created.client.client_id;
        assert!(authority.clients.add_secret(&by, &id).await.is_err(), "{}", db.name);
        let refused = ask(&authority.issuer, &id, &Secret::new("guessed"), None, None).await;
        assert!(matches!(refused, Err(Error::InvalidClient)));
        let presented = Presented::Name { client_id: id.to_string() };
        let client = authority.issuer.authenticate_client(&presented, Origin::default()).await.unwrap();
        let refused =
            authority.issuer.client_credentials(&client, &Asked::default(), Origin::default()).await;
        assert!(matches!(refused, Err(Error::UnauthorizedClient)));
    }
}

#[tokio::test]
async fn a_secrets_hash_is_worth_nothing_in_another_row() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (weak, known) = authority.client(service("weak", "apps:read", None)).await;
        let strong = &authority.first.client_id;
        db.sql(&format!(
            "UPDATE client_secret SET secret_hash = (SELECT secret_hash FROM client_secret WHERE client_id = '{weak}') \
             WHERE client_id = '{strong}'"
        ))
        .await;
        assert!(ask(&authority.issuer, &weak, &known, None, None).await.is_ok(), "{}", db.name);
        assert!(matches!(
            ask(&authority.issuer, strong, &known, None, None).await,
            Err(Error::InvalidClient)
        ));
    }
}

#[tokio::test]
async fn a_secret_given_to_another_client_by_sql_is_worth_nothing() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (weak, known) = authority.client(service("weak", "apps:read", None)).await;
        let strong = &authority.first.client_id;
        db.sql(&format!("UPDATE client_secret SET client_id = '{strong}' WHERE client_id = '{weak}'")).await;
        let refused = ask(&authority.issuer, strong, &known, None, None).await;
        assert!(matches!(refused, Err(Error::InvalidClient)), "{}", db.name);
    }
}

#[tokio::test]
async fn a_public_key_changed_by_sql_is_neither_believed_nor_published() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("job", "binb:read", None)).await;
        let token = authority.token(&id, &secret, None).await;
        assert!(authority.principal(&token).await.is_ok(), "{}", db.name);
        // Still the key that signed, but not the text this instance wrote.
        db.sql("UPDATE signing_key SET public_jwk = replace(public_jwk, '{', '{ ')").await;
        db.clock.advance(Duration::seconds(6));
        assert!(matches!(authority.principal(&token).await, Err(bearer::Error::Refused(_))));
        let jwks: serde_json::Value = serde_json::from_str(&authority.issuer.jwks().await).unwrap();
        assert_eq!(jwks["keys"], serde_json::json!([]));
    }
}

#[tokio::test]
async fn a_narrowed_client_binds_tokens_already_out_at_once_here_and_within_five_seconds_elsewhere() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("job", "binb:read", None)).await;
        let token = authority.token(&id, &secret, None).await;
        let elsewhere =
            bearer::Bearers::load(URL, db.store(), db.vault(), db.clock(), bearer::RecentRows::default())
                .await
                .unwrap();
        let header = format!("Bearer {token}");
        let (acme, globex) = (AppId::parse("acme").unwrap(), AppId::parse("globex").unwrap());
        let github = ConnectorId::parse("github").unwrap();
        let there = async || elsewhere.authenticate([header.as_bytes()], Origin::default()).await.unwrap();
        assert!(there().await.may_receive(&globex, &github).is_ok());

        let allow = Some(Allow(Some(vec!["acme/github".to_owned().try_into().unwrap()])));
        let change = ClientChange { allow, ..ClientChange::default() };
        authority.clients.change(&authority.superadmin().await, &id, change, None).await.unwrap();
        let here = authority.principal(&token).await.unwrap();
        assert!(here.may_receive(&globex, &github).is_err() && here.may_receive(&acme, &github).is_ok());
        assert!(here.superadmin(Scope::BinbRead).is_err());
        db.clock.advance(Duration::seconds(5));
        let there = there().await;
        assert!(there.may_receive(&globex, &github).is_err() && there.may_receive(&acme, &github).is_ok());
    }
}

#[tokio::test]
async fn tokens_of_a_disabled_or_deleted_client_are_refused() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let disabled = |yes| ClientChange { disabled: Some(yes), ..ClientChange::default() };
        let (id, secret) = authority.client(service("job", "binb:read", None)).await;
        let token = authority.token(&id, &secret, None).await;
        authority.clients.change(&by, &id, disabled(true), None).await.unwrap();
        assert!(matches!(authority.principal(&token).await, Err(bearer::Error::ClientDisabled)));
        authority.clients.change(&by, &id, disabled(false), None).await.unwrap();
        assert!(authority.principal(&token).await.is_ok(), "{}", db.name);
        authority.clients.delete(&by, &id, None).await.unwrap();
        assert!(matches!(authority.principal(&token).await, Err(bearer::Error::ClientDisabled)));
    }
}

#[tokio::test]
async fn a_deleted_secret_refuses_older_tokens_and_no_new_one() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let (id, old) = authority.client(service("job", "binb:read", None)).await;
        let old_token = authority.token(&id, &old, None).await;
        let (_, secrets) = authority.clients.find(&by, &id).await.unwrap().unwrap();
        let new = authority.clients.add_secret(&by, &id).await.unwrap().secret;
        assert!(authority.principal(&old_token).await.is_ok(), "{}", db.name);

        authority.clients.delete_secret(&by, &id, secrets[0].id).await.unwrap();
        assert!(matches!(authority.principal(&old_token).await, Err(bearer::Error::Outdated)));
        assert!(matches!(ask(&authority.issuer, &id, &old, None, None).await, Err(Error::InvalidClient)));
        let new_token = authority.token(&id, &new, None).await;
        assert!(authority.principal(&new_token).await.is_ok(), "issued in the very second of the deletion");
    }
}

#[tokio::test]
async fn a_token_for_another_audience_or_from_another_issuer_is_refused() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let token = authority.first_token().await;
        let signer = authority.issuer.keys.current(db.clock().now()).await.signer.clone();
        for (claim, value) in
            [("aud", json!("https://terms.example")), ("iss", json!("https://evil.example"))]
        {
            let mut claims = part(&token, 1);
            claims[claim] = value;
            let forged = text(&signer.sign("at+jwt", &claims).unwrap());
            assert!(matches!(authority.principal(&forged).await, Err(bearer::Error::Refused(_))), "{claim}");
        }
        let mut user = part(&token, 1);
        user["sub"] = json!("somebody");
        let forged = text(&signer.sign("at+jwt", &user).unwrap());
        assert!(matches!(authority.principal(&forged).await, Err(bearer::Error::NotAClient)));
        let untouched = text(&signer.sign("at+jwt", &part(&token, 1)).unwrap());
        assert!(authority.principal(&untouched).await.is_ok(), "{}", db.name);
    }
}

#[tokio::test]
async fn replicas_see_each_others_keys_within_five_seconds_and_old_tokens_verify_on() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let old = authority.first_token().await;
        db.clock.advance(Duration::seconds(1));
        db.sql("UPDATE signing_key SET state = 'retired'").await;
        let (store, vault, clock) = (db.store(), db.vault(), db.clock());
        let conn = store.conn();
        keys::create_first(conn, &vault, &*clock, &*db.entropy(), Algorithm::Rs256).await.unwrap();
        let elsewhere = issuer(&db).await;
        assert_eq!(part(&authority.first_token().await, 0)["alg"], "ES256", "not read again yet");

        db.clock.advance(Duration::seconds(5));
        let new = authority.first_token().await;
        assert_eq!(part(&new, 0)["alg"], "RS256", "{}", db.name);
        assert!(authority.principal(&new).await.is_ok() && authority.principal(&old).await.is_ok());
        let jwks: Value = serde_json::from_str(&elsewhere.jwks().await).unwrap();
        let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
        assert_eq!((kids.len(), &kids[0]), (2, &part(&new, 0)["kid"]));
        assert_ne!(kids[0], kids[1]);

        db.sql("DELETE FROM signing_key WHERE state = 'retired'").await;
        db.clock.advance(Duration::seconds(5));
        assert!(matches!(authority.principal(&old).await, Err(bearer::Error::Refused(_))));
    }
}

#[tokio::test]
async fn a_private_key_moved_to_another_row_does_not_sign() {
    for db in databases().await {
        Authority::begin(&db, Algorithm::Es256).await;
        db.sql("UPDATE signing_key SET kid = '00000000000070008000000000000001'").await;
        let settings = Settings { issuer: URL.to_owned(), token_lifetime_s: 60 };
        let (store, vault) = (db.store(), db.vault());
        let recent = bearer::RecentRows::default();
        let loaded = Issuer::load(settings, store, vault, db.audit(), db.clock(), db.entropy(), recent).await;
        assert!(matches!(loaded.err(), Some(keys::Error::Vault(_))), "{}", db.name);
    }
}

#[tokio::test]
async fn each_token_has_its_audit_record_and_a_failure_writes_nothing() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let (id, secret) = authority.client(service("job", "binb:read", None)).await;
        let before = db.count("audit_event").await;
        let _ = ask(&authority.issuer, &id, &Secret::new("wrong"), None, None).await;
        assert_eq!(db.count("audit_event").await, before, "{}", db.name);
        authority.token(&id, &secret, None).await;
        assert_eq!(db.count("audit_event").await, before + 1);
        assert_eq!(
            db.count(&format!("audit_event WHERE actor = 'client:{id}' AND action = 'token.issue'")).await,
            1
        );
    }
}
