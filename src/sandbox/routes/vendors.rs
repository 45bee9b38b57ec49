//! What do Google, HubSpot and Salesforce say in their own words? Token answers, errors, revocation, accounts.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::bearer::{email, holder};
use crate::sandbox::{
    Client,
    grants::{Denied, Issued},
    opaque::number,
    profile::Profile,
    state::State,
};

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    Google,
    Hubspot,
    Salesforce,
}

impl Vendor {
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        match profile {
            Profile::Google(_) => Some(Self::Google),
            Profile::Hubspot(_) => Some(Self::Hubspot),
            Profile::Salesforce(_) => Some(Self::Salesforce),
            Profile::Standard(_) | Profile::Github(_) | Profile::Aircall(_) => None,
        }
    }

    /// What an answer with tokens has beside them.
    pub(super) fn adorn(
        self,
        fields: &mut Map<String, Value>,
        state: &State,
        issued: &Issued,
        now: OffsetDateTime,
    ) {
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        match self {
            Self::Google => {
                put("token_type", json!("Bearer"));
                put("scope", json!(issued.scope.join(" ")));
            }
            Self::Hubspot => {
                put("token_type", json!("bearer"));
                put("token_use", json!("access_token"));
                put("scopes", json!(issued.scope));
                put("hub_id", json!(portal(&issued.user)));
                put("user_id", json!(number(&issued.user)));
            }
            Self::Salesforce => {
                put("token_type", json!("Bearer"));
                put("scope", json!(issued.scope.join(" ")));
                put("instance_url", json!(state.issuer()));
                put("id", json!(identity_url(state, &issued.user)));
                put("issued_at", json!((now.unix_timestamp_nanos() / 1_000_000).to_string()));
                put("signature", json!("c2lnbmVkIGJ5IHRoZSBzYW5kYm94"));
                fields.remove("expires_in");
            }
        }
    }

    /// Status and fields of an answer that brings none.
    pub(super) fn denied(self, denied: Denied) -> (StatusCode, Map<String, Value>) {
        let (status, code, description) = match self {
            Self::Google => google(denied),
            Self::Hubspot => hubspot(denied),
            Self::Salesforce => salesforce(denied),
        };
        let mut fields = Map::new();
        fields.insert("error".into(), json!(code));
        fields.insert("error_description".into(), json!(description));
        if self == Self::Hubspot {
            let legacy = match denied {
                Denied::InvalidClient => "BAD_CLIENT_SECRET",
                Denied::BadRefreshToken => "BAD_REFRESH_TOKEN",
                Denied::BadCode | Denied::BadVerifier => "BAD_AUTH_CODE",
                Denied::RedirectMismatch => "MISMATCH_REDIRECT_URI_AUTH_CODE",
                Denied::InvalidRequest | Denied::UnsupportedGrant => "BAD_GRANT_TYPE",
            };
            fields.insert("status".into(), json!(legacy));
            fields.insert("message".into(), json!(description));
        }
        (status, fields)
    }
}

type Refusal = (StatusCode, &'static str, &'static str);

fn google(denied: Denied) -> Refusal {
    match denied {
        Denied::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized"),
        Denied::BadRefreshToken => {
            (StatusCode::BAD_REQUEST, "invalid_grant", "Token has been expired or revoked.")
        }
        Denied::BadCode => (StatusCode::BAD_REQUEST, "invalid_grant", "Malformed auth code."),
        Denied::BadVerifier => (StatusCode::BAD_REQUEST, "invalid_grant", "Invalid code verifier."),
        Denied::RedirectMismatch => (StatusCode::BAD_REQUEST, "redirect_uri_mismatch", "Bad Request"),
        Denied::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request", "Bad Request"),
        Denied::UnsupportedGrant => (StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type"),
    }
}

fn hubspot(denied: Denied) -> Refusal {
    match denied {
        Denied::InvalidClient => {
            (StatusCode::UNAUTHORIZED, "invalid_client", "missing or invalid client secret")
        }
        Denied::BadRefreshToken => {
            (StatusCode::BAD_REQUEST, "invalid_grant", "missing or invalid refresh token")
        }
        Denied::BadCode | Denied::BadVerifier => {
            (StatusCode::BAD_REQUEST, "invalid_grant", "missing or unknown auth code")
        }
        Denied::RedirectMismatch => (StatusCode::BAD_REQUEST, "invalid_grant", "redirect uri does not match"),
        Denied::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request", "missing parameter"),
        Denied::UnsupportedGrant => (StatusCode::BAD_REQUEST, "unsupported_grant_type", "unknown grant_type"),
    }
}

fn salesforce(denied: Denied) -> Refusal {
    let (code, description) = match denied {
        Denied::InvalidClient => ("invalid_client", "invalid client credentials"),
        Denied::BadRefreshToken => ("invalid_grant", "expired access/refresh token"),
        Denied::BadCode => ("invalid_grant", "expired authorization code"),
        Denied::BadVerifier => ("invalid_grant", "invalid code verifier"),
        Denied::RedirectMismatch => ("redirect_uri_mismatch", "redirect_uri must match configuration"),
        Denied::InvalidRequest => ("invalid_request", "missing required parameter"),
        Denied::UnsupportedGrant => ("unsupported_grant_type", "grant type not supported"),
    };
    (StatusCode::BAD_REQUEST, code, description)
}

/// Google and Salesforce revoke whatever token is shown, whoever shows it, and call a dead one an error. Google ends all
/// that the client has of the account.
pub(super) fn revoke(state: &State, client: &Client, vendor: Vendor, token: &str) -> HttpResponse {
    let now = state.clock.now();
    let fault = client_fault(state, client);
    let mut changing = state.lock();
    changing.counters(&client.client_id).revocations += 1;
    if let Some(status) = fault {
        return HttpResponse::build(status).finish();
    }
    let lives =
        changing.book.find(token, now).is_some_and(|held| held.live && held.client_id == client.client_id);
    if !lives {
        let error = json!({"error": "invalid_token", "error_description": "Token expired or revoked"});
        return HttpResponse::BadRequest().json(error);
    }
    match vendor {
        Vendor::Google => changing.book.revoke_all(token, &client.client_id),
        Vendor::Salesforce | Vendor::Hubspot => changing.book.revoke(token, &client.client_id),
    }
    HttpResponse::Ok().finish()
}

fn client_fault(state: &State, client: &Client) -> Option<StatusCode> {
    let status = state.faults(&client.client_id).revocation_status?;
    StatusCode::from_u16(status).ok()
}

/// Google's `GET /v1/userinfo`.
pub(super) async fn google_user(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    match holder(&state, &request).filter(|holder| holder.scope.iter().any(|scope| scope == "openid")) {
        None => HttpResponse::Unauthorized()
            .json(json!({"error": "invalid_request", "error_description": "Invalid Credentials"})),
        Some(holder) => HttpResponse::Ok().json(json!({
            "sub": format!("1{:020}", number(&holder.user)),
            "email": email(&holder.user),
            "email_verified": true,
        })),
    }
}

/// HubSpot's `GET /account-info/2026-03/details`.
pub(super) async fn hubspot_account(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    match holder(&state, &request) {
        None => HttpResponse::Unauthorized().json(json!({
            "status": "error", "category": "EXPIRED_AUTHENTICATION",
            "message": "The OAuth token used to make this call expired or was revoked.",
        })),
        Some(holder) => HttpResponse::Ok().json(json!({
            "portalId": portal(&holder.user),
            "accountType": "STANDARD",
            "timeZone": "Europe/Paris",
            "companyCurrency": "EUR",
            "uiDomain": "app.hubspot.com",
        })),
    }
}

/// Salesforce's `GET /services/oauth2/userinfo`.
pub(super) async fn salesforce_user(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    match holder(&state, &request) {
        None => HttpResponse::Forbidden().body("Bad_OAuth_Token"),
        Some(holder) => HttpResponse::Ok().json(json!({
            "sub": identity_url(&state, &holder.user),
            "user_id": user_id(&holder.user),
            "organization_id": organization(&holder.user),
            "preferred_username": email(&holder.user),
            "email": email(&holder.user),
        })),
    }
}

/// A portal is a company's: that of the address.
fn portal(user: &str) -> u32 {
    number(email(user).split_once('@').map_or("", |(_, domain)| domain))
}

fn organization(user: &str) -> String {
    format!("00D{:015}", portal(user))
}

fn user_id(user: &str) -> String {
    format!("005{:015}", number(user))
}

fn identity_url(state: &State, user: &str) -> String {
    format!("{}/id/{}/{}", state.issuer(), organization(user), user_id(user))
}
