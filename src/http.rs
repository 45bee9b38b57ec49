//! The web: the URL table. Alone (with the sandbox) names actix_web.

mod binb_token;
pub mod extract;
pub mod account;
pub mod form;
pub mod invitations;
pub mod layer;
pub mod login;
pub mod page;
pub mod person;
pub mod problem;
pub mod settings;
pub mod start;
