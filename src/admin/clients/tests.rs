use super::*;
use crate::identity::bearer;
use crate::issuer::Algorithm;
use crate::issuer::authentication::Presented;
use crate::issuer::testing::{Authority, service};
use crate::model::event::Origin;
use crate::model::scope::Scope;
use crate::store::testing::databases;

async fn weaker(authority: &Authority, scopes: &str) -> Superadmin {
    let (id, secret) = authority.client(service(&format!("with {scopes}"), scopes, None)).await;
    let token = authority.token(&id, &secret, None).await;
    authority.principal(&token).await.unwrap().superadmin(Scope::ClientsWrite).unwrap()
}

#[tokio::test]
async fn a_client_reads_back_as_it_was_made_with_an_id_and_a_secret_of_their_own() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let new = NewClient {
            kind: ClientKind::Provider,
            redirect_uris: Some(vec!["https://app.example/cb".to_owned().try_into().unwrap()]),

            token_lifetime_s: Some(600),
            refresh_tokens: true,
            ..service("Nightly job", "binb:read", Some(&["acme/github", "globex/*"]))
        };
        let created = authority.clients.create(&by, new).await.unwrap();
        let (read, secrets) = authority.clients.find(&by, &created.client.client_id).await.unwrap().unwrap();
        assert_eq!(read, Client { created_at: read.created_at, ..created.client.clone() }, "{}", db.name);
        assert_eq!(read.version, 1);
        let secret = created.secret.unwrap();
        assert_eq!((secret.secret.len(), read.client_id.as_str().len()), (43, 22));
        assert_eq!(secrets.iter().map(|info| info.id).collect::<Vec<_>>(), [secret.id]);
        assert!(created.warnings.is_empty());
        let twice = authority.clients.create(&by, service("Nightly job", "binb:read", None)).await;
        assert!(matches!(twice, Err(Error::IdentifierTaken)));
    }
}

#[tokio::test]
async fn an_unconfined_superadmin_is_warned_about_and_a_superadmin_without_scopes_reads_tokens_only() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let new = NewClient { scopes: None, ..service("job", "", None) };
        let created = authority.clients.create(&by, new).await.unwrap();
        assert_eq!(created.warnings, ["unconfined"], "{}", db.name);
        assert_eq!(created.client.scopes.to_string(), "binb:read");
    }
}

#[tokio::test]
async fn nobody_makes_changes_or_opens_a_client_beyond_his_own_rights() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = weaker(&authority, "clients:read clients:write apps:read").await;
        let clients = &authority.clients;
        let (strong, first) = (&authority.first.client_id, &authority.superadmin().await);
        let secrets = clients.find(first, strong).await.unwrap().unwrap().1;
        let exceeds =
            |result: Result<(), Error>| assert!(matches!(result, Err(Error::ExceedsOwn)), "{result:?}");
        exceeds(clients.create(&by, service("new", "binb:read", None)).await.map(drop));
        exceeds(clients.add_secret(&by, strong).await.map(drop));
        exceeds(clients.delete_secret(&by, strong, secrets[0].id).await);
        exceeds(clients.change(&by, strong, ClientChange::default(), None).await.map(drop));
        exceeds(clients.delete(&by, strong, None).await);
        let own = clients.create(&by, service("mine", "apps:read", None)).await.unwrap().client.client_id;
        let wider =
            ClientChange { scopes: Some(Scopes::parse("apps:write").unwrap()), ..ClientChange::default() };
        exceeds(clients.change(&by, &own, wider, None).await.map(drop));
        assert_eq!(clients.find(first, &own).await.unwrap().unwrap().0.scopes.to_string(), "apps:read");
        assert_eq!(clients.find(first, strong).await.unwrap().unwrap().1, secrets, "{}", db.name);
    }
}

#[tokio::test]
async fn there_are_two_live_secrets_at_most_even_when_many_are_made_at_once() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let (id, _) = authority.client(service("job", "binb:read", None)).await;
        let made =
            futures_util::future::join_all((0..4).map(|_| authority.clients.add_secret(&by, &id))).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{}", db.name);
        assert!(made.iter().any(|made| matches!(made, Err(Error::TwoSecrets(_, Spare::Unknown)))));
        assert_eq!(authority.clients.find(&by, &id).await.unwrap().unwrap().1.len(), 2);
    }
}

#[tokio::test]
async fn a_secret_is_deleted_only_through_its_own_client() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let (id, _) = authority.client(service("job", "binb:read", None)).await;
        let (other, _) = authority.client(service("other", "binb:read", None)).await;
        let secret = authority.clients.find(&by, &id).await.unwrap().unwrap().1[0].id;
        let through_other = authority.clients.delete_secret(&by, &other, secret).await;
        assert!(matches!(through_other, Err(Error::NotFound)), "{}", db.name);
        authority.clients.delete_secret(&by, &id, secret).await.unwrap();
        assert!(matches!(authority.clients.delete_secret(&by, &id, secret).await, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let (id, _) = authority.client(service("job", "binb:read", None)).await;
        let rename = |to: &str| ClientChange { identifier: Some(to.to_owned()), ..ClientChange::default() };
        let (changed, _) = authority.clients.change(&by, &id, rename("a"), Some(1)).await.unwrap();
        assert_eq!((changed.version, changed.identifier.as_str()), (2, "a"), "{}", db.name);
        let stale = authority.clients.change(&by, &id, rename("b"), Some(1)).await;
        assert!(matches!(stale, Err(Error::Changed)));
        assert!(matches!(authority.clients.delete(&by, &id, Some(1)).await, Err(Error::Changed)));
        assert_eq!(authority.clients.find(&by, &id).await.unwrap().unwrap().0, changed);
        authority.clients.delete(&by, &id, Some(2)).await.unwrap();
        assert_eq!(authority.clients.find(&by, &id).await.unwrap(), None);
        assert_eq!(db.count(&format!("client_secret WHERE client_id = '{id}'")).await, 0);
    }
}

#[tokio::test]
async fn fields_out_of_range_are_named() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let base = || service("job", "binb:read", None);
        let bad = [
            ("identifier", NewClient { identifier: " ".into(), ..base() }),
            ("identifier", NewClient { identifier: "a\nb".into(), ..base() }),
            ("identifier", NewClient { identifier: "a".repeat(201), ..base() }),
            ("token_lifetime_s", NewClient { token_lifetime_s: Some(59), ..base() }),
            ("token_lifetime_s", NewClient { token_lifetime_s: Some(u32::MAX), ..base() }),
            ("jwks", NewClient { jwks: Some(serde_json::json!([])), ..base() }),
        ];
        for (expected, new) in bad {
            match authority.clients.create(&by, new).await {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, expected, "{}", db.name),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_scope_is_named_with_the_one_that_was_meant() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        for (scope, meant) in [("binb:raed", "; did you mean `binb:read`?"), ("elsewhere:everything", "")] {
            let resource_scopes = ResourceScope::parse(scope).into_iter().collect();
            let new = NewClient { resource_scopes, ..service("job", "binb:read", None) };
            let refused = authority.clients.create(&by, new).await.unwrap_err().to_string();
            assert!(refused.starts_with(&format!("`{scope}` is neither")), "{}: {refused}", db.name);
            assert!(refused.ends_with(&format!("resource servers{meant}")), "{}: {refused}", db.name);
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_by_identifier() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        for name in ["c", "a", "b"] {
            authority.clients.create(&by, service(name, "binb:read", None)).await.unwrap();
        }
        let mut cursor = None;
        let mut names = Vec::new();
        loop {
            let (page, next) = authority.clients.list(&by, cursor.as_deref(), 2).await.unwrap();
            assert!(page.len() <= 2);
            names.extend(page.into_iter().map(|client| client.identifier));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(names, ["a", "b", "c", "superadmin"], "{}", db.name);
    }
}

#[tokio::test]
async fn each_change_is_in_the_audit_trail_under_who_made_it() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let (id, _) = authority.client(service("job", "binb:read", None)).await;
        let secret = authority.clients.add_secret(&by, &id).await.unwrap().id;
        authority.clients.change(&by, &id, ClientChange::default(), None).await.unwrap();
        authority.clients.delete_secret(&by, &id, secret).await.unwrap();
        authority.clients.delete(&by, &id, None).await.unwrap();
        for what in ["created", "secret made", "changed", "secret deleted", "deleted"] {
            let first = &authority.first.client_id;
            let found = format!(
                "audit_event WHERE action = 'client.change' AND actor = 'client:{first}' AND subject = '{id} {what}'"
            );
            assert_eq!(db.count(&found).await, 1, "{what} on {}", db.name);
        }
    }
}

#[tokio::test]
async fn recover_gives_the_first_client_a_new_secret_or_makes_another() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let by = authority.superadmin().await;
        let recover = async || {
            let store = db.store();
            let tx = store.begin().await.unwrap();
            let first = authority.clients.recover(tx.conn()).await.unwrap();
            tx.commit().await.unwrap();
            first
        };
        let id = &authority.first.client_id;
        let off = ClientChange { disabled: Some(true), ..ClientChange::default() };
        authority.clients.change(&by, id, off, None).await.unwrap();
        let (client_id, secret) = (id.to_string(), authority.first.secret.clone());
        let off = Presented::Secret { client_id, secret };
        assert!(authority.issuer.authenticate_client(&off, Origin::default()).await.is_err(), "{}", db.name);
        let on = ClientChange { disabled: Some(false), ..ClientChange::default() };
        authority.clients.change(&by, id, on, None).await.unwrap();
        for _ in 0..3 {
            let again = recover().await;
            assert_eq!(&again.client_id, id);
            let token = authority.token(&again.client_id, &again.secret, None).await;
            authority.principal(&token).await.unwrap().superadmin(Scope::KeysWrite).unwrap();
        }
        assert_eq!(db.count("client_secret").await, 2);

        let confined = Allow(Some(Vec::new()));
        let change = ClientChange { allow: Some(confined), ..ClientChange::default() };
        authority.clients.change(&by, id, change, None).await.unwrap();
        let other = recover().await;
        assert_ne!(&other.client_id, id);
        let token = authority.token(&other.client_id, &other.secret, None).await;
        let principal: Result<_, bearer::Error> = authority.principal(&token).await;
        principal.unwrap().superadmin(Scope::ClientsWrite).unwrap();
    }
}

#[test]
fn no_id_looks_like_an_option_of_a_command() {
    struct Always(u8);
    impl Entropy for Always {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }
    let ids: Vec<_> = (0..=255).map(|byte| new_id(&Always(byte)).to_string()).collect();
    assert!(ids.iter().all(|id| id.len() == 22 && !id.starts_with('-')), "{ids:?}");
    assert!(ids.iter().any(|id| id.contains('-')), "{ids:?}");
}
