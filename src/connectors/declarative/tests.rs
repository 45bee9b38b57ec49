//! What a definition does on the wire.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::connectors::scripted::{
    CHALLENGE, VERIFIER, authorize_url, credentials, exchange, form, granted, provider, redirect_uri,
    refresh, refused, text,
};
use crate::outbound::scripted::Step;

const BASIC: &str = "Basic b3VyK2lkOiUyNSUzQSUyQiVDMyVBOStzZWNyZXQ=";

#[tokio::test]
async fn the_browser_is_sent_with_state_challenge_and_scopes() {
    let changes =
        json!({"scopes": ["a", "b"], "scope_separator": ",", "authorize_params": {"prompt": "consent"}});
    let (_server, connector) = provider(vec![], changes).await;
    let url = authorize_url(&*connector, &credentials()).unwrap();
    assert_eq!(url.path(), "/authorize");
    let expected = [
        "client_id=our id".to_owned(),
        format!("code_challenge={CHALLENGE}"),
        "code_challenge_method=S256".to_owned(),
        "prompt=consent".to_owned(),
        format!("redirect_uri={}", redirect_uri()),
        "response_type=code".to_owned(),
        "scope=a,b".to_owned(),
        "state=the state".to_owned(),
        "tenant=7".to_owned(),
    ];
    assert_eq!(form(url.query().unwrap()), expected);
}

#[tokio::test]
async fn credentials_choose_scopes_and_a_definition_may_forgo_pkce() {
    let (_server, connector) = provider(vec![], json!({"scopes": ["a"], "pkce": "none"})).await;
    let chosen = Credentials { scopes: Some(vec!["x".to_owned(), "y".to_owned()]), ..credentials() };
    let url = authorize_url(&*connector, &chosen).unwrap();
    let fields = form(url.query().unwrap());
    assert!(fields.contains(&"scope=x y".to_owned()));
    assert!(!fields.iter().any(|field| field.starts_with("code_challenge")));
}

#[rstest]
#[case("post", &["client_id=our id", "client_secret=%:+é secret"], None)]
#[case("basic", &[], Some(BASIC))]
#[case("none", &["client_id=our id"], None)]
#[tokio::test]
async fn the_client_authenticates_alike_in_every_request(
    #[case] token_auth: &str,
    #[case] in_body: &[&str],
    #[case] header: Option<&str>,
) {
    let script = vec![granted(), granted(), Step::answer(200, &[], "")];
    let changes = json!({
        "token_auth": token_auth, "token_params": {"extra": "1"}, "refresh": {"params": {"more": "2"}},
    });
    let (server, connector) = provider(script, changes).await;
    let grant = exchange(&*connector, &credentials()).await.unwrap();
    assert_eq!((text(&grant.access_token), grant.refresh_token.as_ref().map(text)), ("new", Some("newer")));
    assert_eq!((grant.expires_in, grant.scope.as_deref()), (Some(60), Some("a b")));
    refresh(&*connector, &credentials()).await.unwrap();
    let token = Secret::new("dead");
    let tokens = Tokens { access_token: None, refresh_token: Some(&token) };
    assert_eq!(connector.revoke(&credentials(), &tokens).await.unwrap(), Revocation::Revoked);

    let with_auth = |fields: &[&str]| {
        let mut all: Vec<_> = fields.iter().chain(in_body).map(|field| (*field).to_owned()).collect();
        all.sort();
        all
    };
    let seen = server.seen();
    let verifier = format!("code_verifier={VERIFIER}");
    let redirect = format!("redirect_uri={}", redirect_uri());
    let code = ["code=the code", "extra=1", "grant_type=authorization_code", &verifier, &redirect];
    assert_eq!((seen[0].line.as_str(), form(&seen[0].body)), ("POST /token", with_auth(&code)));
    let old = ["grant_type=refresh_token", "more=2", "refresh_token=old-refresh-token"];
    assert_eq!((seen[1].line.as_str(), form(&seen[1].body)), ("POST /token", with_auth(&old)));
    let dead = ["token=dead", "token_type_hint=refresh_token"];
    assert_eq!((seen[2].line.as_str(), form(&seen[2].body)), ("POST /revoke", with_auth(&dead)));
    for request in &seen {
        assert_eq!(request.header("authorization"), header);
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(request.header("user-agent"), Some(concat!("jeton/", env!("CARGO_PKG_VERSION"))));
    }
}

#[tokio::test]
async fn requests_are_json_where_the_definition_says_so() {
    let (server, connector) = provider(vec![granted()], json!({"token_format": "json"})).await;
    refresh(&*connector, &credentials()).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["refresh_token"], "old-refresh-token");
    assert_eq!(body["client_secret"], "%:+é secret");
}

#[tokio::test]
async fn a_grant_keeps_what_the_definition_names() {
    let answer = json!({"access_token": "new", "instance_url": "https://eu1", "id": {"a": 1}, "refresh_expires_in": 9});
    let (_server, connector) =
        provider(vec![Step::json(201, &answer)], json!({"extra_fields": ["instance_url", "id"]})).await;
    let grant = refresh(&*connector, &credentials()).await.unwrap();
    assert_eq!(grant.extra["instance_url"], "https://eu1");
    assert_eq!(grant.extra["id"], json!({"a": 1}));
    assert_eq!((grant.expires_in, grant.refresh_expires_in, grant.scope), (None, Some(9), None));
}

#[tokio::test]
async fn errors_keep_their_kind_through_the_request_builder() {
    let script = vec![
        refused(200, "bad_refresh_token"),
        refused(400, "invalid_scope"),
        Step::answer(429, &[("Retry-After", "3")], ""),
    ];
    let (_server, connector) = provider(script, json!({})).await;
    assert!(matches!(refresh(&*connector, &credentials()).await, Err(Error::Refused { .. })));
    assert!(matches!(
        refresh(&*connector, &credentials()).await,
        Err(Error::RequestRejected { status: 400, .. })
    ));
    let limited = refresh(&*connector, &credentials()).await;
    assert!(matches!(limited, Err(Error::RateLimited { retry_after: Some(wait) }) if wait.as_secs() == 3));
}

#[tokio::test]
async fn what_was_lost_is_told_from_what_was_never_sent() {
    let redirect = Step::answer(307, &[("Location", "/elsewhere")], "");
    let (server, connector) =
        provider(vec![Step::Hang, redirect, Step::answer(200, &[], vec![b' '; 2 << 20])], json!({})).await;
    for lost in ["reset", "redirect", "huge"] {
        assert!(matches!(refresh(&*connector, &credentials()).await, Err(Error::Ambiguous { .. })), "{lost}");
    }
    assert_eq!(server.seen().len(), 3);
    drop(server);
    let nobody = "http://127.0.0.1:9/token";
    for url in [nobody, "https://10.0.0.1/token", "https://name.invalid/token"] {
        let (_server, connector) = provider(vec![], json!({ "token_url": url })).await;
        assert!(matches!(refresh(&*connector, &credentials()).await, Err(Error::NotSent { .. })), "{url}");
    }
}

#[tokio::test]
async fn the_previous_secret_is_tried_after_a_definite_refusal() {
    let rolled = Credentials { previous_secret: Some(Secret::new("older")), ..credentials() };
    let (server, connector) = provider(vec![refused(401, "invalid_client"), granted()], json!({})).await;
    assert_eq!(text(&refresh(&*connector, &rolled).await.unwrap().access_token), "new");
    let seen = server.seen();
    assert!(form(&seen[0].body).contains(&"client_secret=%:+é secret".to_owned()));
    assert!(form(&seen[1].body).contains(&"client_secret=older".to_owned()));
}

#[rstest]
#[case(refused(400, "unauthorized_client"))]
#[case(refused(400, "invalid_grant"))]
#[case(refused(500, "invalid_client"))]
#[case(Step::Hang)]
#[tokio::test]
async fn nothing_else_makes_a_second_try(#[case] first: Step) {
    let rolled = Credentials { previous_secret: Some(Secret::new("older")), ..credentials() };
    let (server, connector) = provider(vec![first, granted()], json!({})).await;
    refresh(&*connector, &rolled).await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_code_is_never_sent_twice() {
    let rolled = Credentials { previous_secret: Some(Secret::new("older")), ..credentials() };
    let (server, connector) = provider(vec![refused(401, "invalid_client"), granted()], json!({})).await;
    let error = exchange(&*connector, &rolled).await.unwrap_err();
    assert!(matches!(error, Error::ClientRejected { .. }));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_echoed_token_never_becomes_an_error_code() {
    let (_server, connector) = provider(vec![refused(400, "old-refresh-token")], json!({})).await;
    let error = refresh(&*connector, &credentials()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("old-refresh-token"));
    assert!(matches!(error, Error::RequestRejected { status: 400, .. }));
}

#[tokio::test]
async fn a_lifetime_that_is_not_told_is_asked_for_once() {
    let bare = || Step::json(200, &json!({"access_token": "new"}));
    let told = |body: Value| {
        Step::answer(
            200,
            &[("Content-Type", "application/json"), ("Date", "Wed, 25 Nov 2026 10:00:00 GMT")],
            body.to_string(),
        )
    };
    // 2026-11-25T10:00:00Z is 1795600800.
    let answers = [
        (told(json!({"active": true, "exp": 1_795_600_900})), Some(100)),
        (Step::json(200, &json!({"active": true, "iat": 1000, "exp": "1060"})), Some(60)),
        (told(json!({"active": true, "iat": 1_795_500_000, "exp": 1_795_600_900})), Some(100)),
        (told(json!({"active": true, "iat": 1_795_700_000, "exp": 1_795_700_060})), Some(60)),
        (told(json!({"active": false, "exp": 1_795_600_900})), None),
        (told(json!({"active": true, "exp": 1_795_600_700})), None),
        (Step::answer(500, &[], "oops"), None),
        (Step::Hang, None),
    ];
    for (answer, expected) in answers {
        let told = format!("{answer:?}");
        let (server, connector) =
            provider(vec![bare(), answer], json!({"introspection_url": "/introspect"})).await;
        let grant = refresh(&*connector, &credentials()).await.unwrap();
        assert_eq!(grant.expires_in, expected, "{told}");
        let seen = server.seen();
        assert_eq!((seen.len(), seen[1].line.as_str()), (2, "POST /introspect"));
        assert!(form(&seen[1].body).contains(&"token=new".to_owned()));
    }
    let (server, connector) = provider(vec![granted()], json!({"introspection_url": "/introspect"})).await;
    assert_eq!(refresh(&*connector, &credentials()).await.unwrap().expires_in, Some(60));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_account_is_read_by_pointers() {
    let script = vec![
        Step::json(200, &json!({"sub": 42, "email": "a@example.com"})),
        Step::json(200, &json!({"sub": "x"})),
        Step::json(200, &json!({"sub": 1.5})),
        Step::json(200, &json!({"email": "a@example.com"})),
        refused(401, "invalid_token"),
        Step::answer(302, &[("Location", "/")], ""),
    ];
    let (server, connector) = provider(script, json!({})).await;
    let token = Secret::new("live");
    let account = |id: &str, label: &str| Some(Account { id: id.to_owned(), label: label.to_owned() });
    assert_eq!(connector.identify(&credentials(), &token).await.unwrap(), account("42", "a@example.com"));
    assert_eq!(connector.identify(&credentials(), &token).await.unwrap(), account("x", "x"));
    for nameless in ["fraction", "absent"] {
        let error = connector.identify(&credentials(), &token).await.unwrap_err();
        assert!(matches!(error, Error::Ambiguous { .. }), "{nameless}");
    }
    let rejected = connector.identify(&credentials(), &token).await.unwrap_err();
    assert!(matches!(rejected, Error::RequestRejected { status: 401, .. }));
    assert!(matches!(connector.identify(&credentials(), &token).await, Err(Error::Ambiguous { .. })));
    let seen = &server.seen()[0];
    assert_eq!((seen.line.as_str(), seen.header("authorization")), ("GET /me", Some("Bearer live")));
}

#[tokio::test]
async fn a_probe_confirms_only_what_is_certain() {
    let script = vec![
        Step::answer(204, &[], ""),
        Step::answer(401, &[], ""),
        Step::answer(403, &[], ""),
        Step::answer(403, &[("Retry-After", "60")], ""),
        Step::answer(403, &[("X-RateLimit-Remaining", "0")], ""),
        Step::answer(429, &[], ""),
        Step::answer(500, &[], ""),
        Step::answer(301, &[("Location", "/")], ""),
    ];
    let (server, connector) = provider(script, json!({})).await;
    let mut probes = Vec::new();
    for _ in 0..8 {
        probes.push(connector.probe(&credentials(), &Secret::new("live")).await.unwrap());
    }
    use Probe::{Rejected, Unknown, Works};
    assert_eq!(probes, [Works, Rejected, Rejected, Unknown, Unknown, Unknown, Unknown, Unknown]);
    assert!(server.seen().iter().all(|seen| seen.line == "GET /ping"));
}

#[tokio::test]
async fn a_revocation_covers_both_tokens_and_tells_a_failure() {
    let script = vec![Step::answer(200, &[], ""), refused(400, "invalid_grant"), Step::answer(503, &[], "")];
    let (server, connector) = provider(script, json!({})).await;
    let (access, old) = (Secret::new("access"), Secret::new("refresh"));
    let both = Tokens { access_token: Some(&access), refresh_token: Some(&old) };
    assert_eq!(connector.revoke(&credentials(), &both).await.unwrap(), Revocation::Revoked);
    let one = Tokens { access_token: Some(&access), refresh_token: None };
    assert!(matches!(connector.revoke(&credentials(), &one).await, Err(Error::Ambiguous { .. })));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn what_a_definition_lacks_is_said() {
    let changes = json!({"revocation_url": null, "identity": null, "probe_url": null});
    let (server, connector) = provider(vec![], changes).await;
    let token = Secret::new("live");
    let tokens = Tokens { access_token: Some(&token), refresh_token: None };
    assert_eq!(connector.revoke(&credentials(), &tokens).await.unwrap(), Revocation::Unsupported);
    assert_eq!(connector.identify(&credentials(), &token).await.unwrap(), None);
    assert_eq!(connector.probe(&credentials(), &token).await.unwrap(), Probe::Unknown);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_variable_that_would_move_the_host_sends_nothing() {
    let changes = json!({"token_url": "https://{shop}.example.com/token", "url_variables": {"shop": "^.*$"}});
    let (_server, connector) = provider(vec![], changes).await;
    let moved = BTreeMap::from([("shop".to_owned(), "evil.com/".to_owned())]);
    for variables in [moved, BTreeMap::new()] {
        let error = refresh(&*connector, &Credentials { variables, ..credentials() }).await.unwrap_err();
        assert!(matches!(error, Error::Definition(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_verifier_of_the_wrong_length_is_an_error_not_a_panic() {
    let (_server, connector) = provider(vec![], json!({})).await;
    let (state, verifier, redirect_uri) = (Secret::new("s"), Secret::new("short"), redirect_uri());
    let credentials = credentials();
    let request = Authorize {
        credentials: &credentials,
        redirect_uri: &redirect_uri,
        state: &state,
        verifier: &verifier,
    };
    assert!(matches!(connector.authorize_url(&request), Err(Error::Definition(_))));
}
