//! jeton: a multi-tenant, per-connector OAuth token broker.
//!
//! Tier 0: [`model`], words without I/O. Tier 1: [`outbound`], [`vault`], [`store`], [`sandbox`], adapters that
//! import the model alone, and [`connectors`]. Tier 2: [`identity`], [`audit`], [`registry`], [`keeper`], [`signup`],
//! services.
//! Tier 3: [`http`], the web.
//! Tier 0: [`model`], words without I/O. Tier 1: [`vault`], [`store`], [`connectors`], adapters that import the
//! model alone. Tier 2: [`identity`], [`audit`], [`issuer`], [`admin`], services. Tier 3: [`http`], the web.

pub mod admin;
pub mod audit;
pub mod cli;
pub mod connectors;
pub mod http;
pub mod identity;
pub mod issuer;
pub mod keeper;
pub mod model;
pub mod outbound;
pub mod registry;
pub mod sandbox;
pub mod signup;
pub mod store;
pub mod vault;
