//! What does a token say before its signature is checked?
//!
//! Compact serialisation only (RFC 7515 §7.1). Everything here is a claim of whoever sent it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{Algorithm, Error};

/// The parts of a token, the signature not yet checked.
pub(crate) struct Compact<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) kind: Kind,
    /// What the signature covers: header and payload as they came.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

/// What the `typ` header says a token is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `at+jwt` (RFC 9068 §2.1).
    AccessToken,
    /// `JWT` or nothing: may as well be an ID token.
    Plain,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    jwk: bool,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Error> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Error::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Error::Malformed)?;
        if payload.contains('.') {
            return Err(Error::Malformed);
        }
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Error::Malformed)?;
        header.refuse_foreign_parameters()?;
        Ok(Self {
            algorithm: Algorithm::from_name(&header.alg).ok_or(Error::Algorithm)?,
            kind: Kind::from_typ(header.typ.as_deref())?,
            kid: header.kid,
            signed,
            signature: decode(signature)?,
            payload,
        })
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, Error> {
        decode(self.payload)
    }
}

impl Header {
    /// Keys come from the issuer alone, and we know no extension that could be critical.
    fn refuse_foreign_parameters(&self) -> Result<(), Error> {
        let seen = [
            (self.jwk, "jwk"),
            (self.jku, "jku"),
            (self.x5u, "x5u"),
            (self.x5c, "x5c"),
            (self.crit, "crit"),
            (self.enc, "enc"),
            (self.zip, "zip"),
        ];
        match seen.into_iter().find(|(present, _)| *present) {
            Some((_, name)) => Err(Error::Header(name)),
            None => Ok(()),
        }
    }
}

impl Kind {
    /// Media types compare without case, and `application/` may be left out (RFC 7515 §4.1.9).
    fn from_typ(typ: Option<&str>) -> Result<Self, Error> {
        let Some(typ) = typ.map(str::to_ascii_lowercase) else {
            return Ok(Self::Plain);
        };
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "at+jwt" => Ok(Self::AccessToken),
            "jwt" => Ok(Self::Plain),
            _ => Err(Error::Type),
        }
    }
}

/// True whatever the value, `null` included: presence is what we refuse.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

fn decode(part: &str) -> Result<Vec<u8>, Error> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Error::Malformed)
}
