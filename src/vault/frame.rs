//! How does what waits in the spool look? Sealed with the instance's key, which is in memory while the database is away.

use uuid::Uuid;

use super::{Error, Place, Vault};
use crate::model::secret::{Sealed, Secret};

const TABLE: &str = "spool";

impl Vault {
    /// Seals text for a file of the spool: the key's id, then the ciphertext.
    pub fn seal_frame(&self, kind: &'static str, file: Uuid, text: &Secret) -> Result<Vec<u8>, Error> {
        let sealed = self.seal(self.instance_key(), &Place::of(TABLE, kind, file), text)?;
        Ok([sealed.key_id.as_bytes(), &sealed.bytes[..]].concat())
    }

    /// Opens what [`Vault::seal_frame`] made for this very file.
    pub fn open_frame(&self, kind: &'static str, file: Uuid, frame: &[u8]) -> Result<Secret, Error> {
        let (key_id, bytes) =
            frame.split_first_chunk::<16>().ok_or(Error::DoesNotOpen { table: TABLE, column: kind })?;
        let sealed = Sealed { key_id: Uuid::from_bytes(*key_id), bytes: bytes.to_vec() };
        self.open(self.instance_key(), &Place::of(TABLE, kind, file), &sealed)
    }
}
