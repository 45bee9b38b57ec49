//! Does the sandbox behave as it says, seen from outside?

mod apis;
mod driver;
mod flows;
mod troubles;
