//! What does an admin do before anybody can connect anything? An app, the provider's credentials, an invitation,
//! and a client for the job: all over the REST.

use jeton_client::{Broker, Method, Secret};
use serde_json::{Value, json};
use url::Url;

use super::stage::{PROVIDER_CLIENT, Stage};
use super::tell::{Teller, json_fields};
use super::{deviation, no_url};
use crate::cli::Error;
use crate::cli::remote::failing;

/// The person of the play.
pub(super) const EMAIL: &str = "ada@acme.example";

/// A client that may fetch the token of `acme/sandbox` and do nothing else.
pub(super) struct JobClient {
    pub(super) id: String,
    pub(super) secret: Secret,
}

/// Makes the app, stores the provider's credentials, invites the person; gives the invitation's link.
pub(super) async fn prepare(stage: &Stage, teller: &mut Teller) -> Result<Url, Error> {
    teller.step("An admin makes the app `acme`, stores the client of the provider, and invites a person")?;
    let app = json!({"id": "acme", "name": "Acme"});
    ask(stage, teller, Method::POST, &["apps"], &app, &["id", "name", "state"]).await?;
    let credentials = json!({"client_id": PROVIDER_CLIENT.0, "client_secret": PROVIDER_CLIENT.1});
    let shown = ["client_id", "has_secret", "redirect_uri"];
    ask(stage, teller, Method::PUT, &["connectors", "sandbox", "credentials"], &credentials, &shown).await?;
    let guest = json!({"email": EMAIL, "connectors": ["sandbox"]});
    let made =
        ask(stage, teller, Method::POST, &["apps", "acme", "invitations"], &guest, &["url", "expires_at"]);
    Url::parse(text(&made.await?, "url")?).map_err(no_url)
}

/// Makes the job's client.
pub(super) async fn job_client(stage: &Stage, teller: &mut Teller) -> Result<JobClient, Error> {
    let wanted = json!({"identifier": "nightly-load", "kind": "service", "role": "superadmin",
        "scopes": ["binb:read"], "allow": ["acme/sandbox"]});
    let shown = ["client_id", "client_secret", "scopes", "allow"];
    let made = ask(stage, teller, Method::POST, &["clients"], &wanted, &shown).await?;
    Ok(JobClient {
        id: text(&made, "client_id")?.to_owned(),
        secret: Secret::new(text(&made, "client_secret")?),
    })
}

async fn ask(
    stage: &Stage,
    teller: &mut Teller,
    method: Method,
    path: &[&str],
    body: &Value,
    shown: &[&str],
) -> Result<Value, Error> {
    let path = [&["admin", "v1"], path].concat();
    let carried: Vec<&str> = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    teller.sent(&method, &stage.at(&format!("/{}", path.join("/")))?, &json_fields(body, &carried))?;
    let (status, answer) = call(&stage.admin, method, &path, Some(body)).await?;
    teller.came(status, &json_fields(&answer, shown))?;
    Ok(answer)
}

/// One call through the client library.
pub(super) async fn call(
    broker: &Broker,
    method: Method,
    path: &[&str],
    body: Option<&Value>,
) -> Result<(u16, Value), Error> {
    let doing = format!("{method} /{} was not answered as it should be", path.join("/"));
    broker.call(method, path, &[], body).await.map_err(failing(doing))
}

/// A text that the answer must have.
pub(super) fn text<'a>(answer: &'a Value, name: &str) -> Result<&'a str, Error> {
    answer.get(name).and_then(Value::as_str).ok_or_else(|| deviation(format!("an answer has no `{name}`")))
}
