//! What a command says beside its result, and to whom.

use serde_json::json;

use super::{broker, ok, run, stderr, stdout};
use crate::scripted::Scripted;

fn missing(code: &str) -> Scripted {
    (404, "", json!({"code": code, "action": "fix_configuration"}).to_string())
}

fn refused() -> Scripted {
    (403, "", json!({"code": "forbidden", "action": "request_access"}).to_string())
}

#[tokio::test]
async fn a_restore_of_the_current_generation_says_that_nothing_was_changed() {
    let server = broker(|_| ok(&json!({"generation": 7, "state": "active"}))).await;
    for (generation, said) in
        [("7", "jeton: generation 7 is the current one; nothing was changed\n"), ("3", "")]
    {
        let output = run(&server, &["connection", "restore", "acme", "github", generation], "").await;
        assert_eq!(stdout(&output), "generation  7\nstate       active\n");
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), said));
    }
}

#[tokio::test]
async fn what_to_think_about_is_a_line_each_with_what_to_do() {
    let server = broker(|seen| match seen.target.as_str() {
        "/admin/v1/clients" | "/admin/v1/clients/c1" => {
            ok(&json!({"client_id": "c1", "warnings": ["unconfined", "other"]}))
        }
        "/admin/v1/apps/acmee" => missing("app_not_found"),
        "/admin/v1/connectors/githbu" => missing("connector_not_found"),
        "/admin/v1/apps/acme" | "/admin/v1/connectors/github" => ok(&json!({})),
        _ => refused(),
    })
    .await;
    let locations = ["*/*", "acme/github", "acmee/*", "acmee/githbu", "hidden/hidden"];
    let allow: Vec<_> = locations.into_iter().flat_map(|location| ["--allow", location]).collect();
    for line in [&["client", "create", "job"][..], &["client", "update", "c1", "--json"]] {
        let output = run(&server, &[line, &allow].concat(), "").await;
        assert_eq!(output.status.code(), Some(0));
        insta::allow_duplicates! {
            insta::assert_snapshot!(stderr(&output), @r"
            jeton: warning: the client is confined to no app: right for an administrator; for a job, `jeton client update c1 --allow APP/CONNECTOR`
            jeton: warning: other
            jeton: warning: there is no app `acmee`: `jeton app create acmee`, or name another with `jeton client update c1 --allow APP/CONNECTOR`
            jeton: warning: there is no connector `githbu`: see `jeton connector list`, and name another with `jeton client update c1 --allow APP/CONNECTOR`
            ");
        }
    }
}

#[tokio::test]
async fn a_login_name_in_place_of_a_user_id_is_told_before_the_broker_is_asked() {
    let server = broker(|_| refused()).await;
    for line in [
        &["user", "password-link", "ada@example.com"][..],
        &["user", "show", "ada@example.com"],
        &["app", "members", "remove", "acme", "ada@example.com"],
    ] {
        let output = run(&server, line, "").await;
        let said = stderr(&output);
        assert!(
            said.contains("a user id is wanted, not a login name: see `jeton user list`"),
            "{line:?}: {said}"
        );
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_empty_list_of_an_app_that_is_absent_says_so() {
    let server = broker(|seen| match seen.target.split('?').next().unwrap() {
        "/admin/v1/apps/acmee" => missing("app_not_found"),
        "/admin/v1/apps/acme" => ok(&json!({})),
        _ => ok(&json!({"items": [], "next_cursor": null})),
    })
    .await;
    let told = "jeton: warning: there is no app `acmee`: see `jeton app list`\n";
    for (app, told) in [("acmee", told), ("acme", "")] {
        let output = run(&server, &["connection", "list", "--app", app], "").await;
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("none\n", told));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[tokio::test]
async fn a_service_that_can_do_nothing_is_told_of() {
    for (change, idle) in [
        (json!({}), true),
        (json!({"scopes": []}), true),
        (json!({"scopes": ["openid"]}), true),
        (json!({"scopes": ["binb:read", "signups:write"]}), false),
        (json!({"scopes": ["terms:read"]}), false),
        (json!({"resources": ["https://terms.example"]}), false),
        (json!({"role": "superadmin"}), false),
        (json!({"kind": "programmatic"}), false),
        (json!({"disabled": true}), false),
    ] {
        let mut client = json!({
            "client_id": "c1", "kind": "service", "role": null, "scopes": ["binb:read"], "resources": [],
            "disabled": false, "warnings": [],
        });
        client.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let server = broker(move |_| ok(&client)).await;
        let output = run(&server, &["client", "create", "job"], "").await;
        let told = stderr(&output);
        assert_eq!(told.contains("warning: the client can do nothing yet: "), idle, "{change}: {told}");
        assert_eq!(told.lines().count(), usize::from(idle), "{change}: {told}");
    }
}

#[tokio::test]
async fn who_gets_tokens_of_all_whom_it_signs_in_is_told_of() {
    const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    for (grants, allow, warned) in [
        (json!(["authorization_code", EXCHANGE]), json!(null), true),
        (json!(["authorization_code", EXCHANGE]), json!(["acme/*"]), false),
        (json!(["authorization_code"]), json!([]), false),
        (json!(["authorization_code"]), json!(null), false),
    ] {
        let client = json!({
            "client_id": "c1", "kind": "provider", "role": null, "scopes": ["openid"], "resources": [],
            "disabled": false, "warnings": [], "grant_types": grants, "allow": allow,
        });
        let server = broker(move |_| ok(&client)).await;
        let output = run(&server, &["client", "create", "page", "--kind", "provider"], "").await;
        let told = stderr(&output);
        assert_eq!(
            told.contains("or by `jeton client update c1 --allow none` where it signs"),
            warned,
            "{told}"
        );
        assert_eq!(told.lines().count(), usize::from(warned), "{told}");
    }
}

#[tokio::test]
async fn an_invitation_that_offers_an_unknown_connector_is_made_and_warned_of() {
    let server = broker(|seen| match seen.target.as_str() {
        "/admin/v1/connectors/github" => ok(&json!({"id": "github"})),
        "/admin/v1/connectors/hidden" => refused(),
        "/admin/v1/connectors/githbu" => missing("connector_not_found"),
        _ => ok(&json!({"url": "https://b.example/invitations/i1"})),
    })
    .await;
    let line = ["invite", "create", "acme", "--email", "ada@x.example", "--connector"];
    for (connector, warned) in [("github", false), ("hidden", false), ("githbu", true)] {
        let output = run(&server, &[&line[..], &[connector]].concat(), "").await;
        assert_eq!(stdout(&output), "url  https://b.example/invitations/i1\n");
        assert_eq!(output.status.code(), Some(0));
        let told = stderr(&output);
        assert_eq!(told.contains("warning: there is no connector `githbu`"), warned, "{told}");
        assert_eq!(told.lines().count(), usize::from(warned), "{told}");
    }
}

#[tokio::test]
async fn who_reads_no_further_ends_a_command_quietly() {
    let items = json!({"items": [{"id": "acme"}], "next_cursor": null});
    let server = broker(move |_| ok(&items)).await;
    for line in [
        &["app", "list"][..],
        &["connector", "list", "--json"],
        &["connection", "list"],
        &["client", "list"],
        &["user", "list"],
        &["invite", "list", "acme"],
        &["keys", "status"],
        &["app", "show", "acme"],
        &["openapi"],
        &["doctor", "--offline"],
    ] {
        let mut command = super::command(&server, line);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let home = tempfile::tempdir().unwrap();
        command.current_dir(home.path()).stdout(writer).stderr(std::process::Stdio::piped());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(141), ""), "{line:?}");
    }
}
