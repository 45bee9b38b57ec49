//! What does a person do in the browser? Accepts the invitation, connects an account: every page and form of the
//! real flow, sent by a client with cookies.

use http::Method;
use url::Url;

use super::deviation;
use super::form::{Form, title};
use super::setup::EMAIL;
use super::stage::Stage;
use super::tell::{Teller, form_fields, place};
use super::wire::{Body, Seen, Wire};
use crate::cli::Error;

/// The account at the provider.
pub(super) const ACCOUNT: &str = "alice";
/// For people who take over in a real browser.
pub(super) const PASSWORD: &str = "correct horse battery staple";
const MOST_PAGES: usize = 10;

/// A browser of one person.
pub(super) struct Person {
    wire: Wire,
}

impl Person {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { wire: Wire::new()? })
    }

    /// Opens the link, fills the form, is signed in.
    pub(super) async fn accept(&mut self, invitation: &Url, teller: &mut Teller) -> Result<(), Error> {
        teller.step(&format!(
            "The person, {EMAIL}, opens the invitation in a browser and chooses a password"
        ))?;
        let page = self.get(invitation, teller).await?;
        let form = form(&page)?.with(&[("display_name", "Ada"), ("password", PASSWORD)]);
        let sent = self.post(form, teller).await?;
        leads_to(&sent, "/acme/connect").map(|_| ())
    }

    /// From the app's connect page to the provider and back, saying yes everywhere.
    pub(super) async fn connect(&mut self, stage: &Stage, teller: &mut Teller) -> Result<(), Error> {
        let start = self.get(&stage.at("/acme/sandbox/signup")?, teller).await?;
        let mut seen = self.post(form(&start)?, teller).await?;
        for _ in 0..MOST_PAGES {
            seen = match &seen.location {
                Some(to) => self.get(&to.clone(), teller).await?,
                None if seen.url.path() == "/acme/connect" => return connected(&seen),
                None if seen.url.origin() == stage.provider.origin() => {
                    let yes = form(&seen)?.with(&[("user", ACCOUNT), ("decision", "approve")]);
                    self.post(yes, teller).await?
                }
                None if seen.url.path() == "/connect/confirm" => {
                    self.post(form(&seen)?.with(&[("decision", "accept")]), teller).await?
                }
                None => return Err(unexpected(&seen)),
            };
        }
        Err(deviation("the browser is sent around in a circle".to_owned()))
    }

    async fn get(&mut self, url: &Url, teller: &mut Teller) -> Result<Seen, Error> {
        teller.sent(&Method::GET, url, &[])?;
        let seen = self.wire.send(Method::GET, url, None, Body::None).await?;
        came(seen, teller)
    }

    async fn post(&mut self, form: Form, teller: &mut Teller) -> Result<Seen, Error> {
        // What an authorization request repeats at the provider was shown when the browser was sent there.
        let own = ["display_name", "password", "user", "decision", "csrf_token"];
        let pairs = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        teller.sent(
            &Method::POST,
            &form.action,
            &form_fields(pairs.filter(|(name, _)| own.contains(name))),
        )?;
        let seen = self.wire.send(Method::POST, &form.action, None, Body::Form(&form.fields)).await?;
        came(seen, teller)
    }
}

fn came(seen: Seen, teller: &mut Teller) -> Result<Seen, Error> {
    match &seen.location {
        Some(to) => teller.came(seen.status, &[format!("go on to {}", place(to))])?,
        None => teller.came(seen.status, &[format!("page \"{}\"", title(&seen.text()))])?,
    }
    if seen.status < 400 { Ok(seen) } else { Err(unexpected(&seen)) }
}

fn form(page: &Seen) -> Result<Form, Error> {
    Form::read(&page.url, &page.text()).ok_or_else(|| unexpected(page))
}

fn leads_to<'a>(seen: &'a Seen, path: &str) -> Result<&'a Url, Error> {
    seen.location.as_ref().filter(|to| to.path() == path).ok_or_else(|| unexpected(seen))
}

fn connected(page: &Seen) -> Result<(), Error> {
    if page.text().contains("is connected") { Ok(()) } else { Err(unexpected(page)) }
}

fn unexpected(seen: &Seen) -> Error {
    deviation(format!("{} answered {} \"{}\"", place(&seen.url), seen.status, title(&seen.text())))
}
