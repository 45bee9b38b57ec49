//! Breadth-first search: every state that the steps lead to, once, up to a bound.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::check::Violation;
use super::rules::Rules;
use super::steps::Step;
use super::world::World;

/// What was seen, and how a state was reached: its predecessor's fingerprint and the step.
type Seen = HashMap<u64, Option<(u64, Step)>>;

/// A search that ended.
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// Steps from the first state to the furthest.
    pub(crate) depth: usize,
    /// Whether nothing was left to look at.
    pub(crate) complete: bool,
    /// The promise that was broken, and the shortest way there.
    pub(crate) violation: Option<(Violation, Vec<Step>)>,
}

/// Looks at no more than `bound` states.
pub(crate) fn explore(first: World, rules: &Rules, bound: usize) -> Explored {
    let hasher = RandomState::new();
    let mut seen = Seen::new();
    let fingerprint = hasher.hash_one(&first);
    seen.insert(fingerprint, None);
    let mut queue = VecDeque::from([(fingerprint, 0, first)]);
    let (mut transitions, mut depth, mut complete) = (0, 0, true);
    while let Some((from, steps_so_far, world)) = queue.pop_front() {
        depth = steps_so_far;
        for step in world.steps() {
            transitions += 1;
            match world.after(step, rules) {
                Ok(next) => {
                    let fingerprint = hasher.hash_one(&next);
                    if let Entry::Vacant(place) = seen.entry(fingerprint) {
                        place.insert(Some((from, step)));
                        queue.push_back((fingerprint, steps_so_far + 1, next));
                    }
                }
                Err(violation) => {
                    let mut way = way_to(&seen, from);
                    way.push(step);
                    let violation = Some((violation, way));
                    return Explored { states: seen.len(), transitions, depth, complete: false, violation };
                }
            }
        }
        if seen.len() >= bound {
            complete = false;
            break;
        }
    }
    Explored { states: seen.len(), transitions, depth, complete, violation: None }
}

fn way_to(seen: &Seen, mut at: u64) -> Vec<Step> {
    let mut way = Vec::new();
    while let Some(Some((from, step))) = seen.get(&at) {
        way.push(*step);
        at = *from;
    }
    way.reverse();
    way
}
