//! Who is stopped when somebody guesses?

use super::*;

#[tokio::test]
async fn failures_lock_out_their_network_and_not_the_person() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        fixture.member(&root, &acme, "ada@example.com").await;
        let try_from = |address: &'static str, password: &'static str| {
            let password = Secret::new(password);
            let logins = Arc::clone(&fixture.logins);
            async move {
                logins.sign_in("ada@example.com", &password, login::Browser::default(), from(address)).await
            }
        };
        let wrong = (0..30).map(|_| try_from("198.51.100.7", "wrong horse battery"));
        let ended = futures_util::future::join_all(wrong).await;
        let looked_at = ended.iter().filter(|end| matches!(end, Err(login::Error::Wrong))).count();
        assert_eq!(looked_at, 10, "{}", db.name);
        let neighbour = try_from("198.51.100.8", PASSWORD).await;
        assert!(matches!(neighbour, Err(login::Error::Limited { retry_after_s: 1..=901 })));
        assert!(try_from("203.0.113.9", PASSWORD).await.is_ok());
        db.clock.advance(Duration::minutes(16));
        assert!(try_from("198.51.100.7", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn one_network_guessing_at_many_names_is_stopped_and_sign_ins_do_not_count() {
    for db in databases().await {
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        fixture.member(&root, &acme, "ada@example.com").await;
        for _ in 0..12 {
            fixture.sign_in("ada@example.com", PASSWORD).await.unwrap();
        }
        let wrong: Secret = "wrong horse battery".to_owned().into();
        let mut limited = 0;
        for n in 0..105 {
            let name = format!("nobody{n}@example.com");
            let ended = fixture
                .logins
                .sign_in(&name, &wrong, login::Browser::default(), from("2001:db8:1:2::3"))
                .await;
            limited += i32::from(matches!(ended, Err(login::Error::Limited { .. })));
        }
        assert_eq!(limited, 5, "{}", db.name);
    }
}
