//! A browser that shows nothing: cookies, pages, forms; it follows only what it is told to.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, StatusCode};
use url::Url;

use super::app::http;
use super::house::PASSWORD;

/// Cookies by host and name: like in browsers, ports make no difference. A clone is a thief with a copy.
#[derive(Clone)]
pub(crate) struct Jar {
    http: reqwest::Client,
    cookies: BTreeMap<(String, String), String>,
}

/// An answer as a browser sees it.
pub(crate) struct Seen {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) location: Option<Url>,
    pub(crate) body: String,
}

impl Seen {
    /// The value of the form's hidden `csrf_token`; that of the page's content where there are several.
    pub(crate) fn csrf_token(&self) -> String {
        let (_, rest) = self.body.rsplit_once("name=\"csrf_token\" value=\"").expect("the page has a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Where the browser is sent.
    pub(crate) fn to(&self) -> Url {
        self.location.clone().unwrap_or_else(|| panic!("{}: {} leads nowhere", self.url, self.status))
    }
}

impl Jar {
    pub(crate) fn new() -> Self {
        Self::of(http())
    }

    /// One that has an address of its own.
    pub(crate) fn of(http: reqwest::Client) -> Self {
        Self { http, cookies: BTreeMap::new() }
    }

    /// What the browser would send along: the values of its cookies.
    pub(crate) fn cookies(&self) -> Vec<String> {
        self.cookies.values().cloned().collect()
    }

    pub(crate) async fn get(&mut self, url: &str) -> Seen {
        self.get_with(url, &[]).await
    }

    pub(crate) async fn get_with(&mut self, url: &str, headers: &[(&str, &str)]) -> Seen {
        let request = headers.iter().fold(self.http.get(url), |request, (k, v)| request.header(*k, *v));
        self.send(url, request).await
    }

    pub(crate) async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Seen {
        self.post_with(url, form, &[]).await
    }

    pub(crate) async fn post_with(
        &mut self,
        url: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Seen {
        let request = self.http.post(url).form(form);
        let request = headers.iter().fold(request, |request, (k, v)| request.header(*k, *v));
        self.send(url, request).await
    }

    async fn send(&mut self, url: &str, request: RequestBuilder) -> Seen {
        let url = Url::parse(url).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let of_host = self.cookies.iter().filter(|((at, _), _)| *at == host);
        let cookies: Vec<_> = of_host.map(|((_, name), value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) };
        let answer = request.send().await.unwrap();
        for header in answer.headers().get_all(SET_COOKIE) {
            self.keep(&host, header.to_str().unwrap());
        }
        let location = answer.headers().get(LOCATION).map(|to| url.join(to.to_str().unwrap()).unwrap());
        Seen { url, status: answer.status(), location, body: answer.text().await.unwrap() }
    }

    fn keep(&mut self, host: &str, header: &str) {
        let (pair, attributes) = header.split_once(';').unwrap_or((header, ""));
        let (name, value) = pair.split_once('=').unwrap();
        let key = (host.to_owned(), name.to_owned());
        if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    /// A new person: opens an invitation, fills the form, is signed in.
    pub(crate) async fn accept(&mut self, invitation: &str, name: &str) {
        let token = self.get(invitation).await.csrf_token();
        let form = [("display_name", name), ("password", PASSWORD), ("csrf_token", token.as_str())];
        let done = self.post(invitation, &form).await;
        assert_eq!(done.status, 303, "{}", done.body);
    }

    /// A person who has accepted one invitation accepts another.
    pub(crate) async fn join(&mut self, invitation: &str) {
        let token = self.get(invitation).await.csrf_token();
        let done = self.post(invitation, &[("csrf_token", token.as_str())]).await;
        assert_eq!(done.status, 303, "{}", done.body);
    }

    pub(crate) async fn sign_in(&mut self, broker: &str, email: &str) {
        let url = format!("{broker}/login");
        let token = self.get(&url).await.csrf_token();
        let form = [("email", email), ("password", PASSWORD), ("csrf_token", token.as_str())];
        let done = self.post(&url, &form).await;
        assert_eq!(done.status, 303, "{}", done.body);
    }

    /// Clicks through the signup page of a connector; gives the authorization request.
    pub(crate) async fn start(&mut self, signup: &str) -> Url {
        let token = self.get(signup).await.csrf_token();
        let sent = self.post(signup, &[("csrf_token", token.as_str())]).await;
        assert_eq!(sent.status, 303, "{}", sent.body);
        sent.to()
    }

    /// Decides at the sandbox's consent page; gives the way back, which nobody has followed yet.
    pub(crate) async fn decide(&mut self, authorize: &Url, user: &str, decision: &str) -> Url {
        let page = self.get(authorize.as_str()).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let pairs: Vec<(String, String)> = authorize.query_pairs().into_owned().collect();
        let mut form: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        form.extend([("user", user), ("decision", decision)]);
        let mut action = authorize.clone();
        action.set_query(None);
        self.post(action.as_str(), &form).await.to()
    }
}
