//! What every request passes, from the outside in.
//!
//! [`security_headers::apply`] is the outermost (so that errors and panics carry the headers too), then
//! [`trace::follow`] and [`limits::check`]; [`prefix::strip`] stands before routing; [`host::resource`] is how browser routes are
//! declared.

pub mod host;
pub mod in_flight;
pub mod limits;
pub mod prefix;
pub mod security_headers;
pub mod trace;
