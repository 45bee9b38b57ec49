//! Does the document have every route that the server has, and no other?

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{Data, to};
use actix_web::{App, HttpRequest, HttpResponse};
use serde_json::Value;

use crate::http::routes;
use crate::http::settings::WebSettings;
use crate::model::public_url::PublicUrl;

/// Why a route is not in the document.
const LEFT_OUT: [(&str, &[&str]); 7] = [
    (
        "the same without the final slash",
        &[
            "/o/authorize",
            "/o/device",
            "/o/device_authorization",
            "/o/introspect",
            "/o/revoke_token",
            "/o/token",
            "/o/userinfo",
        ],
    ),
    ("the same with a final slash", &["/docs/"]),
    (
        "the same document at the address that RFC 8414 §3.1 makes of an issuer with a path",
        &["/.well-known/oauth-authorization-server/{path:.*}", "/.well-known/openid-configuration/{path:.*}"],
    ),
    (
        "a page for people, and the forms that it alone sends",
        &[
            "/",
            "/account",
            "/account/applications",
            "/account/password/{token}",
            "/account/sessions",
            "/connect/confirm",
            "/connect/links/{token}",
            "/invitations/{token}",
            "/login",
            "/login/oidc",
            "/login/oidc/unlink",
            "/login/proxy",
            "/logout",
            "/{app_id}/connect",
            "/{app_id}/{connector}/signup",
        ],
    ),
    (
        "where a provider sends the browser",
        &[
            "/connect/{connector}/callback",
            "/connect/{connector}/callback/{app_id}",
            "/connect/{connector}/install",
            "/login/oidc/callback",
        ],
    ),
    ("a part of the pages", &["/static/style.css"]),
    ("says that there is nothing", &["/o/{rest:.*}"]),
];

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The patterns of each resource, from actix's own map of them, which it tells only to whoever debugs.
fn resources(map: &str) -> Vec<Vec<String>> {
    let lists = map.split("patterns: ").skip(1).map(|rest| rest.split_once(", is_prefix").unwrap().0);
    let patterns = lists.map(|list| list.split('"').skip(1).step_by(2).map(str::to_owned).collect());
    patterns.filter(|patterns: &Vec<String>| patterns.concat() != "").collect()
}

/// The pattern with something in place of each variable.
fn path(pattern: &str) -> String {
    let mut parts = pattern.split('{');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |path, rest| path + "x" + rest.split_once('}').unwrap().1)
}

/// The methods that each pattern of the server takes.
async fn served() -> BTreeMap<String, BTreeSet<String>> {
    let url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
    let map = |request: HttpRequest| async move {
        HttpResponse::Ok().body(format!("{:?}", request.resource_map()))
    };
    // Without its services: a route answers that it has none, and one that does not take a method still says so.
    let app = App::new().app_data(Data::new(WebSettings::new(url, Vec::new())));
    let app = init_service(app.configure(routes).default_service(to(map))).await;
    let asked = |method: &Method, path: &str| {
        TestRequest::with_uri(path).method(method.clone()).insert_header((header::HOST, "127.0.0.1:8080"))
    };
    let map = read_body(call_service(&app, asked(&Method::GET, "/nowhere").to_request()).await).await;
    let mut served = BTreeMap::new();
    for resource in resources(std::str::from_utf8(&map).unwrap()) {
        for pattern in &resource {
            let mut taken = BTreeSet::new();
            for method in &METHODS {
                let answer = call_service(&app, asked(method, &path(pattern)).to_request()).await;
                let matched = answer.request().match_pattern();
                assert_eq!(matched.as_ref(), resource.first(), "{pattern} is reached");
                if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
                    taken.insert(method.as_str().to_ascii_lowercase());
                }
            }
            served.insert(pattern.clone(), taken);
        }
    }
    served
}

#[actix_web::test]
async fn every_route_is_in_the_document_or_left_out_for_a_reason() {
    let mut served = served().await;
    assert!(served.len() > 80, "{}", served.len());
    for (why, patterns) in LEFT_OUT {
        for pattern in patterns {
            assert!(served.remove(*pattern).is_some(), "{pattern} ({why}) is no route");
        }
    }
    let document: Value = serde_json::from_str(&super::document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let documented =
        paths.map(|(path, item)| (path.clone(), item.as_object().unwrap().keys().cloned().collect()));
    let (served, documented) = (each(served), each(documented.collect()));
    let missing: Vec<_> = served.difference(&documented).collect();
    let unserved: Vec<_> = documented.difference(&served).collect();
    assert!(missing.is_empty() && unserved.is_empty(), "missing {missing:?}, not served {unserved:?}");
}

fn each(routes: BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let each = |(path, methods): (String, BTreeSet<String>)| {
        methods.into_iter().map(move |method| format!("{method} {path}"))
    };
    routes.into_iter().flat_map(each).collect()
}
