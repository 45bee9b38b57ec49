//! Is a credential delivered once, whatever crashed before, and is the old one retired when nobody uses it?

use jeton_client::secret_store::Variables;
use time::Duration;

use super::*;
use crate::admin::clients::Drift;
use crate::identity::bearer::RecentRows;
use crate::issuer::Algorithm;
use crate::issuer::authentication::Presented;
use crate::issuer::testing::{Authority, URL, clients};
use crate::model::client::ClientKind;
use crate::model::event::Origin;
use crate::secret_stores::Settings;
use crate::store::testing::{TestDatabase, databases};

struct Desk<'a> {
    db: &'a TestDatabase,
    authority: Authority,
    clients: Clients,
    variables: Variables,
    _folder: tempfile::TempDir,
}

impl<'a> Desk<'a> {
    async fn on(db: &'a TestDatabase) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets").display().to_string();
        let variables = Variables::of([("JETON_SECRETS_DIR", path)]);
        let settings = Settings { deliver_to: vec!["file:".to_owned()], variables: variables.clone() };
        let issuer = PublicUrl::parse(URL).unwrap();
        let post = Post { stores: SecretStores::new(settings), issuer, stack: "prod".to_owned() };
        let clients = clients(db, RecentRows::default()).with_post(post);
        let authority = Authority::begin(db, Algorithm::Es256).await;
        Self { db, authority, clients, variables, _folder: folder }
    }

    async fn by(&self) -> Superadmin {
        self.authority.superadmin().await
    }

    async fn held(&self) -> ServiceCredential {
        let stored = self.store().get().await.unwrap().unwrap();
        ServiceCredential::read(&stored.value).unwrap()
    }

    fn store(&self) -> Arc<dyn SecretStore> {
        jeton_client::secret_store::open(&"file:prod/pipeline".parse().unwrap(), &self.variables).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "the test presents what the store holds")]
    async fn is_let_in(&self, held: &ServiceCredential) -> bool {
        let secret = Secret::new(held.client_secret.expose_secret());
        let presented = Presented::Secret { client_id: held.client_id.clone(), secret };
        self.authority.issuer.authenticate_client(&presented, Origin::default()).await.is_ok()
    }

    async fn secrets(&self, id: &ClientId) -> usize {
        self.db.store().conn().list_client_secrets(id).await.unwrap().len()
    }

    /// No drift.
    async fn is_well(&self, id: &ClientId) -> bool {
        matches!(self.clients.check_delivery(&self.by().await, id).await.unwrap(), Some((_, Drift::None)))
    }
}

#[tokio::test]
async fn a_service_gets_its_credential_in_the_store_and_nowhere_else() {
    for db in databases().await {
        let desk = Desk::on(&db).await;
        let by = desk.by().await;
        let (created, delivery) = desk.clients.add_service_client(&by, "pipeline", "file:").await.unwrap();
        assert!(created.secret.is_none());
        assert_eq!((delivery.reference.as_str(), delivery.version), ("file:prod/pipeline", 1), "{}", db.name);
        assert_eq!(delivery.state, DeliveryState::Delivered);
        let held = desk.held().await;
        assert_eq!(held.client_id, created.client.client_id.to_string());
        assert_eq!(held.token_endpoint.as_str(), "https://broker.example/laputa/o/token/");
        assert!(desk.is_let_in(&held).await && desk.is_well(&created.client.client_id).await);

        // A duplicate is refused before anything is made.
        let again = desk.clients.create_delivered(
            &by,
            NewClient::named("other", ClientKind::Service),
            ("file:prod/pipeline", DeliveryForm::Document),
        );
        let refused = again.await.unwrap_err();
        assert!(refused.to_string().contains("`file:prod/pipeline`: a secret is there already"), "{refused}");
        let (all, _) = desk.clients.list(&by, None, 9).await.unwrap();
        assert!(all.iter().all(|client| client.identifier != "other"));

        let script = desk.clients.add_programmatic_client(&by, "notebook").await.unwrap();
        assert_eq!((script.client.kind, script.secret.is_none()), (ClientKind::Programmatic, true));
    }
}

#[tokio::test]
async fn a_delivery_goes_on_after_a_crash_at_any_step() {
    for db in databases().await {
        let desk = Desk::on(&db).await;
        let by = desk.by().await;
        let reference: Reference = "file:prod/pipeline".parse().unwrap();
        let new = NewClient::named("pipeline", ClientKind::Service);
        let (created, pending) =
            desk.clients.make(&by, new, Some((&reference, DeliveryForm::Document))).await.unwrap();
        let (client, id) = (created.client.clone(), created.client.client_id);

        // Nothing is in the store yet.
        let (_, drift) = desk.clients.check_delivery(&by, &id).await.unwrap().unwrap();
        assert!(matches!(drift, Drift::Pending));
        // Somebody may be at it still: its secret must not be deleted under their hands.
        let early = desk.clients.deliver(&by, &id, (None, None)).await;
        assert!(matches!(early, Err(Error::UnderWay)), "{}: {early:?}", db.name);
        db.clock.advance(Duration::minutes(2));
        let elsewhere = desk.clients.deliver(&by, &id, (Some("file:prod/elsewhere"), None)).await;
        assert!(matches!(elsewhere, Err(Error::Invalid { field: "deliver_to", .. })), "{elsewhere:?}");
        let done = desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        assert_eq!((done.state, done.version), (DeliveryState::Delivered, 2), "{}", db.name);
        assert_eq!(desk.secrets(&id).await, 1, "the one that went nowhere is gone");
        assert!(desk.is_let_in(&desk.held().await).await && desk.is_well(&id).await);
        assert_ne!(pending.unwrap().secret_id, done.secret_id);

        // It is in the store, and nobody wrote so.
        let (secret, pending) =
            desk.clients.begin_delivery(&by, &id, (&reference, None), Some(done.secret_id)).await.unwrap();
        let document = desk.clients.credential(&client, plain(&secret.secret), pending.version);
        let seen = Expected::Version(desk.store().get().await.unwrap().unwrap().version);
        desk.store().put(&document.unwrap().document(), &seen).await.unwrap();
        let done = desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        assert_eq!((done.secret_id, done.version), (pending.secret_id, 3), "nothing is made anew");
        assert_eq!(desk.secrets(&id).await, 2, "the one before is still good");
        assert!(desk.is_well(&id).await);
    }
}

#[tokio::test]
async fn the_secret_before_lives_until_nobody_has_used_it_for_a_day() {
    for db in databases().await {
        let desk = Desk::on(&db).await;
        let by = desk.by().await;
        let (created, _) = desk.clients.add_service_client(&by, "pipeline", "file:").await.unwrap();
        let (id, old) = (created.client.client_id, desk.held().await);
        let rotated = desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        let fresh = desk.held().await;
        assert_eq!((fresh.version, rotated.version), (2, 2));
        assert!(desk.is_let_in(&old).await && desk.is_let_in(&fresh).await, "{}", db.name);
        // A third one would end the first while it is in use.
        let third = desk.clients.deliver(&by, &id, (None, None)).await;
        let (_, secrets) = desk.clients.find(&by, &id).await.unwrap().unwrap();
        let first = secrets.iter().find(|secret| secret.id != rotated.secret_id).unwrap().id;
        assert!(
            matches!(third, Err(Error::TwoSecrets(_, Spare::Replaced(one))) if one == first),
            "{third:?}"
        );

        db.clock.advance(Duration::hours(20));
        assert!(desk.is_let_in(&old).await);
        db.clock.advance(Duration::hours(20));
        assert_eq!(desk.clients.retire_superseded().await.unwrap(), 0, "it was used twenty hours ago");
        db.clock.advance(Duration::hours(5));
        assert_eq!(desk.clients.retire_superseded().await.unwrap(), 1);
        assert!(!desk.is_let_in(&old).await && desk.is_let_in(&fresh).await);
        assert_eq!(desk.clients.retire_superseded().await.unwrap(), 0);
        desk.clients.deliver(&desk.by().await, &id, (None, None)).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_credential_is_delivered_again_once_its_secret_is_deleted() {
    for db in databases().await {
        let desk = Desk::on(&db).await;
        let by = desk.by().await;
        let (created, _) = desk.clients.add_service_client(&by, "pipeline", "file:").await.unwrap();
        let (id, old) = (created.client.client_id, desk.held().await);
        let lost = desk.clients.deliver(&by, &id, (None, None)).await.unwrap().secret_id;
        desk.store().delete().await.unwrap();
        // A program may have read it before: nothing is deleted by itself.
        let refused = desk.clients.deliver(&by, &id, (None, None)).await.unwrap_err();
        let told = format!("`jeton client secret delete {id} {lost}`");
        assert!(refused.to_string().contains(&told), "{}: {refused}", db.name);
        assert_eq!(desk.secrets(&id).await, 2);

        desk.clients.delete_secret(&by, &id, lost).await.unwrap();
        let done = desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        assert!(
            desk.is_let_in(&old).await && desk.is_let_in(&desk.held().await).await && desk.is_well(&id).await
        );
        assert_ne!(done.previous_secret_id, Some(lost), "{}", db.name);
        db.clock.advance(Duration::hours(25));
        assert_eq!(desk.clients.retire_superseded().await.unwrap(), 1);
        assert!(!desk.is_let_in(&old).await, "the one before the lost one is retired as ever");
    }
}

#[tokio::test]
async fn what_a_store_holds_is_compared_with_what_was_delivered() {
    for db in databases().await {
        let desk = Desk::on(&db).await;
        let by = desk.by().await;
        let (created, delivery) = desk.clients.add_service_client(&by, "pipeline", "file:").await.unwrap();
        let id = created.client.client_id;
        let drift = async || desk.clients.check_delivery(&desk.by().await, &id).await.unwrap().unwrap().1;
        let change = async |changed: &ServiceCredential| {
            let seen = Expected::Version(desk.store().get().await.unwrap().unwrap().version);
            desk.store().put(&changed.document(), &seen).await.unwrap();
        };
        let held = desk.held().await;
        change(&ServiceCredential { scope: Some("more".to_owned()), ..held.clone() }).await;
        assert!(matches!(drift().await, Drift::Outdated), "{}", db.name);
        change(&ServiceCredential { client_secret: jeton_client::Secret::new("x"), ..held.clone() }).await;
        assert!(matches!(drift().await, Drift::NotLive));
        change(&ServiceCredential { client_id: "somebody-else".to_owned(), ..held.clone() }).await;
        assert!(matches!(drift().await, Drift::Foreign));
        let refused = desk.clients.deliver(&by, &id, (None, None)).await;
        assert!(matches!(refused, Err(Error::Delivery(_))), "what is foreign is not overwritten");
        desk.store().delete().await.unwrap();
        assert!(matches!(drift().await, Drift::Missing));
        desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        assert!(desk.is_well(&id).await);
        // The one before was lost with the store.
        db.clock.advance(Duration::hours(25));
        assert_eq!(desk.clients.retire_superseded().await.unwrap(), 1);
        let last = desk.held().await;
        let by = desk.by().await;
        desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        change(&last).await;
        assert!(desk.is_let_in(&last).await && matches!(drift().await, Drift::Superseded), "{}", db.name);

        // A row that was turned to another place by SQL is not believed.
        let forged = Delivery { reference: "file:elsewhere".to_owned(), ..delivery.clone() };
        db.store().conn().put_delivery(&forged, desk.db.vault().sign(&delivery)).await.unwrap();
        assert!(matches!(desk.clients.deliver(&by, &id, (None, None)).await, Err(Error::NotOurs(_))));
    }
}

#[tokio::test]
async fn a_pair_stays_a_pair_and_drifts_by_its_secret_alone() {
    for db in databases().await {
        let desk = Desk::on(&db).await;
        let by = desk.by().await;
        let new = NewClient::named("pipeline", ClientKind::Service);
        let (created, _) =
            desk.clients.create_delivered(&by, new, ("file:", DeliveryForm::Pair)).await.unwrap();
        let id = created.client.client_id;
        desk.clients.deliver(&by, &id, (None, None)).await.unwrap();
        let stored = desk.store().get().await.unwrap().unwrap();
        let url = Url::parse(URL).unwrap();
        assert!(ServiceCredential::read(&stored.value).is_err(), "{}: no document", db.name);
        let held = ServiceCredential::read_at(&stored.value, Some(&url)).unwrap();
        assert_eq!(held.client_id, id.to_string());
        assert!(desk.is_let_in(&held).await && desk.is_well(&id).await);
    }
}
