//! GitHub and Aircall as they are, at the address of a scripted provider.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::connectors::scripted::{
    authorize_url, credentials, exchange, form, outbound, refresh, refused, text,
};
use crate::connectors::{Catalog, instantiate};
use crate::outbound::Trust;
use crate::outbound::scripted::{Scripted, Step};

async fn at(id: &str, script: Vec<Step>) -> (Scripted, Arc<dyn Connector>) {
    let server = Scripted::start(script).await;
    let catalog = Catalog::builtin().with_base(id, &server.base);
    let definition = Arc::clone(catalog.find(id).unwrap());
    (server, instantiate(definition, outbound(), Trust::Operator))
}

#[tokio::test]
async fn github_revokes_the_token_and_never_the_grant() {
    let script = vec![Step::answer(204, &[], ""), refused(404, "Not Found"), Step::answer(422, &[], "{}")];
    let (server, github) = at("github-app", script).await;
    let token = Secret::new("ghu_1");
    for _ in 0..3 {
        let tokens = Tokens { access_token: Some(&token), refresh_token: None };
        assert_eq!(github.revoke(&credentials(), &tokens).await.unwrap(), Revocation::Revoked);
    }
    for seen in server.seen() {
        assert_eq!(seen.line, "DELETE /applications/our%20id/token");
        assert!(seen.header("authorization").unwrap().starts_with("Basic "));
        assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap(), json!({"access_token": "ghu_1"}));
    }
}

#[tokio::test]
async fn github_revokes_with_the_previous_secret_where_the_current_is_refused() {
    let (server, github) = at("github", vec![Step::answer(401, &[], "{}"), Step::answer(204, &[], "")]).await;
    let rolled = Credentials { previous_secret: Some(Secret::new("older")), ..credentials() };
    let token = Secret::new("gho_1");
    let tokens = Tokens { access_token: Some(&token), refresh_token: None };
    assert_eq!(github.revoke(&rolled, &tokens).await.unwrap(), Revocation::Revoked);
    let seen = server.seen();
    assert_ne!(seen[0].header("authorization"), seen[1].header("authorization"));
    let error = github.revoke(&credentials(), &tokens).await.unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }));
}

#[tokio::test]
async fn github_needs_an_access_token_to_revoke() {
    let (server, github) = at("github", vec![]).await;
    let token = Secret::new("ghr_1");
    let tokens = Tokens { access_token: None, refresh_token: Some(&token) };
    assert_eq!(github.revoke(&credentials(), &tokens).await.unwrap(), Revocation::Unsupported);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn github_speaks_as_it_does() {
    let form_answer = Step::answer(
        200,
        &[("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")],
        "access_token=gho_1&scope=repo%2Cgist&token_type=bearer",
    );
    let user = Step::json(200, &json!({"id": 583_231, "login": "octocat"}));
    let script =
        vec![form_answer, refused(200, "bad_verification_code"), refused(200, "bad_refresh_token"), user];
    let (server, github) = at("github", script).await;
    let grant = exchange(&*github, &credentials()).await.unwrap();
    assert_eq!(
        (text(&grant.access_token), grant.scope.as_deref(), grant.expires_in),
        ("gho_1", Some("repo gist"), None)
    );
    assert!(matches!(exchange(&*github, &credentials()).await, Err(Error::Refused { .. })));
    assert!(matches!(refresh(&*github, &credentials()).await, Err(Error::Refused { .. })));
    let account = github.identify(&credentials(), &grant.access_token).await.unwrap().unwrap();
    assert_eq!((account.id.as_str(), account.label.as_str()), ("583231", "octocat"));
    let lines: Vec<_> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines[0], "POST /login/oauth/access_token");
    assert_eq!(lines[3], "GET /user");
}

#[tokio::test]
async fn aircall_names_the_company_has_no_refresh_and_no_revocation() {
    let script = vec![
        Step::json(200, &json!({"access_token": "at", "token_type": "Bearer", "created_at": 1_585_868_617})),
        Step::json(
            200,
            &json!({"integration": {"id": 1, "name": "Jobs", "company_id": 7, "company_name": "Acme"}}),
        ),
        Step::json(200, &json!({"integration": {"name": "Jobs", "company_id": 7}})),
        Step::json(200, &json!({"name": "Jobs", "company_id": 7})),
        Step::json(200, &json!({"ping": "pong"})),
    ];
    let (server, aircall) = at("aircall", script).await;
    let url = authorize_url(&*aircall, &credentials()).unwrap();
    assert_eq!(url.path(), "/oauth/authorize");
    assert!(form(url.query().unwrap()).contains(&"scope=public_api".to_owned()));
    let grant = exchange(&*aircall, &credentials()).await.unwrap();
    assert!(grant.expires_in.is_none() && grant.refresh_token.is_none());
    for label in ["Acme", "Jobs", "Jobs"] {
        let account = aircall.identify(&credentials(), &grant.access_token).await.unwrap().unwrap();
        assert_eq!((account.id.as_str(), account.label.as_str()), ("7", label));
    }
    assert_eq!(aircall.probe(&credentials(), &grant.access_token).await.unwrap(), Probe::Works);
    let tokens = Tokens { access_token: Some(&grant.access_token), refresh_token: None };
    assert_eq!(aircall.revoke(&credentials(), &tokens).await.unwrap(), Revocation::Unsupported);
    assert!(matches!(refresh(&*aircall, &credentials()).await, Err(Error::Definition(_))));
    let lines: Vec<_> = server.seen().into_iter().map(|seen| seen.line).collect();
    let me = "GET /v1/integrations/me";
    assert_eq!(lines, ["POST /v1/oauth/token", me, me, me, "GET /v1/ping"]);
}

#[tokio::test]
async fn a_custom_definition_cannot_borrow_a_built_ins_code() {
    let server = Scripted::start(vec![]).await;
    let catalog = Catalog::builtin().with_base("github", &server.base);
    let custom = instantiate(Arc::clone(catalog.find("github").unwrap()), outbound(), Trust::Custom);
    let token = Secret::new("gho_1");
    let tokens = Tokens { access_token: Some(&token), refresh_token: None };
    assert_eq!(custom.revoke(&credentials(), &tokens).await.unwrap(), Revocation::Unsupported);
    assert!(server.seen().is_empty());
}
