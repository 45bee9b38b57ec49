//! Words of the product: types and pure decisions, no I/O, no framework.

pub mod address;
pub mod app;
pub mod breaker;
pub mod client;
pub mod connection;
pub mod connector;
pub mod delivery;
pub mod description;
pub mod entropy;
pub mod event;
pub mod grant;
pub mod link;
pub mod name;
pub mod own;
pub mod person;
pub mod principal;
pub mod protocol;
pub mod public_url;
pub mod query;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod ticket;
pub mod time;
pub mod token_set;
pub mod uri;
