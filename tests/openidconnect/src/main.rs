//! Does the crate `openidconnect` get along with the authorization server? `tests/suite/relying/openidconnect.rs` starts
//! this with an issuer, a web application, its redirect URI and a script; the web application's secret comes on standard
//! input. It says each step it passed, and asks for what only a person can do: `open URL` is answered with where the
//! browser was sent, `wait SECONDS` with an empty line. It panics where something is not as it should be.

use std::io::{BufRead, Read};
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreDeviceAuthorizationResponse, CoreErrorResponseType, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreRevocableToken, CoreSubjectIdentifierType, CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::url::Url;
use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, HttpRequest, HttpResponse, IntrospectionUrl, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, ProviderMetadata, RedirectUrl, RequestTokenError, RevocationUrl,
    Scope, TokenIntrospectionResponse, TokenResponse,
};
use serde::{Deserialize, Serialize};

/// What RFC 8414 has beside OpenID Connect Discovery.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Endpoints {
    device_authorization_endpoint: DeviceAuthorizationUrl,
    introspection_endpoint: IntrospectionUrl,
    revocation_endpoint: RevocationUrl,
}

impl AdditionalProviderMetadata for Endpoints {}

type Metadata = ProviderMetadata<
    Endpoints,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

fn main() {
    let [issuer, shop, redirect, script] =
        <[String; 4]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
            .expect("issuer, client, redirect URI, script");
    let secret = line();
    let issuer = IssuerUrl::new(issuer).unwrap();
    let metadata = Metadata::discover(&issuer, &send).unwrap();
    assert_eq!(metadata.issuer(), &issuer);
    passed("discovery");
    let shop = (ClientId::new(shop), ClientSecret::new(secret));
    a_machine(&metadata, &shop);
    a_person(&metadata, &shop, &RedirectUrl::new(redirect).unwrap());
    a_device(&metadata, ClientId::new(script));
}

/// A client's own token: issued, active, revoked, inactive.
fn a_machine(metadata: &Metadata, (id, secret): &(ClientId, ClientSecret)) {
    let client = CoreClient::from_provider_metadata(metadata.clone(), id.clone(), Some(secret.clone()))
        .set_introspection_url(metadata.additional_metadata().introspection_endpoint.clone())
        .set_revocation_url(over_tls(&metadata.additional_metadata().revocation_endpoint));
    let own = client.exchange_client_credentials().unwrap().request(&send).unwrap();
    assert!(own.refresh_token().is_none() && own.id_token().is_none(), "RFC 6749 §4.4.3");
    assert_eq!(own.expires_in(), Some(Duration::from_secs(3_600)));
    passed("client_credentials");
    let told = client.introspect(own.access_token()).request(&send).unwrap();
    assert!(told.active());
    assert_eq!((told.client_id(), told.sub()), (Some(id), Some(id.as_str())));
    assert_eq!(told.iss(), Some(metadata.issuer().as_str()));
    passed("introspection");
    client
        .revoke_token(CoreRevocableToken::from(own.access_token().clone()))
        .unwrap()
        .request(&send)
        .unwrap();
    assert!(!client.introspect(own.access_token()).request(&send).unwrap().active());
    passed("revocation");
}

/// A sign-in with code, PKCE and nonce; who it is; the next tokens; their end.
fn a_person(metadata: &Metadata, (id, secret): &(ClientId, ClientSecret), redirect: &RedirectUrl) {
    let client = CoreClient::from_provider_metadata(metadata.clone(), id.clone(), Some(secret.clone()))
        .set_redirect_uri(redirect.clone())
        .set_introspection_url(metadata.additional_metadata().introspection_endpoint.clone())
        .set_revocation_url(over_tls(&metadata.additional_metadata().revocation_endpoint));
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email", "offline_access"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let back = Url::parse(&ask(&format!("open {url}"))).unwrap();
    assert_eq!(&parameter(&back, "state"), state.secret());
    assert_eq!(parameter(&back, "iss"), metadata.issuer().as_str(), "RFC 9207");
    let code = AuthorizationCode::new(parameter(&back, "code"));
    let tokens =
        client.exchange_code(code.clone()).unwrap().set_pkce_verifier(verifier).request(&send).unwrap();
    passed("code with PKCE");

    let keys = client.id_token_verifier();
    let id_token = tokens.id_token().unwrap();
    let claims = id_token.claims(&keys, &nonce).unwrap();
    assert!(id_token.claims(&keys, &Nonce::new_random()).is_err(), "another sign-in's nonce");
    let (algorithm, key) = (id_token.signing_alg().unwrap(), id_token.signing_key(&keys).unwrap());
    let hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash), "OpenID Connect Core §3.1.3.6");
    assert_eq!(claims.name().and_then(|name| name.get(None)).map(|name| name.as_str()), Some("Ada"));
    assert!(claims.auth_time().is_some());
    passed("ID token");

    let person: CoreUserInfoClaims = client
        .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        .unwrap()
        .request(&send)
        .unwrap();
    assert_eq!(person.email().map(|email| email.as_str()), Some("ada@example.com"));
    passed("userinfo");

    let first = tokens.refresh_token().unwrap();
    let next = client.exchange_refresh_token(first).unwrap().request(&send).unwrap();
    let second = next.refresh_token().unwrap();
    assert_ne!(second.secret(), first.secret(), "it rotates");
    let again = next.id_token().unwrap().claims(&keys, |_: Option<&Nonce>| Ok(())).unwrap();
    assert_eq!((again.subject(), again.auth_time()), (claims.subject(), claims.auth_time()), "§12.2");
    assert!(active(&client.introspect(next.access_token()).request(&send)));
    passed("refresh");

    client.revoke_token(CoreRevocableToken::from(second.clone())).unwrap().request(&send).unwrap();
    assert!(!active(&client.introspect(next.access_token()).request(&send)), "RFC 7009 §2.1");
    let refused = client.exchange_refresh_token(second).unwrap().request(&send).unwrap_err();
    assert!(is_invalid_grant(&refused), "{refused:?}");
    let (_, verifier) = PkceCodeChallenge::new_random_sha256();
    let refused = client.exchange_code(code).unwrap().set_pkce_verifier(verifier).request(&send).unwrap_err();
    assert!(is_invalid_grant(&refused), "{refused:?}");
    passed("revocation of a grant");
}

/// A script without a secret, and the person at another machine.
fn a_device(metadata: &Metadata, script: ClientId) {
    let client = CoreClient::from_provider_metadata(metadata.clone(), script, None)
        .set_device_authorization_url(metadata.additional_metadata().device_authorization_endpoint.clone());
    let scopes = ["profile", "offline_access"].map(|scope| Scope::new(scope.to_owned()));
    let device: CoreDeviceAuthorizationResponse =
        client.exchange_device_code().add_scopes(scopes).request(&send).unwrap();
    let asked = std::cell::Cell::new(0);
    let waits = |interval: Duration| {
        asked.set(asked.get() + 1);
        // The first answer is `authorization_pending`; then the person says yes.
        if asked.get() == 1 {
            let complete = device.verification_uri_complete().unwrap();
            ask(&format!("open {}", complete.secret()));
        }
        ask(&format!("wait {}", interval.as_secs()));
    };
    let tokens: CoreTokenResponse =
        client.exchange_device_access_token(&device).unwrap().request(&send, waits, None).unwrap();
    assert_eq!(asked.get(), 1, "no second wait once she has said yes");
    let id_token = tokens.id_token().unwrap();
    // A public client trusts the signature alone.
    let claims = id_token.claims(&client.id_token_verifier(), |_: Option<&Nonce>| Ok(())).unwrap();
    assert_eq!(claims.preferred_username().map(|name| name.as_str()), Some("ada@example.com"));
    passed("device");
}

fn active<E: std::fmt::Debug>(told: &Result<openidconnect::core::CoreTokenIntrospectionResponse, E>) -> bool {
    told.as_ref().unwrap().active()
}

fn is_invalid_grant<E: std::error::Error + 'static>(
    error: &RequestTokenError<E, openidconnect::StandardErrorResponse<CoreErrorResponseType>>,
) -> bool {
    matches!(error, RequestTokenError::ServerResponse(said) if *said.error() == CoreErrorResponseType::InvalidGrant)
}

/// The crate revokes over https alone: `send` takes the part of the front that ends TLS.
fn over_tls(endpoint: &RevocationUrl) -> RevocationUrl {
    RevocationUrl::new(endpoint.as_str().replacen("http://", "https://", 1)).unwrap()
}

/// One request, redirects not followed.
fn send(mut request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    *request.uri_mut() = request.uri().to_string().replacen("https://", "http://", 1).parse().unwrap();
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
    let (parts, mut body) = ureq::Agent::new_with_config(config).run(request)?.into_parts();
    let mut bytes = Vec::new();
    body.as_reader().take(1_000_000).read_to_end(&mut bytes).map_err(ureq::Error::Io)?;
    Ok(HttpResponse::from_parts(parts, bytes))
}

fn passed(step: &str) {
    println!("passed {step}");
}

/// Says what is needed; the answer.
fn ask(what: &str) -> String {
    println!("{what}");
    line()
}

fn line() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(own, _)| own == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}
