//! Does the guard let the right tokens in, and only those?
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking; clippy.toml exempts only the test functions themselves"
)]

mod accepted;
mod cache;
mod hostile;
mod id_tokens;
mod key_sets;
mod oidc_proxy;
mod remote;
mod support;
mod tampered;
#[cfg(feature = "actix")]
mod web;
