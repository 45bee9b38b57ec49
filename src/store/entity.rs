//! Rows as sea-orm sees them: one table a file, no behaviour.

pub mod adoption;
pub mod app;
pub mod attempt;
pub mod audit_event;
pub mod client;
pub mod client_secret;
pub mod connection;
pub mod connector;
pub mod connector_credentials;
pub mod data_key;
pub mod instance;
pub mod invitation;
pub mod membership;
pub mod password_link;
pub mod session;
pub mod signing_key;
pub mod signup;
pub mod token_set;
pub mod upstream_identity;
pub mod upstream_login;
pub mod user;
