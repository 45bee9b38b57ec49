//! Section `login.oidc`: sign-in by another OpenID provider.

use url::Url;

use super::reader::Reader;
use crate::model::secret::Secret;
use crate::model::uri::is_loopback;

const ISSUER: &str = "login.oidc.issuer";
const CLIENT_ID: &str = "login.oidc.client_id";
const CLIENT_SECRET: &str = "login.oidc.client_secret";
const APPS_CLAIM: &str = "login.oidc.apps_claim";
const SUPERADMIN_VALUES: &str = "login.oidc.superadmin_values";
const FORWARDED_AUDIENCE: &str = "login.oidc.forwarded_audience";
const FORWARDED_CLIENT_ID: &str = "login.oidc.forwarded_client_id";
const FORWARDED_TOKEN_HEADER: &str = "login.oidc.forwarded_token_header";
const FORWARDED_LOGOUT_URL: &str = "login.oidc.forwarded_logout_url";

/// The provider, and what its claims give.
#[derive(Clone, Debug)]
pub struct UpstreamLogin {
    /// Its issuer, as it writes it itself.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// Our secret there; a public client has none.
    pub client_secret: Option<Secret>,
    /// The claim that names apps; none: claims give nothing.
    pub apps_claim: Option<String>,
    /// Values of it that make a superadmin.
    pub superadmin_values: Vec<String>,
    /// What the proxies of `proxy.trusted` forward.
    pub forwarded: Option<ForwardedLogin>,
}

/// Tokens of the provider that a reverse proxy forwards.
#[derive(Clone, Debug)]
pub struct ForwardedLogin {
    /// Whom the access tokens are for.
    pub audience: String,
    /// The client that the proxy is at the provider; none: the audience.
    pub client_id: Option<String>,
    /// The header with the bare access token; none: `Authorization`, after `Bearer`.
    pub token_header: Option<String>,
    /// Where the proxy signs people out; none: people are told in words.
    pub logout_url: Option<String>,
}

pub(super) fn read(reader: &mut Reader, allow_loopback: bool, has_proxies: bool) -> Option<UpstreamLogin> {
    let hint = "an https URL without query, as the provider writes its issuer (http on loopback where \
                `outbound.allow_loopback` is set)";
    let issuer = reader.checked(ISSUER, hint, |text| is_issuer(text, allow_loopback));
    let client_id = reader.text(CLIENT_ID);
    let client_secret = reader.secret(CLIENT_SECRET);
    let apps_claim = reader.text(APPS_CLAIM);
    let superadmin_values = reader.list(SUPERADMIN_VALUES, |text| Ok::<_, String>(text.to_owned()));
    if apps_claim.is_none() && !superadmin_values.is_empty() {
        reader.refuse(SUPERADMIN_VALUES, format!("needs `{APPS_CLAIM}`: the claim they are values of"));
    }
    let forwarded = forwarded(reader, has_proxies);
    match (issuer, client_id) {
        (Some(issuer), Some(client_id)) => {
            Some(UpstreamLogin { issuer, client_id, client_secret, apps_claim, superadmin_values, forwarded })
        }
        (Some(_), None) => {
            reader.refuse(ISSUER, format!("needs `{CLIENT_ID}`: who we are at the provider"));
            None
        }
        (None, _) => {
            let others = [CLIENT_ID, CLIENT_SECRET, APPS_CLAIM, FORWARDED_AUDIENCE];
            let alone = others.into_iter().find(|key| reader.is_set(key) && !reader.is_set(ISSUER));
            alone.into_iter().for_each(|key| {
                reader.refuse(key, format!("needs `{ISSUER}`: the provider it is about"));
            });
            None
        }
    }
}

fn forwarded(reader: &mut Reader, has_proxies: bool) -> Option<ForwardedLogin> {
    let client_id = reader.text(FORWARDED_CLIENT_ID);
    let hint = "the name of a header, other than `Authorization`";
    let token_header = reader.checked(FORWARDED_TOKEN_HEADER, hint, is_other_header);
    let hint = "a path of this host that begins with `/`, or an https URL";
    let logout_url = reader.checked(FORWARDED_LOGOUT_URL, hint, is_page);
    let Some(audience) = reader.text(FORWARDED_AUDIENCE) else {
        for key in [FORWARDED_CLIENT_ID, FORWARDED_TOKEN_HEADER, FORWARDED_LOGOUT_URL] {
            if reader.is_set(key) {
                reader.refuse(key, format!("needs `{FORWARDED_AUDIENCE}`: whom the tokens are for"));
            }
        }
        return None;
    };
    if !has_proxies {
        reader.refuse(
            FORWARDED_AUDIENCE,
            "needs `proxy.trusted`: the proxies whose headers are believed".to_owned(),
        );
    }
    Some(ForwardedLogin { audience, client_id, token_header, logout_url })
}

fn is_other_header(text: &str) -> bool {
    text.parse::<http::HeaderName>().is_ok_and(|name| name != http::header::AUTHORIZATION)
}

fn is_page(text: &str) -> bool {
    let path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    path || Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host())
}

/// OpenID Connect Discovery 1.0 §3.
fn is_issuer(text: &str, allow_loopback: bool) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let bare = url.username().is_empty() && url.password().is_none();
    let secure = url.scheme() == "https" || (url.scheme() == "http" && allow_loopback && is_loopback(&url));
    bare && secure && url.has_host() && url.query().is_none() && url.fragment().is_none()
}
