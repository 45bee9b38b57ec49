//! Which errors does a caller get, and does each say what to do? Every one of the contract that can occur.
//!
//! Not here: `internal`, which no request provokes (a panic's answer is tested beside the layer that makes it), and
//! the browser's pages.

mod broken;
mod heads;
mod identity;
mod lifetime;
mod methods;
mod provider;
mod redirected;
mod requests;

use jeton::http::problem::Code;
use serde_json::json;

use crate::support::problem::CODES;

#[test]
fn the_program_knows_exactly_the_codes_of_the_contract() {
    let known = Code::ALL.iter().map(|code| {
        let action = json!(code.action()).as_str().unwrap().to_owned();
        (code.as_str(), code.status().as_u16(), action)
    });
    let contract = CODES.iter().map(|(code, status, action)| (*code, *status, (*action).to_owned()));
    assert_eq!(known.collect::<Vec<_>>(), contract.collect::<Vec<_>>());
}
