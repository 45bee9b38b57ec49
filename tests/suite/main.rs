//! The one integration binary: what the product does, seen from outside.

mod command_line;
mod instance;
mod layering;
#[path = "../../client/src/scripted.rs"]
mod scripted;
mod support;
