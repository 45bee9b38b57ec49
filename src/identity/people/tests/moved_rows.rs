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
