use actix_web::http::header;
use actix_web::test::TestRequest;
use actix_web::{FromRequest, ResponseError};
use rstest::rstest;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::model::app::AppId;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Body {
    id: AppId,
    #[serde(default)]
    nested: Vec<Nested>,
    secret: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Nested {
    n: u8,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(alias = "auth_flow_id")]
    flow: Option<String>,
    min_ttl: Option<u32>,
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Service,
}

async fn body_of(problem: &Problem) -> Value {
    let body = problem.error_response().into_body();
    serde_json::from_slice(&actix_web::body::to_bytes(body).await.unwrap()).unwrap()
}

async fn json(content_type: &str, body: impl Into<actix_web::web::Bytes>) -> Result<Body, Problem> {
    let request = TestRequest::post().insert_header((header::CONTENT_TYPE, content_type)).set_payload(body);
    let (request, mut payload) = request.to_http_parts();
    Json::<Body>::from_request(&request, &mut payload).await.map(|json| json.0)
}

fn query(text: &str) -> Result<Params, Problem> {
    query::parse(text.as_bytes())
}

#[actix_web::test]
async fn a_good_body_is_read() {
    let body = json("application/json; charset=utf-8", r#"{"id":"acme","nested":[{"n":1}]}"#).await.unwrap();
    assert_eq!((body.id.as_str(), body.nested[0].n), ("acme", 1));
}

#[rstest]
#[case::unknown(r#"{"id":"acme","colour":"red"}"#, "/colour", "is not known here")]
#[case::unknown_inside(
    r#"{"id":"acme","nested":[{"n":1},{"n":1,"m":2}]}"#,
    "/nested/1/m",
    "is not known here"
)]
#[case::missing(r#"{}"#, "/id", "is missing")]
#[case::repeated(r#"{"id":"acme","id":"globex"}"#, "/id", "is repeated")]
#[case::not_an_id(r#"{"id":"canary!"}"#, "/id", "must match [a-z0-9]([a-z0-9-]*[a-z0-9])?")]
#[case::reserved(r#"{"id":"admin"}"#, "/id", "is a reserved name")]
#[case::wrong_type(r#"{"id":"acme","secret":123456789}"#, "/secret", "must be a string")]
#[case::out_of_range(
    r#"{"id":"acme","nested":[{"n":300}]}"#,
    "/nested/0/n",
    "must be a whole number in range"
)]
#[case::quoted(r#"{"id":"acme","nested":["canary"]}"#, "/nested/0", "must be an object")]
#[case::broken(r#"{"id":"acme""#, "", "is not JSON: line 1, column 12")]
#[case::trailing(r#"{"id":"acme"}{}"#, "", "is not JSON: line 1, column 14")]
#[case::empty("", "", "is not JSON: line 1, column 0")]
#[case::nul(r#"{"id":"acme","secret":"a\u0000"}"#, "", "a text holds the character NUL")]
#[actix_web::test]
async fn a_bad_body_is_pointed_at_and_not_repeated(
    #[case] sent: &'static str,
    #[case] pointer: &str,
    #[case] detail: &str,
) {
    let problem = json("application/json", sent).await.unwrap_err();
    let answer = body_of(&problem).await;
    assert_eq!(answer["code"], "invalid_request");
    assert_eq!(
        (&answer["errors"][0]["pointer"], &answer["errors"][0]["detail"]),
        (&pointer.into(), &detail.into())
    );
    assert!(!answer.to_string().contains("canary"), "{answer}");
}

#[actix_web::test]
async fn an_escaped_backslash_before_u0000_is_no_nul() {
    let body = json("application/json", r#"{"id":"acme","secret":"\\u0000"}"#).await.unwrap();
    assert_eq!(body.secret.as_deref(), Some(r"\u0000"));
}

#[rstest]
#[case("text/plain", 10, Code::UnsupportedMediaType)]
#[case("", 10, Code::UnsupportedMediaType)]
#[case("application/json; charset=latin1", 10, Code::UnsupportedMediaType)]
#[case("application/json", MAX_BODY_BYTES + 1, Code::TooLarge)]
#[case("application/json", MAX_BODY_BYTES, Code::InvalidRequest)]
#[actix_web::test]
async fn content_type_and_size_are_limited(
    #[case] content_type: &str,
    #[case] size: usize,
    #[case] code: Code,
) {
    assert_eq!(json(content_type, vec![b' '; size]).await.unwrap_err().code(), code);
}

#[rstest]
#[case("min_ttl=60&min_ttl=60", "min_ttl", "is repeated")]
#[case("flow=a&auth_flow_id=b", "flow", "is repeated")]
#[case("color=1", "color", "is not known here")]
#[case("min_ttl=abc", "min_ttl", "invalid digit found in string")]
#[case("min_ttl=-1", "min_ttl", "invalid digit found in string")]
#[case("kind=canary", "kind", "must be `service`")]
#[case("flow=%zz", "", "is not form-urlencoded UTF-8")]
#[actix_web::test]
async fn a_bad_query_is_pointed_at(#[case] text: &str, #[case] pointer: &str, #[case] detail: &str) {
    let answer = body_of(&query(text).unwrap_err()).await;
    assert_eq!(
        (&answer["errors"][0]["pointer"], &answer["errors"][0]["detail"]),
        (&pointer.into(), &detail.into())
    );
}

#[test]
fn a_good_query_is_read() {
    let params = query("auth_flow_id=a%2Bb&min_ttl=60&kind=service").unwrap();
    assert_eq!(params, Params { flow: Some("a+b".into()), min_ttl: Some(60), kind: Some(Kind::Service) });
    assert_eq!(query("").unwrap(), Params { flow: None, min_ttl: None, kind: None });
}

#[actix_web::test]
async fn a_form_takes_its_own_content_type_only() {
    let read = async |content_type: &str| {
        let request =
            TestRequest::post().insert_header((header::CONTENT_TYPE, content_type)).set_payload("min_ttl=5");
        let (request, mut payload) = request.to_http_parts();
        Form::<Params>::from_request(&request, &mut payload).await.map(|form| form.0.min_ttl)
    };
    assert_eq!(read("application/x-www-form-urlencoded").await.unwrap(), Some(5));
    assert_eq!(read("multipart/form-data").await.unwrap_err().code(), Code::UnsupportedMediaType);
}

#[rstest]
#[case(None, Ok(None))]
#[case(Some("\"7\""), Ok(Some(7)))]
#[case(Some("*"), Ok(None))]
#[case(Some("W/\"7\""), Err(Code::PreconditionFailed))]
#[case(Some("7"), Err(Code::PreconditionFailed))]
#[actix_web::test]
async fn if_match_names_a_version(#[case] value: Option<&str>, #[case] expected: Result<Option<i64>, Code>) {
    let mut request = TestRequest::default();
    if let Some(value) = value {
        request = request.insert_header((header::IF_MATCH, value));
    }
    let (request, mut payload) = request.to_http_parts();
    let read = IfMatch::from_request(&request, &mut payload).await;
    assert_eq!(read.map(|it| it.0).map_err(|problem| problem.code()), expected);
}

#[actix_web::test]
async fn ids_that_cannot_exist_are_answered_as_absent() {
    let request = |app: &str, connector: &str, id: &str| {
        let request = TestRequest::default();
        let request = request.param("app_id", app.to_owned()).param("connector", connector.to_owned());
        Segments(request.param("id", id.to_owned()).to_http_request())
    };
    let long = "a".repeat(64);
    let path = request(&long, "-", "1");
    assert_eq!(path.app().unwrap_err().code(), Code::AppNotFound);
    assert_eq!(path.connector().unwrap_err().code(), Code::ConnectorNotFound);
    assert_eq!(path.uuid("id").unwrap_err().code(), Code::NotFound);
    assert_eq!(request("admin", "GitHub", "1").app().unwrap_err().code(), Code::AppNotFound);
    assert_eq!(request("acme", "GitHub", "1").connector().unwrap().as_str(), "github");
}
