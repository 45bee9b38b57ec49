//! What are rows worth that were changed by SQL?

use super::*;

#[tokio::test]
async fn hashes_copied_by_sql_into_another_row_are_worth_nothing() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let ada = fixture.member(&root, &acme, "ada@example.com").await;
        let eve = fixture.member(&root, &acme, "eve@example.com").await;
        fixture.people.end_sessions(&root, eve.user.id).await.unwrap();
        let own = fixture.sign_in("eve@example.com", PASSWORD).await.unwrap();
        let eves = "(SELECT id FROM \"user\" WHERE email = 'eve@example.com')";
        let adas = "(SELECT id FROM \"user\" WHERE email = 'ada@example.com')";
        db.sql(&format!(
            "UPDATE session SET token_hash = (SELECT token_hash FROM session WHERE user_id = {eves}) \
             WHERE user_id = {adas}"
        ))
        .await;
        let stolen = Ticket { id: ada.session_id, secret: own.ticket.secret.clone() };
        let resumed = fixture.sessions.resume(&plain(&stolen.text()), Origin::default()).await.unwrap();
        assert!(resumed.is_none() && fixture.resume(&own).await.is_some(), "{}", db.name);
        db.sql(
            "UPDATE \"user\" SET password_hash = (SELECT password_hash FROM \"user\" \
             WHERE email = 'eve@example.com') WHERE email = 'ada@example.com'",
        )
        .await;
        assert!(matches!(fixture.sign_in("ada@example.com", PASSWORD).await, Err(login::Error::Wrong)));
        assert!(fixture.sign_in("eve@example.com", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn rows_turned_to_another_person_by_sql_are_worth_nothing() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        fixture.member(&root, &acme, "ada@example.com").await;
        let eve = fixture.member(&root, &acme, "eve@example.com").await;
        let own = fixture.sign_in("eve@example.com", PASSWORD).await.unwrap();
        let link = fixture.people.password_link(&root, eve.user.id).await.unwrap();
        let invitation = fixture.invite(&root, &acme, "mallory@example.com").await;
        for table in ["session", "password_link"] {
            db.sql(&format!(
                "UPDATE {table} SET user_id = (SELECT id FROM \"user\" WHERE email = 'ada@example.com') \
                 WHERE user_id = (SELECT id FROM \"user\" WHERE email = 'eve@example.com')"
            ))
            .await;
        }
        db.sql("UPDATE invitation SET role = 'app_admin' WHERE email = 'mallory@example.com'").await;
        assert!(fixture.resume(&own).await.is_none(), "{}", db.name);
        assert!(matches!(fixture.people.open_password_link(&token(&link)).await, Err(Error::Unusable)));
        assert!(matches!(fixture.people.open_invitation(&token(&invitation)).await, Err(Error::Unusable)));
    }
}

#[tokio::test]
async fn nobody_becomes_superadmin_by_sql_and_an_admin_mends_the_row() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let eve = fixture.member(&root, &acme, "eve@example.com").await;
        let own = fixture.sign_in("eve@example.com", PASSWORD).await.unwrap();
        for change in
            ["role = 'superadmin'", "claimed_role = 'superadmin'", "role = 'superadmin', own_mac = NULL"]
        {
            db.sql(&format!("UPDATE \"user\" SET {change} WHERE email = 'eve@example.com'")).await;
            assert!(fixture.resume(&own).await.is_none(), "{}: {change}", db.name);
            assert!(matches!(fixture.sign_in("eve@example.com", PASSWORD).await, Err(login::Error::Wrong)));
            let seen = fixture.people.find_user(&root, eve.user.id).await.unwrap();
            assert_eq!((seen.role, seen.disabled), (None, true), "{change}");
        }
        let mended = fixture.people.update_user(&root, eve.user.id, None, None, Some(false)).await.unwrap();
        assert_eq!((mended.role, mended.disabled), (None, false));
        let again = fixture.sign_in("eve@example.com", PASSWORD).await.unwrap();
        // Nor does who was disabled come back.
        fixture.people.update_user(&root, eve.user.id, None, None, Some(true)).await.unwrap();
        db.sql("UPDATE \"user\" SET disabled = FALSE").await;
        assert!(fixture.resume(&again).await.is_none());
        assert!(fixture.sign_in("eve@example.com", PASSWORD).await.is_err(), "{}", db.name);
    }
}

#[tokio::test]
async fn nobody_joins_an_app_or_rises_in_it_by_sql() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let (acme, globex) = (fixture.app("acme").await, fixture.app("globex").await);
        let eve = fixture.member(&root, &acme, "eve@example.com").await.user.id;
        let own = fixture.sign_in("eve@example.com", PASSWORD).await.unwrap();
        let rights = async || {
            let principal = fixture.resume(&own).await.unwrap().principal;
            (
                principal.member(&acme).is_ok(),
                principal.app_admin(&acme).is_ok(),
                principal.member(&globex).is_ok(),
            )
        };
        assert_eq!(rights().await, (true, false, false), "{}", db.name);
        db.sql(
            "INSERT INTO membership (app, user_id, role, created_at, own_mac) \
             SELECT 'globex', user_id, role, created_at, own_mac FROM membership WHERE app = 'acme'",
        )
        .await;
        assert_eq!(rights().await, (true, false, false), "a copy, its hash with it");
        assert!(fixture.people.list_members(&root, &globex, None, 10).await.unwrap().0.is_empty());
        db.sql("UPDATE membership SET role = 'app_admin' WHERE app = 'acme'").await;
        assert_eq!(rights().await, (false, false, false));
        for app in [&acme, &globex] {
            fixture.people.add_member(&root, app, eve, Membership::Member).await.unwrap();
        }
        assert_eq!(rights().await, (true, false, true), "an admin stored them again");
        fixture.people.remove_member(&root, &globex, eve).await.unwrap();
        assert_eq!(rights().await, (true, false, false), "{}", db.name);
    }
}

#[tokio::test]
async fn what_was_used_or_is_over_does_not_live_again_by_sql() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let used = fixture.invite(&root, &acme, "ada@example.com").await;
        let late = fixture.invite(&root, &acme, "eve@example.com").await;
        fixture.people.join(&token(&used), &joining("Ada"), Origin::default()).await.unwrap();
        let ada = fixture.sign_in("ada@example.com", PASSWORD).await.unwrap();
        let link = fixture.people.password_link(&root, ada.session.user).await.unwrap();
        db.clock.advance(Duration::days(8));
        let far = crate::model::time::to_micros(db.clock().now() + Duration::days(1));
        db.sql(&format!("UPDATE invitation SET accepted_at = NULL, expires_at = {far}")).await;
        db.sql(&format!("UPDATE password_link SET used_at = NULL, expires_at = {far}")).await;
        db.sql(&format!("UPDATE session SET expires_at = {far}")).await;
        for link in [&used, &late] {
            let opened = fixture.people.open_invitation(&token(link)).await;
            assert!(matches!(opened, Err(Error::Unusable)), "{}: {opened:?}", db.name);
        }
        assert!(matches!(fixture.people.open_password_link(&token(&link)).await, Err(Error::Unusable)));
        assert!(fixture.resume(&ada).await.is_none(), "{}", db.name);
    }
}
