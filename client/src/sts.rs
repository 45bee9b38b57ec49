//! How does a person's ID token become AWS keys? By AssumeRoleWithWebIdentity of AWS STS, which takes no signature.
//!
//! One form, one XML answer of which four elements are read; an SDK would be larger than this client.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::broker;
use crate::error::Error;
use crate::problem::Action;
use crate::secret::Secret;
use crate::settings::check_scheme;
use crate::xml;

/// Keys that end by themselves.
#[derive(Debug)]
pub struct AwsKeys {
    /// Names the keys.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: Secret,
    /// Goes with every request.
    pub session_token: Secret,
    /// When they end.
    pub expiration: OffsetDateTime,
}

/// What is asked of STS.
#[derive(Clone, Debug)]
pub struct AssumeRole {
    /// Where STS is.
    pub endpoint: Url,
    /// The role.
    pub role_arn: String,
    /// What CloudTrail calls the session.
    pub session_name: String,
    /// How many seconds the keys live.
    pub duration_s: u32,
    /// Allows plain http to a host that is not loopback.
    pub plain_http: bool,
}

/// STS said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("STS refused: {message} ({code})")]
pub struct StsRefusal {
    /// HTTP status.
    pub status: u16,
    /// AWS's name of it, such as `InvalidIdentityToken`.
    pub code: String,
    /// AWS's sentence.
    pub message: String,
}

impl StsRefusal {
    pub(crate) fn action(&self) -> Action {
        match (self.code.as_str(), self.status) {
            ("AccessDenied", _) => Action::RequestAccess,
            ("IDPCommunicationError" | "Throttling" | "ThrottlingException", _) | (_, 429 | 500..) => {
                Action::Retry
            }
            _ => Action::FixConfiguration,
        }
    }
}

impl AssumeRole {
    /// Asks STS for keys.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn keys(&self, id_token: &Secret) -> Result<AwsKeys, Error> {
        check_scheme(&self.endpoint, self.plain_http)?;
        let http = broker::http_client(Duration::from_secs(30))?;
        let request = http.post(self.endpoint.clone()).form(&self.form(id_token));
        let answer = broker::exchange(request).await.map_err(|error| match error {
            Error::Transport(source) => Error::StsUnreached(source),
            error => error,
        })?;
        let text = std::str::from_utf8(&answer.body).unwrap_or_default();
        if answer.status == 200 {
            keys(text).ok_or(Error::Garbled(WHAT))
        } else {
            Err(refusal(answer.status, text))
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the ID token goes into the form to STS")]
    fn form<'a>(&'a self, id_token: &'a Secret) -> Vec<(&'static str, String)> {
        vec![
            ("Action", "AssumeRoleWithWebIdentity".to_owned()),
            ("Version", "2011-06-15".to_owned()),
            ("RoleArn", self.role_arn.clone()),
            ("RoleSessionName", self.session_name.clone()),
            ("DurationSeconds", self.duration_s.to_string()),
            ("WebIdentityToken", id_token.expose_secret().to_owned()),
        ]
    }
}

const WHAT: &str = "AssumeRoleWithWebIdentity";

fn keys(text: &str) -> Option<AwsKeys> {
    let leaves = xml::leaves(text)?;
    let path = "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
    let value = |name: &str| {
        let value = leaves.get(&format!("{path}{name}"))?;
        let good = (1..=16_384).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| value.clone())
    };
    Some(AwsKeys {
        access_key_id: value("AccessKeyId")?,
        secret_access_key: Secret::new(value("SecretAccessKey")?),
        session_token: Secret::new(value("SessionToken")?),
        expiration: OffsetDateTime::parse(&value("Expiration")?, &Rfc3339).ok()?,
    })
}

fn refusal(status: u16, text: &str) -> Error {
    let leaves = xml::leaves(text).unwrap_or_default();
    let field = |name: &str| {
        let value = leaves.get(&format!("ErrorResponse/Error/{name}"))?;
        Some(value.chars().take(300).collect::<String>())
    };
    let code = field("Code").unwrap_or_else(|| format!("http_{status}"));
    let message = field("Message").unwrap_or_else(|| "without an explanation".to_owned());
    Error::Sts(Arc::new(StsRefusal { status, code, message: message.trim_end_matches('.').to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Audience>x</Audience>
    <Credentials><SessionToken>canary-token</SessionToken><SecretAccessKey>canary/key</SecretAccessKey>
      <Expiration>2026-11-30T02:00:00Z</Expiration><AccessKeyId>ASIAX</AccessKeyId></Credentials>
  </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"#;

    #[test]
    fn the_four_elements_are_read_from_their_place_alone() {
        let read = keys(GOOD).unwrap();
        assert_eq!((read.access_key_id.as_str(), read.expiration.unix_timestamp()), ("ASIAX", 1_796_004_000));
        assert!(!format!("{read:?}").contains("canary"));
        for (from, to) in [
            ("<AccessKeyId>ASIAX</AccessKeyId>", ""),
            ("<AccessKeyId>ASIAX</AccessKeyId>", "<AccessKeyId>A</AccessKeyId><AccessKeyId>B</AccessKeyId>"),
            ("ASIAX", ""),
            ("ASIAX", "A B"),
            ("2026-11-30T02:00:00Z", "tomorrow"),
            ("canary/key", "canary<b/>key"),
            ("Credentials>", "Other>"),
        ] {
            assert!(keys(&GOOD.replace(from, to)).is_none(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized.</Message></Error></ErrorResponse>";
        let error = refusal(403, body);
        assert_eq!(error.to_string(), "STS refused: Not authorized (AccessDenied)");
        assert_eq!((error.exit_code(), refusal(502, "<html>").exit_code()), (77, 75));
        assert_eq!(refusal(400, "").exit_code(), 78);
    }
}
