//! Can a person read what the interface is? Every operation, every schema, every code, without script and without anything
//! from elsewhere; and what an error's `type` leads to.

use std::collections::BTreeSet;
use std::process::Command;

use jeton::http::problem::Code;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::app::{Broker, Home};
use crate::support::house::House;
use crate::support::peer::{is_here, skipped};

/// What is between `open` and the next `close`, each time.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    text.split(open).skip(1).map(|rest| rest.split(close).next().unwrap()).collect()
}

fn plain(html: &str) -> String {
    html.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
}

/// Method, path and operation of each that the document has.
fn operations() -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(&jeton::http::openapi::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    assert!(found.len() > 50);
    found
}

async fn get(broker: &Broker, path: &str) -> Response {
    broker.http.get(format!("{}{path}", broker.direct)).send().await.unwrap()
}

async fn page(broker: &Broker, path: &str) -> String {
    let answer = get(broker, path).await;
    assert_eq!(answer.status(), 200, "{path}");
    let headers = answer.headers().clone();
    assert_eq!(headers["content-type"], "text/html; charset=utf-8", "{path}");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self' data:;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(
        (&headers["x-content-type-options"], &headers["x-frame-options"]),
        (&"nosniff".parse().unwrap(), &"DENY".parse().unwrap())
    );
    answer.text().await.unwrap()
}

/// Nothing runs, nothing comes from elsewhere, and links within the page lead somewhere.
fn harmless(html: &str, prefix: &str) {
    let lower = html.to_ascii_lowercase();
    for forbidden in
        ["<script", "javascript:", " onclick", " onload", " style=", "<iframe", "<img", "@import", " src="]
    {
        assert!(!lower.contains(forbidden), "{forbidden}");
    }
    let ids = between(html, " id=\"", "\"");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice");
    let links = between(html, " href=\"", "\"");
    assert!(links.len() > 3, "{links:?}");
    for link in links {
        match link.strip_prefix('#') {
            Some(fragment) => assert!(ids.contains(&fragment), "{link} leads nowhere"),
            None => assert!(
                link == "data:," || link.starts_with(&format!("{prefix}/")) && !link.starts_with("//"),
                "{link}"
            ),
        }
    }
}

#[tokio::test]
async fn every_operation_and_schema_is_in_the_reference_and_nothing_is_from_elsewhere() {
    let broker = Broker::start(&Home::sqlite(), &[]).await;
    let html = page(&broker, "/docs").await;
    harmless(&html, "");
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        let anchor = format!("operation-{id}");
        let parts = between(&html, &format!("<h3 id=\"{anchor}\">"), "</section>");
        assert_eq!(parts.len(), 1, "{id}");
        assert!(html.matches(&format!("href=\"#{anchor}\"")).count() >= 2, "{id} is not in the contents");
        let told = plain(parts[0]);
        let said = |what: &str| assert!(told.contains(what), "{id}: no `{what}` in {told}");
        said(&format!(">{method}</span> <code>{path}</code>"));
        said("curl ");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            said(&format!("<code class=\"term\">{}</code>", parameter["name"].as_str().unwrap()));
        }
        for scope in operation["security"][0]["bearer"].as_array().into_iter().flatten() {
            said(&format!("<code>{}</code>", scope.as_str().unwrap()));
        }
        for body in [&operation["requestBody"], &operation["responses"]["default"]] {
            for (media, content) in body["content"].as_object().into_iter().flatten() {
                said(&format!("<code>{media}</code>"));
                if let Some(name) = content["schema"]["$ref"].as_str() {
                    said(&format!("href=\"#schema-{}\"", name.rsplit('/').next().unwrap()));
                }
            }
        }
        operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .filter(|status| *status != "default")
            .for_each(|status| said(status));
    }
    let document: Value = serde_json::from_str(&jeton::http::openapi::document()).unwrap();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let parts = between(&html, &format!("<h3 id=\"schema-{name}\">"), "</section>");
        assert_eq!(parts.len(), 1, "{name}");
        for field in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                parts[0].contains(&format!("<code class=\"term\">{}</code>", field.0)),
                "{name} {}",
                field.0
            );
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn every_code_has_a_page_that_says_what_to_do_and_leads_back() {
    let broker = Broker::start(&Home::sqlite(), &[]).await;
    let reference = page(&broker, "/docs").await;
    let mut seen = BTreeSet::new();
    for code in Code::ALL {
        let path = format!("/problems/{}", code.as_str());
        assert!(reference.contains(&format!("href=\"{path}\"")), "{path} is not in the reference");
        let html = page(&broker, &path).await;
        harmless(&html, "");
        let action = json!(code.action()).as_str().unwrap().to_owned();
        for told in [
            code.as_str(),
            code.title(),
            &action,
            "What the caller does",
            "At 3 a.m.",
            "href=\"/docs#errors\"",
        ] {
            assert!(plain(&html).contains(told), "{path}: {told}");
        }
        assert!(html.contains(&format!("<dd>{}</dd>", code.status().as_u16())), "{path}");
        // Four paragraphs of its own or of its action, and none borrowed from another code.
        let paragraphs = between(&html, "<p>", "</p>");
        assert_eq!(paragraphs.len(), 5, "{path}");
        for own in [paragraphs[0], paragraphs[2], paragraphs[3]] {
            assert!(own.len() > 20 && own.ends_with('.') && seen.insert(own.to_owned()), "{path}: {own}");
        }
    }
    let unknown = get(&broker, "/problems/nonsense").await;
    assert_eq!(
        (unknown.status().as_u16(), &unknown.headers()["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );
    let asked = broker.http.get(broker.at("/problems/%3Cb%3Ex")).header("accept", "text/html,*/*;q=0.8");
    let unknown = asked.send().await.unwrap();
    assert_eq!(
        (unknown.status().as_u16(), &unknown.headers()["content-type"]),
        (404, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(!unknown.text().await.unwrap().contains("<b>"));
    broker.stop().await;
}

#[tokio::test]
async fn under_a_public_url_with_a_path_every_link_carries_it() {
    let base = "https://api.example.com/laputa";
    let broker = Broker::start(&Home::sqlite(), &[("public_url", base)]).await;
    for path in ["/docs", "/docs/", "/laputa/docs", "/problems/internal"] {
        let html = page(&broker, path).await;
        harmless(&html, "/laputa");
    }
    let html = page(&broker, "/docs").await;
    assert!(
        html.contains("href=\"/laputa/problems/internal\"")
            && html.contains("href=\"/laputa/docs/openapi.json\"")
    );
    assert!(html.contains(&format!("curl {base}/admin/v1/apps \\")));
    let document: Value = get(&broker, "/docs/openapi.json").await.json().await.unwrap();
    assert_eq!(document["servers"], json!([{"url": base}]));
    let mut committed: Value = serde_json::from_str(&jeton::http::openapi::document()).unwrap();
    committed["servers"] = document["servers"].clone();
    assert_eq!(document, committed);
    broker.stop().await;
}

#[tokio::test]
async fn whoever_has_the_reference_gets_it_once() {
    let broker = Broker::start(&Home::sqlite(), &[]).await;
    for path in ["/docs", "/docs/openapi.json", "/static/style.css"] {
        let first = get(&broker, path).await;
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        assert!(first.headers()["cache-control"].to_str().unwrap().starts_with("public, max-age="));
        for (known, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let again =
                broker.http.get(broker.at(path)).header("if-none-match", &known).send().await.unwrap();
            assert_eq!(
                (again.status().as_u16(), &again.headers()["etag"]),
                (status, &tag.parse().unwrap()),
                "{path} {known}"
            );
            assert_eq!(again.text().await.unwrap().is_empty(), status == 304, "{path} {known}");
        }
        let other = broker.http.post(broker.at(path)).send().await.unwrap();
        assert!([404, 405].contains(&other.status().as_u16()), "{path}: {}", other.status());
    }
    broker.stop().await;
}

#[tokio::test]
async fn the_scope_that_an_operation_names_opens_it_and_all_others_together_do_not() {
    let house = House::start().await;
    let all = jeton::model::scope::Scope::ALL.map(jeton::model::scope::Scope::as_str);
    let mut tokens = std::collections::BTreeMap::new();
    for scope in all {
        let others: Vec<&str> = all.into_iter().filter(|one| *one != scope && *one != "superadmin").collect();
        let mut pair = Vec::new();
        for (kind, scopes) in [("only", vec![scope]), ("without", others)] {
            let client = json!({
                "identifier": format!("{kind} {scope}"), "kind": "service", "role": "superadmin", "scopes": scopes,
            });
            let made = house.write(Method::POST, "/clients", &client).await;
            let text = |key: &str| made[key].as_str().unwrap().to_owned();
            pair.push(house.broker.token_of(&(text("client_id"), text("client_secret"))).await);
        }
        tokens.insert(scope, pair);
    }
    let mut named = BTreeSet::new();
    for (method, path, operation) in operations() {
        let wanted = operation["security"][0]["bearer"].as_array();
        assert!(wanted.is_some() || !path.starts_with("/admin/v1/"), "{method} {path} names no scope");
        let Some(scope) = wanted.and_then(|scopes| scopes.first()).and_then(Value::as_str) else { continue };
        named.insert(scope.to_owned());
        let method: Method = method.parse().unwrap();
        let at = house.broker.at(&path.replace(['{', '}'], ""));
        for (token, opens) in tokens[scope].iter().zip([true, false]) {
            let answer =
                house.broker.http.request(method.clone(), &at).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status() != 403, opens, "{method} {path} {scope}: {}", answer.status());
        }
    }
    assert!(named.len() >= 8, "{named:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_reference_is_understood() {
    for program in ["bash", "curl"] {
        if !is_here(program) {
            return skipped(&format!("the reference's commands: no {program} here")).unwrap_or_default();
        }
    }
    let broker = Broker::start(&Home::sqlite(), &[]).await;
    let html = page(&broker, "/docs").await;
    let commands: Vec<String> =
        between(&html, "<pre><code>", "</code></pre>").into_iter().map(plain).collect();
    let (sign_in, samples) = commands.split_first().unwrap();
    assert_eq!(samples.len(), operations().len());
    let run = |script: &str, token: &str| {
        let mut shell = Command::new("bash");
        shell.env("JETON_CLIENT_ID", &broker.superadmin.0).env("JETON_CLIENT_SECRET", &broker.superadmin.1);
        shell.env("TOKEN", token);
        let output = shell.args(["-euo", "pipefail", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let token = run(&format!("{sign_in}\nprintf %s \"$TOKEN\""), "");
    assert_eq!(token.split('.').count(), 3);
    for sample in samples {
        let silent = sample.replacen("curl ", "curl -s -w '\\n%{http_code}' ", 1);
        let told = run(&silent, &token);
        let (body, status) = told.rsplit_once('\n').unwrap_or(("", &told));
        // A token of a person's is another story.
        let of_person = sample.contains("/o/userinfo/") && status == "403";
        // Understood, though nothing is called as the words in capitals say.
        assert!(
            of_person || !["401", "403", "405", "413", "415", "500"].contains(&status),
            "{sample}: {told}"
        );
        let code = serde_json::from_str::<Value>(body).map(|body| body["errors"].clone()).unwrap_or_default();
        let unknown = code
            .as_array()
            .into_iter()
            .flatten()
            .any(|fault| fault["detail"].as_str().unwrap().contains("unknown"));
        assert!(!unknown, "{sample}: {told}");
    }
    broker.stop().await;
}
