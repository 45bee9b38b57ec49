//! What do the tests stand on? A broker with its database, a provider, the program itself.

pub(crate) mod app;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod provider;
