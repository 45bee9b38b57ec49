//! Who acts: named in audit records and in rows that remember who did something.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client::ClientId;

/// The id of a person. E-mail is a login name only; rights belong to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// One of our OAuth clients.
    Client(ClientId),
    /// A person, by session or token.
    User(UserId),
    /// The product itself: sweep, replay, command line without a server.
    System,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// What a person may do in one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// Connects accounts.
    Member,
    /// Also decides over other people's connections.
    AppAdmin,
}

impl Membership {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::AppAdmin => "app_admin",
        }
    }

    /// Reads a stored value.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::AppAdmin].into_iter().find(|role| role.as_str() == text)
    }
}
