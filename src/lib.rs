//! jeton: a multi-tenant, per-connector OAuth token broker.
//!
//! Tier 0: [`model`], words without I/O.

pub mod cli;
pub mod connectors;
pub mod model;
