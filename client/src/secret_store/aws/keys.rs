//! As whom does this program speak to AWS?
//!
//! By the first of these that is there, in the order of AWS's own SDKs: keys in the environment, a profile's keys, the
//! token of a pod (AssumeRoleWithWebIdentity), the container's endpoint, the machine's.

use std::path::PathBuf;

use aws_credential_types::Credentials;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use url::{Host, Url};

use super::super::error::StoreFault;
use super::super::variables::Variables;
use super::super::wire::{CA, Wire, header, json as json_of, plain, text, unreachable};
use super::amazon;
use crate::error::Error;
use crate::login::now;
use crate::secret::Secret;
use crate::sts::AssumeRole;

const WHO: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run it with a role";
/// Keys that end within this are replaced first.
const MARGIN: time::Duration = time::Duration::minutes(5);

/// Keys of AWS; `Debug` prints none.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    id: String,
    secret: Secret,
    session: Option<Secret>,
    until: Option<OffsetDateTime>,
}

impl Keys {
    pub(super) fn new(id: impl Into<String>, secret: Secret, session: Option<Secret>) -> Self {
        Self { id: id.into(), secret, session, until: None }
    }

    /// The form the signer takes.
    pub(super) fn identity(&self) -> aws_smithy_runtime_api::client::identity::Identity {
        let session = self.session.as_ref().map(|token| plain(token).to_owned());
        Credentials::new(self.id.as_str(), plain(&self.secret), session, None, "jeton").into()
    }

    fn lives(&self) -> bool {
        self.until.is_none_or(|until| until - MARGIN > now())
    }
}

/// Where keys come from.
#[derive(Debug)]
pub(super) struct Source {
    from: From,
    held: Mutex<Option<Keys>>,
}

#[derive(Debug)]
enum From {
    Fixed(Keys),
    WebIdentity {
        token_file: String,
        role: AssumeRole,
    },
    /// A GET that answers keys, with this header's value read from a file or a variable.
    Container {
        url: Url,
        authorization: Option<Secret>,
        token_file: Option<String>,
    },
    Machine {
        url: Url,
    },
}

impl Source {
    pub(super) fn new(region: &str, variables: &Variables) -> Result<Self, StoreFault> {
        Ok(Self { from: from(region, variables)?, held: Mutex::default() })
    }

    pub(super) async fn keys(&self, wire: &Wire) -> Result<Keys, StoreFault> {
        let mut held = self.held.lock().await;
        if let Some(keys) = held.as_ref().filter(|keys| keys.lives()) {
            return Ok(keys.clone());
        }
        let keys = match &self.from {
            From::Fixed(keys) => keys.clone(),
            From::WebIdentity { token_file, role } => web_identity(token_file, role).await?,
            From::Container { url, authorization, token_file } => {
                let token = match token_file {
                    Some(path) => Some(read(path)?),
                    None => authorization.clone(),
                };
                container(wire, url, token.as_ref()).await?
            }
            From::Machine { url } => machine(wire, url).await?,
        };
        *held = Some(keys.clone());
        Ok(keys)
    }
}

fn from(region: &str, variables: &Variables) -> Result<From, StoreFault> {
    let secret = variables.find("AWS_SECRET_ACCESS_KEY");
    if let (Some(id), Some(secret)) = (variables.find("AWS_ACCESS_KEY_ID"), secret) {
        let session = variables.find("AWS_SESSION_TOKEN").map(Secret::new);
        return Ok(From::Fixed(Keys::new(id, Secret::new(secret), session)));
    }
    if let Some(keys) = profile(variables)? {
        return Ok(From::Fixed(keys));
    }
    if let (Some(token_file), Some(role_arn)) =
        (variables.find("AWS_WEB_IDENTITY_TOKEN_FILE"), variables.find("AWS_ROLE_ARN"))
    {
        let endpoint = variables.url(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])?;
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => amazon("sts", region)?,
        };
        let session_name = variables.find("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "jeton".to_owned());
        let role = AssumeRole { endpoint, role_arn, session_name, duration_s: 3600, plain_http: false };
        return Ok(From::WebIdentity { token_file, role });
    }
    let relative = variables.find("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = relative.map(|path| format!("http://169.254.170.2{path}"));
    if let Some(url) = full.or_else(|| variables.find("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        let authorization = variables.find("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new);
        let token_file = variables.find("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        return Ok(From::Container { url: near(&url)?, authorization, token_file });
    }
    if variables.find("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(StoreFault::Unauthenticated(WHO));
    }
    let endpoint = variables.find("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let url = near(endpoint.as_deref().unwrap_or("http://169.254.169.254"))?;
    Ok(From::Machine { url })
}

/// Keys come in clear only from this machine or its link.
fn near(text: &str) -> Result<Url, StoreFault> {
    let is_near = |url: &Url| match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.is_unicast_link_local() || address.is_unique_local()
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" || is_near(url));
    url.ok_or_else(|| {
        StoreFault::Unfit("the address of AWS keys is neither https nor of this machine".to_owned())
    })
}

/// The keys of a profile, where it has any.
fn profile(variables: &Variables) -> Result<Option<Keys>, StoreFault> {
    let home = || Some(PathBuf::from(variables.find("HOME")?).join(".aws/credentials"));
    let path = variables.find("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home);
    let named = variables.find("AWS_PROFILE");
    let name = named.clone().unwrap_or_else(|| "default".to_owned());
    let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let keys = keys_of(&text, &name);
    match (keys, named) {
        (None, Some(name)) => Err(StoreFault::Unfit(format!(
            "the profile {name} (AWS_PROFILE) has no keys in ~/.aws/credentials: other kinds are not read here"
        ))),
        (keys, _) => Ok(keys),
    }
}

fn keys_of(text: &str, profile: &str) -> Option<Keys> {
    let header = format!("[{profile}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let section: Vec<_> = lines.take_while(|line| !line.starts_with('[')).collect();
    let value = |name: &str| {
        let pairs = section.iter().filter_map(|line| line.split_once('='));
        let mut found = pairs.filter(|(own, _)| own.trim() == name).map(|(_, value)| value.trim().to_owned());
        found.next()
    };
    let secret = Secret::new(value("aws_secret_access_key")?);
    Some(Keys::new(value("aws_access_key_id")?, secret, value("aws_session_token").map(Secret::new)))
}

async fn web_identity(token_file: &str, role: &AssumeRole) -> Result<Keys, StoreFault> {
    let keys = role.keys(&read(token_file)?).await.map_err(|error| match error {
        Error::StsUnreached(cause) => {
            let check = "the region, and AWS_ENDPOINT_URL_STS where it is set";
            unreachable(&role.endpoint, &cause, [check, CA])
        }
        Error::Sts(refusal) => StoreFault::refused(refusal.status, Some(&refusal.code)),
        _ => StoreFault::Garbled,
    })?;
    let until = Some(keys.expiration);
    Ok(Keys { until, ..Keys::new(keys.access_key_id, keys.secret_access_key, Some(keys.session_token)) })
}

fn read(path: &str) -> Result<Secret, StoreFault> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        StoreFault::Unfit(format!("cannot read the token {path} of the AWS role: {error}"))
    })?;
    Ok(Secret::new(text.trim()))
}

async fn container(wire: &Wire, url: &Url, token: Option<&Secret>) -> Result<Keys, StoreFault> {
    let make = |http: &reqwest::Client| {
        let request = http.get(url.clone());
        Ok(match token {
            Some(token) => {
                let (name, value) = header("authorization", "", token)?;
                request.header(name, value)
            }
            None => request,
        })
    };
    let wire = wire.checking("AWS_CONTAINER_CREDENTIALS_FULL_URI where it is set");
    let answer = wire.send(url, make, |_| false).await?;
    if answer.status != 200 {
        return Err(StoreFault::Unauthenticated("its container's endpoint gives no keys: check its role"));
    }
    keys_in(&json_of(&answer)?)
}

/// The metadata service, version 2.
async fn machine(wire: &Wire, base: &Url) -> Result<Keys, StoreFault> {
    let at = |path: &str| base.join(path).map_err(|_| StoreFault::Garbled);
    let refused = || StoreFault::Unauthenticated(WHO);
    let url = at("/latest/api/token")?;
    let ask = |http: &reqwest::Client| {
        Ok(http.put(url.clone()).header("x-aws-ec2-metadata-token-ttl-seconds", "300"))
    };
    let answer = wire.send(&url, ask, |_| false).await.map_err(|_| refused())?;
    let session = String::from_utf8(answer.body).ok().filter(|_| answer.status == 200).ok_or_else(refused)?;
    let session = header("x-aws-ec2-metadata-token", "", &Secret::new(session.trim()))?;
    let roles = at("/latest/meta-data/iam/security-credentials/")?;
    let get = async |url: &Url| {
        let make =
            |http: &reqwest::Client| Ok(http.get(url.clone()).header(session.0.clone(), session.1.clone()));
        wire.send(url, make, |_| false).await
    };
    let answer = get(&roles).await?;
    let role = String::from_utf8(answer.body).ok().filter(|_| answer.status == 200).ok_or_else(refused)?;
    let role = role.lines().next().map(str::trim).filter(|role| !role.is_empty()).ok_or_else(refused)?;
    let url = roles.join(role).map_err(|_| StoreFault::Garbled)?;
    keys_in(&json_of(&get(&url).await?)?)
}

fn keys_in(body: &Value) -> Result<Keys, StoreFault> {
    let value = |name| text(body, name).ok_or(StoreFault::Garbled);
    let until = OffsetDateTime::parse(value("/Expiration")?, &Rfc3339).map_err(|_| StoreFault::Garbled)?;
    let keys = Keys::new(
        value("/AccessKeyId")?,
        Secret::new(value("/SecretAccessKey")?),
        text(body, "/Token").map(Secret::new),
    );
    Ok(Keys { until: Some(until), ..keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_gives_its_own_keys() {
        let text =
            "[x]\naws_access_key_id=B\n[default]\naws_access_key_id = A\naws_secret_access_key=canary\n";
        let keys = keys_of(text, "default").unwrap();
        assert_eq!((keys.id.as_str(), plain(&keys.secret)), ("A", "canary"));
        assert!(!format!("{keys:?}").contains("canary"));
        assert!(keys_of(text, "x").is_none() && keys_of(text, "y").is_none());
    }

    #[test]
    fn keys_in_clear_come_from_near_alone() {
        for fine in [
            "http://169.254.170.23/v1",
            "http://127.0.0.1:8",
            "https://keys.example",
            "http://[fd00:ec2::23]/x",
        ] {
            assert!(near(fine).is_ok(), "{fine}");
        }
        for refused in ["http://keys.example", "http://10.0.0.1", "file:///etc/passwd", ""] {
            assert!(near(refused).is_err(), "{refused}");
        }
    }
}
