//! Which part gets what? Every service is built here, once.

use std::sync::Arc;

use super::{Error, Ground};
use crate::admin::apps::Apps;
use crate::admin::clients::{Clients, Post};
use crate::admin::connections::Imports;
use crate::admin::connectors::Connectors;
use crate::admin::credentials::ProviderCredentials;
use crate::admin::keys::{self, SigningKeys};
use crate::admin::resources::Resources;
use crate::config::Config;
use crate::connectors::catalog::Catalog;
use crate::figures::Figures;
use crate::gauges::Gauges;
use crate::health::Readiness;
use crate::http::layer::trace::Nature as WebNature;
use crate::http::metrics::Exposed;
use crate::http::problem::Code;
use crate::http::server::Services;
use crate::http::settings::WebSettings;
use crate::identity::bearer::{Bearers, RecentRows};
use crate::identity::login::Logins;
use crate::identity::password::Passwords;
use crate::identity::people::People;
use crate::identity::session::Sessions;
use crate::identity::upstream::{self, Upstreams};
use crate::issuer::{self, Algorithm, Issuer};
use crate::keeper::{self, SecretsKeeper};
use crate::model::connector::Rules;
use crate::outbound::Outbound;
use crate::registry::Registry;
use crate::secret_stores::SecretStores;
use crate::signup::{self, Signup};

/// The parts, from the ground up.
pub(super) async fn build(config: &Config, ground: Ground) -> Result<Services, Error> {
    let registry = registry(config, &ground)?;
    let figures = Arc::new(Figures::new(Code::ALL.iter().map(|code| code.as_str())));
    let keeper = keeper(config, &ground, &registry, &figures);
    let gauges = Gauges::new(
        figures.clone(),
        ground.store.clone(),
        ground.audit.clone(),
        registry.clone(),
        keeper.clone(),
    );
    let recent = RecentRows::default();
    let Ground { nature, store, vault, public_url, .. } = &ground;
    let (clock, entropy, url) = (&nature.clock, &nature.entropy, || public_url.clone());
    let passwords = Arc::new(Passwords::new(vault.clone(), entropy.clone()));
    let sessions = Arc::new(Sessions::new(ground.tools()));
    let people =
        Arc::new(People::new(ground.tools(), passwords.clone(), sessions.clone(), url(), recent.clone()));
    let rules = Rules { allow_loopback: config.outbound.allow_loopback, builtin: false };
    let bearers = Arc::new(
        Bearers::load(public_url.as_str(), store.clone(), vault.clone(), clock.clone(), recent.clone())
            .await?,
    );
    let issuer = Arc::new(issuer(config, &ground, recent.clone()).await?);
    let signing_keys = signing_keys(config, &ground, &issuer, &bearers).await?;
    Ok(Services {
        settings: Arc::new(WebSettings::new(url(), config.trusted_proxies.clone())),
        nature: Arc::new(WebNature { clock: clock.clone(), entropy: entropy.clone() }),
        figures,
        metrics: Arc::new(Exposed { gauges: Arc::new(gauges), elsewhere: config.metrics_listen.is_some() }),
        readiness: Arc::new(Readiness::new(store.clone(), vault.clone(), ground.spool.clone())),
        bearers,
        logins: Arc::new(Logins::new(ground.tools(), passwords, sessions.clone())),
        upstreams: Arc::new(upstreams(config, &ground, &sessions, &people)?),
        people,
        sessions,
        signup: Arc::new(signup(config, &ground, &registry, &keeper)),
        issuer,
        apps: Arc::new(Apps::new(ground.tools(), keeper.clone(), url())),
        connectors: Arc::new(Connectors::new(ground.tools(), registry.clone(), rules)),
        credentials: Arc::new(ProviderCredentials::new(ground.tools(), registry.clone(), url())),
        imports: Arc::new(Imports::new(store.clone(), keeper.clone(), registry, clock.clone())),
        clients: Arc::new(Clients::new(ground.tools(), recent).with_post(Post {
            stores: SecretStores::new(config.secret_stores.clone()),
            issuer: url(),
            stack: config.instance.stack.clone(),
        })),
        resources: Arc::new(Resources::new(ground.tools(), url())),
        signing_keys,
        keeper,
    })
}

fn registry(config: &Config, ground: &Ground) -> Result<Arc<Registry>, Error> {
    let outbound = Outbound::new(&config.outbound)?;
    let catalog = catalog(config)?;
    Ok(Arc::new(Registry::new(catalog, ground.store.clone(), ground.vault.clone(), outbound)))
}

/// The catalog, at the addresses the operator gave.
pub(super) fn catalog(config: &Config) -> Result<Catalog, Error> {
    config.connectors.iter().try_fold(Catalog::builtin(), |catalog, base| {
        let id = base.id.as_str();
        if catalog.find(id).is_none_or(|definition| definition.id != base.id) {
            return Err(Error::NoSuchConnector(base.id.clone()));
        }
        let catalog = match &base.api_base_url {
            Some(url) => catalog.with_api_base(id, url),
            None => catalog,
        };
        Ok(match &base.base_url {
            Some(url) => catalog.with_base(id, url),
            None => catalog,
        })
    })
}

fn keeper(
    config: &Config,
    ground: &Ground,
    registry: &Arc<Registry>,
    figures: &Arc<Figures>,
) -> Arc<SecretsKeeper> {
    let parts = keeper::Parts {
        store: ground.store.clone(),
        vault: ground.vault.clone(),
        spool: ground.spool.clone(),
        audit: ground.audit.clone(),
        registry: Arc::clone(registry),
        clock: ground.nature.clock.clone(),
        entropy: ground.nature.entropy.clone(),
        figures: Arc::clone(figures),
    };
    let settings = keeper::Settings {
        lease: config.refresh.lease,
        provider_timeout: config.outbound.timeout,
        concurrency: config.refresh.concurrency,
        ..keeper::Settings::default()
    };
    Arc::new(SecretsKeeper::new(parts, settings))
}

fn upstreams(
    config: &Config,
    ground: &Ground,
    sessions: &Arc<Sessions>,
    people: &Arc<People>,
) -> Result<Upstreams, Error> {
    let Some(login) = config.upstream_login.clone() else { return Ok(Upstreams::none()) };
    let settings = upstream::Settings {
        issuer: login.issuer,
        client_id: login.client_id,
        client_secret: login.client_secret,
        apps_claim: login.apps_claim,
        superadmin_values: login.superadmin_values,
        forwarded: login.forwarded.map(|forwarded| upstream::Forwarded {
            audience: forwarded.audience,
            client_id: forwarded.client_id,
            token_header: forwarded.token_header,
            logout_url: forwarded.logout_url,
            proxies: config.trusted_proxies.clone(),
        }),
    };
    let parts = upstream::Parts {
        tools: ground.tools(),
        sessions: Arc::clone(sessions),
        people: Arc::clone(people),
        outbound: Outbound::new(&config.outbound)?,
        public_url: ground.public_url.clone(),
    };
    Ok(Upstreams::new(settings, parts)?)
}

fn signup(config: &Config, ground: &Ground, registry: &Arc<Registry>, keeper: &Arc<SecretsKeeper>) -> Signup {
    let settings = signup::Settings {
        public_url: ground.public_url.clone(),
        return_to_origins: config.return_to_origins.clone(),
        bounds: signup::Bounds::default(),
    };
    let parts = signup::Parts {
        store: ground.store.clone(),
        vault: ground.vault.clone(),
        audit: ground.audit.clone(),
        registry: Arc::clone(registry),
        keeper: Arc::clone(keeper),
        clock: ground.nature.clock.clone(),
        entropy: ground.nature.entropy.clone(),
    };
    Signup::new(settings, parts)
}

async fn issuer(config: &Config, ground: &Ground, recent: RecentRows) -> Result<Issuer, Error> {
    let settings = issuer::Settings {
        issuer: ground.public_url.as_str().to_owned(),
        token_lifetime_s: config.issuer.token_lifetime_s,
    };
    let (store, vault, audit) = (ground.store.clone(), ground.vault.clone(), ground.audit.clone());
    let (clock, entropy) = (ground.nature.clock.clone(), ground.nature.entropy.clone());
    Ok(Issuer::load(settings, store, vault, audit, clock, entropy, recent).await?)
}

async fn signing_keys(
    config: &Config,
    ground: &Ground,
    issuer: &Arc<Issuer>,
    bearers: &Arc<Bearers>,
) -> Result<Arc<SigningKeys>, Error> {
    let days = config.issuer.rotation_days;
    let settings = keys::Settings {
        algorithm: algorithm(config),
        rotate_after: (days > 0).then(|| time::Duration::days(days.into())),
    };
    let keys = SigningKeys::new(ground.tools(), settings, Arc::clone(issuer), Arc::clone(bearers));
    keys.tell_algorithm().await?;
    Ok(Arc::new(keys))
}

/// What new signing keys are for.
pub(super) fn algorithm(config: &Config) -> Algorithm {
    Algorithm::parse(config.issuer.algorithm).unwrap_or_default()
}
