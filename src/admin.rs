//! What superadmins administer.

pub mod clients;
