use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton_guard::{GivenKeys, Guard, KeySet};
use serde_json::{Value, json};

use super::*;
use crate::admin::clients::NewClient;
use crate::identity::bearer::{self, RecentRows};
use crate::identity::testing::{tools, weaker};
use crate::issuer::testing::{Authority, URL, issuer, service};
use crate::store::testing::{TestDatabase, databases};

const DAYS: i64 = 90;

/// A process that signs, verifies and rotates.
struct Replica {
    keys: SigningKeys,
    issuer: Arc<Issuer>,
    bearers: Arc<Bearers>,
}

impl Replica {
    async fn start(db: &TestDatabase, algorithm: Algorithm) -> Self {
        let bearers = Bearers::load(URL, db.store(), db.vault(), db.clock(), RecentRows::default()).await;
        Self::of(db, algorithm, Arc::new(issuer(db).await), Arc::new(bearers.unwrap()))
    }

    fn of(db: &TestDatabase, algorithm: Algorithm, issuer: Arc<Issuer>, bearers: Arc<Bearers>) -> Self {
        let settings = Settings { algorithm, rotate_after: Some(Duration::days(DAYS)) };
        let keys = SigningKeys::new(tools(db), settings, Arc::clone(&issuer), Arc::clone(&bearers));
        Self { keys, issuer, bearers }
    }

    async fn rotate(&self) -> Rotation {
        self.keys.rotate(&weaker("keys:write")).await.unwrap()
    }

    async fn retire(&self, kid: Uuid) -> Result<(), Error> {
        self.keys.retire(&weaker("keys:write"), kid).await
    }

    async fn states(&self) -> Vec<&'static str> {
        let keys = self.keys.list(&weaker("keys:write")).await.unwrap();
        keys.iter().map(|key| key.state.as_str()).collect()
    }

    async fn active(&self) -> SigningKey {
        let keys = self.keys.list(&weaker("keys:write")).await.unwrap();
        keys.into_iter().find(SigningKey::is_active).unwrap()
    }

    async fn accepts(&self, token: &str) -> Result<(), bearer::Error> {
        let header = format!("Bearer {token}");
        self.bearers.authenticate([header.as_bytes()], Origin::default()).await.map(drop)
    }

    /// The names that are published: each once, with public members and no other.
    async fn published(&self) -> Vec<String> {
        let jwks: Value = serde_json::from_str(&self.issuer.jwks().await).unwrap();
        let keys = jwks["keys"].as_array().unwrap();
        for key in keys {
            let members: BTreeSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            let public: &[&str] = match key["kty"].as_str().unwrap() {
                "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
                _ => &["alg", "e", "kid", "kty", "n", "use"],
            };
            assert_eq!(members, public.iter().copied().collect());
        }
        let kids: Vec<String> = keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kids.iter().collect::<BTreeSet<_>>().len(), kids.len());
        kids
    }
}

/// The process of an authority, with its clients.
async fn begin(db: &TestDatabase, algorithm: Algorithm) -> (Authority, Replica) {
    let authority = Authority::begin(db, Algorithm::Es256).await;
    let replica = Replica::of(db, algorithm, authority.issuer.clone(), authority.bearers.clone());
    (authority, replica)
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

fn text(kid: Uuid) -> String {
    kid.simple().to_string()
}

fn is_unknown(refused: &Result<(), bearer::Error>) -> bool {
    matches!(refused, Err(bearer::Error::Refused(jeton_guard::Error::UnknownKey)))
}

#[tokio::test]
async fn a_key_rolls_and_old_tokens_verify_until_they_expire() {
    for db in databases().await {
        let (authority, here) = begin(&db, Algorithm::Es256).await;
        let old = here.active().await.kid;
        let long = NewClient { token_lifetime_s: Some(86_400), ..service("job", "binb:read", None) };
        let (client, secret) = authority.client(long).await;
        let there = Replica::start(&db, Algorithm::Es256).await;

        let rotation = here.rotate().await;
        let new = rotation.pending.kid;
        assert!(rotation.begun, "{}", db.name);
        assert_eq!(here.rotate().await, Rotation { begun: false, ..rotation });
        assert_eq!(here.published().await, [text(new), text(old)]);
        assert_eq!(there.published().await, [text(old)], "not read again yet");
        db.clock.advance(Duration::seconds(5));
        assert_eq!(there.published().await, [text(new), text(old)]);

        db.clock.advance(WAIT - Duration::seconds(10));
        assert_eq!(there.keys.step().await.unwrap(), Steps::default(), "too early");
        let token = authority.token(&client, &secret, None).await;
        assert_eq!(header(&token)["kid"], text(old));
        db.clock.advance(Duration::seconds(5));
        assert_eq!(there.keys.step().await.unwrap(), Steps { promoted: 1, ..Steps::default() });
        assert_eq!(here.keys.step().await.unwrap(), Steps::default());
        assert_eq!(here.states().await, ["active", "retired"]);

        db.clock.advance(Duration::seconds(5));
        let newer = authority.token(&client, &secret, None).await;
        assert_eq!(header(&newer)["kid"], text(new));
        assert!(here.accepts(&newer).await.is_ok() && here.accepts(&token).await.is_ok());
        assert_eq!(here.published().await, [text(new), text(old)]);
        let destroyed = || db.count("signing_key WHERE length(sealed_private) = 0");
        assert_eq!((here.keys.step().await.unwrap(), destroyed().await), (Steps::default(), 0));
        db.clock.advance(SIGNING_ON);
        assert_eq!(here.keys.step().await.unwrap(), Steps { destroyed: 1, ..Steps::default() });
        assert_eq!((here.keys.step().await.unwrap(), destroyed().await), (Steps::default(), 1));

        db.clock.advance(Duration::seconds(86_400 - 90));
        assert_eq!(here.keys.step().await.unwrap(), Steps::default());
        assert!(here.accepts(&token).await.is_ok() && there.accepts(&token).await.is_ok(), "{}", db.name);
        db.clock.advance(Duration::seconds(90 + 60));
        let expired = there.accepts(&token).await;
        assert!(matches!(expired, Err(bearer::Error::Refused(jeton_guard::Error::Expired))), "{expired:?}");
        assert_eq!(here.published().await.len(), 2);
        db.clock.advance(KEPT - Duration::seconds(86_400));
        assert_eq!(there.keys.step().await.unwrap(), Steps { removed: 1, ..Steps::default() });
        assert_eq!(there.published().await, [text(new)]);
        let told = db.texts("SELECT subject FROM audit_event WHERE action = 'key.change' ORDER BY id").await;
        let expected = [(new, "waits"), (new, "signs"), (old, "removed")];
        assert_eq!(told, expected.map(|(kid, what)| format!("{} {what}", text(kid))));
    }
}

#[tokio::test]
async fn replicas_that_do_the_same_at_once_do_it_once() {
    for db in databases().await {
        let (_authority, here) = begin(&db, Algorithm::Es256).await;
        let there = Replica::start(&db, Algorithm::Es256).await;
        let all = (0..4).flat_map(|_| [here.rotate(), there.rotate()]);
        let rotations = futures_util::future::join_all(all).await;
        assert_eq!(rotations.iter().filter(|rotation| rotation.begun).count(), 1, "{}", db.name);
        assert!(rotations.iter().all(|rotation| rotation.pending == rotations[0].pending));
        assert_eq!(here.states().await, ["pending", "active"]);
        assert_eq!(db.count("audit_event WHERE action = 'key.change'").await, 1);

        db.clock.advance(WAIT);
        let all = (0..4).flat_map(|_| [here.keys.step(), there.keys.step()]);
        let steps = futures_util::future::join_all(all).await;
        let promoted: usize = steps.into_iter().map(|step| step.unwrap().promoted).sum();
        assert_eq!((promoted, here.states().await), (1, vec!["active", "retired"]), "{}", db.name);

        db.clock.advance(Duration::days(DAYS));
        let all = (0..4).flat_map(|_| [here.keys.step(), there.keys.step()]);
        let steps: Vec<Steps> =
            futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(steps.iter().map(|step| step.made).sum::<usize>(), 1, "{steps:?}");
        assert_eq!(steps.iter().map(|step| step.removed).sum::<usize>(), 1, "{steps:?}");
        assert_eq!(here.states().await, ["pending", "active"], "{}", db.name);
    }
}

#[tokio::test]
async fn a_step_that_is_cut_short_changes_nothing_and_is_taken_again() {
    for db in databases().await {
        let (authority, here) = begin(&db, Algorithm::Es256).await;
        let pending = here.rotate().await.pending.kid;
        let store = db.store();
        let early = store.begin().await.unwrap();
        assert!(!early.conn().promote_signing_key(pending).await.unwrap());
        drop(early);
        assert_eq!(here.states().await, ["pending", "active"], "{}", db.name);
        db.clock.advance(WAIT);
        let cut_short = store.begin().await.unwrap();
        assert!(cut_short.conn().promote_signing_key(pending).await.unwrap());
        drop(cut_short);
        assert_eq!(here.states().await, ["pending", "active"]);
        assert!(here.accepts(&authority.first_token().await).await.is_ok());
        assert_eq!(here.keys.step().await.unwrap().promoted, 1);
        assert_eq!((here.states().await, here.active().await.kid), (vec!["active", "retired"], pending));
    }
}

#[tokio::test]
async fn a_key_that_is_old_is_followed_by_another_unless_that_is_turned_off() {
    for db in databases().await {
        let (_authority, mut here) = begin(&db, Algorithm::Es256).await;
        let first = here.active().await.kid;
        db.clock.advance(Duration::days(DAYS) - Duration::seconds(30));
        assert_eq!(here.keys.step().await.unwrap(), Steps::default());
        db.clock.advance(Duration::seconds(30));
        here.keys.settings.rotate_after = None;
        assert_eq!(here.keys.step().await.unwrap(), Steps::default());
        here.keys.settings.rotate_after = Some(Duration::days(DAYS));
        assert_eq!(here.keys.step().await.unwrap(), Steps { made: 1, ..Steps::default() });
        assert_eq!(here.keys.step().await.unwrap(), Steps::default());
        db.clock.advance(WAIT);
        assert_eq!(here.keys.step().await.unwrap().promoted, 1);
        assert_eq!(here.keys.step().await.unwrap(), Steps::default(), "the new one is young");
        // Who was slow to make his key finds that another one signs.
        assert!(!here.keys.rotate_aged(first).await.unwrap(), "{}", db.name);
        assert_eq!(here.states().await, ["active", "retired"]);
    }
}

#[tokio::test]
async fn another_algorithm_comes_with_the_next_key_and_each_key_verifies_its_own_alone() {
    for db in databases().await {
        let (authority, here) = begin(&db, Algorithm::Rs256).await;
        let old = authority.first_token().await;
        here.rotate().await;
        db.clock.advance(WAIT);
        assert_eq!(here.keys.step().await.unwrap().promoted, 1);
        let new = authority.first_token().await;
        assert_eq!((&header(&old)["alg"], &header(&new)["alg"]), (&json!("ES256"), &json!("RS256")));
        assert_eq!(here.active().await.algorithm, "RS256");
        here.published().await;
        assert!(here.accepts(&new).await.is_ok() && here.accepts(&old).await.is_ok(), "{}", db.name);

        let keys = KeySet::from_jwks(here.issuer.jwks().await.as_bytes()).unwrap();
        let guard = Guard::builder(URL).audience(URL).keys(GivenKeys::new(keys)).build().unwrap();
        let now = db.clock().now();
        assert!(guard.verify(&new, now).await.is_ok() && guard.verify(&old, now).await.is_ok());
        let swapped = {
            let (mut of_old, of_new) = (header(&old), header(&new));
            of_old["kid"] = of_new["kid"].clone();
            let (_, rest) = old.split_once('.').unwrap();
            format!("{}.{rest}", URL_SAFE_NO_PAD.encode(of_old.to_string()))
        };
        assert!(matches!(guard.verify(&swapped, now).await, Err(jeton_guard::Error::Algorithm)));
    }
}

#[tokio::test]
async fn a_key_that_somebody_has_is_taken_out_at_once_and_another_signs() {
    for db in databases().await {
        let (authority, here) = begin(&db, Algorithm::Es256).await;
        let there = Replica::start(&db, Algorithm::Es256).await;
        let (stolen, token) = (here.active().await.kid, authority.first_token().await);
        assert!(there.accepts(&token).await.is_ok());
        here.retire(stolen).await.unwrap();
        assert!(is_unknown(&here.accepts(&token).await), "{}", db.name);
        assert!(there.accepts(&token).await.is_ok(), "it was not read again yet");
        let (next, new) = (here.active().await.kid, authority.first_token().await);
        assert_eq!((header(&new)["kid"].as_str().unwrap(), here.states().await.len()), (&*text(next), 1));
        assert!(here.accepts(&new).await.is_ok());
        assert!(there.accepts(&new).await.is_ok(), "the unknown key is looked for");
        assert!(is_unknown(&there.accepts(&token).await), "and the other one is seen to be gone");
        assert!(matches!(here.retire(stolen).await, Err(Error::NotFound(_))));

        // Whoever names keys that do not exist makes the database be read once a second.
        here.retire(next).await.unwrap();
        let newer = authority.first_token().await;
        assert!(is_unknown(&there.accepts(&newer).await), "{}", db.name);
        db.clock.advance(Duration::seconds(1));
        assert!(there.accepts(&newer).await.is_ok());
        db.clock.advance(Duration::seconds(5));
        assert_eq!(there.published().await, [text(here.active().await.kid)]);
        assert_eq!(db.count("audit_event WHERE action = 'key.change'").await, 4);
    }
}

#[tokio::test]
async fn keys_that_do_not_sign_are_taken_out_without_another() {
    for db in databases().await {
        let (authority, here) = begin(&db, Algorithm::Es256).await;
        let (first, token) = (here.active().await.kid, authority.first_token().await);
        here.retire(here.rotate().await.pending.kid).await.unwrap();
        assert_eq!((here.states().await, here.active().await.kid), (vec!["active"], first), "{}", db.name);
        here.rotate().await;
        db.clock.advance(WAIT);
        here.keys.step().await.unwrap();
        assert!(here.accepts(&token).await.is_ok());
        here.retire(first).await.unwrap();
        assert_eq!(here.states().await, ["active"]);
        assert!(is_unknown(&here.accepts(&token).await), "{}", db.name);
    }
}

#[tokio::test]
async fn replicas_that_take_the_same_key_out_leave_one_that_signs() {
    for db in databases().await {
        let (_authority, here) = begin(&db, Algorithm::Es256).await;
        let there = Replica::start(&db, Algorithm::Es256).await;
        here.rotate().await;
        db.clock.advance(WAIT);
        let active = here.active().await.kid;
        let (one, other, step) = tokio::join!(here.retire(active), there.retire(active), there.keys.step());
        assert!([&one, &other].into_iter().filter(|done| done.is_ok()).count() <= 1, "{one:?} {other:?}");
        assert!(step.is_ok(), "{step:?}");
        let states = here.states().await;
        assert_eq!(states.iter().filter(|state| **state == "active").count(), 1, "{} {states:?}", db.name);
        assert_ne!(here.active().await.kid, active);
    }
}

#[tokio::test]
async fn a_key_that_could_not_sign_or_would_not_be_believed_never_takes_over() {
    for db in databases().await {
        for broken in ["sealed_private = key_id", "public_jwk = replace(public_jwk, '{', '{ ')"] {
            let (authority, here) = begin(&db, Algorithm::Es256).await;
            let pending = here.rotate().await.pending.kid;
            let broken = match db.name {
                "postgres" => broken.replace("= key_id", "= decode('00', 'hex')"),
                _ => broken.to_owned(),
            };
            db.sql(&format!("UPDATE signing_key SET {broken} WHERE state = 'pending'")).await;
            db.clock.advance(WAIT);
            assert_eq!(here.keys.step().await.unwrap(), Steps::default(), "{} {broken}", db.name);
            assert!(here.accepts(&authority.first_token().await).await.is_ok());
            here.retire(pending).await.unwrap();
            here.rotate().await;
            db.clock.advance(WAIT);
            assert_eq!(here.keys.step().await.unwrap().promoted, 1, "{} {broken}", db.name);
            db.sql("DELETE FROM signing_key").await;
            db.sql("DELETE FROM client").await;
        }
    }
}
