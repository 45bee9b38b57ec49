//! jeton: a multi-tenant, per-connector OAuth token broker.
//!
//! Tier 0: [`model`], words without I/O. Tier 1: [`vault`], [`store`], [`connectors`], adapters that import the
//! model alone. Tier 2: [`identity`], [`audit`], [`issuer`], [`admin`], services. Tier 3: [`http`], the web.

pub mod admin;
pub mod audit;
pub mod connectors;
pub mod http;
pub mod identity;
pub mod issuer;
pub mod model;
pub mod store;
pub mod vault;
