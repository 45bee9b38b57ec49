//! Are credentials kept and replaced in real secret stores, and is every no told in one line?

#[cfg(test)]
mod aws;
#[cfg(test)]
mod azure;
#[cfg(test)]
mod file;
#[cfg(test)]
mod life;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the product's suite, which starts more of them")]
#[path = "../../../tests/suite/support/peer.rs"]
mod peer;
#[cfg(test)]
mod running;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the client's own tests")]
#[path = "../../src/scripted.rs"]
mod scripted;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod vault;
