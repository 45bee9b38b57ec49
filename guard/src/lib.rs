//! Is an access token good, and what does it say?
//!
#![doc = include_str!("../README.md")]
#![warn(clippy::missing_errors_doc)] // a library says when its functions fail

#[cfg(feature = "actix")]
pub mod actix;
mod algorithm;
mod bearer;
mod cache;
mod challenge;
mod claims;
mod error;
mod guard;
mod id_token;
mod keys;
mod oidc_proxy;
mod refused;
mod secret;
mod seldom;
mod source;
mod token;

pub use algorithm::Algorithm;
pub use bearer::{HeaderError, bearer};
pub use challenge::{BearerError, Challenge};
pub use claims::{AuthorizationDetail, Claims};
pub use error::Error;
pub use guard::{BuildError, Builder, Guard, MAX_LEEWAY, MAX_TOKEN_BYTES};
pub use id_token::{Expected, IdTokenError, IdTokens, Identity, MAX_ID_TOKEN_BYTES};
pub use keys::{KeySet, KeySetError};
pub use oidc_proxy::{Forwarded, OidcProxyBuilder, OidcProxyError, OidcProxyScheme};
pub use refused::Refused;
pub use secret::Secret;
pub use source::{GivenKeys, KeySource, RemoteKeys, UrlError};
