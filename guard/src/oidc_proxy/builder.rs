//! How is the scheme of a proxy set up?

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::headers::Names;
use super::{Inner, OidcProxyScheme, Trust};
use crate::seldom::Seldom;
use crate::{Algorithm, BuildError, Guard, IdTokens, KeySource, RemoteKeys, UrlError};

/// Where an issuer's document stands (OpenID Connect Discovery 1.0 §4).
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// The options of an [`OidcProxyScheme`]: the eight of the contract, with their defaults, and what else a deployment
/// may need.
#[derive(Debug)]
#[must_use]
pub struct OidcProxyBuilder {
    open_id_connect_url: String,
    audience: String,
    id_token_header: String,
    refresh_token_header: String,
    auth_token_header: String,
    auth_token_in_authorization: bool,
    auto_error: bool,
    scheme_name: String,
    trust: Option<Chosen>,
    client_id: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    leeway: Option<Duration>,
    keys: Option<KeySource>,
}

#[derive(Debug)]
enum Chosen {
    Proxies(Vec<String>),
    AnyVerified,
}

/// Why a scheme cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum OidcProxyError {
    /// `open_id_connect_url` cannot be used.
    #[error("`open_id_connect_url` cannot be used")]
    Url(#[source] UrlError),
    /// What makes no guard makes no scheme: an empty audience, a leeway over 60 s, no algorithm.
    #[error(transparent)]
    Guard(#[from] BuildError),
    /// Not the name of a header (RFC 9110 §5.1).
    #[error("`{0}` is no name of a header")]
    HeaderName(String),
    /// Neither an address nor a network.
    #[error("`{0}` is no address and no network in CIDR notation")]
    Network(String),
    /// Nobody said whom to believe.
    #[error("name the proxies with `trusted_proxies`, or choose `any_verified`")]
    NoProxies,
}

impl OidcProxyBuilder {
    pub(super) fn new(open_id_connect_url: String, audience: String) -> Self {
        Self {
            open_id_connect_url,
            audience,
            id_token_header: "x-id-token".to_owned(),
            refresh_token_header: "x-refresh-token".to_owned(),
            auth_token_header: "Authorization".to_owned(),
            auth_token_in_authorization: true,
            auto_error: true,
            scheme_name: "OidcProxyScheme".to_owned(),
            trust: None,
            client_id: None,
            algorithms: None,
            leeway: None,
            keys: None,
        }
    }

    /// The header with the ID token; `x-id-token` by default. APISIX sends base64 of its claims there, unsigned, which
    /// gives no claims and no ID token; the signed one is in `X-Raw-ID-Token` where its `set_raw_id_token_header` is on.
    pub fn id_token_header(mut self, name: impl Into<String>) -> Self {
        self.id_token_header = name.into();
        self
    }

    /// The header with the refresh token; `x-refresh-token` by default.
    pub fn refresh_token_header(mut self, name: impl Into<String>) -> Self {
        self.refresh_token_header = name.into();
        self
    }

    /// The header with the access token; `Authorization` by default.
    pub fn auth_token_header(mut self, name: impl Into<String>) -> Self {
        self.auth_token_header = name.into();
        self
    }

    /// Whether that header holds `Bearer` and the token, as `Authorization` does, or the bare token; true by default.
    pub fn auth_token_in_authorization(mut self, with_scheme: bool) -> Self {
        self.auth_token_in_authorization = with_scheme;
        self
    }

    /// Whether a request that is refused is an error, or one by nobody in particular (`None`); true by default.
    pub fn auto_error(mut self, auto_error: bool) -> Self {
        self.auto_error = auto_error;
        self
    }

    /// What the scheme is called in documents and challenges; the name of the type, `OidcProxyScheme`, by default.
    pub fn scheme_name(mut self, name: impl Into<String>) -> Self {
        self.scheme_name = name.into();
        self
    }

    /// Reads headers of requests from these addresses (`10.1.2.3`) and networks (`10.0.0.0/8`, `fd00::/8`) only; every
    /// other request is refused. The proxy must be the only thing there that forwards what strangers send, and must
    /// remove these headers from what it receives.
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item: Into<String>>) -> Self {
        self.trust = Some(Chosen::Proxies(networks.into_iter().map(Into::into).collect()));
        self
    }

    /// Takes the access token from whoever brings it, and looks at no other header: for where nobody knows the
    /// address of the proxy (pods).
    pub fn any_verified(mut self) -> Self {
        self.trust = Some(Chosen::AnyVerified);
        self
    }

    /// The client that the proxy signs people in as, whom ID tokens are for; the audience by default.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Accepts these algorithms only; ES256 and RS256 by default.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Forgives clocks that differ by this much at `exp`, `nbf` and `iat` of the access token, in whole seconds; 30 s
    /// by default, 60 at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Takes the keys from here, not from what the issuer's document names: where the issuer is reached under another
    /// address than it bears.
    pub fn keys(mut self, keys: impl Into<KeySource>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// Makes the scheme. The network is not used before the first token.
    ///
    /// # Errors
    /// The first option that cannot be used.
    pub fn build(self) -> Result<OidcProxyScheme, OidcProxyError> {
        let issuer =
            self.open_id_connect_url.strip_suffix(DOCUMENT).unwrap_or(&self.open_id_connect_url).to_owned();
        let keys = match self.keys {
            Some(keys) => keys,
            None => RemoteKeys::discovery(&issuer).map_err(OidcProxyError::Url)?.into(),
        };
        // Foreign issuers, Keycloak among them, call their access tokens `JWT` or nothing.
        let mut guard =
            Guard::builder(&issuer).audience(&self.audience).keys(keys.clone()).accept_plain_jwt();
        let mut id_tokens = IdTokens::new(&issuer, self.client_id.unwrap_or(self.audience), keys);
        if let Some(algorithms) = self.algorithms {
            guard = guard.algorithms(algorithms.iter().copied());
            id_tokens = id_tokens.algorithms(algorithms);
        }
        if let Some(leeway) = self.leeway {
            guard = guard.leeway(leeway);
        }
        let inner = Inner {
            guard: guard.build()?,
            id_tokens,
            trust: self.trust.ok_or(OidcProxyError::NoProxies)?.parse()?,
            names: Names {
                access_token: header_name(self.auth_token_header)?,
                in_authorization: self.auth_token_in_authorization,
                id_token: header_name(self.id_token_header)?,
                refresh_token: header_name(self.refresh_token_header)?,
            },
            auto_error: self.auto_error,
            scheme_name: self.scheme_name,
            open_id_connect_url: format!("{}{DOCUMENT}", issuer.trim_end_matches('/')),
            told: Seldom::default(),
        };
        Ok(OidcProxyScheme { inner: Arc::new(inner) })
    }
}

impl Chosen {
    fn parse(self) -> Result<Trust, OidcProxyError> {
        match self {
            Self::AnyVerified => Ok(Trust::AnyVerified),
            Self::Proxies(networks) if networks.is_empty() => Err(OidcProxyError::NoProxies),
            Self::Proxies(networks) => {
                let networks = networks.into_iter().map(network).collect::<Result<_, _>>()?;
                Ok(Trust::Proxies(networks))
            }
        }
    }
}

fn network(text: String) -> Result<IpNet, OidcProxyError> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| OidcProxyError::Network(text))
}

fn header_name(name: String) -> Result<String, OidcProxyError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(token) { Ok(name) } else { Err(OidcProxyError::HeaderName(name)) }
}
