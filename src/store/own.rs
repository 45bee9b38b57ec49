//! What people may do, under this instance's keyed hash: whoever can write rows but has no key gives nobody a role, a
//! membership or a consent. Putting back what the same row once said is out of reach.

use tracing::error;

use crate::model::own::Own;
use crate::store::entity::{consent, membership, user};
use crate::store::{Conn, Error};

impl Own for user::Model {
    const TABLE: &'static str = "user";

    fn covered(&self) -> Vec<Vec<u8>> {
        vec![
            self.id.as_bytes().to_vec(),
            self.email.clone().into_bytes(),
            text(self.role.as_deref()),
            text(self.claimed_role.as_deref()),
            vec![u8::from(self.disabled)],
        ]
    }
}

impl Own for membership::Model {
    const TABLE: &'static str = "membership";

    fn covered(&self) -> Vec<Vec<u8>> {
        vec![
            self.app.clone().into_bytes(),
            self.user_id.as_bytes().to_vec(),
            self.role.clone().into_bytes(),
            text(self.claimed_role.as_deref()),
            text(self.granted_role.as_deref()),
        ]
    }
}

impl Own for consent::Model {
    const TABLE: &'static str = "consent";

    fn covered(&self) -> Vec<Vec<u8>> {
        let parts = [&self.client_id, &self.resource, &self.scopes];
        let user = std::iter::once(self.user_id.as_bytes().to_vec());
        user.chain(parts.map(|part| part.clone().into_bytes())).collect()
    }
}

/// None and an empty text are two things.
fn text(value: Option<&str>) -> Vec<u8> {
    value.map(|value| format!("={value}").into_bytes()).unwrap_or_default()
}

impl Conn<'_> {
    /// The keyed hash that goes into the row.
    pub(super) fn sign<T: Own>(&self, row: &T) -> Result<Option<Vec<u8>>, Error> {
        Ok(Some(self.notary.ok_or(Error::NoKey)?.sign(row).to_vec()))
    }

    /// Whether this instance wrote the row; the log tells of one that it did not write.
    pub(super) fn knows<T: Own>(&self, row: &T, own_mac: Option<&[u8]>) -> bool {
        let own = self.notary.zip(own_mac).is_some_and(|(notary, mac)| notary.knows(row, mac));
        if !own {
            error!(
                table = T::TABLE,
                "a row that says what somebody may do was not written by this instance, or was changed behind its \
                 back: it gives nothing until an admin stores it again"
            );
        }
        own
    }

    /// A person as far as the row is ours: else disabled and without a role, until an admin stores both again.
    pub(super) fn believed(&self, row: user::Model) -> user::Model {
        match self.knows(&row, row.own_mac.as_deref()) {
            true => row,
            false => user::Model { role: None, claimed_role: None, disabled: true, ..row },
        }
    }

    /// A membership, where the row is ours.
    pub(super) fn own_membership(&self, row: membership::Model) -> Option<membership::Model> {
        self.knows(&row, row.own_mac.as_deref()).then_some(row)
    }
}
