//! What does a verified token say?

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use time::{Duration, OffsetDateTime};

use crate::Error;

/// The claims of a verified access token (RFC 9068 §2.2).
///
/// Times are whole seconds, as in the token; a fraction is cut off.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// `iss`: the issuer, byte-equal to the one the guard was built for.
    pub issuer: String,
    /// `sub`: who the token speaks of; the client itself for client_credentials.
    pub subject: String,
    /// `aud`: whom it is for, at least one.
    pub audience: Vec<String>,
    /// `client_id`: which client it was issued to; foreign issuers may leave it out.
    pub client_id: Option<String>,
    /// `exp`: when it ends.
    pub expires_at: OffsetDateTime,
    /// `nbf`: when it begins.
    pub not_before: Option<OffsetDateTime>,
    /// `iat`: when it was issued.
    pub issued_at: Option<OffsetDateTime>,
    /// `jti`: its own name.
    pub id: Option<String>,
    /// `scope`, split at spaces; where absent, the `scp` (string or list) of some foreign issuers.
    pub scope: BTreeSet<String>,
    /// `role`: the broker's role of client or user; one that is no string stands in `extra`.
    pub role: Option<String>,
    /// `authorization_details` (RFC 9396); absent means not confined.
    pub authorization_details: Option<Vec<AuthorizationDetail>>,
    /// Every other claim, as it came.
    pub extra: Map<String, Value>,
}

/// One element of `authorization_details` (RFC 9396 §2).
#[derive(Clone, Debug, PartialEq)]
pub enum AuthorizationDetail {
    /// Where a third-party token may be received.
    BinbToken {
        /// `app/connector`, each side a name or `*`.
        locations: Vec<String>,
        /// The other members.
        extra: Map<String, Value>,
    },
    /// A type this crate does not know, as it came; it has a string `type`.
    Other(Map<String, Value>),
}

impl Claims {
    /// Whether the token carries this scope, compared whole and with case.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.contains(scope)
    }

    /// The locations the token is confined to, or none where it is not confined.
    ///
    /// A token with `authorization_details` of other types only is confined to no location at all.
    pub fn binb_locations(&self) -> Option<Vec<&str>> {
        let details = self.authorization_details.as_ref()?;
        let locations = details.iter().filter_map(|detail| match detail {
            AuthorizationDetail::BinbToken { locations, .. } => Some(locations),
            AuthorizationDetail::Other(_) => None,
        });
        Some(locations.flatten().map(String::as_str).collect())
    }

    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Error> {
        let wire: Wire = serde_json::from_slice(payload).map_err(|_| Error::Malformed)?;
        let Wire { mut extra, .. } = wire;
        let scope = match wire.scope {
            Some(scope) => scope,
            None => Words::take(&mut extra, "scp")?,
        };
        let role = match wire.role {
            Some(Value::String(role)) => Some(role),
            // A foreign issuer means something else by it, a list for instance.
            Some(other) => extra.insert("role".to_owned(), other).and(None),
            None => None,
        };
        Ok(Self {
            issuer: required(wire.iss, "iss")?,
            subject: required(wire.sub, "sub")?,
            audience: wire
                .aud
                .map(List::into_vec)
                .filter(|aud| !aud.is_empty())
                .ok_or(Error::MissingClaim("aud"))?,
            client_id: wire.client_id,
            expires_at: wire.exp.as_ref().map(instant).transpose()?.ok_or(Error::MissingClaim("exp"))?,
            not_before: wire.nbf.as_ref().map(instant).transpose()?,
            issued_at: wire.iat.as_ref().map(instant).transpose()?,
            id: wire.jti,
            scope: scope.into_set(),
            role,
            authorization_details: wire.authorization_details.map(details).transpose()?,
            extra,
        })
    }

    /// Judges the times alone: whole seconds, saturating, because the token chooses the numbers.
    pub(crate) fn check_times(&self, now: OffsetDateTime, leeway: Duration) -> Result<(), Error> {
        let starts = [("nbf", self.not_before), ("iat", self.issued_at)];
        check_times(&self.issuer, self.expires_at, starts, now, leeway)
    }
}

/// `auth_time` (OpenID Connect Core 1.0 §2, RFC 9068 §2.2.1): when the person signed in. One later than the token itself
/// says nothing.
pub(crate) fn auth_time(
    claims: &Map<String, Value>,
    issued_at: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    let Value::Number(number) = claims.get("auth_time")? else { return None };
    instant(number).ok().filter(|at| issued_at.is_some_and(|issued_at| *at <= issued_at))
}

pub(crate) fn check_times(
    issuer: &str,
    expires_at: OffsetDateTime,
    starts: [(&'static str, Option<OffsetDateTime>); 2],
    now: OffsetDateTime,
    leeway: Duration,
) -> Result<(), Error> {
    let (now, leeway) = (now.unix_timestamp(), leeway.whole_seconds());
    if now >= expires_at.unix_timestamp().saturating_add(leeway) {
        return Err(Error::Expired);
    }
    for (claim, start) in starts {
        let skew = start.map_or(0, |start| start.unix_timestamp().saturating_sub(now));
        if skew > leeway {
            tracing::warn!(
                clock.skew_seconds = skew,
                token.claim = claim,
                token.issuer = %issuer,
                "clock skew: refused a token whose `{claim}` lies {skew} s in the future; \
                 check the clock of this host and of the issuer"
            );
            return Err(Error::NotYetValid);
        }
    }
    Ok(())
}

/// The claims as they are on the wire; a repeated one is an error of serde.
#[derive(Deserialize)]
struct Wire {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<List>,
    client_id: Option<String>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    jti: Option<String>,
    scope: Option<Words>,
    role: Option<Value>,
    authorization_details: Option<Vec<Map<String, Value>>>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// A string or a list of strings (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum List {
    One(String),
    Many(Vec<String>),
}

impl List {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Scope tokens, separated by spaces or already in a list.
#[derive(Deserialize)]
#[serde(transparent)]
struct Words(List);

impl Words {
    fn take(claims: &mut Map<String, Value>, name: &str) -> Result<Self, Error> {
        let value = claims.remove(name).unwrap_or_else(|| Value::Array(Vec::new()));
        serde_json::from_value(value).map_err(|_| Error::Malformed)
    }

    fn into_set(self) -> BTreeSet<String> {
        let lines = self.0.into_vec();
        lines
            .iter()
            .flat_map(|line| line.split(' '))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

pub(crate) fn required(claim: Option<String>, name: &'static str) -> Result<String, Error> {
    claim.filter(|value| !value.is_empty()).ok_or(Error::MissingClaim(name))
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
pub(crate) fn instant(number: &Number) -> Result<OffsetDateTime, Error> {
    let seconds = match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole,
        (None, Some(fraction)) => Duration::saturating_seconds_f64(fraction).whole_seconds(),
        (None, None) => return Err(Error::Malformed),
    };
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Malformed)
}

/// A confinement that cannot be read must not pass for none: the token is refused.
fn details(elements: Vec<Map<String, Value>>) -> Result<Vec<AuthorizationDetail>, Error> {
    elements.into_iter().map(detail).collect()
}

fn detail(mut element: Map<String, Value>) -> Result<AuthorizationDetail, Error> {
    match element.get("type") {
        Some(Value::String(kind)) if kind == "binb_token" => {
            let locations = element.remove("locations").ok_or(Error::Malformed)?;
            let locations = serde_json::from_value(locations).map_err(|_| Error::Malformed)?;
            element.remove("type");
            Ok(AuthorizationDetail::BinbToken { locations, extra: element })
        }
        Some(Value::String(_)) => Ok(AuthorizationDetail::Other(element)),
        _ => Err(Error::Malformed),
    }
}
