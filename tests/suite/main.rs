//! The one integration binary: what the product does, seen from outside.

mod command_line;
mod scripted;
#[path = "../../client/src/scripted.rs"]
