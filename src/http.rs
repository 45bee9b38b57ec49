//! The web: the URL table. Alone (with the sandbox) names actix_web.

pub mod extract;
pub mod oauth;
pub mod oauth_error;
pub mod problem;
