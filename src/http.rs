//! The web: the URL table. Alone (with the sandbox) names actix_web.

pub mod account;
pub mod connect;
pub mod admin;
mod binb_token;
pub mod extract;
pub mod form;
pub mod invitations;
pub mod layer;
pub mod login;
pub mod openapi;
pub mod page;
pub mod person;
pub mod oauth;
pub mod oauth_error;
pub mod problem;
pub mod settings;
pub mod start;
