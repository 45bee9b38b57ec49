//! What goes wrong, and for how long? The faults a client's token requests meet.
//!
//! ```json
//! {"client_id":"sandbox-standard","faults":{"after":"reset","times":1,"grant_type":"refresh_token"}}
//! {"client_id":"sandbox-standard","faults":{"before":{"rate_limited":{"retry_after_s":7}}}}
//! {"client_id":"sandbox-standard","faults":{"before":{"error":{"status":403,"code":"invalid_grant"}}}}
//! {"client_id":"sandbox-standard","faults":{"rotation":{"grace":30},"expires_in":"string","delay_ms":200}}
//! {"client_id":"sandbox-standard","faults":{"after":"html","times":1,"then":{"before":{"status":500}}}}
//! ```

use serde::{Deserialize, Serialize};

use super::profile::Rotation;

/// A set of faults; the default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How many token requests meet this set; none: all, until it is changed.
    pub times: Option<u32>,
    /// The set that follows when `times` are up; none: nothing goes wrong any more.
    pub then: Option<Box<Faults>>,
    /// Only token requests of this grant type meet it, and only they are counted by `times`.
    pub grant_type: Option<String>,

    /// Comes instead of processing: the provider does nothing, no token is spent.
    pub before: Option<Trouble>,
    /// Comes instead of the answer: the provider has done its work, and what it said is lost.
    pub after: Option<Trouble>,
    /// Milliseconds between the request and its processing, which goes on when the caller hangs up.
    pub delay_ms: Option<u64>,
    /// Milliseconds between the processing and the first byte of the answer.
    pub slow_head_ms: Option<u64>,
    /// Milliseconds over which the body of the answer trickles.
    pub slow_body_ms: Option<u64>,

    /// What a refresh does to the refresh token.
    pub rotation: Option<Rotation>,
    /// A refresh answer brings no refresh token, and the old one stays; a code exchange gives none at all.
    pub omit_refresh_token: bool,
    /// A refresh kills the access tokens before it.
    pub kills_access_token: Option<bool>,
    /// How many grants a user may have with the client and the same scopes; one more kills the oldest.
    pub token_cap: Option<usize>,
    /// Seconds an access token lives.
    pub lifetime_s: Option<u64>,
    /// How the answer tells the lifetime.
    pub expires_in: Option<ExpiresIn>,
    /// A refresh moves the grant to this user.
    pub user: Option<String>,
    /// The scopes given instead of those asked for.
    pub scope: Option<String>,
    /// How the answer is written.
    pub format: Option<Format>,
    /// Which issuer the authorization answer names; not bound by `times`.
    pub iss: Option<Iss>,
    /// The status `/revoke` and the GitHub deletions answer, without revoking; not bound by `times`.
    pub revocation_status: Option<u16>,
    /// The status `/userinfo` answers instead of the person; not bound by `times`.
    pub userinfo_status: Option<u16>,
    /// Milliseconds before `/userinfo` answers; not bound by `times`.
    pub userinfo_delay_ms: Option<u64>,
}

impl Faults {
    /// Trouble instead of processing.
    pub fn before(trouble: Trouble) -> Self {
        Self { before: Some(trouble), ..Self::default() }
    }

    /// Trouble instead of the answer.
    pub fn after(trouble: Trouble) -> Self {
        Self { after: Some(trouble), ..Self::default() }
    }

    /// The same set, for so many token requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same set, for refreshes only.
    #[must_use]
    pub fn on_refresh(self) -> Self {
        Self { grant_type: Some("refresh_token".into()), ..self }
    }

    /// Counts one token request: gives what it meets, and leaves what the next one meets.
    pub(super) fn meet(&mut self, grant_type: &str) -> Self {
        if self.times == Some(0) {
            *self = self.then.take().map(|next| *next).unwrap_or_default();
            return if self.times == Some(0) { Self::default() } else { self.meet(grant_type) };
        }
        if self.grant_type.as_deref().is_some_and(|only| only != grant_type) {
            return Self::default();
        }
        let met = self.clone();
        if let Some(left) = self.times {
            self.times = Some(left.saturating_sub(1));
        }
        met
    }

    /// Milliseconds the caller is kept waiting on purpose.
    pub(super) fn waiting_ms(&self) -> u64 {
        [self.delay_ms, self.slow_head_ms, self.slow_body_ms].into_iter().flatten().sum()
    }
}

/// What comes over the wire in place of a proper answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The connection is closed without a byte.
    Reset,
    /// 429.
    RateLimited {
        /// Seconds in `Retry-After`.
        retry_after_s: u64,
    },
    /// A bare status, such as 500 or 503, with a few words of text.
    Status(u16),
    /// A readable OAuth error under any status: 200, 403 or a proper 400.
    Error {
        /// The HTTP status.
        status: u16,
        /// The `error` field.
        code: String,
    },
    /// 200 with a web page.
    Html,
    /// 200 whose connection ends in the middle of the body.
    Truncated,
    /// 200 whose JSON ends in the middle.
    BrokenJson,
    /// 200 with 64 MiB of JSON.
    Huge,
    /// 200 with 64 MiB of nothing in 410 KiB of gzip.
    GzipBomb,
    /// 307 to another path of the sandbox.
    Redirect,
}

impl Trouble {
    /// The refusal that parks a connection.
    pub fn invalid_grant() -> Self {
        Self::Error { status: 400, code: "invalid_grant".into() }
    }

    /// The refusal of the client's credentials.
    pub fn invalid_client() -> Self {
        Self::Error { status: 401, code: "invalid_client".into() }
    }

    /// The same as [`Trouble::invalid_grant`] with 403, as Atlassian does.
    pub fn forbidden_grant() -> Self {
        Self::Error { status: 403, code: "invalid_grant".into() }
    }

    /// An error in a 200, as GitHub does.
    pub fn error_with_200(code: impl Into<String>) -> Self {
        Self::Error { status: 200, code: code.into() }
    }
}

/// How a token answer tells the lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// Not at all.
    Missing,
    /// As a JSON string.
    String,
    /// As -1.
    Negative,
    /// As a number of some 30,000 years.
    Absurd,
}

/// How a token answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Which issuer an authorization answer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Iss {
    /// Somebody else.
    Wrong,
    /// Nobody.
    Missing,
    /// The sandbox, even where the profile says nothing.
    Right,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lasts_its_times_and_then_the_next_one_comes() {
        let next = Faults::after(Trouble::Html).times(1);
        let mut faults =
            Faults { then: Some(Box::new(next)), ..Faults::before(Trouble::Reset) }.times(2).on_refresh();
        assert_eq!(faults.meet("authorization_code"), Faults::default(), "another grant type meets nothing");
        assert_eq!(faults.meet("refresh_token").before, Some(Trouble::Reset));
        assert_eq!(faults.meet("refresh_token").before, Some(Trouble::Reset));
        assert_eq!(faults.meet("refresh_token").after, Some(Trouble::Html));
        assert_eq!(faults.meet("refresh_token"), Faults::default());
        assert_eq!(faults.meet("refresh_token"), Faults::default());
    }

    #[test]
    fn faults_read_as_documented_and_unknown_ones_are_refused() {
        let read = |json: &str| serde_json::from_str::<Faults>(json);
        assert_eq!(
            read(r#"{"before":{"rate_limited":{"retry_after_s":7}}}"#).unwrap().before,
            Some(Trouble::RateLimited { retry_after_s: 7 })
        );
        assert_eq!(
            read(r#"{"before":{"error":{"status":403,"code":"invalid_grant"}}}"#).unwrap().before,
            Some(Trouble::forbidden_grant())
        );
        assert_eq!(read(r#"{"rotation":{"grace":30}}"#).unwrap().rotation, Some(Rotation::Grace(30)));
        assert_eq!(
            read(r#"{"after":"html","then":{"before":{"status":500}}}"#).unwrap().then.unwrap().before,
            Some(Trouble::Status(500))
        );
        assert!(read(r#"{"reste":true}"#).is_err());
    }
}
