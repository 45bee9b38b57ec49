//! jeton: a multi-tenant, per-connector OAuth token broker.
//!
//! Tier 0: [`model`], words without I/O. Tier 1: [`outbound`], [`vault`], [`store`], [`connectors`], adapters that
//! import the model alone. Tier 2: [`identity`], [`audit`], services. Tier 3: [`http`], the web.

pub mod audit;
pub mod connectors;
pub mod http;
pub mod identity;
pub mod model;
pub mod outbound;
pub mod registry;
pub mod store;
pub mod vault;
