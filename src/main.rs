//! The command `jeton`.
fn main() {}
