//! Do the statements do what the model says? Random walks of `model::protocol` beside the database, step by step.
//!
//! Here: the walk. `steps`: a step, there and here. `compare`: is the row what the model says?

mod compare;
mod steps;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::protocol::{Attempt, Row, Set};
use crate::model::secret::{KeyedHash, Sealed};
use crate::model::token_set::TokenSetId;
use crate::store::credentials::StoredCredentials;
use crate::store::leases;
use crate::store::testing::{TestDatabase, databases};
use crate::store::token_sets::{NewConnection, NewTokenSet};

/// One step.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Of the attempts there are, the newest being 0.
    Attempt(Trying, usize),
    Claim {
        strict: bool,
    },
    Reconfigured,
    Sets(Change),
    /// Seconds.
    Pass(i64),
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug)]
enum Trying {
    GiveBack,
    NotConsumed,
    Unknown,
    Refused,
    Misconfigured,
}

/// What is done to the sets; a number picks among them, the newest being 0.
#[derive(Clone, Copy, Debug)]
enum Change {
    Refreshed(usize),
    RefreshedAgain,
    Adopt,
    /// A token that a set held before.
    Import(usize, bool),
    Restore(usize, bool),
    OtherAccount(usize),
    Delete,
    RevokedAtProvider(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let trying = prop_oneof![
        1 => Just(Trying::GiveBack),
        2 => Just(Trying::NotConsumed),
        3 => Just(Trying::Unknown),
        2 => Just(Trying::Refused),
        1 => Just(Trying::Misconfigured),
    ];
    let change = prop_oneof![
        3 => (0..3_usize).prop_map(Change::Refreshed),
        1 => Just(Change::RefreshedAgain),
        1 => Just(Change::Adopt),
        1 => (0..3_usize, any::<bool>()).prop_map(|(back, strict)| Change::Import(back, strict)),
        2 => (0..4_usize, any::<bool>()).prop_map(|(back, strict)| Change::Restore(back, strict)),
        1 => (0..3_usize).prop_map(Change::OtherAccount),
        1 => Just(Change::Delete),
        1 => (0..3_usize).prop_map(Change::RevokedAtProvider),
    ];
    prop_oneof![
        6 => any::<bool>().prop_map(|strict| Op::Claim { strict }),
        9 => (trying, 0..2_usize).prop_map(|(trying, back)| Op::Attempt(trying, back)),
        1 => Just(Op::Reconfigured),
        9 => change.prop_map(Op::Sets),
        3 => prop_oneof![Just(31), Just(125), Just(500)].prop_map(Op::Pass),
    ]
}

/// A connection in the database, and what the model says of it.
struct Walk<'a> {
    db: &'a TestDatabase,
    app: AppId,
    connection: Uuid,
    credentials: Uuid,
    key: Uuid,
    row: Row<Uuid>,
    /// The model's clock, microseconds.
    now: i64,
    attempts: Vec<Attempt<Uuid>>,
    last: Option<(Uuid, Set<Uuid>)>,
}

impl Walk<'_> {
    fn new_set(&self) -> Set<Uuid> {
        Set::new(self.db.id(), self.db.id())
    }

    /// The set that is `back` from the newest.
    fn earlier(&self, back: usize) -> Option<Set<Uuid>> {
        self.row.sets.iter().rev().nth(back).copied()
    }

    fn stored(&self, set: Set<Uuid>) -> NewTokenSet {
        let fingerprint = fingerprint(set.token);
        let sealed = Sealed { key_id: self.key, bytes: vec![1] };
        NewTokenSet {
            id: TokenSetId(set.id),
            connection: self.connection,
            access: sealed.clone(),
            refresh: Some(sealed),
            extra: None,
            key_id: self.key,
            origin: "https://provider.example".to_owned(),
            refresh_fingerprint: Some(fingerprint),
            access_fingerprint: fingerprint,
            expires_at: None,
            initial_life: None,
            scope: None,
            refresh_due_at: None,
            refresh_expires_at: None,
        }
    }

    fn owner(&self) -> NewConnection {
        NewConnection {
            id: self.connection,
            connector: ConnectorId::parse("sandbox").unwrap(),
            flow: Flow::parse(&self.connection.to_string()).unwrap(),
            owner: "system".to_owned(),
            owner_label: None,
            account_fingerprint: None,
            account_label: None,
            variables: BTreeMap::new(),
            own_mac: KeyedHash([0; 32]),
            credentials: None,
            lifetime: None,
        }
    }

    fn attempt(&self, back: usize) -> Option<(Attempt<Uuid>, leases::Attempt)> {
        let attempt = *self.attempts.iter().rev().nth(back)?;
        let seen = TokenSetId(attempt.seen);
        Some((attempt, leases::Attempt { connection: self.connection, seen, lease: attempt.lease }))
    }

    /// Does the step here and there, and compares what they say.
    async fn take(&mut self, op: Op) {
        let store = self.db.store();
        let tx = store.begin().await.unwrap();
        match op {
            Op::Claim { strict } => self.claim(strict, tx.conn()).await,
            Op::Attempt(trying, back) => self.go_on(trying, back, tx.conn()).await,
            Op::Reconfigured => {
                tx.conn().unpark_misconfigured(self.credentials).await.unwrap();
                self.row.reconfigured();
            }
            Op::Sets(change) => self.change(change, tx.conn()).await,
            Op::Pass(seconds) => {
                self.db.clock.advance(Duration::seconds(seconds));
                self.now += seconds * 1_000_000;
            }
        }
        tx.commit().await.unwrap();
        self.compare(op).await;
    }
}

fn fingerprint(token: Uuid) -> KeyedHash {
    let mut hash = [0; 32];
    let (head, _) = hash.split_at_mut(16);
    head.copy_from_slice(token.as_bytes());
    KeyedHash(hash)
}

async fn walk(db: &TestDatabase, app: &AppId, credentials: Uuid, ops: &[Op]) {
    let first = Set::new(db.id(), db.id());
    let mut walk = Walk {
        db,
        app: app.clone(),
        connection: db.id(),
        credentials,
        key: db.vault().instance_key().id,
        row: Row::new(first),
        now: 0,
        attempts: Vec::new(),
        last: None,
    };
    let store = db.store();
    let tx = store.begin().await.unwrap();
    tx.conn().app(app).adopt(&walk.owner(), &walk.stored(first)).await.unwrap();
    tx.commit().await.unwrap();
    for op in ops {
        walk.take(*op).await;
    }
}

async fn prepare(db: &TestDatabase) -> (AppId, Uuid) {
    let app = AppId::parse("acme").unwrap();
    let key = db.vault().new_data_key(db.id()).unwrap();
    let credentials = StoredCredentials {
        id: db.id(),
        connector: ConnectorId::parse("sandbox").unwrap(),
        app: None,
        client_id: "client".into(),
        sealed_secret: None,
        sealed_previous: None,
        key: db.vault().instance_key().clone(),
        scopes: None,
        params: BTreeMap::new(),
        origin: "https://provider.example".to_owned(),
        own_mac: Vec::new(),
        version: 1,
        current: true,
        held_until: None,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    };
    let store = db.store();
    let tx = store.begin().await.unwrap();
    tx.conn().app(&app).insert_app("Acme", &key).await.unwrap();
    tx.conn().insert_credentials(&credentials).await.unwrap();
    tx.commit().await.unwrap();
    (app, credentials.id)
}

#[tokio::test]
async fn the_statements_walk_in_step_with_the_model() {
    let mut runner = TestRunner::deterministic();
    for db in databases().await {
        let (app, credentials) = prepare(&db).await;
        for _ in 0..60 {
            let ops = proptest::collection::vec(op(), 40).new_tree(&mut runner).unwrap().current();
            walk(&db, &app, credentials, &ops).await;
        }
    }
}
