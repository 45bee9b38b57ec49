//! jeton: a multi-tenant, per-connector OAuth token broker.
//!
//! Tier 0: [`model`], words without I/O.

pub mod connectors;
pub mod model;
pub mod outbound;
