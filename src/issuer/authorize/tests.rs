use super::*;
use crate::admin::clients::NewClient;
use crate::identity::testing::Fixture;
use crate::issuer::Algorithm;
use crate::issuer::testing::{Authority, URL, service};
use crate::model::uri::RedirectUri;
use crate::store::testing::databases;

/// The page was open when an admin, or the person in another browser, ended all sessions: what ended them looked for codes
/// and found none yet.
#[tokio::test]
async fn who_was_signed_out_while_the_page_was_open_lets_nobody_in() {
    for db in databases().await {
        let authority = Authority::begin(&db, Algorithm::Es256).await;
        let fixture = Fixture::of(&db, URL);
        let root = fixture.superadmin().await;
        let acme = fixture.app("acme").await;
        let ada = fixture.member(&root, &acme, "ada@example.com").await;
        let back = "https://shop.example/back";
        let shop = NewClient {
            kind: ClientKind::Provider,
            redirect_uris: Some(vec![RedirectUri::try_from(back.to_owned()).unwrap()]),
            role: None,
            ..service("Shop", "openid", None)
        };
        let (client_id, _) = authority.client(shop).await;
        let text = |text: &str| Some(text.to_owned());
        let params = AuthorizationParams {
            client_id: Some(client_id.to_string()),
            redirect_uri: text(back),
            response_type: text("code"),
            scope: text("openid"),
            code_challenge: text("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            code_challenge_method: text("S256"),
            ..AuthorizationParams::default()
        };
        let request = authority.issuer.authorization_request(&params).await.unwrap();
        assert!(authority.issuer.grant_code(&request, &ada, true).await.is_ok(), "{}", db.name);
        fixture.people.end_sessions(&root, ada.user.id).await.unwrap();
        let late = authority.issuer.grant_code(&request, &ada, true).await;
        assert!(matches!(late, Err(Refusal::Failed(Error::SignedOut))), "{}: {late:?}", db.name);
        assert_eq!(db.count("authorization_code").await, 0);
        assert_eq!(db.count("consent").await, 0);
    }
}
