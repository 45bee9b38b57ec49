//! Which tokens were verified before?
//!
//! Keyed by the SHA-256 of the token, so the cache holds no token. An entry is bound to the generation of the key
//! set that verified it, and dies with it. Refused tokens are not kept: they would push good ones out.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use moka::sync::Cache;

use crate::Claims;

/// How long an entry is kept, however long its token lives, so that memory goes back.
const KEPT: Duration = Duration::from_secs(3600);

pub(crate) struct Verified {
    entries: Cache<Digest, Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; digest::SHA256_OUTPUT_LEN]);

#[derive(Clone)]
struct Entry {
    generation: u64,
    claims: Arc<Claims>,
}

impl Verified {
    pub(crate) fn new(capacity: u64) -> Self {
        Self { entries: Cache::builder().max_capacity(capacity).time_to_live(KEPT).build() }
    }

    pub(crate) fn find(&self, token: &Digest, generation: u64) -> Option<Arc<Claims>> {
        self.entries.get(token).filter(|entry| entry.generation == generation).map(|entry| entry.claims)
    }

    pub(crate) fn insert(&self, token: Digest, generation: u64, claims: Arc<Claims>) {
        self.entries.insert(token, Entry { generation, claims });
    }

    pub(crate) fn remove(&self, token: &Digest) {
        self.entries.invalidate(token);
    }

    pub(crate) fn clear(&self) {
        self.entries.invalidate_all();
    }
}

impl Digest {
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_tokens_takes_no_more_memory_than_was_given() {
        let verified = Verified::new(10);
        let claims = Arc::new(Claims {
            issuer: String::new(),
            subject: String::new(),
            audience: Vec::new(),
            client_id: None,
            expires_at: time::OffsetDateTime::UNIX_EPOCH,
            not_before: None,
            issued_at: None,
            id: None,
            scope: Default::default(),
            role: None,
            authorization_details: None,
            extra: Default::default(),
        });
        for number in 0..1_000 {
            verified.insert(Digest::of(&number.to_string()), 1, Arc::clone(&claims));
        }
        verified.entries.run_pending_tasks();
        assert!((1..=10).contains(&verified.entries.entry_count()), "{}", verified.entries.entry_count());
    }
}
