//! A keeper with one connected account at the sandbox provider: what can be done with it. `making`: how it is made.

mod making;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::connectors::{Authorize, Exchange};
use crate::identity::{MayReceive, Superadmin, testing};
use crate::keeper::{
    Adoption, AdoptionKind, Consent, Error, HandedToken, Judged, Lifetime, SecretsKeeper, Status,
};
use crate::model::app::AppId;
use crate::model::connection::{Flow, Request};
use crate::model::connector::{ConnectorId, Grant};
use crate::model::event::Origin;
use crate::model::principal::Actor;
use crate::model::secret::Secret;
use crate::model::token_set::Generation;
use crate::registry::{Opened, Registry};
use crate::sandbox::{Faults, Handle, Sandbox};
use crate::store::testing::TestDatabase;

pub(super) const BEST_EFFORT: Lifetime =
    Lifetime { request: Request { min_ttl: None, rejected: None }, wait: Duration::from_secs(20) };

pub(super) struct World {
    pub(super) db: TestDatabase,
    pub(super) keeper: Arc<SecretsKeeper>,
    pub(super) registry: Arc<Registry>,
    pub(super) sandbox: Sandbox,
    pub(super) connector: ConnectorId,
    pub(super) app: AppId,
}

impl World {
    pub(super) async fn opened(&self) -> Opened {
        let definition = self.registry.find(self.connector.as_str()).await.unwrap().unwrap();
        self.registry.credentials_for(&self.app, &definition).await.unwrap().unwrap()
    }

    /// What the provider gives when `user` approves.
    pub(super) async fn grant(&self, user: &str) -> Grant {
        let definition = self.registry.find(self.connector.as_str()).await.unwrap().unwrap();
        let connector = self.registry.connector(&definition);
        let opened = self.opened().await;
        let (state, verifier) = (Secret::new("state"), Secret::new("v".repeat(43)));
        let redirect_uri = Url::parse("http://127.0.0.1:1/callback").unwrap();
        let credentials = &opened.credentials;
        let url = connector
            .authorize_url(&Authorize {
                credentials,
                redirect_uri: &redirect_uri,
                state: &state,
                verifier: &verifier,
            })
            .unwrap();
        let code = Secret::new(approve(url, user).await);
        let exchange =
            Exchange { credentials, redirect_uri: &redirect_uri, code: &code, verifier: &verifier };
        connector.exchange(&exchange).await.unwrap()
    }

    pub(super) async fn consent(&self, user: &str, flow: Flow) -> Generation {
        let grant = self.grant(user).await;
        let judged = self.judged(&flow).await;
        self.adopt(&self.keeper, grant, flow, AdoptionKind::Consent(judged)).await.unwrap()
    }

    /// A consent of an account whose id the provider tells.
    pub(super) async fn consent_of(&self, user: &str, flow: Flow) -> Generation {
        let grant = self.grant(user).await;
        let definition = self.registry.find(self.connector.as_str()).await.unwrap().unwrap();
        let connector = self.registry.connector(&definition);
        let opened = self.opened().await;
        let account = connector.identify(&opened.credentials, &grant.access_token).await.unwrap();
        assert!(account.is_some(), "the provider does not tell");
        let kind = AdoptionKind::Consent(self.judged(&flow).await);
        let adoption = Adoption { account, ..self.adoption(grant, flow, kind).await };
        self.keeper.adopt(adoption).await.unwrap()
    }

    /// What a consent is judged by now.
    pub(super) async fn judged(&self, flow: &Flow) -> Judged {
        let (app, connector) = (&self.app, &self.connector);
        let consent = Consent { app, connector, flow, credentials: None, account: None, max_tokens: None };
        consent.impact(self.db.store().conn()).await.unwrap().judged()
    }

    pub(super) async fn import(&self, grant: Grant, replace: bool) -> Result<Generation, Error> {
        let kind = AdoptionKind::Import { replace, expires_at: None };
        self.adopt(&self.keeper, grant, Flow::default(), kind).await
    }

    pub(super) async fn adopt(
        &self,
        keeper: &SecretsKeeper,
        grant: Grant,
        flow: Flow,
        kind: AdoptionKind,
    ) -> Result<Generation, Error> {
        keeper.adopt(self.adoption(grant, flow, kind).await).await
    }

    async fn adoption(&self, grant: Grant, flow: Flow, kind: AdoptionKind) -> Adoption {
        let opened = self.opened().await;
        Adoption {
            app: self.app.clone(),
            connector: self.connector.clone(),
            flow,
            grant,
            account: None,
            by: Actor::System,
            owner: Actor::System,
            owner_label: Some("Alice".into()),
            credentials: Some((opened.id, opened.version)),
            variables: BTreeMap::new(),
            sent_at: self.db.clock().now(),
            origin: Origin::default(),
            signup: None,
            kind,
        }
    }

    /// Undo.
    pub(super) async fn restore(&self, generation: i64) -> Result<Status, Error> {
        let place = (&self.app, &self.connector);
        self.keeper.restore(&self.root(), place, None, Generation(generation)).await
    }

    /// The kept generations, the newest first: number, current, spent, restorable.
    pub(super) async fn generations(&self) -> Vec<(i64, bool, bool, bool)> {
        let place = (&self.app, &self.connector);
        let kept = self.keeper.generations(&self.root(), place, None, None, 100).await.unwrap();
        kept.iter().map(|set| (set.generation.0, set.current, set.spent, set.restorable)).collect()
    }

    pub(super) fn job(&self) -> MayReceive {
        testing::receiver(&self.app, &self.connector)
    }

    pub(super) fn root(&self) -> Superadmin {
        testing::weaker("superadmin")
    }

    pub(super) async fn token(&self, lifetime: Lifetime) -> Result<HandedToken, Error> {
        self.keeper.retrieve_token(&self.job(), None, lifetime).await
    }

    /// The token of one of several connections.
    pub(super) async fn token_of(&self, flow: &Flow) -> Result<HandedToken, Error> {
        self.keeper.retrieve_token(&self.job(), Some(flow), BEST_EFFORT).await
    }

    /// So many more connections, each of somebody else.
    pub(super) async fn more(&self, count: usize) -> Vec<Flow> {
        let mut flows = Vec::new();
        for n in 0..count {
            let flow = Flow::parse(&format!("more-{n}")).unwrap();
            self.consent(&format!("user-{n}"), flow.clone()).await;
            flows.push(flow);
        }
        flows
    }

    pub(super) async fn state(&self) -> (&'static str, Option<&'static str>) {
        let state = self.keeper.status(&self.job(), None).await.unwrap().state;
        (state.as_str(), state.reason().map(|reason| reason.as_str()))
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.db.clock.advance(time::Duration::seconds(seconds));
    }

    pub(super) fn provider(&self) -> Handle {
        self.sandbox.handle()
    }

    pub(super) fn faults(&self, faults: Faults) {
        self.provider().set_faults("client", faults).unwrap();
    }

    /// Waits until a refresh request has reached the provider.
    pub(super) async fn is_asked(&self) {
        while self.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Refresh requests that reached the provider.
    pub(super) fn refreshes(&self) -> u64 {
        let ledger = self.provider().ledger();
        ledger.clients.get("client").and_then(|c| c.token_requests.get("refresh_token").copied()).unwrap_or(0)
    }
}

pub(super) fn at_least(seconds: i64) -> Lifetime {
    let request = Request { min_ttl: Some(time::Duration::seconds(seconds)), rejected: None };
    Lifetime { request, ..BEST_EFFORT }
}

pub(super) fn rejecting(generation: Generation) -> Lifetime {
    let request = Request { min_ttl: None, rejected: Some(generation) };
    Lifetime { request, ..BEST_EFFORT }
}

#[expect(clippy::disallowed_methods, reason = "the test compares plaintexts")]
pub(super) fn text(secret: &Secret) -> String {
    secret.expose_secret().to_owned()
}

/// A person approves at the provider: posts the consent form, and the redirect carries the code.
async fn approve(url: Url, user: &str) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the test is the browser")]
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut form: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    form.extend([("user".to_owned(), user.to_owned()), ("decision".to_owned(), "approve".to_owned())]);
    let mut action = url;
    action.set_query(None);
    let answer = browser.post(action).form(&form).send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let back = Url::parse(&location).unwrap();
    back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}
