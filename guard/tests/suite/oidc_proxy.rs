//! Whom does the scheme of a proxy let in, and what does it take from whom?

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jeton_guard::{
    Error, Forwarded, GivenKeys, HeaderError, IdTokenError, KeySet, OidcProxyBuilder, OidcProxyError,
    OidcProxyScheme, Refused,
};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use crate::accepted::Lines;
use crate::support::{Draft, ES, ES_OTHER, ISSUER, NOW, draft, key_set};

pub(crate) const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// The options of the test issuer, whose key is `ES`.
fn scheme() -> OidcProxyBuilder {
    OidcProxyScheme::builder(ISSUER, ISSUER)
        .keys(GivenKeys::new(key_set(&[&ES])))
        .client_id("shop")
        .trusted_proxies(["10.0.0.0/8"])
}

/// The access token of somebody, as Keycloak marks it.
fn access() -> Draft {
    draft().header("typ", "JWT").claim("sub", "ada").claim("email", "from the access token").without("role")
}

/// An ID token of the same person.
pub(crate) fn id_token() -> Draft {
    ["client_id", "scope", "role", "jti"]
        .into_iter()
        .fold(draft(), Draft::without)
        .header("typ", "JWT")
        .claim("sub", "ada")
        .claim("aud", "shop")
        .claim("nonce", "of the proxy's request")
        .claim("at_hash", "of an older access token")
        .claim("preferred_username", "Ada")
        .claim("email", "from the ID token")
}

pub(crate) fn told(claims: &Value) -> String {
    STANDARD.encode(claims.to_string())
}

struct Request {
    peer: Option<IpAddr>,
    headers: Vec<(&'static str, String)>,
}

/// With an access token, through the proxy.
fn request() -> Request {
    let authorization = format!("Bearer {}", access().sign(&ES));
    Request { peer: Some(PROXY), headers: vec![("authorization", authorization)] }
}

impl Request {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn from(mut self, peer: impl Into<Option<IpAddr>>) -> Self {
        self.peer = peer.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes()).collect()
    }

    async fn at(&self, scheme: OidcProxyBuilder) -> Result<Forwarded, Refused> {
        scheme.build().unwrap().require(self.peer, |name| self.values(name), NOW).await
    }
}

fn header(name: &str, cause: HeaderError) -> Refused {
    Refused::Header { name: name.to_owned(), cause }
}

#[expect(clippy::disallowed_methods, reason = "the test compares what was sent")]
#[tokio::test]
async fn all_three_tokens_come_and_the_access_token_has_the_first_word() {
    let id = id_token().claim("scope", "terms:write").claim("role", "superadmin").sign(&ES);
    let request = request().with("X-Id-Token", &*id).with("X-Refresh-Token", "opaque~1");
    let forwarded = request.at(scheme()).await.unwrap();
    let claims = &forwarded.claims;
    assert_eq!(claims.subject, "ada");
    assert_eq!(claims.extra["preferred_username"], "Ada");
    assert_eq!(claims.extra["email"], "from the access token");
    assert!(claims.has_scope("binb:read") && !claims.has_scope("terms:write") && claims.role.is_none());
    assert!(["role", "scope", "nonce", "at_hash"].iter().all(|name| !claims.extra.contains_key(*name)));
    assert_eq!(format!("Bearer {}", forwarded.access_token.expose_secret()), request.headers[0].1);
    assert_eq!(forwarded.id_token.as_ref().unwrap().expose_secret(), id);
    assert_eq!(forwarded.refresh_token.as_ref().unwrap().expose_secret(), "opaque~1");
    let debug = format!("{forwarded:?}");
    assert!(!debug.contains("opaque~1") && !debug.contains(&id[..40]), "{debug}");
}

#[tokio::test]
async fn an_access_token_alone_is_enough() {
    for token in [access(), access().header("typ", "at+jwt"), access().without_header("typ")] {
        let request =
            request().without("authorization").with("authorization", format!("bearer {}", token.sign(&ES)));
        let forwarded = request.at(scheme()).await.unwrap();
        assert!(forwarded.id_token.is_none() && forwarded.refresh_token.is_none());
        assert!(!forwarded.claims.extra.contains_key("preferred_username"));
    }
}

/// As Apache's `RequestHeader set` with nothing to set.
#[tokio::test]
async fn an_empty_header_is_none() {
    let empty = ["x-id-token", "x-refresh-token", "x-userinfo"];
    let request = empty.into_iter().fold(request(), |request, name| request.with(name, ""));
    let forwarded = request.at(scheme()).await.unwrap();
    assert!(forwarded.id_token.is_none() && forwarded.refresh_token.is_none());
    let bare = || scheme().auth_token_header("x-access-token").auth_token_in_authorization(false);
    let nobody = Request { peer: Some(PROXY), headers: Vec::new() }.with("x-access-token", "");
    assert_eq!(nobody.at(bare()).await.map(drop), Err(Refused::Missing));
    let broken = Request { peer: Some(PROXY), headers: Vec::new() }.with("x-access-token", "a b");
    assert_eq!(broken.at(bare()).await.map(drop), Err(header("x-access-token", HeaderError::Malformed)));
}

#[tokio::test]
async fn the_headers_can_be_renamed_and_the_token_be_bare() {
    let request = request()
        .without("authorization")
        .with("OIDC_access_token", access().sign(&ES))
        .with("OIDC_id_token", id_token().sign(&ES))
        .with("OIDC_refresh_token", "r-1");
    let renamed = scheme()
        .auth_token_header("OIDC_access_token")
        .auth_token_in_authorization(false)
        .id_token_header("OIDC_id_token")
        .refresh_token_header("OIDC_refresh_token");
    let forwarded = request.at(renamed).await.unwrap();
    assert!(forwarded.id_token.is_some() && forwarded.refresh_token.is_some());
    assert_eq!(request.at(scheme()).await.map(drop), Err(Refused::Missing));
}

#[rstest]
#[case::past_the_proxy(request().from(STRANGER), Refused::UntrustedPeer)]
#[case::from_nowhere(request().from(None), Refused::UntrustedPeer)]
#[case::nothing(request().without("authorization"), Refused::Missing)]
#[case::who_it_is_unsigned_alone(
    request().without("authorization").with("x-userinfo", told(&json!({"sub": "ada"}))),
    Refused::Missing
)]
#[case::id_token_alone(request().without("authorization").with("x-id-token", id_token().sign(&ES)), Refused::Missing)]
#[case::another_scheme(request().without("authorization").with("authorization", "Basic YTpi"), Refused::Missing)]
#[case::access_token_twice(
    request().with("Authorization", "Bearer x"),
    header("Authorization", HeaderError::Repeated)
)]
#[case::access_tokens_joined(
    request().without("authorization").with("authorization", "Bearer x, Bearer y"),
    header("Authorization", HeaderError::Malformed)
)]
#[case::id_token_twice(
    request().with("x-id-token", id_token().sign(&ES)).with("X-ID-Token", "x"),
    header("x-id-token", HeaderError::Repeated)
)]
#[case::id_tokens_joined(request().with("x-id-token", "a.b.c, d.e.f"), header("x-id-token", HeaderError::Malformed))]
#[case::refresh_token_twice(
    request().with("x-refresh-token", "a").with("x-refresh-token", "a"),
    header("x-refresh-token", HeaderError::Repeated)
)]
#[case::refresh_tokens_joined(request().with("x-refresh-token", "a,b"), header("x-refresh-token", HeaderError::Malformed))]
#[case::endless_refresh_token(
    request().with("x-refresh-token", "a".repeat(9_000)),
    header("x-refresh-token", HeaderError::Malformed)
)]
#[case::userinfo_twice(
    request().with("x-userinfo", told(&json!({"sub": "ada"}))).with("x-userinfo", told(&json!({"sub": "ada"}))),
    header("x-userinfo", HeaderError::Repeated)
)]
#[case::userinfo_of_another(
    request().with("x-userinfo", told(&json!({"sub": "eve"}))),
    Refused::OtherSubject("x-userinfo".to_owned())
)]
#[case::userinfo_not_base64(request().with("x-userinfo", "{}"), header("x-userinfo", HeaderError::Malformed))]
#[case::userinfo_not_json(request().with("x-userinfo", "aGVsbG8="), header("x-userinfo", HeaderError::Malformed))]
#[case::claims_of_another(
    request().with("x-id-token", told(&json!({"sub": "eve"}))),
    Refused::OtherSubject("x-id-token".to_owned())
)]
#[case::id_token_of_another(
    request().with("x-id-token", id_token().claim("sub", "eve").sign(&ES)),
    Refused::OtherSubject("x-id-token".to_owned())
)]
#[tokio::test]
async fn headers_that_cannot_be_trusted_are_refused(#[case] request: Request, #[case] refused: Refused) {
    assert_eq!(request.at(scheme()).await.map(drop), Err(refused));
    let nobody = scheme().auto_error(false).build().unwrap();
    let found = nobody.find(request.peer, |name| request.values(name), NOW).await;
    assert!(found.unwrap().is_none(), "nobody in particular without auto_error");
}

#[rstest]
#[case::unsigned(Error::Signature, format!("{}.", id_token().unsigned()))]
#[case::none(Error::Algorithm, format!("{}.", id_token().header("alg", "none").unsigned()))]
#[case::another_key(Error::Signature, id_token().sign(&ES_OTHER))]
#[case::unknown_key(Error::UnknownKey, id_token().header("kid", "es-9").sign(&ES))]
#[case::its_own_key(Error::Header("jwk"), id_token().header("jwk", ES.jwk()).sign(&ES))]
#[case::another_issuer(Error::Issuer, id_token().claim("iss", "https://evil.example").sign(&ES))]
#[case::another_client(Error::Audience, id_token().claim("aud", "eves-shop").sign(&ES))]
#[case::access_token(Error::Type, id_token().header("typ", "at+jwt").sign(&ES))]
#[case::from_the_future(Error::NotYetValid, id_token().at("iat", 31).sign(&ES))]
#[case::not_a_token(Error::Malformed, "a.b".to_owned())]
#[tokio::test]
async fn an_id_token_that_is_not_good_is_refused(#[case] error: Error, #[case] token: String) {
    let refused = request().with("x-id-token", token).at(scheme()).await.map(drop);
    assert_eq!(refused, Err(Refused::IdToken(IdTokenError::Token(error))));
}

#[tokio::test]
async fn an_id_token_issued_to_another_client_is_refused() {
    let token = id_token().claim("aud", json!(["shop", "other"])).claim("azp", "other").sign(&ES);
    let refused = request().with("x-id-token", token).at(scheme()).await.map(drop);
    assert_eq!(refused, Err(Refused::IdToken(IdTokenError::AuthorizedParty)));
}

#[rstest]
#[case::marked_by_keycloak(id_token().without("nonce").without("at_hash").claim("typ", "ID"))]
#[case::with_a_hash(id_token().without("nonce"))]
#[case::with_a_nonce(id_token().without("at_hash"))]
#[tokio::test]
async fn an_id_token_is_no_access_token(#[case] token: Draft) {
    let token = token.claim("aud", ISSUER).sign(&ES);
    let request = request().without("authorization").with("authorization", format!("Bearer {token}"));
    assert_eq!(request.at(scheme()).await.map(drop), Err(Refused::AccessToken(Error::Type)));
}

/// A proxy that has refreshed keeps the first ID token.
#[tokio::test]
async fn an_expired_id_token_counts_as_none() {
    let forwarded =
        request().with("x-id-token", id_token().at("exp", -60).sign(&ES)).at(scheme()).await.unwrap();
    assert!(forwarded.id_token.is_none());
    assert!(!forwarded.claims.extra.contains_key("preferred_username"));
}

/// As APISIX sends it: understood, so that it is no error, and believed in nothing.
#[tokio::test]
async fn claims_without_a_signature_are_never_believed() {
    let claims =
        json!({"sub": "ada", "preferred_username": "Root", "groups": ["admins"], "role": "superadmin"});
    for (encoded, name) in [
        (told(&claims), "x-id-token"),
        (URL_SAFE_NO_PAD.encode(claims.to_string()), "x-id-token"),
        (told(&claims), "x-userinfo"),
        (told(&json!({"active": true, "groups": ["admins"]})), "x-userinfo"),
    ] {
        let forwarded = request().with(name, encoded).at(scheme()).await.unwrap();
        assert!(forwarded.id_token.is_none() && forwarded.claims.role.is_none());
        assert!(
            ["preferred_username", "groups"].iter().all(|name| !forwarded.claims.extra.contains_key(*name))
        );
    }
}

#[tokio::test]
async fn where_any_verified_token_is_taken_nothing_else_is() {
    let anywhere = || scheme().any_verified();
    let request = request()
        .with("x-id-token", id_token().sign(&ES))
        .with("x-id-token", "twice")
        .with("x-refresh-token", "r-1")
        .with("x-userinfo", told(&json!({"sub": "eve"})));
    for peer in [Some(STRANGER), Some(PROXY), None] {
        let forwarded = Request { peer, headers: request.headers.clone() }.at(anywhere()).await.unwrap();
        assert!(forwarded.id_token.is_none() && forwarded.refresh_token.is_none());
        assert!(!forwarded.claims.extra.contains_key("preferred_username"));
    }
    let unsigned = format!("Bearer {}.", access().unsigned());
    let request = request.without("authorization").with("authorization", unsigned);
    assert_eq!(request.at(anywhere()).await.map(drop), Err(Refused::AccessToken(Error::Signature)));
}

#[tokio::test]
async fn a_proxy_is_known_by_network_or_address_in_either_family() {
    let from = async |networks: &[&str], peer: &str| {
        let scheme = scheme().trusted_proxies(networks.iter().copied());
        request().from(peer.parse::<IpAddr>().unwrap()).at(scheme).await.map(drop)
    };
    assert_eq!(from(&["10.1.2.3"], "10.1.2.3").await, Ok(()));
    assert_eq!(from(&["192.0.2.0/24", "10.1.2.0/30"], "::ffff:10.1.2.3").await, Ok(()));
    assert_eq!(from(&["fd00::/8"], "fd12::1").await, Ok(()));
    for (networks, peer) in [("10.1.2.0/30", "10.1.2.4"), ("10.1.2.3", "10.1.2.4"), ("fd00::/8", "10.1.2.3")]
    {
        assert_eq!(from(&[networks], peer).await, Err(Refused::UntrustedPeer), "{networks} {peer}");
    }
}

#[tokio::test]
async fn a_token_nobody_can_judge_yet_is_an_error_also_without_auto_error() {
    let keyless = || scheme().keys(GivenKeys::new(KeySet::default()));
    let unavailable = Refused::AccessToken(Error::KeysUnavailable);
    assert_eq!(request().at(keyless()).await.map(drop), Err(unavailable.clone()));
    let (request, scheme) = (request(), keyless().auto_error(false).build().unwrap());
    let found = scheme.find(request.peer, |name| request.values(name), NOW).await;
    assert_eq!(found.map(drop), Err(unavailable));
}

#[tokio::test]
async fn why_nobody_is_known_is_logged_once_a_minute_where_no_answer_tells() {
    let (lines, _quiet) = Lines::start();
    let scheme = scheme().auto_error(false).build().unwrap();
    let bearer = |token: String| Request { peer: Some(PROXY), headers: vec![("authorization", token)] };
    let strange = bearer(format!("Bearer {}", access().sign(&ES_OTHER)));
    let elsewhere = bearer(format!("Bearer {}", access().claim("aud", "shop").sign(&ES)));
    let nobody = Request { peer: Some(PROXY), headers: vec![] };
    for (later, count) in [(0, 1), (59, 1), (61, 2)] {
        let now = NOW + time::Duration::seconds(later);
        for request in [&strange, &elsewhere, &request().with("x-id-token", "a,b"), &nobody] {
            let found = scheme.find(request.peer, |name| request.values(name), now).await;
            assert!(found.unwrap().is_none());
        }
        let log = lines.text();
        for told in [
            "cause=\"the token has an invalid",
            "the token is for another audience",
            "the header `x-id-token`",
        ] {
            assert_eq!(log.matches(told).count(), count, "{told} in {log}");
        }
        assert_eq!(log.lines().count(), 3 * count, "{log}");
    }
}

#[test]
fn the_address_is_the_issuer_or_its_document() {
    for url in [ISSUER.to_owned(), format!("{ISSUER}/.well-known/openid-configuration")] {
        let scheme = OidcProxyScheme::builder(url, "terms").any_verified().scheme_name("OIDC behind a proxy");
        let scheme = scheme.build().unwrap();
        assert_eq!(scheme.scheme_name(), "OIDC behind a proxy");
        let document = format!("{ISSUER}/.well-known/openid-configuration");
        assert_eq!(scheme.openapi(), json!({"type": "openIdConnect", "openIdConnectUrl": document}));
    }
}

#[test]
fn a_scheme_that_would_believe_too_much_or_nothing_is_not_built() {
    let built = |scheme: OidcProxyBuilder| scheme.build().map(drop).map_err(|error| error.to_string());
    let bare = || OidcProxyScheme::builder(ISSUER, "terms");
    assert!(matches!(bare().build(), Err(OidcProxyError::NoProxies)));
    assert!(matches!(bare().trusted_proxies(Vec::<String>::new()).build(), Err(OidcProxyError::NoProxies)));
    let anywhere = |url: &str, audience: &str| built(OidcProxyScheme::builder(url, audience).any_verified());
    assert_eq!(anywhere(ISSUER, ""), Err("no audience is set".to_owned()));
    assert_eq!(
        anywhere("http://sso.example.com", "a"),
        Err("`open_id_connect_url` cannot be used".to_owned())
    );
    for network in ["10.0.0.0/33", "proxy", ""] {
        let expected = format!("`{network}` is no address and no network in CIDR notation");
        assert_eq!(built(bare().trusted_proxies([network])), Err(expected));
    }
    for name in ["", "x id", "x:id", "é"] {
        for scheme in [
            bare().any_verified().id_token_header(name),
            bare().any_verified().refresh_token_header(name),
            bare().any_verified().auth_token_header(name),
        ] {
            assert_eq!(built(scheme), Err(format!("`{name}` is no name of a header")));
        }
    }
}

proptest! {
    #[test]
    fn no_header_makes_the_scheme_panic_or_believe(
        id in any::<String>(), userinfo in any::<String>(), refresh in any::<String>(), token in any::<String>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let request = request()
            .without("authorization")
            .with("authorization", format!("Bearer {token}"))
            .with("x-id-token", id)
            .with("x-userinfo", userinfo)
            .with("x-refresh-token", refresh);
        prop_assert!(runtime.block_on(request.at(scheme())).is_err());
    }

    #[test]
    fn nothing_beside_a_good_access_token_adds_a_claim_but_a_signed_one(
        id in any::<String>(), userinfo in any::<String>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let plain = runtime.block_on(request().at(scheme())).unwrap();
        let request = request().with("x-id-token", id).with("x-userinfo", userinfo);
        if let Ok(forwarded) = runtime.block_on(request.at(scheme())) {
            prop_assert_eq!(forwarded.claims, plain.claims);
            prop_assert!(forwarded.id_token.is_none());
        }
    }
}
