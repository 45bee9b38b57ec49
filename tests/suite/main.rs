//! The one integration binary: what the product does, seen from outside.

mod command_line;
#[path = "../../client/src/scripted.rs"]
mod scripted;
