//! Is what lies in the database what the model says?

use uuid::Uuid;

use crate::model::protocol::{Set, Standing};

use super::{Op, Walk};

/// Two readings of the clock within a step are never further apart.
const DRIFT_US: i64 = 20_000_000;

impl Walk<'_> {
    pub(super) async fn compare(&self, op: Op) {
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
