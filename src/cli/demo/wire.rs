//! What does the demonstration's browser have under it? One HTTP call, cookies kept, nothing followed.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method};
use serde_json::Value;
use url::Url;

use super::deviation;
use crate::cli::Error;
use crate::outbound::{Outbound, Request, Settings, Trust};

/// A client with cookies, by host and name: ports make no difference to them.
pub(super) struct Wire {
    outbound: Outbound,
    cookies: BTreeMap<(String, String), String>,
}

/// What came back.
pub(super) struct Seen {
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) location: Option<Url>,
    body: Vec<u8>,
}

impl Seen {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is sent beside the address.
pub(super) enum Body<'a> {
    None,
    Form(&'a [(String, String)]),
    Json(&'a Value),
}

impl Wire {
    pub(super) fn new() -> Result<Self, Error> {
        let settings = Settings { allow_loopback: true, ..Settings::default() };
        let outbound = Outbound::new(&settings).map_err(crate::app::Error::from)?;
        Ok(Self { outbound, cookies: BTreeMap::new() })
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        url: &Url,
        authorization: Option<&str>,
        body: Body<'_>,
    ) -> Result<Seen, Error> {
        let mut headers = HeaderMap::new();
        put(&mut headers, COOKIE, &self.cookies_for(url))?;
        put(&mut headers, http::header::AUTHORIZATION, authorization.unwrap_or_default())?;
        let body = match body {
            Body::None => Vec::new(),
            Body::Form(pairs) => {
                put(&mut headers, CONTENT_TYPE, "application/x-www-form-urlencoded")?;
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
            }
            Body::Json(value) => {
                put(&mut headers, CONTENT_TYPE, "application/json")?;
                value.to_string().into_bytes()
            }
        };
        let request =
            Request { method, url: url.clone(), headers, body, trust: Trust::Operator, timeout: None };
        let answer = self.outbound.send(request).await;
        let answer = answer.map_err(|error| deviation(format!("{url} gave no answer: {error}")))?;
        for header in answer.headers.get_all(SET_COOKIE) {
            self.keep(url, header.to_str().unwrap_or_default());
        }
        let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let location = to.and_then(|to| url.join(to).ok());
        Ok(Seen { url: url.clone(), status: answer.status, location, body: answer.body })
    }

    fn cookies_for(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let of_host = self.cookies.iter().filter(|((at, _), _)| at == host);
        of_host.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, url: &Url, header: &str) {
        let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
        let Some((name, value)) = pair.split_once('=') else { return };
        let key = (url.host_str().unwrap_or_default().to_owned(), name.trim().to_owned());
        if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Error> {
    if !value.is_empty() {
        let value =
            HeaderValue::from_str(value).map_err(|_| deviation(format!("a {name} cannot be sent")))?;
        headers.insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_by_host_and_forgotten_when_told() {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let mut wire = Wire::new().unwrap();
        let (here, there) =
            (Url::parse("http://127.0.0.1:1/a").unwrap(), Url::parse("http://localhost:1/").unwrap());
        wire.keep(&here, "a=1; Path=/; HttpOnly");
        wire.keep(&here, "b=2");
        assert_eq!((wire.cookies_for(&here).as_str(), wire.cookies_for(&there).as_str()), ("a=1; b=2", ""));
        wire.keep(&here, "a=; Max-Age=0");
        assert_eq!(wire.cookies_for(&here), "b=2");
    }
}
