//! What is a caller told who may not pass?
//!
//! Values for `WWW-Authenticate` (RFC 6750 §3). Whatever is put in, the value is one well-formed challenge: a
//! character the grammar has no room for is replaced, so that nobody breaks out of a quoted string or a line.

use std::fmt;

use crate::Error;

/// A `Bearer` challenge; its `Display` is the header value.
///
/// ```
/// use jeton_guard::{BearerError, Challenge};
///
/// let challenge = Challenge::new("terms").error(BearerError::InsufficientScope).scope("terms:write");
/// assert_eq!(challenge.to_string(), r#"Bearer realm="terms", error="insufficient_scope", scope="terms:write""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    error: Option<BearerError>,
    description: Option<String>,
    scope: Vec<String>,
}

/// The error codes of RFC 6750 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerError {
    /// The request is malformed: 400.
    InvalidRequest,
    /// The token is expired, revoked, malformed or otherwise refused: 401.
    InvalidToken,
    /// The token is good but does not reach this far: 403.
    InsufficientScope,
}

impl BearerError {
    /// The value of `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

impl Challenge {
    /// A challenge without an error code, for a request that carried no bearer token.
    pub fn new(realm: &str) -> Self {
        Self { realm: quotable(realm), error: None, description: None, scope: Vec::new() }
    }

    /// The challenge for a refused token: `invalid_token` and the cause; none where the token was not judged.
    pub fn for_refused(realm: &str, error: Error) -> Option<Self> {
        let judged = !error.is_temporary();
        judged.then(|| Self::new(realm).error(BearerError::InvalidToken).description(&error.to_string()))
    }

    /// Says what is wrong.
    #[must_use]
    pub fn error(mut self, error: BearerError) -> Self {
        self.error = Some(error);
        self
    }

    /// Explains it to a developer; `"`, `\` and all but printable ASCII are replaced.
    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        self.description = Some(quotable(description));
        self
    }

    /// Names the scopes that are needed, separated by spaces; one that is not a scope token (RFC 6749 §3.3) is left out.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope.extend(scope.split(' ').filter(|token| is_scope_token(token)).map(str::to_owned));
        self
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer realm=\"{}\"", self.realm)?;
        if let Some(error) = self.error {
            write!(f, ", error=\"{}\"", error.as_str())?;
        }
        if let Some(description) = &self.description {
            write!(f, ", error_description=\"{description}\"")?;
        }
        if !self.scope.is_empty() {
            write!(f, ", scope=\"{}\"", self.scope.join(" "))?;
        }
        Ok(())
    }
}

/// Printable ASCII without `"` and `\`, which is what `error_description` may hold.
fn quotable(text: &str) -> String {
    let replace = |character| match character {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => character,
        _ => '?',
    };
    text.chars().map(replace).collect()
}

fn is_scope_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_token_is_told_no_error() {
        assert_eq!(Challenge::new("jeton").to_string(), r#"Bearer realm="jeton""#);
    }

    #[test]
    fn all_parameters_come_in_order() {
        let challenge = Challenge::new("jeton")
            .error(BearerError::InvalidToken)
            .description("the token has expired")
            .scope("binb:read apps:read");
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="jeton", error="invalid_token", error_description="the token has expired", scope="binb:read apps:read""#
        );
    }

    #[test]
    fn nothing_breaks_out_of_the_quotes_or_the_line() {
        let challenge = Challenge::new("a\"b\\c\r\nX-Evil: 1").description("é\0\"").scope("ok a\"b c\\d é");
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="a'b/c??X-Evil: 1", error_description="??'", scope="ok""#
        );
    }

    #[test]
    fn a_token_nobody_could_judge_gets_no_challenge() {
        assert_eq!(Challenge::for_refused("jeton", Error::KeysUnavailable), None);
    }

    #[test]
    fn a_header_parameter_is_named_without_breaking_the_grammar() {
        let challenge = Challenge::for_refused("jeton", Error::Header("jku")).map(|it| it.to_string());
        assert_eq!(
            challenge.as_deref(),
            Some(
                r#"Bearer realm="jeton", error="invalid_token", error_description="the token header carries `jku`, which is not accepted""#
            )
        );
    }
}
