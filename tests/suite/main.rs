//! The one integration binary: what the product does, seen from outside.
//!
//! Each module says `cfg(test)`, so that the lints know its fixtures for test code.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod background;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod caching;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod drop_in;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod extraction;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod handout;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod job;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod manuals;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod minute;
#[cfg(test)]
mod moved;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod readiness;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod relying;
#[cfg(test)]
mod replicas;
#[cfg(test)]
#[path = "../../client/src/scripted.rs"]
mod scripted;
#[cfg(test)]
mod support;
#[cfg(test)]
mod topology;
#[cfg(test)]
mod twins;
