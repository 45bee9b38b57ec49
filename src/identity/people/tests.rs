mod guessing;
mod moved_rows;

use time::Duration;

use super::*;
use crate::identity::login;
use crate::identity::testing::{Fixture, PASSWORD, from, joining, plain, token, weaker};
use crate::model::event::Origin;
use crate::model::name::DisplayName;
use crate::model::person::{Email, Offer};
use crate::model::principal::Membership;
use crate::model::scope::Scope;
use crate::model::ticket::Ticket;
use crate::store::testing::databases;

const URL: &str = "https://api.example.com/laputa";

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn name(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

#[tokio::test]
async fn an_invited_person_joins_signs_in_and_is_member_of_that_app_alone() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let (acme, globex) = (fixture.app("acme").await, fixture.app("globex").await);
        let link = fixture.invite(&root, &acme, "Ada@Example.com").await;
        assert!(plain(&link.url).starts_with("https://api.example.com/laputa/invitations/"), "{}", db.name);
        fixture.people.join(&token(&link), &joining("Ada"), Origin::default()).await.unwrap();
        let opened = fixture.sign_in(" ADA@example.com", PASSWORD).await.unwrap();
        let ada = fixture.resume(&opened).await.unwrap();
        assert!(ada.principal.member(&acme).is_ok() && ada.principal.app_admin(&acme).is_err());
        assert!(ada.principal.member(&globex).is_err() && ada.principal.superadmin(Scope::AppsRead).is_err());
        let apps = fixture.people.apps_of(&ada.principal).await.unwrap();
        assert_eq!(apps.iter().map(|app| app.id.as_str()).collect::<Vec<_>>(), ["acme"]);
        assert_eq!(fixture.people.apps_of(root.principal()).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_invitation_is_good_for_one_person_once() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let link = fixture.invite(&root, &acme, "ada@example.com").await;
        let (text, first, second) = (token(&link), joining("Ada"), joining("Eve"));
        let both = [&first, &second].map(|who| fixture.people.join(&text, who, Origin::default()));
        let ended = futures_util::future::join_all(both).await;
        assert_eq!(ended.iter().filter(|end| end.is_ok()).count(), 1, "{}", db.name);
        let again = fixture.people.join(&text, &joining("Eve"), Origin::default()).await;
        assert!(matches!(again, Err(Error::Unusable)));
        assert!(fixture.people.list_invitations(&root, &acme, None, 10).await.unwrap().0.is_empty());
    }
}

#[tokio::test]
async fn withdrawn_expired_and_foreign_links_cannot_be_used() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let (acme, globex) = (fixture.app("acme").await, fixture.app("globex").await);
        let withdrawn = fixture.invite(&root, &acme, "a@example.com").await;
        let foreign = fixture.people.delete_invitation(&root, &globex, withdrawn.id).await;
        assert!(matches!(foreign, Err(Error::NotFound)), "{}", db.name);
        fixture.people.delete_invitation(&root, &acme, withdrawn.id).await.unwrap();
        let late = fixture.invite(&root, &acme, "b@example.com").await;
        let swapped = fixture.invite(&root, &acme, "c@example.com").await;
        let secret = Ticket::parse(&token(&late)).unwrap().secret;
        let swapped = plain(&Ticket { id: swapped.id, secret }.text());
        assert!(matches!(fixture.people.open_invitation(&swapped).await, Err(Error::Unusable)));
        db.clock.advance(Duration::days(7));
        for text in [token(&withdrawn), token(&late), "nonsense".to_owned()] {
            let ended = fixture.people.join(&text, &joining("Eve"), Origin::default()).await;
            assert!(matches!(ended, Err(Error::Unusable)));
        }
    }
}

#[tokio::test]
async fn an_address_alone_gives_nothing() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let (made, link) = fixture
            .people
            .create_user(&root, &email("boss@example.com"), &name("Mallory"), None)
            .await
            .unwrap();
        fixture
            .people
            .set_password(&token(&link), &PASSWORD.to_owned().into(), None, Origin::default())
            .await
            .unwrap();
        let new = NewInvitation {
            offer: Offer::Superadmin,
            email: email("boss@example.com"),
            connectors: Vec::new(),
            expires_in: None,
        };
        let invitation = fixture.people.invite(&root, new).await.unwrap();
        let member = fixture.invite(&root, &acme, "boss@example.com").await;
        let opened = fixture.sign_in("boss@example.com", PASSWORD).await.unwrap();
        let mallory = fixture.resume(&opened).await.unwrap();
        assert!(mallory.principal.superadmin(Scope::AppsRead).is_err(), "{}", db.name);
        assert!(mallory.principal.member(&acme).is_err());
        assert_eq!(fixture.people.find_user(&root, made.id).await.unwrap().role, None);
        let unsigned = fixture.people.join(&token(&invitation), &joining("Boss"), Origin::default()).await;
        assert!(matches!(unsigned, Err(Error::SignInFirst)));
        let eve = fixture.member(&root, &acme, "eve@example.com").await;
        let other = fixture.people.accept(&token(&member), &eve, Origin::default()).await;
        assert!(matches!(other, Err(Error::SomebodyElse)));
    }
}

#[tokio::test]
async fn a_known_person_accepts_and_never_loses_a_role_by_it() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let ada = fixture.member(&root, &acme, "ada@example.com").await;
        fixture.people.add_member(&root, &acme, ada.user.id, Membership::AppAdmin).await.unwrap();
        let link = fixture.invite(&root, &acme, "ada@example.com").await;
        let answer = fixture.people.accept(&token(&link), &ada, Origin::default()).await.unwrap();
        assert!(answer.opened.is_none() && answer.app == Some(acme.clone()));
        let (members, _) = fixture.people.list_members(&root, &acme, None, 10).await.unwrap();
        let found: Vec<_> = members.iter().map(|member| (member.user.id, member.role)).collect();
        assert_eq!(found, [(ada.user.id, Membership::AppAdmin)], "{}", db.name);
        fixture.people.remove_member(&root, &acme, ada.user.id).await.unwrap();
        let again = fixture.people.remove_member(&root, &acme, ada.user.id).await;
        assert!(matches!(again, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn nobody_makes_or_gives_a_link_for_more_rights_than_his_own() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let boss = root.principal().user().unwrap();
        let less = weaker("apps:write clients:write");
        let role = Some(crate::model::client::Role::Superadmin);
        let denied =
            |ended: Result<(), Error>| assert!(matches!(ended, Err(Error::Denied(_))), "{}", db.name);
        let people = &fixture.people;
        denied(people.create_user(&less, &email("x@example.com"), &name("X"), role).await.map(drop));
        denied(people.password_link(&less, boss).await.map(drop));
        denied(people.update_user(&less, boss, None, None, Some(true)).await.map(drop));
        denied(people.delete_user(&less, boss).await);
        denied(people.end_sessions(&less, boss).await.map(drop));
        let (user, _) = people.create_user(&less, &email("x@example.com"), &name("X"), None).await.unwrap();
        denied(people.update_user(&less, user.id, None, Some(role), None).await.map(drop));
        let new = NewInvitation {
            offer: Offer::Superadmin,
            email: email("y@example.com"),
            connectors: Vec::new(),
            expires_in: None,
        };
        denied(people.invite(&less, new).await.map(drop));
    }
}

#[tokio::test]
async fn a_password_link_works_once_for_a_day_and_ends_the_sessions_before() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let ada = fixture.member(&root, &acme, "ada@example.com").await;
        let before = fixture.sign_in("ada@example.com", PASSWORD).await.unwrap();
        let older = fixture.people.password_link(&root, ada.user.id).await.unwrap();
        let link = fixture.people.password_link(&root, ada.user.id).await.unwrap();
        let fresh: Secret = "another horse battery".to_owned().into();
        let short = fixture
            .people
            .set_password(&token(&link), &"short".to_owned().into(), None, Origin::default())
            .await;
        assert!(matches!(short, Err(Error::Password(password::Error::Rule(_)))), "{}", db.name);
        let opened =
            fixture.people.set_password(&token(&link), &fresh, None, Origin::default()).await.unwrap();
        assert!(fixture.resume(&opened).await.is_some() && fixture.resume(&before).await.is_none());
        assert!(matches!(fixture.sign_in("ada@example.com", PASSWORD).await, Err(login::Error::Wrong)));
        for used in [&link, &older] {
            let again = fixture.people.set_password(&token(used), &fresh, None, Origin::default()).await;
            assert!(matches!(again, Err(Error::Unusable)));
        }
        let late = fixture.people.password_link(&root, ada.user.id).await.unwrap();
        db.clock.advance(Duration::hours(24));
        assert!(matches!(fixture.people.open_password_link(&token(&late)).await, Err(Error::Unusable)));
    }
}

#[tokio::test]
async fn sessions_end_after_twelve_hours_by_sign_out_and_with_the_person() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let ada = fixture.member(&root, &acme, "ada@example.com").await;
        let [one, two, three] = [(); 3].map(|()| fixture.sign_in("ada@example.com", PASSWORD));
        let (one, two, three) = (one.await.unwrap(), two.await.unwrap(), three.await.unwrap());
        let listed = fixture.people.list_sessions(&root, ada.user.id).await.unwrap();
        assert_eq!(listed.len(), 4, "{}", db.name);
        assert_eq!(listed[0].address, Some("203.0.113.9".parse().unwrap()));
        fixture.sessions.end(&fixture.resume(&one).await.unwrap()).await.unwrap();
        assert!(fixture.resume(&one).await.is_none() && fixture.resume(&two).await.is_some());
        let told = "SELECT actor FROM audit_event WHERE action = 'logout'";
        assert_eq!(db.texts(told).await, [format!("user:{}", ada.user.id)], "{}", db.name);
        db.clock.advance(Duration::hours(12));
        assert!(fixture.resume(&two).await.is_none());
        let four = fixture.sign_in("ada@example.com", PASSWORD).await.unwrap();
        assert!(fixture.resume(&four).await.is_some());
        fixture.people.update_user(&root, ada.user.id, None, None, Some(true)).await.unwrap();
        assert!(fixture.resume(&four).await.is_none());
        assert!(matches!(fixture.sign_in("ada@example.com", PASSWORD).await, Err(login::Error::Wrong)));
        fixture.people.delete_user(&root, ada.user.id).await.unwrap();
        assert!(fixture.people.list_members(&root, &acme, None, 10).await.unwrap().0.is_empty());
        drop(three);
    }
}

#[tokio::test]
async fn nobody_takes_over_an_app_admin_with_fewer_rights() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let ada = fixture.member(&root, &acme, "ada@example.com").await.user.id;
        let people = &fixture.people;
        let less = weaker("clients:write");
        assert!(people.password_link(&less, ada).await.is_ok(), "{}", db.name);
        people.add_member(&root, &acme, ada, Membership::AppAdmin).await.unwrap();
        assert!(matches!(people.password_link(&less, ada).await, Err(Error::Denied(_))));
        let changed = people.update_user(&less, ada, None, None, Some(true)).await;
        assert!(matches!(changed, Err(Error::Denied(_))));
        assert!(people.password_link(&weaker("apps:write connections:write"), ada).await.is_ok());
    }
}

#[tokio::test]
async fn a_new_first_invitation_ends_the_earlier_one() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let earlier = fixture.first_superadmin_link().await;
        let link = fixture.first_superadmin_link().await;
        let ended = fixture.people.open_invitation(&token(&earlier)).await;
        assert!(matches!(ended, Err(Error::Unusable)), "{}", db.name);
        assert!(fixture.people.open_invitation(&token(&link)).await.is_ok());
    }
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        for n in 0..4 {
            let who = email(&format!("u{n}@example.com"));
            fixture.people.create_user(&root, &who, &name("U"), None).await.unwrap();
        }
        let again = fixture.people.create_user(&root, &email("U0@example.com"), &name("U"), None).await;
        assert!(matches!(again, Err(Error::EmailTaken)), "{}", db.name);
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let (users, next) = fixture.people.list_users(&root, cursor.as_deref(), 2).await.unwrap();
            seen.extend(users.into_iter().map(|user| user.email.to_string()));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 5);
        assert_eq!(seen[0], "superadmin@api.example.com");
        let bad = fixture.people.list_users(&root, Some("x"), 2).await;
        assert!(matches!(bad, Err(Error::Invalid { field: "cursor", .. })));
    }
}

#[tokio::test]
async fn a_later_superadmin_invitation_does_not_collide_with_the_first() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        fixture.superadmin().await;
        let link = fixture.first_superadmin_link().await;
        let found = fixture.people.open_invitation(&token(&link)).await.unwrap();
        assert_eq!(
            (found.email.as_str(), found.known),
            ("superadmin-2@api.example.com", false),
            "{}",
            db.name
        );
        let chosen = Joining { email: Some(email("ada@example.com")), ..joining("Ada") };
        fixture.people.join(&token(&link), &chosen, Origin::default()).await.unwrap();
        let ada = fixture.resume(&fixture.sign_in("ada@example.com", PASSWORD).await.unwrap()).await.unwrap();
        assert!(ada.principal.superadmin(Scope::Superadmin).is_ok());
    }
}
