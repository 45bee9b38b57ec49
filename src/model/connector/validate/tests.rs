//! Each rule of a definition, broken once.

use std::collections::BTreeMap;

use super::*;
use crate::model::connector::Identity;

fn definition() -> Definition {
    serde_json::from_value(serde_json::json!({
        "id": "example", "display_name": "Example",
        "authorization_url": "https://example.com/authorize", "token_url": "https://example.com/token",
    }))
    .unwrap()
}

/// The pointers of what is wrong after `change`.
fn broken_by(change: impl FnOnce(&mut Definition)) -> Vec<String> {
    broken_under(Rules::default(), change)
}

fn broken_under(rules: Rules, change: impl FnOnce(&mut Definition)) -> Vec<String> {
    let mut changed = definition();
    change(&mut changed);
    changed.validate(rules).err().unwrap_or_default().into_iter().map(|v| v.pointer).collect()
}

fn variable(url: &str, pattern: &str) -> Definition {
    let mut definition = definition();
    definition.token_url = url.to_owned();
    definition.url_variables.insert("v".to_owned(), pattern.to_owned());
    definition
}

fn value_is_refused(definition: &Definition, value: &str) -> bool {
    definition.check_variables(&BTreeMap::from([("v".to_owned(), value.to_owned())])).is_err()
}

#[test]
fn four_keys_are_enough() {
    assert_eq!(definition().validate(Rules::default()), Ok(()));
}

#[test]
fn urls_are_https_public_and_bare() {
    for url in [
        "http://example.com/token",
        "ftp://example.com/",
        "https://user@example.com/",
        "https://u:p@example.com/",
        "https://example.com/#x",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "https://169.254.169.254/",
        "/token",
        "javascript:alert(1)",
        "",
        "https://",
        "https://example.com/?state=x",
    ] {
        assert!(broken_by(|d| d.token_url = url.to_owned()).contains(&"/token_url".to_owned()), "{url}");
    }
    assert_eq!(
        broken_by(|d| d.token_url = format!("https://example.com/{}", "x".repeat(2048))),
        ["/token_url"]
    );
}

#[test]
fn who_tries_with_this_machine_is_told_of_the_setting() {
    let told = |url: &str| {
        let changed = Definition { token_url: url.to_owned(), ..definition() };
        let wrong = changed.validate(Rules::default()).unwrap_err();
        wrong.into_iter().map(|one| one.detail).collect::<Vec<_>>().join(" ")
    };
    for (url, is_told) in
        [("http://localhost:9/t", true), ("https://[::1]/", true), ("https://10.0.0.1/", false)]
    {
        let told = told(url);
        assert!(told.contains("must be at a public address"), "{told}");
        assert_eq!(told.contains("`outbound.allow_loopback = true`"), is_told, "{told}");
    }
}

#[test]
fn every_url_is_checked() {
    let bad = || Some("http://example.com".to_owned());
    let pointers = broken_by(|d| {
        d.authorization_url = "http://example.com".to_owned();
        d.introspection_url = bad();
        d.issuer = bad();
        d.revocation_url = bad();
        d.probe_url = bad();
        d.api_base_url = bad();
        d.docs_url = bad();
        d.identity = Some(Identity {
            url: "http://example.com".to_owned(),
            id: "/a".to_owned(),
            label: "/b".to_owned(),
        });
    });
    assert_eq!(pointers.len(), 8, "{pointers:?}");
}

#[test]
fn loopback_is_lifted_for_itself_alone() {
    let rules = Rules { allow_loopback: true, builtin: false };
    for url in ["http://localhost:9090/token", "http://127.0.0.1/", "https://[::1]/"] {
        assert!(broken_under(rules, |d| d.token_url = url.to_owned()).is_empty(), "{url}");
    }
    for url in
        ["http://example.com/", "https://10.0.0.1/", "http://10.0.0.1/", "http://localhost.example.com/"]
    {
        assert_eq!(broken_under(rules, |d| d.token_url = url.to_owned())[0], "/token_url", "{url}");
    }
}

#[test]
fn the_operator_may_name_private_addresses_over_https() {
    let rules = Rules { allow_loopback: false, builtin: true };
    assert!(broken_under(rules, |d| d.token_url = "https://10.0.0.1/".to_owned()).is_empty());
    assert_eq!(broken_under(rules, |d| d.token_url = "http://10.0.0.1/".to_owned()), ["/token_url"]);
}

#[test]
fn protocol_parameters_are_ours() {
    for name in PROTOCOL_PARAMS.iter().copied().chain(["Redirect_URI", "STATE"]) {
        let value = || "x".to_owned();
        let pointers = broken_by(|d| {
            d.authorize_params.insert(name.to_owned(), value());
            d.token_params.insert(name.to_owned(), value());
            d.refresh.params.insert(name.to_owned(), value());
        });
        let expected =
            ["/authorize_params", "/token_params", "/refresh/params"].map(|map| format!("{map}/{name}"));
        assert_eq!(pointers, expected);
    }
    let mode =
        |value: &str| broken_by(|d| drop(d.authorize_params.insert("response_mode".into(), value.into())));
    assert!(mode("query").is_empty() && !mode("fragment").is_empty());
}

#[test]
fn token_fields_are_never_extra() {
    for name in TOKEN_FIELDS.iter().copied().chain(["Refresh_Token"]) {
        assert_eq!(broken_by(|d| d.extra_fields = vec![name.to_owned()]), ["/extra_fields/0"], "{name}");
    }
    assert!(broken_by(|d| d.extra_fields = vec!["instance_url".to_owned()]).is_empty());
}

#[test]
fn lengths_and_counts_are_bounded() {
    let long = "x".repeat(1000);
    assert_eq!(broken_by(|d| d.display_name.clear()), ["/display_name"]);
    assert_eq!(broken_by(|d| d.display_name = "a\nb".to_owned()), ["/display_name"]);
    assert_eq!(broken_by(|d| d.display_name = long.clone()), ["/display_name"]);
    assert_eq!(broken_by(|d| d.scopes = vec![long.clone()]), ["/scopes/0"]);
    assert_eq!(broken_by(|d| d.scopes = vec!["a b".to_owned()]), ["/scopes/0"]);
    assert_eq!(broken_by(|d| d.scopes = vec!["a".to_owned(); 101]), ["/scopes"]);
    assert_eq!(broken_by(|d| d.scope_separator = "ab".to_owned()), ["/scope_separator"]);
    assert_eq!(broken_by(|d| d.aliases = vec!["a/b".to_owned()]), ["/aliases/0"]);
    assert_eq!(broken_by(|d| d.aliases = vec!["a".to_owned(); 11]), ["/aliases"]);
    assert_eq!(broken_by(|d| d.reauthorize_errors = vec![long.clone()]), ["/reauthorize_errors/0"]);
    assert_eq!(broken_by(|d| d.reauthorize_errors = vec!["a".to_owned(); 21]), ["/reauthorize_errors"]);
    assert_eq!(broken_by(|d| d.extra_fields = vec!["a".to_owned(); 21]), ["/extra_fields"]);
    assert_eq!(broken_by(|d| drop(d.token_params.insert("a".into(), long.clone()))), ["/token_params/a"]);
    assert_eq!(
        broken_by(|d| d.token_params.extend((0..21).map(|n| (n.to_string(), "x".to_owned())))),
        ["/token_params"]
    );
}

#[test]
fn numbers_make_sense() {
    assert_eq!(broken_by(|d| d.access_token_lifetime_s = Some(0)), ["/access_token_lifetime_s"]);
    assert_eq!(broken_by(|d| d.access_token_lifetime_s = Some(u32::MAX)), ["/access_token_lifetime_s"]);
    assert_eq!(broken_by(|d| d.max_tokens_per_account = Some(0)), ["/max_tokens_per_account"]);
    assert_eq!(broken_by(|d| d.refresh.grace_s = 100_000), ["/refresh/grace_s"]);
    assert_eq!(broken_by(|d| d.refresh.idle_days = Some(0)), ["/refresh/idle_days"]);
    assert_eq!(broken_by(|d| d.refresh.absolute_days = Some(9999)), ["/refresh/absolute_days"]);
}

#[test]
fn identity_pointers_are_json_pointers() {
    let identity =
        |id: &str| Identity { url: "https://example.com/me".into(), id: id.into(), label: "/x".into() };
    assert_eq!(broken_by(|d| d.identity = Some(identity("id"))), ["/identity/id"]);
    assert!(broken_by(|d| d.identity = Some(identity("/id"))).is_empty());
}

#[test]
fn variables_are_declared_used_and_anchored() {
    assert_eq!(broken_by(|d| d.token_url = "https://example.com/{v}".to_owned()), ["/url_variables"]);
    assert_eq!(broken_by(|d| drop(d.url_variables.insert("v".into(), "^a$".into()))), ["/url_variables/v"]);
    for pattern in ["[a-z]+", "^[a-z]+", "[a-z]+$", "^[a-z]+\\$", "^([a-z]+$", "^a)|(b$", "^(?x)a #$"] {
        let found = variable("https://{v}.example.com/token", pattern).validate(Rules::default());
        assert_eq!(found.unwrap_err()[0].pointer, "/url_variables/v", "{pattern}");
    }
    assert_eq!(variable("https://{v}.example.com/token", "^[a-z0-9-]+$").validate(Rules::default()), Ok(()));
}

#[test]
fn a_pattern_binds_the_whole_value() {
    let definition = variable("https://{v}.example.com/token", "^acme|globex$");
    assert!(!value_is_refused(&definition, "acme") && !value_is_refused(&definition, "globex"));
    assert!(value_is_refused(&definition, "acme-evil") && value_is_refused(&definition, "evil-globex"));
}

#[test]
fn no_value_moves_a_host() {
    let label = variable("https://{v}.example.com/token", "^(?s).*$");
    for value in [
        "evil.com/",
        "evil.com#",
        "evil.com?",
        "user@evil",
        "a:443",
        "a%2eb",
        "a.b",
        "..",
        "",
        "-a",
        "a\\",
        "é",
        "a\nb",
        "evil.com\\",
        "127.0.0.1",
    ] {
        assert!(value_is_refused(&label, value), "{value:?}");
    }
    assert!(!value_is_refused(&label, "Acme-1"));
    let path = variable("https://example.com/{v}/token", "^(?s).*$");
    for value in ["a/b", "..", ".", "a?b", "a#b", "%2e%2e", "a\\b", ""] {
        assert!(value_is_refused(&path, value), "{value:?}");
    }
    assert!(!value_is_refused(&path, "contoso.onmicrosoft.com"));
    let host = variable("https://{v}/token", "^.*$");
    for value in ["a/b", "a@b", "a:80", "a..b", "127.1", "0x7f000001"] {
        assert!(value_is_refused(&host, value), "{value:?}");
    }
    assert!(!value_is_refused(&host, "git.acme.example"));
}

#[test]
fn unknown_values_are_refused_and_missing_ones_are_not() {
    let definition = variable("https://{v}.example.com/token", "^[a-z]+$");
    assert_eq!(definition.check_variables(&BTreeMap::new()), Ok(()));
    let unknown = definition.check_variables(&BTreeMap::from([("w".to_owned(), "a".to_owned())]));
    assert_eq!(unknown.unwrap_err()[0].pointer, "/w");
}

#[test]
fn a_variable_host_needs_the_apps_own_credentials() {
    assert!(!definition().needs_app_credentials());
    assert!(!variable("https://{v}.example.com/token", "^a$").needs_app_credentials());
    assert!(!variable("https://example.com/{v}/token", "^a$").needs_app_credentials());
    assert!(variable("https://{v}/token", "^a$").needs_app_credentials());
    assert!(variable("https://{v}.herokuapp.com/token", "^a$").needs_app_credentials());
}

#[test]
fn origins_are_listed_once() {
    let mut definition = definition();
    definition.probe_url = Some("https://API.example.com/ping".to_owned());
    definition.docs_url = Some("https://docs.example.com/".to_owned());
    let origins: Vec<_> = definition.origins().into_iter().collect();
    assert_eq!(origins, ["https://api.example.com", "https://example.com"]);
}
