//! What is written into the audit trail.

use std::net::IpAddr;

use uuid::Uuid;

use super::app::AppId;
use super::connection::Connection;
use super::connector::ConnectorId;
use super::principal::Actor;
use super::token_set::TokenSetId;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A token was handed out.
    TokenHandOut,
    /// A refresh ended.
    TokenRefresh,
    /// A connection was made, renewed, changed or deleted.
    ConnectionConnect,
    /// A connection was imported.
    ConnectionImport,
    /// `shared` was changed.
    ConnectionChange,
    /// A connection was deleted.
    ConnectionDelete,
    /// An earlier token set was made current again.
    ConnectionRestore,
    /// Somebody asked for a refresh now.
    ConnectionRefresh,
    /// A ciphertext did not open in its place.
    SecretUnreadable,
    /// An app was made, changed or deleted.
    AppChange,
    /// A membership or an invitation was made, changed or used.
    MemberChange,
    /// Provider credentials were written or deleted.
    CredentialsChange,
    /// A connector definition was written or deleted.
    ConnectorChange,
    /// A client or one of its secrets was made, changed or deleted.
    ClientChange,
    /// A user was made, changed or deleted.
    UserChange,
    /// A person signed in, or failed to.
    Login,
    /// A person signed out.
    Logout,
    /// A machine got a token of ours, or was refused.
    TokenIssue,
    /// A token of ours was revoked.
    TokenRevoke,
    /// A person said what a client of ours may do for it.
    GrantApprove,
    /// A grant was ended with all its tokens.
    GrantEnd,
    /// A service provider made a link for one of its people.
    SignupLink,
    /// A resource server was registered, changed or deleted.
    ResourceChange,
    /// A signing key was made, began or ended to sign, or was taken out.
    KeyChange,
    /// `init` or `recover` ran.
    Recover,
}

impl Action {
    /// As stored and filtered by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokenHandOut => "token.hand_out",
            Self::TokenRefresh => "token.refresh",
            Self::ConnectionConnect => "connection.connect",
            Self::ConnectionImport => "connection.import",
            Self::ConnectionChange => "connection.change",
            Self::ConnectionDelete => "connection.delete",
            Self::ConnectionRestore => "connection.restore",
            Self::ConnectionRefresh => "connection.refresh",
            Self::SecretUnreadable => "secret.unreadable",
            Self::AppChange => "app.change",
            Self::MemberChange => "member.change",
            Self::CredentialsChange => "credentials.change",
            Self::ConnectorChange => "connector.change",
            Self::ClientChange => "client.change",
            Self::UserChange => "user.change",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::TokenIssue => "token.issue",
            Self::TokenRevoke => "token.revoke",
            Self::GrantApprove => "grant.approve",
            Self::GrantEnd => "grant.end",
            Self::SignupLink => "signup.link",
            Self::ResourceChange => "resource.change",
            Self::KeyChange => "key.change",
            Self::Recover => "recover",
        }
    }
}

/// Where a request came from and which trace it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Peer address, or what a trusted proxy says.
    pub address: Option<IpAddr>,
    /// The request's trace id, also in problems and logs.
    pub trace_id: Uuid,
}

/// One audit record, before it gets its id, time and sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// How it ended: `ok` or a stable code.
    pub result: &'static str,
    /// In which app.
    pub app: Option<AppId>,
    /// With which connector.
    pub connector: Option<ConnectorId>,
    /// Which connection of the app and connector.
    pub flow: Option<String>,
    /// Which token set.
    pub token_set: Option<TokenSetId>,
    /// What it was done to, where the columns above don't say: a client id, a user id, a name. Never a secret.
    pub subject: Option<String>,
    /// Where from.
    pub origin: Origin,
}

impl Event {
    /// A record of `actor` doing `action`, ended well; fill in the rest with struct update.
    pub fn new(actor: Actor, action: Action, origin: Origin) -> Self {
        Self {
            actor,
            action,
            result: "ok",
            app: None,
            connector: None,
            flow: None,
            token_set: None,
            subject: None,
            origin,
        }
    }

    /// The same, of a connection and its current token set.
    pub fn about(self, connection: &Connection) -> Self {
        Self {
            app: Some(connection.app.clone()),
            connector: Some(connection.connector.clone()),
            flow: Some(connection.flow.to_string()),
            token_set: connection.token_set.as_ref().map(|set| set.id),
            ..self
        }
    }
}
