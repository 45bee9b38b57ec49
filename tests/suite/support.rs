//! What do the tests stand on? A broker with its database, providers, people, the program itself.

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod cluster;
pub(crate) mod documented;
pub(crate) mod house;
pub(crate) mod jar;
pub(crate) mod memory;
pub(crate) mod peer;
pub(crate) mod postgres;
pub(crate) mod problem;
pub(crate) mod program;
pub(crate) mod provider;
pub(crate) mod served;
pub(crate) mod sql;
