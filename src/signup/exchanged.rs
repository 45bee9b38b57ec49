//! How does an exchanged set wait for its confirmation? Sealed, in its row, bound to the token endpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::keeper::Judged;
use crate::model::connector::{Account, Definition, Grant};
use crate::model::event::{Action, Event, Origin};
use crate::model::principal::Actor;
use crate::model::secret::{Sealed, Secret, WrappedKey};
use crate::signup::{Error, Signup};
use crate::store::signups::{StoredSignup, TABLE};
use crate::vault::{self, Place};

/// A set that is not live, and whose account it is as far as known.
pub(super) struct Exchanged {
    pub(super) grant: Grant,
    pub(super) account: Option<Account>,
    /// What a person is asked about; `None`: nobody can be asked yet.
    pub(super) judged: Option<Judged>,
    /// Whether the person has said yes to that, or need not be asked; a service provider's word is still to come.
    pub(super) agreed: bool,
}

/// Its form inside the ciphertext; lives for the moment of sealing or opening.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Wire {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
    refresh_expires_in: Option<i64>,
    scope: Option<String>,
    #[zeroize(skip)]
    extra: BTreeMap<String, serde_json::Value>,
    account_id: Option<String>,
    account_label: Option<String>,
    #[zeroize(skip)]
    judged: Option<Judged>,
    #[serde(default)]
    agreed: bool,
}

impl Signup {
    /// The data key of a row's sealed columns.
    pub(super) async fn key_of(&self, row: &StoredSignup) -> Result<WrappedKey, Error> {
        let key = self.store.conn().find_data_key(row.sealed_verifier.key_id).await?;
        key.ok_or(Error::AppNotFound)
    }

    pub(super) fn seal_exchanged(
        &self,
        key: &WrappedKey,
        row: &StoredSignup,
        definition: &Definition,
        set: &Exchanged,
    ) -> Result<Sealed, Error> {
        let origin = definition.token_origin();
        Ok(self.vault.seal(key, &place(row, &origin), &to_text(set)?)?)
    }

    pub(super) async fn open_exchanged(
        &self,
        key: &WrappedKey,
        row: &StoredSignup,
        definition: &Definition,
    ) -> Result<Exchanged, Error> {
        let sealed = row.sealed_grant.as_ref().ok_or(Error::NothingPending)?;
        let origin = definition.token_origin();
        from_text(&self.open_audited(row, key, &place(row, &origin), sealed).await?)
    }

    /// Opens a column of a row; one that was moved or changed leaves its mark in the audit trail.
    pub(super) async fn open_audited(
        &self,
        row: &StoredSignup,
        key: &WrappedKey,
        place: &Place<'_>,
        sealed: &Sealed,
    ) -> Result<Secret, Error> {
        let opened = self.vault.open(key, place, sealed);
        if let Err(vault::Error::DoesNotOpen { column, .. }) = &opened {
            let event = Event {
                result: "secret_unreadable",
                app: Some(row.app.clone()),
                connector: Some(row.connector.clone()),
                flow: Some(row.flow.to_string()),
                subject: Some(format!("{TABLE}.{column} {}", row.id)),
                ..Event::new(Actor::System, Action::SecretUnreadable, Origin::default())
            };
            self.audit.record(event).await?;
        }
        Ok(opened?)
    }
}

fn place<'a>(row: &'a StoredSignup, origin: &'a str) -> Place<'a> {
    Place {
        origin: Some(origin),
        ..Place::of(TABLE, "sealed_grant", row.id).in_app(&row.app, &row.connector)
    }
}

#[expect(clippy::disallowed_methods, reason = "door: the set goes into the cipher as one text")]
fn to_text(set: &Exchanged) -> Result<Secret, Error> {
    let Exchanged { grant, account, judged, agreed } = set;
    let wire = Wire {
        access_token: grant.access_token.expose_secret().to_owned(),
        refresh_token: grant.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
        expires_in: grant.expires_in,
        refresh_expires_in: grant.refresh_expires_in,
        scope: grant.scope.clone(),
        extra: grant.extra.clone(),
        account_id: account.as_ref().map(|account| account.id.clone()),
        account_label: account.as_ref().map(|account| account.label.clone()),
        judged: *judged,
        agreed: *agreed,
    };
    serde_json::to_string(&wire).map(Secret::new).map_err(|_| Error::Unreadable)
}

#[expect(clippy::disallowed_methods, reason = "door: the set comes out of the cipher as one text")]
fn from_text(text: &Secret) -> Result<Exchanged, Error> {
    let mut wire: Wire = serde_json::from_str(text.expose_secret()).map_err(|_| Error::Unreadable)?;
    let account = match (wire.account_id.take(), wire.account_label.take()) {
        (Some(id), Some(label)) => Some(Account { id, label }),
        _ => None,
    };
    let grant = Grant {
        access_token: Secret::new(std::mem::take(&mut wire.access_token)),
        refresh_token: wire.refresh_token.take().map(Secret::new),
        expires_in: wire.expires_in,
        refresh_expires_in: wire.refresh_expires_in,
        scope: wire.scope.take(),
        extra: std::mem::take(&mut wire.extra),
    };
    Ok(Exchanged { grant, account, judged: wire.judged, agreed: wire.agreed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at the plaintext")]
    fn a_set_survives_being_a_text() {
        let grant = Grant {
            access_token: Secret::new("gho_a\"\\é"),
            refresh_token: Some(Secret::new("ghr_b")),
            expires_in: Some(28_800),
            refresh_expires_in: None,
            scope: Some("repo read:org".into()),
            extra: BTreeMap::from([("instance_url".to_owned(), serde_json::json!("https://x"))]),
        };
        let account = Some(Account { id: "7".into(), label: "octo".into() });
        let judged = Some(Judged::default());
        let set = Exchanged { grant, account: account.clone(), judged, agreed: true };
        let again = from_text(&to_text(&set).unwrap()).unwrap();
        assert_eq!(again.grant.access_token.expose_secret(), "gho_a\"\\é");
        assert_eq!(again.grant.refresh_token.unwrap().expose_secret(), "ghr_b");
        assert_eq!(
            (again.grant.expires_in, again.grant.scope.as_deref()),
            (Some(28_800), Some("repo read:org"))
        );
        assert_eq!(again.grant.extra["instance_url"], "https://x");
        assert_eq!((again.account, again.judged, again.agreed), (account, judged, true));
    }
}
