//! Does the protocol keep its promises whatever fails? Every state of a small world, looked at one by one.
//!
//! `JETON_PROTOCOL_STATES=30000000 cargo test --release --test suite protocol -- --nocapture` looks further.

mod check;
mod explore;
mod rules;
mod steps;
mod take;
mod wire;
mod world;

use self::explore::{Explored, explore};
use self::rules::Rules;
use self::world::{Budget, World};

const QUIET: Budget = Budget {
    claims: 3,
    crashes: 0,
    outages: 0,
    lost: 0,
    late_requests: 0,
    late_commits: 0,
    limited: 0,
    consents: 0,
    deletes: 0,
    undos: 0,
    imports: 0,
    strangers: 0,
    revocations: 0,
};

/// Few kinds of trouble each, so that the search comes to the end of them.
const BAD_WIRE: Budget = Budget { claims: 4, lost: 2, limited: 1, late_requests: 1, revocations: 1, ..QUIET };
const BAD_DATABASE: Budget = Budget { outages: 1, late_commits: 2, crashes: 1, revocations: 1, ..QUIET };
const CRASHES: Budget = Budget { crashes: 2, lost: 1, outages: 1, ..QUIET };
const PEOPLE: Budget =
    Budget { claims: 2, crashes: 1, consents: 1, deletes: 1, undos: 2, imports: 1, ..QUIET };
const PEOPLE_IN_TROUBLE: Budget =
    Budget { claims: 2, late_commits: 1, outages: 1, consents: 1, undos: 1, imports: 1, ..QUIET };
const STRANGERS: Budget =
    Budget { claims: 3, consents: 1, undos: 1, imports: 1, strangers: 1, lost: 1, ..QUIET };

/// Everything at once; too much to come to the end of.
const EVERYTHING: Budget = Budget {
    claims: 4,
    crashes: 1,
    outages: 1,
    lost: 2,
    late_requests: 1,
    late_commits: 1,
    limited: 1,
    consents: 1,
    deletes: 1,
    undos: 1,
    imports: 1,
    strangers: 1,
    revocations: 1,
};

/// States looked at when everything may go wrong at once.
const STATES: usize = 1_000_000;

#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn states() -> usize {
    std::env::var("JETON_PROTOCOL_STATES").map_or(STATES, |text| text.parse().expect("a number of states"))
}

#[expect(clippy::print_stdout, reason = "the figures are what one looks for")]
fn shown(name: &str, explored: &Explored) {
    let Explored { states, transitions, depth, complete, .. } = explored;
    println!("{name}: {states} states, {transitions} transitions, depth {depth}, complete: {complete}");
    if let Some((violation, way)) = &explored.violation {
        println!("  {violation}, after {way:?}");
    }
}

#[test]
fn a_million_states_keep_every_promise() {
    let explored = explore(World::new(EVERYTHING), &Rules::product(), states());
    shown("everything", &explored);
    assert!(explored.violation.is_none(), "{:?}", explored.violation);
    assert!(explored.states >= STATES, "{}", explored.states);
}

/// Looks at every state there is.
fn keeps_every_promise(name: &str, budget: Budget) {
    let explored = explore(World::new(budget), &Rules::product(), STATES);
    shown(name, &explored);
    assert!(explored.violation.is_none(), "{:?}", explored.violation);
    assert!(explored.complete, "not every state was seen");
}

#[test]
fn a_bad_wire_breaks_no_promise() {
    keeps_every_promise("a bad wire", BAD_WIRE);
}

#[test]
fn a_bad_database_breaks_no_promise() {
    keeps_every_promise("a bad database", BAD_DATABASE);
}

#[test]
fn crashes_break_no_promise() {
    keeps_every_promise("crashes", CRASHES);
}

#[test]
fn people_break_no_promise() {
    keeps_every_promise("people", PEOPLE);
}

#[test]
fn people_break_no_promise_while_the_database_fails() {
    keeps_every_promise("people while the database fails", PEOPLE_IN_TROUBLE);
}

#[test]
fn another_account_breaks_no_promise() {
    keeps_every_promise("another account", STRANGERS);
}

#[test]
fn each_broken_rule_is_caught() {
    for (name, rules, budget, found) in [
        (
            "a refusal that ignores the lease",
            Rules::refusal_ignores_the_lease(),
            BAD_DATABASE,
            "a refusal parked the connection under somebody else's claim",
        ),
        (
            "sends forgotten by a 429",
            Rules::not_consumed_forgets_earlier_sends(),
            BAD_WIRE,
            "`revoked` is told though the provider did not revoke",
        ),
        (
            "success tied to the lease",
            Rules::success_needs_the_lease(),
            BAD_DATABASE,
            "the provider's refresh token is held by nobody",
        ),
        (
            "no hold-off",
            Rules::no_hold_off(),
            BAD_WIRE,
            "the provider saw a spent refresh token and ended the grant",
        ),
        (
            "undo of a set that was sent",
            Rules::undo_of_a_sent_set(),
            PEOPLE,
            "a refresh token was sent while another replica waits for its answer",
        ),
        (
            "import of a token that is held",
            Rules::import_of_a_held_token(),
            PEOPLE,
            "a refresh token was sent while another replica waits for its answer",
        ),
        (
            "a refresh that lifts another account",
            Rules::refresh_lifts_another_account(),
            STRANGERS,
            "a token of another account is handed out",
        ),
    ] {
        let explored = explore(World::new(budget), &rules, STATES);
        shown(name, &explored);
        assert_eq!(explored.violation.map(|(violation, _)| violation), Some(found), "{name}");
    }
}
