//! How is a secret kept in AWS Secrets Manager?
//!
//! JSON over POST with a signature. A new value is written under `AWSPENDING` and read by nobody, until one call moves
//! `AWSCURRENT` from the version that was expected there, and from no other: AWS compares. The first value of a secret
//! is current at once.

mod keys;

use async_trait::async_trait;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use self::keys::{Keys, Source};
use super::error::{StoreError, StoreFault};
use super::reference::Reference;
use super::variables::Variables;
use super::wire::{Wire, json as json_of, plain, text};
use super::{Expected, SecretStore, Stored, Version};
use crate::broker::Answer;
use crate::login::now;
use crate::secret::Secret;

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

#[derive(Debug)]
pub(super) struct Store {
    reference: Reference,
    region: String,
    id: String,
    endpoint: Url,
    source: Source,
    wire: Wire,
}

impl Store {
    pub(super) fn new(
        reference: &Reference,
        region: &str,
        id: &str,
        variables: &Variables,
    ) -> Result<Self, StoreFault> {
        let endpoint = variables.url(&["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"])?;
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => amazon("secretsmanager", region)?,
        };
        Ok(Self {
            reference: reference.clone(),
            region: region.to_owned(),
            id: id.to_owned(),
            endpoint,
            source: Source::new(region, variables)?,
            wire: Wire::new("the region, and AWS_ENDPOINT_URL where it is set")?,
        })
    }

    /// One operation; its name is also the right that it needs.
    async fn call(&self, operation: &str, body: &Value) -> Result<Value, StoreFault> {
        let keys = self.source.keys(&self.wire).await?;
        let body = body.to_string();
        let make = |http: &reqwest::Client| self.signed(http, operation, &body, &keys);
        let answer = self.wire.send(&self.endpoint, make, is_throttled).await?;
        if answer.status == 200 { json_of(&answer) } else { Err(refusal(&answer, operation)) }
    }

    fn signed(
        &self,
        http: &reqwest::Client,
        operation: &str,
        body: &str,
        keys: &Keys,
    ) -> Result<reqwest::RequestBuilder, StoreFault> {
        let target = format!("secretsmanager.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let signature = signature(&self.endpoint, &headers, body, &self.region, keys, now())?;
        let request = http.post(self.endpoint.clone()).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(signature.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
    }

    async fn current(&self) -> Result<Option<Stored>, StoreFault> {
        self.version("VersionStage", CURRENT).await
    }

    /// The version of this id or label.
    async fn version(&self, key: &str, value: &str) -> Result<Option<Stored>, StoreFault> {
        let body = json!({"SecretId": self.id, key: value});
        let body = match self.call("GetSecretValue", &body).await {
            Err(StoreFault::Absent) => return Ok(None),
            other => other?,
        };
        let version = text(&body, "/VersionId").ok_or(StoreFault::Garbled)?;
        let value = text(&body, "/SecretString").ok_or(StoreFault::Malformed("is binary"))?;
        Ok(Some(Stored { value: Secret::new(value), version: Version(version.to_owned()) }))
    }

    async fn write(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreFault> {
        let token = token()?;
        let (operation, body) = match expected {
            Expected::Absent if self.id.starts_with("arn:") => {
                return Err(StoreFault::Unfit(
                    "a new secret is named, not given an ARN: write its name".to_owned(),
                ));
            }
            Expected::Absent => (
                "CreateSecret",
                json!({"Name": self.id, "ClientRequestToken": token, "SecretString": plain(value)}),
            ),
            Expected::Version(seen) => {
                let current = self.current().await?;
                if current.is_none_or(|stored| stored.version != *seen) {
                    return Err(StoreFault::Changed);
                }
                let stages = [PENDING];
                let body = json!({
                    "SecretId": self.id, "ClientRequestToken": token, "SecretString": plain(value),
                    "VersionStages": stages,
                });
                ("PutSecretValue", body)
            }
        };
        let answer = match self.call(operation, &body).await {
            // A secret that is scheduled for deletion exists, too.
            Err(StoreFault::Exists) => {
                return Err(self.current().await.err().unwrap_or(StoreFault::Exists));
            }
            other => other?,
        };
        let version = text(&answer, "/VersionId").ok_or(StoreFault::Garbled)?;
        Ok(Version(version.to_owned()))
    }

    async fn move_current(&self, version: &Version, from: &Version) -> Result<(), StoreFault> {
        let current = json!({
            "SecretId": self.id, "VersionStage": CURRENT, "MoveToVersionId": version.0, "RemoveFromVersionId": from.0,
        });
        match self.call("UpdateSecretVersionStage", &current).await {
            // RemoveFromVersionId holds the label no more: somebody else moved it.
            Err(StoreFault::Refused { code, .. }) if code == "InvalidParameterException" => {
                return Err(StoreFault::Changed);
            }
            other => other?,
        };
        let pending = json!({"SecretId": self.id, "VersionStage": PENDING, "RemoveFromVersionId": version.0});
        self.call("UpdateSecretVersionStage", &pending).await.map(|_| ())
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn get(&self) -> Result<Option<Stored>, StoreError> {
        self.current().await.map_err(|fault| fault.at(&self.reference))
    }

    async fn put(&self, value: &Secret, expected: &Expected) -> Result<Version, StoreError> {
        self.write(value, expected).await.map_err(|fault| fault.at(&self.reference))
    }

    async fn read_back(&self, version: &Version) -> Result<Option<Secret>, StoreError> {
        let stored = self.version("VersionId", &version.0).await;
        Ok(stored.map_err(|fault| fault.at(&self.reference))?.map(|stored| stored.value))
    }

    async fn activate(&self, version: &Version, expected: &Expected) -> Result<(), StoreError> {
        match expected {
            Expected::Absent => Ok(()),
            Expected::Version(from) => {
                self.move_current(version, from).await.map_err(|fault| fault.at(&self.reference))
            }
        }
    }

    async fn delete(&self) -> Result<(), StoreError> {
        match self.call("DeleteSecret", &json!({"SecretId": self.id})).await {
            Ok(_) | Err(StoreFault::Absent) => Ok(()),
            Err(fault) => Err(fault.at(&self.reference)),
        }
    }

    fn reference(&self) -> &Reference {
        &self.reference
    }
}

/// Where AWS itself has a service.
fn amazon(service: &str, region: &str) -> Result<Url, StoreFault> {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://{service}.{region}.{domain}/")).map_err(|_| StoreFault::Garbled)
}

/// Names one write, so that AWS does a repeated one once.
fn token() -> Result<String, StoreFault> {
    let mut chance = [0; 16];
    aws_lc_rs::rand::fill(&mut chance).map_err(|_| StoreFault::Garbled)?;
    Ok(format!("{:032x}", u128::from_be_bytes(chance)))
}

/// The headers that prove who asks (Signature Version 4).
fn signature(
    endpoint: &Url,
    headers: &[(&str, &str)],
    body: &str,
    region: &str,
    keys: &Keys,
    at: OffsetDateTime,
) -> Result<Vec<(String, String)>, StoreFault> {
    let unsigned = StoreFault::Unauthenticated("its keys cannot sign: check AWS_ACCESS_KEY_ID");
    let identity = keys.identity();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("secretsmanager")
        .time(at.into())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| unsigned.clone())?;
    let body = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", endpoint.as_str(), headers.iter().copied(), body);
    let signed = sign(request.map_err(|_| unsigned.clone())?, &params.into()).map_err(|_| unsigned)?;
    let (instructions, _) = signed.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn code(answer: &Answer) -> Option<String> {
    let Ok(body) = json_of(answer) else {
        // Emulators refuse signatures in XML, as most of AWS does.
        let text = String::from_utf8_lossy(&answer.body);
        return Some(text.split_once("<Code>")?.1.split_once('<')?.0.to_owned());
    };
    // `com.amazonaws...#ResourceNotFoundException`
    let code = text(&body, "/__type").or_else(|| text(&body, "/code"))?;
    code.rsplit('#').next().map(str::to_owned)
}

fn is_throttled(answer: &Answer) -> bool {
    answer.status == 429 || code(answer).is_some_and(|code| code.starts_with("Throttling"))
}

fn refusal(answer: &Answer, operation: &str) -> StoreFault {
    let code = code(answer);
    let says = |word: &str| String::from_utf8_lossy(&answer.body).to_lowercase().contains(word);
    match code.as_deref().unwrap_or_default() {
        "ResourceNotFoundException" => StoreFault::Absent,
        "ResourceExistsException" => StoreFault::Exists,
        "InvalidRequestException" if says("delet") => StoreFault::Deleted,
        "AccessDeniedException" | "AccessDenied" => StoreFault::Denied(format!(
            "allow `secretsmanager:{operation}` on this secret, and the use of its KMS key"
        )),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "AuthFailure"
        | "MissingAuthenticationTokenException" => {
            StoreFault::Unauthenticated("check AWS_ACCESS_KEY_ID, or the role")
        }
        "ExpiredTokenException" | "ExpiredToken" => {
            StoreFault::Unauthenticated("its keys have ended: get new ones")
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "IncompleteSignatureException" => {
            StoreFault::Unauthenticated("check AWS_SECRET_ACCESS_KEY, the region, and this machine's clock")
        }
        code if code.starts_with("Throttling") => StoreFault::Throttled,
        code => StoreFault::refused(answer.status, Some(code)),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// Whether the signature is right is for moto to say; here, what it covers.
    #[test]
    fn a_signature_covers_host_time_operation_region_and_service() {
        let keys = Keys::new("AKIDEXAMPLE", Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), None);
        let endpoint = Url::parse("https://secretsmanager.eu-west-1.amazonaws.com/").unwrap();
        let signed = signature(
            &endpoint,
            &[("x-amz-target", "t")],
            "{}",
            "eu-west-1",
            &keys,
            datetime!(2015-08-30 12:36 UTC),
        )
        .unwrap();
        let value = |name: &str| signed.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        assert_eq!(value("x-amz-date").unwrap(), "20150830T123600Z");
        let authorization = value("authorization").unwrap();
        let scope = "Credential=AKIDEXAMPLE/20150830/eu-west-1/secretsmanager/aws4_request";
        assert!(authorization.contains(scope), "{authorization}");
        assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-target"), "{authorization}");
    }

    #[test]
    fn a_refusal_is_known_by_its_code() {
        let refused = |status, code: &str, message: &str| {
            let body = json!({"__type": format!("com.amazonaws#{code}"), "message": message}).to_string();
            refusal(&Answer { status, retry_after: None, body: body.into_bytes() }, "GetSecretValue")
        };
        assert_eq!(refused(400, "ResourceNotFoundException", ""), StoreFault::Absent);
        let deleted = "You can't perform this operation on the secret because it was marked for deletion.";
        assert_eq!(refused(400, "InvalidRequestException", deleted), StoreFault::Deleted);
        assert!(
            refused(400, "AccessDeniedException", "").to_string().contains("secretsmanager:GetSecretValue")
        );
        assert_eq!(refused(400, "ThrottlingException", ""), StoreFault::Throttled);
        let strange = refused(400, "canary canary\n", "canary");
        assert_eq!(strange, StoreFault::Refused { status: 400, code: "no code".to_owned() });
    }
}
