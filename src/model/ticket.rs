//! One-time tokens and cookies: a row's id, a dot, and 256 bits that only their bearer knows.

use uuid::Uuid;

use super::entropy::{Entropy, token};
use super::secret::Secret;

/// What a browser or link carries: the id finds the row, the secret is compared with the row's keyed hash.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Which row.
    pub id: Uuid,
    /// Its second half.
    pub secret: Secret,
}

impl Ticket {
    /// A new ticket for a row.
    pub fn new(id: Uuid, entropy: &dyn Entropy) -> Self {
        Self { id, secret: Secret::new(token::<32>(entropy)) }
    }

    /// Reads `{id}.{secret}`, in the one spelling it is written in.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let url_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let good = id.len() == 32 && secret.len() == 43 && secret.bytes().all(url_safe);
        let id = Uuid::try_parse(id).ok().filter(|_| good)?;
        Some(Self { id, secret: Secret::new(secret) })
    }

    /// The ticket as text, still a secret.
    #[expect(clippy::disallowed_methods, reason = "door: the ticket leaves in a cookie or link, once")]
    pub fn text(&self) -> Secret {
        Secret::new(format!("{}.{}", self.id.simple(), self.secret.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entropy::SystemEntropy;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at the plaintext")]
    fn what_is_written_is_read_and_nothing_else() {
        let ticket = Ticket::new(Uuid::from_u128(7), &SystemEntropy);
        let text = ticket.text().expose_secret().to_owned();
        let read = Ticket::parse(&text).unwrap();
        assert_eq!(read.id, ticket.id);
        assert_eq!(read.secret.expose_secret(), ticket.secret.expose_secret());
        for bad in ["", ".", "x.y", &text[1..], &format!("{text}a"), &text.replace('.', "/")] {
            assert!(Ticket::parse(bad).is_none(), "{bad}");
        }
    }
}
