//! jeton: a multi-tenant, per-connector OAuth token broker.
//!
//! Tier 0: [`model`], words without I/O. Tier 1: [`outbound`], [`vault`], [`store`], [`spool`], [`sandbox`], adapters
//! that import the model alone, and [`connectors`]. Tier 2: [`identity`], [`audit`], [`registry`], [`keeper`], [`signup`],
//! [`issuer`], [`admin`], [`health`], services. Tier 3: [`http`], the web. Around them: [`config`], [`telemetry`],
//! [`app`], which puts everything together, and [`cli`].

pub mod admin;
pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod figures;
pub mod gauges;
pub mod health;
pub mod http;
pub mod identity;
pub mod issuer;
pub mod keeper;
pub mod model;
pub mod outbound;
pub mod registry;
pub mod sandbox;
pub mod secret_stores;
pub mod signup;
pub mod spool;
pub mod store;
pub mod telemetry;
pub mod vault;
