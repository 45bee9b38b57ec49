//! Do the statements do what the model says? Random walks of `model::protocol` beside the database, step by step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::model::app::AppId;
use crate::model::connection::Flow;
use crate::model::connector::ConnectorId;
use crate::model::protocol::{Attempt, Known, Row, Set, Standing, Stored};
use crate::model::secret::{KeyedHash, Sealed};
use crate::model::token_set::TokenSetId;
use crate::store::Conn;
use crate::store::credentials::StoredCredentials;
use crate::store::leases::{self, Spent};
use crate::store::testing::{TestDatabase, databases};
use crate::store::token_sets::{self, Learnt, NewConnection, NewTokenSet};

const LEASE_US: i64 = 30_000_000;
/// Two readings of the clock within a step are never further apart.
const DRIFT_US: i64 = 20_000_000;

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

    async fn claim(&mut self, strict: bool, conn: Conn<'_>) {
        let attempt = Attempt { seen: self.row.current, lease: self.db.id() };
        self.attempts.push(attempt);
        let (_, stored) = self.attempt(0).unwrap();
        let won = conn.app(&self.app).claim(stored, LEASE_US, strict).await.unwrap().is_some();
        assert_eq!(won, self.row.claim(attempt, self.now, LEASE_US, strict));
    }

    async fn go_on(&mut self, trying: Trying, back: usize, conn: Conn<'_>) {
        let Some((attempt, stored)) = self.attempt(back) else { return };
        let rows = conn.app(&self.app);
        let (done, told) = match trying {
            Trying::GiveBack => (rows.release(stored).await, self.row.not_consumed(attempt)),
            Trying::NotConsumed => {
                let done = rows.record_failure(stored, Spent::No, "code", None).await;
                (done, self.row.not_consumed(attempt))
            }
            Trying::Unknown => {
                let done = rows.record_failure(stored, Spent::Unknown, "code", None).await;
                (done, self.row.unknown(attempt))
            }
            Trying::Refused => {
                (rows.record_refusal(stored, "revoked", "code").await, self.row.refused(attempt))
            }
            Trying::Misconfigured => {
                let done = rows.record_misconfigured(stored, (self.credentials, 1), "code").await;
                (done, self.row.misconfigured(attempt))
            }
        };
        assert_eq!(done.unwrap(), told, "{trying:?}");
    }

    async fn change(&mut self, change: Change, conn: Conn<'_>) {
        let rows = conn.app(&self.app);
        match change {
            Change::Refreshed(back) => {
                let Some(seen) = self.earlier(back) else { return };
                self.last = Some((seen.id, self.new_set()));
                self.store_last(conn).await;
            }
            Change::RefreshedAgain => self.store_last(conn).await,
            Change::Adopt => {
                let new = self.new_set();
                rows.adopt(&self.owner(), &self.stored(new)).await.unwrap();
                self.row.adopt(new);
            }
            Change::Import(back, strict) => self.import(back, strict, conn).await,
            Change::Restore(back, strict) => {
                let Some(from) = self.earlier(back) else { return };
                let copy = Set::new(self.db.id(), from.token);
                let (from_id, owner) = (TokenSetId(from.id), self.owner());
                let done = rows.restore(from_id, strict, &owner, &self.stored(copy)).await.unwrap();
                assert_eq!(done.is_some(), self.row.restore(from.id, copy.id, strict), "{change:?}");
            }
            Change::OtherAccount(back) => {
                let Some(set) = self.earlier(back) else { return };
                let held = fingerprint(set.token);
                let parked = rows.park_other_account(self.connection, held).await.unwrap();
                let parks = self.row.account_changed(set.token);
                assert_eq!(matches!(parked, token_sets::Marked::Current(_)), parks, "{change:?}");
            }
            Change::Delete => {
                rows.revoke_connection(self.connection).await.unwrap();
                self.row.delete();
            }
            Change::RevokedAtProvider(back) => {
                let pending = self.row.sets.iter().rev().filter(|set| set.revoke_pending);
                let Some(id) = pending.map(|set| set.id).nth(back) else { return };
                rows.clear_revoke_pending(TokenSetId(id)).await.unwrap();
                self.row.revoked_at_provider(id);
            }
        }
    }

    /// The keeper's way of deciding, over what the database says.
    async fn import(&mut self, back: usize, strict: bool, conn: Conn<'_>) {
        let Some(held) = self.earlier(back) else { return };
        let new = Set::new(self.db.id(), held.token);
        let holders = conn.find_refresh_holders(fingerprint(held.token)).await.unwrap();
        let holders: Vec<(bool, bool)> = holders.iter().map(|one| (one.current, one.deleted)).collect();
        let known = Known::of(&holders, self.row.standing == Standing::Active, strict);
        if known == Known::No {
            conn.app(&self.app).adopt(&self.owner(), &self.stored(new)).await.unwrap();
        }
        assert_eq!(known, self.row.import(new, strict));
    }

    async fn store_last(&mut self, conn: Conn<'_>) {
        let Some((seen, new)) = self.last else { return };
        let rows = conn.app(&self.app);
        let done = rows.store_refreshed(TokenSetId(seen), &self.stored(new), Learnt::default()).await;
        assert_eq!(told(done.unwrap()), self.row.refreshed(seen, new));
    }

    async fn compare(&self, op: Op) {
        let store = self.db.store();
        let conn = store.conn();
        let (clock, shift) = conn.clock_sql(2);
        let sql = format!(
            "SELECT state, reason, token_set_id, lease_id, lease_until - {clock} AS lease, sends, \
             resend_after - {clock} AS resend, after_resend FROM connection WHERE id = $1"
        );
        let row = conn.one(sql, vec![self.connection.into(), shift]).await.unwrap().unwrap();
        let state: String = row.try_get("", "state").unwrap();
        let reason: Option<String> = row.try_get("", "reason").unwrap();
        let standing = match (state.as_str(), reason.as_deref()) {
            ("active", None) => Standing::Active,
            ("misconfigured", None) => Standing::Misconfigured,
            ("revoked", None) => Standing::Deleted,
            ("reauthorization_required", Some("account_changed")) => Standing::OtherAccount,
            ("reauthorization_required", Some(reason)) => {
                Standing::Refused { lost_rotation: reason == "lost_rotation" }
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(standing, self.row.standing, "{op:?}");
        assert_eq!(row.try_get::<Uuid>("", "token_set_id").unwrap(), self.row.current, "{op:?}");
        assert_eq!(row.try_get::<i32>("", "sends").unwrap(), i32::from(self.row.sends), "{op:?}");
        assert_eq!(row.try_get::<bool>("", "after_resend").unwrap(), self.row.after_resend, "{op:?}");
        let lease = self.row.lease;
        assert_eq!(row.try_get::<Option<Uuid>>("", "lease_id").unwrap(), lease.map(|(id, _)| id), "{op:?}");
        self.near(row.try_get("", "lease").unwrap(), lease.map(|(_, until)| until), op);
        self.near(row.try_get("", "resend").unwrap(), self.row.resend_after, op);
        self.compare_sets(op).await;
    }

    /// The same time ahead, but for what passed meanwhile.
    fn near(&self, stored: Option<i64>, model: Option<i64>, op: Op) {
        let model = model.map(|at| at - self.now);
        assert_eq!(stored.is_some(), model.is_some(), "{op:?}");
        let apart = stored.zip(model).map_or(0, |(stored, model)| (stored - model).abs());
        assert!(apart < DRIFT_US, "{op:?}: {stored:?} is not {model:?}");
    }

    async fn compare_sets(&self, op: Op) {
        let sql = "SELECT id, spent, revoke_pending, deleted, other_account, refresh_fingerprint FROM token_set \
                   WHERE connection_id = $1 ORDER BY id";
        let store = self.db.store();
        let rows = store.conn().all(sql.to_owned(), vec![self.connection.into()]).await.unwrap();
        let mut stored: Vec<Set<Uuid>> = Vec::new();
        for row in rows {
            let fingerprint: Vec<u8> = row.try_get("", "refresh_fingerprint").unwrap();
            stored.push(Set {
                id: row.try_get("", "id").unwrap(),
                token: Uuid::from_slice(&fingerprint[..16]).unwrap(),
                spent: row.try_get("", "spent").unwrap(),
                revoke_pending: row.try_get("", "revoke_pending").unwrap(),
                deleted: row.try_get("", "deleted").unwrap(),
                other_account: row.try_get("", "other_account").unwrap(),
            });
        }
        let mut sets = self.row.sets.clone();
        sets.sort_by_key(|set| set.id);
        assert_eq!(stored, sets, "{op:?}");
    }
}

fn fingerprint(token: Uuid) -> KeyedHash {
    let mut hash = [0; 32];
    let (head, _) = hash.split_at_mut(16);
    head.copy_from_slice(token.as_bytes());
    KeyedHash(hash)
}

fn told(stored: token_sets::Stored) -> Stored {
    match stored {
        token_sets::Stored::Current => Stored::Current,
        token_sets::Stored::Already => Stored::Already,
        token_sets::Stored::Superseded => Stored::Superseded,
    }
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
