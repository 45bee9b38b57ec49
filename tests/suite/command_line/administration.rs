//! Which call is each verb of the administration, and how is its answer shown?

use serde_json::{Value, json};

use super::{broker, call, ok, run, stderr, stdout};
use crate::scripted::Seen;

#[tokio::test]
async fn lists_are_tables_or_json() {
    let page = || json!({"items": [{"id": "acme", "name": "Acme", "state": "active"}], "next_cursor": null});
    let server = broker(move |_| ok(&page())).await;
    let output = run(&server, &["app", "list"], "").await;
    assert_eq!(stdout(&output), "ID    NAME  STATE\nacme  Acme  active\n");
    assert_eq!(call(&server).0, "GET /admin/v1/apps");
    let output = run(&server, &["app", "list", "--json"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), page()["items"]);
}

#[tokio::test]
async fn one_item_is_told_in_words_and_whole_as_json() {
    let client = || {
        json!({
            "client_id": "c1", "scopes": ["terms:read", "terms:write"], "resources": [], "allow": null,
            "secrets": [{"secret_id": "s1", "created_at": "2026-11-24T10:00:00.25Z"}],
            "delivery": {"reference": "file:prod/pipe", "drift": {"code": "missing"}},
        })
    };
    let server = broker(move |_| ok(&client())).await;
    let output = run(&server, &["client", "show", "c1"], "").await;
    insta::assert_snapshot!(stdout(&output), @r"
    allow                -
    client_id            c1
    delivery.drift.code  missing
    delivery.reference   file:prod/pipe
    resources            none
    scopes               terms:read, terms:write
    secrets              created at 2026-11-24T10:00:00Z, secret id s1
    ");
    let output = run(&server, &["client", "show", "c1", "--json"], "").await;
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).unwrap(), client());
}

#[tokio::test]
async fn connections_that_need_attention_end_with_78() {
    let script = |seen: &Seen| {
        let item = |flow: &str, state: &str, reason: Option<&str>| {
            json!({"app_id": "acme", "connector": "github", "flow": flow, "state": state, "reason": reason,
                "since": "2026-11-24T10:00:00Z", "account": "octocat"})
        };
        let failed = |flow: &str, code: &str| {
            let mut item = item(flow, "active", None);
            item["last_error"] = json!({"code": code, "at": "2026-11-24T10:00:00Z"});
            item
        };
        let items = match seen.target.split(['?', '&']).find_map(|part| part.strip_prefix("state=")) {
            Some("misconfigured") => json!([item("default", "misconfigured", None)]),
            Some("active") if seen.target.contains("expires_before=") => json!([
                item("idle", "active", None),
                failed("stuck", "credentials_missing"),
                failed("away", "provider_unavailable")
            ]),
            _ => json!([item("b", "reauthorization_required", Some("lost_rotation"))]),
        };
        ok(&json!({"items": items, "next_cursor": null}))
    };
    let server = broker(script).await;
    let output = run(&server, &["connection", "list", "--needs-attention"], "").await;
    assert_eq!(output.status.code(), Some(78));
    let table = stdout(&output);
    let told: Vec<&str> = table.lines().collect();
    let link = format!("{}/acme/github/signup?flow=b", server.url.trim_end_matches('/'));
    for word in ["b ", "reauthorization_required", "lost_rotation", "2026-11-24T10:00:00Z", "octocat", &link]
    {
        assert!(told[1].contains(word), "{word} in {table}");
    }
    assert!(told[2].contains("misconfigured") && told[2].contains("jeton credentials set github"), "{table}");
    assert!(told[3].contains("stuck") && told[3].contains("store our client there"), "{table}");
    assert!(stderr(&output).contains("3 connection(s) need attention"));
    let fine = broker(|_| ok(&json!({"items": [], "next_cursor": null}))).await;
    let output = run(&fine, &["connection", "list", "--needs-attention"], "").await;
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "none\n"));
}

#[tokio::test]
async fn each_verb_is_its_call() {
    are_their_calls([
        ("app create acme", "POST /admin/v1/apps", json!({"id": "acme", "name": "acme"})),
        ("app update acme --state disabled", "PATCH /admin/v1/apps/acme", json!({"state": "disabled"})),
        ("app delete acme --confirm acme", "DELETE /admin/v1/apps/acme?confirm=acme", Value::Null),
        (
            "app members add acme u1 --role app_admin",
            "POST /admin/v1/apps/acme/members",
            json!({"user_id": "u1", "role": "app_admin"}),
        ),
        ("app members remove acme u1", "DELETE /admin/v1/apps/acme/members/u1", Value::Null),
        ("connector show github", "GET /admin/v1/connectors/github", Value::Null),
        ("credentials show github", "GET /admin/v1/connectors/github/credentials", Value::Null),
        (
            "credentials delete github --app acme",
            "DELETE /admin/v1/apps/acme/connectors/github/credentials",
            Value::Null,
        ),
        (
            "connection share acme github --flow b",
            "PATCH /admin/v1/apps/acme/connections/github?flow=b",
            json!({"shared": true}),
        ),
        (
            "connection restore acme github 3 --flow b",
            "POST /admin/v1/apps/acme/connections/github/generations/3/restore?flow=b",
            json!({}),
        ),
        (
            "connection refresh acme github --generation 4",
            "POST /admin/v1/apps/acme/connections/github/refresh",
            json!({"generation": 4}),
        ),
        ("connection delete acme github", "DELETE /admin/v1/apps/acme/connections/github", Value::Null),
    ])
    .await;
}

#[tokio::test]
async fn each_verb_about_clients_and_people_is_its_call() {
    are_their_calls([
        (
            "client create nightly --role superadmin --scope binb:read --allow */*",
            "POST /admin/v1/clients",
            json!({"identifier": "nightly", "kind": "service", "role": "superadmin", "scopes": ["binb:read"],
                "allow": ["*/*"]}),
        ),
        (
            "client create page --kind provider --allow none",
            "POST /admin/v1/clients",
            json!({"identifier": "page", "kind": "provider", "allow": []}),
        ),
        ("client update c1 --allow none", "PATCH /admin/v1/clients/c1", json!({"allow": []})),
        ("client update c1 --disable", "PATCH /admin/v1/clients/c1", json!({"disabled": true})),
        ("client secret add c1", "POST /admin/v1/clients/c1/secrets", json!({})),
        ("client secret delete c1 s1", "DELETE /admin/v1/clients/c1/secrets/s1", Value::Null),
        (
            "invite create acme --email kim@acme.example --expires-in 2d",
            "POST /admin/v1/apps/acme/invitations",
            json!({"email": "kim@acme.example", "expires_in_s": 172_800}),
        ),
        ("invite delete acme i1", "DELETE /admin/v1/apps/acme/invitations/i1", Value::Null),
        (
            "user create kim@acme.example --display-name Kim",
            "POST /admin/v1/users",
            json!({"email": "kim@acme.example", "display_name": "Kim"}),
        ),
        (
            "user update u1 --role none --enable",
            "PATCH /admin/v1/users/u1",
            json!({"role": null, "disabled": false}),
        ),
        ("user password-link u1", "POST /admin/v1/users/u1/password-link", json!({})),
        ("keys rotate", "POST /admin/v1/keys/signing/rotate", json!({})),
        ("keys retire 0193a1", "DELETE /admin/v1/keys/signing/0193a1", Value::Null),
    ])
    .await;
}

async fn are_their_calls(cases: impl IntoIterator<Item = (&str, &str, Value)>) {
    for (line, expected, body) in cases {
        let server = broker(|_| ok(&json!({"id": "x"}))).await;
        let output = run(&server, &line.split(' ').collect::<Vec<_>>(), "").await;
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "id  x\n"), "{line}");
        assert_eq!(call(&server), (expected.to_owned(), body), "{line}");
    }
}

#[tokio::test]
async fn kept_generations_are_a_table_and_a_refresh_names_the_one_it_saw() {
    let server = broker(|seen| match seen.target.as_str() {
        "/admin/v1/apps/acme/connections/github/generations?flow=b" => {
            let kept = json!({"generation": 3, "current": false, "spent": false, "restorable": true});
            ok(&json!({"items": [kept], "next_cursor": null}))
        }
        _ => ok(&json!({"generation": 7, "state": "active"})),
    })
    .await;
    let output = run(&server, &["connection", "generations", "acme", "github", "--flow", "b"], "").await;
    let table = "GENERATION  CURRENT  SPENT  RESTORABLE\n3           false    false  true\n";
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (table, ""));

    let output = run(&server, &["connection", "refresh", "acme", "github"], "").await;
    assert_eq!(stdout(&output), "generation  7\nstate       active\n");
    let last = server.seen().pop().unwrap();
    let path = "/admin/v1/apps/acme/connections/github/refresh";
    assert_eq!((last.target.as_str(), last.body.as_str()), (path, r#"{"generation":7}"#));
}

#[tokio::test]
async fn signing_keys_are_a_table_and_one_that_is_not_there_is_told() {
    let server = broker(|seen| match seen.method.as_str() {
        "GET" => {
            let key = json!({"kid": "0193a1", "algorithm": "ES256", "state": "active",
                "created_at": "2026-11-24T10:00:00Z", "activates_at": null,
                "activated_at": "2026-11-24T10:10:00Z", "retired_at": null, "removed_at": null});
            ok(&json!({"items": [key], "next_cursor": null}))
        }
        _ => {
            let detail = "there is no signing key `0193a2`";
            (
                404,
                "",
                json!({"code": "not_found", "action": "fix_configuration", "detail": detail}).to_string(),
            )
        }
    })
    .await;
    let output = run(&server, &["keys", "status"], "").await;
    insta::assert_snapshot!(stdout(&output), @r"
    KID     ALGORITHM  STATE   ACTIVATES AT  ACTIVATED AT          RETIRED AT  REMOVED AT
    0193a1  ES256      active  -             2026-11-24T10:10:00Z  -           -
    ");
    let output = run(&server, &["keys", "retire", "0193a2"], "").await;
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(
        stderr(&output),
        "jeton: cannot take out the signing key 0193a2: there is no signing key `0193a2` (not_found)\n"
    );
}

#[tokio::test]
async fn a_providers_secret_comes_from_standard_input() {
    let server =
        broker(|_| ok(&json!({"client_id": "gh", "redirect_uri": "https://b.example/connect"}))).await;
    let line =
        ["credentials", "set", "github", "--client-id", "gh", "--scope", "repo user", "--keep-previous"];
    let output = run(&server, &line, "provider-canary\n").await;
    assert_eq!(stdout(&output), "client_id     gh\nredirect_uri  https://b.example/connect\n");
    assert_eq!(stderr(&output), "");
    let body = json!({"client_id": "gh", "client_secret": "provider-canary", "scopes": ["repo", "user"]});
    let path = "PUT /admin/v1/connectors/github/credentials?keep_previous=true";
    assert_eq!(call(&server), (path.to_owned(), body));
}

#[tokio::test]
async fn a_bad_line_is_told_and_the_others_are_imported() {
    let lines = r#"{"app_id":"a","connector":"github","auth_flow_id":"old-7","access_token":"import-canary","expires_at":1795514400}
{"app_id":"a","connector":"github","state":"import-canary"}
{"app_id":"a","connector":"github","access_token":"import-canary
"#;
    let server = broker(|_| ok(&json!({}))).await;
    let dry = run(&server, &["connection", "import", "-", "--dry-run"], lines).await;
    assert!(server.seen().is_empty());
    let sent = run(&server, &["connection", "import", "-"], lines).await;
    let body =
        json!({"access_token": "import-canary", "flow": "old-7", "expires_at": "2026-11-24T10:00:00Z"});
    assert_eq!(call(&server), ("POST /admin/v1/apps/a/connections/github/import".to_owned(), body));
    for (output, done) in [(dry, "well formed"), (sent, "imported")] {
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(
            said.starts_with("jeton: 2 of 3 connections were not imported: 0 refused, 2 bad line(s)"),
            "{said}"
        );
        let table = stdout(&output);
        assert!(!table.contains("canary"), "{table}");
        let told: Vec<&str> = table.lines().skip(1).map(str::trim).collect();
        assert!(told[0].starts_with('1') && told[0].contains(done), "{table}");
        assert!(told[1].starts_with("2     a ") && told[1].contains("needs an `access_token`"), "{table}");
        assert!(told[2].starts_with('3') && told[2].contains("is not JSON"), "{table}");
    }
}

#[tokio::test]
async fn an_import_makes_apps_and_goes_on_after_a_refusal() {
    let script = |seen: &Seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("GET", "/admin/v1/apps/old") => ok(&json!({"id": "old"})),
        ("GET", _) => (404, "", json!({"code": "app_not_found", "action": "fix_configuration"}).to_string()),
        (_, "/admin/v1/apps/old/connections/github/import") => (
            409,
            "",
            json!({"code": "duplicate_grant", "action": "change_request", "detail": "held"}).to_string(),
        ),
        _ => ok(&json!({})),
    };
    let lines = r#"{"app_id":"old","connector":"github","access_token":"import-canary"}
{"app_id":"new","connector":"aircall","access_token":"import-canary","flow":"b"}
"#;
    let server = broker(script).await;
    let output = run(&server, &["connection", "import", "-", "--dry-run"], lines).await;
    assert!(stdout(&output).contains("well formed") && server.seen().is_empty());

    let output = run(&server, &["connection", "import", "-", "--create-apps", "--replace"], lines).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "jeton: 1 of 2 connections were not imported: 1 refused, 0 bad line(s); mend those and import the file again\n"
    );
    let table = stdout(&output);
    assert!(table.contains("refused   held (duplicate_grant)") && !table.contains("canary"), "{table}");
    let seen = server.seen();
    let made = seen.iter().find(|seen| seen.target == "/admin/v1/apps").unwrap();
    assert_eq!(made.body, r#"{"id":"new","name":"new"}"#);
    let last = seen.last().unwrap();
    assert_eq!(last.target, "/admin/v1/apps/new/connections/aircall/import");
    assert_eq!(last.body, r#"{"access_token":"import-canary","flow":"b","replace":true}"#);
}
