//! Where a client's credential is kept, and how far its delivery has come.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::client::ClientId;
use super::own::Own;

/// A delivery into a secret store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose credential.
    pub client_id: ClientId,
    /// Which secret of which store, as people write it.
    pub reference: String,
    /// Counts the credentials made for it, from 1 on.
    pub version: i64,
    /// As what it is kept.
    pub form: DeliveryForm,
    /// How far it has come.
    pub state: DeliveryState,
    /// The secret that is there, or shall be.
    pub secret_id: Uuid,
    /// The one before, which lives until nobody uses it.
    pub previous_secret_id: Option<Uuid>,
    /// Since when it is so.
    pub changed_at: OffsetDateTime,
}

/// As what a credential is kept.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryForm {
    /// A document that says by itself how to get a token.
    #[default]
    Document,
    /// `client-id` and `client-secret`, for tools that know no more.
    Pair,
}

impl DeliveryForm {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Pair => "pair",
        }
    }

    /// As stored.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Document, Self::Pair].into_iter().find(|form| form.as_str() == text)
    }
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// A secret was made, and is perhaps in the store.
    Pending,
    /// The store gives it out.
    Delivered,
}

impl DeliveryState {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
        }
    }

    /// As stored.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered].into_iter().find(|state| state.as_str() == text)
    }
}

/// How long a superseded secret must not have been used: whoever works on asks for a token at least once in the life of
/// the longest one, a day.
pub const UNUSED: Duration = Duration::minutes(24 * 60 + 10);

/// How long a delivery takes at most, with all its calls.
const TAKES: Duration = Duration::minutes(2);

impl Delivery {
    /// Whether somebody may be at it at `now`.
    pub fn is_under_way(&self, now: OffsetDateTime) -> bool {
        self.state == DeliveryState::Pending && (now - self.changed_at).abs() < TAKES
    }

    /// The same, which nobody is at any more.
    #[must_use]
    pub fn given_up(&self) -> Self {
        Self { changed_at: self.changed_at - TAKES, ..self.clone() }
    }

    /// Whether the secret before this one may go at `now`, if it was last used at `used_at`.
    pub fn may_retire(&self, used_at: Option<OffsetDateTime>, now: OffsetDateTime) -> bool {
        let since = used_at.map_or(self.changed_at, |used_at| used_at.max(self.changed_at));
        self.state == DeliveryState::Delivered && since + UNUSED <= now
    }
}

/// Where it goes and which secret it is: whoever changes either makes it nobody's.
impl Own for Delivery {
    const TABLE: &'static str = "delivery";

    fn covered(&self) -> Vec<Vec<u8>> {
        let previous = self.previous_secret_id.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        vec![
            self.client_id.as_str().as_bytes().to_vec(),
            self.reference.as_bytes().to_vec(),
            self.version.to_be_bytes().to_vec(),
            self.form.as_str().as_bytes().to_vec(),
            self.state.as_str().as_bytes().to_vec(),
            self.secret_id.as_bytes().to_vec(),
            previous,
        ]
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_secret_goes_once_nobody_used_it_for_a_day() {
        let changed_at = datetime!(2026-11-30 00:00 UTC);
        let mut delivery = Delivery {
            client_id: ClientId::parse("c1").unwrap(),
            reference: "file:x".to_owned(),
            version: 2,
            form: DeliveryForm::Document,
            state: DeliveryState::Delivered,
            secret_id: Uuid::nil(),
            previous_secret_id: Some(Uuid::nil()),
            changed_at,
        };
        let hours = |n| changed_at + Duration::hours(n);
        assert!(!delivery.may_retire(None, hours(24)) && delivery.may_retire(None, hours(25)));
        assert!(
            !delivery.may_retire(Some(hours(2)), hours(26)) && delivery.may_retire(Some(hours(2)), hours(27))
        );
        assert!(delivery.may_retire(Some(hours(-9)), hours(25)), "what was before counts no more");
        delivery.state = DeliveryState::Pending;
        assert!(!delivery.may_retire(None, hours(99)));
    }

    #[test]
    fn nobody_takes_over_a_delivery_for_two_minutes() {
        let changed_at = datetime!(2026-11-30 00:00 UTC);
        let pending = Delivery {
            client_id: ClientId::parse("c1").unwrap(),
            reference: "file:x".to_owned(),
            version: 1,
            form: DeliveryForm::Document,
            state: DeliveryState::Pending,
            secret_id: Uuid::nil(),
            previous_secret_id: None,
            changed_at,
        };
        // Clocks of replicas differ either way.
        for (seconds, is_under_way) in [(0, true), (119, true), (120, false), (-119, true), (-120, false)] {
            let now = changed_at + Duration::seconds(seconds);
            assert_eq!(pending.is_under_way(now), is_under_way, "{seconds}");
            assert!(!pending.given_up().is_under_way(now.max(changed_at)), "{seconds}");
        }
        let delivered = Delivery { state: DeliveryState::Delivered, ..pending };
        assert!(!delivered.is_under_way(changed_at));
    }
}
